"""The upper edge at finite width: the largest eigenvalue fluctuates as Tracy and Widom's."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.result import Result

TRACY_WIDOM_MEAN, TRACY_WIDOM_DEVIATION = -1.2065335745820, 1.2679758230  # of TW₁ (variance 1.607781034581)


@dataclass(frozen=True, eq=False, repr=False)
class WidthEstimate(Result):
    """The largest singular value of one network of a finite width.

    Attributes
    ----------
    s_max : float
        Its mean.
    standard_error : float
        The standard deviation from network to network.

    Notes
    -----
    Where the density of λ = s² ends as (a/π)√(λ_max − λ), the largest of N is λ_max + (aN)^{−2/3} TW₁. It is the law at given D; the
    network's own variances fluctuate too, which in few layers with orthogonal weights moves the edge by some per cent at width 600.
    """

    s_max: float
    standard_error: float

    def __str__(self) -> str:
        return f"largest singular value {self.s_max:.6g} ± {self.standard_error:.1g}"


def edge_at_width(edge: float, coefficient: float, width: int) -> WidthEstimate:
    """From λ_max and a.

    Examples
    --------
    >>> found = edge_at_width(4.0, 0.5, 1000)
    >>> found.s_max < 2.0
    True
    """
    scale = (coefficient * width) ** (-2.0 / 3.0)
    largest = max(edge + TRACY_WIDOM_MEAN * scale, 0.0) ** 0.5
    return WidthEstimate(largest, 0.5 * TRACY_WIDOM_DEVIATION * scale / largest if largest > 0.0 else float("inf"))
