"""What is drawn of an activation as a whole: its depth scale over the plane, its edge of chaos, and where to begin at a depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import MeanFieldError
from meanfield.explore.view import SIGMA_B, SIGMA_W

if TYPE_CHECKING:
    from meanfield.arrays import Array

_ACROSS, _UP = 96, 50  # cells: each is a few pixels


@dataclass(frozen=True)
class Plane:
    """The phase diagram of the page.

    Attributes
    ----------
    name : str
    xi_c : ndarray
        Layers that correlations take, (σ_b, σ_w); nan where the variance grows without bound.
    solid, dashed : tuple of ndarray
        σ_w and σ_b of the edge of chaos where nearby variances stay, and where they leave; nan between the pieces.
    dots : tuple of ndarray
        σ_w and σ_b of an edge that is one point.
    """

    name: str
    xi_c: Array
    solid: tuple[Array, Array]
    dashed: tuple[Array, Array]
    dots: tuple[Array, Array]


def plane_of(activation: Any) -> Plane:
    """The phase diagram and the edge of chaos.

    Examples
    --------
    >>> plane = plane_of("tanh")
    >>> plane.xi_c.shape, bool(np.isfinite(plane.solid[0]).any())
    ((50, 96), True)
    """
    from meanfield.activations import activation as find
    from meanfield.theory.edge_of_chaos import edge_of_chaos, edge_of_chaos_curve
    from meanfield.theory.phase_diagram import phase_diagram

    act = find(activation)
    # The middles of the cells: on the border σ_b = 0 itself the limits are others than beside it.
    diagram = phase_diagram(act, sigma_w=_middles(*SIGMA_W, _ACROSS), sigma_b=_middles(*SIGMA_B, _UP))
    layers = np.array(diagram.xi_c, dtype=np.float64)
    layers[np.isposinf(diagram.q_star)] = np.nan
    # By q every branch of the edge is met, by σ_b its ends are.
    pieces = edge_of_chaos_curve(act, q=np.logspace(-8.0, 5.0, 521)), edge_of_chaos(act, sigma_b=np.linspace(*SIGMA_B, 51))
    q, across, up, stable = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("q", "sigma_w", "sigma_b", "stable"))
    there = np.isfinite(q)
    order = np.argsort(q[there], kind="stable")
    across, up, stable = across[there][order], up[there][order], stable[there][order]
    known = np.isfinite(across)
    if known.any() and np.ptp(across[known]) < 1e-12 and np.ptp(up[known]) < 1e-12:
        none = np.empty(0)
        return Plane(act.name, layers, (none, none), (none, none), (across[known][:1], up[known][:1]))
    return Plane(
        act.name, layers, _where(stable.astype(bool), across, up), _where(~stable.astype(bool), across, up), (np.empty(0), np.empty(0))
    )


def _middles(low: float, high: float, count: int) -> Array:
    return low + (high - low) * (np.arange(count) + 0.5) / count


def _where(wanted: Any, across: Array, up: Array) -> tuple[Array, Array]:
    """The line with gaps where it is of the other kind; a piece reaches the point beside it, so that the two kinds meet."""
    near = wanted | np.roll(wanted, 1) & (np.arange(wanted.size) > 0)
    return np.where(near, across, np.nan), np.where(near, up, np.nan)


def advice_for(activation: Any, depth: int) -> str:
    """What `recommend` says at a depth, or why it says nothing.

    Examples
    --------
    >>> advice_for("tanh", 50).startswith("At 50 layers: σ_w = 1.2987"), advice_for("softplus", 50)[:11]
    (True, 'No advice: ')
    """
    from meanfield.theory.recommend import recommend

    try:
        best = recommend(activation, depth)
    except MeanFieldError as error:
        return f"No advice: {error}"
    return f"At {depth} layers: σ_w = {best.sigma_w:.5g}, σ_b = {best.sigma_b:.4g} (q = {best.q:.4g}). {best.reason}"
