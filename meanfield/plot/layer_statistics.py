"""Layers of a freshly initialised network: histograms as in Glorot & Bengio, and one number per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.line_styles import MARKERS, STYLES, draw_legend, given_labels, one_or_many, plain_label, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.simulation import LayerStatistics

_HISTOGRAMS = {"activations": "activation value", "gradients": r"back-propagated gradient $\partial E / \partial h$"}
_NUMBERS = {
    "pre_activation_variance": r"Var $h^\ell$",
    "activation_mean": r"mean $\phi(h^\ell)$",
    "activation_variance": r"Var $\phi(h^\ell)$",
    "saturated_fraction": "saturated fraction",
    "gradient_variance": r"Var $\partial E / \partial h^\ell$",
    "weight_gradient_variance": r"Var $\partial E / \partial W^\ell$",
}
_LOGARITHMIC = ("pre_activation_variance", "activation_variance", "gradient_variance", "weight_gradient_variance")


def layer_statistics(
    statistics: Any,
    ax: Axes | None = None,
    *,
    quantity: str = "activations",
    labels: Sequence[str] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the histogram of each hidden layer, or a quantity against the layer.

    Parameters
    ----------
    statistics : LayerStatistics, or a sequence of them
        Results of `meanfield.layer_statistics`; one only for histograms.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    quantity : str
        "activations" or "gradients" for histograms over all units and sampled networks; "pre_activation_variance",
        "activation_mean", "activation_variance", "saturated_fraction", "gradient_variance" or "weight_gradient_variance" for
        theory as a line, with samples as points with two standard errors. The hidden layers are drawn.
    labels : sequence of str, optional
        One for each of the statistics, instead of their activations and schemes.
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DomainError
        If the quantity is unknown, nothing was sampled for a histogram, or there is no hidden layer.

    References
    ----------
    Glorot & Bengio (2010), figures 6 and 7.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.layer_statistics("tanh", widths=[64, 64, 64, 10], init="standard", networks=4)
    >>> ax = mf.plot.layer_statistics(found, quantity="gradients")
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['layer 1', 'layer 2']
    """
    known = (*_HISTOGRAMS, *_NUMBERS)
    if quantity not in known:
        raise DomainError(f"quantity = {quantity!r} is unknown; give one of {', '.join(known)}")
    items = one_or_many(statistics, "statistics")
    for item in items:
        if not hasattr(item, "weight_gradient_variance"):
            raise DomainError(
                f"statistics: {type(item).__name__} {str(item)[:40]!r} can't be drawn; give results of meanfield.layer_statistics"
            )
        if item.depth < 2:
            raise DomainError(f"statistics: widths {item.widths.tolist()} hold no hidden layer")
    if quantity in _HISTOGRAMS:
        if len(items) > 1:
            raise DomainError(f"statistics holds {len(items)} results; a histogram shows the layers of one")
        ax = _histograms(items[0], axes_or_new(ax), quantity)
    else:
        words = given_labels(labels, len(items)) or [plain_label(f"{item.activation.name}, {item.init}") for item in items]
        ax = _lines(items, axes_or_new(ax), quantity, words)
    if legend:
        draw_legend(ax)
    return ax


def _histograms(item: LayerStatistics, ax: Axes, quantity: str) -> Axes:
    if item.simulated is None:
        raise DomainError(f"quantity = {quantity!r} is a histogram of samples, and these statistics hold none (networks=0)")
    kept = item.simulated.histograms
    edges, densities = (
        (kept.activation_edges, kept.activation_density) if quantity == "activations" else (kept.gradient_edges, kept.gradient_density)
    )
    hidden = item.depth - 1
    for i, colour in enumerate(shades(hidden)):
        middle = 0.5 * (edges[1:] + edges[:-1])
        ax.plot(middle, densities[i], color=colour, linestyle=STYLES[i % len(STYLES)], linewidth=1.1, label=f"layer {i + 1}")
    ax.set_xlim(float(edges[0]), float(edges[-1]))
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel(_HISTOGRAMS[quantity])
    ax.set_ylabel("density")
    return ax


def _lines(items: Sequence[LayerStatistics], ax: Axes, quantity: str, words: Sequence[str]) -> Axes:
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    for number, (item, word, colour) in enumerate(zip(items, words, shades(len(items)), strict=True)):
        layers = np.arange(1, item.depth)
        style = STYLES[number % len(STYLES)]
        ax.plot(layers, getattr(item, quantity)[:-1], color=colour, linestyle=style, linewidth=1.2, label=word)
        if item.simulated is not None:
            found = getattr(item.simulated, quantity)[:-1]
            error = 2 * np.nan_to_num(found.standard_error, posinf=0.0)
            ax.errorbar(layers, found.mean, yerr=error, fmt=MARKERS[number % len(MARKERS)], color=colour, markersize=3, linewidth=0.8)
    if quantity in _LOGARITHMIC:
        ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel(r"layer $\ell$")
    ax.set_ylabel(_NUMBERS[quantity])
    return ax


make_callable(__name__)
