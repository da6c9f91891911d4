"""The quadrature rule for one φ and a range of variances: nodes and weights that follow the integrand's mass.

The integrals are ∫ g(x) N(x; 0, q) dx with g built from φ and its derivatives. The panels of `Partition` resolve φ;
here they are cut further until the Gaussian is resolved too, dropped where they can't matter, and added outwards for
as long as φ² grows faster than the Gaussian falls. The mass need not lie at |x| ~ √q: for max(0, x − 0.7) at
q = 0.0025 it lies at 14 standard deviations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from meanfield.expectation.overflow import Tail
from meanfield.expectation.panels import RESOLVED, Panels, Partition, gauss_legendre, sample

if TYPE_CHECKING:
    from meanfield.arrays import Array, Indices, Mask

NEGLIGIBLE = 42.0  # e⁻⁴² = 6e-19 of the largest panel
# e-folds of the Gaussian on one panel: 16 nodes integrate exp(−16 t) to 1e-17 of its largest value, and exp(−(16 + 1.2 a) t) to
# 1e-17 eᵃ, which is enough where the panel carries e⁻ᵃ of the mass.
GAUSSIAN_DROP, DROP_PER_MARGIN = 16.0, 1.2
NOTHING = math.log(1e-300)  # of a mass: with no more anywhere E[φ] and E[φ²] are 0
LOG_OVERFLOW = 2 * math.log(np.finfo(float).max)  # log φ² where φ overflows
NARROW = 1e-9  # relative width of a panel
BESIDE, SEEN_BESIDE = 0.02, 0.004  # as black_box/scan.py looks beside 0
FURTHEST = 64.0  # standard deviations: past that exp(−z²/2) underflows to 0 twice over


@dataclass(frozen=True)
class Rule:
    """Nodes x, weights of ∫ dx (the Gaussian not included) and φ⁽ᵏ⁾ there, for q_low ≤ q ≤ q_high.

    Attributes
    ----------
    x, weights : arrays of shape (n,)
    values : one array of shape (n,) for each order of the partition
    tail : one array of shape (n,) for each order: the error of φ⁽ᵏ⁾ on the node's panel, absolute, 0 where resolved
    infinite : one string for each order: why E[φ⁽ᵏ⁾²] is infinite, "" where it is finite
    reach : the largest |x|/√q_high that carries more than e⁻³⁷ of the largest mass
    peak : the |x|/√q_high of the largest mass
    divergent_signs : the signs that φ takes where its integral diverges
    beyond : φ where it or its derivatives overflow; for rules of one variance, where that has a finite integral
    """

    x: Array
    weights: Array
    values: tuple[Array, ...]
    tail: tuple[Array, ...]
    infinite: tuple[str, ...]
    reach: float
    peak: float = 0.0
    divergent_signs: tuple[float, ...] = ()
    beyond: tuple[Tail, ...] = ()

    def part(self, which: slice) -> Rule:
        """Some of the nodes."""
        values, tail = tuple(v[which] for v in self.values), tuple(t[which] for t in self.tail)
        return replace(self, x=self.x[which], weights=self.weights[which], values=values, tail=tail)


def select(partition: Partition, q_low: float, q_high: float, weights: tuple[tuple[int, float], ...]) -> tuple[Panels, Array, Array]:
    """Panels reaching as far out as φ needs, the smallest variance in the range at which each matters (inf: none), and their steepness.

    Each (power, spread) in weights stands for integrals of |φ⁽ᵏ⁾|^power exp(−x²/(2·spread·q)); a panel matters if it
    carries more than e^−NEGLIGIBLE of the largest for any of them, any order and some q of the range. The steepness is
    that of the Gaussian, 1/(2q), over the e-folds that one rule may bear: pieces for each unit of x².
    """
    core = min(math.floor(0.5 * math.log2(q_low)) - 3, -4)
    outermost = math.ceil(math.log2(10.0 * math.sqrt(q_high))) - 1
    furthest = math.ceil(math.log2(FURTHEST * math.sqrt(q_high)))
    highest = np.array([q_high])
    while True:
        panels = partition.within(core, outermost)
        edge = panels.far >= math.ldexp(1.0, outermost + 1) * (1 - 1e-12)
        further = False
        for power, spread in weights:
            bound, peak = _log_mass(panels, spread * highest, power)
            beyond = (panels.near[edge] ** 2 - panels.far[edge] ** 2) / (2 * spread * q_high)
            # A peak of −inf: φ is 0 so far, and its mass, if any, lies further out.
            further |= peak[0] == -math.inf or bool(np.any(bound[0, edge] + beyond >= peak[0] - NEGLIGIBLE))
        if outermost >= furthest or not further:
            break
        outermost += 1
    # Going down from the largest variance in steps of at most √2: the smallest at which each panel still matters.
    steps = max(1, math.ceil(2 * math.log2(q_high / q_low) - 1e-9)) if q_high > q_low else 0
    ladder = np.geomspace(q_high, q_low, steps + 1)
    ladder[-1] = q_low
    smallest, steepness = np.full(len(panels), math.inf), np.zeros(len(panels))
    for power, spread in weights:
        bound, peak = _log_mass(panels, spread * ladder, power)
        # How many e-folds less than the largest a panel carries.
        with np.errstate(invalid="ignore"):
            margin = peak[:, None] - bound
        margin[np.isnan(margin)] = 0.0  # nothing against nothing
        matters = margin <= NEGLIGIBLE
        last = steps - np.argmax(matters[::-1], axis=0)
        smallest = np.where(matters.any(axis=0), np.minimum(smallest, ladder[np.minimum(last + 1, steps)]), smallest)
        steep = (0.5 / ladder)[:, None] / (GAUSSIAN_DROP + DROP_PER_MARGIN * np.clip(margin, 0.0, NEGLIGIBLE))
        steepness = np.maximum(steepness, np.max(steep, axis=0, where=matters, initial=0.0))
    return panels, smallest, steepness


def build_rule(partition: Partition, q_low: float, q_high: float, *, power: int = 2) -> Rule:
    """The rule for E[|φ⁽ᵏ⁾|^power] and E[φ⁽ᵏ⁾] at any q in [q_low, q_high]; with orders (0, 1) for E[x²] too."""
    panels, smallest, steepness = select(partition, q_low, q_high, ((2, 1.0), (1, 1.0)) if power == 2 else ((1, 1.0),))
    near, far = panels.near, panels.far
    if len(partition.orders) > 1:  # moments of ρ = φ − λx are formed too
        reached = np.maximum((near / 9.5) ** 2, q_low)
        smallest = np.where(reached <= q_high, np.minimum(smallest, reached), smallest)
        # ρ grows like x³ or x⁵ from 0: its mass lies at up to z = √10 σ, and by z = 9.5 has fallen by e⁻²².
        steepness = np.where(reached <= q_high, np.maximum(steepness, _steepest_for_powers(near, q_low)), steepness)
    kept = np.isfinite(smallest)
    if not kept.any():
        kept = far <= 10 * math.sqrt(q_high)
        steepness = np.full(len(panels), 0.5 / (q_low * GAUSSIAN_DROP))
    beyond = _beyond(partition, panels, kept, q_high, power) if q_low == q_high else ()
    for tail in beyond:
        kept &= (panels.far <= tail.start) | (np.sign(panels.lower + panels.upper) != tail.side)
    infinite = _divergence(partition, panels, kept, power)
    signs = _divergent_signs(panels, kept) if any(infinite) else ()
    finite = np.all([np.isfinite(v).all(axis=1) for v in panels.values], axis=0)
    kept &= finite
    if not kept.any():
        empty = np.zeros(0)
        nothing = tuple(empty for _ in panels.values)
        reasons = tuple(r or "φ overflows everywhere that matters" for r in infinite)
        return Rule(empty, empty, nothing, nothing, reasons, 0.0, 0.0, signs)
    panels = panels.take(kept)
    nodes, weights, values, source = _cut_for_gaussian(partition, panels, steepness[kept], q_high)
    tails = tuple(
        np.maximum(_left_out(t, np.max(np.abs(v), axis=1)), _beside_poles(partition, panels, k, power))
        for k, (t, v) in enumerate(zip(panels.tails, panels.values, strict=True))
    )
    size = nodes.shape[1]
    with np.errstate(divide="ignore"):
        mass = power * np.log(np.abs(values[0])) - nodes**2 / (2 * q_high) + np.log(weights)
    heaviest = float(np.max(mass))
    if heaviest < NOTHING and partition.orders[0] == 0 and partition.activation.narrowest:
        hidden = _unseen(partition.activation.narrowest, q_low, q_high)
        tails = tuple(np.maximum(t, hidden) for t in tails)
    distance = np.abs(nodes) / math.sqrt(q_high)
    return Rule(
        nodes.ravel(),
        weights.ravel(),
        tuple(v.ravel() for v in values),
        tuple(np.repeat(t[source], size) for t in tails),
        infinite,
        float(np.max(distance, initial=0.0, where=mass >= heaviest - 37.0)),
        float(distance.flat[np.argmax(mass)]) if heaviest > -math.inf else 0.0,
        signs,
        beyond,
    )


def _beyond(partition: Partition, panels: Panels, kept: Mask, q: float, power: int) -> tuple[Tail, ...]:
    """φ continued to where it or its derivatives overflow, on each side where that matters; none if an integral diverges."""
    overflow = ~np.all([np.isfinite(v).all(axis=1) for v in panels.values], axis=0)
    tails = []
    for side in (-1.0, 1.0):
        mine = overflow & (np.sign(panels.lower + panels.upper) == side)
        if not (mine & kept).any():
            continue
        tail = partition.tail(float(np.min(panels.near[mine])), side)
        if tail is None or not tail.converges(q, power):
            return ()
        tails.append(tail)
    return tuple(tails)


def _left_out(tails: Array, sizes: Array) -> Array:
    """The absolute error of φ⁽ᵏ⁾ on panels with these tails; where φ may hide anything (inf), the largest |φ⁽ᵏ⁾| of all; 1 for 0."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(tails), np.max(sizes, initial=0.0) or 1.0, np.where(tails > 4 * RESOLVED, tails, 0.0) * sizes)


