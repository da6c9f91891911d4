"""A phase diagram in the (σ_w, σ_b) plane, as Poole et al. (2016) and Schoenholz et al. (2017) draw it: σ_w across, σ_b up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.depth_colours import COLOURINGS, Colouring, colour_bar_label, shown_range
from meanfield.plot.line_styles import DASHED, plain_label, runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from meanfield.activations import Activation
    from meanfield.theory.phase_diagram import PhaseDiagram

_OF_CORRELATIONS = ("xi_c", "c_star", "epsilon_star")
_UNKNOWN = "0.85"  # grey, where the quantity does not exist
_SMALLEST_NAMED = 0.02  # a region below this share of the cells has no room for a name
_NAME_SIZE, _LETTER = 9.0, 0.62  # points, and the width of a letter in units of that


def phase_diagram(
    diagram: Any,
    quantity: str = "xi_c",
    ax: Axes | None = None,
    *,
    sigma_w: ArrayLike | None = None,
    sigma_b: ArrayLike | None = None,
    limits: tuple[float, float] | None = None,
    critical_line: bool = True,
    names: bool = True,
    colour_bar: bool = True,
) -> Axes:
    """Draw one quantity over (σ_w, σ_b), with the critical line χ₁ = 1 and the names of the phases.

    The critical line is the exact edge of chaos, not a contour of the cells: solid where nearby variances return to
    its q, dashed where they leave it, and a disc where it is one point. Where the variance grows without bound
    (q* = ∞) the picture is hatched. Depth scales and variances are coloured by their logarithm; infinite ones take
    the last colour, which the label of the colour bar says. Colours of χ₁ diverge from 1. Grey is where the quantity does not exist, as c*
    where the correlation map is the identity.

    Parameters
    ----------
    diagram : PhaseDiagram or activation
        A result of `meanfield.phase_diagram`, or anything `meanfield.activation` accepts, which is computed first.
    quantity : str
        "xi_c", "xi_q", "xi_grad" (drawn as ``|ξ_∇|``), "chi_1", "q_star", "c_star", "epsilon_star" or "variance_slope".
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    sigma_w, sigma_b : array_like, optional
        The grid to compute on, ascending: by default 201 values in [0.5, 3] and 101 in [0, 1]. Not used for results.
    limits : (float, float), optional
        The values at the ends of the colours.
    critical_line, names, colour_bar : bool
        Whether to draw these.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DomainError
        If the quantity is unknown, the grid has fewer than two values each way, or the limits are no range.

    References
    ----------
    Poole et al. (2016), figure 1; Schoenholz et al. (2017), figures 1 and 2.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> import meanfield as mf
    >>> ax = mf.plot.phase_diagram("tanh", sigma_w=np.linspace(0.5, 3, 6), sigma_b=np.linspace(0, 1, 3))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$\\\\sigma_w$', '$\\\\sigma_b$')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    import numpy as np

    if quantity not in COLOURINGS:
        raise DomainError(f"quantity = {quantity!r} is unknown; give one of {', '.join(COLOURINGS)}")
    result = _diagram(diagram, sigma_w, sigma_b)
    across, up = np.asarray(result.sigma_w, dtype=np.float64), np.asarray(result.sigma_b, dtype=np.float64)
    _checked("sigma_w", across)
    _checked("sigma_b", up)
    values = np.asarray(getattr(result, quantity), dtype=np.float64)
    if quantity == "xi_grad":
        values = np.abs(values)
    low, high = shown_range(values, quantity, limits)
    ax = axes_or_new(ax)
    ax.set_xlabel(r"$\sigma_w$")
    ax.set_ylabel(r"$\sigma_b$")
    # Where every c is a fixed point, as for tanh at σ_b = 0, σ_w ≤ 1, there is no c* to colour, nor an ξ_c of it.
    values = np.where(np.isnan(result.c_star) & (quantity in _OF_CORRELATIONS), np.nan, values)
    mesh = _mesh(ax, across, up, values, low, high, COLOURINGS[quantity])
    # Lines that run on outside must not widen the picture, nor cells that reach half a step over its border.
    ax.set_xlim(across[0], across[-1])
    ax.set_ylim(up[0], up[-1])
    if colour_bar:
        label, extend = colour_bar_label(values, quantity, low, high)
        bar = ax.figure.colorbar(mesh, ax=ax, extend=extend, pad=0.03)
        bar.set_label(label, fontsize=7 if "\n" in label else 8)
        bar.ax.tick_params(labelsize=7)
        if COLOURINGS[quantity].middle is not None:
            ticks = [tick for tick in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if low <= tick <= high] if high > 2.0 else [1.0]
            bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
            bar.ax.minorticks_off()
    divergent = np.isposinf(result.q_star)
    if divergent.any():
        _hatch(ax, across, up, divergent)
    if critical_line:
        _draw_critical_line(ax, result.activation, up)
    if names:
        for name, region in _regions(result.phase, divergent):
            _name(ax, across, up, name, region)
    ax.set_title(plain_label(result.activation.name), fontsize=9)
    return ax


def _diagram(diagram: Any, sigma_w: ArrayLike | None, sigma_b: ArrayLike | None) -> PhaseDiagram:
    import numpy as np

    from meanfield.theory.phase_diagram import PhaseDiagram
    from meanfield.theory.phase_diagram import phase_diagram as compute

    if isinstance(diagram, PhaseDiagram):
        return diagram
    return compute(
        diagram,
        sigma_w=np.linspace(0.5, 3.0, 201) if sigma_w is None else np.asarray(sigma_w, dtype=np.float64),
        sigma_b=np.linspace(0.0, 1.0, 101) if sigma_b is None else np.asarray(sigma_b, dtype=np.float64),
    )


