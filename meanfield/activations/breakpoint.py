"""Where an activation is not smooth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Breakpoint:
    """A point where φ is not analytic.

    Attributes
    ----------
    location : float
        The x of the point.
    value_jump : float
        φ(x+) − φ(x−); 0 where φ is continuous. ±inf at a pole, where φ(x+) or φ(x−) is infinite; +inf too where both are
        infinite with the same sign, as for 1/x².
    slope_jump : float
        φ'(x+) − φ'(x−); 0 where φ' is continuous too (ELU at 0: only φ'' jumps). ±inf where a one-sided slope is infinite,
        as for √|x|.

    Examples
    --------
    >>> from meanfield import activation
    >>> activation("relu").breakpoints
    (Breakpoint(location=0.0, value_jump=0.0, slope_jump=1.0),)
    """

    location: float
    value_jump: float = 0.0
    slope_jump: float = 0.0