def _unseen(narrowest: float, q_low: float, q_high: float) -> float:
    """What a box of height 1, so narrow that the search for it may have stepped over it, adds to E[φ] at most: for a black box that is 0.

    Beside 0 nothing as wide as 0.4% of |x| is missed.
    """
    largest = 0.0
    for q in (q_low, q_high):
        x = math.sqrt(q) * np.linspace(0.05, 4.0, 80)
        width = np.where(x < BESIDE, np.minimum(SEEN_BESIDE * x, narrowest), narrowest) * np.sqrt(1.0 + x * x)
        largest = max(largest, float(np.max(width * np.exp(-x * x / (2 * q)))) / math.sqrt(2 * math.pi * q))
    return largest


def _steepest_for_powers(near: Array, q_low: float) -> Array:
    """The steepness that z¹⁰ exp(−z²/2) asks for on panels from |x| = near on: that of z = 6, where it has fallen back to 1."""
    with np.errstate(divide="ignore", under="ignore", over="ignore"):  # ∞ for near = 1e-300 is no minimum
        steep: Array = np.minimum(1.0 / q_low, 36.0 / near**2) / (2 * GAUSSIAN_DROP)
    return steep


def _log_mass(panels: Panels, q: Array, power: int) -> tuple[Array, Array]:
    """Upper bounds of log ∫|φ|^power exp(−x²/2q) on each panel, (len(q), panels), and lower bounds of their maxima.

    The maximum is that of the order which is smallest: every order keeps its own accuracy.
    """
    logs = [np.minimum(power * log, 0.5 * power * LOG_OVERFLOW) for log in panels.log_size]
    peak = np.full(q.size, math.inf)
    farthest = panels.log_width - np.multiply.outer(0.5 / q, panels.far**2)
    for log in logs:
        highest = np.max(log + farthest, axis=1)
        peak = np.where(highest > -math.inf, np.minimum(peak, highest), peak)
    bound = logs[0] if len(logs) == 1 else np.maximum(logs[0], logs[1])
    return bound + panels.log_width - np.multiply.outer(0.5 / q, panels.near**2), np.where(peak < math.inf, peak, -math.inf)


