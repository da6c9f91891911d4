"""What operations on whole arrays do, found out by trying: normalisations and dropouts, however they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.frameworks.jax.program import run

if TYPE_CHECKING:
    from meanfield.frameworks.jax.program import Operation

ALIKE = 1e-3  # relative: single precision, and an ε that is small beside a variance of 100


def size_of_normalised(
    operations: Sequence[Operation], start: int, end: int, values: Mapping[int, Any], shapes: Mapping[int, tuple[int, ...]]
) -> float | None:
    """Root mean square of what a normalisation gives, or None for what is none: g(100 x) = g(x) and g(−x) = −g(x).

    Raises
    ------
    DomainError
        If it gives nothing but zeros on arrays of that shape, as a normalisation over a batch of one does.
    """
    x = 10.0 * np.random.default_rng(0).standard_normal(shapes[start]).astype(np.float32)
    same, larger, mirrored = (_applied(operations, start, end, values, factor * x) for factor in (1.0, 100.0, -1.0))
    if not all(np.all(np.isfinite(y)) for y in (same, larger, mirrored)):
        return None
    size = float(np.sqrt(np.mean(np.square(same))))
    scale = max(size, 1e-30)
    if np.max(np.abs(larger - same)) > ALIKE * 30.0 * scale or np.max(np.abs(mirrored + same)) > ALIKE * 30.0 * scale:
        return None
    if size == 0.0 and not _has_zero_factor(operations, values):
        raise DomainError(
            f"x: a normalisation over arrays of shape {shapes[start]} gives only zeros, as over a batch of one: give more examples"
        )
    return size


def mask(
    operations: Sequence[Operation], start: int, end: int, values: Mapping[int, Any], shapes: Mapping[int, tuple[int, ...]]
) -> tuple[float, float] | None:
    """What a random mask makes of a one that it keeps, and the share of these; None for what is no mask."""
    ones = np.ones(shapes[start], np.float32)
    found, twice = (_applied(operations, start, end, values, factor * ones) for factor in (1.0, 2.0))
    most = float(np.max(found, initial=0.0))
    if found.shape != ones.shape or not np.allclose(twice, 2.0 * found, rtol=1e-5) or not np.all((found == 0.0) | np.isclose(found, most)):
        return None
    return most, float(np.mean(found > 0.0))


def probability(makers: Mapping[int, Operation], numbers: Iterable[int], random: set[int], values: Mapping[int, Any]) -> float | None:
    """p of the uniform number that is compared with p to make a mask; None where there is no such comparison."""
    waiting = [number for number in numbers if number in random]
    while waiting:
        operation = makers.get(waiting.pop())
        if operation is None:
            continue
        given = [number for number in operation.inputs if number not in random]
        if operation.name in ("lt", "le", "gt", "ge") and len(given) == 1 and np.asarray(values[given[0]]).size == 1:
            return float(f"{float(np.asarray(values[given[0]]).item()):.6g}")  # what single precision made of a number somebody typed
        waiting.extend(number for number in operation.inputs if number in random)
    return None


def _applied(operations: Sequence[Operation], start: int, end: int, values: Mapping[int, Any], x: Any) -> Any:
    needed = {number: values[number] for operation in operations for number in operation.inputs if number in values}
    return np.asarray(run(operations, {**needed, start: x}, end), dtype=np.float64)


def _has_zero_factor(operations: Sequence[Operation], values: Mapping[int, Any]) -> bool:
    """Whether an array of zeros is multiplied with."""
    factors = [n for operation in operations if operation.name == "mul" for n in operation.inputs if n in values]
    return any(not np.any(np.asarray(values[number])) for number in factors)
