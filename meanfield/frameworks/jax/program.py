"""A jaxpr as one list of operations: calls inside it are written out, and every value has a number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meanfield.frameworks.jax.installed import jax

# Functions of jax.numpy that only move numbers about, though what they do inside looks like more.
CLOSED = frozenset({"_pad"})
LOOPS = frozenset({"scan", "while", "cond"})


@dataclass(frozen=True, eq=False)
class Operation:
    """One primitive.

    Attributes
    ----------
    name : str
        Of the primitive.
    inputs, outputs : tuple of int
    parameters : mapping
    inside : str
        The function of jax that it is a part of: "gelu".
    """

    primitive: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    parameters: Mapping[str, Any] = field(repr=False)
    inside: str = ""

    @property
    def name(self) -> str:
        """Of the primitive, or of the function that is kept as one."""
        given = self.parameters.get("name")
        return given if given in CLOSED else str(self.primitive.name)

    @property
    def shown(self) -> str:
        """For people."""
        return self.inside.strip("_") or self.name

    def __call__(self, *values: Any) -> list[Any]:
        """What it makes of these values."""
        bound = self.primitive.get_bind_params(dict(self.parameters))
        functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # a pair before jax 0.8
        answer = self.primitive.bind(*functions, *values, **parameters)
        return list(answer) if self.primitive.multiple_results else [answer]


@dataclass(frozen=True)
class Program:
    """All operations in order.

    Attributes
    ----------
    operations : tuple of Operation
    inputs, outputs : tuple of int
    constants : dict from int to array
    shapes : dict from int to tuple of int
    """

    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    constants: dict[int, Any]
    shapes: dict[int, tuple[int, ...]]


def traced(function: Callable[..., Any], *arguments: Any) -> Program:
    """The operations of a function, found by tracing it on arguments."""
    closed = jax().make_jaxpr(function)(*arguments)
    writer = _Writer()
    inputs = [writer.new(variable) for variable in closed.jaxpr.invars]
    outputs = writer.written(closed.jaxpr, closed.consts, inputs, "")
    return Program(tuple(writer.operations), tuple(inputs), tuple(outputs), writer.constants, writer.shapes)


def run(operations: Iterable[Operation], known: dict[int, Any], wanted: int) -> Any:
    """The value of one number, from values of what it depends on; `known` grows."""
    for operation in operations:
        known.update(zip(operation.outputs, operation(*(known[i] for i in operation.inputs)), strict=True))
    return known[wanted]


class _Writer:
    """Writes calls out."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.constants: dict[int, Any] = {}
        self.shapes: dict[int, tuple[int, ...]] = {}

    def new(self, variable: Any) -> int:
        """A number for a variable."""
        number = len(self.shapes)
        self.shapes[number] = tuple(getattr(variable.aval, "shape", ()))
        return number

    def constant(self, variable: Any, value: Any) -> int:
        """A number for a value that is known."""
        number = self.new(variable)
        self.constants[number] = value
        return number

    def written(self, jaxpr: Any, values: Sequence[Any], arguments: Sequence[int], inside: str) -> list[int]:
        """The numbers of a jaxpr's results."""
        known: dict[Any, int] = dict(zip(jaxpr.invars, arguments, strict=True))
        known |= {variable: self.constant(variable, value) for variable, value in zip(jaxpr.constvars, values, strict=True)}

        def number(atom: Any) -> int:
            return self.constant(atom, atom.val) if hasattr(atom, "val") else known[atom]

        for equation in jaxpr.eqns:
            inputs = tuple(number(atom) for atom in equation.invars)
            inner = _inner(equation)
            if inner is None:
                outputs = [self.new(variable) for variable in equation.outvars]
                self.operations.append(Operation(equation.primitive, inputs, tuple(outputs), equation.params, inside))
            else:
                called = str(equation.params.get("name", ""))
                outputs = self.written(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), inputs, called or inside)
            known.update(zip(equation.outvars, outputs, strict=True))
        return [number(atom) for atom in jaxpr.outvars]


def _inner(equation: Any) -> Any:
    """The jaxpr that an operation merely calls."""
    if equation.primitive.name in LOOPS or equation.params.get("name") in CLOSED:
        return None
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        found = equation.params.get(key)
        plain = getattr(found, "jaxpr", found)
        if hasattr(plain, "eqns") and len(plain.invars) == len(equation.invars) and len(plain.outvars) == len(equation.outvars):
            return found
    return None
