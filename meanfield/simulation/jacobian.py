"""Singular values of the Jacobians of explicit random networks, and how they compare with the law at infinite width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import DomainError, MeanFieldError
from meanfield.progress_bar import progress_bar
from meanfield.simulation.comparison import normal_deviates, sidak
from meanfield.simulation.explicit import jacobians

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.simulation.ensemble import Ensemble

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of the law, at which the distribution functions are compared
NEXT = 6.0  # log s² of a network is taken to be off by this times depth/width, an allowance that was chosen, not derived
DEEP = 0.05  # depth/width up to which freeness is believed
LARGEST = 4000  # units of a layer: a Jacobian takes the cube of that for each layer


@dataclass(frozen=True)
class SpectrumComparison:
    """Distribution functions of sampled singular values at quantiles of the law.

    Attributes
    ----------
    levels : ndarray
        s at which they are compared.
    predicted, sampled, standard_error : ndarray
        P(s ≤ level) by the law, and its mean over networks with its standard error.
    z_scores : ndarray
        (sampled − predicted)/√(standard error² + next order²), as normal deviates.
    threshold : float
        |z| beyond which one of them disagrees (Šidák).
    false_alarm : float
        Probability that an ensemble that obeys the law has any |z| beyond the threshold.
    reason : str
        Why nothing is judged, if so; else "".
    """

    levels: Array
    predicted: Array
    sampled: Array
    standard_error: Array
    z_scores: Array
    threshold: float
    false_alarm: float
    reason: str = ""

    @property
    def consistent(self) -> bool | None:
        """Whether no |z| exceeds the threshold; None where nothing is judged."""
        return None if self.reason else bool(np.max(np.abs(self.z_scores), initial=0.0) <= self.threshold)

    def __str__(self) -> str:
        if self.reason:
            return f"Singular values are not judged: {self.reason}."
        lines = [f"{'s':>12} {'law':>8} {'sampled':>18} {'z':>7}"]
        rows = zip(self.levels, self.predicted, self.sampled, self.standard_error, self.z_scores, strict=True)
        lines += [f"{s:>12.5g} {p:>8.4f} {m:>9.4f} ± {e:.4f} {z:>7.2f}" for s, p, m, e, z in rows]
        verdict = "agree" if self.consistent else "disagree"
        lines.append(
            f"The singular values {verdict} with the law: |z| up to {self.threshold:.2f} allowed, false-alarm rate {self.false_alarm:g}."
        )
        return "\n".join(lines)


def singular_values(ensemble: Ensemble, n_jobs: int | None, progress: bool) -> Array:
    """Of ∂h^L/∂h⁰ of the first input, descending: shape (networks, the smaller of the first and the last width)."""
    from joblib import Parallel, delayed

    if max(ensemble.widths) > LARGEST:
        raise DomainError(f"jacobian = True with a layer of {max(ensemble.widths)} units: at most {LARGEST} are served")
    tasks = (delayed(jacobians)(ensemble, block) for block in range(ensemble.blocks))
    found = []
    with progress_bar(progress, ensemble.blocks, "Jacobians") as advance:
        for block in Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(tasks):
            found.append(block)
            advance()
    return np.concatenate(found)


def compare_singular_values(ensemble: Ensemble, values: Array, false_alarm: float) -> SpectrumComparison:
    """Against the law along the trajectory of the ensemble's first input."""
    from meanfield.theory.mean_field import MeanField
    from meanfield.theory.spectrum.plain_layers import spectrum_of_path

    def nothing(reason: str) -> SpectrumComparison:
        none = np.zeros(0)
        return SpectrumComparison(none, none, none, none, none, math.inf, false_alarm, reason)

    widths, depth = ensemble.widths, ensemble.depth
    if len(set(widths)) != 1:
        return nothing("the layers differ in width")
    if depth / widths[0] > DEEP:
        return nothing(f"depth/width = {depth / widths[0]:.3g} is not small")
    if ensemble.networks < 3:
        return nothing("fewer than three networks tell no standard error")
    if not np.isfinite(values).all():
        return nothing("a network overflows")
    start = float(np.sum(np.square(ensemble.start[:, 0])))
    net = MeanField(ensemble.activation, ensemble.sigma_w, ensemble.sigma_b)
    try:
        weights = "orthogonal" if ensemble.weights == "orthogonal" else "gaussian"  # uniform ones have the Gaussian's law
        law = spectrum_of_path(net, depth, weights, start)
        zero = sum(atom.mass for atom in law.atoms if atom.value == 0.0)
        whole = 1.0 - sum(atom.mass for atom in law.atoms)
        if whole < 0.1:
            return nothing("the law is all but atoms, which a finite width spreads")
        p = zero + whole * np.array(QUANTILES)  # within the bands: an atom is spread by any finite width
        levels = np.asarray(law.quantile(p))
        predicted = np.asarray(law.cdf(levels))
        slopes = np.asarray(law.density(levels)) * levels / 2.0  # of the distribution function, by log s²
    except MeanFieldError as problem:
        return nothing(str(problem).rstrip("."))
    each = np.array([np.mean(values <= level, axis=1) for level in levels])
    sampled = each.mean(axis=1)
    error = each.std(axis=1, ddof=1) / math.sqrt(ensemble.networks)
    order = NEXT * depth / widths[0] * slopes + 1.0 / widths[0]
    z = normal_deviates((sampled - predicted) / np.sqrt(error**2 + order**2), ensemble.networks - 1)
    return SpectrumComparison(levels, predicted, sampled, error, z, sidak(false_alarm, z.size), false_alarm)
