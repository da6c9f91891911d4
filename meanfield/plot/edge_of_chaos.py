"""The edge of chaos in the (σ_b, σ_w) plane, as Hayou et al. (2018) draw it: σ_b across, σ_w up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield._callable import make_callable
from meanfield.plot.ascending_grid import ascending_grid
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.line_styles import DASHED, MARKERS, draw_legend, one_or_many, plain_label, runs, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from meanfield.theory.edge_of_chaos import EdgeOfChaos


def edge_of_chaos(activations: Any, ax: Axes | None = None, *, sigma_b: ArrayLike | None = None, legend: bool = True) -> Axes:
    """Draw σ_w against σ_b on the edge of chaos of one or many activations.

    An interval is solid where both of its ends are attracting (nearby q return), dashed where they are not. A point
    without neighbours, such as that of ReLU at σ_b = 0, is a marker. Markers and lightness tell the activations
    apart without colour. An activation with no edge of chaos in the range is named in the legend as "(none)".

    Parameters
    ----------
    activations : activation, EdgeOfChaos, or a sequence of these
        Names, formulas, callables, `Activation` objects, or results of `meanfield.edge_of_chaos`, which are drawn as they are.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    sigma_b : array_like, optional
        The σ_b to compute at, ascending. By default 201 points in [0, 1]. Not used for results.
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import meanfield as mf
    >>> ax = mf.plot.edge_of_chaos(["tanh", "silu"])
    >>> ax.get_ylabel()
    '$\\\\sigma_w$'
    """
    curves = _curves(activations, sigma_b)
    own_figure = ax is None
    ax = axes_or_new(ax)
    any_dashed = False
    for number, (curve, shade) in enumerate(zip(curves, shades(len(curves)), strict=True)):
        any_dashed |= _draw(ax, curve, color=shade, marker=MARKERS[number % len(MARKERS)])
    ax.set_xlabel(r"$\sigma_b$")
    ax.set_ylabel(r"$\sigma_w$")
    if legend:
        if any_dashed:
            ax.plot([], [], color="0.4", linestyle="-", label="attracting")
            ax.plot([], [], color="0.4", linestyle=DASHED, label="not attracting")
        # Many names would hide the curves; above them there is room, if the figure is ours and makes it.
        above: dict[str, Any] = (
            {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 3, "columnspacing": 1.0}
            if own_figure and len(curves) > 3
            else {}
        )
        draw_legend(ax, **above)
    return ax


def _curves(activations: Any, sigma_b: ArrayLike | None) -> list[EdgeOfChaos]:
    import numpy as np

    from meanfield.theory.edge_of_chaos import EdgeOfChaos
    from meanfield.theory.edge_of_chaos import edge_of_chaos as solve

    items = one_or_many(activations, "activations", (EdgeOfChaos,))
    grid = ascending_grid("sigma_b", np.linspace(0.0, 1.0, 201) if sigma_b is None else sigma_b, least=1)
    return [item if isinstance(item, EdgeOfChaos) else solve(item, sigma_b=grid) for item in items]


def _draw(ax: Axes, curve: EdgeOfChaos, color: Any, marker: str) -> bool:
    """Draw one curve; say whether any of it is dashed."""
    import numpy as np

    sigma_b, sigma_w = np.atleast_1d(curve.sigma_b), np.atleast_1d(curve.sigma_w)
    stable = np.atleast_1d(curve.stable)
    present = np.isfinite(sigma_w)
    name = plain_label(curve.activation.name)
    if not present.any():
        ax.plot([], [], linestyle="none", label=f"{name} (none)")
        return False
    joined = present[:-1] & present[1:]
    solid = joined & stable[:-1] & stable[1:]
    dashed = joined & ~solid
    for mask, style in ((solid, "-"), (dashed, DASHED)):
        for start, stop in runs(mask):
            ax.plot(sigma_b[start : stop + 1], sigma_w[start : stop + 1], color=color, linestyle=style, linewidth=1.3)
    alone = present & ~np.concatenate([[False], joined]) & ~np.concatenate([joined, [False]])
    # A few markers along the curve, from the middle of each stretch; every lone point.
    along = np.flatnonzero(present & ~alone)
    marked = np.concatenate([np.flatnonzero(alone), along[np.linspace(0, along.size - 1, min(6, along.size)).round().astype(int)]])
    ax.plot(sigma_b[marked], sigma_w[marked], color=color, marker=marker, markersize=4, linestyle="none")
    handle_style = "-" if solid.any() else DASHED if dashed.any() else "none"
    ax.plot([], [], color=color, marker=marker, markersize=4, linestyle=handle_style, linewidth=1.3, label=name)
    return bool(dashed.any())


make_callable(__name__)