def _divergence(partition: Partition, panels: Panels, kept: Mask, power: int) -> tuple[str, ...]:
    """Why E[|φ⁽ᵏ⁾|^power] is infinite, for each order k: overflow where it matters, or a singularity too strong."""
    reasons = []
    for k, (order, values, tails) in enumerate(zip(partition.orders, panels.values, panels.tails, strict=True)):
        name = partition.activation.name
        what = "φ" + "'" * order
        overflow = kept & ~np.isfinite(values).all(axis=1)
        if overflow.any():
            where = panels.lower[overflow][np.argmin(np.abs(panels.lower[overflow]))]
            reasons.append(f"{what} of {name} overflows at x = {where:.6g}, where the Gaussian has not yet made up for it")
            continue
        reason = ""
        # A panel that no bisection resolves touches a singularity |x − t|^(−p), integrable for p·power < 1 only.
        suspects = np.flatnonzero(kept & panels.stuck & (tails > 1e-3) & _narrow(panels))
        too_strong = suspects[power * singularities(partition, panels, suspects, k) > 0.995]
        if too_strong.size:
            reason = f"{f'({what})²' if power == 2 else what} of {name} is not integrable at x = {panels.lower[too_strong[0]]:.6g}"
        reasons.append(reason)
    return tuple(reasons)


