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
from meanfield.result import Result
from meanfield.theory.conditions.condition import SHOWN
from meanfield.theory.conditions.proposition4 import check_proposition4
from meanfield.theory.depth import propagation_depth
from meanfield.theory.edge_of_chaos import edge_of_chaos
from meanfield.theory.mean_field import MeanField
from meanfield.theory.recommend import checked_layers, recommend

FOLLOWED = 1_000_000  # layers along which signals are followed


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
    satisfied: bool | None
    satisfied_strictly: bool | None
    reason: str

    def __str__(self) -> str:
        point = f"sigma_w = {self.sigma_w:.6g}, sigma_b = {self.sigma_b:.6g}" if not self.reason else self.reason
        return f"{self.activation.name}: {point}"


@dataclass(frozen=True, eq=False, repr=False)
class ActivationComparison(Result):
    """Several activations at one depth; ``str`` is a table, `plot` a picture.

    Attributes
    ----------
    rows : tuple of ActivationRow
        In the order given.
    depth : int
    """

    rows: tuple[ActivationRow, ...]
    depth: int

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
        names = [row.activation.name if len(row.activation.name) <= 14 else row.activation.name[:13] + "…" for row in self.rows]
        wide = max([4, *map(len, names)])
        lines = [
            f"{len(self.rows)} activations at {self.depth} layers",
            f"{'':<{wide}} {'EOC at 0':>8} {'σ_w':>7} {'σ_b':>7} {'q':>7} {'layers':>6} {'gradient':>8} {'1 - c':>7}  Prop. 4",
        ]
        for name, row in zip(names, self.rows, strict=True):
            verdict = SHOWN[row.satisfied] + ("" if row.satisfied == row.satisfied_strictly else f"/{SHOWN[row.satisfied_strictly]}")
            values = f"{_short(row.sigma_w):>7} {_short(row.sigma_b):>7} {_short(row.q):>7} {_short(row.layers, 6):>6}"
            values += f" {_short(row.gradient, 2):>8} {_short(row.difference, 2):>7}"
            lines.append(f"{name:<{wide}} {_short(row.edge_sigma_w):>8} {values}  {verdict}")
        lines += [f"{row.activation.name}: {row.reason}" for row in self.rows if row.reason]
        lines += [
            "EOC at 0: σ_w on the edge of chaos at σ_b = 0. σ_w, σ_b, q: to initialise with.",
            "layers: until c is within 0.01 of c*. gradient: squared, first layer over last.",
            "1 - c: behind the last layer, over 1 - c at the start. Prop. 4: yes/no where it",
            "holds at a fixed point, but not at the limit of the recursion.",
        ]
        return "\n".join(lines)


def compare(activations: Iterable[Any], depth: int = 100) -> ActivationComparison:
    """Activations side by side, each initialised as `recommend` says for that depth.

    Parameters
    ----------
    activations : iterable
        Of anything `meanfield.activation` accepts.
    depth : int
        Number of layers, in [1, 10⁸].

    Returns
    -------
    ActivationComparison
        One row each: edge, recommended point, layers, variance, gradient, difference, Proposition 4; ``.to_frame()``, ``.plot()``.

    Raises
    ------
    ActivationError
        If an activation can't be understood or evaluated.
    DomainError
        If depth is out of range, or there is no activation. An activation without an edge of chaos has a row that says so.

    References
    ----------
    Hayou, Doucet, Rousseau (2018); Schoenholz et al. (2017).

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.compare(["relu", "tanh"], depth=50)
    >>> round(found["relu"].sigma_w, 6), found["relu"].layers, found["relu"].satisfied
    (1.414214, 54.0, False)
    """
    if isinstance(activations, str | Activation) or not isinstance(activations, Iterable):
        activations = [activations]
    layers = checked_layers(depth)
    found = [find_activation(spec) for spec in activations]
    if not found:
        raise DomainError("activations is empty: give at least one")
    return ActivationComparison(tuple(_row(act, layers) for act in found), layers)


def _row(act: Activation, depth: int) -> ActivationRow:
    origin, verdict = edge_of_chaos(act, 0.0), check_proposition4(act)
    edge = (float(origin.sigma_w), str(origin.status))
    holds = (verdict.satisfied, verdict.satisfied_strictly)
    try:
        best = recommend(act, depth)
    except DomainError as error:
        nothing = (math.nan,) * 3
        return ActivationRow(act, *edge, *nothing, "none", math.nan, *nothing, *holds, str(error))
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
        *holds,
        "",
    )


def _layers(act: Activation, sigma_b: float) -> float:
    """Layers on the edge of chaos; nan where the correlation map can't be followed there."""
    try:
        return float(propagation_depth(act, sigma_b=sigma_b))
    except MeanFieldError:
        return math.nan


def _short(value: float, digits: int = 4) -> str:
    return "—" if np.isnan(value) else f"{value:.{digits}g}"
