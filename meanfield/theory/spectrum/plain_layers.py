"""The singular values of the Jacobian of a plain network whose maps are at hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.arguments import variance
from meanfield.theory.arguments import one_standard_deviation
from meanfield.theory.spectrum.equal_layers import EqualLayers
from meanfield.theory.spectrum.jacobian_law import mean_square, result
from meanfield.theory.spectrum.one_layer import OneLayer
from meanfield.theory.spectrum.product import Layers, Product, spectrum_of_product
from meanfield.theory.spectrum.rectangular import checked_widths, spectrum_of_widths
from meanfield.theory.spectrum.slope_law import slope_law

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.theory.spectrum.jacobian_law import Curve, JacobianSpectrum
    from meanfield.theory.spectrum.slope_law import SlopeLaw

DEEPEST = 100_000_000
TRAJECTORY_DEEPEST = 100_000
SAME_LAYER = 1e-11  # relative difference of two variances whose laws are taken to be one
WEIGHTS = ("gaussian", "orthogonal")


def spectrum_of(net: Any, depth: int, weights: str = "gaussian", q: Any = None, widths: Any = None) -> JacobianSpectrum:
    """`jacobian_spectrum` of a plain `MeanField`."""
    act: Activation = net.activation
    sigma_w = one_standard_deviation("sigma_w", net.sigma_w)
    if sigma_w == 0.0:
        raise DomainError("sigma_w = 0.0 is out of range: without weights the Jacobian is 0")
    layers, gaussian = checked_spectrum_arguments(depth, weights)
    label = f"Jacobian of {layers} layer{'s' if layers > 1 else ''} of {act.name}, sigma_w = {sigma_w:.9g}, {weights} weights"
    if widths is not None:
        units = checked_widths(widths, layers)
        if len(set(units)) > 1:
            path = path_of(net, layers, q) if isinstance(q, str) else (float(net.q_star) if q is None else one_variance(q),)
            told = f"along the trajectory from q = 1 to {path[-1]:.6g}" if isinstance(q, str) else f"q = {path[0]:.6g}"
            shown = ", ".join(map(str, units)) if len(units) < 7 else f"{units[0]}, {units[1]}, ..., {units[-1]}"
            title = f"{label}, {told}, widths {shown}"
            return spectrum_of_widths(act, sigma_w, weights, path, units, path if len(path) > 1 else path[0], title)
    if isinstance(q, str):
        return _along(net, layers, gaussian, label, path_of(net, layers, q))
    at = float(net.q_star) if q is None else one_variance(q)
    law = slope_law(act, at)
    curve: Curve = OneLayer(law) if layers == 1 and not gaussian else EqualLayers(law, layers, gaussian)
    # E s² = χ^L with χ = σ_w² E d, as `MeanField.chi_1` has it at q*.
    log_mean = layers * (2.0 * math.log(sigma_w) + math.log(mean_square(act, at, law)))
    spread = layers * (law.spread + float(gaussian))
    mean_log = layers * mean_log_of_layer(law, gaussian) - (layers - 1) * _entropy(law.zero_mass)
    product = Product((Layers(at, layers),), ((1.0, 1.0 if gaussian else 1.0 - layers),))
    return result(act, sigma_w, layers, weights, at, f"{label}, q = {at:.6g}", curve, (law,), log_mean, spread, mean_log, product)


def mean_log_of_layer(law: SlopeLaw, gaussian: bool) -> float:
    """What a layer adds to E[log s²; s > 0], beside the entropy of a rank that layers share: E[log d; d > 0] − g(a + p₀ log p₀)."""
    p = law.zero_mass
    return law.mean_log - float(gaussian) * (1.0 - p + (p * math.log(p) if p > 0.0 else 0.0))


def _entropy(p: float) -> float:
    """−p log p − (1 − p) log(1 − p): what the second layer on loses for each that is not of full rank."""
    return -p * math.log(p) - (1.0 - p) * math.log1p(-p) if 0.0 < p < 1.0 else 0.0


def _same_law(one: SlopeLaw, other: SlopeLaw) -> bool:
    return (
        one.finite_valued
        and other.finite_valued
        and one.atoms.shape == other.atoms.shape
        and abs(one.mean - other.mean) <= 1e-14 * one.mean
        and bool(np.allclose(one.atoms, other.atoms, rtol=1e-14) and np.allclose(one.masses, other.masses, rtol=1e-14))
    )


def _grouped(variances: tuple[float, ...], depth: int) -> list[tuple[float, int]]:
    """Variances and how many layers have each."""
    if len(variances) == 1:
        return [(variances[0], depth)]
    groups: list[tuple[float, int]] = []
    for q in variances:
        if groups and abs(q - groups[-1][0]) <= SAME_LAYER * groups[-1][0]:
            groups[-1] = (groups[-1][0], groups[-1][1] + 1)
        else:
            groups.append((q, 1))
    return groups


def spectrum_of_path(net: Any, depth: int, weights: str, start: float) -> JacobianSpectrum:
    """`jacobian_spectrum` along the trajectory of an input with variance start."""
    label = f"Jacobian of {depth} layers of {net.activation.name}, sigma_w = {net.sigma_w:.9g}, {weights} weights"
    return _along(net, depth, weights == "gaussian", label, path_of(net, depth, "trajectory", start))


def path_of(net: Any, layers: int, q: str, start: float = 1.0) -> tuple[float, ...]:
    """The variances of h⁰, …, h^(L−1)."""
    if q != "trajectory":
        raise DomainError(f"q = {q!r} is out of range: a variance, or 'trajectory'")
    if layers > TRAJECTORY_DEEPEST:
        raise DomainError(f"depth = {layers} is out of range: along a trajectory at most {TRAJECTORY_DEEPEST} layers are followed")
    variances = net.propagate(layers, q=start, c=1.0).q1[:-1]
    if not np.isfinite(variances).all():
        raise DomainError("q = 'trajectory': the variances of this network overflow within its depth")
    return tuple(float(at) for at in variances)


def _along(net: Any, layers: int, gaussian: bool, label: str, path: tuple[float, ...]) -> JacobianSpectrum:
    act: Activation = net.activation
    weights = "gaussian" if gaussian else "orthogonal"
    title = f"{label}, along the trajectory from q = {path[0]:.6g} to {path[-1]:.6g}"
    parts: list[Layers] = []
    log_mean = 0.0
    for at, count in _grouped(path, layers):
        law = slope_law(act, at)
        log_mean += count * (2.0 * math.log(net.sigma_w) + math.log(mean_square(act, at, law)))
        # Where φ' takes the same few values as often at every variance (ReLU) all layers are equal.
        if parts and _same_law(law, slope_law(act, parts[-1].q)):
            parts[-1] = Layers(parts[-1].q, parts[-1].count + count)
        else:
            parts.append(Layers(at, count))
    if len(parts) == 1:
        equal = spectrum_of(net, layers, weights, parts[0].q)
        return replace(equal, q=path, title=title)
    zero = max(slope_law(act, part.q).zero_mass for part in parts)
    over = [(1.0, 1.0 if gaussian else 1.0 - layers)]
    return spectrum_of_product(act, net.sigma_w, layers, weights, path, title, parts, over, zero, log_mean)


def checked_spectrum_arguments(depth: Any, weights: Any) -> tuple[int, bool]:
    """A number of layers, and whether the weights are Gaussian."""
    layers = _checked_depth(depth)
    if weights not in WEIGHTS:
        raise DomainError(f"weights = {weights!r} is out of range: one of {', '.join(WEIGHTS)}")
    return layers, weights == "gaussian"


def _checked_depth(depth: Any) -> int:
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or not 1 <= depth <= DEEPEST:
        raise DomainError(f"depth = {depth!r} is out of range: a whole number in [1, {DEEPEST}]")
    return int(depth)


def one_variance(q: Any) -> float:
    if np.ndim(q) == 0 and not isinstance(q, str) and q == math.inf:
        return math.inf
    array = variance("q", q)
    if array.ndim:
        raise DomainError(f"q must be one number or 'trajectory', not an array of shape {array.shape}")
    return float(array)