def _checked(name: str, grid: NDArray[Any]) -> None:
    import numpy as np

    if grid.ndim != 1 or grid.size < 2 or not np.all(np.diff(grid) > 0):
        raise DomainError(f"{name} of shape {grid.shape} can't be drawn as a plane; give two or more ascending numbers")


def _mesh(ax: Axes, across: NDArray[Any], up: NDArray[Any], values: NDArray[Any], low: float, high: float, look: Colouring) -> Any:
    import matplotlib as mpl
    import numpy as np
    from matplotlib.colors import LogNorm, Normalize

    norm = LogNorm(low, high) if look.logarithmic else Normalize(low, high)
    # Clipped by hand: a logarithm of 0 would leave a hole instead of the lowest colour.
    edges = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    clipped = np.clip(values, edges[0] if not look.logarithmic else max(edges[0], np.finfo(float).tiny), edges[1])
    colours = mpl.colormaps["viridis" if look.middle is None else "PuOr"].with_extremes(bad=_UNKNOWN)
    return ax.pcolormesh(across, up, np.ma.masked_invalid(clipped), norm=norm, cmap=colours, shading="nearest", rasterized=True)


def _hatch(ax: Axes, across: NDArray[Any], up: NDArray[Any], divergent: NDArray[Any]) -> None:
    """Hatch the cells where q* = ∞, and draw their border."""
    import numpy as np
    from matplotlib import rc_context

    inside = divergent.astype(np.float64)
    # Grey and thin: the name written on it must be read first.
    with rc_context({"hatch.linewidth": 0.5}):
        hatching = ax.contourf(across, up, inside, levels=[0.5, 1.5], colors="none", hatches=["////"])
        hatching.set_edgecolor("0.6")
    if not divergent.all():
        ax.contour(across, up, inside, levels=[0.5], colors="0.85", linewidths=0.8)


def _draw_critical_line(ax: Axes, activation: Activation, up: NDArray[Any]) -> None:
    import numpy as np
    from matplotlib.patheffects import Normal, Stroke

    from meanfield.theory.edge_of_chaos import edge_of_chaos, edge_of_chaos_curve

    # By q every branch is met, by σ_b its ends are; together in order of q they are one line each.
    pieces = [
        edge_of_chaos_curve(activation, q=np.logspace(-8, 5, 1301)),
        edge_of_chaos(activation, sigma_b=np.linspace(up[0], up[-1], 201)),
    ]
    q, sigma_b, sigma_w, stable = (
        np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("q", "sigma_b", "sigma_w", "stable")
    )
    known = np.isfinite(q)
    order = np.argsort(q[known], kind="stable")
    sigma_b, sigma_w, stable = (array[known][order] for array in (sigma_b, sigma_w, stable))
    present = np.isfinite(sigma_w)
    if not present.any():
        return
    outline = [Stroke(linewidth=2.8, foreground="white"), Normal()]
    if np.ptp(sigma_b[present]) < 1e-12 and np.ptp(sigma_w[present]) < 1e-12:
        point = sigma_w[present][0], sigma_b[present][0]
        ax.plot(*point, marker="o", markersize=5, color="black", markeredgecolor="white", linestyle="none", clip_on=False, gid="critical")
        return
    joined = present[:-1] & present[1:]
    solid = joined & stable[:-1] & stable[1:]
    for mask, style in ((solid, "-"), (joined & ~solid, DASHED)):
        for start, stop in runs(mask):
            ax.plot(
                sigma_w[start : stop + 1],
                sigma_b[start : stop + 1],
                color="black",
                linestyle=style,
                linewidth=1.4,
                path_effects=outline,
                gid="critical",
            )


def _regions(phase: NDArray[Any], divergent: NDArray[Any]) -> list[tuple[str, NDArray[Any]]]:
    return [
        ("ordered", (phase == -1) & ~divergent),
        ("chaotic", (phase == 1) & ~divergent),
        ("critical", (phase == 0) & ~divergent),
        (r"$q^* = \infty$", divergent),
    ]


def _name(ax: Axes, across: NDArray[Any], up: NDArray[Any], name: str, region: NDArray[Any]) -> None:
    """Write a region's name well inside it, as seen on the page, and there as near its middle as may be; upright where it is narrow."""
    import numpy as np
    from scipy import ndimage

    if region.mean() < _SMALLEST_NAMED:
        return
    rows, columns = region.shape
    # Names are wide: a step across counts less than one up.
    depth: NDArray[np.float64] = ndimage.distance_transform_edt(np.pad(region, 1), sampling=(1.0 / rows, 0.45 / columns))[1:-1, 1:-1]
    inside = np.argwhere(depth >= 0.8 * depth.max())
    offset = (inside - np.argwhere(region).mean(axis=0)) / (rows, columns)
    row, column = inside[np.argmin(np.sum(offset**2, axis=1))]
    letters = 5 if name.startswith("$") else len(name)
    width, height = (72.0 * size / ax.figure.dpi for size in (ax.bbox.width, ax.bbox.height))  # points
    needed = _LETTER * _NAME_SIZE * letters
    upright = _run(region[row], column) / columns * width < needed
    if upright and _run(region[:, column], row) / rows * height < needed:
        return
    ax.text(
        float(across[column]),
        float(up[row]),
        name,
        ha="center",
        va="center",
        rotation=90.0 if upright else 0.0,
        fontsize=_NAME_SIZE,
        color="black",
        # A ground of its own: neither colours nor hatching lessen the contrast.
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
    )


def _run(line: NDArray[Any], at: int) -> int:
    """How many cells around this one lie in the region without a gap."""
    import numpy as np

    outside = np.flatnonzero(~line)
    before, after = outside[outside < at], outside[outside > at]
    return int((after[0] if after.size else line.size) - (before[-1] if before.size else -1) - 1)


make_callable(__name__)
