"""Expectations of four factors, E[φ(u)²φ(v)²] and the like, with the derivatives of the maps by the same rule.

(u, v) = (√K11 (αs + βt), √K22 (αs − βt)) with s, t independent standard normals, α² = (1 + c)/2, β² = (1 − c)/2. For
each t the integral over s is cut at the breakpoints and panels of φ(u) and of φ(v); what is left is smooth in t
between the values at which two breakpoints meet, and is bisected until its Legendre series is resolved. So kinks and
jumps cost no accuracy, nor does c near ±1: differences are formed node by node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import MeanFieldError
from meanfield.expectation.moments import moment_table
from meanfield.expectation.panels import gauss_legendre

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

LONGEST = 1.5  # standard deviations on one panel of 16 nodes
NEGLIGIBLE = 40.0  # e-folds below the heaviest point of φ⁴ exp(−z²/2)
FURTHEST = 60.0  # standard deviations
RESOLVED = 1e-9  # of the last Legendre coefficients, relative to the integral of absolute values
DEEPEST = 12  # bisections in t
NEAR = 1e-6  # |u − v| below which φ(u) − φ(v) is φ' times it, to 1e-13
BLOCK = 400_000  # nodes at a time
MOST_NODES = 100_000_000  # of one layer: past that bisection ends, and the error estimate says so
HELD = 512  # layers whose moments are kept: a comparison and its picture ask for the same ones

# E[P · He_i(s)He_j(t)]: the derivative of a Gaussian density of (s, t) by its covariance, once and twice.
SCORES = ((0, 0), (2, 0), (1, 1), (0, 2), (4, 0), (3, 1), (2, 2), (1, 3), (0, 4))


@dataclass(frozen=True)
class PairMoments:
    """Moments of P = (φ(u)², φ(u)² − φ(v)², ½(φ(u) − φ(v))²).

    Attributes
    ----------
    scores : ndarray of shape (3, 9)
        E[P He_i(s) He_j(t)] for the nine (i, j) of SCORES.
    covariance : ndarray of shape (3, 3)
        Cov[P].
    error : float
        What the series in t leave out, relative to the size of the integrals.
    """

    scores: Array
    covariance: Array
    error: float


def reach(act: Activation, q: float) -> float:
    """The |x|/√q past which φ⁴ and a quartic add nothing to a Gaussian integral."""
    z = np.linspace(0.0, FURTHEST, 2401)
    x = math.sqrt(q) * z
    with np.errstate(divide="ignore"):
        size = np.maximum(np.log(np.abs(act.values(-x, 0))), np.log(np.abs(act.values(x, 0))))
    mass = 4.0 * np.maximum(size, -700.0) + 4.0 * np.log1p(z) - 0.5 * z * z
    heaviest = float(mass.max())
    if not math.isfinite(heaviest) or mass[-1] > heaviest - NEGLIGIBLE:
        raise MeanFieldError(f"E[φ⁴] of {act.name} at variance {q:g} is infinite or overflows: widths act there at every order")
    last = int(np.flatnonzero(mass > heaviest - NEGLIGIBLE)[-1])
    return max(float(z[min(last + 1, z.size - 1)]), 7.0)


def _edges(act: Activation, q: float, far: float) -> Array:
    """Edges of panels in x that resolve φ and φ' for |x| ≤ far √q."""
    core = min(math.floor(0.5 * math.log2(q)) - 3, -4)
    outermost = max(math.ceil(math.log2(far * math.sqrt(q))) - 1, core)
    return moment_table(act).partition.coarse_edges(core, outermost)


def _panels(edges: Array, far: float) -> tuple[Array, Array]:
    """Nodes and weights ∫ ds N(s) on panels between sorted edges, row by row: (rows, panels·16) each."""
    unit, weights = gauss_legendre()
    clipped = np.sort(np.clip(edges, -far, far), axis=-1)
    low, high = clipped[..., :-1], clipped[..., 1:]
    half = 0.5 * (high - low)
    nodes = (0.5 * (high + low))[..., None] + half[..., None] * unit
    scale = half[..., None] * weights * np.exp(-0.5 * nodes * nodes) / math.sqrt(2.0 * math.pi)
    shape = (*edges.shape[:-1], -1)
    return nodes.reshape(shape), scale.reshape(shape)


def _uniform(far: float) -> Array:
    return np.linspace(-far, far, 2 * math.ceil(far / LONGEST) + 1)