def _beside_poles(partition: Partition, panels: Panels, k: int, power: int) -> Array:
    """The error of φ⁽ᵏ⁾ on the panels that touch a pole |x − t|^(−p): most of ∫u^(−s), s = p·power, may lie between it and the first node.

    The rule sees Σ w u^(−s) of 1/(1 − s). An error e of φ counts as 2|φ|e + e² in φ², so that e² = F·E φ² for a part F that is missing.
    """
    found = np.zeros(len(panels))
    which = np.flatnonzero(panels.stuck & (panels.tails[k] > 1e-3) & _narrow(panels))
    if not which.size:
        return found
    s = np.minimum(power * singularities(partition, panels, which, k), 0.995)
    unit, weights = gauss_legendre()
    u = 0.5 * (1.0 + unit)
    seen = np.sum(0.5 * weights * u ** -s[:, None], axis=1)
    # Where t is not 0 the nodes are off by some of the last place, which is some tenth of such a panel.
    missing = np.where(s > 0.0, 1.0 / (1.0 - s) / seen - 1.0 + 0.3, 0.0)
    values, share = np.abs(panels.values[k][which]), panels.weights[which]
    mean = np.sum(share * values**power, axis=1) / np.sum(share, axis=1)
    found[which] = np.sqrt(2.0 * missing * mean) if power == 2 else missing * mean
    return found


def _divergent_signs(panels: Panels, kept: Mask) -> tuple[float, ...]:
    """The signs of φ where it overflows, and on both sides of the panels that no bisection resolves."""
    values = panels.values[0]
    signs = set(np.sign(values[kept & ~np.isfinite(values).all(axis=1)].ravel()))
    stuck = np.flatnonzero(kept & panels.stuck)
    for i in stuck:
        for j in (i - 1, i, i + 1):
            if 0 <= j < len(panels):
                signs |= set(np.sign(values[j]))
    return tuple(sorted(float(s) for s in signs if s != 0.0))


def _narrow(panels: Panels) -> Mask:
    """Panels so narrow that only a singularity can be inside."""
    result: Mask = panels.upper - panels.lower <= NARROW * np.maximum(panels.far, 1e-6)
    return result


def singularities(partition: Partition, panels: Panels, which: Indices, k: int) -> Array:
    """p of |φ⁽ᵏ⁾| ~ |x − t|^(−p) at stuck panels around t, from values 2⁶, 2¹⁰ and 2¹⁴ widths away; 0 where it does not grow.

    A power law shows the same p at both scales; a function that merely grows fast (or is noisy) does not.
    """
    lower, upper = panels.lower[which], panels.upper[which]
    width = upper - lower
    steepest = np.zeros(which.size)
    if which.size == 0:
        return steepest
    for end, side in ((upper, 1.0), (lower, -1.0)):
        x = end[:, None] + side * width[:, None] * np.array([2.0**6, 2.0**10, 2.0**14])
        values = np.abs(partition.activation.values(np.ascontiguousarray(x.ravel()), partition.orders[k])).reshape(x.shape)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            slopes = np.min(np.log2(values[:, :2] / values[:, 1:]) / 4, axis=1)
        power_law = np.isfinite(values).all(axis=1) & (values[:, 0] > values[:, 1]) & (values[:, 1] > values[:, 2]) & (values[:, 2] > 0)
        steepest = np.where(power_law, np.maximum(steepest, slopes), steepest)
    steepest[width > NARROW * np.maximum(np.maximum(np.abs(lower), np.abs(upper)), 1e-6)] = 0.0
    return steepest


def _cut_for_gaussian(
    partition: Partition, panels: Panels, steepness: Array, q_high: float
) -> tuple[Array, Array, tuple[Array, ...], Indices]:
    """Cut the panels on which exp(−x²/2q) falls by more than one rule can bear (see `select`), and evaluate φ on the pieces."""
    near, far = panels.near, panels.far
    # From the panel's near end on, the widest Gaussian has fallen by e^−70 at r: what lies past r does not matter.
    reach = np.sqrt(near**2 + 2 * q_high * 70.0)
    drop = (np.minimum(far, reach) ** 2 - near**2) * steepness
    pieces = np.maximum(1, np.ceil(drop * (far - near) / (np.minimum(far, reach) - near))).astype(int)
    whole = pieces == 1
    nodes, weights, values = panels.nodes[whole], panels.weights[whole], tuple(v[whole] for v in panels.values)
    source = np.flatnonzero(whole)
    if whole.all():
        return nodes, weights, values, source
    count = pieces[~whole]
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    lower, upper = np.repeat(panels.lower[~whole], count), np.repeat(panels.upper[~whole], count)
    step = (upper - lower) / np.repeat(count, count)
    ends = (lower + number * step, np.where(number == np.repeat(count, count) - 1, upper, lower + (number + 1) * step))
    cut_source = np.repeat(np.flatnonzero(~whole), count)
    # Pieces that lie past the reach of their panel are left out.
    alive = np.minimum(np.abs(ends[0]), np.abs(ends[1])) <= reach[cut_source]
    cut_nodes, cut_weights, cut_values = sample(partition.activation, partition.orders, ends[0][alive], ends[1][alive])
    return (
        np.concatenate([nodes, cut_nodes]),
        np.concatenate([weights, cut_weights]),
        tuple(np.concatenate([a, b]) for a, b in zip(values, cut_values, strict=True)),
        np.concatenate([source, cut_source[alive]]),
    )
