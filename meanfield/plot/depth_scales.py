"""How deep signals go along σ_w at one σ_b: the depth scales of Schoenholz et al. (2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.ascending_grid import ascending_grid
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.depth_colours import COLOURINGS, DEPTHS
from meanfield.plot.line_styles import draw_legend, line_looks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


def depth_scales(
    activation: Any,
    sigma_w: ArrayLike | None = None,
    sigma_b: float = 0.05**0.5,
    ax: Axes | None = None,
    *,
    quantities: Sequence[str] = ("xi_c", "xi_q"),
    legend: bool = True,
) -> Axes:
    """Draw the depth scales against σ_w at one σ_b; a dotted line stands where χ₁ = 1 and ξ_c is infinite.

    The curves are computed at the σ_w given and, so that the divergence shows, at more around the critical one.
    They are cut at a thousand times the largest finite value asked for away from it.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    sigma_w : array_like, optional
        Ascending; by default 251 values in [0.5, 3].
    sigma_b : float
        By default √0.05, as in the paper's figure.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    quantities : sequence of str
        Of "xi_c", "xi_q" and "xi_grad" (drawn as ``|ξ_∇|``).
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes

    References
    ----------
    Schoenholz et al. (2017), figure 2.

    Examples
    --------
    >>> import numpy as np
    >>> import meanfield as mf
    >>> ax = mf.plot.depth_scales("tanh", sigma_w=np.linspace(1, 4, 16))
    >>> ax.get_xlabel()
    '$\\\\sigma_w$'
    """
    import numpy as np

    from meanfield.theory.edge_of_chaos import edge_of_chaos
    from meanfield.theory.phase_diagram import phase_diagram

    chosen = [quantities] if isinstance(quantities, str) else list(quantities)
    if not chosen or not set(chosen) <= set(DEPTHS):
        raise DomainError(f"quantities = {quantities!r}: give one or more of {', '.join(DEPTHS)}")
    grid = ascending_grid("sigma_w", np.linspace(0.5, 3.0, 251) if sigma_w is None else sigma_w)
    # A repelling point is not where the recursion goes: nothing diverges there.
    critical = [
        point.sigma_w
        for point in edge_of_chaos(activation, sigma_b=float(sigma_b)).all_points(0)
        if point.stable and grid[0] < point.sigma_w < grid[-1]
    ]
    near = np.geomspace(1e-4, 0.3, 60)
    around = [value * (1.0 + sign * near) for value in critical for sign in (-1.0, 1.0)]
    fine = np.unique(np.concatenate([grid, *around]))
    fine = fine[(fine >= grid[0]) & (fine <= grid[-1])]
    found = phase_diagram(activation, sigma_w=fine, sigma_b=np.array([float(sigma_b)]))
    ax = axes_or_new(ax)
    ends = []
    for name, looks in zip(chosen, line_looks(len(chosen)), strict=True):
        values = np.abs(np.asarray(getattr(found, name), dtype=np.float64)[0])
        drawn = np.where(np.isfinite(values) & (values > 0), values, np.nan)
        ax.plot(fine, drawn, label=COLOURINGS[name].symbol, **looks)
        ends += [drawn[np.isfinite(drawn)]]
    for value in critical:
        ax.axvline(value, color="0.4", linestyle=":", linewidth=0.9, label=rf"$\chi_1 = 1$: $\sigma_w = {value:.6g}$")
    everything = np.concatenate(ends)
    ax.set_yscale("log")
    if everything.size:
        ax.set_ylim(max(0.1, 0.7 * float(everything.min())), min(1e4, 1.5 * float(everything.max())))
    ax.set_xlim(grid[0], grid[-1])
    ax.set_xlabel(r"$\sigma_w$")
    ax.set_ylabel("depth scale (layers)")
    if legend:
        draw_legend(ax)
    return ax


make_callable(__name__)
