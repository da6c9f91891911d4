"""The result of a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.arguments import real_array
from meanfield.result import Result, paged
from meanfield.simulation.network_ensemble import NetworkEnsemble
from meanfield.simulation.streaming import Estimate

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.simulation.comparison import Comparison
    from meanfield.simulation.ensemble import Ensemble
    from meanfield.simulation.statistics import Statistics


@dataclass(frozen=True, eq=False, repr=False)
class Simulation(Result):
    """What a finite number of random networks did. Layer 0 is the start h⁰; arrays have depth + 1 entries along their first axis.

    Attributes
    ----------
    ensemble : Ensemble
        What was simulated: activation, sigma_w, sigma_b, widths, networks, seed, method, weights, ….
    gram : Estimate of shape (depth + 1, B, B)
        Mean over networks of h_a·h_b/N, for B inputs.
    epsilon_matrix : Estimate of shape (depth + 1, B, B)
        Mean over networks of 1 − h_a·h_b/(|h_a||h_b|): small ones to relative accuracy.
    gradient : Estimate of length depth + 1, or None
        Mean over networks of |δ^l|²/|δ^L|², δ^L ~ N(0, I) at h^L, first input. None with gradients=False.
    log_gradient : Estimate of length depth + 1, or None
        The same of its logarithm, over the networks where it is not 0.
    singular_values : ndarray of shape (networks, width), or None
        Of ∂h^L/∂h⁰ of the first input, descending; with jacobian=True.
    """

    ensemble: Ensemble | NetworkEnsemble
    gram: Estimate
    epsilon_matrix: Estimate
    gradient: Estimate | None
    log_gradient: Estimate | None
    singular_values: Array | None = None

    @classmethod
    def of(cls, ensemble: Ensemble | NetworkEnsemble, statistics: Statistics, singular_values: Array | None = None) -> Simulation:
        """From the moments of all networks."""
        found = {name: moments.estimate() for name, moments in statistics.items()}
        return cls(ensemble, found["gram"], found["epsilon"], found.get("gradient"), found.get("log_gradient"), singular_values)

    @property
    def plain(self) -> Ensemble:
        """The ensemble, where it is one of plain networks."""
        if isinstance(self.ensemble, NetworkEnsemble):
            raise DomainError("this is known of a simulation of plain networks only, not of networks of layers")
        return self.ensemble

    @property
    def depth(self) -> int:
        """L, the number of layers after h⁰."""
        return self.ensemble.depth

    @cached_property
    def q(self) -> Estimate:
        """Mean squares of every input, of shape (depth + 1, B)."""
        inputs = np.arange(self.ensemble.batch)
        return self.gram[:, inputs, inputs]

    @cached_property
    def correlation(self) -> Estimate:
        """Correlations of every pair of inputs, of shape (depth + 1, B, B)."""
        return Estimate(1.0 - self.epsilon_matrix.mean, self.epsilon_matrix.standard_error, self.epsilon_matrix.count)

    @property
    def _second(self) -> int:
        return min(1, self.ensemble.batch - 1)  # a lone input stands for both

    @cached_property
    def q1(self) -> Estimate:
        """Mean over networks of the layer's mean h² of the first input."""
        return self.q[:, 0]

    @cached_property
    def q2(self) -> Estimate:
        """The same of the second input."""
        return self.q[:, self._second]

    @cached_property
    def c(self) -> Estimate:
        """Mean over networks of the network's own ratio h₁·h₂/(|h₁||h₂|); 0/0 left out, `count` says how many entered."""
        return self.correlation[:, 0, self._second]

    @cached_property
    def epsilon(self) -> Estimate:
        """1 − c, to relative accuracy."""
        return self.epsilon_matrix[:, 0, self._second]

    def _columns(self) -> dict[str, Any]:
        names = ("q1", "q2", "c", "epsilon", *(("gradient", "log_gradient") if self.gradient is not None else ()))
        columns: dict[str, Any] = {"layer": np.arange(self.depth + 1)}
        for name in names:
            estimate: Estimate = getattr(self, name)
            columns |= {name: estimate.mean, f"{name}_standard_error": estimate.standard_error}
        return columns | {"networks": self.c.count}

    def plot(self, ax: Any = None, quantity: str = "q1") -> Any:
        """Draw "q1", "q2", "c" or "gradient" over theory: see `meanfield.plot.comparison`; returns the Axes."""
        from meanfield.plot.comparison import comparison as draw

        return draw(self, ax, quantity=quantity)

    def compare(self, false_alarm: float = 1e-3) -> Comparison:
        """Against the theory of two inputs, with its first-order corrections for finite width.

        Parameters
        ----------
        false_alarm : float
            Probability that any z-score of an ensemble that obeys the theory is called a disagreement, in (0, 1).

        Returns
        -------
        Comparison
            .z_scores, .consistent (None where the width is too small to judge), .max_abs_z; str() is a table with a verdict.

        Raises
        ------
        DomainError
            If false_alarm is out of range.

        References
        ----------
        Roberts, Yaida, Hanin (2022), chapters 4 and 9, for the corrections; docs/simulation.md for the statistics.

        Examples
        --------
        >>> import meanfield as mf
        >>> mf.simulate("tanh", 1.3, 0.2, width=400, depth=5, networks=100).compare().consistent
        True
        """
        rate = real_array("false_alarm", false_alarm)
        if rate.ndim or not 0 < float(rate) < 1:
            raise DomainError(f"false_alarm = {false_alarm!r} is out of range: one number in (0, 1)")
        if isinstance(self.ensemble, NetworkEnsemble):
            from meanfield.simulation.network_comparison import compare_network

            return compare_network(self, float(rate))
        from meanfield.simulation.plain_comparison import compare_plain

        return compare_plain(self, float(rate))

    def __str__(self) -> str:
        e = self.ensemble
        lines = [
            paged(e.label if isinstance(e, NetworkEnsemble) else f"{e.label}, {e.weights} weights, method {e.method!r}, seed {e.seed}"),
            f"{'layer':>6} {'q1':>17} {'q2':>17} {'c':>17}" + (f" {'gradient':>17}" if self.gradient is not None else ""),
        ]
        shown = sorted({min(round(10.0 ** (0.5 * k)), e.depth) for k in range(10)} | {0, e.depth})
        for i in shown:
            columns = (self.q1, self.q2, self.c) if self.gradient is None else (self.q1, self.q2, self.c, self.gradient)
            lines.append(f"{i:>6} " + " ".join(_pair(column, i) for column in columns))
        left_out = e.networks - int(self.c.count.min())
        if left_out:
            told = f"c leaves out up to {left_out} of {e.networks} networks in a layer, where an input has died out or overflowed (0/0)"
            lines.append(paged(told))
        return "\n".join(lines)


def _pair(estimate: Estimate, index: int) -> str:
    return f"{estimate.mean[index]:.5g} ± {estimate.standard_error[index]:.1g}".rjust(17)
