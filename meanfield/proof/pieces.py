"""A formula cut into analytic pieces: where φ switches, which expression holds between, and whether φ is continuous there.

The cuts are exact: every switch is an affine or quadratic expression in x with exact coefficients, or keeps one sign. Anything else is
refused, since a kink whose place is known to digits only can't be split at.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cmp_to_key

from meanfield.activations.formula.tree import HALF, ONE, ZERO, Node, has_x, neg, number, walk
from meanfield.proof import exact
from meanfield.proof.balls import ProofError, sign
from meanfield.proof.exact import Exact
from meanfield.proof.exact_values import SIDES, exact_value, power
from meanfield.proof.jets import Reals, evaluate, finite
from meanfield.proof.piece import Piece
from meanfield.proof.signs import constant_sign

_CONTINUOUS = frozenset(("abs", "relu", "max", "min"))  # whose value does not jump where they switch
_JUMPING = frozenset(("where", "sign", "heaviside"))
_MOST_CUTS = 40


@dataclass(frozen=True)
class Cut:
    """A point where φ changes its expression; `safe`: by operations that keep φ continuous alone."""

    at: Exact
    safe: bool


@dataclass(frozen=True)
class Pieces:
    """φ from left to right: pieces[i] ends where cuts[i] is."""

    pieces: tuple[Piece, ...]
    cuts: tuple[Cut, ...]

    def mirrored(self) -> Pieces:
        """φ(−x)."""
        turned = tuple(
            Piece(None if p.high is None else -p.high, None if p.low is None else -p.low, _mirrored(p.tree)) for p in reversed(self.pieces)
        )
        return Pieces(turned, tuple(Cut(-cut.at, cut.safe) for cut in reversed(self.cuts)))


def cut_up(tree: Node) -> Pieces:
    """The pieces of a formula.

    Raises
    ------
    ProofError
        Where a switch can't be placed exactly.
    """
    cuts: list[Cut] = []
    todo: list[tuple[Exact | None, Exact | None]] = [(None, None)]
    found: list[Piece] = []
    while todo:
        low, high = todo.pop()
        try:
            found.append(Piece(low, high, _Resolver(low, high).resolve(tree)))
        except _Split as split:
            cuts.append(Cut(split.at, split.safe))
            if len(cuts) > _MOST_CUTS:
                raise ProofError(f"the formula switches at more than {_MOST_CUTS} places") from None
            todo += [(split.at, high), (low, split.at)]
    if occurring(tree) & _JUMPING:  # one of them may jump where an abs switches too
        cuts = [Cut(cut.at, False) for cut in cuts]
    cuts.sort(key=cmp_to_key(lambda a, b: compare(a.at, b.at)))
    return Pieces(tuple(found), tuple(_without_seams(found, cuts)))


def _without_seams(found: list[Piece], cuts: list[Cut]) -> list[Cut]:
    if len(found) != len(cuts) + 1:
        raise ProofError("the formula's cuts can't be ordered")
    return cuts


def compare(a: Exact, b: Exact) -> int:
    """−1, 0 or 1."""
    which = (a - b).sign()
    if which is None:
        raise ProofError("two places where the formula switches can't be told apart")
    return which


class _Split(Exception):
    def __init__(self, at: Exact, safe: bool) -> None:
        self.at, self.safe = at, safe


class _Resolver:
    """Replaces every switch by the branch that holds on (low, high), or asks for a split."""

    def __init__(self, low: Exact | None, high: Exact | None) -> None:
        self.low, self.high = low, high
        self.known: dict[int, Node] = {}

    def resolve(self, node: Node) -> Node:
        if id(node) not in self.known:
            self.known[id(node)] = self._resolved(node)
        return self.known[id(node)]

    def _resolved(self, node: Node) -> Node:
        op = node.op
        if op == "where":
            return self.resolve(node.args[1] if self.holds(node.args[0]) else node.args[2])
        args = tuple(self.resolve(arg) for arg in node.args)
        if op in SIDES:
            return self.switched(op, args)
        return folded(op, args, node)

    def switched(self, op: str, args: tuple[Node, ...]) -> Node:
        safe = op in _CONTINUOUS
        if op in ("max", "min"):
            side = self.side(difference(*args), safe)
            return args[0] if (side >= 0) == (op == "max") else args[1]
        side = self.side(args[0], safe)
        if op == "abs":
            return args[0] if side >= 0 else folded("neg", (args[0],))
        if op == "relu":
            return args[0] if side >= 0 else ZERO
        if op == "heaviside":
            return ONE if side > 0 else ZERO if side < 0 else HALF
        return number(side)

    def holds(self, condition: Node) -> bool:
        """Whether a condition holds throughout the interior, single points aside."""
        if condition.op == "and":
            return all(self.holds(arg) for arg in condition.args)
        if condition.op == "or":
            return any(self.holds(arg) for arg in condition.args)
        if condition.op == "not":
            return not self.holds(condition.args[0])
        side = self.side(difference(*(self.resolve(arg) for arg in condition.args)), False)
        return {"<": side < 0, "<=": side <= 0, ">": side > 0, ">=": side >= 0, "==": side == 0, "!=": side != 0}[condition.op]

    def side(self, g: Node, safe: bool) -> int:
        """The sign of g on the interior; asks for a split where it changes inside."""
        powers = polynomial(g)
        if powers is None:
            return self._kept_sign(g)
        degree = max(powers, default=0)
        if degree == 0:
            return _sure(powers.get(0, exact.ZERO).sign())
        for root in _roots(powers):
            after = self.low is None or compare(root, self.low) > 0
            before = self.high is None or compare(root, self.high) < 0
            if after and before:
                raise _Split(root, safe)
        at = self.inside()
        value = exact.ZERO
        for n, c in powers.items():
            value = value + c * power(at, n)
        return _sure(value.sign())

    def inside(self) -> Exact:
        """A point of the interior."""
        if self.low is None and self.high is None:
            return exact.ZERO
        if self.low is None:
            assert self.high is not None
            return self.high - exact.ONE
        if self.high is None:
            return self.low + exact.ONE
        return (self.low + self.high) * Exact.of(Fraction(1, 2))

    def _kept_sign(self, g: Node) -> int:
        found = constant_sign(Piece(self.low, self.high, g))
        if found is None:
            raise ProofError("the formula switches where no exact place is known")
        return found


def _sure(which: int | None) -> int:
    if which is None:
        raise ProofError("a condition of the formula compares numbers that can't be told apart")
    return which


def difference(a: Node, b: Node) -> Node:
    """a − b, folded."""
    return folded("+", (a, folded("neg", (b,))))


def folded(op: str, args: tuple[Node, ...], node: Node | None = None) -> Node:
    """The node of an operation, with rational arithmetic done and zeros dropped."""
    numbers = [arg.number for arg in args]
    if op == "neg":
        return neg(args[0])
    if op in ("+", "*", "/") and len(args) == 2:
        a, b = numbers
        if a is not None and b is not None and not (op == "/" and b == 0):
            return number(a + b if op == "+" else a * b if op == "*" else a / b)
        if op == "+" and (a == 0 or b == 0):
            return args[1] if a == 0 else args[0]
        if op == "*" and (a == 0 or b == 0):
            return ZERO
        if op == "*" and (a == 1 or b == 1):
            return args[1] if a == 1 else args[0]
        if op == "/" and a == 0 and b != 0 and not has_x(args[1]):
            return ZERO
    if op == "**" and numbers[1] is not None and numbers[1].denominator == 1:
        n, base = int(numbers[1]), numbers[0]
        if n == 1:
            return args[0]
        if n == 0:
            return ONE
        if base is not None and abs(n) <= 64 and not (base == 0 and n < 0):
            return number(base**n)
    if node is not None and all(new is old for new, old in zip(args, node.args, strict=True)):
        return node
    return Node(op, args, None if node is None else node.number)


def _mirrored(tree: Node) -> Node:
    known: dict[int, Node] = {}

    def turn(node: Node) -> Node:
        if id(node) not in known:
            known[id(node)] = neg(node) if node.op == "x" else folded(node.op, tuple(map(turn, node.args)), node)
        return known[id(node)]

    return turn(tree)


_Powers = dict[int, Exact]


def polynomial(node: Node) -> _Powers | None:
    """The node as a polynomial in x with exact coefficients, of degree at most 2; None where it is none."""
    if node.op == "x":
        return {1: exact.ONE}
    if not has_x(node):
        value = exact_value(node, None, finite)
        return None if value is None else ({0: value} if value.terms else {})
    parts = [polynomial(arg) for arg in node.args]
    if any(part is None for part in parts):
        return None
    known: list[_Powers] = [part for part in parts if part is not None]
    if node.op == "neg":
        return {n: -c for n, c in known[0].items()}
    if node.op == "+":
        return _sum(known[0], known[1])
    if node.op == "*":
        return _product(known[0], known[1])
    if node.op == "/" and set(known[1]) == {0}:
        inverse = known[1][0].inverse()
        return None if inverse is None else {n: c * inverse for n, c in known[0].items()}
    if node.op == "**" and node.args[1].number == 2:
        return _product(known[0], known[0])
    return None


def _sum(a: _Powers, b: _Powers) -> _Powers:
    total = {n: a.get(n, exact.ZERO) + b.get(n, exact.ZERO) for n in {*a, *b}}
    return {n: c for n, c in total.items() if c.terms}


def _product(a: _Powers, b: _Powers) -> _Powers | None:
    total: _Powers = {}
    for n, c in a.items():
        for m, d in b.items():
            total[n + m] = total.get(n + m, exact.ZERO) + c * d
    total = {n: c for n, c in total.items() if c.terms}
    return total if max(total, default=0) <= 2 else None


def _roots(powers: _Powers) -> list[Exact]:
    zero = exact.ZERO
    c0, c1, c2 = (powers.get(n, zero) for n in range(3))
    if not c2.terms:
        inverse = c1.inverse()
        if inverse is None:
            raise ProofError("the formula switches where no exact place is known")
        return [-(c0 * inverse)]
    half, inverse = c1 * Exact.of(Fraction(1, 2)), c2.inverse()
    discriminant = half * half - c0 * c2
    which = _sure(discriminant.sign())
    if which < 0:
        return []
    root = discriminant.root()
    if root is None or inverse is None:
        raise ProofError("the formula switches where no exact place is known")
    both = [(-half - root) * inverse, (root - half) * inverse]
    return both[:1] if which == 0 else both


def continuity(pieces: Pieces, index: int) -> bool | None:
    """Whether φ is continuous at a cut: shown exactly, refuted by balls, or None."""
    cut = pieces.cuts[index]
    left, right = pieces.pieces[index].tree, pieces.pieces[index + 1].tree
    here = cut.at.ball()
    sides = [evaluate(tree, here, 0, Reals())[0] for tree in (left, right)]
    if not all(side.is_finite() for side in sides):
        return None
    if sign(sides[0] - sides[1]) in (1, -1):
        return False
    if cut.safe:
        return True
    exactly = [exact_value(tree, cut.at, finite) for tree in (left, right)]
    if exactly[0] is None or exactly[1] is None:
        return None
    which = (exactly[1] - exactly[0]).sign()
    return None if which is None else which == 0


def occurring(tree: Node) -> set[str]:
    """The operations of a tree."""
    return {node.op for node in walk(tree)}
