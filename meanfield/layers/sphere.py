"""Integrals over a normalised batch: y spread evenly on {Σy = 0, Σy² = B}, for any φ.

With n = B − 1: y₁ = √n sin a has the density ∝ cos^(n−2) a, and y₂ = √n (−sin a/n + √(1 − 1/n²) cos a sin b) given y₁, with b of density
∝ cos^(n−3) b. The panels of both angles end at the images of φ's breakpoints; a substitution with zero slope at their ends takes the
roots there.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations.kept import Kept

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

SMALLEST_BATCH = 4  # three inputs leave a circle, where the gradient's mean square is infinite
NODES = 32
REACH = 9.0  # |y| past which exp(−y²/2) is nothing; the sphere itself ends at √n
WIDEST = 1.2  # of a panel, in units of y
_found: Kept[dict[int, BatchMoments]] = Kept("batch moments")
_lock = threading.Lock()


@dataclass(frozen=True)
class BatchMoments:
    """Of φ over the sphere of B inputs.

    Attributes
    ----------
    batch : int
        B = n + 1.
    diagonal, off_diagonal : float
        E φ(y₁)², E φ(y₁)φ(y₂).
    mean : float
        E φ(y₁).
    mean_square_slope, slopes : float
        E φ'(y₁)², E φ'(y₁)φ'(y₂).
    gradient, common : float
        |δ|² before the normalisation over |δ|² behind φ, times the batch's variance: of a δ that sums to 0 over the batch, and of one that
        all its inputs share.
    """

    batch: int
    diagonal: float
    off_diagonal: float
    mean: float
    mean_square_slope: float
    slopes: float
    gradient: float
    common: float

    def gradient_of(self, shared: Array | None) -> Array:
        """The same of a δ with E δ₁·δ₂/E|δ|² = r; −1/n of one that sums to 0.

        Its Gram matrix (1 − r) 1 + r J has (1 − r) on what sums to 0, where that of a δ summing to 0 has B/n, and (1 + n r)/B of J.
        """
        if shared is None:
            return np.asarray(self.gradient)
        n = self.batch - 1
        result: Array = (1.0 - shared) * n / self.batch * self.gradient + (1.0 + n * shared) / self.batch * self.common
        return result


def batch_moments(act: Activation, batch: int) -> BatchMoments:
    """Kept with the activation."""
    with _lock:
        held = _found.setdefault(act, {})
        if batch in held:
            return held[batch]
    made = _integrated(act, batch)
    with _lock:
        while len(held) >= 16:
            held.pop(next(iter(held)))
        held[batch] = made
    return made


@lru_cache(maxsize=1)
def _unit() -> tuple[Array, Array]:
    """Nodes and weights on [0, 1] for integrands with roots at both ends: x = u³(10 − 15u + 6u²)."""
    t, w = np.polynomial.legendre.leggauss(NODES)
    u = 0.5 * (1.0 + t)
    return u**3 * (10.0 - 15.0 * u + 6.0 * u * u), 0.5 * w * 30.0 * u * u * (1.0 - u) ** 2


def _panels(ends: Array) -> tuple[Array, Array]:
    """Nodes and weights on panels between ascending `ends` (last axis; those before it are rows)."""
    x, w = _unit()
    width = np.diff(ends, axis=-1)[..., None]
    nodes = ends[..., :-1, None] + width * x
    weights = width * w
    shape = (*ends.shape[:-1], -1)
    return nodes.reshape(shape), weights.reshape(shape)


def _integrated(act: Activation, batch: int) -> BatchMoments:
    n = batch - 1
    root, slant = math.sqrt(n), math.sqrt(1.0 - 1.0 / n**2)
    kinks = np.array([p.location for p in act.breakpoints if abs(p.location) < root])
    reach = min(root, REACH)
    # Outer ends: the range in steps, the breakpoints, and where y₂ just reaches a breakpoint.
    gamma = math.acos(-1.0 / n)
    touching = [root * math.cos(gamma + s * math.acos(k / root)) for k in kinks for s in (-1.0, 1.0)]
    steps = np.linspace(-reach, reach, max(2, math.ceil(2 * reach / WIDEST)) + 1)
    ends = np.unique(np.concatenate([steps, kinks, touching]))
    ends = ends[np.abs(ends) <= reach]
    a, weight = _panels(np.arcsin(np.clip(ends / root, -1.0, 1.0)))
    density = weight * np.exp((n - 2) * np.log(np.cos(a)))
    density /= density.sum()
    y = root * np.sin(a)
    # Inner: y₂ = centre + size sin b.
    centre, size = -y / n, slant * root * np.cos(a)
    inner = np.linspace(-1.0, 1.0, 2 * max(1, math.ceil(reach / WIDEST)) + 1) * np.minimum(size, reach)[:, None]
    sines = [inner / size[:, None]]
    if kinks.size:
        sines.append(np.clip((kinks[None, :] - centre[:, None]) / size[:, None], -1.0, 1.0))
    b, inner_weight = _panels(np.arcsin(np.clip(np.sort(np.concatenate(sines, axis=1), axis=1), -1.0, 1.0)))
    with np.errstate(divide="ignore"):
        inner_density = inner_weight * np.exp((n - 3) * np.log(np.cos(b)))
    inner_density /= inner_density.sum(axis=1, keepdims=True)
    other = centre[:, None] + size[:, None] * np.sin(b)
    phi, slope = (act.values(np.ascontiguousarray(y), k) for k in (0, 1))
    phi2, slope2 = (act.values(np.ascontiguousarray(other.ravel()), k).reshape(other.shape) for k in (0, 1))

    def over_pairs(here: Array, there: Array) -> float:
        return float(density @ (here * (inner_density * there).sum(axis=1)))

    off, slopes, moved = over_pairs(phi, phi2), over_pairs(slope, slope2), over_pairs(y * slope, other * slope2)
    square = float(density @ slope**2)
    weighted = float(density @ (slope**2 * y**2))
    first = batch * (square * (1.0 - 1.0 / batch) - weighted / batch)
    # (Σφ'² − (Σφ')²/B − (Σyφ')²/B)/B, each square as B diagonal and B(B − 1) off-diagonal terms.
    second = (batch * square - (square + n * slopes) - (weighted + n * moved)) / batch
    gradient = batch / ((n - 2.0) * n) * (first - second)
    return BatchMoments(batch, float(density @ phi**2), off, float(density @ phi), square, slopes, gradient, batch * second / (n - 2.0))
