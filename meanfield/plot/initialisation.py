"""What a model's layers were given, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.line_styles import draw_legend, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.frameworks.initialisation import Initialisation

_SERIES = (("sigma_w", r"$\sigma_w$", "o"), ("sigma_b", r"$\sigma_b$", "s"), ("q", r"$q$ expected", "^"))
_WIDE = 20.0  # the largest number over the smallest, from which on the axis is logarithmic


def initialisation(result: Initialisation, ax: Axes | None = None, *, legend: bool = True) -> Axes:
    """Draw σ_w, σ_b and the pre-activation variance to expect, for each weight layer in the order in which signals meet them.

    Parameters
    ----------
    result : Initialisation
        Of `meanfield.frameworks.torch.init_`.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes
        A marker for each layer; layers that theory did not decide (`LayerInitialisation.method`) are ringed. The axis is logarithmic, and
        biases of 0 are left out, where the numbers differ by more than 20 times.

    Raises
    ------
    DomainError
        If result is no initialisation, or of no layer.

    References
    ----------
    Schoenholz et al. (2017), section 2, for σ_w, σ_b and q.
    """
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    from meanfield.frameworks.initialisation import Initialisation

    if not isinstance(result, Initialisation):
        raise DomainError(f"result = {result!r} is no initialisation; give a result of meanfield.frameworks.torch.init_")
    if not len(result):
        raise DomainError("result: no layer was initialised, so there is nothing to draw")
    ax = axes_or_new(ax)
    layers = np.arange(1, len(result) + 1)
    values = {name: np.asarray(getattr(result, name)) for name, _, _ in _SERIES}
    every = np.concatenate(list(values.values()))
    positive = every[np.isfinite(every) & (every > 0.0)]
    if positive.size and positive.max() > _WIDE * positive.min():
        ax.set_yscale("log")
        values = {name: np.where(value > 0.0, value, np.nan) for name, value in values.items()}
    for (name, label, marker), colour in zip(_SERIES, shades(len(_SERIES)), strict=True):
        ax.plot(layers, values[name], linestyle="-", linewidth=0.6, marker=marker, markersize=3.2, color=colour, label=label)
    other = np.array([layer.method != "theory" for layer in result])
    if other.any():
        rings = ax.plot(layers[other], values["sigma_w"][other], "o", markersize=7, label="not by theory")
        rings[0].set(markerfacecolor="none", markeredgecolor="crimson")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel(r"weight layer")
    if legend:
        draw_legend(ax)
    return ax


make_callable(__name__)
