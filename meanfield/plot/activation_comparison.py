"""Activations side by side: what is left of a signal behind a deep network of each, initialised as well as may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.line_styles import draw_legend, plain_label, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.theory.activation_comparison import ActivationComparison

_MARKS = (
    ("gradient", r"gradient, first layer over last", "o"),
    ("variance", r"variance, last layer over first", "s"),
    ("difference", r"$1 - c$, last layer over first", "D"),
)


def activation_comparison(found: ActivationComparison, ax: Axes | None = None, *, legend: bool = True) -> Axes:
    """Draw what a network of that depth leaves of gradients, variances and differences between inputs; 1 is all of it.

    Parameters
    ----------
    found : ActivationComparison
        Of `meanfield.compare`.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes
        One line of marks for each activation; without marks where nothing can be recommended.

    Raises
    ------
    DomainError
        If it is no comparison of activations.

    References
    ----------
    Hayou, Doucet, Rousseau (2018), section 3.

    Examples
    --------
    >>> import meanfield as mf
    >>> ax = mf.plot.activation_comparison(mf.compare(["relu", "tanh"], depth=20))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['relu', 'tanh']
    """
    import numpy as np

    if not hasattr(found, "rows"):
        raise DomainError(f"found: {type(found).__name__} can't be drawn; give a result of meanfield.compare")
    ax = axes_or_new(ax)
    places = np.arange(len(found.rows))
    values = {name: np.array([getattr(row, name) for row in found.rows], dtype=np.float64) for name, _, _ in _MARKS}
    stacked = np.array(list(values.values()))
    usable = np.isfinite(stacked) & (stacked > 0.0)
    for place, known, column in zip(places, usable.T, stacked.T, strict=True):
        if known.any():  # how far the three lie apart
            ax.plot([column[known].min(), column[known].max()], [place, place], color="0.8", linewidth=1.0, zorder=1)
    for (name, label, marker), colour, offset in zip(_MARKS, shades(len(_MARKS)), (-0.12, 0.0, 0.12), strict=True):
        known = np.isfinite(values[name]) & (values[name] > 0.0)
        ax.plot(values[name][known], places[known] + offset, marker, color=colour, markersize=4, label=label)
    ax.axvline(1.0, color="0.4", linewidth=0.8, zorder=0)
    ax.set_xscale("log")
    ax.set_yticks(places, [plain_label(row.activation.name) for row in found.rows])
    ax.set_ylim(len(found.rows) - 0.5, -0.5)
    ax.set_xlabel(f"left after {found.depth} layers")
    if legend:
        draw_legend(ax, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1)
    return ax


make_callable(__name__)
