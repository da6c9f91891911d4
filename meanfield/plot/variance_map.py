"""The variance map F(q) against the identity, as Poole et al. (2016) draw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.ensembles import ensembles
from meanfield.plot.line_styles import MARKERS, STYLES, given_labels, one_or_many, shades

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


def variance_map(
    networks: Any,
    ax: Axes | None = None,
    *,
    sigma_b: float = 0.2,
    q: ArrayLike | None = None,
    labels: Sequence[str] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw F(q), the variance one layer on, against the identity; a filled marker is a stable fixed point, an open one is not.

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

    Returns
    -------
    matplotlib.axes.Axes

    References
    ----------
    Poole et al. (2016), figure 1.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import meanfield as mf
    >>> ax = mf.plot.variance_map([mf.MeanField("tanh", sigma_w, 0.3) for sigma_w in (1.3, 2.5, 4.0)])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$q$', '$F(q)$')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    import numpy as np

    items = ensembles(one_or_many(networks, "networks"), sigma_b)
    words = given_labels(labels, len(items)) or [item.label for item in items]
    fixed = [item.network.variance_fixed_points() for item in items]
    if q is None:
        points = np.linspace(0.0, max([1.0, *(1.3 * point.value for found in fixed for point in found)]), 201)
    else:
        points = np.asarray(q, dtype=np.float64)
    if points.ndim != 1 or points.size < 2 or not np.all(np.diff(points) > 0):
        raise DomainError(f"q of shape {points.shape} can't be drawn as a curve; give two or more ascending variances")
    ax = axes_or_new(ax)
    ax.plot(points, points, color="0.6", linewidth=0.8, label="identity", zorder=1)
    for number, (item, word, found, colour) in enumerate(zip(items, words, fixed, shades(len(items)), strict=True)):
        style, marker = STYLES[number % len(STYLES)], MARKERS[number % len(MARKERS)]
        ax.plot(points, item.network.variance_map(points), color=colour, linestyle=style, linewidth=1.3, label=word)
        for point in found:
            if points[0] <= point.value <= points[-1]:
                face = colour if point.stable else "white"
                ax.plot(
                    [point.value], [point.value], color=colour, marker=marker, markerfacecolor=face, markersize=4, clip_on=False, zorder=3
                )
    ax.set_xlabel(r"$q$")
    ax.set_ylabel(r"$F(q)$")
    ax.set_xlim(points[0], points[-1])
    if legend:
        ax.legend(fontsize=7, handlelength=2.6, frameon=False)
    return ax


make_callable(__name__)
