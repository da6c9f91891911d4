"""A network whose inputs all have one norm is a function of their correlation alone, however deep it is: tabulated once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.chebyshev import chebyshev_nodes, chebyshev_series

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.arrays import Array

TERMS = 14
OCTAVES_NEAR = 56  # x = √(ε/2) down to 2⁻⁵⁶: rows of float64 differ by ε = 4e-34 or not at all
OCTAVES_FAR = 28  # √(1 − ε/2): ε = 2 is resolved to 2e-16
RESOLVED = 12  # octaves of the latter in which ε, a float64 near 2, tells it to 1e-9: further on its own rounding is seen
PARTS = (2, 4, 8)  # panels an octave, tried one after the other
TRUE_TO = 1e-12  # last two of a series' terms, relative to its largest value on the panel (near) or anywhere (far): what follows is less


@dataclass(frozen=True)
class Table:
    """Functions of ε in [0, 2], each as Chebyshev series on octaves of √(ε/2) and of √(1 − ε/2).

    Attributes
    ----------
    parts : int
        Panels an octave.
    ends : ndarray (functions, 2)
        Values at ε = 0 and ε = 2.
    near, far : ndarray (functions, panels, TERMS)
    """

    parts: int
    ends: Array
    near: Array
    far: Array

    def __call__(self, losses: Array, which: int = 0) -> Array:
        """One of the functions at a matrix of ε."""
        from meanfield.theory.kernels.pair_kernels import look_up

        out = np.empty(losses.shape)
        look_up(
            np.ascontiguousarray(losses),
            self.parts,
            float(self.ends[which, 0]),
            float(self.ends[which, 1]),
            self.near[which],
            self.far[which],
            out,
        )
        return out


def tabulated(functions: Callable[[Array], Array]) -> Table:
    """A table of functions(ε) of shape (number, ε.size).

    Whatever singularity they have at parallel and opposite inputs, they are smooth on an octave.
    """
    ends = functions(np.array([0.0, 2.0]))
    for parts in PARTS:
        x_near, x_far = _nodes(OCTAVES_NEAR, parts), _nodes(OCTAVES_FAR, parts)
        seen = functions(np.concatenate([2.0 * x_near.ravel() ** 2, 2.0 * (1.0 - x_far.ravel()) * (1.0 + x_far.ravel())]))
        near = chebyshev_series(seen[:, : x_near.size].reshape(-1, *x_near.shape))
        far = chebyshev_series(seen[:, x_near.size :].reshape(-1, *x_far.shape))
        judged = far[:, : RESOLVED * parts]
        if _decayed(near, _largest(near)) and _decayed(judged, np.max(_largest(far), axis=1, keepdims=True)):
            break
    return Table(parts, ends, np.ascontiguousarray(near), np.ascontiguousarray(far))


def _nodes(octaves: int, parts: int) -> Array:
    """(panels, TERMS) nodes in x, from √½ (where either end's half begins) down octave by octave."""
    octave, inner = np.divmod(np.arange(octaves * parts), parts)
    top = np.where(octave == 0, math.sqrt(0.5), np.ldexp(1.0, -octave))
    width = (top - np.ldexp(0.5, -octave)) / parts
    high = top - inner * width
    result: Array = high[:, None] - 0.5 * width[:, None] * (1.0 - chebyshev_nodes(TERMS))
    return result


def _largest(series: Array) -> Array:
    result: Array = np.abs(series[..., 0]) + np.max(np.abs(series[..., 1:]), axis=-1)
    return result


def _decayed(series: Array, size: Array) -> bool:
    return bool(np.all(np.max(np.abs(series[..., -2:]), axis=-1) <= TRUE_TO * np.maximum(size, 1e-300)))
