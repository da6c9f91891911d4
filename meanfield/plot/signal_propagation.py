"""A model's signal propagation, measured over expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.line_styles import DASHED, draw_legend, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.frameworks.torch.prediction import Prediction

_SYMBOLS = {
    "variance": r"mean square of $x$",
    "correlation": "correlation of inputs",
    "gradient": r"$|\partial E/\partial x|^2$, last layer 1",
}


def signal_propagation(result: Prediction, ax: Axes | None = None, *, quantity: str = "variance", legend: bool = True) -> Axes:
    """Draw what is measured at a model's operations over what theory expects of its weights.

    Parameters
    ----------
    result : Prediction
        Of `meanfield.frameworks.torch.predict`.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    quantity : str
        "variance", "correlation" or "gradient".
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes
        Dashed: expected; dots: measured; open squares: where theory starts anew from what is measured. Shaded: the band of the widths.

    Raises
    ------
    DomainError
        If the quantity is unknown or result is no prediction.

    References
    ----------
    De & Smith (2020); Brock, De, Smith (2021), signal propagation plots.
    """
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    from meanfield.frameworks.torch.prediction import Prediction

    if not isinstance(result, Prediction):
        raise DomainError(f"result = {result!r} is no prediction; give a result of meanfield.frameworks.torch.predict")
    if quantity not in _SYMBOLS:
        raise DomainError(f"quantity = {quantity!r} is unknown; give one of {', '.join(_SYMBOLS)}")
    ax = axes_or_new(ax)
    dark, light = shades(2)
    rows = result.operations
    places = np.arange(1, len(rows) + 1)
    found = np.array([getattr(row, quantity) for row in rows])
    expected = np.array([getattr(row, f"expected_{quantity}") for row in rows])
    if quantity != "correlation":
        factor = np.array([row.band if quantity == "variance" else row.gradient_band for row in rows])
        ax.fill_between(places, expected / factor, expected * factor, color=light, alpha=0.3, linewidth=0)
    ax.plot(places, expected, color=dark, linestyle=DASHED, linewidth=1.1, label="expected")
    ax.plot(places, found, "o", color=dark, markersize=2.2, label="measured")
    anew = [index for index, row in enumerate(rows) if row.method == "measured"]
    if anew:
        ax.plot(places[anew], found[anew], "s", markerfacecolor="none", markeredgecolor=dark, markersize=5, label="theory starts anew")
    usable = found[np.isfinite(found) & (found > 0.0)]
    if quantity != "correlation" and usable.size:
        if usable.max() > 20 * usable.min():
            ax.set_yscale("log")
            ax.set_ylim(usable.min() / 10, usable.max() * 10)  # the band of a layer of one unit is wider than any picture
        else:
            ax.set_ylim(0.0, 1.5 * usable.max())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("operation")
    ax.set_ylabel(_SYMBOLS[quantity])
    if legend:
        draw_legend(ax)
    return ax


make_callable(__name__)
