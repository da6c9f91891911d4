"""How each quantity of a phase diagram is coloured: its symbol, its scale, and what becomes of infinite values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Colouring:
    """A quantity as colours.

    Attributes
    ----------
    symbol : str
        The papers' symbol, in Matplotlib's mathematics.
    logarithmic : bool
        Whether colours follow the logarithm.
    unit : str
        What the numbers count, "" for none.
    middle : float or None
        A value that parts two kinds of behaviour: colours diverge from it.
    """

    symbol: str
    logarithmic: bool
    unit: str = ""
    middle: float | None = None


COLOURINGS = {
    "xi_c": Colouring(r"$\xi_c$", True, "layers"),
    "xi_q": Colouring(r"$\xi_q$", True, "layers"),
    "xi_grad": Colouring(r"$|\xi_\nabla|$", True, "layers"),
    "chi_1": Colouring(r"$\chi_1$", True, middle=1.0),
    "q_star": Colouring(r"$q^*$", True),
    "epsilon_star": Colouring(r"$1 - c^*$", False),
    "c_star": Colouring(r"$c^*$", False),
    "variance_slope": Colouring(r"$F^\prime(q^*)$", False),
}
FURTHEST = 10.0  # times the middle, where colours end
DEPTHS = ("xi_c", "xi_q", "xi_grad")


def shown_range(values: NDArray[Any], quantity: str, limits: tuple[float, float] | None) -> tuple[float, float]:
    """The lowest and highest value that has a colour of its own.

    Depth scales run from 1 layer to a power of ten that all but the deepest hundredth stay below, at most 1000; what
    lies outside takes the colour at the end. χ₁ reaches as far below 1 as above. Other quantities span their finite values.

    Examples
    --------
    >>> import numpy as np
    >>> shown_range(np.array([0.5, 3.0, 40.0, np.inf]), "xi_c", None)
    (1.0, 100.0)
    """
    import numpy as np

    colouring = COLOURINGS[quantity]
    if limits is not None:
        low, high = float(limits[0]), float(limits[1])
        if not (math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or not colouring.logarithmic)):
            above = "0 < low < high" if colouring.logarithmic else "low < high"
            raise DomainError(f"limits = {limits!r} is no range for {quantity}; give two finite numbers with {above}")
        return low, high
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite) & ((finite > 0) | (not colouring.logarithmic))]
    if quantity in DEPTHS:
        top = float(np.quantile(finite, 0.99)) if finite.size else 10.0
        return 1.0, 10.0 ** min(3, max(1, math.ceil(math.log10(top))))
    if not finite.size:
        return (0.1, 10.0) if colouring.logarithmic else (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if colouring.middle is not None:  # as far to either side, so that the middle has the middle colour
        away = min(max(high / colouring.middle, colouring.middle / low, 1.1), FURTHEST)
        return colouring.middle / away, colouring.middle * away
    if colouring.logarithmic:
        low = max(low, high * 1e-4)  # one cell at q* = 1e-90 must not take all the colours
    if low == high:
        return (low / 2, high * 2) if colouring.logarithmic else (low - 0.5, high + 0.5)
    return low, high


def colour_bar_label(values: NDArray[Any], quantity: str, low: float, high: float) -> tuple[str, str]:
    """The label, which says what was clipped, and which ends of the bar get an arrow.

    Examples
    --------
    >>> import numpy as np
    >>> colour_bar_label(np.array([5.0, np.inf]), "xi_c", 1.0, 100.0)
    ('$\\\\xi_c$ (layers)\\nclipped to 1 – 100, ∞ too', 'max')
    """
    import numpy as np

    colouring = COLOURINGS[quantity]
    above, below = bool(np.any(values > high)), bool(np.any(values < low))
    words = f"clipped to {low:.3g} – {high:.4g}" + (", ∞ too" if np.any(np.isposinf(values)) else "") if above or below else ""
    label = colouring.symbol + (f" ({colouring.unit})" if colouring.unit else "")
    # On a line of its own: the bar is no longer than the picture.
    label += f"\n{words}" if words else ""
    return label, {(True, True): "both", (True, False): "max", (False, True): "min", (False, False): "neither"}[above, below]
