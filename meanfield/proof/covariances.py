"""E[f(u) g(v)] of two correlated Gaussians as a ball, kinks and jumps included, at any correlation.

With s = |c| and independent standard X, T: u = √q₁(√s X + √(1−s) T), and v likewise with its own T. So E[f(u)g(v)] = E_X[F(X)G(X)] with
F(X) = E_T[f(u)]: one integral of products of one-dimensional ones, smooth in X however f jumps. lattices.py does them where that is quick;
elsewhere Gauss–Legendre rules of N points on panels, whose error is at most 8Mρ^(−2N)/(1 − 1/ρ) times the half-width where
|integrand| ≤ M on the Bernstein ellipse ρ.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from meanfield.proof import lattices
from meanfield.proof.balls import Ball, ProofError, ball, flint, precision, square
from meanfield.proof.closed_forms import Form, closed_form
from meanfield.proof.function import Function
from meanfield.proof.jets import REALS, Complexes, program
from meanfield.proof.piece import Piece
from meanfield.proof.pieces import Pieces
from meanfield.proof.sides import Side, beyond, complex_bound, side_of

_RHO = Fraction(5, 2)
_CLOSE = Fraction(99_998, 100_000)  # correlations from which on the common part alone is a lattice
_SMOOTHED = Fraction(9_999, 10_000)  # up to which F is smooth enough for one lattice however f bends
_MOST_PANELS = 4000
_MOST_INNER = 96


def covariance(function: Function, k: int, q1: Fraction, q2: Fraction, c: Fraction, digits: int) -> Ball:
    """E[φ^(k)(u) φ^(k)(v)], |c| ≤ 1; to about so many digits of √(V V)."""
    bits = int((digits + 14) * 3.33) + 20
    with precision(bits):
        first = side_of(function, k, ball(q1), False)
        second = side_of(function, k, ball(q2), c < 0)
        if abs(c) == 1:
            return _aligned(first, second, digits)
        if c == 0:
            one = mean(first, digits)
            return one * (one if q1 == q2 else mean(second, digits))
        return correlated(first, second, abs(c), q1 == q2 and c > 0, digits)


def correlated(f: Side, g: Side, s: Fraction, same: bool, digits: int) -> Ball:
    """By a lattice where that takes few points, by panels where not."""
    reach = _reach(digits)
    try:
        if not f.pieces.cuts:
            return (lattices.common if s > _CLOSE else lattices.both)(f, g, s, same, reach, _tolerance(f, g, digits))
        if s <= _SMOOTHED:
            return _smoothed(f, g, s, same, reach, _tolerance(f, g, digits))
    except ProofError:
        pass
    return by_panels(f, g, s, same, digits)


def by_panels(f: Side, g: Side, s: Fraction, same: bool, digits: int) -> Ball:
    """By Gauss–Legendre rules on panels that are halved where f is not analytic enough."""
    return _Double(f, g, s, same, digits).value()


def _tolerance(f: Side, g: Side, digits: int) -> Ball:
    """Relative to what f and g reach within the bulk: the answer may be smaller, and then has fewer digits."""
    scale = min(float(f.bound(3 * f.q.sqrt())), 1e300) * min(float(g.bound(3 * g.q.sqrt())), 1e300)
    return flint.arb(10) ** (-digits - 7) * max(scale, 1e-300)


def _smoothed(f: Side, g: Side, s: Fraction, same: bool, reach: Ball, tolerance: Ball) -> Ball:
    common, own = ball(s).sqrt(), (1 - ball(s)).sqrt()
    wide = reach + 1
    inner, bounds = [], []
    for side in (f,) if same else (f, g):
        root = side.q.sqrt()
        cut_off = side.most * wide.exp() * beyond(flint.arb(1), wide)
        most = side.bound(root * (common + own) * wide)
        inner.append(_Rough(side, root * common, root * own, wide, most, cut_off, tolerance))
        bounds.append((most, cut_off))
    return lattices.smoothed(f, g, s, tuple(part.at for part in inner), tuple(bounds), reach, tolerance)


def _aligned(f: Side, g: Side, digits: int) -> Ball:
    """E[f(√q₁ Z) g(√q₂ Z)]."""
    reach = _reach(digits)
    roots = f.q.sqrt(), g.q.sqrt()
    marks = [-reach, reach]
    for side, root in zip((f, g), roots, strict=True):
        marks += [cut.at.ball() / root for cut in side.pieces.cuts]
    inside = sorted((m for m in marks if not (m < -reach or m > reach)), key=lambda m: float(m.mid()))
    total = flint.arb(0)
    for low, high in itertools.pairwise(inside):
        if not low < high:
            if low.overlaps(high):  # the same cut twice, or two that are as good as one: a sliver
                width = (high - low).abs_upper()
                total = total + (width * f.bound(reach * roots[0]) * g.bound(reach * roots[1])) * flint.arb(0).union(flint.arb(1))
            continue
        middle = (low.upper() + high.lower()) / 2
        pieces = [_piece_at(side.pieces, middle * root) for side, root in zip((f, g), roots, strict=True)]

        def integrand(z: Any, analytic: bool, pieces: list[Piece] = pieces) -> Any:
            field = Complexes(bool(analytic))
            return f.value(pieces[0], z * roots[0], field) * g.value(pieces[1], z * roots[1], field) * (-z * z / 2).exp()

        tiny = flint.arb(2) ** (-8 * flint.ctx.prec)
        total = total + flint.acb.integral(integrand, low, high, abs_tol=tiny, eval_limit=1_500_000).real
    rest = f.most * g.most * beyond(flint.arb(2), reach)
    return total / (2 * flint.arb.pi()).sqrt() + rest.union(-rest)


def mean(f: Side, digits: int) -> Ball:
    """E[f]."""
    reach = _reach(digits)
    total = flint.arb(0)
    root = f.q.sqrt()
    for piece in f.pieces.pieces:
        low = -reach if piece.low is None else piece.low.ball() / root
        high = reach if piece.high is None else piece.high.ball() / root
        if low > reach or high < -reach:
            continue
        low, high = (-reach if low < -reach else low), (reach if high > reach else high)

        def integrand(z: Any, analytic: bool, piece: Piece = piece) -> Any:
            return f.value(piece, z * root, Complexes(bool(analytic))) * (-z * z / 2).exp()

        tiny = flint.arb(2) ** (-8 * flint.ctx.prec)
        total = total + flint.acb.integral(integrand, low, high, abs_tol=tiny, eval_limit=1_500_000).real
    rest = f.most * beyond(flint.arb(1), reach)
    return total / (2 * flint.arb.pi()).sqrt() + rest.union(-rest)


def _reach(digits: int) -> Ball:
    """|Z| beyond which even exp(2|Z|) does not matter."""
    return ball(Fraction(int(16 * (math.sqrt(2 * 2.303 * (digits + 14)) + 2.5)), 16))


def _piece_at(pieces: Pieces, x: Ball) -> Piece:
    for piece, cut in zip(pieces.pieces, pieces.cuts, strict=False):
        if x < cut.at.ball():
            return piece
    return pieces.pieces[-1]


@functools.lru_cache(maxsize=16)
def _rule(points: int, bits: int) -> tuple[tuple[Ball, ...], tuple[Ball, ...]]:
    """Nodes and weights of Gauss–Legendre on [−1, 1]."""
    with precision(bits):
        pairs = [flint.arb.legendre_p_root(points, i, weight=True) for i in range(points)]
    return tuple(x for x, _ in pairs), tuple(w for _, w in pairs)


class _Double:
    def __init__(self, f: Side, g: Side, s: Fraction, same: bool, digits: int) -> None:
        self.sides, self.same = (f, g), same
        self.common, self.own = ball(s).sqrt(), (1 - ball(s)).sqrt()
        self.reach = _reach(digits)
        self.tolerance = _tolerance(f, g, digits)
        spread = self.common + self.own
        self.bounds = {id(side): side.bound(side.q.sqrt() * spread * self.reach) for side in (f, g)}
        self.points = int((digits + 12) / (2 * math.log10(float(_RHO)))) + 2
        self.nodes, self.weights = _rule(self.points, flint.ctx.prec)
        self.rate = 8 * ball(_RHO) ** (-2 * self.points) / (1 - 1 / ball(_RHO))
        self.long, self.short = (ball(_RHO) + 1 / ball(_RHO)) / 2, (ball(_RHO) - 1 / ball(_RHO)) / 2
        self.panels = 0

    def value(self) -> Ball:
        total = flint.arb(0)
        todo = [(-self.reach, self.reach)]
        while todo:
            low, high = todo.pop()
            found = self.panel(low, high)
            if found is None:
                middle = ((low + high) / 2).mid()
                todo += [(middle, high), (low, middle)]
            else:
                total = total + found
        f, g = self.sides
        rest = f.most * g.most * beyond(flint.arb(2), self.reach) * 4 * flint.arb(1).exp()  # E[exp|T|]² ≤ 4e
        return total / (2 * flint.arb.pi()).sqrt() + rest.union(-rest)

    def panel(self, low: Ball, high: Ball) -> Ball | None:
        """∫ F G exp(−X²/2) over a panel; None where it is too wide for its rule."""
        self.panels += 1
        if self.panels > _MOST_PANELS:
            raise ProofError("two inputs: more panels than are allowed")
        middle, half = ((low + high) / 2).mid(), ((high - low) / 2).mid()
        across, up = half * self.long, half * self.short
        nearest = (abs(middle) - across).nonnegative_part()
        most = (-(nearest**2 - up**2) / 2).exp()
        wanted = self.sides[:1] if self.same else self.sides
        smooth: list[_Smooth | _Rough] = []
        for side in wanted:
            inner = self.smooth(side, middle, half, across, up)
            if inner is None:
                inner = self.rough(side, middle, half, up)
            if inner is None:
                return None
            smooth.append(inner)
            most = most * inner.most
        if self.same:
            most = most * smooth[0].most
        # What the rule integrates is F cut off where it does not count; at real X that changes F by twice the cut-off at most.
        parts = [smooth[0], smooth[-1]]
        error = half * self.rate * most + 8 * half * (parts[0].cut_off * parts[1].most + parts[1].cut_off * parts[0].most)
        if not error < self.tolerance * half / 16:
            return None
        total = flint.arb(0)
        for node, weight in zip(self.nodes, self.weights, strict=True):
            x = middle + half * node
            values = [inner.at(x) for inner in smooth]
            total = total + weight * values[0] * (values[0] if self.same else values[1]) * (-square(x) / 2).exp()
        return total * half + error.union(-error)

    def smooth(self, side: Side, middle: Ball, half: Ball, across: Ball, up: Ball) -> _Smooth | _Rough | None:
        """F on the panel where every u that counts lies in one piece, by one rule in T for all X."""
        root = side.q.sqrt()
        shift, own = root * self.common, root * self.own
        low, high = shift * (middle - across) - own * self.reach, shift * (middle + across) + own * self.reach
        piece = next((p for p in side.pieces.pieces if _within(p, low, high)), None)
        if piece is None:
            return None
        most = complex_bound(side, piece, low, high, shift * up)
        if most is None:
            return None
        if _form(piece, side) is not None:
            return _Rough(side, shift, own, self.reach, most, self._cut_off(side), self.tolerance)
        # Panels in T: their ellipses add ± own·b to the imaginary part, and the weight exp(b²/2).
        panels = []
        todo = [(-self.reach, self.reach)]
        x_low, x_high = shift * (middle - half), shift * (middle + half)
        while todo:
            a, b = todo.pop()
            m, r = ((a + b) / 2).mid(), ((b - a) / 2).mid()
            wide, tall = r * self.long, r * self.short
            bound = complex_bound(side, piece, x_low + own * (m - wide), x_high + own * (m + wide), own * tall, 64)
            if bound is not None:
                near = (abs(m) - wide).nonnegative_part()
                error = r * self.rate * bound * (-(near**2 - tall**2) / 2).exp()
                if error < self.tolerance / (64 * (1 + most)):
                    nodes = [(m + r * node, w * r * (-square(m + r * node) / 2).exp()) for node, w in self._pairs()]
                    panels.append((nodes, error))
                    continue
            if len(panels) > _MOST_INNER or len(todo) > 60 or r < 1e-6:
                return None
            middle_t = ((a + b) / 2).mid()
            todo += [(middle_t, b), (a, middle_t)]
        return _Smooth(side, piece, shift, own, panels, most, self._cut_off(side))

    def _pairs(self) -> Any:
        return zip(self.nodes, self.weights, strict=True)

    def _cut_off(self, side: Side) -> Ball:
        """A bound of E[|f|; |T| > reach] for |X| ≤ reach."""
        return side.most * self.reach.exp() * beyond(flint.arb(1), self.reach)

    def rough(self, side: Side, middle: Ball, half: Ball, up: Ball) -> _Rough | None:
        """F on the panel where a cut is near: |F(X + iY)| ≤ exp(sY²/2(1−s)) sup|f|, f cut off where it does not count."""
        lift = ((self.common / self.own) * up) ** 2 / 2
        if not lift < 60:
            return None
        root, most = side.q.sqrt(), lift.exp() * self.bounds[id(side)]
        return _Rough(side, root * self.common, root * self.own, self.reach, most, self._cut_off(side), self.tolerance)


@dataclass
class _Smooth:
    side: Side
    piece: Piece
    shift: Ball
    own: Ball
    panels: list[Any]
    most: Ball
    cut_off: Ball

    def at(self, x: Ball) -> Ball:
        total, k = flint.arb(0), self.side.k
        run, centre = program(self.piece.tree).run, self.shift * x
        for nodes, error in self.panels:
            for t, weight in nodes:
                total = total + weight * run(centre + self.own * t, k, REALS)[k]
            total = total + error.union(-error)
        total = total / (2 * flint.arb.pi()).sqrt()
        return (total if self.side.sign > 0 else -total) + self.cut_off.union(-self.cut_off)


@dataclass
class _Rough:
    side: Side
    shift: Ball
    own: Ball
    reach: Ball
    most: Ball
    cut_off: Ball
    tolerance: Ball

    @functools.cached_property
    def forms(self) -> list[Form | None]:
        """The pieces whose integrals need no rule."""
        return [_form(piece, self.side) for piece in self.side.pieces.pieces]

    def at(self, x: Ball) -> Ball:
        total, centre = flint.arb(0), self.shift * x
        for i, piece in enumerate(self.side.pieces.pieces):
            low = -self.reach if piece.low is None else (piece.low.ball() - centre) / self.own
            high = self.reach if piece.high is None else (piece.high.ball() - centre) / self.own
            if low > self.reach or high < -self.reach:
                continue
            low, high = (-self.reach if low < -self.reach else low), (self.reach if high > self.reach else high)
            form = self.forms[i]
            if form is not None:
                total = total + form.integral(centre, self.own, low, high)
                continue

            def integrand(t: Any, analytic: bool, piece: Piece = piece) -> Any:
                return self.side.value(piece, centre + self.own * t, Complexes(bool(analytic))) * (-t * t / 2).exp()

            total = total + flint.acb.integral(integrand, low, high, abs_tol=self.tolerance / 64, rel_tol=self.tolerance / 64).real
        return total / (2 * flint.arb.pi()).sqrt() + self.cut_off.union(-self.cut_off)


def _form(piece: Piece, side: Side) -> Form | None:
    form = closed_form(piece.tree)
    for _ in range(side.k):
        form = None if form is None else form.derivative()
    return None if form is None else form.times(flint.arb(side.sign))


def _within(piece: Piece, low: Ball, high: Ball) -> bool:
    return (piece.low is None or bool(piece.low.ball() < low)) and (piece.high is None or bool(piece.high.ball() > high))
