"""A model's layers as measured, over what they should show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.line_styles import DASHED, draw_legend, plain_label, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.frameworks.torch.diagnosis import Diagnosis

_SYMBOLS = {
    "variance": r"variance of $h$",
    "correlation": "correlation of inputs",
    "gradient": r"$|\partial E/\partial h|^2$, last layer 1",
}


def diagnosis(result: Diagnosis, ax: Axes | None = None, *, quantity: str = "variance", legend: bool = True) -> Axes:
    """Draw what a model's layers show on a batch, over theory; layers that depart are marked and named.

    Parameters
    ----------
    result : Diagnosis
        Of `meanfield.frameworks.torch.diagnose`.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    quantity : str
        "variance", "correlation" or "gradient".
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes
        Dashed: expected, given each layer's own inputs. Shaded for the variance: two standard deviations of a layer of that many units.

    Raises
    ------
    DomainError
        If the quantity is unknown or result is no diagnosis.

    References
    ----------
    Glorot & Bengio (2010), figures 2 and 7.
    """
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    from meanfield.frameworks.torch.diagnosis import Diagnosis

    if not isinstance(result, Diagnosis):
        raise DomainError(f"result = {result!r} is no diagnosis; give a result of meanfield.frameworks.torch.diagnose")
    if quantity not in _SYMBOLS:
        raise DomainError(f"quantity = {quantity!r} is unknown; give one of {', '.join(_SYMBOLS)}")
    ax = axes_or_new(ax)
    dark, light = shades(2)
    layers = np.arange(1, len(result) + 1)
    found, expected = result.column(quantity), result.column(f"expected_{quantity}")
    if quantity == "variance":
        spread = np.sqrt(2.0 / result.column("units"))
        ax.fill_between(
            layers, expected * np.maximum(1 - 2 * spread, 0.0), expected * (1 + 2 * spread), color=light, alpha=0.3, linewidth=0
        )
    ax.plot(layers, expected, color=dark, linestyle=DASHED, linewidth=1.1, label="expected")
    ax.plot(layers, found, "o", color=dark, markersize=2.6, label="measured")
    departing = [i for i, layer in enumerate(result) if layer.findings]
    if departing:
        ax.plot(layers[departing], found[departing], "s", markerfacecolor="none", markeredgecolor="crimson", markersize=6, label="departs")
        # One word for each kind, at its first layer: a hundred layers that vanish would cover the picture.
        kinds: dict[str, list[int]] = {}
        for i in departing:
            kinds.setdefault(result[i].findings[0].kind, []).append(i)
        for kind, (i, *others) in list(kinds.items())[:6]:
            word = plain_label(f"{result[i].name}: {kind}" + (f" (and {len(others)} more)" if others else ""))
            ax.annotate(word, (layers[i], found[i]), xytext=(3, 5), textcoords="offset points", fontsize=6, color="crimson")
    usable = found[np.isfinite(found) & (found > 0.0)]
    if quantity != "correlation" and usable.size and usable.max() > 20 * usable.min():
        ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel(r"layer $\ell$")
    ax.set_ylabel(_SYMBOLS[quantity])
    if legend:
        draw_legend(ax)
    return ax


make_callable(__name__)
