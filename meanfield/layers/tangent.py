"""The tangent kernel on its way through layers: Θ = Σ over parameters of the product of two outputs' derivatives by them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from meanfield.arrays import Array


@dataclass(frozen=True, eq=False)
class TangentKernel:
    """Θ of two inputs, in the place of the plain dK12 of a `Part`: it takes the same factors, and each layer with weights adds its own.

    Attributes
    ----------
    values : ndarray
        Θ so far.
    parametrization : {"ntk", "standard"}
        "ntk": weights are σ_w/√fan_in times what is trained, biases σ_b times that. "standard": weights and biases themselves.
    fan_in : float
        Of the next layer with weights; only "standard" asks.
    width : float
        The fan-in of every later one.
    one_pass : bool
        Both inputs are one and the same, in one pass with one set of dropout masks.
    """

    values: Array
    parametrization: str
    fan_in: float
    width: float
    one_pass: bool = False

    # NumPy's arrays leave products with this to it.
    __array_ufunc__ = None

    def __mul__(self, factor: float | Array) -> TangentKernel:
        return replace(self, values=self.values * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float | Array) -> TangentKernel:
        return replace(self, values=self.values / divisor)

    def __add__(self, other: TangentKernel) -> TangentKernel:
        return replace(self, values=self.values + other.values)

    def behind_weights(self, sigma_w: float, sigma_b: float, product: Array) -> TangentKernel:
        """Θ' from Θ, where the layer's inputs have mean product K12.

        "ntk": σ_b² + σ_w² K12 + σ_w² Θ; "standard": n K12 + 1 + σ_w² Θ, n the fan-in [Jacot 2018; Sohl-Dickstein 2020].
        """
        passed = sigma_w**2 * self.values
        own = sigma_b**2 + sigma_w**2 * product if self.parametrization == "ntk" else self.fan_in * product + 1.0
        return replace(self, values=own + passed, fan_in=self.width)


def started(shape: tuple[int, ...], parametrization: str, fan_in: float, width: float, one_pass: bool = False) -> TangentKernel:
    """Θ = 0 at the input, which has no parameters."""
    return TangentKernel(np.zeros(shape), parametrization, fan_in, width, one_pass)
