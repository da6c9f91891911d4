"""The spectrum where layers differ in width: m, per unit, scales with the number of units."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.theory.spectrum.jacobian_law import mean_square, result
from meanfield.theory.spectrum.one_layer import OneLayer
from meanfield.theory.spectrum.product import Layers, Product, spectrum_of_product
from meanfield.theory.spectrum.slope_law import slope_law

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum

WIDEST = 10**9


def checked_widths(widths: Any, depth: int) -> tuple[int, ...]:
    """N_0, …, N_L."""
    if isinstance(widths, str) or not isinstance(widths, (Sequence, np.ndarray)) or len(widths) != depth + 1:
        raise DomainError(f"widths = {widths!r} is out of range: depth + 1 = {depth + 1} whole numbers, the units of h^0, ..., h^L"[:300])
    for n in widths:
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n <= WIDEST:
            raise DomainError(f"widths has {n!r}, which is out of range: a whole number in [1, {WIDEST}]")
    return tuple(int(n) for n in widths)


def spectrum_of_widths(
    act: Activation,
    sigma_w: float,
    weights: str,
    path: tuple[float, ...],
    widths: tuple[int, ...],
    q: float | tuple[float, ...],
    title: str,
) -> JacobianSpectrum:
    """The law of the min(N_0, N_L) singular values of J = Π W_l D_(l−1), path[l] the variance of h^l.

    log z = log((1 + m_L)/m_L) + Σ_l [log ζ_l + log m_l] for Gaussian weights, with m_l N_l the same in all layers; orthogonal ones, of
    entries with variance σ_w²/fan_in, have −log(1 + m) of the wider side of each more.
    """
    depth, gaussian = len(widths) - 1, weights == "gaussian"
    units = min(widths[0], widths[-1])
    groups: Counter[tuple[float, int]] = Counter(zip(path if len(path) > 1 else path * depth, widths[:-1], strict=True))
    layers = [Layers(at, count, units / n) for (at, n), count in groups.items()]
    over: Counter[float] = Counter({units / widths[-1]: 1})
    if not gaussian:
        for before, after in pairwise(widths):
            over[units / max(before, after)] -= 1
    log_mean, rank = 0.0, min(widths)
    left = float(rank)
    for (at, n), count in groups.items():
        law = slope_law(act, at)
        log_mean += count * (2.0 * math.log(sigma_w) + math.log(mean_square(act, at, law)))
        left = min(left, n * (1.0 - law.zero_mass))
    # Each of N_L outputs has Σ s² = χ^L.
    log_mean += math.log(widths[-1] / units)
    if not gaussian and depth == 1 and widths[1] > widths[0]:  # orthonormal columns: the slopes themselves
        law = slope_law(act, path[0])
        product = Product((Layers(path[0], 1),), ((1.0, 0.0),))
        return result(act, sigma_w, 1, weights, q, title, OneLayer(law), (law,), log_mean, law.spread, law.mean_log, product)
    if not gaussian and all(slope_law(act, at).finite_valued for at, _ in groups) and _isolated(act, groups, widths) > 0.0:
        raise DomainError(
            "widths: with orthogonal weights this network has isolated singular values, which are served for equal widths only"
        )
    terms = [(ratio, float(times)) for ratio, times in over.items() if times]
    return spectrum_of_product(act, sigma_w, depth, weights, q, title, layers, terms, 1.0 - left / units, log_mean)


def _isolated(act: Activation, groups: Counter[tuple[float, int]], widths: tuple[int, ...]) -> float:
    """Units that all layers multiply by one number."""
    lost = sum(max(0, before - after) for before, after in pairwise(widths))
    missing = sum(n * count * (1.0 - float(np.max(slope_law(act, at).masses))) for (at, n), count in groups.items())
    return widths[0] - lost - missing
