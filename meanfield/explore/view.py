"""What is looked at: one or two activations, a point of the plane, a depth. It is what the page's link holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

SIGMA_W = (0.3, 3.5)  # the plane that is drawn, and how far the sliders go
SIGMA_B = (0.0, 1.0)
DEPTH = (1, 500)
LONGEST = 2000  # letters of a formula


@dataclass(frozen=True)
class View:
    """What the page shows.

    Attributes
    ----------
    activation : str
        A name or a formula.
    other : str
        One to compare with, or "".
    sigma_w, sigma_b : float
        The point, in `SIGMA_W` and `SIGMA_B`.
    depth : int
        In `DEPTH`.
    """

    activation: str = "tanh"
    other: str = ""
    sigma_w: float = 1.3
    sigma_b: float = 0.2
    depth: int = 50

    @property
    def query(self) -> str:
        """The link's end that brings this view back.

        Examples
        --------
        >>> View("x*tanh(exp(x))", sigma_w=1.5).query
        '?phi=x%2Atanh%28exp%28x%29%29&sigma_w=1.5&sigma_b=0.2&depth=50'
        """
        other = {"with": self.other} if self.other else {}
        sigmas = {"sigma_w": f"{self.sigma_w:.6g}", "sigma_b": f"{self.sigma_b:.6g}", "depth": str(self.depth)}
        return "?" + urlencode({"phi": self.activation, **other, **sigmas})


def view_from(arguments: Mapping[str, Sequence[bytes]], default: View) -> View:
    """The view of a link's arguments; what is missing, out of range or no number is the default's.

    Examples
    --------
    >>> view_from({"phi": [b"silu"], "sigma_w": [b"9"], "depth": [b"1e400"]}, View())
    View(activation='silu', other='', sigma_w=3.5, sigma_b=0.2, depth=50)
    """

    def text(name: str, otherwise: str) -> str:
        return arguments[name][0].decode("utf-8", "replace")[:LONGEST] if arguments.get(name) else otherwise

    def number(name: str, otherwise: float, low: float, high: float) -> float:
        try:
            value = float(text(name, ""))
        except ValueError:
            return otherwise
        return min(max(value, low), high) if math.isfinite(value) else otherwise

    return View(
        text("phi", default.activation),
        text("with", default.other),
        number("sigma_w", default.sigma_w, *SIGMA_W),
        number("sigma_b", default.sigma_b, *SIGMA_B),
        int(number("depth", default.depth, *DEPTH)),
    )
