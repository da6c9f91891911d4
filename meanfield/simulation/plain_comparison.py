"""Plain random networks against the theory at their own width, to first order in 1/width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import MeanFieldError
from meanfield.simulation.comparison import Comparison, normal_deviates, sidak
from meanfield.simulation.jacobian import compare_singular_values
from meanfield.theory.finite_width import finite_width

if TYPE_CHECKING:
    from meanfield.arrays import Array, Mask
    from meanfield.simulation.simulation import Simulation
    from meanfield.simulation.streaming import Estimate
    from meanfield.theory.finite_width import FiniteWidth

EXPANDED = 0.3  # relative size of the first-order terms up to which the expansion in 1/width is believed
NEXT = 0.5  # the second order is taken to be this times the square of the first: docs/simulation.md has what was measured
ROUNDING = 1e-12
NAMES = ("q1", "q2", "c", "gradient")


def compare_plain(sim: Simulation, false_alarm: float) -> Comparison:
    """Sampled means against the theory to first order in 1/width."""
    names = NAMES if sim.log_gradient is not None else NAMES[:3]
    try:
        theory = at_its_width(sim)
    except MeanFieldError as error:  # a moment or a variance that is infinite, or an input of variance 0
        nothing = {name: np.full(sim.depth + 1, np.nan) for name in names}
        nobody = {name: np.zeros(sim.depth + 1, dtype=np.bool_) for name in names}
        return Comparison(nothing, nobody, nothing, nothing, math.inf, false_alarm, str(error).rstrip("."), sim.ensemble.label)
    gaussian = sim.ensemble.weights == "gaussian"
    z_scores, judged, predicted, ratios = {}, {}, {}, {}
    relative_q: Array = np.zeros(sim.depth + 1)
    for name in names:
        quantity = _Quantity(sim, theory, name)
        if name == "q1":
            relative_q = quantity.first_order
        z_scores[name], judged[name] = quantity.judge(relative_q, gaussian)
        predicted[name], ratios[name] = quantity.mean, quantity.spread_ratio
    tests = sum(int(mask.sum()) for mask in judged.values())
    spectrum = None
    if sim.singular_values is not None:
        spectrum = compare_singular_values(sim.plain, sim.singular_values, false_alarm)
    return Comparison(z_scores, judged, predicted, ratios, sidak(false_alarm, tests), false_alarm, "", sim.ensemble.label, spectrum)


def at_its_width(sim: Simulation) -> FiniteWidth:
    """The theory of an ensemble's first two inputs at its widths.

    Raises
    ------
    MeanFieldError
        Where it has none: an infinite fourth moment, a variance that is 0 or leaves the range of doubles.
    """
    ensemble = sim.plain
    second = min(1, ensemble.batch - 1)
    pair = ensemble.start[:, [0, second]]
    q1, q2 = (pair * pair).sum(axis=0).tolist()
    product = math.sqrt(q1) * math.sqrt(q2)
    c = 1.0 if second == 0 else float(np.clip(pair[:, 0] @ pair[:, 1] / product, -1.0, 1.0)) if product else 0.0
    return finite_width(ensemble.activation, ensemble.sigma_w, ensemble.sigma_b, ensemble.depth, (q1, q2), c, ensemble.widths)


class _Quantity:
    """One quantity, layer by layer: sampled, predicted, and how large the first-order terms are."""

    def __init__(self, sim: Simulation, theory: FiniteWidth, name: str) -> None:
        band = theory.at()
        self.depth, self.networks = sim.depth, sim.ensemble.networks
        self.name = name
        key = "log_gradient" if name == "gradient" else name
        shift, spread = getattr(theory, f"{key}_shift"), getattr(theory, f"{key}_spread")
        self.estimate: Estimate = getattr(sim, key)
        self.mean = band.mean[key]
        self.gap = self.estimate.mean - self.mean
        if name == "c":  # by way of ε = 1 − c, which keeps its digits where c nears 1
            scale = np.minimum(theory.epsilon, 2.0 - theory.epsilon)
            self.gap = -(sim.epsilon.mean - (theory.epsilon - theory.c_shift))
            floor = np.maximum(ROUNDING * scale, 1e-30)
        elif name == "gradient":
            scale = np.ones(self.depth + 1)
            floor = np.full(self.depth + 1, ROUNDING)
            self.vanishing: Mask = (theory.gradient == 0.0) & (self.estimate.count == 0)
        else:
            scale = getattr(theory, name)
            floor = ROUNDING * scale
        self.scale, self.floor = scale, floor
        # |shift|/x + variance/x²: what is left out is of the order of the square of this.
        with np.errstate(divide="ignore", invalid="ignore"):
            self.first_order = np.where(scale > 0, np.abs(shift) / scale + spread / scale**2, 0.0)
        self.first_order[~np.isfinite(self.first_order)] = np.inf
        deviation = band.standard_deviation[key]
        with np.errstate(divide="ignore", invalid="ignore"):
            self.spread_ratio = np.where(deviation > 0, self.estimate.standard_deviation / deviation, np.nan)
        self.predicted_error = deviation / math.sqrt(self.networks)

    def judge(self, relative_q: Array, gaussian: bool) -> tuple[Array, Mask]:
        """z-scores, and where they mean something."""
        order, remainder = self._next_order(relative_q)
        if not gaussian:  # the first order depends on the distribution of the weights: here it is no more than an uncertainty
            remainder = remainder + self.scale * self.first_order
        several = self.networks > 1
        error = self.estimate.standard_error if several else self.predicted_error
        with np.errstate(divide="ignore", invalid="ignore"):
            z = self.gap / np.sqrt(error**2 + remainder**2 + self.floor**2)
        judged = (order <= EXPANDED) & (self.estimate.count == self.networks) & np.isfinite(z)
        if several:
            z = normal_deviates(z, self.networks - 1)
        if self.name == "gradient":
            z[self.depth] = 0.0
            judged[self.depth] = True
            z[self.vanishing] = 0.0
            judged |= self.vanishing
        return z, judged

    def _next_order(self, relative_q: Array) -> tuple[Array, Array]:
        """The parameter of the expansion, and the size of the order that is left out."""
        if self.name != "gradient":
            return self.first_order, NEXT * self.scale * self.first_order**2
        # log gradient is a sum over layers: each leaves out its own square, and a product with the layer's variance.
        layers = np.maximum(np.arange(self.depth, -1, -1), 1)
        ahead = np.maximum.accumulate(relative_q[::-1])[::-1]
        order = self.first_order / layers + ahead
        return order, NEXT * self.first_order * order
