"""An ensemble of random networks against the theory at its own width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError, MeanFieldError
from meanfield.expectation.arguments import real_array
from meanfield.result import Result, paged
from meanfield.simulation.network_ensemble import NetworkEnsemble

if TYPE_CHECKING:
    from meanfield.arrays import Array, Mask
    from meanfield.simulation.jacobian import SpectrumComparison
    from meanfield.simulation.simulation import Simulation
    from meanfield.simulation.streaming import Estimate
    from meanfield.theory.finite_width import FiniteWidth

EXPANDED = 0.3  # relative size of the first-order terms up to which the expansion in 1/width is believed
NEXT = 0.5  # the second order is taken to be this times the square of the first: docs/simulation.md has what was measured
ROUNDING = 1e-12
NAMES = ("q1", "q2", "c", "gradient")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """Sampled means against the theory to first order in 1/width. Dictionaries hold arrays of length depth + 1 under q1, q2, c, gradient.

    Attributes
    ----------
    z_scores : dict of ndarray
        (sampled − predicted mean)/√(standard error² + next order²). For the gradient the means are those of log(|δ^l|²/|δ^L|²), whose
        distribution is near a normal one; the ratio itself has a heavy tail. 0 where there is nothing random (the gradient at l = L).
    judged : dict of ndarray of bool
        Where the first order in 1/width can be trusted; the verdict rests on these.
    predicted : dict of ndarray
        The predicted means (log gradient under "gradient").
    spread_ratios : dict of ndarray
        Sampled over predicted standard deviation of one network; near 1, not judged.
    threshold : float
        |z| beyond which one value disagrees (Šidák).
    false_alarm : float
        Probability that an ensemble that obeys the theory has any |z| beyond the threshold.
    reason : str
        Why nothing is judged, if so; else "".
    singular_values : SpectrumComparison or None
        Singular values of Jacobians against their law, at quantiles, where they were asked for; a verdict of its own, with false_alarm.
    """

    z_scores: dict[str, Array]
    judged: dict[str, Mask]
    predicted: dict[str, Array]
    spread_ratios: dict[str, Array]
    threshold: float
    false_alarm: float
    reason: str
    label: str
    singular_values: SpectrumComparison | None = None

    @property
    def tests(self) -> int:
        """How many values are judged."""
        return int(sum(mask.sum() for mask in self.judged.values()))

    @property
    def max_abs_z(self) -> float:
        """The largest |z| among the values that are judged; 0 where none is."""
        return max((float(np.abs(self.z_scores[name][mask]).max()) for name, mask in self.judged.items() if mask.any()), default=0.0)

    @property
    def consistent(self) -> bool | None:
        """Whether no judged |z| exceeds the threshold; None where the width is too small to judge anything."""
        if self.singular_values is not None and self.singular_values.consistent is False:
            return False
        return self.max_abs_z <= self.threshold if self.tests else None

    @property
    def verdict(self) -> str:
        """The outcome in words."""
        if self.reason:
            return f"Nothing can be judged: {self.reason}."
        if not self.tests:
            return "Width too small for the first-order theory: depth/width is not small, and nothing is judged."
        if self.max_abs_z <= self.threshold:
            largest = f"the largest |z| of {self.tests} is {self.max_abs_z:.2f}, allowed {self.threshold:.2f}"
            told = f"The ensemble agrees with the theory: {largest}."
        else:
            name, layer = self._worst()
            told = (
                f"The ensemble disagrees with the theory: |z| = {self.max_abs_z:.2f} for {_shown(name)} at layer {layer}, "
                f"the largest of {self.tests}, allowed {self.threshold:.2f}."
            )
        unknown = {name: ~mask & np.isnan(self.predicted[name]) for name, mask in self.judged.items()}
        parts = [f"{_shown(name)} ({_ranges(mask)})" for name, mask in unknown.items() if mask.any()]
        if parts:
            told += f" Not known to the theory: {', '.join(parts)}."
        small = {name: ~mask & ~unknown[name] for name, mask in self.judged.items()}
        parts = [f"{_shown(name)} ({_ranges(mask)})" for name, mask in small.items() if mask.any()]
        if parts:
            told += f" Width too small for the first-order theory, not judged: {', '.join(parts)}."
        return told

    def _columns(self) -> dict[str, Any]:
        columns: dict[str, Any] = {"layer": np.arange(next(iter(self.z_scores.values())).size)}
        for name, scores in self.z_scores.items():
            columns |= {
                f"{name}_z": scores,
                f"{name}_judged": self.judged[name],
                f"{name}_predicted": self.predicted[name],
                f"{name}_spread_ratio": self.spread_ratios[name],
            }
        return columns

    def plot(self, ax: Any = None) -> Any:
        """Draw the z-scores by layer with the threshold: see `meanfield.plot.z_scores`; returns the Axes."""
        from meanfield.plot.z_scores import z_scores as draw

        return draw(self, ax)

    def _worst(self) -> tuple[str, int]:
        sizes = {name: np.where(mask, np.abs(self.z_scores[name]), -1.0) for name, mask in self.judged.items()}
        name = max(sizes, key=lambda name: float(sizes[name].max()))
        return name, int(np.argmax(sizes[name]))

    def __str__(self) -> str:
        depth = next(iter(self.z_scores.values())).size - 1
        names = list(self.z_scores)
        shown = sorted({min(round(10.0 ** (0.5 * k)), depth) for k in range(14)} | {0, depth})
        lines = [
            paged(f"{self.label}: z-scores against the theory to first order in 1/width"),
            f"{'layer':>6}" + "".join(f" {_shown(name):>14}" for name in names),
        ]
        for i in shown:
            cells = (f"{self.z_scores[n][i]:.2f}" + (" " if self.judged[n][i] else "?") for n in names)
            lines.append((f"{i:>6}" + "".join(f" {cell:>14}" for cell in cells)).rstrip())
        if any(not mask.all() for mask in self.judged.values()):
            lines.append("? not judged")
        lines.append(paged(f"{self.verdict} False-alarm rate of the whole table {self.false_alarm:g}."))
        if self.singular_values is not None:
            lines.append(str(self.singular_values))
        return "\n".join(lines)


def compare(sim: Simulation, false_alarm: float = 1e-3) -> Comparison:
    """See `Simulation.compare`."""
    rate = real_array("false_alarm", false_alarm)
    if rate.ndim or not 0 < float(rate) < 1:
        raise DomainError(f"false_alarm = {false_alarm!r} is out of range: one number in (0, 1)")
    if isinstance(sim.ensemble, NetworkEnsemble):
        from meanfield.simulation.network_simulation import compare_network

        return compare_network(sim, float(rate))
    names = NAMES if sim.log_gradient is not None else NAMES[:3]
    try:
        theory = at_its_width(sim)
    except MeanFieldError as error:  # a moment or a variance that is infinite, or an input of variance 0
        nothing = {name: np.full(sim.depth + 1, np.nan) for name in names}
        nobody = {name: np.zeros(sim.depth + 1, dtype=np.bool_) for name in names}
        return Comparison(nothing, nobody, nothing, nothing, math.inf, float(rate), str(error).rstrip("."), sim.ensemble.label)
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
        from meanfield.simulation.jacobian import compare_singular_values

        spectrum = compare_singular_values(sim.ensemble, sim.singular_values, float(rate))
    return Comparison(z_scores, judged, predicted, ratios, sidak(float(rate), tests), float(rate), "", sim.ensemble.label, spectrum)


def at_its_width(sim: Simulation) -> FiniteWidth:
    """The theory of an ensemble's first two inputs at its widths.

    Raises
    ------
    MeanFieldError
        Where it has none: an infinite fourth moment, a variance that is 0 or leaves the range of doubles.
    """
    from meanfield.theory.finite_width import finite_width

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


def normal_deviates(t: Array, freedom: int) -> Array:
    """The normal deviate as probable as Student's t: few networks give a standard error that is itself uncertain."""
    from scipy.special import ndtri_exp
    from scipy.stats import t as student

    size = np.abs(t)
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = student.logsf(size, freedom)
        z = np.where(np.isfinite(tail), -ndtri_exp(np.where(np.isfinite(tail), tail, -1.0)), size)
    result: Array = np.sign(t) * np.minimum(z, size)
    return result


def sidak(false_alarm: float, tests: int) -> float:
    """Šidák: 1 − (1 − α)^(1/m) for each of m values."""
    from scipy.special import ndtri

    if not tests:
        return math.inf
    each = -math.expm1(math.log1p(-false_alarm) / tests)
    return float(-ndtri(0.5 * each))


def _shown(name: str) -> str:
    return "log gradient" if name == "gradient" else name


def _ranges(mask: Mask) -> str:
    """Layers as "3, 5-9"."""
    layers = np.flatnonzero(mask)
    groups = np.split(layers, np.flatnonzero(np.diff(layers) > 1) + 1)
    return "layers " + ", ".join(str(g[0]) if g.size == 1 else f"{g[0]}-{g[-1]}" for g in groups)
