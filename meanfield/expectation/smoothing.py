"""Two-input expectations by conditional smoothing: any φ, any q1, q2, any correlation.

Given a common part A ~ N(0, 1) the two inputs are independent,
    u = √q1 (√a A + √(1−a) T),   v = √q2 (s √a A + √(1−a) T'),   a = |c|, s = sign c,
so that E[φ(u)φ(v)] = E_A[m₁ m₂] with m_i = E_T φ, and at q1 = q2, c ≥ 0: ½E[(φ(u) − φ(v))²] = E_A[Var_T φ], which loses no
digits as c → 1. Each inner integral is split at the kinks of φ on a line, with nodes in x that all centres share or, for small τ,
nodes of their own; the outer integrand is smooth on the scale
δ = √((1−a)/a) of A, with steps of that width near the kinks.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from meanfield.errors import ActivationError
from meanfield.expectation.panels import ORDER, gauss_legendre
from meanfield.expectation.rule import build_rule

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Mask
    from meanfield.expectation.panels import Partition

REACH = 8.6  # standard deviations: exp(−8.6²/2) = 9e-17
SHARED_STEP = 2.0  # width of a panel of the shared nodes, in units of τ
MOST_SHARED = 1500  # panels of shared nodes; for smaller τ each centre gets nodes of its own
FAR = 100.0  # |X|/τ from where on Var_T φ(X + τT) comes from φ': differences of φ lose |X|/τ ulps
BLOCK = 1_000_000  # inner nodes held at a time
GRADES = np.array([0.0, 1.5, 3.0, 4.5, 6.0, 7.5, 9.5])  # steps, in units of δ, beside a kink's image
UNEVEN = 1.5  # and beside the end of narrow panels, where the next is so many times as wide


@lru_cache(maxsize=1)
def gauss_hermite() -> tuple[Array, Array]:
    """Nodes and weights of E_T, T ~ N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(ORDER)
    return nodes, weights / np.sum(weights)


@lru_cache(maxsize=1)
def _to_hermite() -> Array:
    """Columns that take values f at the Gauss–Hermite nodes to E[f(T) Heₖ(T)]/√(k! (k + 1))."""
    nodes, weights = gauss_hermite()
    k = np.arange(ORDER)
    factorials = np.cumprod(np.maximum(k, 1).astype(float))
    result: Array = weights[:, None] * np.polynomial.hermite_e.hermevander(nodes, ORDER - 1) / np.sqrt(factorials * (k + 1))
    return result


