"""Polynomials and exponentials against a Gaussian on an interval, where a piece of φ is a sum of those: no rule is needed there."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.activations.formula.tree import Node
from meanfield.proof.balls import Ball, flint
from meanfield.proof.exact import Exact
from meanfield.proof.pieces import polynomial


@dataclass(frozen=True)
class Form:
    """c₀ + c₁x + c₂x² + Σ w exp(λx)."""

    powers: tuple[Ball, Ball, Ball]
    waves: tuple[tuple[Ball, Ball], ...] = ()  # w, λ

    def derivative(self) -> Form:
        """Its derivative."""
        _, c1, c2 = self.powers
        return Form((c1, 2 * c2, flint.arb(0)), tuple((w * rate, rate) for w, rate in self.waves))

    def times(self, factor: Ball) -> Form:
        """A multiple of it."""
        c0, c1, c2 = self.powers
        return Form((factor * c0, factor * c1, factor * c2), tuple((factor * w, rate) for w, rate in self.waves))

    def integral(self, centre: Ball, own: Ball, low: Ball, high: Ball) -> Ball:
        """∫ form(centre + own·t) exp(−t²/2) dt from low to high."""
        c0, c1, c2 = self.powers
        ends = (-(low * low) / 2).exp(), (-(high * high) / 2).exp()
        mass, first = _mass(low, high), ends[0] - ends[1]
        second = mass + low * ends[0] - high * ends[1]
        total = (c0 + c1 * centre + c2 * centre * centre) * mass + own * (c1 + 2 * c2 * centre) * first + c2 * own * own * second
        for w, rate in self.waves:
            moved = rate * own  # exp(λ own t − t²/2) = exp((λ own)²/2) exp(−(t − λ own)²/2)
            total = total + w * (rate * centre + moved * moved / 2).exp() * _mass(low - moved, high - moved)
        return total


def _mass(low: Ball, high: Ball) -> Ball:
    """∫ exp(−t²/2) dt, without a difference of numbers near 1."""
    root = flint.arb(2).sqrt()
    half = (flint.arb.pi() / 2).sqrt()
    if low > 0:
        return half * ((low / root).erfc() - (high / root).erfc())
    if high < 0:
        return half * ((-high / root).erfc() - (-low / root).erfc())
    return half * ((high / root).erf() - (low / root).erf())


def closed_form(tree: Node) -> Form | None:
    """An expression as such a sum, at the current precision; None where it is none."""
    powers = polynomial(tree)
    if powers is not None:
        zero = Exact()
        return Form(tuple(powers.get(n, zero).ball() for n in range(3)))
    if tree.op in ("exp", "expm1"):
        inner = polynomial(tree.args[0])
        if inner is None or not set(inner) <= {0, 1}:
            return None
        nothing = flint.arb(0)
        constant = flint.arb(-1 if tree.op == "expm1" else 0)
        weight = inner[0].ball().exp() if 0 in inner else flint.arb(1)
        return Form((constant, nothing, nothing), ((weight, inner[1].ball() if 1 in inner else nothing),))
    if tree.op == "neg":
        found = closed_form(tree.args[0])
        return None if found is None else found.times(flint.arb(-1))
    if tree.op in ("+", "*", "/"):
        a, b = closed_form(tree.args[0]), closed_form(tree.args[1])
        if a is None or b is None:
            return None
        if tree.op == "+":
            return Form((a.powers[0] + b.powers[0], a.powers[1] + b.powers[1], a.powers[2] + b.powers[2]), (*a.waves, *b.waves))
        if tree.op == "*" and _constant(a):
            return b.times(a.powers[0])
        if _constant(b) and not (tree.op == "/" and b.powers[0].contains(0)):
            return a.times(b.powers[0] if tree.op == "*" else 1 / b.powers[0])
    return None


def _constant(form: Form) -> bool:
    return not form.waves and form.powers[1].is_zero() and form.powers[2].is_zero()