def line_moments(act: Activation, q: float) -> dict[str, float]:
    """One-input moments that the backward pass needs, φ' almost everywhere."""
    far = reach(act, q)
    root = math.sqrt(q)
    z, w = _panels(np.concatenate([_edges(act, q, far) / root, _uniform(far)]), far)
    kept = w > 0.0
    z, w = z[kept], w[kept]
    phi, slope = act.values(root * z, 0), act.values(root * z, 1)
    psi = slope * slope
    he2, he4 = z * z - 1.0, (z * z - 6.0) * z * z + 3.0
    with np.errstate(over="ignore", invalid="ignore"):
        found = {
            "V": float(w @ phi**2),
            "fourth": float(w @ phi**4),
            "slope": float(w @ psi),  # E[φ'²]
            "slope_1": float(w @ (psi * he2)) / (2.0 * q),  # d/dq
            "slope_2": float(w @ (psi * he4)) / (4.0 * q * q),  # d²/dq²
            "slope_4": float(w @ psi**2),  # E[φ'⁴]
            "mixed": float(w @ (psi * phi**2)),  # E[φ'²φ²]
            "radial": float(w @ (phi * slope * z)) * root,  # E[φφ'h]
            "F_1": float(w @ (phi**2 * he2)) / (2.0 * q),
            "F_2": float(w @ (phi**2 * he4)) / (4.0 * q * q),
        }
    for name, value in found.items():
        if not math.isfinite(value):
            raise MeanFieldError(f"a fourth moment of {act.name} or of its slope at variance {q:g} is infinite ({name})")
    return found


