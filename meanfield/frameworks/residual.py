"""Residual sums of a model: their branches, and by how much a stretch of them is scaled down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meanfield.frameworks.signal import slope_of

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.frameworks.architecture import Step


@dataclass(frozen=True)
class End:
    """The last weight layer of a branch: what the branch multiplies its output by, what dropout leaves, the activation behind it."""

    name: str
    gain: float
    kept: float
    activation: Activation | None


@dataclass(frozen=True)
class ResidualSum:
    """A sum of a stream and of branches that start from it, or of branches alone.

    Attributes
    ----------
    step : int
    branches : int
    inner : frozenset of int
        The steps between the stream and the sum.
    ends : tuple of End
    scaled : bool
        Whether nothing in the model itself (a normalisation at the branch's end, a factor on the stream) bounds the variance.
    skip : bool
        Whether one term is the stream itself.
    zero : tuple of str
        What in the branches' tails is 0: a layer's weights, a normalisation's, a factor.
    """

    step: int
    branches: int
    inner: frozenset[int]
    ends: tuple[End, ...]
    scaled: bool
    skip: bool
    zero: tuple[str, ...]


def residual_sums(steps: tuple[Step, ...]) -> tuple[ResidualSum, ...]:
    """All of them in order."""
    before: list[int] = []  # sets of steps as bits
    for step in steps:
        bits = 0
        for source in step.sources:
            bits |= before[source] | 1 << source
        before.append(bits)
    consumers: list[list[int]] = [[] for _ in steps]
    for index, step in enumerate(steps):
        for source in step.sources:
            consumers[source].append(index)
    found = []
    # x + f(x) + g(x) is one sum, though it is written as two.
    inside = {
        index
        for index, step in enumerate(steps)
        if step.kind == "sum" and len(consumers[index]) == 1 and steps[consumers[index][0]].kind == "sum"
    }
    for index, step in enumerate(steps):
        if step.kind == "sum" and index not in inside and len(set(step.sources)) > 1:
            one = _read(steps, index, before, consumers, inside)
            if one is not None:
                found.append(one)
    return tuple(found)


def _read(steps: tuple[Step, ...], index: int, before: list[int], consumers: list[list[int]], inside: set[int]) -> ResidualSum | None:
    sources = _terms(steps, index, inside)
    roots = {source: _root(steps, source) for source in sources}
    skip, branches = None, sources
    for source in sources:
        others = [
            other
            for other in sources
            if other != source and before[other] >> roots[source][0] & 1 and _holds_layer(steps, other, roots[source][0], before)
        ]
        if others and not _holds_layer(steps, source, roots[source][0], before):
            skip, branches = source, others
            break
    start = None if skip is None else roots[skip][0]
    ends: dict[str, End] = {}
    zero: list[str] = []
    fresh = True
    for branch in branches:
        reached = _ends(steps, branch, start, ends, zero)
        fresh = fresh and reached
    if not ends:
        return None
    if skip is None:
        # Terms that all end in weights of their own add up whatever came before; else the theory of such sums is not ours.
        normalised = any(_tail_is_normalised(steps, branch) for branch in branches)
        return ResidualSum(index, len(branches), frozenset(), tuple(ends.values()), fresh and not normalised, False, tuple(zero))
    inner = frozenset(
        i
        for i in range(start + 1 if start is not None else 0, index)
        if start is not None and before[i] >> start & 1 and any(i == b or before[b] >> i & 1 for b in branches)
    )
    factor = roots[skip][1]
    behind = [slope for c in consumers[index] if (slope := _factor(steps[c])) is not None]
    own = factor != 1.0 or (bool(behind) and len(behind) == len(consumers[index]) and any(k != 1.0 for k in behind))
    # A normalisation at the branch's end sets its size, one at its beginning does not: p_L = p_0 + L s².
    scaled = not own and not any(_tail_is_normalised(steps, branch) for branch in branches)
    return ResidualSum(index, len(branches), inner, tuple(ends.values()), scaled, True, tuple(zero))


def _terms(steps: tuple[Step, ...], index: int, inside: set[int]) -> list[int]:
    """The terms of a sum, those of sums inside it included."""
    found: list[int] = []
    waiting = list(steps[index].sources)
    while waiting:
        term = waiting.pop(0)
        if term in inside:
            waiting.extend(steps[term].sources)
        elif term not in found:
            found.append(term)
    return found


def _factor(step: Step) -> float | None:
    if step.kind == "scale":
        return step.size
    return slope_of(step.activation) if step.kind == "activation" and step.activation is not None else None


def _root(steps: tuple[Step, ...], index: int) -> tuple[int, float]:
    """Where a stream is the same but for dropout, pooling and a factor, and that factor."""
    factor = 1.0
    while True:
        step = steps[index]
        slope = _factor(step)
        if step.kind in ("dropout", "pool") and step.sources:
            index = step.sources[0]
        elif slope is not None:
            factor *= slope
            index = step.sources[0]
        else:
            return index, factor


def _holds_layer(steps: tuple[Step, ...], index: int, start: int, before: list[int]) -> bool:
    """Whether a weight layer lies on the way from start to a step."""
    between = (i for i in range(start + 1, index + 1) if before[i] >> start & 1 and (i == index or before[index] >> i & 1))
    return any(steps[i].kind == "layer" for i in between)


def _ends(steps: tuple[Step, ...], branch: int, start: int | None, ends: dict[str, End], zero: list[str]) -> bool:
    """Fill in the last layers before a step; False where some way reaches the start, or data, without one."""
    fresh = True
    seen: set[int] = set()
    waiting: list[tuple[int, float, float, Activation | None]] = [(branch, 1.0, 1.0, None)]
    while waiting:
        index, gain, kept, act = waiting.pop()
        step = steps[index]
        if index in seen:
            continue
        seen.add(index)
        if step.zero:
            zero.append(step.name)
        if step.kind == "layer":
            known = ends.get(step.name, End(step.name, gain, kept, act))
            ends[step.name] = End(step.name, max(gain, known.gain), min(kept, known.kept), act)
            continue
        if index == start or not step.sources:
            fresh = False
            continue
        if step.kind == "dropout" and not step.alpha:
            kept *= 1.0 - step.rate
        elif step.kind == "scale" or (step.kind == "activation" and step.activation is not None):
            slope = _factor(step)
            if slope is None:
                act = act or step.activation
            else:
                gain *= abs(slope)
                if slope == 0.0:
                    zero.append(step.name)
        waiting.extend((source, gain, kept, act) for source in step.sources)
    return fresh


def _tail_is_normalised(steps: tuple[Step, ...], index: int) -> bool:
    step = steps[index]
    while step.kind not in ("layer", "data") and step.sources:
        if step.kind == "normalisation":
            return True
        step = steps[step.sources[0]]
    return False


def blocks_in_stretch(steps: tuple[Step, ...], sums: tuple[ResidualSum, ...]) -> dict[int, int]:
    """For each sum of a stream that nothing bounds: the branches on the longest way through it without a normalisation."""
    counts = {item.step: item.branches for item in sums if item.scaled and item.skip}
    ahead, behind = [0] * len(steps), [0] * len(steps)
    for index, step in enumerate(steps):
        if step.kind != "normalisation":
            ahead[index] = max((ahead[source] for source in step.sources), default=0) + counts.get(index, 0)
    for index in range(len(steps) - 1, -1, -1):
        behind[index] += counts.get(index, 0)
        if steps[index].kind != "normalisation":
            for source in steps[index].sources:
                behind[source] = max(behind[source], behind[index])
    return {index: ahead[index] + behind[index] - count for index, count in counts.items()}


def branch_scale(blocks: int, share: float) -> float:
    """1/√(L (1 + (L − 1) E²/V)): L branches of mean E and second moment V, independent, add L V + L (L − 1) E² to a stream."""
    return 1.0 / math.sqrt(blocks * (1.0 + (blocks - 1) * share))
