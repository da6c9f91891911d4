"""From the arguments of `simulate` to an ensemble."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.expectation.arguments import correlation_argument, real_array, variance
from meanfield.simulation.ensemble import Ensemble
from meanfield.simulation.memory import check_memory
from meanfield.simulation.random_matrices import BACKENDS, library
from meanfield.theory.arguments import one_standard_deviation

if TYPE_CHECKING:
    from meanfield.arrays import Array

METHODS = ("conditional", "weights")
WEIGHTS = ("gaussian", "orthogonal", "uniform")
WIDEST, DEEPEST, MOST = 10**9, 10**7, 10**12


def checked_ensemble(
    activation: Any,
    sigma_w: Any,
    sigma_b: Any,
    width: Any,
    depth: Any,
    networks: Any,
    q: Any,
    c: Any,
    seed: Any,
    method: Any,
    weights: Any,
    gradients: Any,
    widths: Any,
    inputs: Any,
    backend: Any,
    device: Any,
) -> Ensemble:
    """The ensemble that the arguments describe."""
    act = find_activation(activation)
    weight, bias = one_standard_deviation("sigma_w", sigma_w), one_standard_deviation("sigma_b", sigma_b)
    units = _units(width, depth, widths)
    count = whole("networks", networks, 1, MOST)
    number = secrets.randbits(64) if seed is None else whole("seed", seed, 0, 2**128 - 1)
    _one_of("method", method, METHODS)
    _one_of("weights", weights, WEIGHTS)
    _one_of("backend", backend, BACKENDS)
    if device is not None and not isinstance(device, str):
        raise DomainError(f"device must be a text such as 'cpu' or 'cuda', not {device!r}")
    if method == "conditional" and weights != "gaussian":
        raise DomainError(f"weights = {weights!r} needs method='weights': the conditional sampler is exact for Gaussian weights only")
    if method == "conditional" and (backend != "numpy" or device is not None):
        raise DomainError(f"backend = {backend!r} and device = {device!r} are for method='weights': the conditional sampler takes none")
    if method == "weights":
        library(backend, device)  # says now what can't be used
    seen = None if inputs is None else _inputs(inputs)
    start = _start(q, c) if seen is None else _first_layer(seen, weight, bias)
    found = Ensemble(act, weight, bias, units, count, number, method, weights, bool(gradients), start, seen, backend, device)
    check_memory(found)
    return found


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number in [low, high]."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise DomainError(f"{name} = {value!r} is out of range: it must be a whole number in [{low}, {_shown(high)}]")
    return int(value)


def _shown(number: int) -> str:
    return str(number) if number < 10**15 else f"2^{number.bit_length()} - 1"


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise DomainError(f"{name} = {value!r} is out of range: it must be one of {', '.join(map(repr, known))}")


def _units(width: Any, depth: Any, widths: Any) -> tuple[int, ...]:
    if widths is None:
        if width is None or depth is None:
            raise DomainError("give width and depth, or widths")
        return (whole("width", width, 1, WIDEST),) * (whole("depth", depth, 0, DEEPEST) + 1)
    if isinstance(widths, (str, bytes)) or not isinstance(widths, Iterable):
        raise DomainError(f"widths must be a sequence of whole numbers, not {widths!r}")
    units = tuple(whole("widths", n, 1, WIDEST) for n in widths)
    if not units:
        raise DomainError("widths is empty: it needs the units of h⁰ at least")
    if depth is not None and whole("depth", depth, 0, DEEPEST) != len(units) - 1:
        raise DomainError(f"depth = {depth!r} contradicts widths, whose {len(units)} entries are h⁰ and {len(units) - 1} layers")
    if width is not None and any(n != width for n in units):
        raise DomainError(f"width = {width!r} contradicts widths: give one of the two")
    return units


def _start(q: Any, c: Any) -> Array:
    """S with SᵀS = [[q1, c√(q1 q2)], [·, q2]]."""
    pair = variance("q", q)
    if pair.shape not in ((), (2,)):
        raise DomainError(f"q must be one variance or a pair (q1, q2), not an array of shape {pair.shape}")
    first, second = np.broadcast_to(np.sqrt(pair), 2).tolist()
    correlation = correlation_argument("c", c)
    if correlation.ndim:
        raise DomainError(f"c must be one number, not an array of shape {correlation.shape}")
    along = float(correlation)
    return np.array([[first, along * second], [0.0, math.sqrt((1.0 - along) * (1.0 + along)) * second]])


def _inputs(inputs: Any) -> Array:
    seen = real_array("inputs", inputs)
    if seen.ndim != 2 or 0 in seen.shape:
        raise DomainError(f"inputs must be an array of shape (B, d), one input a row, not of shape {seen.shape}")
    if not np.isfinite(seen).all() or np.abs(seen).max() > 1e140:
        raise DomainError("inputs must be finite, and at most 1e140 in size")
    return np.ascontiguousarray(seen)


def _first_layer(inputs: Array, sigma_w: float, sigma_b: float) -> Array:
    """S with SᵀS = σ_b² + σ_w² a·a'/d."""
    from meanfield.simulation.layer_kernels import orthonormalise

    batch, size = inputs.shape
    upper = np.empty((1, batch, batch))
    lost = np.zeros(1, dtype=np.bool_)
    orthonormalise(inputs[None].copy(), np.empty((1, batch)), sigma_w / math.sqrt(size), sigma_b, upper, lost)
    if lost[0]:
        raise DomainError("inputs times sigma_w is out of range: the variance of the first layer overflows")
    start: Array = upper[0]
    return start
