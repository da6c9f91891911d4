"""A point in words: its phase, what becomes of signals and gradients over the depth, and the lines that initialise a network there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.errors import MeanFieldError

if TYPE_CHECKING:
    from meanfield.theory.mean_field import MeanField
    from meanfield.theory.trajectory import Trajectory

_NEAR = 0.1  # |χ₁ − 1| that the words call close
_LOST = 100.0  # a factor over the depth, either way, from which on the words speak of a loss


def verdict_of(net: MeanField, way: Trajectory, depth: int) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """The verdict, the table of numbers, the lines to paste.

    Examples
    --------
    >>> import meanfield as mf
    >>> net = mf.MeanField("tanh", sigma_w=2.5, sigma_b=0.2)
    >>> print(verdict_of(net, net.propagate(50), 50)[0])
    Chaotic: gradients explode, 3.6e+10 times from the last layer to the first of 50; inputs that begin at c = 0.5 end at c = 0.058.
    """
    return _words(net, way, depth), _rows(net), _lines(net)


def _words(net: MeanField, way: Trajectory, depth: int) -> str:
    phase = {"ordered": "Ordered", "chaotic": "Chaotic", "critical": "On the edge of chaos"}[net.phase]
    if net.phase != "critical" and abs(net.chi_1 - 1.0) <= _NEAR:
        phase += ", close to the edge of chaos"
    if net.q_star == math.inf:
        return f"{phase}: the variance grows without bound from q = 1" + (
            f", past 1000 behind layer {way.depth}." if way.depth < depth else f"; {way.q1[-1]:.3g} behind layer {depth}."
        )
    gradient, difference = float(way.gradient[0]), float(way.epsilon[-1])
    if gradient > _LOST:
        says = f"gradients explode, {_factor(gradient)} times from the last layer to the first of {depth}"
    elif gradient < 1.0 / _LOST:
        says = f"gradients vanish, {_factor(gradient)} of the last layer's arrives at the first of {depth}"
    else:
        says = f"{_factor(gradient)} of the last layer's squared gradient arrives at the first of {depth}"
    if difference < 0.5 / _LOST:
        return f"{phase}: {says}; inputs that begin at c = 0.5 become alike, 1 − c = {difference:.2g}."
    return f"{phase}: {says}; inputs that begin at c = 0.5 end at c = {1.0 - difference:.2g}."


def _factor(value: float) -> str:
    """Two digits, as a person writes them: 440, 5.5e+07."""
    return f"{float(f'{value:.2g}'):.0f}" if 10.0 <= value < 1e5 else f"{value:.2g}"


def _rows(net: MeanField) -> tuple[tuple[str, str], ...]:
    far: tuple[tuple[str, str], ...] = ()
    try:
        scales, c_star = net.depth_scales, net.c_star
        far = (("c*", _number(c_star)), ("ξ_q", _layers(scales.xi_q)), ("ξ_c", _layers(scales.xi_c)), ("ξ_∇", _layers(scales.xi_grad)))
    except MeanFieldError:  # no correlation map at infinite q
        pass
    fixed = ", ".join(f"{point.value:.4g}{'' if point.stable else ' (leaves)'}" for point in net.variance_fixed_points()[:4])
    return (
        ("phase", net.phase),
        ("χ₁", _number(net.chi_1)),
        ("q*", _number(net.q_star)),
        ("all fixed points of F", fixed or "none"),
        *far,
    )


def _number(value: float) -> str:
    return "every c stays" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.6g}"


def _layers(value: float) -> str:
    if value < 0.0:  # −1/log of a slope above 1
        return f"grows e-fold in {-value:.4g} layers"
    return "∞" if math.isinf(value) else f"{value:.4g} layers"


def _lines(net: MeanField) -> str:
    """Python that gives a torch model these σ's."""
    return "\n".join(
        (
            f"# {net.activation.name}: weights N(0, sigma_w²/fan_in), biases N(0, sigma_b²)",
            "for module in model.modules():",
            "    if isinstance(module, torch.nn.Linear):",
            f"        torch.nn.init.normal_(module.weight, std={net.sigma_w:.6g} / module.in_features**0.5)",
            "        if module.bias is not None:",
            f"            torch.nn.init.normal_(module.bias, std={net.sigma_b:.6g})",
        )
    )
