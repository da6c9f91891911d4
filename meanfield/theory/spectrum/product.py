"""The spectrum of a product of layers that differ, from what each of them is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meanfield.errors import DomainError
from meanfield.theory.spectrum.jacobian_law import result
from meanfield.theory.spectrum.moments import log_s_of_block, log_s_of_product, log_s_transform
from meanfield.theory.spectrum.slope_law import slope_law, squared_slope_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meanfield.activations import Activation
    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum


@dataclass(frozen=True)
class Layers:
    """Equal layers of a product: the variance of their pre-activations, how many, and ρ and x of `Factor`."""

    q: float
    count: int
    ratio: float = 1.0
    branch: float = 0.0


@dataclass(frozen=True)
class Product:
    """What the moments of a product follow from; over are the terms c log(1 + ρm) of log z."""

    layers: tuple[Layers, ...]
    over: tuple[tuple[float, float], ...]

    def log_s(self, act: Activation, gaussian: bool, order: int) -> tuple[float, ...]:
        """Coefficients of log S of s²/E s²; −inf where a moment of φ'² is infinite."""
        factors = []
        for layer in self.layers:
            moments = [squared_slope_moment(act, layer.q, j) for j in range(2, order + 2)]
            if not all(map(math.isfinite, moments)):
                return (-math.inf,) * order
            own = log_s_transform(moments)
            if layer.branch > 0.0:  # the weights are inside: log S_W = −log(1 + m)
                own = log_s_of_block([c + float(gaussian) * (-1.0) ** j / j for j, c in enumerate(own, start=1)], layer.branch)
            factors.append((own, layer.count, layer.ratio))
        return tuple(log_s_of_product(factors, self.over, order))


def spectrum_of_product(
    act: Activation,
    sigma_w: float,
    depth: int,
    weights: str,
    q: float | tuple[float, ...],
    title: str,
    layers: Sequence[Layers],
    over: Sequence[tuple[float, float]],
    zero_mass: float,
    log_mean: float,
) -> JacobianSpectrum:
    """The result; log_mean is log E s²."""
    from meanfield.theory.spectrum.unequal_layers import Factor, UnequalLayers, mean_log_of

    gaussian = weights == "gaussian"
    factors = [Factor(slope_law(act, layer.q), layer.count, layer.ratio, layer.branch) for layer in layers]
    if any(factor.branch > 0.0 and factor.law.zero_mass > 0.5 for factor in factors):
        raise DomainError(
            f"activation = {act.name} has no slope at more than half of the units, and as many singular values of a residual block are "
            f"its skip exactly: the spectrum of such blocks is not served"
        )
    product = Product(tuple(layers), tuple(over))
    curve = UnequalLayers(factors, gaussian, over, zero_mass)
    if all(layer.ratio == 1.0 for layer in layers) and all(ratio == 1.0 for ratio, _ in over):
        spread = math.fsum(
            factor.count * ((2.0 * x + x * x * (v + float(gaussian))) / (1.0 + x) ** 2 if x > 0.0 else v + float(gaussian))
            for factor, x, v in ((factor, factor.branch, factor.law.spread) for factor in factors)
        )
    else:  # −log S's first coefficient; layers of other widths are no residual blocks
        spread = -1.0 + sum(times * ratio for ratio, times in over)
        spread += sum(factor.count * factor.ratio * (1.0 + factor.law.spread) for factor in factors)
    mean_log = mean_log_of(factors, gaussian, over, zero_mass)
    laws = tuple(factor.law for factor in factors)
    return result(act, sigma_w, depth, weights, q, title, curve, laws, log_mean, spread, mean_log, product)
