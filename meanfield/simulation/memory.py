"""Whether one network fits into this machine's memory: a system that promises more than it has kills the process halfway."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from meanfield.errors import DomainError

if TYPE_CHECKING:
    from meanfield.simulation.ensemble import Ensemble

LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container, which may use less than the machine has
BYTES = 8


def check_memory(ensemble: Ensemble) -> None:
    """Refuse an ensemble of which not even one network can be held.

    Raises
    ------
    DomainError
        Naming the widths, what they take and what there is.
    """
    there = machine_memory()
    needed = least_memory(ensemble)
    if there is not None and needed > there:
        widest = max(ensemble.widths)
        raise DomainError(
            f"width = {widest}: one network takes at least {needed / 2**30:.3g} GiB with method={ensemble.method!r}, "
            f"and this machine has {there / 2**30:.3g} GiB"
        )


def least_memory(ensemble: Ensemble) -> int:
    """Bytes that one network takes at the least: h, φ(h) and what is drawn for them."""
    widest, batch = max(ensemble.widths), ensemble.batch
    if ensemble.method == "conditional":
        return BYTES * widest * (3 * batch + ensemble.gradients)
    numbers = 2 * widest * batch + (sum(ensemble.widths) if ensemble.gradients else 0)  # the slopes of all layers wait for the way back
    if ensemble.weights == "orthogonal" and ensemble.backend == "numpy":  # normal ones are drawn a few rows at a time
        before = ensemble.widths[:-1] if ensemble.inputs is None else (ensemble.inputs.shape[1], *ensemble.widths[:-1])
        after = ensemble.widths[1:] if ensemble.inputs is None else ensemble.widths
        numbers += 2 * max((n * m for n, m in zip(before, after, strict=True)), default=0)
    return BYTES * numbers


def machine_memory() -> int | None:
    """Bytes of memory of the machine or of the container; None where the system does not tell.

    Examples
    --------
    >>> found = machine_memory()
    >>> found is None or found > 2**20
    True
    """
    found = []
    with contextlib.suppress(AttributeError, OSError, ValueError):  # no POSIX system
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        found.append(int(LIMIT.read_text()))
    return min((size for size in found if size > 0), default=None)