class _Pair:
    """The integrals over s at given t."""

    def __init__(self, act: Activation, k11: float, k22: float, epsilon: float) -> None:
        self.act = act
        self.root1, self.root2 = math.sqrt(k11), math.sqrt(k22)
        self.alpha, self.beta = math.sqrt(1.0 - 0.5 * epsilon), math.sqrt(0.5 * epsilon)
        self.far = max(reach(act, k11), reach(act, k22))
        self.edges1, self.edges2 = _edges(act, k11, self.far) / self.root1, _edges(act, k22, self.far) / self.root2
        self.base = _uniform(self.far)
        self.per_row = 16 * (self.edges1.size + self.edges2.size + self.base.size)
        self.breaks = np.array([b.location for b in act.breakpoints])
        self.close = epsilon < 1e-8

    def cuts(self) -> Array:
        """Where on the t axis two breakpoints meet."""
        if self.beta == 0.0:
            return np.array([-self.far, self.far])
        meet = (self.breaks[:, None] / self.root1 - self.breaks[None, :] / self.root2).ravel() / (2.0 * self.beta)
        inside = meet[np.abs(meet) < self.far]
        return np.unique(np.concatenate([self.base, [0.0], inside]))

    def rows(self, t: Array) -> Array:
        """∫ ds N(s) of P s^k (k = 0 … 4) and of the products of P, for each t: shape (len(t), 21)."""
        step = max(1, BLOCK // self.per_row)
        return np.concatenate([self._rows(t[i : i + step]) for i in range(0, t.size, step)])

    def _rows(self, t: Array) -> Array:
        shift = self.beta * t[:, None]
        alpha = max(self.alpha, 1e-300)
        with np.errstate(over="ignore"):
            edges = np.concatenate(
                [(self.edges1 - shift) / alpha, (self.edges2 + shift) / alpha, np.broadcast_to(self.base, (t.size, self.base.size))], axis=1
            )
        s, w = _panels(edges, self.far)
        count = np.flatnonzero(w.any(axis=0))  # clipped panels have no width
        s, w = np.ascontiguousarray(s[:, count]), np.ascontiguousarray(w[:, count])
        u = self.root1 * (self.alpha * s + shift)
        v = self.root2 * (self.alpha * s - shift)
        first = self.act.values(u.ravel(), 0).reshape(u.shape)
        second = self.act.values(v.ravel(), 0).reshape(u.shape)
        difference = first - second
        if self.close:
            self._refine(difference, u, v, (self.root1 - self.root2) * self.alpha * s + (self.root1 + self.root2) * shift)
        with np.errstate(over="ignore", invalid="ignore"):
            parts = (first * first, difference * (first + second), 0.5 * difference * difference)
            out = np.empty((t.size, 21))
            for k in range(5):
                for i, part in enumerate(parts):
                    out[:, 3 * k + i] = np.einsum("rs,rs->r", w, part)
                w_next = w * s
                if k == 0:
                    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
                    for n, (i, j) in enumerate(pairs):
                        out[:, 15 + n] = np.einsum("rs,rs,rs->r", w, parts[i], parts[j])
                w = w_next
        return out

    def _refine(self, difference: Array, u: Array, v: Array, gap: Array) -> None:
        """φ'(½(u + v)) (u − v) where u and v are so close that φ(u) − φ(v) has no digits left."""
        near = np.abs(gap) < NEAR * np.maximum(1.0, np.abs(u))
        for t in self.breaks:
            near &= (u - t) * (v - t) > 0.0
        middle = np.ascontiguousarray(0.5 * (u[near] + v[near]))
        difference[near] = self.act.values(middle, 1) * gap[near]


@lru_cache(maxsize=HELD)
def pair_moments(act: Activation, k11: float, k22: float, epsilon: float) -> PairMoments:
    """Moments of P at variances k11, k22 and decorrelation ε = 1 − c in [0, 2]."""
    pair = _Pair(act, k11, k22, epsilon)
    unit, weights = gauss_legendre()
    tail = np.array([(2 * n + 1) / 2 * weights * np.polynomial.legendre.Legendre.basis(n)(unit) for n in (14, 15)])
    if pair.beta == 0.0:
        row = pair.rows(np.zeros(1))[0]
        return _collected(np.concatenate([row[:15, None], np.zeros((15, 4))], axis=1), row[15:], 0.0)
    edges = pair.cuts()
    low, high = edges[:-1], edges[1:]
    powers, products, size = np.zeros((15, 5)), np.zeros(6), np.zeros(21)
    left_out, spent = np.zeros(21), 0
    for level in range(DEEPEST + 1):
        half = 0.5 * (high - low)
        t = (0.5 * (high + low))[:, None] + half[:, None] * unit
        density = np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
        rows = pair.rows(t.ravel()).reshape(*t.shape, 21)
        if not np.isfinite(rows).all():
            raise MeanFieldError(f"a fourth moment of {act.name} at variances {k11:g}, {k22:g} overflows")
        weighted = rows * density[..., None]
        if level == 0:
            size = _sizes(np.einsum("p,n,pnk->k", half, weights, np.abs(weighted)))
        last = np.max(np.abs(np.einsum("cn,pnk->pck", tail, weighted)), axis=1) * (high - low)[:, None]
        rough = (last > RESOLVED * size).any(axis=1)
        spent += t.size * pair.per_row
        if level == DEEPEST or spent > MOST_NODES:
            left_out += last[rough].sum(axis=0)
            rough[:] = False
        done = ~rough
        scale = half[done, None] * weights
        products += np.einsum("pn,pnk->k", scale, weighted[done][..., 15:])
        for j in range(5):
            powers[:, j] += np.einsum("pn,pnk->k", scale * t[done] ** j, weighted[done][..., :15])
        if not rough.any():
            break
        middle = 0.5 * (low[rough] + high[rough])
        low, high = np.concatenate([low[rough], middle]), np.concatenate([middle, high[rough]])
    return _collected(powers, products, float(np.max(left_out / size)))


def _sizes(absolute: Array) -> Array:
    """What each integral is to be accurate against: what vanishes by symmetry is measured by its kin."""
    size = absolute.copy()
    spread = np.sqrt(absolute[[15, 18, 20]])  # √E[P²]
    for k in range(5):
        size[3 * k : 3 * k + 3] = np.maximum(size[3 * k : 3 * k + 3], spread)
    size[15:] = np.outer(spread, spread)[np.triu_indices(3)]
    result: Array = size + 1e-300
    return result


_HERMITE = (
    np.array([1.0, 0.0, 0.0, 0.0, 0.0]),
    np.array([0.0, 1.0, 0.0, 0.0, 0.0]),
    np.array([-1.0, 0.0, 1.0, 0.0, 0.0]),
    np.array([0.0, -3.0, 0.0, 1.0, 0.0]),
    np.array([3.0, 0.0, -6.0, 0.0, 1.0]),
)


def _collected(powers: Array, products: Array, error: float) -> PairMoments:
    """E[P s^i t^j], shape (15, 5) with rows 3i + P, and E[P P'] → scores and covariance."""
    table = powers.reshape(5, 3, 5)
    scores = np.array([np.einsum("i,ipj,j->p", _HERMITE[i], table, _HERMITE[j]) for i, j in SCORES]).T
    mean = scores[:, 0]
    square = np.empty((3, 3))
    square[np.triu_indices(3)] = products
    square[np.tril_indices(3, -1)] = square.T[np.tril_indices(3, -1)]
    covariance = square - np.outer(mean, mean)
    for array in (scores, covariance):
        array.flags.writeable = False  # shared by all who ask
    return PairMoments(scores, covariance, error)
