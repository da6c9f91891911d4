"""The correlation map f(c) against the identity, as Poole et al. (2016) and Hayou et al. (2018) draw it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.ascending_grid import ascending_grid
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.ensembles import Ensemble, labelled
from meanfield.plot.line_styles import draw_legend
from meanfield.plot.map_against_identity import MapCurve, draw_maps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


def correlation_map(
    networks: Any,
    ax: Axes | None = None,
    *,
    sigma_b: float = 0.2,
    q: float | None = None,
    c: ArrayLike | None = None,
    labels: Sequence[str] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw f(c), the correlation one layer on, against the identity; the stable fixed point c* is a marker.

    Parameters
    ----------
    networks : MeanField, activation, or a sequence of these
        A network is drawn at its q*. An activation is drawn on its edge of chaos at `sigma_b`, with the variance held
        at that point even where it is unstable; one whose edge of chaos is a single point at σ_b = 0, as ReLU's, is
        drawn there, and its label says so.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    sigma_b : float
        For activations.
    q : float, optional
        The variance of both inputs, instead of q*. Not for activations.
    c : array_like, optional
        The correlations, ascending in [−1, 1]; by default 201 in [0, 1].
    labels : sequence of str, optional
        One for each line, instead of the names.
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes

    References
    ----------
    Poole et al. (2016), figure 2; Hayou et al. (2018), figure 3.

    Examples
    --------
    >>> import meanfield as mf
    >>> ax = mf.plot.correlation_map([mf.MeanField("tanh", sigma_w, 0.3) for sigma_w in (1.3, 2.5, 4.0)])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$c$', '$f(c)$')
    """
    import numpy as np

    items = labelled(networks, sigma_b, labels)
    points = ascending_grid("c", np.linspace(0.0, 1.0, 201) if c is None else c, "correlations in [-1, 1]")
    if q is not None and any(item.held for item in items):
        raise DomainError(f"q = {q!r} is for networks; an activation is drawn at the q of its edge of chaos")
    curves = [
        MapCurve(item.label, item.network.correlation_map(points, q=item.q if q is None else q), [(_fixed_point(item, q), True)])
        for item in items
    ]
    ax = axes_or_new(ax)
    draw_maps(ax, points, curves)
    ax.set_xlabel(r"$c$")
    ax.set_ylabel(r"$f(c)$")
    ax.set_aspect("equal")
    if legend:
        draw_legend(ax)
    return ax


def _fixed_point(item: Ensemble, q: float | None) -> float:
    """c* where it is known without more work: at q* of a network, and 1 on the edge of chaos; nan elsewhere."""
    if q is not None:
        return math.nan
    return 1.0 if item.held else float(item.network.c_star)


make_callable(__name__)
