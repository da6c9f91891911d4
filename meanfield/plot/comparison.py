"""A simulated ensemble over the theory at its width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield._callable import make_callable
from meanfield.errors import DomainError, MeanFieldError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.line_styles import DASHED, draw_legend, plain_label, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.simulation import Simulation
    from meanfield.theory.finite_width import FiniteWidth

_SYMBOLS = {
    "q1": r"$q_\ell$, first input",
    "q2": r"$q_\ell$, second input",
    "c": r"$c_\ell$",
    "gradient": r"$\exp\,\mathrm{E}\,\log\,|\delta^\ell|^2 / |\delta^L|^2$",
}
_MOST_POINTS = 40


def comparison(sim: Simulation, ax: Axes | None = None, *, quantity: str = "q1", legend: bool = True) -> Axes:
    """Draw a simulated quantity layer by layer: means with two standard errors, over theory.

    Parameters
    ----------
    sim : Simulation
        Of `simulate`.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    quantity : str
        "q1", "q2", "c" or "gradient". The gradient is drawn through its logarithm, whose mean over networks is no matter of a few
        large ones.
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes
        Solid: infinite width. Dashed: the mean at this width, to first order in 1/width. Shaded: two standard deviations of
        one network to either side.

    Raises
    ------
    DomainError
        If sim is no simulation, the quantity is unknown, or it has no gradients.

    References
    ----------
    Poole et al. (2016), figures 1 and 2; Schoenholz et al. (2017), figure 1.

    Examples
    --------
    >>> import meanfield as mf
    >>> sim = mf.simulate("tanh", sigma_w=1.3, sigma_b=0.2, width=200, depth=10, networks=20)
    >>> ax = mf.plot.comparison(sim, quantity="c")
    >>> ax.get_xlabel()
    'layer $\\\\ell$'
    """
    import numpy as np

    from meanfield.simulation.plain_comparison import at_its_width

    if not hasattr(sim, "ensemble"):
        raise DomainError(f"sim: {type(sim).__name__} {str(sim)[:40]!r} is no simulation; give a result of meanfield.simulate")
    if quantity not in _SYMBOLS:
        raise DomainError(f"quantity = {quantity!r} is unknown; give one of {', '.join(_SYMBOLS)}")
    key = "log_gradient" if quantity == "gradient" else quantity
    estimate = getattr(sim, key)
    if estimate is None:
        raise DomainError("quantity = 'gradient' can't be drawn: the simulation was run with gradients=False")
    scale = np.exp if quantity == "gradient" else np.asarray
    theory: FiniteWidth | None
    try:
        theory = at_its_width(sim)
    except MeanFieldError:  # a moment or a variance that is infinite, or an input that is 0
        theory = None
    ax = axes_or_new(ax)
    dark, light = shades(2)
    layers = np.arange(sim.depth + 1)
    if theory is not None:
        band = theory.at()
        mean, spread = band.mean[key], band.standard_deviation[key]
        with np.errstate(over="ignore"):
            ax.fill_between(
                layers,
                scale(mean - 2 * spread),
                scale(mean + 2 * spread),
                color=light,
                alpha=0.25,
                linewidth=0,
                label=r"one network, $\pm 2\sigma$",
            )
            ax.plot(layers, scale(getattr(theory, key)), color="black", linewidth=0.9, label="infinite width")
            ax.plot(layers, scale(mean), color=dark, linestyle=DASHED, linewidth=1.1, label="mean at this width")
    shown = np.unique(np.linspace(0, sim.depth, min(sim.depth + 1, _MOST_POINTS)).round().astype(np.int64))
    middle, error = estimate.mean[shown], 2 * np.nan_to_num(estimate.standard_error[shown], posinf=0.0)
    with np.errstate(over="ignore"):
        centre = scale(middle)
        bars = np.array([centre - scale(middle - error), scale(middle + error) - centre])
    finite = np.isfinite(centre) & np.isfinite(bars).all(axis=0)
    ax.errorbar(
        shown[finite],
        centre[finite],
        yerr=bars[:, finite],
        fmt="o",
        color=dark,
        markersize=2.4,
        linewidth=0.8,
        label=plain_label(f"{sim.ensemble.networks} networks"),
    )
    if quantity == "gradient":
        ax.set_yscale("log")
    ax.set_xlabel(r"layer $\ell$")
    ax.set_ylabel(_SYMBOLS[quantity])
    if legend:
        draw_legend(ax)
    return ax


make_callable(__name__)
