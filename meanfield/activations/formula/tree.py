"""The expression tree of a formula, and its flat form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Node:
    """One operation, its arguments, and the exact value where it is a number.

    `op` is "x", "number", "pi", "e", an operator (+ * / ** neg), a comparison, "and", "or", "not", or a function's name.
    A subtraction is a sum with a negated term.
    """

    op: str
    args: tuple[Node, ...] = ()
    number: Fraction | None = None


X = Node("x")
PI = Node("pi")
E = Node("e")


def number(value: int | Fraction) -> Node:
    """The node of an exact number."""
    return Node("number", number=Fraction(value))


ZERO, ONE, TWO, HALF = number(0), number(1), number(2), number(Fraction(1, 2))

COMPARISONS = frozenset(("<", "<=", ">", ">=", "==", "!="))
LOGIC = frozenset(("and", "or", "not"))


def call(op: str, *args: Node) -> Node:
    """The node of an operation."""
    return Node(op, args)


UNDEFINED = call("log", number(-1))  # at every x


def neg(a: Node) -> Node:
    """−a."""
    if a.number is not None:
        return number(-a.number)
    return a.args[0] if a.op == "neg" else Node("neg", (a,))


def minus(a: Node, b: Node) -> Node:
    """a − b."""
    return Node("+", (a, neg(b)))


def has_x(node: Node) -> bool:
    """Whether x occurs in the tree."""
    return any(part.op == "x" for part in walk(node))


def walk(node: Node) -> Iterator[Node]:
    """Every node of the tree once, shared ones once only."""
    stack, seen = [node], set()
    while stack:
        part = stack.pop()
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            stack.extend(part.args)


def depth(node: Node) -> int:
    """How many nodes the longest way down has."""
    depths: dict[int, int] = {}
    stack = [(node, False)]
    while stack:
        part, ready = stack.pop()
        if ready:
            depths[id(part)] = 1 + max((depths[id(arg)] for arg in part.args), default=0)
        elif id(part) not in depths:
            stack.append((part, True))
            stack.extend((arg, False) for arg in part.args)
    return depths[id(node)]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a tape: an operation on the results of earlier lines."""

    op: str
    args: tuple[int, ...]
    number: Fraction | None
    constant: bool


def tape(node: Node) -> tuple[Step, ...]:
    """The tree as a list of steps, equal subtrees once, the result last."""
    steps: list[Step] = []
    known: dict[tuple[str, tuple[int, ...], Fraction | None], int] = {}
    index_of: dict[int, int] = {}

    def place(part: Node) -> int:
        if id(part) in index_of:
            return index_of[id(part)]
        args = tuple(place(arg) for arg in part.args)
        key = (part.op, args, part.number)
        if key not in known:
            constant = part.op != "x" and all(steps[arg].constant for arg in args)
            steps.append(Step(part.op, args, part.number, constant))
            known[key] = len(steps) - 1
        index_of[id(part)] = known[key]
        return known[key]

    last = place(node)
    return tuple(steps[: last + 1])
