"""Figures sized for one column of a two-column paper: 3.4 inches, 8 point text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.errors import DomainError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_WIDTH = 3.4
"""Width in inches of a column in the usual two-column formats."""

HEIGHT = 2.6


def new_axes() -> Axes:
    """Axes on a fresh pyplot figure, so that a notebook shows it.

    Examples
    --------
    >>> ax = new_axes()
    >>> float(ax.figure.get_figwidth())
    3.4
    """
    import matplotlib.pyplot as plt

    return _sized(plt.figure(figsize=(COLUMN_WIDTH, HEIGHT), layout="constrained"))


def axes_or_new(ax: Axes | None) -> Axes:
    """The axes given, or new ones.

    Raises
    ------
    DomainError
        If something else is given.

    Examples
    --------
    >>> given = detached_axes()
    >>> axes_or_new(given) is given
    True
    """
    if ax is None:
        return new_axes()
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise DomainError(f"ax must be axes of Matplotlib, not {type(ax).__name__} {ax!r:.60}")
    return ax


def detached_axes() -> Axes:
    """Axes on a figure that pyplot does not know: no display is needed and nothing is left to close.

    Examples
    --------
    >>> detached_axes().get_xlabel()
    ''
    """
    from matplotlib.figure import Figure

    return _sized(Figure(figsize=(COLUMN_WIDTH, HEIGHT), layout="constrained"))


def _sized(figure: Figure) -> Axes:
    axes = figure.add_subplot()
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
    return axes
