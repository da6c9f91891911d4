"""C[φ⁽ᵏ⁾](q1, q2, c), k = 0 or 1, as a table: a tree of boxes in (√q1, √q2, θ), θ = arccos c, each with one short polynomial.

A box is made when the first pair falls into it, and depends on nothing but φ and itself, so that no number depends on what was asked
before. It is sampled at Chebyshev nodes, all of them at once: C = F(q1, θ)·F(q2, θ) (pair_features.py) is a product of two
matrices for each θ. Where its series has not decayed it is halved along the
axis that needs it most. Coefficients that add up to nothing are left away, which is most of them: what is left is about a sixth of a cube.

Where kinks away from 0 meet, q1 near q2 and |c| near 1, C has a ridge that no polynomial follows; boxes that small are left to the
closed form or the quadrature of each pair on its own (two_inputs.py).

For millions of pairs: `pair_table(activation, order).covariances(q1, q2, c)`, contiguous arrays of one length, q > 0; nan where the table
does not serve, for the caller to fill (`two_inputs.covariance_alone`; at q1 = q2 and c = 1 by `second_moments`). Times: docs/design.md.
`by_angles` takes θ where c would lose digits.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from meanfield.activations.kept import Kept
from meanfield.expectation.chebyshev import chebyshev_nodes, chebyshev_series
from meanfield.expectation.moments import V1, V, moment_table
from meanfield.expectation.pair_features import FeatureMaker, Features, Rule, product
from meanfield.expectation.piecewise_linear import closed_covariances
from meanfield.expectation.smoothing import covariance_by_smoothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.activations import Activation
    from meanfield.arrays import Array, Integers

SIDE, TERMS = 14, 20  # nodes along √q and along θ
FEW = 14  # of these where each is dear, on narrower boxes
EVEN = 7  # and where C is even in θ
FIRST, OCTAVES = -40, 80  # 2⁻⁴⁰ ≤ q < 2⁴⁰
BORDER = 0.7230  # θ from where on 0 < c < ¾, so that c¹²⁸ is nothing
NARROWEST = {"series": BORDER / 16, "smoothing": BORDER / 16, "linear": BORDER / 4}  # boxes of θ that are not halved any more
TOLERANCE = 1e-13  # last coefficients, relative to √(V(q1)V(q2))
WRONG = 3e-12  # relative to √(V(q1)V(q2)), by which vectors may depart from a quadrature
NOTHING = 2e-15  # the sum of coefficients along θ that are left away, relative to that
FINEST = {"series": 3, "smoothing": 1, "linear": 0}  # how often an octave is halved
HELD_BYTES = 64_000_000  # of vectors


@dataclass(frozen=True)
class Box:
    """Octaves e1 ≥ e2 of both variances, the sign of c, and low and high ends of √q1/√2^e1, √q2/√2^e2 and θ (of π − θ where c < 0)."""

    octaves: tuple[int, int]
    obtuse: bool
    ends: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    cuts: int = 0

    def halves(self, axis: int) -> tuple[Box, Box]:
        low, high = self.ends[axis]
        middle = 0.5 * (low + high)
        cuts = self.cuts + (axis < 2)

        def part(a: float, b: float) -> Box:
            ends = list(self.ends)
            ends[axis] = (a, b)
            return Box(self.octaves, self.obtuse, (ends[0], ends[1], ends[2]), cuts)

        return part(low, middle), part(middle, high)


class _Tree(NamedTuple):
    """Where a pair belongs."""

    roots: Integers
    state: Integers
    split: Array
    child: Integers
    boxes: Array


class _Series(NamedTuple):
    """The polynomials of the boxes."""

    shape: Integers
    counts: Integers
    start: Integers
    coefficients: Array


class PairTable:
    """The table of one activation and order."""

    def __init__(self, activation: Activation, order: int) -> None:
        self.activation, self.order = activation, order
        moments = moment_table(activation)
        self._moments, self._column = moments, V1 if order else V
        self.usable = not any(math.isinf(b.value_jump) or math.isinf(b.slope_jump) for b in activation.breakpoints)
        if order == 1:
            self.usable &= not moments.steep and not activation.costly
        self._makers: dict[int, FeatureMaker] = {}
        self._rules: dict[int, Rule] = {}
        self._features: OrderedDict[tuple[object, ...], Features | None] = OrderedDict()
        self._series: dict[tuple[int, tuple[float, float]], tuple[Array, bool] | None] = {}
        self._sizes: dict[tuple[int, tuple[float, float]], float] = {}
        self._bytes = 0
        self._lock = threading.RLock()
        self._roots = np.full((OCTAVES, OCTAVES, 2, 2), -1, dtype=np.int64)
        self._boxes: list[Box] = []
        self._state: list[int] = []
        self._split: list[float] = []
        self._child: list[int] = []
        self._counts: list[int] = []
        self._shape: list[int] = []
        self._start: list[int] = []
        self._blocks: list[Array] = []
        self._total = 0
        self._packed: tuple[_Tree, _Series] | None = None

    # ---- asking -----------------------------------------------------------------------------------------------------

    def covariances(self, q1: Array, q2: Array, c: Array) -> Array:
        """C at contiguous arrays of one length, q1, q2 > 0; nan where the table does not serve."""
        from meanfield.expectation.pair_table_kernels import angles

        theta = np.empty(c.size)
        angles(c, theta)
        return self.by_angles(q1, q2, theta)

    def by_angles(self, q1: Array, q2: Array, theta: Array) -> Array:
        """The same at angles 0 ≤ θ ≤ π with c = cos θ."""
        from meanfield.expectation.pair_table_kernels import by_node, evaluate, locate

        out = np.full(q1.size, math.nan)
        if not self.usable or not q1.size:
            return out
        found = np.empty(q1.size, dtype=np.int64)
        place = np.empty((3, q1.size))
        with self._lock:
            while True:
                tree, series = self._pack()
                if not locate(q1, q2, theta, BORDER, FIRST, *tree, found, place):
                    break
                self._grow(q1, q2, theta, found)
        served = np.flatnonzero(found >= 0) if found.min() < 0 else None
        if served is not None:
            found, place = found[served], np.ascontiguousarray(place[:, served])
        start, order = np.empty(tree.state.size + 1, dtype=np.int64), np.empty(found.size, dtype=np.int64)
        by_node(found, tree.state.size, start, order)
        values = out if served is None else np.empty(found.size)
        evaluate(start, order, place, tree.state, *series, values)
        if served is not None:
            out[served] = values
        return out

    def _pack(self) -> tuple[_Tree, _Series]:
        from meanfield.expectation.pair_table_kernels import UNKNOWN

        if self._packed is None:
            state = np.array(self._state or [UNKNOWN], dtype=np.int64)
            boxes = np.array([[(low, 2.0 / (high - low)) for low, high in box.ends] for box in self._boxes] or np.zeros((1, 3, 2)))
            tree = _Tree(self._roots.copy(), state, np.array(self._split or [0.0]), np.array(self._child or [0], dtype=np.int64), boxes)
            blocks = np.concatenate(self._blocks) if self._blocks else np.zeros(1)
            shape, start, counts = (np.array(part or [0], dtype=np.int64) for part in (self._shape, self._start, self._counts))
            self._packed = (tree, _Series(shape, counts, start, blocks))
        return self._packed

    # ---- growing ----------------------------------------------------------------------------------------------------

    def _add(self, box: Box) -> int:
        from meanfield.expectation.pair_table_kernels import UNKNOWN

        self._boxes.append(box)
        self._state.append(UNKNOWN)
        self._split.append(0.0)
        self._child.append(0)
        self._shape.append(0)
        self._start.append(0)
        return len(self._boxes) - 1

    def _grow(self, q1: Array, q2: Array, theta: Array, found: Integers) -> None:
        """Make the nodes that pairs have come to."""
        from meanfield.expectation.pair_table_kernels import UNKNOWN

        rootless = np.flatnonzero(found < 0)
        if rootless.size:
            high, low = np.maximum(q1[rootless], q2[rootless]), np.minimum(q1[rootless], q2[rootless])
            e1, e2 = np.frexp(high)[1] - 1 - FIRST, np.frexp(low)[1] - 1 - FIRST
            obtuse = theta[rootless] > 0.5 * math.pi
            beyond = np.where(obtuse, math.pi - theta[rootless], theta[rootless]) >= BORDER
            inside = (e2 >= 0) & (e1 < OCTAVES)
            wanted = np.zeros(self._roots.shape, dtype=bool)
            wanted[e1[inside], e2[inside], obtuse[inside].astype(int), beyond[inside].astype(int)] = True
            root = (1.0, math.sqrt(2.0))
            for a, b, o, f in np.argwhere(wanted).tolist():
                box = Box((a + FIRST, b + FIRST), bool(o), (root, root, (BORDER, 0.5 * math.pi) if f else (0.0, BORDER)))
                self._roots[a, b, o, f] = self._add(box)
        asked = np.bincount(found[found >= 0], minlength=len(self._state)) > 0
        waiting = np.flatnonzero(asked & (np.array(self._state) == UNKNOWN)).tolist()
        for node in waiting:
            self._make(node)
        self._packed = None

    def _make(self, node: int) -> None:
        """A series for a node, or two halves, or neither."""
        from meanfield.expectation.pair_table_kernels import DIRECT, SERIES

        box = self._boxes[node]
        sampled = self._sample(box)
        if sampled is None:
            self._state[node] = DIRECT
            return
        values, method, left = sampled
        size = self._size(box)
        if not (np.isfinite(values).all() and size > 0.0):
            self._state[node] = DIRECT
            return
        series = _along_axes(values / size, _to_chebyshev)
        tails = [float(np.max(np.abs(np.moveaxis(series, axis, 0)[-2:]))) for axis in range(3)]
        tails[2] = max(tails[2], left / size)
        if max(tails) <= TOLERANCE:
            self._keep(node, series, size)
            self._state[node] = SERIES
            return
        axis = int(np.argmax(tails))
        # Along θ first while that is wide: what changes fast in √q near θ = 0 changes slowly further from it.
        if tails[2] > TOLERANCE or (box.ends[2][0] == 0.0 and method != "series"):
            low, high = box.ends[2]
            if high - low > NARROWEST[method] * 1.01:
                axis = 2
        if axis < 2 and box.cuts >= 2 * FINEST[method]:
            self._state[node] = DIRECT
            return
        if axis == 2 and box.ends[2][1] - box.ends[2][0] <= NARROWEST[method] * 1.01:
            self._state[node] = DIRECT
            return
        first, second = box.halves(axis)
        self._split[node] = first.ends[axis][1]
        self._child[node] = self._add(first)
        self._add(second)
        self._state[node] = axis

    def _are_right(self, made: Features, variances: Array, nodes: Array) -> bool:
        """Whether vectors give what the closed form or a quadrature of its own gives: a rule for all pairs may miss what is narrow in φ.

        Asked at variances and an angle of the vectors' own, once for all partners: nodes that resolve the squares of two functions do so
        for their product.
        """
        i, j, k = variances.size // 4, 5 * variances.size // 6, nodes.size // 3
        q1, q2, theta = float(variances[i]), float(variances[j]), float(nodes[k])
        size = math.sqrt(float(np.prod(self._moments(self._column, variances[[i, j]]))))
        with np.errstate(all="ignore"):
            alone = float(closed_covariances(self.activation, np.array([q1]), np.array([q2]), np.array([theta]), self.order)[0])
            if math.isnan(alone):
                alone = covariance_by_smoothing(self.activation, self._moments.partition, self.order, q1, q2, math.cos(theta))
        return abs(float(made.plain[k][i] @ made.plain[k][j]) - alone) <= WRONG * size

    def _keep(self, node: int, series: Array, size: float) -> None:
        """Drop the coefficients that are nothing, and keep the rest as monomials in the order of use."""
        # How many along θ count, for each pair of powers of x and y, in groups of four; none of a lower power has fewer.
        sums = np.cumsum(np.abs(series)[:, :, ::-1], axis=2)[:, :, ::-1]
        terms = -(-np.sum(sums > NOTHING, axis=2) // 4)
        terms = np.maximum.accumulate(np.maximum.accumulate(terms[::-1, ::-1], axis=0), axis=1)[::-1, ::-1]
        terms[0, 0] = max(terms[0, 0], 1)
        powers = np.zeros((*series.shape[:2], -(-series.shape[2] // 4) * 4))
        powers[:, :, : series.shape[2]] = series * size
        powers[np.arange(powers.shape[2]) >= 4 * terms[:, :, None]] = 0.0
        powers = _along_axes(powers, _to_monomials)
        self._shape[node], self._start[node] = len(self._counts), self._total
        rows = int(np.sum(terms[:, 0] > 0))
        self._counts.append(rows)
        block: list[Array] = []
        for i in range(rows - 1, -1, -1):
            columns = int(np.sum(terms[i] > 0))
            self._counts += [columns, *terms[i, :columns][::-1].tolist()]
            counted = np.arange(powers.shape[2])[::-1] < 4 * terms[i, :columns][::-1, None]  # the highest powers first
            block.append(powers[i, :columns][::-1, ::-1][counted])
        flat = np.concatenate(block)
        self._total += flat.size
        self._blocks.append(flat)

    # ---- sampling ---------------------------------------------------------------------------------------------------

    def _variances(self, octave: int, ends: tuple[float, float]) -> Array:
        s = 0.5 * (ends[0] + ends[1]) + 0.5 * (ends[1] - ends[0]) * chebyshev_nodes(SIDE)
        return np.ldexp(s * s, octave)

    def _size(self, box: Box) -> float:
        """The smallest √(V(q1)V(q2))."""
        return self._least(box.octaves[0], box.ends[0]) * self._least(box.octaves[1], box.ends[1])

    def _least(self, octave: int, ends: tuple[float, float]) -> float:
        """The smallest √V."""
        if (octave, ends) not in self._sizes:
            self._sizes[octave, ends] = math.sqrt(self._moments(self._column, self._variances(octave, ends)).min())
        return self._sizes[octave, ends]

    def _sample(self, box: Box) -> tuple[Array, str, float] | None:
        """C at the nodes of a box, (x, y, θ), by what, and what an even series leaves out; None where neither serves."""
        low, high = box.ends[2]
        angles = 0.5 * (low + high) + 0.5 * (high - low) * chebyshev_nodes(TERMS)
        pair = [self._row(e, ends) for e, ends in zip(box.octaves, box.ends, strict=False)]
        if any(rows is None for rows in pair):
            return None
        rule = Rule()
        if low >= BORDER or all(rows is not None and rows[1] for rows in pair):
            method, nodes = "series", angles
        else:
            linear = self._maker(box.octaves[0]).linear is not None
            method, nodes, rule = "linear" if linear else "smoothing", angles, self._rule(box)
            if rule.is_fine and not linear:
                nodes = 0.5 * (low + high) + 0.5 * (high - low) * chebyshev_nodes(FEW)
            if low == 0.0 and rule.is_fine:
                nodes = high * chebyshev_nodes(2 * EVEN)[:EVEN]  # even in θ, but where kinks meet: and then it shows
        both = []
        for e, ends in zip(box.octaves, box.ends, strict=False):
            made = self._vectors(e, ends, method, nodes, rule)
            if made is None:
                return None
            both.append(made)
        second = both[1].mirrored if box.obtuse else both[1].plain
        values = np.stack([product(f, g) for f, g in zip(both[0].plain, second, strict=True)], axis=2)
        if nodes.size != EVEN:
            return values, method, 0.0
        # Shifted from [−θ, θ] to [0, θ], the last terms of an even series look smaller than they are.
        both_sides = np.concatenate([values, values[:, :, ::-1]], axis=2)
        return values @ _even_interpolation().T, method, float(np.max(np.abs(chebyshev_series(both_sides)[:, :, -3:])))

    def _maker(self, octave: int) -> FeatureMaker:
        if octave not in self._makers:
            self._makers[octave] = FeatureMaker(self.activation, self._moments.partition, self.order, octave)
        return self._makers[octave]

    def _rule(self, box: Box) -> Rule:
        """One rule for the many octaves up to a power of 2, so that vectors serve many pairs."""
        octave = max(box.octaves[0], 3)
        top = octave + (3 - octave) % 4  # 3, 7, 11, …
        if top not in self._rules:
            self._rules[top] = self._maker(top).rule(math.ldexp(1.0, top + 1))
        rule = self._rules[top]
        return Rule() if rule.finest and not all(self._maker(e).around_zero for e in box.octaves) else rule

    def _row(self, octave: int, ends: tuple[float, float]) -> tuple[Array, bool] | None:
        key = octave, ends
        if key not in self._series:
            maker = self._maker(octave)
            self._series[key] = maker.mehler(self._variances(octave, ends)) if maker.usable else None
        return self._series[key]

    def _vectors(self, octave: int, ends: tuple[float, float], method: str, nodes: Array, rule: Rule) -> Features | None:
        key = (octave, ends, method, nodes.tobytes(), rule)
        if key in self._features:
            self._features.move_to_end(key)
            return self._features[key]
        if method == "series":
            rows = self._row(octave, ends)
            assert rows is not None
            made: Features | None = self._maker(octave).by_series(rows[0], nodes)
        else:
            variances = self._variances(octave, ends)
            made = self._maker(octave).by_smoothing(variances, nodes, rule)
            if made is not None and not self._are_right(made, variances, nodes):
                made = None
        self._features[key] = made
        self._bytes += _bytes(made)
        while self._bytes > HELD_BYTES and len(self._features) > 2:
            self._bytes -= _bytes(self._features.popitem(last=False)[1])
        return made


def _bytes(made: Features | None) -> int:
    return 0 if made is None else sum(a.nbytes for a in made.plain + made.mirrored)


def _along_axes(values: Array, matrix: Callable[[int], Array]) -> Array:
    """Apply the matrix of each axis' length along it."""
    first, second, third = (matrix(n) for n in values.shape)
    along_first = (first @ values.reshape(values.shape[0], -1)).reshape(values.shape)
    return np.asarray(np.matmul(second, along_first) @ third.T)


