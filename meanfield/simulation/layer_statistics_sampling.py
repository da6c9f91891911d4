"""Layer statistics of networks drawn with explicit matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import MeanFieldError
from meanfield.progress_bar import progress_bar
from meanfield.result import Result
from meanfield.simulation.layer_statistics_theory import QUANTITIES
from meanfield.simulation.streaming import Estimate

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.theory.schemes import Scheme

BINS = 60
_SPREAD = 4.0  # standard deviations that a histogram shows to each side
_FARTHEST = 6.0  # standard deviations of h that decide how far φ gets


@dataclass(frozen=True, eq=False, repr=False)
class Histograms(Result):
    """Densities over all units and networks; what lies beyond the outermost edges counts in no bin.

    Attributes
    ----------
    activation_edges, gradient_edges : ndarray of shape (61,)
        The same for every layer, so that layers can be laid over each other.
    activation_density, gradient_density : ndarray of shape (L, 60)
    """

    activation_edges: Array
    activation_density: Array
    gradient_edges: Array
    gradient_density: Array


def sampled(
    act: Activation,
    widths: list[int],
    schemes: list[Scheme],
    q0: float,
    level: float,
    theory: dict[str, Array],
    networks: int,
    seed: int,
    progress: bool,
) -> tuple[dict[str, Estimate], Histograms]:
    """The six quantities of layers 1 … L over random networks; level is the |φ'| of saturation."""
    layers = len(schemes)
    edges = _edges(act, theory)
    counts = np.zeros((2, layers, BINS))
    found = np.empty((networks, len(QUANTITIES), layers))
    with progress_bar(progress, networks, "layer statistics") as advance:
        for i, child in enumerate(np.random.SeedSequence(seed).spawn(networks)):
            found[i] = _network(act, widths, schemes, q0, level, np.random.default_rng(child), edges, counts)
            advance()
    if not np.isfinite(found).all():
        raise MeanFieldError(f"{act.name}: a sampled network overflows; start from a smaller q0 or σ_w")
    error = found.std(axis=0, ddof=1) / math.sqrt(networks) if networks > 1 else np.full(found.shape[1:], math.inf)
    count = np.full(layers, networks)
    estimates = {name: Estimate(found[:, j].mean(axis=0), error[j], count) for j, name in enumerate(QUANTITIES)}
    units = networks * np.array(widths[1:], dtype=np.float64)[:, None]
    densities = [counts[k] / units / np.diff(edges[k]) for k in range(2)]
    return estimates, Histograms(edges[0], densities[0], edges[1], densities[1])


def _edges(act: Activation, theory: dict[str, Array]) -> tuple[Array, Array]:
    """Of activations of the hidden layers, and of gradients, wide enough for the widest layer and no wider than φ gets."""
    hidden = slice(0, -1) if theory["activation_mean"].size > 1 else slice(None)
    mean, spread = theory["activation_mean"][hidden], np.sqrt(theory["activation_variance"][hidden])
    low, high = float(np.min(mean - _SPREAD * spread)), float(np.max(mean + _SPREAD * spread))
    if theory["activation_mean"].size > 1:
        far = _FARTHEST * math.sqrt(float(np.max(theory["pre_activation_variance"][hidden])))
        reached = act.values(np.linspace(-far, far, 2001), 0)
        low, high = max(low, float(reached.min())), min(high, float(reached.max()))
    low, high = (low, high) if high > low else (low - 1.0, low + 1.0)
    margin = 0.02 * (high - low)
    widest = _SPREAD * math.sqrt(float(np.max(theory["gradient_variance"][hidden])))
    return np.linspace(low - margin, high + margin, BINS + 1), np.linspace(-widest or -1.0, widest or 1.0, BINS + 1)


def _draw(rng: np.random.Generator, distribution: str, shape: tuple[int, ...], deviation: float) -> Array:
    """Centred random numbers of that standard deviation; uniform ones in ±√3 of it."""
    if distribution == "uniform":
        out: Array = rng.random(shape)
        out -= 0.5
        out *= 2.0 * math.sqrt(3.0) * deviation
    else:
        out = rng.standard_normal(shape)
        out *= deviation
    return out


def _network(
    act: Activation,
    widths: list[int],
    schemes: list[Scheme],
    q0: float,
    level: float,
    rng: np.random.Generator,
    edges: tuple[Array, Array],
    counts: Array,
) -> Array:
    """One network forward and back: its statistics, and its values added to the histograms."""
    layers = len(schemes)
    out = np.zeros((len(QUANTITIES), layers))
    x = rng.standard_normal(widths[0])
    x *= math.sqrt(q0 * widths[0]) / np.linalg.norm(x)
    matrices: list[Array] = []
    slopes: list[Array] = []
    squares = [q0]
    with np.errstate(over="ignore", invalid="ignore"):
        for i, (scheme, units) in enumerate(zip(schemes, widths[1:], strict=True)):
            matrices.append(_draw(rng, scheme.distribution, (units, widths[i]), scheme.weight_standard_deviation))
            h = matrices[i] @ x
            h += _draw(rng, scheme.distribution, (units,), scheme.sigma_b)
            last = i == layers - 1
            x = h if last else act.values(h, 0)
            slopes.append(np.ones(units) if last else act.values(h, 1))
            squares.append(float(np.mean(x * x)))
            out[0, i] = np.mean(h * h)
            out[1, i] = np.mean(x)
            # Units are independent given the layer below: their unbiased variance has the right mean.
            out[2, i] = np.var(x, ddof=1) if units > 1 else squares[-1]
            out[3, i] = 0.0 if last else np.mean(np.abs(slopes[i]) < level)
            counts[0, i] += np.histogram(x, edges[0])[0]
        delta = rng.standard_normal(widths[-1])
        delta *= math.sqrt(widths[-1]) / np.linalg.norm(delta)
        for i in range(layers - 1, -1, -1):
            if i < layers - 1:
                delta = slopes[i] * (delta @ matrices[i + 1])
            out[4, i] = np.mean(delta * delta)
            out[5, i] = out[4, i] * squares[i]  # δ_i x_j over all i and j
            counts[1, i] += np.histogram(delta, edges[1])[0]
    return out
