"""Published initialisations of whole models, on request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.frameworks.architecture import is_output
from meanfield.frameworks.residual import residual_sums
from meanfield.frameworks.torch.installed import torch
from meanfield.frameworks.torch.standardised import own_sigmas

if TYPE_CHECKING:
    from meanfield.frameworks.following import Followed
    from meanfield.frameworks.plan import PlannedLayer

SCHEMES = ("fixup", "rezero", "default")
SHAPING = ("dks", "tat")


def checked_scheme(scheme: Any, sigma_w: float | None, sigma_b: float | None) -> str:
    """A scheme's name, "" for our own."""
    if scheme is None:
        return ""
    if scheme not in (*SCHEMES, *SHAPING):
        raise DomainError(f"scheme = {scheme!r} is out of range: it must be one of {', '.join(map(repr, (*SCHEMES, *SHAPING)))}")
    if sigma_w is not None or sigma_b is not None:
        raise DomainError(f"scheme = {scheme!r} has σ's of its own: give a scheme or sigma_w, sigma_b, not both")
    return str(scheme)


def with_scheme(found: Followed, planned: dict[str, PlannedLayer], scheme: str) -> dict[str, PlannedLayer]:
    """The plan with a scheme's scales at residual branches.

    References
    ----------
    Zhang, Dauphin, Ma (2019), section 3; Bachlechner et al. (2020); De & Smith (2020).
    """
    if not scheme:
        return planned
    steps = found.architecture.steps
    sums = [item for item in residual_sums(steps) if item.skip]
    if not sums:
        raise DomainError(f"scheme = {scheme!r} is for residual networks, and the model has no residual sum")
    result = dict(planned)

    def scaled(name: str, factor: float, note: str) -> None:
        plan = result[name]
        bias = 0.0 if scheme == "fixup" else plan.sigma_b * factor
        result[name] = replace(
            plan,
            sigma_w=plan.sigma_w * factor,
            sigma_b=bias,
            q=bias**2 + (plan.sigma_w * factor) ** 2 * plan.incoming,
            note=note,
            method="scheme",
        )

    for item in sums:
        ends = {end.name for end in item.ends}
        inside = {steps[i].name for i in item.inner if steps[i].kind == "layer"} - ends
        for name in ends:
            scaled(name, 0.0, f"{scheme}: the end of one of {len(sums)} residual branches starts at 0")
        if scheme == "fixup" and inside:
            count = len(inside) + 1  # layers of the branch
            for name in inside:
                scaled(name, len(sums) ** (-1.0 / (2 * count - 2)), f"fixup: × L^(−1/(2m − 2)), L = {len(sums)}, m = {count}")
    if scheme == "fixup":
        for name in found.architecture.layers:
            if is_output(found.architecture, name) and name not in {end.name for item in sums for end in item.ends}:
                scaled(name, 0.0, "fixup: an output layer starts at 0")
    return result


def as_they_come(found: Followed, planned: dict[str, PlannedLayer], generator: Any) -> dict[str, PlannedLayer]:
    """Every layer's own reset_parameters."""
    t = torch()
    result = {}
    with t.random.fork_rng(devices=[], enabled=generator is not None):
        if generator is not None:
            t.default_generator.manual_seed(generator.initial_seed())
        for name, plan in planned.items():
            layer = found.architecture.layers[name]
            layer.reset_parameters()
            sigma_w, sigma_b = own_sigmas(layer)
            q = sigma_b**2 + sigma_w**2 * plan.incoming
            result[name] = replace(plan, sigma_w=sigma_w, sigma_b=sigma_b, q=q, note="the layer's own reset_parameters", method="scheme")
    return result
