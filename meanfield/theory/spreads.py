"""How much a deep network of a finite width scatters: its gradient from network to network, its Jacobian's singular values in one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.expectation.arguments import within
from meanfield.theory.spectrum.slope_law import slope_law

if TYPE_CHECKING:
    from meanfield.activations import Activation


@dataclass(frozen=True)
class Spreads:
    """Spreads at one variance of the pre-activations.

    Attributes
    ----------
    gradient : float
        √(L(3E φ'⁴/(E φ'²)² − 1)/width): the standard deviation, in nats, of a network's squared gradient about its
        mean, the variances held at q.
    jacobian : float
        L(E φ'⁴/(E φ'²)² − 1): Var s²/(E s²)² of the singular values s with orthogonal weights; L more with Gaussian ones. 0 is isometry.
    """

    gradient: float
    jacobian: float


def spreads(act: Activation, q: float, depth: int, width: int) -> Spreads:
    """Both, for L equal layers of pre-activation variance q.

    Parameters
    ----------
    act : Activation
    q : float
        Variance (σ², not σ); at 0 the slopes φ'(0±).
    depth, width : int
        L layers of so many units.

    Returns
    -------
    Spreads

    Raises
    ------
    DomainError
        If φ has no slope at that variance, as where it jumps.

    References
    ----------
    Hanin & Nica (2020), products of random matrices, for the gradient; Pennington, Schoenholz, Ganguli (2017) for the Jacobian.

    Examples
    --------
    >>> from meanfield.activations import activation
    >>> spreads(activation("relu"), 1.0, depth=100, width=1000)  # E φ'⁴/(E φ'²)² = 2
    Spreads(gradient=0.7071067811865476, jacobian=100.0)
    """
    excess = slope_law(act, q).spread  # E φ'⁴/(E φ'²)² − 1
    return Spreads(math.sqrt(depth * (3.0 * (1.0 + excess) - 1.0) / width), depth * excess)


def checked_width(width: Any) -> int:
    """Units of a layer: one whole number in [1, 10⁹]."""
    units = within("width", width, 1, 10**9)
    if units.ndim or float(units) != int(units):
        raise DomainError(f"width = {width!r} must be one whole number")
    return int(units)
