"""A map of one layer against the identity: where they cross is a fixed point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meanfield.plot.line_styles import MARKERS, line_looks

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


@dataclass(frozen=True)
class MapCurve:
    """One map.

    Attributes
    ----------
    label : str
    values : ndarray
        At the points that all curves share.
    fixed_points : sequence of (float, bool)
        Where to put a marker; filled where the fixed point is stable, open where it is not.
    """

    label: str
    values: NDArray[np.float64]
    fixed_points: Sequence[tuple[float, bool]]


def draw_maps(ax: Axes, points: NDArray[np.float64], curves: Sequence[MapCurve], ratio: bool = False) -> None:
    """The identity in grey, the curves over it, and the fixed points among ``points`` on top; ``ratio``: all of it divided by the point.

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield.plot.column_width import detached_axes
    >>> ax, x = detached_axes(), np.linspace(0, 2, 5)
    >>> draw_maps(ax, x, [MapCurve("a half", x / 2, [(0.0, True), (3.0, True)])])
    >>> [line.get_label() for line in ax.get_lines()][:2], len(ax.get_lines())
    (['identity', 'a half'], 3)
    """
    ax.plot(points, points / points if ratio else points, color="0.6", linewidth=0.8, linestyle="-", label="identity", zorder=1)
    for number, (curve, looks) in enumerate(zip(curves, line_looks(len(curves)), strict=True)):
        ax.plot(points, curve.values, label=curve.label, **looks)
        marker, colour = MARKERS[number % len(MARKERS)], looks["color"]
        for value, stable in curve.fixed_points:
            if points[0] <= value <= points[-1]:
                face = colour if stable else "white"
                dot = {"color": colour, "marker": marker, "markerfacecolor": face, "markersize": 4, "linestyle": "none"}
                ax.plot([value], [1.0 if ratio else value], **dot, clip_on=False, zorder=3)
