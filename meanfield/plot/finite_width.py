"""What the networks of one width show around their mean, by the theory to first order in 1/width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.line_styles import DASHED, draw_legend, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.theory.finite_width import FiniteWidth

_SYMBOLS = {
    "q1": r"$q_\ell$, first input",
    "q2": r"$q_\ell$, second input",
    "c": r"$c_\ell$",
    "gradient": r"$|\delta^\ell|^2 / |\delta^L|^2$",
    "log_gradient": r"$\log\,|\delta^\ell|^2 / |\delta^L|^2$",
}
_WIDTH = 1000  # where none is given


def finite_width(
    result: FiniteWidth, ax: Axes | None = None, *, quantity: str = "q1", width: int | None = None, legend: bool = True
) -> Axes:
    """Draw a quantity layer by layer: its mean at a width, and two standard deviations of one network.

    Parameters
    ----------
    result : FiniteWidth
        Of `meanfield.finite_width`.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    quantity : str
        "q1", "q2", "c", "gradient" or "log_gradient".
    width : int, optional
        Of all layers; 1000 where it is left out and no widths were given to `meanfield.finite_width`.
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes
        Solid: infinite width. Dashed: the mean at this width.

    Raises
    ------
    DomainError
        If the quantity is unknown or the width is out of range.

    References
    ----------
    Roberts, Yaida, Hanin (2022), chapters 4 and 9.

    Examples
    --------
    >>> import meanfield as mf
    >>> ax = mf.plot.finite_width(mf.finite_width("tanh", 1.5, 0.3, depth=4), quantity="c")
    >>> ax.get_ylabel()
    '$c_\\\\ell$'
    """
    import numpy as np

    if quantity not in _SYMBOLS:
        raise DomainError(f"quantity = {quantity!r} is unknown; give one of {', '.join(_SYMBOLS)}")
    units = _WIDTH if width is None and result.widths is None else width
    band = result.at(units)
    mean, spread = band.mean[quantity], band.standard_deviation[quantity]
    ax = axes_or_new(ax)
    dark, light = shades(2)
    layers = np.arange(result.depth + 1)
    ax.fill_between(layers, mean - 2 * spread, mean + 2 * spread, color=light, alpha=0.25, linewidth=0, label=r"one network, $\pm 2\sigma$")
    ax.plot(layers, getattr(result, quantity), color="black", linewidth=0.9, label="infinite width")
    ax.plot(
        layers, mean, color=dark, linestyle=DASHED, linewidth=1.1, label="mean at these widths" if units is None else f"mean, N = {units}"
    )
    ax.set_xlabel(r"layer $\ell$")
    ax.set_ylabel(_SYMBOLS[quantity])
    if legend:
        draw_legend(ax)
    return ax


make_callable(__name__)
