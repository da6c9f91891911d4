"""What a model has at 0 by design when it starts: output layers, ends of residual branches (SkipInit, ReZero, Fixup)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meanfield.frameworks.architecture import is_output
from meanfield.frameworks.residual import residual_sums
from meanfield.frameworks.signal import slope_of

if TYPE_CHECKING:
    from meanfield.frameworks.architecture import Architecture


@dataclass(frozen=True)
class Zeros:
    """What is 0 at initialisation by design: layers and why, layers that no gradient reaches therefore, and that in words."""

    layers: dict[str, str]
    without_gradient: frozenset[str]
    notes: tuple[str, ...]


def zero_by_design(architecture: Architecture, order: list[str], zero: set[str]) -> Zeros:
    """Output layers and ends of residual branches that start at 0, as SkipInit, ReZero and Fixup do."""
    steps = architecture.steps
    heads = [name for name in order if name in zero and is_output(architecture, name)]
    layers = dict.fromkeys(heads, "an output layer whose weights are all 0, by design")
    notes: list[str] = []
    if heads:
        notes.append(
            f"the output layer {', '.join(map(repr, heads))} starts at 0: no gradient passes it before the first step, so none is judged"
        )
    count = 0
    for item in residual_sums(steps):
        ends = {end.name for end in item.ends}
        if not (item.zero or ends & zero) or (not item.skip and ends <= zero):
            continue
        count += 1
        layers.update(dict.fromkeys(ends & zero, "the end of a residual branch whose weights are all 0, by design"))
    reached = _reached(architecture, set(layers)) if heads or count else set(order)
    without = set(order) - reached
    if count:
        notes.append(
            f"{count} residual branches start at 0: the model is the identity there, and no gradient enters them before the first step"
        )
    return Zeros(layers, frozenset(without), tuple(notes))


def _reached(architecture: Architecture, zero: set[str]) -> set[str]:
    """Layers that a gradient reaches from the ends of the model, past no layer, normalisation or factor that is 0."""
    steps = architecture.steps
    read = {source for step in steps for source in step.sources}
    reached = [index in architecture.outputs or not (architecture.outputs or index in read) for index in range(len(steps))]
    names: set[str] = set()
    for index in range(len(steps) - 1, -1, -1):
        step = steps[index]
        if not reached[index]:
            continue
        if step.kind == "layer":
            names.add(step.name)
        slope = slope_of(step.activation) if step.kind == "activation" and step.activation is not None else None
        if step.zero or slope == 0.0 or (step.kind == "layer" and step.name in zero):
            continue
        for source in step.sources:
            reached[source] = True
    return names