class Smoother:
    """E_T and Var_T of φ⁽ᵏ⁾(X + τT) at given centres X, for variances up to q."""

    def __init__(self, activation: Activation, partition: Partition, order: int, q: float) -> None:
        self.activation = activation
        self.order = order
        rule = build_rule(partition, q, q)
        self.infinite = rule.infinite[partition.orders.index(order)] or ("φ overflows within reach" if rule.beyond else "")
        self.overflows = rule.beyond[0].start if rule.beyond else math.inf  # |x| where φ does, though E[φ²] is finite
        self.reach = max(REACH, rule.reach + 0.3)
        self.central = rule.peak <= 6.0  # the mass of φ² is not far out, where the Gaussian's tail must be followed
        core = min(math.floor(0.5 * math.log2(q)) - 3, -4)
        outermost = math.ceil(math.log2(1.5 * self.reach * math.sqrt(q))) - 1
        self.edges = partition.coarse_edges(core, outermost)
        self._unresolved = partition.unresolved(core, outermost)
        self.furthest = 1.45 * self.reach * math.sqrt(q)
        self.jumps = [
            (b.location, b.value_jump if order == 1 else b.slope_jump, b.value_jump if order == 2 else 0.0)
            for b in activation.breakpoints
            if order > 0 and (b.value_jump != 0.0 or (order == 2 and b.slope_jump != 0.0))
        ]

    def require_within_range(self, q: float) -> None:
        """Refuse a φ that overflows where the Gaussian has not made up for it: its tail is known for one input only."""
        if self.overflows < math.inf:
            raise ActivationError(
                f"expectations at two inputs can't be computed for {self.activation.name} at q = {q:.6g}: φ overflows at "
                f"x = {self.overflows:.6g}, which is within reach of the Gaussians"
            )

    def apply(self, centres: Array, tau: float, what: Literal["mean", "variance"]) -> Array:
        """E_T φ⁽ᵏ⁾ (deltas included) or Var_T φ⁽ᵏ⁾ (deltas left out) at each centre."""
        shared = self.shared_nodes(tau)
        out = self.by_shared_nodes(centres, tau, what, *shared) if shared is not None else self.by_own_nodes(centres, tau, what)
        if what == "mean":
            for location, delta, dipole in self.jumps:
                d = (location - centres) / tau
                density = np.exp(-0.5 * d * d) / (math.sqrt(2 * math.pi) * tau)
                out += (delta + dipole * d / tau) * density  # ∫ δ'(x − t) N(x; X, τ²) dx = ((t − X)/τ²) N
        return out

    def shared_nodes(self, tau: float) -> tuple[Array, Array] | None:
        """Nodes x and weights of ∫ dx that serve every centre; None where the mass lies far out or there would be too many."""
        if not self.central or 2 * self.furthest > MOST_SHARED * (SHARED_STEP * tau):
            return None
        edges = self.edges[np.abs(self.edges) < self.furthest]
        edges = np.concatenate([[-self.furthest], edges, [self.furthest]])
        count = np.maximum(1, np.ceil(np.diff(edges) / (SHARED_STEP * tau))).astype(int)
        step = np.repeat(np.diff(edges) / count, count)
        start = np.repeat(edges[:-1], count) + (np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)) * step
        unit, unit_weights = gauss_legendre()
        x = (start + 0.5 * step)[:, None] + 0.5 * step[:, None] * unit
        return x.ravel(), (0.5 * step[:, None] * unit_weights).ravel()

    def by_shared_nodes(self, centres: Array, tau: float, what: Literal["mean", "variance"], x: Array, weights: Array) -> Array:
        from meanfield.expectation.smoothing_kernels import window_means, window_variances

        out = np.empty(centres.size)
        values = self.activation.values(x, self.order)
        if what == "mean":
            window_means(centres, tau, self.reach, x, weights, values, out)
        else:
            window_variances(centres, tau, self.reach, x, weights, values, self.activation.values(centres, self.order), out)
        return out

    def by_own_nodes(self, centres: Array, tau: float, what: Literal["mean", "variance"]) -> Array:
        from meanfield.expectation.smoothing_kernels import count_nodes, means, place_nodes, variances

        hermite, hermite_weights = gauss_hermite()
        legendre, legendre_weights = gauss_legendre()
        counts = np.empty(centres.size, dtype=np.int64)
        count_nodes(centres, tau, self.reach, self.edges, hermite.size, legendre.size, counts)
        total = np.concatenate([[0], np.cumsum(counts)])
        out = np.empty(centres.size)
        start = 0
        while start < centres.size:
            stop = max(start + 1, int(np.searchsorted(total, total[start] + BLOCK, side="right")) - 1)
            block = np.ascontiguousarray(centres[start:stop])
            offsets = total[start : stop + 1] - total[start]
            x, weights = np.empty(offsets[-1]), np.empty(offsets[-1])
            place_nodes(block, tau, self.reach, self.edges, hermite, hermite_weights, legendre, legendre_weights, offsets, x, weights)
            values = self.activation.values(x, self.order)
            if what == "mean":
                means(values, weights, offsets, out[start:stop])
            else:
                reference = self.activation.values(block, self.order)
                variances(values, weights, offsets, reference, out[start:stop])
                if self.order == 0:
                    polynomial = (counts[start:stop] == hermite.size) & ~self._on_unresolved(block)
                    smooth = np.flatnonzero(polynomial & (np.abs(block) > FAR * tau))
                    found = self._by_slopes(np.ascontiguousarray(block[smooth]), tau)
                    known = np.isfinite(found)
                    out[start + smooth[known]] = found[known]
            start = stop
        return out

    def _on_unresolved(self, centres: Array) -> Mask:
        lower, upper = self._unresolved
        if not lower.size:
            return np.zeros(centres.size, dtype=bool)
        before = np.searchsorted(lower, centres, side="right") - 1
        return (before >= 0) & (centres < upper[before])

    def _by_slopes(self, centres: Array, tau: float) -> Array:
        """Var_T φ(X + τT) where all of X + τT lies on one panel of φ.

        With bₖ = E[φ'(X + τT) Heₖ(T)]/√k! it is τ² Σ bₖ²/(k + 1): no digits are lost to the difference of φ at points that
        are equal but for their last digits. Not finite where φ' overflows.
        """
        nodes, _ = gauss_hermite()
        slopes = self.activation.values((centres[:, None] + tau * nodes).ravel(), 1).reshape(centres.size, nodes.size)
        with np.errstate(over="ignore", invalid="ignore"):
            result: Array = np.square(np.einsum("ij,jk->ik", slopes, _to_hermite())).sum(axis=1) * (tau * tau)
        return result

    def images(self, scale: float) -> tuple[Array, Array]:
        """Panel edges and breakpoints of φ as values of A, for u = scale · A + …"""
        points = np.array([b.location for b in self.activation.breakpoints])
        return self.edges / scale, points / scale


