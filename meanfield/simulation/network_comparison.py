"""Random networks of layers against the theory of infinite width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.simulation.comparison import Comparison, normal_deviates, sidak
from meanfield.simulation.network_ensemble import NetworkEnsemble

if TYPE_CHECKING:
    from meanfield.arrays import Array, Mask
    from meanfield.simulation.simulation import Simulation

EXPANDED = 0.3  # relative variance between networks up to which a bias of its size is believed
BIAS = 1.0  # the bias of a mean at finite width is taken to be up to this times the variance between networks, relative


def compare_network(sim: Simulation, false_alarm: float) -> Comparison:
    """Sampled means against the theory of infinite width.

    The theory's own corrections for finite width are not known for every layer. A mean over networks departs from it by an amount of the
    order of the variance between networks, relatively; that much is allowed beside the standard error.
    """
    ensemble = sim.ensemble
    assert isinstance(ensemble, NetworkEnsemble)
    theory = ensemble.network.propagate(ensemble.q if ensemble.q[0] != ensemble.q[1] else ensemble.q[0], ensemble.c)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.maximum(
            _relative_variance(sim.q1.standard_deviation, theory.q1), _relative_variance(sim.q2.standard_deviation, theory.q2)
        )
    z_scores: dict[str, Array] = {}
    judged: dict[str, Mask] = {}
    predicted: dict[str, Array] = {}
    ratios: dict[str, Array] = {}
    wanted = ["q1", "q2", "c"] + (["gradient"] if sim.log_gradient is not None else [])
    for name in wanted:
        if name == "gradient":
            assert sim.log_gradient is not None
            estimate = sim.log_gradient
            with np.errstate(divide="ignore"):  # a gradient of 0, behind an activation of steps
                value = np.log(theory.gradient)
            bias = BIAS * estimate.standard_deviation**2
        elif name == "c":
            estimate, value = sim.c, theory.c
            loss = np.minimum(theory.epsilon, 2.0 - theory.epsilon)
            own = estimate.standard_deviation**2
            bias = BIAS * (own * np.abs(value) + own / np.where(loss > 0.0, loss, np.inf) + spread * loss)
        else:
            estimate, value = getattr(sim, name), getattr(theory, name)
            with np.errstate(invalid="ignore"):  # an infinite variance has no spread, and is not judged
                bias = BIAS * spread * value
        with np.errstate(invalid="ignore", divide="ignore"):
            floor = 1e-12 * np.maximum(np.abs(value), 1e-3)
            z = (estimate.mean - value) / np.sqrt(estimate.standard_error**2 + bias**2 + floor**2)
        mask = (estimate.count == ensemble.networks) & np.isfinite(z) & (spread <= EXPANDED)
        if name == "gradient":
            z[-1], mask[-1] = 0.0, True
        if ensemble.networks > 1:
            z = normal_deviates(z, ensemble.networks - 1)
        z_scores[name], judged[name], predicted[name] = z, mask, value
        ratios[name] = np.full(value.shape, np.nan)
    tests = sum(int(mask.sum()) for mask in judged.values())
    return Comparison(z_scores, judged, predicted, ratios, sidak(false_alarm, tests), false_alarm, "", ensemble.label)


def _relative_variance(deviation: Array, value: Array) -> Array:
    found: Array = np.where(value > 0.0, (deviation / value) ** 2, math.inf)
    return found
