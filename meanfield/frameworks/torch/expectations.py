"""What σ_w and σ_b a model's layers should have, judged by the layers themselves and by the theory."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import DomainError
from meanfield.frameworks.plan import PlannedLayer, Planner
from meanfield.frameworks.signal import slope_of
from meanfield.frameworks.torch.weight_layers import fan_in
from meanfield.theory.edge_of_chaos import edge_of_chaos
from meanfield.theory.recommend import recommend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meanfield.activations import Activation
    from meanfield.frameworks.architecture import Step
    from meanfield.frameworks.following import Followed

ALIKE = 3  # hidden layers from which on they tell what is usual
NARROW, WIDE, WIDEST = 0.05, 0.15, 0.35  # relative departures of σ_w that matter: from one's likes, from a plan, of outputs from it
NONE = (1.0, 1.0, 1.0)  # no factors
BAND = 1.25  # σ_w over that of the edge of chaos that still counts as on it


@dataclass(frozen=True)
class Expected:
    """σ's that a layer should have, its q, the number of layers that they were estimated from, and the tolerance on σ_w."""

    sigma_w: float
    sigma_b: float
    q: float
    estimated_from: int
    tolerance: float


def expected_sigmas(
    followed: Followed,
    depth: int,
    found: dict[str, tuple[float, float]],
    given: tuple[float | None, float | None],
    input_variance: float,
    off: dict[str, tuple[str, float]],
    factors: dict[str, tuple[float, float, float]],
) -> tuple[dict[str, Expected], list[str]]:
    """For each layer; and notes.

    Where σ's are given those count, at the ends also scaled as `init_` does. Otherwise hidden layers alike are compared with their median,
    so that one that differs stands out whatever the initialisation; first and output layers with the ways in which `init_` scales them,
    at the σ's that are usual in the model unless those are off the edge.
    """
    notes: list[str] = []
    plans: list[dict[str, PlannedLayer]] = []
    usual = _usual(followed, found, factors)

    def add(sigma_w: float | None, sigma_b: float | None, variance: float, ends: bool) -> None:
        try:
            plans.append(Planner(followed, depth, sigma_w, sigma_b, variance, ends).plan())
        except DomainError as error:
            if str(error) not in notes:
                notes.append(str(error))

    inputs = (1.0, input_variance)
    if given[0] is not None:
        for variance in inputs:
            add(*given, variance, True)
        add(*given, 1.0, False)
    else:
        for variance in inputs:
            add(None, given[1], variance, True)
        for sigma_w, sigma_b in _whole_models(followed, depth, found, off, factors) if given[1] is None else ():
            for variance in inputs:
                add(sigma_w, sigma_b, variance, True)
            add(sigma_w, sigma_b, 1.0, False)
    judged_by_likes = {
        name
        for name in followed.follows
        if given[0] is None and name not in ends_of(followed) and _agree(_key(followed, name, factors), usual, followed, found, factors)
    }
    others = [name for name in followed.follows if name not in judged_by_likes]
    # One plan for all of them: the one that fewest depart from.
    best = min(plans, key=lambda plan: _departures(plan, others, found), default=None)
    expected: dict[str, Expected] = {}
    for name in followed.follows:
        if name in judged_by_likes:
            w, b, count = usual[_key(followed, name, factors)]
            way = best.get(name) if best is not None else None
            linear = [plan[name].sigma_w for plan in plans if name in followed.missing and name in plan]
            chance = 3.0 / math.sqrt(2.0 * followed.architecture.layers[name].weight.numel())
            near = [size for size in linear if abs(found[name][0] - size) <= (NARROW + chance) * size]
            if near:  # a linear pair is planned for the variance that it gives on, wherever it stands
                w, count = near[0], 1
            elif _as_drawn(name, _key(followed, name, factors), followed, found, factors):
                w = found[name][0]
            elif way is not None and abs(found[name][0] - way.sigma_w) <= NARROW * way.sigma_w and abs(w / way.sigma_w - 1.0) > 1e-6:
                w, b, count = way.sigma_w, way.sigma_b, 1  # along a residual stream like layers are planned unlike
            expected[name] = Expected(w, b, plans[0][name].q if plans else math.nan, count, NARROW)
        elif best is not None and name in best:
            way = best[name]
            if way.branch < 1.0 and way.sigma_w <= found[name][0] <= way.sigma_w / way.branch:
                # 1/√L is our way to bound a stretch of residual branches, not the only one.
                expected[name] = Expected(*found[name], way.q, 1, NARROW)
                continue
            expected[name] = Expected(way.sigma_w, way.sigma_b, way.q, 1, _tolerance(way) if given[0] is None else NARROW)
        else:
            expected[name] = Expected(*found[name], math.nan, 1, math.inf)
    return expected, notes


