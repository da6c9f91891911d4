"""What a model has at 0 by design when it starts: output layers, ends of residual branches (SkipInit, ReZero, Fixup)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meanfield.frameworks.architecture import is_output
from meanfield.frameworks.residual import residual_sums

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
    without: set[str] = set()
    notes: list[str] = []
    if heads:
        without |= {name for name in order if name not in heads}
        notes.append(
            f"the output layer {', '.join(map(repr, heads))} starts at 0: no gradient passes it before the first step, so none is judged"
        )
    count = 0
    for item in residual_sums(steps):
        ends = {end.name for end in item.ends}
        if not item.skip or not (item.zero or ends & zero):
            continue
        count += 1
        layers.update(dict.fromkeys(ends & zero, "the end of a residual branch whose weights are all 0, by design"))
        inner = {steps[i].name for i in item.inner if steps[i].kind == "layer"}
        without |= inner if item.zero else inner - ends
    if count:
        notes.append(
            f"{count} residual branches start at 0: the model is the identity there, and no gradient enters them before the first step"
        )
    return Zeros(layers, frozenset(without), tuple(notes))
