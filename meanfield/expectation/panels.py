"""Panels of the x axis on which φ is a polynomial to working accuracy.

Everything that integrates φ against a Gaussian starts from the same partition of the line: dyadic shells
2^j ≤ |x| < 2^(j+1) on both sides of a core |x| < 2^j, cut at the breakpoints of φ and bisected until the Legendre
series of φ (and φ') on a panel has decayed. A shell is resolved once and kept, so that every later variance q that
reaches it pays nothing for φ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.polynomial import legendre

from meanfield.expectation.overflow import Tail, tail_beyond

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Indices, Mask

ORDER = 16  # Gauss–Legendre nodes on a panel: exact to degree 31, so for the square of what degree 15 resolves
RESOLVED = 4e-15  # the last Legendre coefficients, relative to the panel's largest |φ|
NOISE = 1e-6  # below this a tail that bisection does not improve is rounding noise of φ, not structure
BLUR = 8.0  # times the noise of numerical differentiation: what that makes of a tail
ULPS = 4  # of x: a tail no larger than what they make of φ is not worth a bisection. Over a panel it integrates to ULPS · ulp · Δφ
UNDERFLOW = 1e-295  # smaller values of φ lose their digits to denormal numbers and count as 0
GRADE = 8.0
ATOMIC = 256  # floats: a panel no wider has nodes that are hardly distinct
# Floats on a panel: with more, what rounding shifts its nodes by is nothing; with fewer, it is more than a slope makes good.
FEWEST_FLOATS, MANY_FLOATS = 1e6, 1e13
MOST_SEARCHED = 16_384  # intervals of one shell that what φ hides is searched for in
MOST_UNEQUAL = 64.0  # widths of two panels that are joined, where φ is dear
DEEPEST = 100  # bisections: an integrable singularity at 0 needs many, and float64 has room for them there
MOST_PANELS = 80_000  # of one resolve call, the innermost first: the rest stays as it is, and the error estimate says so
MOST_JOINED = 10_000  # panels that are tried in pairs for being one
MOST_OF_SHELL = 40_000  # panels of one shell; sin(5x) needs as many on the outermost one at q = 10⁶
COSTLY = 6  # where derivatives are numerical, the panels are so many times fewer
SAMPLED = 256  # panels that a shell gets even where it can't be resolved: its mean comes out right to a per cent or so
MOST_HALVINGS = 2  # at a time
PER_SWING = 1.2  # panels for one swing of an oscillation from low to high, at least
FOLDS = 0.22  # swings for each e-fold of an oscillation, somewhat fewer than those of sin
DIFFERENCE = 1e-6  # of a panel's width
TURNS = 5  # changes of direction among the 16 values on a panel that make it an oscillation


@lru_cache(maxsize=8)
def gauss_legendre(order: int = ORDER) -> tuple[Array, Array]:
    """Nodes and weights on [−1, 1]."""
    nodes, weights = legendre.leggauss(order)
    return nodes, weights


@lru_cache(maxsize=8)
def _tail_matrix(order: int = ORDER) -> Array:
    """Rows that take values at the nodes to the last three Legendre coefficients c_k = (2k+1)/2 Σ w φ P_k."""
    nodes, weights = gauss_legendre(order)
    rows = [(2 * k + 1) / 2 * weights * legendre.legval(nodes, [0.0] * k + [1.0]) for k in (order - 3, order - 2, order - 1)]
    return np.array(rows)


@lru_cache(maxsize=1)
def _slope_matrix() -> Array:
    """Takes values at the nodes on [−1, 1] to the slopes there of the polynomial through them."""
    unit, _ = gauss_legendre()
    difference = unit[:, None] - unit + np.eye(ORDER)
    weights = np.prod(difference, axis=1)
    matrix: Array = weights[:, None] / weights / difference
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, -matrix.sum(axis=1))
    return matrix


@dataclass(frozen=True)
class Panels:
    """A sorted partition into panels, with φ⁽ᵏ⁾ at the Gauss–Legendre nodes of each.

    Attributes
    ----------
    lower, upper : arrays of shape (m,)
    nodes, weights : arrays of shape (m, ORDER); the weights are those of ∫ dx
    values : arrays of shape (m, ORDER), one for each derivative order held; ±inf where φ overflows
    tails : arrays of shape (m,), one for each order: what the Legendre series leaves out, relative to the largest value
    stuck : bool array of shape (m,): the panel is not resolved and can't be bisected further
    near, far : arrays of shape (m,): the smallest and largest |x| of the panel
    log_width : array of shape (m,)
    log_size : arrays of shape (m,), one for each order: log of the largest |φ⁽ᵏ⁾| at the nodes, inf where it overflows
    """

    lower: Array
    upper: Array
    nodes: Array
    weights: Array
    values: tuple[Array, ...]
    tails: tuple[Array, ...]
    stuck: Mask
    near: Array
    far: Array
    log_width: Array
    log_size: tuple[Array, ...]

    @staticmethod
    def measured(
        lower: Array,
        upper: Array,
        nodes: Array,
        weights: Array,
        values: tuple[Array, ...],
        tails: tuple[Array, ...],
        stuck: Mask,
    ) -> Panels:
        """Panels with the quantities that follow from their ends and values."""
        ends = np.abs(lower), np.abs(upper)
        near = np.where((lower <= 0) & (upper >= 0), 0.0, np.minimum(*ends))
        with np.errstate(divide="ignore"):
            log_size = tuple(np.log(np.max(np.abs(v), axis=1)) for v in values)
        return Panels(lower, upper, nodes, weights, values, tails, stuck, near, np.maximum(*ends), np.log(upper - lower), log_size)

    @staticmethod
    def join(parts: list[Panels]) -> Panels:
        """All panels of several disjoint partitions, sorted by position."""
        order = np.argsort(np.concatenate([p.lower for p in parts]), kind="stable")
        count = len(parts[0].values)
        return Panels(
            np.concatenate([p.lower for p in parts])[order],
            np.concatenate([p.upper for p in parts])[order],
            np.concatenate([p.nodes for p in parts])[order],
            np.concatenate([p.weights for p in parts])[order],
            tuple(np.concatenate([p.values[k] for p in parts])[order] for k in range(count)),
            tuple(np.concatenate([p.tails[k] for p in parts])[order] for k in range(count)),
            np.concatenate([p.stuck for p in parts])[order],
            np.concatenate([p.near for p in parts])[order],
            np.concatenate([p.far for p in parts])[order],
            np.concatenate([p.log_width for p in parts])[order],
            tuple(np.concatenate([p.log_size[k] for p in parts])[order] for k in range(count)),
        )

    def take(self, which: Mask | Indices | slice) -> Panels:
        """The panels that an index or mask selects."""
        return Panels(
            self.lower[which],
            self.upper[which],
            self.nodes[which],
            self.weights[which],
            tuple(v[which] for v in self.values),
            tuple(t[which] for t in self.tails),
            self.stuck[which],
            self.near[which],
            self.far[which],
            self.log_width[which],
            tuple(v[which] for v in self.log_size),
        )

    def __len__(self) -> int:
        return len(self.lower)


def sample(activation: Activation, orders: tuple[int, ...], lower: Array, upper: Array) -> tuple[Array, Array, tuple[Array, ...]]:
    """Nodes, weights and φ⁽ᵏ⁾ values on given panels; the nodes stay strictly inside."""
    nodes, weights, values, _ = _sample(activation, orders, lower, upper)
    return nodes, weights, values


def _sample(activation: Activation, orders: tuple[int, ...], lower: Array, upper: Array) -> tuple[Array, Array, tuple[Array, ...], Mask]:
    """The same, and on which panels derivatives are crude."""
    unit, unit_weights = gauss_legendre()
    half = 0.5 * (upper - lower)
    nodes = 0.5 * (lower + upper)[:, None] + half[:, None] * unit
    # Rounding must not carry a node onto the end of a panel a few floats wide: φ may be infinite there.
    np.clip(nodes, np.nextafter(lower, np.inf)[:, None], np.nextafter(upper, -np.inf)[:, None], out=nodes)
    weights = half[:, None] * unit_weights
    if activation.costly and max(orders) > 0:
        values, crude = _sparing(activation, orders, nodes, half)
    else:
        flat = np.ascontiguousarray(nodes.ravel())
        values = tuple(v.reshape(nodes.shape) for v in activation.several(flat, orders))
        crude = np.zeros(len(lower), dtype=np.bool_)
    floats = (upper - lower) / np.spacing(np.maximum(np.abs(lower), np.abs(upper)))
    coarse = np.flatnonzero((floats > FEWEST_FLOATS) & (floats < MANY_FLOATS))
    if coarse.size:
        _move_to_nodes(values, coarse, lower[coarse], half[coarse], nodes[coarse])
    return nodes, weights, values, crude


def _sparing(activation: Activation, orders: tuple[int, ...], nodes: Array, half: Array) -> tuple[tuple[Array, ...], Mask]:
    """φ⁽ᵏ⁾ at the nodes, and on which panels by the values' own polynomial: where derivatives are dear, on those that φ is too rough for.

    They are to be bisected, or are given up and say so. On the treads of a staircase, where all 16 values are equal, φ' is 0.
    """
    function = activation.values(np.ascontiguousarray(nodes.ravel()), 0).reshape(nodes.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        span, largest = np.ptp(function, axis=1), np.max(np.abs(function), axis=1)
        tail = np.max(np.abs(function @ _tail_matrix().T), axis=1)
        crude = np.isfinite(largest) & (tail > NOISE * largest)
    asked = ~crude & ~(span == 0.0)
    flat = np.ascontiguousarray(nodes[asked].ravel())
    found = []
    for k in orders:
        values = function.copy() if k == 0 else np.zeros(nodes.shape)
        if k:
            slopes = function[crude]
            for _ in range(k):
                slopes = slopes @ _slope_matrix().T / half[crude, None]
            values[crude] = slopes
            values[asked] = activation.values(flat, k).reshape(-1, nodes.shape[1])
        found.append(values)
    return tuple(found), crude


def _move_to_nodes(values: tuple[Array, ...], which: Indices, lower: Array, half: Array, nodes: Array) -> None:
    """Take φ⁽ᵏ⁾ on panels of few floats from the floats next to the nodes to the nodes themselves, by the slope of the values' polynomial.

    At |x| = 1000 a panel of width 10⁻⁶ has 10⁷ floats, and nodes that are off by 10⁻⁷ of its width.
    """
    unit, _ = gauss_legendre()
    off = (nodes - lower[:, None]) / half[:, None] - (1.0 + unit)
    for value in values:
        with np.errstate(invalid="ignore", over="ignore"):
            moved = value[which] - off * (value[which] @ _slope_matrix().T)
        value[which] = np.where(np.isfinite(moved).all(axis=1, keepdims=True), moved, value[which])


def resolve(
    activation: Activation,
    orders: tuple[int, ...],
    lower: Array,
    upper: Array,
    floor: tuple[Array, ...] | None = None,
    shell: Indices | None = None,
) -> tuple[Panels, Indices]:
    """Bisect intervals (already cut at breakpoints) until φ⁽ᵏ⁾, k in orders, is a polynomial on each.

    Parameters
    ----------
    shell : integers from 0 on, like lower
        Which intervals share one budget of MOST_OF_SHELL panels; all do where it is not given.
    floor : arrays like lower, one for each order
        A size of φ⁽ᵏ⁾ below which nothing on the interval matters, whatever the variance: what φ⁽ᵏ⁾ reaches nearer to 0.

    Returns
    -------
    panels : Panels, unsorted
    owner : the index of the interval that each panel came from
    """
    tail_matrix = _tail_matrix()
    owner = np.arange(len(lower))
    parent = tuple(np.full(len(lower), np.inf) for _ in orders)
    floor = floor or tuple(np.zeros(len(lower)) for _ in orders)
    shell = np.zeros(len(lower), dtype=np.intp) if shell is None else shell
    held: Indices = np.zeros(int(shell.max()) + 1, dtype=np.intp)  # panels done, of each shell
    scarce = COSTLY if activation.costly else 1
    most_panels, most_of_shell = MOST_PANELS // scarce, MOST_OF_SHELL // scarce
    siblings = np.arange(len(lower))  # the first of those that came of one panel
    done: list[Panels] = []
    owners: list[Indices] = []
    total = 0
    for depth in range(DEEPEST + 1):
        nodes, weights, values, crude = _sample(activation, orders, lower, upper)
        accepted = np.ones(len(lower), dtype=bool)
        overflowing = np.zeros(len(lower), dtype=bool)
        tails: list[Array] = []
        absolute: list[Array] = []
        for k, value in enumerate(values):
            finite = np.isfinite(value)
            infinite = ~finite.all(axis=1)
            largest = np.max(np.abs(value), axis=1, initial=0.0, where=finite)
            largest = np.maximum(largest, np.maximum(floor[k], UNDERFLOW))
            scaled = np.where(finite, value, 0.0) / np.where(largest > 0, largest, 1.0)[:, None]
            tail = np.max(np.abs(scaled @ tail_matrix.T), axis=1)
            # A tail that two halves do not lessen, and that is small, is the noise of φ's own rounding.
            # So is what the spacing of doubles makes of a steep φ: right beside a pole x itself is too coarse.
            with np.errstate(over="ignore"):
                ulp = _for_one_ulp(lower, upper, np.where(finite, value, 0.0))
            # Noise is on both halves: a steep place that only begins at the end of a panel is on one.
            both = np.minimum.reduceat(tail * largest, siblings)[np.cumsum(np.bincount(siblings, minlength=len(lower))) - 1]
            noise = ((tail <= NOISE) | ((tail <= 1e-3) & (tail * largest <= 32 * ulp))) & (tail * largest > 0.2 * parent[k])
            noise &= both > 0.02 * parent[k]
            noise |= (tail <= NOISE) & (tail * largest <= ULPS * ulp)
            unsure = np.flatnonzero(~noise & (tail > RESOLVED) & ~crude)
            if unsure.size and depth:  # nothing is to be found below what numerical differentiation leaves open
                blur = activation.noise(np.ascontiguousarray(nodes[unsure][:, ::5].ravel()), orders[k]).reshape(unsure.size, -1)
                quiet = np.zeros(len(lower), dtype=bool)
                quiet[unsure] = (tail * largest)[unsure] <= BLUR * np.max(blur, axis=1)
                noise |= quiet
            accepted &= ((tail <= RESOLVED) | noise) & (~infinite | ~finite.any(axis=1))
            overflowing |= infinite
            tails.append(tail)
            absolute.append(tail * largest)
        # Once the nodes of a panel are no longer distinct floats there is nothing left to bisect.
        width = upper - lower
        atomic = width <= ATOMIC * np.spacing(np.maximum(np.abs(lower), np.abs(upper)))
        # Where φ overflows, ten bisections isolate the finite part: no integral is finite much further out.
        atomic |= overflowing & (width <= 1e-3 * np.maximum(np.abs(lower), np.abs(upper)))
        # After so many bisections only singularities are left. One is followed to the end, hundreds are not.
        if (depth >= 15 and len(lower) > 300) or depth == DEEPEST:
            atomic[:] = True
        unresolved = np.flatnonzero(~(accepted | atomic))
        # 16 values on half the width have a tail some 10⁴ times smaller: two more bisections at least for a large one.
        need = np.where(np.max(tails, axis=0)[unresolved] > 1e-3, 4.0, 2.0)
        # A shell that oscillates too fast is sampled and left at that, at once and not after all the work.
        crowded = (held + np.bincount(shell[unresolved], minlength=held.size))[shell[unresolved]] >= SAMPLED
        if crowded.any():
            which = unresolved[crowded]
            swings = _swings(activation, orders, which, (nodes, values, width))
            need[crowded] = np.maximum(need[crowded], PER_SWING * swings)
            fits = np.ones(unresolved.size, dtype=bool)
            fits[crowded] = _affordable(shell[which], need[crowded], np.abs(lower[which]), most_of_shell - held)
            atomic[unresolved[~fits]] = True
            unresolved, need = unresolved[fits], need[fits]
        if total + len(lower) + unresolved.size > most_panels or total + len(lower) + np.sum(need) > 2 * most_panels:
            inside = np.argsort(np.abs(lower[unresolved]), kind="stable")
            atomic[unresolved[inside[np.cumsum(need[inside]) > most_panels - total]]] = True
        keep = accepted | atomic
        if keep.any():
            panels = Panels.measured(lower, upper, nodes, weights, values, tuple(tails), ~accepted & ~overflowing)
            done.append(panels.take(keep))
            owners.append(owner[keep])
            total += int(keep.sum())
            held = held + np.bincount(shell[keep], minlength=held.size)
        split = np.flatnonzero(~keep)
        if not split.size:
            break
        # Two halves; where an oscillation asks for many more panels, as many halvings at once as it needs at least.
        parts = np.full(keep.size, 2)
        parts[unresolved] = 1 << np.clip(np.log2(need).astype(int), 1, MOST_HALVINGS)
        parts = parts[split]
        source = np.repeat(split, parts)
        step = (upper - lower)[source] / np.repeat(parts, parts)
        position = np.arange(source.size) - np.repeat(np.cumsum(parts) - parts, parts)
        siblings = np.cumsum(parts) - parts
        begin = lower[source]
        lower, upper = (
            begin + position * step,
            np.where(position + 1 == np.repeat(parts, parts), upper[source], begin + (position + 1) * step),
        )
        owner, shell = owner[source], shell[source]
        parent = tuple(a[source] for a in absolute)
        floor = tuple(a[source] for a in floor)
    return Panels.join(done), np.concatenate(owners)[np.argsort(np.concatenate([p.lower for p in done]), kind="stable")]


def _graded(cuts: list[float]) -> list[float]:
    """Cuts between which no piece is more than GRADE times as wide as the one beside it.

    Breakpoints that lie close together, as those declared about a narrow bell, tell of a scale that does not end with them.
    """
    graded = set(cuts)
    for left, middle, right in zip(cuts, cuts[1:], cuts[2:], strict=False):
        for here, there, side in ((middle - left, right - middle, 1.0), (right - middle, middle - left, -1.0)):
            step = here * GRADE
            while step * (1 + 1 / GRADE) < there:
                graded.add(middle + side * step)
                step *= GRADE
    return sorted(graded)


def within_sight(activation: Activation, lower: Array, upper: Array, shell: Indices) -> tuple[Array, Array, Indices, Mask]:
    """Halve intervals until φ hides nothing between the nodes on each (`Activation.hides`).

    Parameters
    ----------
    shell : integers from 0 on, like lower
        Which intervals share one budget of MOST_SEARCHED. Past it they are handed back as they came.

    Returns
    -------
    lower, upper : the intervals
    source : which of those given each is a part of
    blind : where φ may still hide something
    """
    source = np.arange(len(lower))
    seen: list[tuple[Array, Array, Indices]] = []
    given = lower, upper
    held: Indices = np.zeros(int(shell.max()) + 1, dtype=np.intp)
    full = np.zeros(held.size, dtype=np.bool_)
    while source.size:
        hidden = activation.hides(_with_ends(lower, upper))
        hidden &= upper - lower > ATOMIC * np.spacing(np.maximum(np.abs(lower), np.abs(upper)))
        held += np.bincount(shell[source[~hidden]], minlength=held.size)
        full |= held + 2 * np.bincount(shell[source[hidden]], minlength=held.size) > MOST_SEARCHED
        seen.append((lower[~hidden], upper[~hidden], source[~hidden]))
        hidden &= ~full[shell[source]]
        lower, upper, source = lower[hidden], upper[hidden], source[hidden]
        middle = 0.5 * (lower + upper)
        lower, upper, source = np.concatenate([lower, middle]), np.concatenate([middle, upper]), np.tile(source, 2)
    if len(seen) == 1 and not full.any():
        return *given, np.arange(len(given[0])), np.zeros(len(given[0]), dtype=np.bool_)
    left = np.flatnonzero(full[shell])
    lower, upper, source = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    kept = ~full[shell[source]]
    blind = np.repeat([False, True], [int(kept.sum()), left.size])
    lower, upper = np.concatenate([lower[kept], given[0][left]]), np.concatenate([upper[kept], given[1][left]])
    return lower, upper, np.concatenate([source[kept], left]), blind


def _with_ends(lower: Array, upper: Array) -> Array:
    """The nodes of each interval with both its ends, (m, ORDER + 2)."""
    unit, _ = gauss_legendre()
    points = np.empty((len(lower), unit.size + 2))
    points[:, 0], points[:, -1] = lower, upper
    points[:, 1:-1] = 0.5 * (lower + upper)[:, None] + 0.5 * (upper - lower)[:, None] * unit
    return points


def _for_one_ulp(lower: Array, upper: Array, values: Array) -> Array:
    """About how much φ changes from one double to the next on each panel."""
    result: Array = np.spacing(np.maximum(np.abs(lower), np.abs(upper))) / (upper - lower) * np.ptp(values, axis=1)
    return result


_Sampled: TypeAlias = "tuple[Array, tuple[Array, ...], Array]"  # nodes, values, widths of panels


def _swings(activation: Activation, orders: tuple[int, ...], panels: Indices, sampled: _Sampled) -> Array:
    """About how often φ⁽ᵏ⁾ goes from its lowest to its highest value on each panel; 0 where that can't be told.

    ∫|φ'| over the range of φ; the median of |φ'| stands for its mean, so that a single steep step is no oscillation. Where
    the samples go up and down, ∫|φ'/φ| counts too: the peaks of exp(9 sin(x)) are narrow, and most samples miss them.
    """
    nodes, values, width = sampled
    nodes, width = nodes[panels], width[panels]
    if activation.costly and orders != (0,):
        function = activation.values(np.ascontiguousarray(nodes.ravel()), 0).reshape(nodes.shape)
    else:
        function = values[0][panels]
    if activation.costly:  # a difference will do, where a derivative would be sought down to the scale of each swing
        step = DIFFERENCE * width[:, None]
        beside = activation.values(np.ascontiguousarray((nodes + step).ravel()), 0).reshape(nodes.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            slope = (beside - function) / step
    elif orders == (0, 1):
        slope = values[1][panels]
    else:
        other = activation.values(np.ascontiguousarray(nodes.ravel()), 1).reshape(nodes.shape)
        function, slope = (function, other) if orders[0] == 0 else (other, function)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        size = np.abs(slope)
        span = np.ptp(function, axis=1)
        clear = np.isfinite(span) & (span > NOISE * np.max(np.abs(function), axis=1))
        steps = np.diff(function, axis=1)
        rough = np.sum(steps[:, 1:] * steps[:, :-1] < 0, axis=1) >= TURNS
        single = np.median(size, axis=1) * width / np.where(clear, span, 1.0)
        many = np.where(rough, FOLDS * np.median(size / np.abs(function), axis=1) * width, 0.0)
        swings: Array = np.where(clear, np.maximum(single, many), 0.0)
    return np.where(np.isfinite(swings), swings, 0.0)


def _affordable(shell: Indices, need: Array, distance: Array, budget: Indices) -> Mask:
    """The panels whose needs fit into the budget of their shell: those that need the least and lie innermost first.

    A shell that needs clearly more than its budget is sampled only: a part of it, resolved, would be of little use.
    """
    total = np.bincount(shell, need, minlength=budget.size)
    budget = np.where(total > 1.25 * budget, SAMPLED, budget)
    order = np.lexsort((distance, np.rint(np.log2(need)), shell))
    running = np.cumsum(need[order])
    before = np.concatenate([[0.0], running])[np.searchsorted(shell[order], np.arange(budget.size))]
    fits: Mask = np.empty(shell.size, dtype=bool)
    fits[order] = running - before[shell[order]] <= budget[shell[order]]
    return fits


class Partition:
    """The panels of one activation, resolved shell by shell as they are asked for."""

    def __init__(self, activation: Activation, orders: tuple[int, ...]) -> None:
        self.activation = activation
        self.orders = orders
        self._breaks = np.array([b.location for b in activation.breakpoints], dtype=float)
        # Panels meet at features too, so that none is so wide that its nodes step over one.
        places = [x for f in activation.features for x in (f.centre - f.scale, f.centre, f.centre + f.scale)]
        self._cuts = np.unique(np.concatenate([self._breaks, np.array(places, dtype=float)]))
        self._shells: dict[int, Panels] = {}  # j: both sides of 2^j ≤ |x| < 2^(j+1)
        self._cores: dict[int, Panels] = {}  # j: |x| < 2^j
        self._stuck = (0, 0), False  # how many shells and cores were looked at, and whether any holds more than its values tell
        self._coarse: dict[tuple[int, int], tuple[Array, tuple[Array, Array]]] = {}
        self._tails: dict[tuple[float, float], Tail | None] = {}
        self._held_reached: tuple[int, Array] = (0, np.zeros((len(orders), 0)))  # log₂ of |φ| √width up to each shell, from that number on

    def ensure(self, shells: range, cores: range | tuple[int, ...]) -> None:
        """Resolve the shells and cores that are not held yet, in one pass over φ."""
        pieces: list[tuple[float, float]] = []
        homes: list[tuple[dict[int, Panels], int]] = []
        for held, wanted in ((self._shells, shells), (self._cores, cores)):
            for j in wanted:
                if j in held:
                    continue
                outer = float(np.ldexp(1.0, j + 1 if held is self._shells else j))
                inner = float(np.ldexp(1.0, j)) if held is self._shells else 0.0
                for a, b in ((-outer, -inner), (inner, outer)):
                    cuts = _graded([a, *self._cuts[(self._cuts > a) & (self._cuts < b)].tolist(), b])
                    pieces += list(pairwise(cuts))
                    homes += [(held, j)] * (len(cuts) - 1)
        if not pieces:
            return
        ends = np.array(pieces)
        number = np.array([j for _, j in homes])
        is_shell = np.array([held is self._shells for held, _ in homes])
        # The budget of a shell is its own, so that it does not depend on what was asked for beside it.
        _, budget = np.unique(2 * number + is_shell, return_inverse=True)
        lower, upper, source, blind = within_sight(self.activation, ends[:, 0], ends[:, 1], budget)
        number, is_shell, budget = number[source], is_shell[source], budget[source]
        floor = tuple(np.where(is_shell, f[number - number.min()], 0.0) for f in self._floors(int(number.min()), int(number.max())))
        panels, owner = resolve(self.activation, self.orders, lower, upper, floor, budget)
        if blind.any():
            hidden = blind[owner]
            tails = tuple(np.where(hidden, np.inf, tail) for tail in panels.tails)
            # As large as anywhere else, for all that is known: such a panel is not left out for being small.
            largest = [np.max(size, initial=-np.inf, where=np.isfinite(size)) for size in panels.log_size]
            sizes = tuple(np.where(hidden, np.maximum(size, most), size) for size, most in zip(panels.log_size, largest, strict=True))
            panels = replace(panels, tails=tails, stuck=panels.stuck | hidden, log_size=sizes)
        home = 2 * number[owner] + is_shell[owner]
        order = np.argsort(home, kind="stable")
        panels, home = panels.take(order), home[order]
        starts = np.concatenate([[0], np.flatnonzero(np.diff(home)) + 1, [home.size]])
        for start, stop in pairwise(starts.tolist()):
            held = self._shells if home[start] % 2 else self._cores
            held[int(home[start]) // 2] = panels.take(slice(start, stop))

    def _floors(self, first: int, last: int) -> list[Array]:
        """For shells first … last: what |φ⁽ᵏ⁾| reaches at smaller |x|, less √½ for each shell of distance.

        The Gaussian is larger there, and a shell is twice as wide as the one before: so E[φ⁽ᵏ⁾²] from this shell never
        exceeds, at any q, what a φ⁽ᵏ⁾ of that size would give.
        """
        lowest = min(first, -64)  # fixed, so that a shell is resolved alike whatever is asked for beside it
        held_lowest, reached = self._held_reached
        if lowest != held_lowest:
            reached = np.full((len(self.orders), 0), -math.inf)
        if lowest + reached.shape[1] <= last:  # further out than before: what is known nearer to 0 stays
            shells = np.arange(lowest + reached.shape[1], last + 1)
            probes = np.ldexp(1.0, shells)[:, None] * np.array([-1.83, -1.41, -1.09, 1.09, 1.41, 1.83])
            rows = []
            for k, before in zip(self.orders, reached, strict=True):
                values = np.abs(self.activation.values(np.ascontiguousarray(probes.ravel()), k)).reshape(probes.shape)
                largest = np.max(values, axis=1, initial=0.0, where=np.isfinite(values))
                with np.errstate(divide="ignore"):
                    size = np.log2(largest) + 0.5 * shells
                rows.append(np.maximum.accumulate(np.concatenate([before, size])))
            reached = np.array(rows)
            self._held_reached = (lowest, reached)
        wanted = np.arange(first, last + 1)
        inner = np.concatenate([np.full((len(self.orders), 1), -math.inf), reached], axis=1)[:, first - lowest : last + 1 - lowest]
        return list(np.exp2(inner - 0.5 * wanted))

    def tail(self, start: float, side: float) -> Tail | None:
        """φ beyond side·start, where it overflows (see `tail_beyond`)."""
        if (start, side) not in self._tails:
            self._tails[start, side] = tail_beyond(self.activation, start, side)
        return self._tails[start, side]

    @property
    def has_unresolved(self) -> bool:
        """Whether any panel so far holds more than 16 values tell."""
        there = len(self._shells), len(self._cores)
        if self._stuck[0] != there:  # shells and cores are only ever added
            self._stuck = there, any(panels.stuck.any() for held in (self._shells, self._cores) for panels in held.values())
        return self._stuck[1]

    def panels_in(self, shell: int) -> int:
        """How many panels 2^shell ≤ |x| < 2^(shell + 1) takes."""
        self.ensure(range(shell, shell + 1), ())
        return len(self._shells[shell])

    def count(self, outermost: int) -> int:
        """How many panels |x| < 2^(outermost + 1) has, outside a core that is the same for every call."""
        core = min(outermost, -4)
        self.ensure(range(core, outermost + 1), ())
        return sum(len(self._shells[j]) for j in range(core, outermost + 1))

    def within(self, core: int, outermost: int) -> Panels:
        """All panels of |x| < 2^(outermost + 1), with |x| < 2^core in one core."""
        shells = range(core, outermost + 1)
        self.ensure(shells, (core,))
        return Panels.join([self._cores[core], *(self._shells[j] for j in shells)])

    def coarse_edges(self, core: int, outermost: int) -> Array:
        """The edges that are left when neighbours are joined wherever φ⁽ᵏ⁾ is a polynomial on both together.

        Shells are cut at powers of two for the sake of one-input tables; a two-input integral gains from fewer panels.
        """
        return self._joined_panels(core, outermost)[0]

    def unresolved(self, core: int, outermost: int) -> tuple[Array, Array]:
        """The lower and upper ends of the panels within reach on which φ is more than 16 values tell."""
        return self._joined_panels(core, outermost)[1]

    def _joined_panels(self, core: int, outermost: int) -> tuple[Array, tuple[Array, Array]]:
        key = (core, outermost)
        if key not in self._coarse:
            panels = self.within(core, outermost)
            inside = np.argsort(panels.far, kind="stable")
            floors = []
            for log in panels.log_size:
                # What matters nearer to 0 does by φ² and the width it has there: a pole is high and narrow.
                weight = np.maximum.accumulate((log + 0.5 * panels.log_width)[inside])
                floor = np.empty(len(panels))
                floor[inside] = np.exp(np.minimum(weight - 0.5 * panels.log_width[inside], 700.0))
                floors.append(0.25 * floor)
            finite = np.all([np.isfinite(v).all(axis=1) for v in panels.values], axis=0)
            if finite.all() and len(panels) <= MOST_JOINED:
                edges = self._joined(panels.lower, panels.upper, ~panels.stuck, floors)
            else:  # φ overflows within reach, or oscillates all over: sampling it there again is slow and joins little
                edges = np.append(panels.lower, panels.upper[-1])
            self._coarse[key] = edges, (panels.lower[panels.stuck], panels.upper[panels.stuck])
        return self._coarse[key]

    def _joined(self, lower: Array, upper: Array, whole: Mask, floors: list[Array]) -> Array:
        idle, offset = 0, 0
        refused = np.full((len(lower), 2), np.nan)  # ends of a panel and of its neighbour that didn't join: not to be asked again
        while idle < 2 and len(lower) > 1:
            first = np.arange(offset, len(lower) - 1, 2)
            first = first[~np.isin(lower[first + 1], self._breaks) & whole[first] & whole[first + 1]]
            if self.activation.costly:  # or a wide panel eats its way into a peak, one narrow panel after the other
                ratio = (upper - lower)[first] / (upper - lower)[first + 1]
                first = first[(ratio < MOST_UNEQUAL) & (ratio > 1.0 / MOST_UNEQUAL)]
            first = first[(refused[first, 0] != upper[first]) | (refused[first, 1] != upper[first + 1])]
            offset = 1 - offset
            joined = np.zeros(0, dtype=np.intp)
            if first.size:
                refused[first] = np.stack([upper[first], upper[first + 1]], axis=1)
                joined = first[self._agrees(lower[first], upper[first], upper[first + 1], [f[first] for f in floors])]
            idle = 0 if joined.size else idle + 1
            upper[joined] = upper[joined + 1]
            keep = np.ones(len(lower), dtype=bool)
            keep[joined + 1] = False
            lower, upper, whole, refused = lower[keep], upper[keep], whole[keep], refused[keep]
            floors = [floor[keep] for floor in floors]
        return np.append(lower, upper[-1])

    def _agrees(self, lower: Array, middle: Array, upper: Array, floors: list[Array]) -> Mask:
        """Whether the polynomial through 16 nodes on both panels together also gives φ⁽ᵏ⁾ at the nodes of each.

        A decayed series alone would not do: 16 nodes on a wide panel may step over what the narrow one holds.
        """
        unit, weights = gauss_legendre()
        to_series = (np.arange(ORDER) + 0.5)[:, None] * weights * legendre.legvander(unit, ORDER - 1).T
        _, _, joint = sample(self.activation, self.orders, lower, upper)
        fine = np.ones(lower.size, dtype=bool)
        for a, b in ((lower, middle), (middle, upper)):
            nodes, _, parts = sample(self.activation, self.orders, a, b)
            vander = legendre.legvander((2 * nodes - (lower + upper)[:, None]) / (upper - lower)[:, None], ORDER - 1)
            for whole, part, floor in zip(joint, parts, floors, strict=True):
                with np.errstate(invalid="ignore", over="ignore"):
                    guess = np.einsum("mjk,mk->mj", vander, whole @ to_series.T)
                    # Relative to the smaller panel's own size: what is a small part of the union may be all of its part.
                    scale = np.maximum(np.max(np.abs(part), axis=1), floor)
                    allowed = np.maximum(3 * RESOLVED * scale, ULPS * _for_one_ulp(a, b, part))
                    fine &= np.max(np.abs(guess - part), axis=1) <= allowed
        return fine
