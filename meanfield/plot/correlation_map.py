"""The correlation map f(c) against the identity, as Poole et al. (2016) and Hayou et al. (2018) draw it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.ensembles import Ensemble, ensembles
from meanfield.plot.line_styles import MARKERS, STYLES, given_labels, one_or_many, shades

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
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import meanfield as mf
    >>> ax = mf.plot.correlation_map([mf.MeanField("tanh", sigma_w, 0.3) for sigma_w in (1.3, 2.5, 4.0)])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$c$', '$f(c)$')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    import numpy as np

    items = ensembles(one_or_many(networks, "networks"), sigma_b)
    words = given_labels(labels, len(items)) or [item.label for item in items]
    points = np.linspace(0.0, 1.0, 201) if c is None else np.asarray(c, dtype=np.float64)
    if points.ndim != 1 or points.size < 2 or not np.all(np.diff(points) > 0):
        raise DomainError(f"c of shape {points.shape} can't be drawn as a curve; give two or more ascending correlations in [-1, 1]")
    if q is not None and any(item.held for item in items):
        raise DomainError(f"q = {q!r} is for networks; an activation is drawn at the q of its edge of chaos")
    ax = axes_or_new(ax)
    ax.plot(points, points, color="0.6", linewidth=0.8, linestyle="-", label="identity", zorder=1)
    for number, (item, word, colour) in enumerate(zip(items, words, shades(len(items)), strict=True)):
        at = item.q if q is None else q
        style, marker = STYLES[number % len(STYLES)], MARKERS[number % len(MARKERS)]
        ax.plot(points, item.network.correlation_map(points, q=at), color=colour, linestyle=style, linewidth=1.3, label=word)
        fixed = _fixed_point(item, q)
        if points[0] <= fixed <= points[-1]:
            ax.plot([fixed], [fixed], color=colour, marker=marker, markersize=4, linestyle="none", clip_on=False, zorder=3)
    ax.set_xlabel(r"$c$")
    ax.set_ylabel(r"$f(c)$")
    ax.set_aspect("equal")
    if legend:
        ax.legend(fontsize=7, handlelength=2.6, frameon=False)
    return ax


def _fixed_point(item: Ensemble, q: float | None) -> float:
    """c* where it is known without more work: at q* of a network, and 1 on the edge of chaos; nan elsewhere."""
    if q is not None:
        return math.nan
    return 1.0 if item.held else float(item.network.c_star)


make_callable(__name__)
