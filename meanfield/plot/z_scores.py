"""How far a simulated ensemble lies from the theory, in standard errors, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.line_styles import DASHED, MARKERS, draw_legend, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.simulation.comparison import Comparison

_SYMBOLS = {"q1": r"$q$, first input", "q2": r"$q$, second input", "c": r"$c$", "gradient": "gradient"}


def z_scores(comparison: Comparison, ax: Axes | None = None, *, legend: bool = True) -> Axes:
    """Draw the z-scores of a comparison, with the threshold beyond which a value disagrees; open where nothing is judged.

    Parameters
    ----------
    comparison : Comparison
        Of `Simulation.compare`.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DomainError
        If it is no comparison.

    Examples
    --------
    >>> import meanfield as mf
    >>> sim = mf.simulate("tanh", sigma_w=1.3, sigma_b=0.2, width=200, depth=5, networks=20)
    >>> mf.plot.z_scores(sim.compare()).get_ylabel()
    '$z$'
    """
    import numpy as np

    if not hasattr(comparison, "z_scores"):
        raise DomainError(f"comparison: {type(comparison).__name__} can't be drawn; give a result of Simulation.compare")
    ax = axes_or_new(ax)
    names = list(comparison.z_scores)
    for name, colour, marker in zip(names, shades(len(names)), MARKERS, strict=False):
        scores, judged = comparison.z_scores[name], comparison.judged[name]
        layers = np.arange(scores.size)
        look = {"color": colour, "marker": marker, "markersize": 3, "linestyle": "none"}
        ax.plot(layers[judged], scores[judged], label=_SYMBOLS.get(name, name), **look)
        ax.plot(layers[~judged], scores[~judged], markerfacecolor="none", **look)
    ax.axhline(0.0, color="0.6", linewidth=0.8, zorder=1)
    if np.isfinite(comparison.threshold):
        for side in (-1, 1):
            ax.axhline(side * comparison.threshold, color="black", linewidth=0.8, linestyle=DASHED, zorder=1)
        ax.plot([], [], color="black", linewidth=0.8, linestyle=DASHED, label="allowed")
        largest = max([comparison.threshold, *(float(np.nanmax(np.abs(s), initial=0.0)) for s in comparison.z_scores.values())])
        ax.set_ylim(-1.5 * largest, 1.5 * largest)
    ax.set_xlabel(r"layer $\ell$")
    ax.set_ylabel(r"$z$")
    if legend:
        draw_legend(ax, ncols=2)
    return ax


make_callable(__name__)