def outer_rule(smoothers: list[tuple[Smoother, float]], delta: float, reach: float) -> tuple[Array, Array]:
    """Nodes A and weights (Gaussian included); smoothers come with the factor √(q a) of A in their input, signed."""
    from meanfield.expectation.smoothing_kernels import thin

    steps = np.arange(0.0, min(reach, 10.0) + 1.0, 1.0)
    while steps[-1] < reach:
        steps = np.append(steps, steps[-1] + 10.0 / steps[-1])
    edges = [np.concatenate([-steps[:0:-1], steps])]
    for smoother, scale in smoothers:
        panel_edges, kinks = smoother.images(scale)
        panel_edges = np.sort(panel_edges)
        edges.append(panel_edges)
        # Where panels of φ that are narrow against δ end, the smoothed φ feels across their ends as it does across a kink.
        width = np.diff(panel_edges)
        narrow, wide = np.minimum(width[1:], width[:-1]), np.maximum(width[1:], width[:-1])
        kinks = np.concatenate([kinks, panel_edges[1:-1][(narrow < 8 * delta) & (wide > UNEVEN * narrow)]])
        if kinks.size:
            grades = delta * np.concatenate([-GRADES[:0:-1], GRADES])
            edges.append((kinks[:, None] + grades).ravel())
    limit = steps[-1]
    points = np.unique(np.concatenate(edges))
    points = points[np.abs(points) <= limit]
    # Smoothed on the scale δ, nothing needs panels narrower than about 3δ: leave out edges that only make such.
    ends = points[: thin(points, 2.5 * delta)]
    unit, unit_weights = gauss_legendre()
    half = 0.5 * np.diff(ends)
    nodes = (0.5 * (ends[1:] + ends[:-1])[:, None] + half[:, None] * unit).ravel()
    weights = (half[:, None] * unit_weights).ravel() * np.exp(-0.5 * nodes * nodes) / math.sqrt(2 * math.pi)
    return nodes, weights


def covariance_by_smoothing(activation: Activation, partition: Partition, order: int, q1: float, q2: float, c: float) -> float:
    """E[φ⁽ᵏ⁾(u)φ⁽ᵏ⁾(v)] for 0 < |c| < 1."""
    first = Smoother(activation, partition, order, q1)
    second = first if q2 == q1 else Smoother(activation, partition, order, q2)
    first.require_within_range(q1)
    second.require_within_range(q2)
    a, sign = abs(c), math.copysign(1.0, c)
    # Where 1 − a is rounded away the two inputs are still not the same: 1 − |c| is exact in float64.
    root, rest = math.sqrt(a), math.sqrt(1.0 - a)
    delta = rest / root
    reach = max(first.reach, second.reach)
    nodes, weights = outer_rule([(first, math.sqrt(q1) * root), (second, sign * math.sqrt(q2) * root)], delta, reach)
    left = first.apply(math.sqrt(q1) * root * nodes, math.sqrt(q1) * rest, "mean")
    same = q1 == q2 and sign > 0
    right = left if same else second.apply(sign * math.sqrt(q2) * root * nodes, math.sqrt(q2) * rest, "mean")
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.sum(weights * left * right))
    if math.isnan(total):
        raise ActivationError(
            f"E[φ(u)φ(v)] of {activation.name} can't be computed at q1 = {q1:.6g}, q2 = {q2:.6g}, c = {c:.6g}: "
            "φ overflows within reach of the Gaussians"
        )
    return total


def decorrelation_by_smoothing(activation: Activation, partition: Partition, q: float, epsilon: float) -> float:
    """½E[(φ(u) − φ(v))²] at q1 = q2 = q and c = 1 − ε ∈ (0, 1)."""
    return smoothed_decorrelation(Smoother(activation, partition, 0, q), q, epsilon)


def smoothed_decorrelation(smoother: Smoother, q: float, epsilon: float) -> float:
    """The same with a smoother made before."""
    smoother.require_within_range(q)
    root, rest = math.sqrt(1.0 - epsilon), math.sqrt(epsilon)
    nodes, weights = outer_rule([(smoother, math.sqrt(q) * root)], rest / root, smoother.reach)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = smoother.apply(math.sqrt(q) * root * nodes, math.sqrt(q) * rest, "variance")
        total = float(np.sum(weights * variance))
    if math.isnan(total):
        raise ActivationError(
            f"E[(φ(u) − φ(v))²] of {smoother.activation.name} can't be computed at q = {q:.6g}, ε = {epsilon:.6g}: "
            "φ overflows within reach of the Gaussians"
        )
    return total


def collinear_covariance(activation: Activation, partition: Partition, order: int, q1: float, q2: float, sign: float) -> float:
    """E[φ⁽ᵏ⁾(√q1 A)φ⁽ᵏ⁾(s √q2 A)], almost everywhere part: c = ±1."""
    smoothers = [
        (Smoother(activation, partition, order, q1), math.sqrt(q1)),
        (Smoother(activation, partition, order, q2), sign * math.sqrt(q2)),
    ]
    for smoother, q in zip(smoothers, (q1, q2), strict=True):
        smoother[0].require_within_range(q)
    reach = max(s.reach for s, _ in smoothers)
    nodes, weights = outer_rule(smoothers, 0.0, reach)
    left = activation.values(np.ascontiguousarray(math.sqrt(q1) * nodes), order)
    right = activation.values(np.ascontiguousarray(sign * math.sqrt(q2) * nodes), order)
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.sum(weights * left * right))
    if math.isnan(total):
        raise ActivationError(
            f"E[φ(u)φ(v)] of {activation.name} can't be computed at q1 = {q1:.6g}, q2 = {q2:.6g}, c = {sign:g}: "
            "φ overflows within reach of the Gaussians"
        )
    return total
