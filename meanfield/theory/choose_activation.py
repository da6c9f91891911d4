"""Which activation to take at a depth: the catalogue, or a few, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.activations import activations as names
from meanfield.errors import DomainError, MeanFieldError
from meanfield.result import Result, paged, shortened
from meanfield.theory.recommend import checked_layers, recommend
from meanfield.theory.spreads import checked_width, spreads

TWINS = ("swish", "igelu", "prelu", "rrelu", "abs", "threshold", "linear", "monomial", "polynomial")  # twins of others, or no networks


@dataclass(frozen=True, eq=False, repr=False)
class Candidate(Result):
    """One activation at its recommended point.

    Attributes
    ----------
    name : str
    sigma_w, sigma_b, q : float
        As `recommend` gives them; nan where there is no such point.
    status : str
        What variances near q do: "attracting", "repelling", "neutral" or "none".
    variance_change, gradient_change, correlation_change : float
        In nats over the depth, as in `Recommendation`.
    gradient_spread : float
        √(L(3E φ'⁴/(E φ'²)² − 1)/width): the standard deviation, in nats, of a network's squared gradient about its mean.
    jacobian_spread : float
        L(E φ'⁴/(E φ'²)² − 1) = μ₂/μ₁² − 1 of the squared singular values with orthogonal weights: 0 is isometry.
    cost : float
        The largest of the three changes and gradient_spread: the order of the table.
    reason : str
        Which of them it is; or why there is no point.
    """

    name: str
    sigma_w: float
    sigma_b: float
    q: float
    status: str
    variance_change: float
    gradient_change: float
    correlation_change: float
    gradient_spread: float
    jacobian_spread: float
    cost: float
    reason: str

    def __str__(self) -> str:
        return paged(
            f"{self.name}: sigma_w = {self.sigma_w:.9g}, sigma_b = {self.sigma_b:.6g}, {self.status}; cost {self.cost:.3g}: {self.reason}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class ActivationRanking(Result):
    """Candidates at a depth, best first.

    Attributes
    ----------
    depth, width : int
    candidates : tuple of Candidate
        By cost; those without a point come last.
    """

    depth: int
    width: int
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The first."""
        return self.candidates[0]

    def __iter__(self) -> Any:
        return iter(self.candidates)

    def __len__(self) -> int:
        return len(self.candidates)

    def _columns(self) -> dict[str, Any]:
        return {field.name: [getattr(each, field.name) for each in self.candidates] for field in fields(Candidate)}

    def __repr__(self) -> str:
        return f"ActivationRanking(depth={self.depth}, width={self.width}, best={self.best.name!r}, {len(self)} candidates)"

    def __str__(self) -> str:
        names = [shortened(each.name, 14) for each in self.candidates]
        lines = [
            f"activations for {self.depth} layers of width {self.width}; changes in nats over the depth",
            f"{'':>3} {'activation':<14} {'cost':>8} {'variance':>9} {'gradient':>9} {'differ.':>8} {'spread':>8} {'Jacobian':>9}",
        ]
        for place, (name, c) in enumerate(zip(names, self.candidates, strict=True), 1):
            changes = f"{c.cost:>8.3g} {c.variance_change:>9.3g} {c.gradient_change:>9.3g} {c.correlation_change:>8.3g}"
            lines.append(f"{place:>3} {name:<14} {changes} {c.gradient_spread:>8.3g} {c.jacobian_spread:>9.3g}")
        lines += ["", f"{'':>3} {'activation':<14} {'σ_w':>9} {'σ_b':>9} {'status':<11} what costs most"]
        for place, (name, c) in enumerate(zip(names, self.candidates, strict=True), 1):
            lines.append(paged(f"{place:>3} {name:<14} {c.sigma_w:>9.5g} {c.sigma_b:>9.5g} {c.status:<11} {c.reason}", hang=52))
        return "\n".join(lines)


def choose_activation(depth: int, candidates: Iterable[Any] | None = None, *, width: int = 1000) -> ActivationRanking:
    """Activations ranked for a depth, each at its recommended initialisation.

    Parameters
    ----------
    depth : int
        Number of layers, in [1, 10⁸].
    candidates : iterable of activations, optional
        Anything `meanfield.activation` accepts; without it the catalogue at its default parameters.
    width : int
        Units of a layer, for the spread between networks; in [1, 10⁹].

    Returns
    -------
    ActivationRanking
        Rows with the changes of variance, gradient and differences over the depth, the stability of the variance, the spread of gradients
        at that width, the spread of the Jacobian's singular values, and the reason for the place; .best, .to_frame(), readable as text.

    Raises
    ------
    ActivationError
        If a candidate can't be understood.
    DomainError
        If an argument is out of range.

    Notes
    -----
    The order is by the largest of four numbers in nats: the changes of variance, squared gradient and differences from the first layer to
    the last (`recommend`), and the standard deviation of the logarithm of the squared gradient between networks, √(Lk/width) with
    k = 3E φ'⁴/(E φ'²)² − 1 for each layer. How well a network fits its task is no part of it.

    References
    ----------
    Schoenholz et al. (2017); Hayou et al. (2019); Hanin & Nica (2020) for products of random matrices.

    Examples
    --------
    >>> import meanfield as mf
    >>> table = mf.choose_activation(50, ["relu", "tanh", "sign"])
    >>> [row.name for row in table], table.candidates[2].status
    (['tanh', 'relu', 'sign'], 'none')
    """
    layers = checked_layers(depth)
    units = checked_width(width)
    if candidates is not None and (isinstance(candidates, (str, bytes)) or not isinstance(candidates, Iterable)):
        raise DomainError(f"candidates = {candidates!r} must be a list of activations")
    given = [name for name in names() if name not in TWINS] if candidates is None else list(candidates)
    if not given:
        raise DomainError("candidates is empty: give at least one activation")
    rows = [_row(find_activation(each), layers, units) for each in given]
    order = sorted(rows, key=lambda row: (row.status == "none", row.cost if row.cost == row.cost else math.inf))
    return ActivationRanking(layers, units, tuple(order))


def _row(act: Any, layers: int, width: int) -> Candidate:
    nan = math.nan
    try:
        with np.errstate(all="ignore"):
            advice = recommend(act, layers)
            scatter = spreads(act, advice.q, layers, width)
    except MeanFieldError as error:
        return Candidate(act.name, nan, nan, nan, "none", nan, nan, nan, nan, nan, nan, str(error).partition("; ")[0])
    terms = {
        "the variance changes": advice.variance_change,
        "the gradient changes": advice.gradient_change,
        "differences between inputs are lost": advice.correlation_change,
        "gradients differ between networks": scatter.gradient,
    }
    worst = max(terms, key=lambda name: terms[name])
    reason = f"{worst}" + ("; variances leave q" if advice.status == "repelling" else "")
    return Candidate(
        act.name,
        advice.sigma_w,
        advice.sigma_b,
        advice.q,
        advice.status,
        advice.variance_change,
        advice.gradient_change,
        advice.correlation_change,
        scatter.gradient,
        scatter.jacobian,
        terms[worst],
        reason,
    )
