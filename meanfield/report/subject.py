"""The activation that a page is about, and the points of its edge of chaos that the sections look at."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.theory.conditions import Proposition4
    from meanfield.theory.edge_of_chaos import EdgeOfChaos, EdgePoint
    from meanfield.theory.mean_field import MeanField
    from meanfield.theory.recommend import Recommendation

BIASES = (0.05, 0.2, 0.8)  # small, usual and large σ_b
DEPTHS = (20, 100, 1000)  # layers that initialisations are recommended for


@dataclass(frozen=True)
class Subject:
    """What the sections share.

    Attributes
    ----------
    activation : Activation
    given : object
        What the caller wrote.
    edge : EdgeOfChaos
        At 201 σ_b in [0, 1].
    points : tuple of EdgePoint
        Up to three points of the edge, σ_b ascending: at `BIASES` where they exist, else where the edge is. () where there is none.
    seed : int
        Of the Monte-Carlo check.
    """

    activation: Activation
    given: Any
    edge: EdgeOfChaos
    points: tuple[EdgePoint, ...]
    seed: int

    @property
    def point(self) -> EdgePoint | None:
        """The middle one of the points, or None."""
        return self.points[len(self.points) // 2] if self.points else None

    @property
    def no_edge(self) -> str:
        """Why there is no edge of chaos."""
        return f"There is no edge of chaos: {self.edge.reason[0]}."

    @functools.cached_property
    def verdict(self) -> Proposition4:
        """Proposition 4, asked once for the two sections that tell it."""
        from meanfield.theory.conditions import check_proposition4

        return check_proposition4(self.activation)

    @functools.cached_property
    def advice(self) -> dict[int, Recommendation | str]:
        """For each of `DEPTHS` the recommendation, or why there is none."""
        from meanfield.theory.recommend import Recommendation, recommend_each

        found = recommend_each(self.activation, DEPTHS)
        return {depth: best if isinstance(best, Recommendation) else str(best) for depth, best in found.items()}

    def network(self, point: EdgePoint) -> MeanField:
        """The ensemble at a point of the edge."""
        from meanfield.theory.mean_field import MeanField

        return MeanField(self.activation, point.sigma_w, point.sigma_b)


def make_subject(given: Any, seed: int) -> Subject:
    """Find the activation and its edge of chaos.

    Examples
    --------
    >>> [point.sigma_b for point in make_subject("tanh", 0).points]
    [0.05, 0.2, 0.8]
    >>> [point.sigma_b for point in make_subject("relu", 0).points]
    [0.0]
    """
    import numpy as np

    from meanfield.activations import activation as find
    from meanfield.theory.edge_of_chaos import edge_of_chaos, edge_of_chaos_curve

    act = find(given)
    edge = edge_of_chaos(act, sigma_b=np.linspace(0.0, 1.0, 201))
    found = _points(edge_of_chaos(act, sigma_b=np.array(BIASES)))
    if not found:
        found = _points(edge_of_chaos(act, sigma_b=np.array([0.0])))
    if not found:
        along = _points(edge_of_chaos_curve(act, q=np.logspace(-4.0, 4.0, 161)))
        found = _points(edge_of_chaos(act, sigma_b=np.array([along[len(along) // 2].sigma_b]))) if along else []
    return Subject(act, given, edge, tuple(found), seed)


def _points(edge: EdgeOfChaos) -> list[EdgePoint]:
    from meanfield.theory.edge_of_chaos import EdgePoint

    columns = (edge.sigma_b, edge.sigma_w, edge.q, edge.variance_slope, edge.stable, edge.status)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [EdgePoint(*row) for row in rows if row[-1] != "none" and math.isfinite(row[1])]
