"""Where to look for roots: moments in double precision by a plain rule, proving nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meanfield.activations.activation import Activation
from meanfield.errors import MeanFieldError
from meanfield.proof.balls import ProofError

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
_NODES = 24
_TIGHTENED = 80


class DoubleMoments:
    """V, V[φ'] and E[xφφ'] in doubles: panels of half an octave in |x|, 17 spreads at q = 2^60, split where φ is not analytic."""

    def __init__(self, act: Activation) -> None:
        edges = np.concatenate([[0.0], 2.0 ** np.arange(-40.0, 35.0, 0.5)])
        marks = np.array([b.location for b in act.breakpoints])
        edges = np.unique(np.concatenate([-edges, edges, marks[np.abs(marks) < edges[-1]]]))
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        half = np.diff(edges)[:, None] / 2
        self.x = np.ascontiguousarray((edges[:-1, None] + half + half * nodes).ravel())
        self.weights = (half * weights).ravel()
        try:
            with np.errstate(all="ignore"):
                value, slope = act.several(self.x, (0, 1))
        except MeanFieldError as error:
            raise ProofError(f"where to look for a root is not known: {error}") from error
        with np.errstate(all="ignore"):
            self.columns = {"v": value**2, "v1": slope**2, "rise": self.x * value * slope}

    def __call__(self, name: str, q: float) -> float:
        """One moment at one q."""
        with np.errstate(all="ignore"):
            density = np.exp(-self.x * self.x / (2 * q)) * self.weights
            terms = np.where(density > 0, self.columns[name] * density, 0.0)
        return float(np.sum(terms[np.isfinite(terms)])) / float(np.sqrt(2 * np.pi * q))


def first_change(f: Callable[[float], float], grid: Array, wanted: Callable[[float, float], bool]) -> tuple[float, float] | None:
    """The first two neighbours on the grid whose values are as wanted."""
    before = None
    for q in grid:
        value = f(float(q))
        if before is not None and wanted(before[1], value):
            return before[0], float(q)
        before = (float(q), value)
    return None


def tightened(f: Callable[[float], float], low: float, high: float) -> float:
    """A zero between the two, to about the rounding of doubles."""
    a, b, fa, fb = low, high, f(low), f(high)
    for _ in range(_TIGHTENED):
        if abs(b - a) <= 1e-13 * abs(b) or fa == fb or fb == 0.0:
            break
        c = b - fb * (b - a) / (fb - fa)
        if not min(a, b) < c < max(a, b):
            c = (a + b) / 2
        fc = f(c)
        if (fc > 0) != (fb > 0):
            a, fa = b, fb
        else:
            fa /= 2
        b, fb = c, fc
    return b
