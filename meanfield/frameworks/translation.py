"""An activation's formula in the operations of a framework, so that the framework differentiates and compiles it.

One walk over the tree serves torch, JAX and Keras; each brings a table of its own functions. A branch of `where` is evaluated at a point of
its own half where it is not taken: otherwise exp overflows on the wrong side of an ELU, and 0·∞ makes its gradient nan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.activations.activation import shortened
from meanfield.activations.catalogue.entry import CatalogueActivation
from meanfield.activations.formula.fields import Doubles
from meanfield.activations.formula.formula import FormulaActivation
from meanfield.activations.formula.jets import evaluate
from meanfield.activations.formula.tree import COMPARISONS, LOGIC, Node, has_x, tape
from meanfield.activations.shaped import ShapedActivation
from meanfield.errors import ActivationError

if TYPE_CHECKING:
    from meanfield.activations import Activation

# Where a branch is looked for a point at which it is taken: near 0 first, as it is finite there most likely.
PROBES = np.concatenate([[0.0], np.outer([0.5, 1.0, 2.0, 4.0, 16.0, 64.0], [1.0, -1.0]).ravel()])

Operations = Mapping[str, Callable[..., Any]]


class Scales:
    """γ, α, β, δ of a shaped activation, and the φ inside; 1, 1, 0, 0 of any other.

    Examples
    --------
    >>> import meanfield as mf
    >>> Scales(mf.shape_activation("tanh", depth=50)).base
    activation('tanh')
    """

    def __init__(self, activation: Any) -> None:
        act: Activation = find_activation(activation)
        self.name = act.name
        self.base = act
        self.output_scale, self.input_scale, self.input_shift, self.output_shift = 1.0, 1.0, 0.0, 0.0
        if isinstance(act, ShapedActivation):
            self.base = act.base
            self.output_scale, self.input_scale = act.output_scale, act.input_scale
            self.input_shift, self.output_shift = act.input_shift, act.output_shift

    def around(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """x ↦ γ(φ(αx + β) + δ) for φ in the framework's operations."""
        gamma, alpha, beta, delta = self.output_scale, self.input_scale, self.input_shift, self.output_shift
        if (gamma, alpha, beta, delta) == (1.0, 1.0, 0.0, 0.0):
            return function

        def shaped(x: Any) -> Any:
            return gamma * (function(alpha * x + beta) + delta)

        return shaped

    def tree(self, framework: str) -> Node:
        """The formula of φ.

        Raises
        ------
        ActivationError
            Where φ is known by its values only.
        """
        if isinstance(self.base, CatalogueActivation):
            return self.base._tree()
        if isinstance(self.base, FormulaActivation):
            return self.base._tree
        how = f"give it as a formula or a function of {framework}"
        raise ActivationError(f"{shortened(self.base.name)} has no formula, so {framework} can't differentiate it: {how}")


def translated(tree: Node, operations: Operations) -> Callable[[Any], Any]:
    """The function of a tree, in a framework's operations.

    Parameters
    ----------
    tree : Node
    operations : mapping
        Functions by name, `where(condition, a, b)`, `full_like(x, number)`, `logical_and/or/not` and `heaviside` among them.
        maximum and minimum get an array and an array or a number.

    Examples
    --------
    >>> from meanfield.activations.formula.parse import parse
    >>> table = {"exp": np.exp, "where": np.where, "full_like": np.full_like}
    >>> translated(parse("where(x > 0, x, exp(x) - 1)"), table)(np.array([-1.0, 2.0])).round(6).tolist()
    [-0.632121, 2.0]
    """

    def function(x: Any) -> Any:
        value = _walk(tree, x, operations, {})
        return operations["full_like"](x, value) if isinstance(value, float) else value

    return function


def _walk(node: Node, x: Any, operations: Operations, known: dict[int, Any]) -> Any:
    if id(node) in known:
        return known[id(node)]
    if node.op == "x":
        value = x
    elif not has_x(node) and node.op not in COMPARISONS and node.op not in LOGIC:
        value = _constant(node)
    elif node.op == "where":
        value = _where(node, x, operations, known)
    else:
        args = [_walk(arg, x, operations, known) for arg in node.args]
        value = _applied(node.op, args, operations)
    known[id(node)] = value
    return value


def _constant(node: Node) -> float:
    """A number, or an expression of numbers."""
    if node.op == "number" and node.number is not None:
        return node.number.numerator / node.number.denominator
    jet = evaluate(tape(node), np.zeros(1), 0, Doubles())
    return 0.0 if jet[0] is None else float(np.ravel(jet[0].value)[0])


def _where(node: Node, x: Any, operations: Operations, known: dict[int, Any]) -> Any:
    condition, *branches = node.args
    if not has_x(condition):
        return _walk(branches[0] if _taken(condition)[0] else branches[1], x, operations, known)
    holds = _walk(condition, x, operations, known)
    taken = _taken(condition)
    values = []
    for branch, own in zip(branches, (taken, ~taken), strict=True):
        if not has_x(branch):
            values.append(operations["full_like"](x, _constant(branch)))
        elif branch.op == "x" or not own.any():
            values.append(_walk(branch, x, operations, known))
        else:
            safe = operations["full_like"](x, float(PROBES[int(np.argmax(own))]))
            inside = operations["where"](holds, x, safe) if own is taken else operations["where"](holds, safe, x)
            values.append(_walk(branch, inside, operations, {}))
    return operations["where"](holds, *values)


def _taken(condition: Node) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where among the probes a condition holds."""
    tree = Node("where", (condition, Node("x"), Node("neg", (Node("x"),))))
    moved = PROBES + 1e-3  # so that x is nowhere 0
    with np.errstate(all="ignore"):
        jet = evaluate(tape(tree), moved, 0, Doubles())
    value = np.zeros(moved.size) if jet[0] is None else np.broadcast_to(jet[0].value, moved.shape)
    found: np.ndarray[Any, np.dtype[np.bool_]] = value == moved
    return found


def _applied(op: str, args: list[Any], operations: Operations) -> Any:
    if op in _OPERATORS:
        return _OPERATORS[op](*args)
    if op in ("max", "min"):
        name = {"max": "maximum", "min": "minimum"}[op]
        value = args[0]
        for other in args[1:]:
            value = operations[name](other, value) if isinstance(value, float) else operations[name](value, other)
        return value
    if op == "clip":
        return operations["minimum"](operations["maximum"](args[0], args[1]), args[2])
    if op in ("and", "or", "not"):
        return operations[f"logical_{op}"](*args)
    return operations[op](*args)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "+": lambda *args: math.fsum(args) if all(isinstance(a, float) for a in args) else _sum(args),
    "*": lambda *args: _product(args),
    "/": lambda a, b: a / b,
    "**": lambda a, b: a ** (int(b) if isinstance(b, float) and b == int(b) else b),
    "neg": lambda a: -a,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def _sum(args: tuple[Any, ...]) -> Any:
    value = args[0]
    for other in args[1:]:
        value = value + other
    return value


def _product(args: tuple[Any, ...]) -> Any:
    value = args[0]
    for other in args[1:]:
        value = value * other
    return value
