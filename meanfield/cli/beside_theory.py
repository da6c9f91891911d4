"""What a simulation and the theory beside it look like in a table and in CSV, and the start that both take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meanfield.simulation.beside_theory import Beside

_LAYERS_SHOWN = 14  # of a table


def check_least(*given: tuple[str, int, int]) -> None:
    """Refuse an option's number that lies below the least that makes sense.

    Examples
    --------
    >>> check_least(("--width", 100, 1))
    """
    for option, value, least in given:
        if value < least:
            raise DomainError(f"{option} {value} is out of range; give {least} or more")


def check_correlation(c: float) -> None:
    """Refuse what is no correlation.

    Examples
    --------
    >>> check_correlation(0.5)
    """
    if not (-1.0 <= c <= 1.0):
        raise DomainError(f"--c {c!r} is out of range; a correlation lies in [-1, 1]")


def variances(text: str) -> float | tuple[float, float]:
    """``--q`` as one variance, or two.

    Examples
    --------
    >>> variances("1"), variances("1,0.5")
    (1.0, (1.0, 0.5))
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(0.0 < value < math.inf for value in values):
        raise DomainError(f"--q {text!r} is out of range; give one positive number, or two with a comma between them")
    return values[0] if len(values) == 1 else (values[0], values[1])


def layers_shown(depth: int) -> list[int]:
    """Layers of a table: all of a few, spread over many.

    Examples
    --------
    >>> layers_shown(4), len(layers_shown(1000))
    ([0, 1, 2, 3, 4], 14)
    """
    if depth < _LAYERS_SHOWN:
        return list(range(depth + 1))
    return sorted({round(depth * i / (_LAYERS_SHOWN - 1)) for i in range(_LAYERS_SHOWN)})


def sampled_columns(found: dict[str, Beside], layers: Sequence[int], *, second: bool) -> tuple[list[str], list[list[str]]]:
    """Header and columns of a table, four for each quantity; q2 only where the second input differs."""
    header, columns = ["layer"], [[str(layer) for layer in layers]]
    for name, one in found.items():
        if name == "q2" and not second:
            continue
        header += [name, "± error", "N → ∞", "z"]
        columns += [
            [f"{one.mean[i]:.6g}" for i in layers],
            [f"{one.standard_error[i]:.1e}" for i in layers],
            [f"{one.infinite_width[i]:.6g}" for i in layers],
            [_score(one, i) for i in layers],
        ]
    return header, columns


def print_csv(found: dict[str, Beside], names: Sequence[str] = ()) -> None:
    """A row for each layer, with its name where there are names."""
    from meanfield.cli.machine_output import write_csv

    header = ["layer", *(f"{name}{part}" for name in found for part in ("", "_standard_error", "_infinite_width", "_z"))]
    columns = [column.tolist() for one in found.values() for column in (one.mean, one.standard_error, one.infinite_width, one.z)]
    if names:
        header, columns = [*header, "name"], [*columns, list(names)]
    write_csv(header, zip(range(len(columns[0])), *columns, strict=True))


def _score(one: Beside, layer: int) -> str:
    z = float(one.z[layer])
    return "—" if math.isnan(z) else f"{z:.2f}" + (" " if one.judged[layer] else "?")
