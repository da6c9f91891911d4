"""The plane of σ_w and σ_b for layers: `build(sigma_w, sigma_b)` in the place of an activation.

Where the layer is K ↦ a K + b + w V[φ] with b ∝ σ_b², w ∝ σ_w² and a constant, its variances and correlations are those of the plain
network at σ_w √(w/((1 − a) σ_w²)) and σ_b √(b/((1 − a) σ_b²)), and its slopes a + (1 − a) times those. Other layers are asked cell by cell.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import Activation
from meanfield.activations import activation as find_activation
from meanfield.errors import ActivationError, DomainError, MeanFieldError
from meanfield.layers.layer import Layer, as_layer
from meanfield.solve.correlation import depth_scale
from meanfield.theory.mean_field import MeanField

if TYPE_CHECKING:
    from meanfield.arrays import Array

Build = Callable[[float, float], Layer]
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
PROBES = 256  # cells, beside a row and a column, at which the layer is looked at for the form above
ALIKE = 1e-13
LOWEST, HIGHEST, POINTS = 0.02, 50.0, 81  # σ_w at which other layers are looked at for a factor of 1


def is_build(spec: Any) -> bool:
    """Whether it is a function of two arguments: activations have one."""
    if not callable(spec) or isinstance(spec, Activation):
        return False
    try:
        parameters = inspect.signature(spec).parameters.values()
    except (TypeError, ValueError):
        return False
    return sum(p.kind in POSITIONAL and p.default is inspect.Parameter.empty for p in parameters) == 2


@dataclass(frozen=True)
class Family:
    """a, w/σ_w², b/σ_b², μ and φ of all layers that a function builds."""

    a: float
    per_weight: float
    per_bias: float
    mu: float
    activation: Activation


@dataclass(frozen=True)
class Built:
    """Stands in results for the activation: what was built."""

    name: str


def plane_activation(spec: Any) -> Activation:
    """The activation of a plane of σ_w and σ_b; of a function that makes layers from anything but two arguments, an error that says so."""
    try:
        return find_activation(spec)
    except ActivationError as error:
        if not callable(spec) or isinstance(spec, Activation):
            raise
        try:
            required = sum(p.default is p.empty and p.kind in POSITIONAL for p in inspect.signature(spec).parameters.values())
            layer = required > 2 or isinstance(spec(*[1.0] * required), Layer)
        except Exception:  # whatever a stranger's function raises: the activation's own error says more
            raise error from None
        if not layer:
            raise
        raise DomainError(
            "a function that builds layers takes two arguments, build(sigma_w, sigma_b); "
            f"{getattr(spec, '__name__', spec)} takes {required}"
        ) from None


def built_layer(build: Build, sigma_w: float, sigma_b: float) -> Layer:
    """The layer at one point."""
    try:
        made = build(sigma_w, sigma_b)
    except MeanFieldError as error:
        raise DomainError(f"build({sigma_w!r}, {sigma_b!r}) makes no layer: {error}") from error
    except Exception as error:
        raise DomainError(f"build(sigma_w, sigma_b) raised {type(error).__name__} at ({sigma_w!r}, {sigma_b!r}): {error}") from error
    if not isinstance(made, Layer):
        raise DomainError(f"build({sigma_w!r}, {sigma_b!r}) must return a layer, not {type(made).__name__}")
    return as_layer(made)


def family(build: Build, weights: Array, biases: Array) -> Family | None:
    """The form above, seen at 1, on a row, a column and some cells; None where it does not hold."""
    rule = built_layer(build, 1.0, 1.0).affine()
    if rule is None or rule.a >= 1.0:
        return None
    found = Family(rule.a, rule.w, rule.b, rule.mu, rule.activation)
    rng = np.random.default_rng(0)
    cells = [(float(w), float(biases[0])) for w in weights] + [(float(weights[0]), float(b)) for b in biases]
    if weights.size * biases.size > len(cells):
        cells += [(float(rng.choice(weights)), float(rng.choice(biases))) for _ in range(PROBES)]
    for w, b in cells:
        seen = built_layer(build, w, b).affine()
        if seen is None or seen.activation is not found.activation:
            return None
        pairs = ((seen.a, found.a), (seen.mu, found.mu), (seen.w, found.per_weight * w * w), (seen.b, found.per_bias * b * b))
        if any(abs(x - y) > ALIKE * max(abs(x), abs(y)) for x, y in pairs):
            return None
    return found


def crossing(build: Build, sigma_b: float) -> tuple[float, float, float, bool, str, str]:
    """(σ_w, q, F', stable, status, reason) with the smallest σ_w."""
    from scipy.optimize import brentq

    def excess(log_weight: float) -> float:
        return math.log(MeanField(built_layer(build, math.exp(log_weight), sigma_b)).chi_1)

    logs = np.linspace(math.log(LOWEST), math.log(HIGHEST), POINTS)
    before = None
    for log_weight in logs:
        now = excess(float(log_weight))
        if before is not None and math.isfinite(now) and math.isfinite(before[1]) and (now > 0.0) != (before[1] > 0.0):
            weight = math.exp(brentq(excess, before[0], float(log_weight), xtol=1e-14, rtol=1e-14))
            net = MeanField(built_layer(build, weight, sigma_b))
            if abs(net.chi_1 - 1.0) <= 1e-9:
                slope = float(net.variance_slope(net.q_star)) if 0.0 < net.q_star < math.inf else 1.0
                status = "attracting" if slope < 1.0 - 1e-9 else "neutral" if slope <= 1.0 + 1e-9 else "repelling"
                return weight, net.q_star, slope, status == "attracting", status, ""
        before = (float(log_weight), now)
    reason = f"the gradient's factor at q* crosses 1 nowhere for σ_w in [{LOWEST:g}, {HIGHEST:g}]"
    return math.nan, math.nan, math.nan, False, "none", reason


def scales(slopes: Array) -> Array:
    """`depth_scale` of an array."""
    size = np.abs(slopes)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = -1.0 / np.log(size)
    found = np.where((size == 0.0) | np.isinf(size), 0.0, found)
    result: Array = np.where(np.abs(size - 1.0) <= 1e-14, np.inf, found)
    return result


def cell_by_cell(build: Build, weights: Array, biases: Array) -> tuple[Array, Any]:
    """q*, F', ε*, c*, χ₁, ξ_q, ξ_c, ξ_grad and the phase, one layer after another."""
    shape = (biases.size, weights.size)
    out, phase = np.full((8, *shape), np.nan), np.zeros(shape, dtype=np.int8)
    for j, b in enumerate(biases):
        for i, w in enumerate(weights):
            net = MeanField(built_layer(build, float(w), float(b)))
            scales = net.depth_scales
            slope = math.exp(-1.0 / scales.xi_q) if scales.xi_q else 0.0
            if 0.0 < net.q_star < math.inf:
                slope = float(net.variance_slope(net.q_star))
            out[:, j, i] = (net.q_star, slope, net.epsilon_star, net.c_star, net.chi_1, depth_scale(slope), scales.xi_c, scales.xi_grad)
            phase[j, i] = {"ordered": -1, "critical": 0, "chaotic": 1}[net.phase]
    return out, phase
