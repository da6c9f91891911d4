"""The variance map F(q) against the identity, as Poole et al. (2016) draw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield._callable import make_callable
from meanfield.plot.ascending_grid import ascending_grid
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.ensembles import labelled
from meanfield.plot.line_styles import draw_legend
from meanfield.plot.map_against_identity import MapCurve, draw_maps

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray


def variance_map(
    networks: Any,
    ax: Axes | None = None,
    *,
    sigma_b: float = 0.2,
    q: ArrayLike | None = None,
    labels: Sequence[str] | None = None,
    legend: bool = True,
    ratio: bool | None = None,
) -> Axes:
    """Draw F(q), the variance one layer on, against the identity; a filled marker is a stable fixed point, an open one is not.

    Maps that nearly lie on the identity, as on the edge of chaos, tell nothing so: of these F(q)/q is drawn, against 1.

    Parameters
    ----------
    networks : MeanField, activation, or a sequence of these
        An activation is drawn on its edge of chaos at `sigma_b`, as in `meanfield.plot.correlation_map`.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    sigma_b : float
        For activations.
    q : array_like, optional
        The variances, ascending. By default from 0 to 1.3 times the largest finite fixed point, at least to 1.
    labels : sequence of str, optional
        One for each line, instead of the names.
    legend : bool
        Whether to draw the legend.
    ratio : bool, optional
        Whether to draw F(q)/q. Where not given, if every F(q) lies within a third of q.

    Returns
    -------
    matplotlib.axes.Axes

    References
    ----------
    Poole et al. (2016), figure 1.

    Examples
    --------
    >>> import meanfield as mf
    >>> ax = mf.plot.variance_map([mf.MeanField("tanh", sigma_w, 0.3) for sigma_w in (1.3, 2.5, 4.0)])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$q$', '$F(q)$')
    """
    import numpy as np

    items = labelled(networks, sigma_b, labels)
    fixed = [item.network.variance_fixed_points() for item in items]
    if q is None:
        q = np.linspace(0.0, max([1.0, *(1.3 * point.value for found in fixed for point in found)]), 201)
    points = ascending_grid("q", q, "variances")
    values = [item.network.variance_map(points) for item in items]
    if ratio is None:
        ratio = all(_near_identity(points, each) for each in values)
    if ratio:
        points, values = points[points > 0], [each[points > 0] / points[points > 0] for each in values]
    curves = [
        MapCurve(item.label, each, [(point.value, point.stable) for point in found])
        for item, each, found in zip(items, values, fixed, strict=True)
    ]
    ax = axes_or_new(ax)
    draw_maps(ax, points, curves, ratio=ratio)
    ax.set_xlabel(r"$q$")
    ax.set_ylabel(r"$F(q)/q$" if ratio else r"$F(q)$")
    ax.set_xlim(points[0], points[-1])
    if ratio:  # σ_b²/q grows without bound at small q, where nothing else is seen
        shown = np.concatenate([each[points > 0.1 * points[-1]] for each in values])
        ax.set_ylim(max(float(shown.min()) - 0.1, 0.0), min(float(shown.max()) + 0.1, 2.0))
    if legend:
        draw_legend(ax)
    return ax


def _near_identity(q: NDArray[np.float64], values: NDArray[np.float64]) -> bool:
    """Whether a line of F(q) could hardly be told from that of q; near 0 σ_b² is large beside q, but nobody sees it there."""
    seen = q > 0.2 * q[-1]
    return bool((abs(values[seen] / q[seen] - 1.0) < 1.0 / 3.0).all())


make_callable(__name__)
