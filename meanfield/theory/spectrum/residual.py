"""The spectrum of residual networks: J = Π skip (1 + scale/skip W_l D_l) [Tarnowski et al. 2019, for the limit; exact here at finite L]."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.theory.spectrum.product import Layers, spectrum_of_product
from meanfield.theory.spectrum.slope_law import slope_law

if TYPE_CHECKING:
    from meanfield.theory.layer_field import LayerField
    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum


def spectrum_of_blocks(field: LayerField, depth: int, weights: str, q: Any) -> JacobianSpectrum:
    """`jacobian_spectrum` of depth residual blocks whose branch is an activation and a dense layer.

    With x = scale² σ_w² E φ'²/skip² each block has E s² = skip²(1 + x) and Var s²/(E s²)² = (2x + x²(μ₂/μ₁² − 1 + g))/(1 + x)².
    """
    from meanfield.theory.spectrum.jacobian_law import mean_square
    from meanfield.theory.spectrum.plain_layers import _grouped, checked_spectrum_arguments, path_of

    rule = field.rule
    act = rule.activation
    layers, _ = checked_spectrum_arguments(depth, weights)
    path: tuple[float, ...]
    if isinstance(q, str):
        path = path_of(field, layers, q)
        told = f"along the trajectory from q = 1 to {path[-1]:.6g}"
    else:
        at = field.spectrum_variance(q)
        if math.isinf(at):
            raise DomainError(
                f"the variances of {field.layer} grow without end, and q* is inf: give the q at which all blocks are, or 'trajectory'"
            )
        path, told = (at,), f"q = {at:.6g}"
    parts, log_mean = [], 0.0
    for at, count in _grouped(path, layers):
        x = rule.w * mean_square(act, at, slope_law(act, at)) / rule.a
        parts.append(Layers(at, count, 1.0, x))
        log_mean += count * (math.log(rule.a) + math.log1p(x))
    title = f"Jacobian of {layers} residual block{'s' if layers > 1 else ''} of {act.name}, {weights} weights, {told}"
    sigma_w = math.sqrt(rule.w)
    return spectrum_of_product(
        act,
        sigma_w,
        layers,
        weights,
        path if len(path) > 1 else path[0],
        title,
        parts,
        [(1.0, 1.0 - layers)],
        0.0,
        log_mean,
    )
