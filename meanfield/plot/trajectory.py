"""What becomes of two inputs, layer by layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.ensembles import ensembles
from meanfield.plot.line_styles import draw_legend, given_labels, line_looks, one_or_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from meanfield.theory.asymptotics import Asymptotics

_SYMBOLS = {
    "epsilon": r"$1 - c_\ell$",
    "c": r"$c_\ell$",
    "q1": r"$q_\ell$",
    "q2": r"$q_\ell$",
    "gradient": r"$\mathrm{E}|\delta^\ell|^2 / \mathrm{E}|\delta^L|^2$",
}
_LOGARITHMIC_DEPTH = ("epsilon",)
_LOGARITHMIC_VALUE = ("epsilon", "gradient")
_MOST_POINTS = 1000  # a million layers are not a million strokes
_FLOOR = 1e-12  # exponential decay must not squeeze everything else


def trajectory(
    trajectories: Any,
    ax: Axes | None = None,
    *,
    quantity: str = "epsilon",
    depth: int = 1000,
    c0: float = 0.5,
    sigma_b: float = 0.2,
    laws: Any = None,
    labels: Sequence[str] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw a quantity of two inputs against the layer ℓ; 1 − c on logarithmic axes, where a power law is straight.

    Parameters
    ----------
    trajectories : Trajectory, MeanField, activation, or a sequence of these
        A trajectory is drawn as it is. A network is followed from q = 1. An activation is followed on its edge of
        chaos at `sigma_b`, with the variance held there; at its single point where it has one at σ_b = 0 only.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    quantity : str
        "epsilon" (1 − c), "c", "q1", "q2" or "gradient".
    depth : int
        How many layers, for networks and activations.
    c0 : float
        The correlation of the inputs, for networks and activations.
    sigma_b : float
        For activations.
    laws : True, Asymptotics, or a sequence of these, optional
        Asymptotic laws of 1 − c to lay over it. True: that of every activation in `trajectories`.
    labels : sequence of str, optional
        One for each line, instead of the names.
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes

    References
    ----------
    Hayou et al. (2018), figure 4; Schoenholz et al. (2017), figure 5.

    Examples
    --------
    >>> import meanfield as mf
    >>> ax = mf.plot.trajectory(["tanh", "relu"], depth=100, laws=True)
    >>> ax.get_xscale(), ax.get_yscale()
    ('log', 'log')
    """
    import numpy as np

    if quantity not in _SYMBOLS:
        raise DomainError(f"quantity = {quantity!r} is unknown; give one of {', '.join(_SYMBOLS)}")
    if laws is not None and laws is not False and quantity != "epsilon":
        raise DomainError(f"laws are of 1 - c; quantity = {quantity!r} has none")
    lines, found = _lines(one_or_many(trajectories, "trajectories"), depth, c0, sigma_b, wanted=laws is True)
    words = given_labels(labels, len(lines)) or [word for word, _ in lines]
    drawn = _given_laws(laws) if laws is not True else found
    ax = axes_or_new(ax)
    lowest, highest, deepest = math.inf, -math.inf, 1
    for (_, line), word, looks in zip(lines, words, line_looks(len(lines)), strict=True):
        values = np.asarray(getattr(line, quantity), dtype=np.float64)
        layers = _layers(values.size, logarithmic=quantity in _LOGARITHMIC_DEPTH)
        ax.plot(layers, values[layers], label=word, **looks)
        positive = values[np.isfinite(values) & (values > 0)]
        lowest, highest = min([lowest, *positive]), max([highest, *positive])
        deepest = max(deepest, values.size - 1)
    for law in drawn:
        at = np.geomspace(max(2.0, deepest**0.35), max(deepest, 3), 50)
        scale = law.constant * ((1.0 - c0) if law.exponent == 0 else 1.0)  # an identity map keeps what there was
        ax.plot(at, scale / at**law.exponent, color="black", linestyle="-", linewidth=0.6, zorder=1.5)
    if drawn:
        ax.plot([], [], color="black", linestyle="-", linewidth=0.6, label="asymptotic law")
    if quantity in _LOGARITHMIC_DEPTH:
        ax.set_xscale("log")
    if quantity in _LOGARITHMIC_VALUE:
        ax.set_yscale("log")
    if quantity == "epsilon" and lowest < _FLOOR < highest:
        ax.set_ylim(_FLOOR, 2 * highest)
    ax.set_xlabel(r"layer $\ell$")
    ax.set_ylabel(_SYMBOLS[quantity])
    if legend:
        draw_legend(ax)
    return ax


def _lines(items: Sequence[Any], depth: int, c0: float, sigma_b: float, wanted: bool) -> tuple[list[tuple[str, Any]], list[Asymptotics]]:
    """A name and a trajectory for each item, and the laws of the activations among them."""
    from meanfield.theory.asymptotics import asymptotics
    from meanfield.theory.trajectory import Trajectory

    others = ensembles([item for item in items if not isinstance(item, Trajectory)], sigma_b)
    waiting = iter(others)
    lines: list[tuple[str, Any]] = []
    laws: list[Asymptotics] = []
    for number, item in enumerate(items, start=1):
        if isinstance(item, Trajectory):
            lines.append((f"trajectory {number}" if len(items) > 1 else "trajectory", item))
            continue
        ensemble = next(waiting)
        if ensemble.held:
            lines.append((ensemble.label, ensemble.network.propagate(depth, q=ensemble.q, c=c0, hold_variance=True)))
            if wanted:
                laws.append(asymptotics(ensemble.network.activation, sigma_b=ensemble.network.sigma_b))
        else:
            lines.append((ensemble.label, ensemble.network.propagate(depth, c=c0)))
    return lines, laws


def _given_laws(laws: Any) -> list[Asymptotics]:
    from meanfield.theory.asymptotics import Asymptotics

    if laws is None or laws is False:
        return []
    found = [laws] if isinstance(laws, Asymptotics) else laws
    if not isinstance(found, (list, tuple)) or not all(isinstance(law, Asymptotics) for law in found):
        raise DomainError(f"laws = {laws!r} can't be drawn; give True or results of meanfield.asymptotics")
    return list(found)


def _layers(count: int, logarithmic: bool) -> NDArray[np.int64]:
    """Which layers to draw: all of them, or enough; layer 0 has no place on a logarithmic axis."""
    import numpy as np

    first = 1 if logarithmic and count > 1 else 0
    if count - first <= _MOST_POINTS:
        return np.arange(first, count)
    spread = np.geomspace(1, count - 1, _MOST_POINTS) if logarithmic else np.linspace(0, count - 1, _MOST_POINTS)
    return np.unique(spread.round().astype(np.int64))


make_callable(__name__)