def planned_by_us(followed: Followed, depth: int) -> dict[str, PlannedLayer]:
    """What `init_` would plan; nothing where it can't."""
    with contextlib.suppress(DomainError):
        return Planner(followed, depth, None, None, 1.0, True).plan()
    return {}


def planned_factors(planned: dict[str, PlannedLayer]) -> dict[str, tuple[float, float, float]]:
    """What dropout, the ends of branches and the lack of an activation before multiply each layer's σ_w by."""
    return {name: (layer.dropout, layer.branch, layer.raw) for name, layer in planned.items()}


def as_planned(planned: dict[str, PlannedLayer], found: dict[str, tuple[float, float]]) -> set[str]:
    """Layers with the σ_w that is planned for them, in a model most of whose layers are so: σ_w may differ from block to block there."""
    known = [name for name in planned if name in found and planned[name].sigma_w > 0.0]
    near = {name for name in known if abs(found[name][0] - planned[name].sigma_w) <= WIDE * planned[name].sigma_w}
    return near if len(near) > 0.7 * len(known) else set()


def off_the_edge(
    followed: Followed, depth: int, found: dict[str, tuple[float, float]], factors: dict[str, tuple[float, float, float]]
) -> dict[str, tuple[str, float]]:
    """Layers whose usual σ_w is far from the edge of chaos of their activation: why, and σ_w there."""
    off: dict[str, tuple[str, float]] = {}
    usual = _usual(followed, found, factors, 1)
    acts = {_key(followed, name, factors): act for name, act in followed.follows.items() if act is not None}
    of_key: dict[str, tuple[float, float, float]] = {}
    for name in followed.follows:
        key = _key(followed, name, factors)
        dropout, branch, raw = factors.get(name, NONE)
        of_key[key] = (dropout, branch, min(raw, of_key.get(key, NONE)[2]))
    for key, (sigma_w, sigma_b, count) in usual.items():
        act = acts.get(key)
        dropout, branch, raw = of_key[key]
        if act is None or slope_of(act) is not None or branch < 1.0:
            continue
        near = _nearest_edge(act, sigma_w / dropout, sigma_b, depth)
        near = None if near is None else near * dropout
        # Behind no activation σ_w on the edge gives twice the variance for relu: harmless, and not what is planned.
        if near is None or min(raw, 1.0) / BAND <= sigma_w / near <= BAND:
            continue
        text = (
            f"σ_w = {sigma_w:.4g} in {'this layer' if count == 1 else f'{count} layers'} is {sigma_w / near:.3g} times {near:.4g}, "
            f"the edge of chaos of {act.name} at σ_b = {sigma_b:.3g}{' with the dropout before it' if dropout != 1.0 else ''}"
        )
        off.update(
            {name: (text, near) for name in followed.follows if _key(followed, name, factors) == key and name not in ends_of(followed)}
        )
    return off


def _nearest_edge(act: Activation, sigma_w: float, sigma_b: float, depth: int) -> float | None:
    if not np.any(act.values(np.linspace(-3.0, 3.0, 61), 0)):  # a gate of 0: nothing has an edge
        return None
    edge = edge_of_chaos(act, sigma_b)
    candidates = [float(edge.sigma_w)]
    with contextlib.suppress(DomainError):
        candidates.append(recommend(act, depth).sigma_w)
    if not any(value > 0.0 and 1.0 / BAND <= sigma_w / value <= BAND for value in candidates):
        candidates += [float(point.sigma_w) for point in edge.all_points(0)]  # a long search for an activation that oscillates
    candidates = [value for value in candidates if math.isfinite(value) and value > 0.0]
    return min(candidates, key=lambda value: abs(_log(value, sigma_w))) if candidates else None


def _usual(
    followed: Followed, found: dict[str, tuple[float, float]], factors: dict[str, tuple[float, float, float]], least: int = ALIKE
) -> dict[str, tuple[float, float, int]]:
    """Median σ_w and σ_b of hidden layers alike, and how many there are."""
    groups: dict[str, list[str]] = {}
    for name in followed.follows:
        if name not in ends_of(followed) and name in found:
            groups.setdefault(_key(followed, name, factors), []).append(name)
    return {
        key: (median(found[name][0] for name in names), median(found[name][1] for name in names), len(names))
        for key, names in groups.items()
        if len(names) >= least
    }


