"""What is kept of an ensemble: the moments of each layer's statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.simulation.streaming import Moments

if TYPE_CHECKING:
    from meanfield.simulation.ensemble import Ensemble, Samples

Statistics = dict[str, Moments]


def names(ensemble: Ensemble) -> tuple[str, ...]:
    """The quantities whose moments are kept."""
    return ("gram", "epsilon", *(("gradient", "log_gradient") if ensemble.gradients else ()))


def summarise(samples: Samples) -> Statistics:
    """The moments of one block."""
    found = {"gram": Moments.of(samples.gram), "epsilon": Moments.of(samples.epsilon)}
    if samples.log_gradient is not None:
        with np.errstate(over="ignore"):
            found["gradient"] = Moments.of(np.exp(samples.log_gradient))
        # A gradient of 0 has no logarithm.
        found["log_gradient"] = Moments.of(np.where(np.isneginf(samples.log_gradient), np.nan, samples.log_gradient))
    return found


def merge(before: Statistics | None, block: Statistics) -> Statistics:
    """Blocks are merged one by one, in their order: the same roundings however they were computed."""
    return block if before is None else {name: before[name].merged(block[name]) for name in before}
