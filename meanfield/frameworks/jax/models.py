"""Models of Flax NNX, of Equinox, and pytrees of arrays: what they hold, how they are called, how weights are put back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from meanfield.errors import DomainError
from meanfield.frameworks.jax.installed import jax


@dataclass(frozen=True)
class Model:
    """A model taken apart.

    Attributes
    ----------
    parameters : Any
        A pytree of the arrays that are trained.
    rest : Any
        A pytree of what else it holds: counters, running means, random keys.
    paths : list of str
        Of the parameters' leaves, in their order.
    call : callable
        (parameters, rest, *x) ↦ the model's answer, in training mode.
    put : callable
        From a pytree of new parameters to the model that has them: the same one where models can change.
    kind : callable
        The class of the module that holds the parameter of a path; "" where there is none.
    """

    parameters: Any
    rest: Any
    paths: list[str]
    call: Callable[..., Any]
    put: Callable[[Any], Any]
    kind: Callable[[str], str]


def taken_apart(model: Any, call: Callable[..., Any] | None) -> Model:
    """A Flax NNX module, an Equinox module, or with `call` any pytree of arrays.

    Raises
    ------
    DomainError
        If it is none of these.
    """
    if call is not None and not callable(call):
        raise DomainError(f"call = {call!r} is out of range: it must be a function of the model and of x")
    nnx, equinox = sys.modules.get("flax.nnx"), sys.modules.get("equinox")
    if nnx is not None and isinstance(model, nnx.Module):
        return _of_flax(nnx, model, call)
    if equinox is not None and isinstance(model, equinox.Module):
        return _of_equinox(equinox, model, call)
    leaves = jax().tree_util.tree_leaves(model)
    if call is None or not leaves or not all(hasattr(leaf, "dtype") for leaf in leaves):
        raise DomainError(
            f"model must be a flax.nnx.Module, an equinox.Module, or with call= a pytree of arrays (Flax linen: its variables and "
            f"call=lambda variables, x: module.apply(variables, x)), not {type(model).__name__}"
        )
    return Model(model, (), _paths(model), lambda parameters, rest, *x: call(parameters, *x), lambda new: new, lambda path: "")


def _of_flax(nnx: Any, model: Any, call: Callable[..., Any] | None) -> Model:
    graph, parameters, rest = nnx.split(model, nnx.Param, ...)
    owners = {".".join(map(str, path)): type(part).__name__ for path, part in nnx.iter_graph(model) if isinstance(part, nnx.Module)}

    def called(new: Any, others: Any, *x: Any) -> Any:
        merged = nnx.merge(graph, new, others)
        merged.train()
        return merged(*x) if call is None else call(merged, *x)

    def put(new: Any) -> Any:
        nnx.update(model, new)
        return model

    return Model(parameters, rest, _paths(parameters), called, put, lambda path: owners.get(path.rpartition(".")[0], ""))


def _of_equinox(equinox: Any, model: Any, call: Callable[..., Any] | None) -> Model:
    parameters, rest = equinox.partition(model, equinox.is_inexact_array)
    arrays, static = equinox.partition(rest, equinox.is_array)

    def called(new: Any, others: Any, *x: Any) -> Any:
        merged = equinox.nn.inference_mode(equinox.combine(new, others, static), value=False)
        return merged(*x) if call is None else call(merged, *x)

    def kind(path: str) -> str:
        found: Any = model
        for word in path.split(".")[:-1]:
            if isinstance(found, Mapping):
                found = next((value for key, value in found.items() if str(key) == word), None)
            else:
                found = found[int(word)] if word.isdigit() else getattr(found, word, None)
        return type(found).__name__ if isinstance(found, equinox.Module) else ""

    return Model(parameters, arrays, _paths(parameters), called, lambda new: equinox.combine(new, rest), kind)


def _paths(tree: Any) -> list[str]:
    """Where each leaf is: "layers.0.weight"."""
    found = []
    for path, _ in jax().tree_util.tree_flatten_with_path(tree)[0]:
        words = [_word(entry) for entry in path]
        found.append(".".join(word for word in words if word not in ("value", "raw_value")))
    return found


def _word(entry: Any) -> str:
    for name in ("key", "idx", "name"):
        if hasattr(entry, name):
            return str(getattr(entry, name))
    return str(entry)
