"""What an ensemble of random networks says of the theory: z-scores and a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.result import Result, paged

if TYPE_CHECKING:
    from meanfield.arrays import Array, Mask
    from meanfield.simulation.jacobian import SpectrumComparison


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
