"""Variance, correlation and gradient of a network of layers, one below the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.plot.column_width import COLUMN_WIDTH
from meanfield.plot.line_styles import draw_legend, shades
from meanfield.plot.trajectory import trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.simulation import Estimate, Simulation
    from meanfield.theory.trajectory import Trajectory

_MOST_POINTS = 40
_WIDE = 20.0  # ratio of the largest to the smallest value from which an axis is logarithmic


def trajectory_panels(found: Trajectory, sim: Simulation | None = None) -> Axes:
    """Draw q, c and the gradient of a trajectory, and a simulation of the same network over them: means with two standard errors.

    The gradient's points are exp E log, whose mean over networks is no matter of a few large ones.

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield import layers as L
    >>> top = trajectory_panels(mf.Network(L.Repeat(L.Residual("tanh", L.Dense(1.0)), 20)).propagate())
    >>> len(top.figure.axes)
    3
    """
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(COLUMN_WIDTH, 5.2), layout="constrained")
    panels: list[Axes] = list(figure.subplots(3, 1, sharex=True))
    differ = bool(np.any(found.q1 != found.q2))
    for axes, quantity in zip(panels, ("q1", "c", "gradient"), strict=True):
        trajectory(found, axes, quantity=quantity, legend=False)
        if quantity == "q1" and differ:
            trajectory(found, axes, quantity="q2", legend=False).lines[-1].set(linestyle="--", label="second input")
            axes.lines[0].set_label("first input")
            draw_legend(axes)
        if sim is not None and not (quantity == "gradient" and sim.log_gradient is None):
            _points(axes, sim, quantity)
        values = np.asarray(getattr(found, quantity))
        positive = values[np.isfinite(values) & (values > 0.0)]
        narrow = positive.size == 0 or positive.max() <= _WIDE * positive.min()
        if quantity != "c":
            axes.set_yscale("linear" if narrow else "log")
        axes.tick_params(labelsize=8)
        axes.yaxis.label.set_fontsize(9)
        axes.set_xlabel("")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlabel(r"layer $\ell$", fontsize=9)
    figure.align_ylabels(panels)
    return panels[0]


def _points(axes: Axes, sim: Simulation, quantity: str) -> None:
    """Means over networks with two standard errors, of some layers where there are many."""
    import numpy as np

    estimate: Estimate = getattr(sim, "log_gradient" if quantity == "gradient" else quantity)
    scale = np.exp if quantity == "gradient" else np.asarray
    shown = np.unique(np.linspace(0, sim.depth, min(sim.depth + 1, _MOST_POINTS)).round().astype(np.int64))
    middle, error = estimate.mean[shown], 2 * np.nan_to_num(estimate.standard_error[shown], posinf=0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        centre = scale(middle)
        bars = np.array([centre - scale(middle - error), scale(middle + error) - centre])
    finite = np.isfinite(centre) & np.isfinite(bars).all(axis=0)
    axes.errorbar(shown[finite], centre[finite], yerr=bars[:, finite], fmt="o", color=shades(2)[0], markersize=2.4, linewidth=0.8)
