"""What a model's layers did while it trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.line_styles import draw_legend, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.frameworks.torch.monitoring import Monitor

_SYMBOLS = {
    "variance": r"mean square of $h$",
    "mean": r"mean of $h$",
    "correlation": "correlation of inputs",
    "gradient": r"mean square of $\partial E/\partial h$",
    "weight": "root mean square of weights",
    "update": "change of weights, over their size",
}
MOST = 8  # names that a legend holds


def training(result: Monitor, ax: Axes | None = None, *, quantity: str = "gradient", legend: bool = True) -> Axes:
    """Draw a quantity of all layers against the training step, the first layer darkest.

    Parameters
    ----------
    result : Monitor
        Of `meanfield.frameworks.torch.monitor`.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    quantity : str
        "variance", "mean", "correlation", "gradient", "weight" or "update".
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DomainError
        If the quantity is unknown, nothing was recorded, or result is no monitor.

    References
    ----------
    Glorot & Bengio (2010), figures 2 and 7.
    """
    import numpy as np

    from meanfield.frameworks.torch.monitoring import Monitor

    if not isinstance(result, Monitor):
        raise DomainError(f"result = {result!r} is no monitor; give a result of meanfield.frameworks.torch.monitor")
    if quantity not in _SYMBOLS:
        raise DomainError(f"quantity = {quantity!r} is unknown; give one of {', '.join(_SYMBOLS)}")
    names = list(dict.fromkeys(row["layer"] for row in result.rows))
    if not names:
        raise DomainError("nothing was recorded: train the model first")
    ax = axes_or_new(ax)
    colours = shades(max(len(names), 2))
    named = {names[i] for i in np.unique(np.linspace(0, len(names) - 1, MOST).round().astype(int))}
    largest, least = 0.0, np.inf
    for name, colour in zip(names, colours, strict=False):
        steps, values = result.column(quantity, name)
        ax.plot(steps, values, color=colour, linewidth=1.0, label=(name or "layer") if name in named else None)
        positive = values[np.isfinite(values) & (values > 0.0)]
        if positive.size:
            largest, least = max(largest, float(positive.max())), min(least, float(positive.min()))
    if quantity not in ("mean", "correlation") and largest > 20.0 * least:
        ax.set_yscale("log")
    ax.set_xlabel("training step")
    ax.set_ylabel(_SYMBOLS[quantity])
    if legend:
        draw_legend(ax)
    return ax


make_callable(__name__)