@lru_cache(maxsize=8)
def _to_chebyshev(terms: int) -> Array:
    """From values at the Chebyshev nodes to coefficients."""
    return np.ascontiguousarray(chebyshev_series(np.eye(terms)).T)


@lru_cache(maxsize=8)
def _to_monomials(terms: int) -> Array:
    """Columns: the monomials of each Chebyshev polynomial."""
    matrix = np.zeros((terms, terms))
    for i in range(terms):
        matrix[: i + 1, i] = np.polynomial.chebyshev.cheb2poly([0.0] * i + [1.0])
    return matrix


@lru_cache(maxsize=1)
def _even_interpolation() -> Array:
    """For even functions, from values at the positive ones of 2·EVEN Chebyshev nodes on [−1, 1] to those at FEW nodes on [0, 1]."""
    wanted = 0.5 + 0.5 * chebyshev_nodes(FEW)
    both = np.concatenate([np.eye(EVEN), np.eye(EVEN)[::-1]], axis=0)  # values at all nodes, descending
    series = chebyshev_series(np.ascontiguousarray(both.T))
    return np.asarray(np.polynomial.chebyshev.chebval(wanted, series.T).T, dtype=float)


_tables: Kept[dict[int, PairTable]] = Kept("pair tables")
_tables_lock = threading.Lock()


def pair_table(activation: Activation, order: int = 0) -> PairTable:
    """The table of C[φ⁽ᵏ⁾], k = `order` = 0 or 1; kept for as long as the activation lives."""
    with _tables_lock:
        held = _tables.setdefault(activation, {})
        if order not in held:
            held[order] = PairTable(activation, order)
        return held[order]
