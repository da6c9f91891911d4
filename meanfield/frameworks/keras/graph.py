"""A Functional or Sequential model as calls in order, models inside it written out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from meanfield.errors import DomainError
from meanfield.frameworks.keras.installed import keras


@dataclass(frozen=True, eq=False)
class Call:
    """One operation or layer on tensors that are known by numbers.

    Attributes
    ----------
    operation : keras.Operation
    name : str
        The layer's, and those of the models around it.
    inputs, outputs : tuple of int
    shapes : tuple of tuple of int or None
        Of the inputs.
    given : callable
        (tensors of the inputs) ↦ the operation's arguments.
    """

    operation: Any
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    given: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]

    def __call__(self, *tensors: Any, **settings: Any) -> Any:
        """What it makes of tensors."""
        arguments, keywords = self.given(*tensors)
        return self.operation(*arguments, **{**keywords, **settings})


@dataclass(frozen=True)
class Graph:
    """All calls in an order in which they can be made.

    Attributes
    ----------
    calls : tuple of Call
    inputs, outputs : tuple of int
    """

    calls: tuple[Call, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def graph_of(model: Any) -> Graph:
    """The calls of a model.

    Raises
    ------
    DomainError
        If it is no model, not built, or written as a subclass, whose calls nobody keeps.
    """
    if not isinstance(model, keras.Model):
        raise DomainError(f"model must be a keras.Model, not {type(model).__name__}")
    plain = _functional(model)
    if plain is None:
        if isinstance(model, keras.Sequential):
            raise DomainError("model is a Sequential that has no input shape yet: begin it with keras.Input, or give x")
        raise DomainError(
            f"model = {type(model).__name__} is written as a subclass, and which layer follows which is not kept: build it with the "
            "functional API (keras.Model(inputs, outputs)) or as a Sequential"
        )
    known: dict[int, int] = {}
    calls = tuple(_calls(plain, "", known, count().__next__))
    inputs = tuple(known[id(tensor)] for tensor in keras.tree.flatten(plain.inputs))
    return Graph(calls, inputs, tuple(known[id(tensor)] for tensor in keras.tree.flatten(plain.outputs)))


def _functional(model: Any) -> Any:
    """The Functional that a model is, or holds; None where there is none."""
    if isinstance(model, keras.Sequential):
        return getattr(model, "_functional", None)
    return model if hasattr(model, "_nodes_by_depth") else None


def _calls(model: Any, prefix: str, known: dict[int, int], fresh: Callable[[], int]) -> Iterator[Call]:
    """In order of depth; `known` are the numbers of the model's own tensors, filled in here."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                known.update({id(tensor): fresh() for tensor in node.outputs if id(tensor) not in known})
                continue
            inputs = tuple(known[id(tensor)] for tensor in node.input_tensors)
            inner, name = _functional(node.operation), f"{prefix}{node.operation.name}"
            if inner is None:
                known.update({id(tensor): fresh() for tensor in node.outputs})
                shapes = tuple(tuple(tensor.shape) for tensor in node.input_tensors)
                yield Call(node.operation, name, inputs, tuple(known[id(tensor)] for tensor in node.outputs), shapes, _filled(node))
                continue
            # A model inside has tensors of its own; called twice it is written out twice.
            own = {id(tensor): number for tensor, number in zip(keras.tree.flatten(inner.inputs), inputs, strict=True)}
            yield from _calls(inner, f"{name}.", own, fresh)
            answers = keras.tree.flatten(inner.outputs)
            known.update({id(tensor): own[id(answer)] for tensor, answer in zip(node.outputs, answers, strict=True)})


def _filled(node: Any) -> Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of a call with tensors in their places."""
    places = [id(tensor) for tensor in node.input_tensors]
    arguments, keywords = node.arguments.args, node.arguments.kwargs

    def given(*tensors: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        table = dict(zip(places, tensors, strict=True))

        def put(value: Any) -> Any:
            return table.get(id(value), value)

        return tuple(keras.tree.map_structure(put, arguments)), dict(keras.tree.map_structure(put, keywords))

    return given
