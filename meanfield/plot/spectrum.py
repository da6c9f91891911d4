"""The density of the singular values of a Jacobian, as Pennington, Schoenholz and Ganguli (2017, 2018) draw it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from meanfield._callable import make_callable
from meanfield.errors import DomainError
from meanfield.plot.column_width import axes_or_new
from meanfield.plot.line_styles import draw_legend, line_looks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum

POINTS = 400  # of each band
WIDE = 1e3  # ratio of the ends shown from which the axis is logarithmic
LEAST = 2e-3  # of the mass: what lies below is left out of a logarithmic picture


def spectrum(
    spectra: Any, ax: Axes | None = None, *, labels: Sequence[str] | None = None, log: bool | None = None, legend: bool = True
) -> Axes:
    """Draw the density of singular values; atoms are stems with their mass beside them.

    Parameters
    ----------
    spectra : JacobianSpectrum or sequence of these
        From `meanfield.jacobian_spectrum`.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default a new pyplot figure of column width (3.4 inches).
    labels : sequence of str, optional
        One for each line.
    log : bool, optional
        Draw the density of log₁₀ s over a logarithmic axis. By default where the singular values shown span a factor of 1000.
    legend : bool
        Whether to draw the legend, where there is more than one line or labels are given.

    Returns
    -------
    matplotlib.axes.Axes

    References
    ----------
    Pennington, Schoenholz, Ganguli (2017), figure 2; (2018), figure 2.

    Examples
    --------
    >>> import meanfield as mf
    >>> ax = mf.plot.spectrum(mf.jacobian_spectrum("hardtanh", 1.001951, 0.0198531, depth=64, weights="orthogonal", q=0.119991), log=False)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('singular value $s$', 'density')
    """
    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum

    many = [spectra] if isinstance(spectra, JacobianSpectrum) else list(spectra)
    if not many or not all(isinstance(s, JacobianSpectrum) for s in many):
        raise DomainError(f"spectra must be a JacobianSpectrum or a sequence of these, not {spectra!r}"[:300])
    if labels is not None and len(labels) != len(many):
        raise DomainError(f"labels has {len(labels)} entries for {len(many)} spectra; give one for each")
    ranges = [_shown(s) for s in many]
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)  # of log s
    wide = high - low > math.log(WIDE) if log is None else bool(log)
    ax = axes_or_new(ax)
    names = list(labels) if labels is not None else [f"{s.activation.name}, {s.weights}, L = {s.depth}" for s in many]
    for s, looks, name in zip(many, line_looks(len(many)), names, strict=True):
        _draw(ax, s, looks, name, wide, low if wide else -math.inf)
    if wide:
        ax.set_xscale("log")
        ax.set_ylabel(r"density of $\log_{10} s$")
    else:
        ax.set_xlim(left=0.0)
        ax.set_ylabel("density")
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel("singular value $s$")
    if legend and (len(many) > 1 or labels is not None):
        draw_legend(ax)
    return ax


def _shown(s: JacobianSpectrum) -> tuple[float, float]:
    """log s between which a logarithmic picture shows a spectrum; doubles hold e^±690."""
    zero = sum(atom.mass for atom in s.atoms if atom.value == 0.0)
    low, high = 0.5 * float(s.log_quantile(zero + (1.0 - zero) * LEAST)), 0.5 * float(s.log_quantile(1.0 - 1e-12))
    return max(low, -690.0), min(max(high, low), 690.0)


def _draw(ax: Axes, s: JacobianSpectrum, looks: dict[str, Any], name: str, wide: bool, bottom: float) -> None:
    import numpy as np

    label: str | None = name
    tallest = 0.0
    for low, high in s.bands:
        ends = np.array([low, min(high, float(s.quantile(1.0 - 1e-9)))])
        first = math.log(ends[0]) if ends[0] > 0.0 else bottom
        if wide:
            # Clustered at both ends, where the density goes like a square root.
            first = max(first, bottom)
            x = np.exp(first + (math.log(ends[1]) - first) * _clustered())
            y = s.density(x) * x * math.log(10.0)
        else:
            x = ends[0] + (ends[1] - ends[0]) * _clustered()
            y = s.density(x)
        inside = y > 0.0
        if not inside.any():
            continue
        # A density that is infinite at an end is cut at what the rest of the picture needs.
        cap = 3.0 * float(np.quantile(y[inside], 0.9))
        ax.plot(x, np.minimum(y, cap), label=label, **looks)
        label, tallest = None, max(tallest, min(float(np.max(y)), cap))
    for atom in s.atoms:
        if wide and atom.value == 0.0:
            continue
        top = (tallest or 1.0) * 1.05
        ax.plot([atom.value, atom.value], [0.0, top], label=label, **looks)
        ax.plot([atom.value], [top], marker="^", markersize=4, color=looks["color"], clip_on=False)
        ax.annotate(f"{atom.mass:.3g}", (atom.value, top), textcoords="offset points", xytext=(4, -2), fontsize=7, color=looks["color"])
        label = None


def _clustered() -> NDArray[Any]:
    import numpy as np

    result: NDArray[Any] = 0.5 * (1.0 - np.cos(np.linspace(0.0, math.pi, POINTS)))[1:-1]
    return result


make_callable(__name__)
