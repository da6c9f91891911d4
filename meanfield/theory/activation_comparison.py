"""Activations side by side: where their edge of chaos lies, how to initialise them at a depth, and what becomes of signals there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.activations.activation import Activation
from meanfield.errors import DomainError, MeanFieldError
from meanfield.result import Result, paged, shortened
from meanfield.theory.conditions.condition import SHOWN
from meanfield.theory.conditions.proposition4 import check_proposition4
from meanfield.theory.depth import propagation_depth
from meanfield.theory.edge_of_chaos import edge_of_chaos
from meanfield.theory.mean_field import MeanField
from meanfield.theory.recommend import checked_layers, recommend
from meanfield.theory.spreads import checked_width, spreads

FOLLOWED = 1_000_000  # layers along which signals are followed
LONGEST_NAME = 20  # letters of it in the table


@dataclass(frozen=True, eq=False, repr=False)
class ActivationRow(Result):
    """One activation of a comparison; numbers are nan where there is nothing to initialise with.

    Attributes
    ----------
    activation : Activation
    edge_sigma_w : float
        σ_w on the edge of chaos at σ_b = 0; nan where there is none.
    edge_status : str
        "attracting", "repelling", "neutral" or "none", there.
    sigma_w, sigma_b, q : float
        The recommended point.
    status : str
        What variances near q do there.
    layers : float
        Layers until |c − c*| < 0.01 from c = ½, the variance held at q.
    variance, gradient : float
        q_L/q₀ and E|∂E/∂h⁰|²/E|∂E/∂h^L|² over the depth, from q₀ = 1.
    difference : float
        (1 − c_L)/(1 − c₀) over the depth, from c₀ = ½.
    gradient_spread : float
        √(L(3E φ'⁴/(E φ'²)² − 1)/width), at q: the standard deviation, in nats, of a network's squared gradient about its mean.
    jacobian_spread : float
        L(E φ'⁴/(E φ'²)² − 1), at q: Var s²/(E s²)² of the Jacobian's singular values s with orthogonal weights; L more with Gaussian ones.
    satisfied, satisfied_strictly : bool or None
        Proposition 4, with q a fixed point, and with q the limit of the recursion.
    reason : str
        Why nothing can be recommended; else "".
    """

    activation: Activation
    edge_sigma_w: float
    edge_status: str
    sigma_w: float
    sigma_b: float
    q: float
    status: str
    layers: float
    variance: float
    gradient: float
    difference: float
    gradient_spread: float
    jacobian_spread: float
    satisfied: bool | None
    satisfied_strictly: bool | None
    reason: str

    def __str__(self) -> str:
        point = f"sigma_w = {self.sigma_w:.6g}, sigma_b = {self.sigma_b:.6g}" if not self.reason else self.reason
        return paged(f"{self.activation.name}: {point}")


@dataclass(frozen=True, eq=False, repr=False)
class ActivationComparison(Result):
    """Several activations at one depth; ``str`` is a table, `plot` a picture.

    Attributes
    ----------
    rows : tuple of ActivationRow
        In the order given.
    depth, width : int
        The width is that of the gradient's spread; all else is at infinite width.
    """

    rows: tuple[ActivationRow, ...]
    depth: int
    width: int = 1000

    _pictured = True

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str | int) -> ActivationRow:
        """The row of an activation, by its name or its place."""
        if isinstance(name, int):
            return self.rows[name]
        for row in self.rows:
            if row.activation.name == name:
                return row
        raise DomainError(f"{name!r} is not compared; there are {', '.join(row.activation.name for row in self.rows)}")

    def _columns(self) -> dict[str, Any]:
        names = [name for name in ActivationRow.__dataclass_fields__ if name != "activation"]
        return {"activation": [row.activation.name for row in self.rows]} | {
            name: [getattr(row, name) for row in self.rows] for name in names
        }

    def plot(self, ax: Any = None) -> Any:
        """Draw what is left of gradients, variances and differences: see `meanfield.plot.activation_comparison`; returns the Axes."""
        from meanfield.plot.activation_comparison import activation_comparison as draw

        return draw(self, ax)

    def __str__(self) -> str:
        names = [shortened(row.activation.name, LONGEST_NAME) for row in self.rows]
        wide = max(map(len, names))
        lines = [
            f"{len(self.rows)} activation{'s' * (len(self.rows) > 1)} at {self.depth} layer{'s' * (self.depth > 1)}",
            f"{'':<{wide}} {'EOC at 0':>9} {'σ_w':>8} {'σ_b':>8} {'q':>8} {'layers':>8}  Prop. 4",
        ]
        for name, row in zip(names, self.rows, strict=True):
            verdict = SHOWN[row.satisfied] + ("" if row.satisfied == row.satisfied_strictly else f"/{SHOWN[row.satisfied_strictly]}")
            point = " ".join(f"{_short(value):>8}" for value in (row.sigma_w, row.sigma_b, row.q, row.layers))
            lines.append(f"{name:<{wide}} {_short(row.edge_sigma_w):>9} {point}  {verdict}")
        lines += ["", f"{'':<{wide}} {'variance':>9} {'gradient':>9} {'1 - c':>9} {'spread':>9} {'Jacobian':>9}"]
        for name, row in zip(names, self.rows, strict=True):
            left = (row.variance, row.gradient, row.difference, row.gradient_spread, row.jacobian_spread)
            lines.append(f"{name:<{wide}} " + " ".join(f"{_short(value, 3):>9}" for value in left))
        lines += [paged(f"{row.activation.name}: {row.reason}") for row in self.rows if row.reason]
        lines += [
            "",
            "EOC at 0: σ_w on the edge of chaos at σ_b = 0. σ_w, σ_b, q: to initialise with.",
            "layers: until c is within 0.01 of c*. Prop. 4: yes/no where it holds at a fixed",
            "point, but not at the limit of the recursion. variance, 1 - c: last layer over",
            f"first; gradient: squared, first over last. spread: of its log at width {self.width}.",
            "Jacobian: relative variance of its squared singular values, orthogonal weights.",
        ]
        return "\n".join(lines)


def compare(activations: Iterable[Any], depth: int = 100, *, width: int = 1000) -> ActivationComparison:
    """Activations side by side, each initialised as `recommend` says for that depth.

    Parameters
    ----------
    activations : iterable
        Of anything `meanfield.activation` accepts.
    depth : int
        Number of layers, in [1, 10⁸].
    width : int
        Units of a layer, in [1, 10⁹], for the spread of gradients between networks.

    Returns
    -------
    ActivationComparison
        One row each: edge, recommended point, layers, variance, gradient, difference, spreads, Proposition 4; ``.to_frame()``, ``.plot()``.

    Raises
    ------
    ActivationError
        If an activation can't be understood or evaluated.
    DomainError
        If depth or width is out of range, or there is no activation. An activation without an edge of chaos has a row that says so.

    References
    ----------
    Hayou, Doucet, Rousseau (2018); Schoenholz et al. (2017); for the spreads Hanin & Nica (2020), Pennington et al. (2017).

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.compare(["relu", "tanh"], depth=50)
    >>> round(found["relu"].sigma_w, 6), found["relu"].layers, found["relu"].satisfied
    (1.414214, 54.0, False)
    """
    if isinstance(activations, str | Activation) or not isinstance(activations, Iterable):
        activations = [activations]
    layers, units = checked_layers(depth), checked_width(width)
    found = [find_activation(spec) for spec in activations]
    if not found:
        raise DomainError("activations is empty: give at least one")
    return ActivationComparison(tuple(_row(act, layers, units) for act in found), layers, units)


def _row(act: Activation, depth: int, width: int) -> ActivationRow:
    origin, verdict = edge_of_chaos(act, 0.0), check_proposition4(act)
    edge = (float(origin.sigma_w), str(origin.status))
    holds = (verdict.satisfied, verdict.satisfied_strictly)
    try:
        best = recommend(act, depth)
    except DomainError as error:
        nothing = (math.nan,) * 3
        return ActivationRow(act, *edge, *nothing, "none", math.nan, *nothing, math.nan, math.nan, *holds, str(error))
    path = MeanField(act, best.sigma_w, best.sigma_b).propagate(min(depth, FOLLOWED))
    return ActivationRow(
        act,
        *edge,
        best.sigma_w,
        best.sigma_b,
        best.q,
        best.status,
        _layers(act, best.sigma_b),
        float(path.q1[-1] / path.q1[0]),
        float(path.gradient[0]),
        float(path.epsilon[-1] / path.epsilon[0]),
        *_spreads(act, best.q, depth, width),
        *holds,
        "",
    )


def _spreads(act: Activation, q: float, depth: int, width: int) -> tuple[float, float]:
    """Of the gradient and of the Jacobian; nan where φ has no slope."""
    try:
        found = spreads(act, q, depth, width)
    except MeanFieldError:
        return math.nan, math.nan
    return found.gradient, found.jacobian


def _layers(act: Activation, sigma_b: float) -> float:
    """Layers on the edge of chaos; nan where the correlation map can't be followed there."""
    try:
        return float(propagation_depth(act, sigma_b=sigma_b))
    except MeanFieldError:
        return math.nan


def _short(value: float, digits: int = 4) -> str:
    return "—" if np.isnan(value) else f"{value:.{digits}g}"
