"""Which activation follows each layer: as the model is found to be, and as its user says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meanfield.activations import activation as find_activation
from meanfield.errors import ActivationError, DomainError
from meanfield.frameworks.architecture import Architecture, Step, with_followers
from meanfield.frameworks.equality import same

if TYPE_CHECKING:
    from meanfield.activations import Activation

WAYS = "an activation for the whole model, or a dictionary from layer names to activations"


@dataclass(frozen=True)
class Followed:
    """An architecture in which every layer has its activation; None stands for an output layer."""

    architecture: Architecture
    follows: dict[str, Activation | None]
    missing: dict[str, str]  # layers that meet another layer with nothing between, and which; only where that is allowed
    unclear: dict[str, str] = field(default_factory=dict)  # layers of which it can't be told, and why; only where that is allowed


def followed(
    architecture: Architecture,
    spec: Any,
    *,
    strict: bool = True,
    checked: bool = True,
    read: Callable[[Any], Activation] = find_activation,
) -> Followed:
    """The activation after each layer; with strict a missing one is an error that names the layer, with checked one that `spec` claims.

    `read` makes an activation of what a user of the framework may name.
    """
    whole, single = _given(architecture, spec, read)
    architecture = _spelled_out(architecture, whole, single, strict) if architecture.untraced else _told(architecture, whole, single)
    follows: dict[str, Activation | None] = {}
    missing: dict[str, str] = {}
    doubtful: dict[str, str] = {}
    for name in architecture.layers:
        said = single.get(name, whole)
        found, met, unclear = architecture.followers[name], architecture.meets[name], architecture.unclear[name]
        shown = name or type(architecture.layers[name]).__name__
        if unclear:
            if strict:
                raise ActivationError(
                    f"layer {shown!r} is followed by {unclear[0]}, which may be an activation or not: say so with activation= ({WAYS})"
                )
            follows[name], doubtful[name] = find_activation("linear"), f"followed by {unclear[0]}, which may be an activation or not"
        elif found:
            try:
                follows[name] = _agreed(shown, found, said)
            except ActivationError:
                if strict or said is not None:
                    raise
                follows[name], doubtful[name] = found[0], f"followed by {' and '.join(act.name for act in found)}"
        elif met:
            if name in single and same(single[name], find_activation("linear")):
                follows[name] = single[name]
            elif name in architecture.streams and name not in single:
                follows[name] = find_activation("linear")  # a residual stream is read without an activation
            elif strict or (checked and said is not None):
                claim = f"; {said.name} was given, and is not there" if said is not None else ""
                raise ActivationError(
                    f"layer {shown!r} is followed by layer {met[0]!r} with no activation between{claim}: put one there, "
                    f"or say activation={{{name!r}: 'linear'}} if that is meant"
                )
            else:
                follows[name] = find_activation("linear")
                missing[name] = met[0]
        else:
            follows[name] = _output(shown, name, architecture, single.get(name), whole)
    return Followed(architecture, follows, missing, doubtful)


def _given(architecture: Architecture, spec: Any, read: Callable[[Any], Activation]) -> tuple[Activation | None, dict[str, Activation]]:
    if spec is None:
        return None, {}
    if not isinstance(spec, Mapping):
        return read(spec), {}
    single = {}
    for name, value in spec.items():
        if name not in architecture.layers:
            raise DomainError(f"activation: {name!r} is no layer of the model; its layers are {', '.join(map(repr, architecture.layers))}")
        try:
            single[name] = read(value)
        except ActivationError as error:
            raise ActivationError(f"activation of layer {name!r}: {error}") from error
    return None, single


def _agreed(shown: str, found: tuple[Activation, ...], said: Activation | None) -> Activation:
    """The activation that was found, if it is the same everywhere and the one that was said."""
    first = found[0]
    if said is not None:
        for act in found:
            if same(act, said):
                return act
        raise ActivationError(
            f"layer {shown!r} is followed by {' and '.join(act.name for act in found)}, not by {said.name} as activation= says"
        )
    if any(not same(first, act) for act in found[1:]):
        raise ActivationError(
            f"layer {shown!r} is followed by {' and '.join(act.name for act in found)}: choose with activation={{{shown!r}: …}}"
        )
    return first


def _output(shown: str, name: str, architecture: Architecture, own: Activation | None, whole: Activation | None) -> Activation | None:
    """An output layer; a model of one layer takes the activation that it is given."""
    lone = len(architecture.layers) == 1
    if own is not None and not lone and not architecture.untraced and not same(own, find_activation("linear")):
        raise ActivationError(f"layer {shown!r} is an output of the model: no {own.name} follows it")
    if own is not None:
        return None if same(own, find_activation("linear")) else own
    return whole if lone else None


def _told(architecture: Architecture, whole: Activation | None, single: dict[str, Activation]) -> Architecture:
    """Unclear operations become the activations that the user named."""
    if not any(architecture.unclear.values()):
        return architecture
    steps = list(architecture.steps)
    before = _layers_before(architecture.steps)
    changed = False
    for index, step in enumerate(steps):
        if step.kind == "other":
            named = [single.get(name, whole) for name in before[index]]
            said = next((act for act in named if act is not None), None)
            if said is not None:
                steps[index] = Step("activation", step.sources, step.name, said)
                changed = True
    return with_followers(replace(architecture, steps=tuple(steps))) if changed else architecture


def _layers_before(steps: tuple[Step, ...]) -> list[frozenset[str]]:
    """The layers whose raw output reaches a step."""
    pending: list[frozenset[str]] = []
    arriving: list[frozenset[str]] = []
    for step in steps:
        here = frozenset().union(*(pending[source] for source in step.sources)) if step.sources else frozenset()
        arriving.append(here)
        pending.append(frozenset({step.name}) if step.kind == "layer" else frozenset() if step.kind in ("activation", "other") else here)
    return arriving


def _spelled_out(architecture: Architecture, whole: Activation | None, single: dict[str, Activation], strict: bool) -> Architecture:
    """An untraced model: the activations that the user named, after each layer but the last."""
    steps: list[Step] = []
    names = list(architecture.layers)
    for step in architecture.steps:
        sources = (len(steps) - 1,) if steps else ()
        steps.append(replace(step, sources=sources))
        if step.kind != "layer":
            continue
        act = single.get(step.name, whole)
        if act is None and step.name != names[-1] and strict:
            raise ActivationError(
                f"the model can't be traced ({architecture.untraced}), so the activation after layer {step.name!r} is not known: "
                f"give activation= ({WAYS})"
            )
        if act is not None and (step.name != names[-1] or step.name in single):
            # Behind the normalisation that may stand between.
            steps.append(Step("activation", (len(steps) - 1,), act.name, act))
    # A normalisation registered after a layer stands before its activation.
    for index in range(1, len(steps) - 1):
        if steps[index].kind == "activation" and steps[index + 1].kind == "normalisation":
            steps[index], steps[index + 1] = replace(steps[index + 1], sources=(index - 1,)), replace(steps[index], sources=(index,))
    return with_followers(replace(architecture, steps=tuple(steps)))
