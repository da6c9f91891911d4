"""Layers that a model repeats, by their names, and the one that is unlike the others: no theory is needed to see it."""

from __future__ import annotations

import math
import re
from statistics import median
from typing import Any

from meanfield.frameworks.torch.roles import role

ALIKE = 4  # layers from which on they tell what is usual
TIGHT = 1.15  # factor within which nearly all of them lie, so that one outside means something
FAR = 1.6  # factor that makes one an outlier
DEAD = -2.5  # β/γ from which on ReLU behind a normalisation passes one value in 160


def outliers(sizes: dict[str, float], kinds: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Names whose size is far from their siblings', and that of the siblings.

    Siblings have the same name but for numbers, the same kind and nearly the same size: all but one or two in ten.
    """
    groups: dict[tuple[str, Any], list[str]] = {}
    for name in sizes:
        groups.setdefault((re.sub(r"\d+", "#", name), kinds.get(name)), []).append(name)
    found: dict[str, tuple[float, float]] = {}
    for names in groups.values():
        if len(names) < ALIKE:
            continue
        usual = median(sizes[name] for name in names)
        near = [name for name in names if usual > 0.0 and 1.0 / TIGHT <= sizes[name] / usual <= TIGHT]
        if len(near) < ALIKE - 1 or len(near) < 0.75 * len(names):
            continue
        for name in names:
            ratio = sizes[name] / usual
            if ratio == 0.0 or abs(math.log(ratio)) > math.log(FAR):
                found[name] = sizes[name], usual
    return found


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