def _agree(
    key: str,
    usual: dict[str, tuple[float, float, int]],
    followed: Followed,
    found: dict[str, tuple[float, float]],
    factors: dict[str, tuple[float, float, float]],
) -> bool:
    """Whether layers of a kind have a usual σ_w: most of them lie near it. Where each has one of its own, none is unlike the others."""
    if key not in usual:
        return False
    sigma_w = usual[key][0]
    sizes = [found[name][0] for name in followed.follows if name in found and _key(followed, name, factors) == key]
    return sum(abs(size - sigma_w) <= WIDE * sigma_w for size in sizes) > 0.5 * len(sizes)


def _as_drawn(
    name: str, key: str, followed: Followed, found: dict[str, tuple[float, float]], factors: dict[str, tuple[float, float, float]]
) -> bool:
    """Whether a layer's weights have the standard deviation that those of its kind have, whatever their fan-in: 0.02 in transformers."""
    layers = followed.architecture.layers
    raw = {n: found[n][0] / math.sqrt(fan_in(layers[n])) for n in followed.follows if n in found and _key(followed, n, factors) == key}
    usual = median(raw.values())
    return abs(raw[name] - usual) <= NARROW * usual


def ends_of(followed: Followed) -> set[str]:
    """Layers that see data, and output layers."""
    steps = followed.architecture.steps
    first = {step.name for step in steps if step.kind == "layer" and _sees_data(steps, step.sources)}
    return first | {name for name, act in followed.follows.items() if act is None}


def _sees_data(steps: tuple[Step, ...], sources: tuple[int, ...]) -> bool:
    for source in sources:
        kind = steps[source].kind
        if kind == "data" or (kind not in ("layer", "activation") and _sees_data(steps, steps[source].sources)):
            return True
    return False


def _key(followed: Followed, name: str, factors: dict[str, tuple[float, float, float]]) -> str:
    """What makes hidden layers alike: activation, whether there are biases, dropout before them, being the end of a branch."""
    act = followed.follows[name]
    if name in followed.missing:  # as its neighbours
        act = followed.follows.get(followed.missing[name]) or act
    bias = followed.architecture.layers[name].bias is not None
    dropout, branch, raw = factors.get(name, NONE)
    words = (act.name if act is not None else "", "" if bias else "no bias", f"{dropout:.4g}", f"{branch:.4g}", "" if raw == 1.0 else "raw")
    return ", ".join(words)


def _whole_models(
    followed: Followed,
    depth: int,
    found: dict[str, tuple[float, float]],
    off: dict[str, tuple[str, float]],
    factors: dict[str, tuple[float, float, float]],
) -> Iterator[tuple[float, float]]:
    """σ's that a model may have been given as a whole: those usual in it, unless off the edge, and the recommended ones."""
    usual = max(_usual(followed, found, factors, 1).values(), key=lambda item: item[2], default=None)
    if usual is not None and not off:
        yield usual[0], usual[1]
    acts = [act for act in followed.follows.values() if act is not None]
    if acts:
        with contextlib.suppress(DomainError):
            best = recommend(max(acts, key=acts.count), depth)
            yield best.sigma_w, best.sigma_b


def _tolerance(way: PlannedLayer) -> float:
    """Relative departure of σ_w from a plan that matters; output layers are scaled in many ways."""
    return WIDEST if way.follows is None else WIDE


def _departures(plan: dict[str, PlannedLayer], names: list[str], found: dict[str, tuple[float, float]]) -> tuple[int, float]:
    """How many layers lie off a plan by more than the tolerance, and by how much all do."""
    weights = [abs(_log(plan[name].sigma_w, found[name][0])) for name in names if name in plan]
    allowed = [math.log1p(_tolerance(plan[name])) for name in names if name in plan]
    biases = [abs(plan[name].sigma_b - found[name][1]) / max(plan[name].sigma_w, 1e-300) for name in names if name in plan]
    return sum(distance > most for distance, most in zip(weights, allowed, strict=True)), math.fsum(weights) + math.fsum(biases)


def _log(a: float, b: float) -> float:
    return math.log(a / b) if a > 0.0 and b > 0.0 else (0.0 if a == b else math.inf)
