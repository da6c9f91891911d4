"""Layers that a model repeats, by their names, and the one that is unlike the others: no theory is needed to see it."""

from __future__ import annotations

import math
import re
from collections.abc import Container
from statistics import median
from typing import Any

from meanfield.frameworks.torch.roles import role
from meanfield.frameworks.torch.weight_layers import fan_in, is_weight_layer

ALIKE = 4  # layers from which on they tell what is usual
TIGHT = 1.15  # factor within which nearly all of them lie, so that one outside means something
FAR = 1.6  # factor that makes one an outlier
LOOSE = 4.0  # the same behind a pooling
DEAD = -2.5  # β/γ from which on ReLU behind a normalisation passes one value in 160


CHANCE = 5.0  # standard deviations of a root mean square of few numbers that are no outlier


def outliers(sizes: dict[str, float], kinds: dict[str, Any], counts: dict[str, int] | None = None) -> dict[str, tuple[float, float]]:
    """Names whose size is far from their siblings', and that of the siblings.

    Siblings have the same name but for numbers, the last one aside where enough share it (a block's first and second layer are no
    siblings), the same kind and nearly the same size: all but one or two in ten. Two or more that are unlike the others and like each other
    are a design, as the branches of a stage of its own are. `counts` says from how many random numbers a size comes: the root mean square
    of n spreads by 1/√(2n).
    """
    found: dict[str, tuple[float, float]] = {}
    for names in _siblings(list(sizes), kinds):
        usual = _usual(names, sizes)
        if usual == 0.0:
            continue
        far = []
        for name in names:
            ratio = sizes[name] / usual
            chance = CHANCE / math.sqrt(2.0 * counts[name]) if counts is not None and counts.get(name) else 0.0
            if ratio == 0.0 or abs(math.log(ratio)) > math.log(FAR) + chance:
                far.append(name)
        for name in far:
            like = [other for other in far if sizes[name] > 0.0 and 1.0 / TIGHT <= sizes[other] / sizes[name] <= TIGHT]
            if len(like) == 1 or sizes[name] == 0.0:
                found[name] = sizes[name], usual
    return found


def _siblings(names: list[str], kinds: dict[str, Any]) -> list[list[str]]:
    """Groups of at least `ALIKE`."""
    close: dict[tuple[str, Any], list[str]] = {}
    for name in names:
        close.setdefault((re.sub(r"\d+(?=.*\d)", "#", name), kinds.get(name)), []).append(name)
    loose: dict[tuple[str, Any], list[str]] = {}
    groups = []
    for members in close.values():
        if len(members) >= ALIKE:
            groups.append(members)
            continue
        for name in members:
            loose.setdefault((re.sub(r"\d+", "#", name), kinds.get(name)), []).append(name)
    return groups + [members for members in loose.values() if len(members) >= ALIKE]


def _usual(names: list[str], sizes: dict[str, float]) -> float:
    """The median of sizes that nearly all lie near it; 0 where they don't."""
    usual = median(sizes[name] for name in names)
    near = [name for name in names if usual > 0.0 and 1.0 / TIGHT <= sizes[name] / usual <= TIGHT]
    return usual if len(near) >= ALIKE - 1 and len(near) >= 0.75 * len(names) else 0.0


def odd_weights(model: Any, apart: set[str], loose: Container[str] = ()) -> dict[str, tuple[float, float]]:
    """Weights, by the names of their modules, that are unlike their siblings: σ_w, and the one that would be like theirs.

    Transformers draw all of them with one standard deviation, others by fan-in, fan-out or the mean of both: what fits its siblings in one
    of these ways is as drawn. Those `apart` are left out, and of those in `loose` twice as much is allowed: behind a pooling E[x²]
    differs from block to block.
    """
    from torch.nn.parameter import is_lazy

    spread: dict[str, float] = {}
    fans: dict[str, tuple[float, float]] = {}
    kinds: dict[str, Any] = {}
    counts: dict[str, int] = {}
    modules = dict(model.named_modules())
    for name, parameter in model.named_parameters():
        owner, _, last = name.rpartition(".")
        shown = owner if last == "weight" or last.startswith("original") else name
        if parameter.dim() < 2 or parameter.is_meta or parameter.is_complex() or is_lazy(parameter) or shown in apart:
            continue
        module = modules.get(owner)
        fan = fan_in(module) if is_weight_layer(module) and last == "weight" else float(parameter[0].numel())
        fans[shown] = fan, fan * parameter.shape[0] / max(parameter.shape[1], 1)  # of convolutions too: kernel · outputs/groups
        spread[shown] = float(parameter.detach().double().square().mean().sqrt())
        kinds[shown], counts[shown] = (type(module).__name__, fan == 1.0), parameter.numel()
    groups = {name: group for group in _siblings(list(spread), kinds) for name in group}
    found: dict[str, tuple[float, float]] = {}
    fits: set[str] = set()
    for a, b in ((1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (0.5, 0.5)):
        sizes = {name: spread[name] * math.sqrt(a * fans[name][0] + b * fans[name][1] or 1.0) for name in spread}
        for name, (size, usual) in outliers(sizes, kinds, counts).items():
            if name in loose and size > 0.0 and abs(math.log(size / usual)) < math.log(LOOSE):
                continue
            scale = spread[name] * math.sqrt(fans[name][0])
            found.setdefault(name, (scale, scale * usual / size) if size > 0.0 else (0.0, usual))
        for name, group in groups.items():
            usual = _usual(group, sizes)
            if usual > 0.0 and 1.0 / TIGHT <= sizes[name] / usual <= TIGHT:
                fits.add(name)
    return {name: sizes for name, sizes in found.items() if name not in fits}


def odd_normalisations(model: Any) -> dict[str, str]:
    """Normalisations whose γ or β is unlike that of their siblings, or cuts off most of what a rectifier would pass; and what."""
    sizes: dict[str, float] = {}
    kinds: dict[str, Any] = {}
    said: dict[str, str] = {}
    for name, module in model.named_modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if role(module) != "normalisation" or weight is None or not hasattr(weight, "detach") or weight.is_meta:
            continue
        sizes[name] = float(weight.detach().double().square().mean().sqrt())
        kinds[name] = type(module).__name__
        if bias is not None and hasattr(bias, "detach") and sizes[name] > 0.0:
            low = (bias.detach().double() / weight.detach().double().abs().clamp_min(1e-300) < DEAD).double().mean()
            high = float(bias.detach().double().square().mean().sqrt()) / sizes[name]
            if float(low) > 0.3:
                said[name] = f"β is below −2.5 γ in {float(low):.0%} of its channels: a rectifier behind it passes next to nothing"
            elif high > -2.0 * DEAD:
                said[name] = f"β is {high:.3g} times γ: what it normalises no longer matters"
    for name, (size, usual) in outliers(sizes, kinds).items():
        if size != 0.0:  # a γ of 0 at the end of a residual branch is a design
            said.setdefault(name, f"γ = {size:.3g} where the others like it have {usual:.3g}")
    return said
