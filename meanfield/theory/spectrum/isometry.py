"""Where orthogonal weights keep lengths: the point on the edge of chaos at which the spectrum has a given variance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.expectation.arguments import within
from meanfield.result import Result, paged
from meanfield.theory.edge_of_chaos import edge_of_chaos_curve
from meanfield.theory.spectrum.jacobian import jacobian_spectrum
from meanfield.theory.spectrum.plain_layers import _checked_depth
from meanfield.theory.spectrum.slope_law import slope_law

if TYPE_CHECKING:
    from meanfield.activations import Activation

SMALLEST, LARGEST = 1e-30, 1e12  # of q: where the point is looked for
STEP = 4.0  # of q, from one look to the next


@dataclass(frozen=True, eq=False, repr=False)
class IsometryPoint(Result):
    """A point on the edge of chaos whose Jacobian, with orthogonal weights, is nearly an isometry.

    Attributes
    ----------
    q : float
        The variance of the pre-activations.
    sigma_w, sigma_b : float
        Standard deviations (σ, not σ²).
    stable : bool
        Whether nearby variances return to q.
    s_max : float
        The largest singular value of the Jacobian at that depth.
    """

    q: float
    sigma_w: float
    sigma_b: float
    stable: bool
    s_max: float

    def __str__(self) -> str:
        told = "nearby variances return to it" if self.stable else "nearby variances leave it: scale the inputs to q"
        return paged(
            f"q = {self.q:.6g}: sigma_w = {self.sigma_w:.9g}, sigma_b = {self.sigma_b:.9g}; {told}. Largest singular value {self.s_max:.6g}"
        )


def isometry_point(activation: Any, depth: int, variance: float = 0.25) -> IsometryPoint:
    """The edge-of-chaos point at which L orthogonal layers have E s² = 1 and Var s² = L(μ₂/μ₁² − 1) = variance.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    depth : int
        Number of layers L, in [1, 10⁸].
    variance : float
        σ₀² of s², in [1e-12, 1e6]; μ_k = E φ'(√q Z)^{2k}.

    Returns
    -------
    IsometryPoint
        The point with the smallest q.

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.
    DomainError
        If an argument is out of range, or there is no such point: Var s² stays larger as q → 0 where the slopes φ'(0±) differ in size
        (ReLU: L at every q), and is 0 at every q where |φ'| is constant.

    Notes
    -----
    As q → 0, μ₂/μ₁² − 1 → 4(φ''/φ')² q where φ''(0) ≠ 0, and 2(φ'''/φ')² q² where φ''(0) = 0: for odd φ q ≈ |φ'/φ'''| √(σ₀²/2L).
    Gaussian weights add L to Var s² and never come near an isometry.

    References
    ----------
    Pennington, Schoenholz, Ganguli (2017, 2018).

    Examples
    --------
    >>> import meanfield as mf
    >>> point = mf.isometry_point("tanh", depth=64, variance=0.25)
    >>> round(point.q, 6), round(point.sigma_w, 6), round(point.sigma_b, 7), point.stable
    (0.024672, 1.023557, 0.0041773, True)
    """
    act = find_activation(activation)
    layers = _checked_depth(depth)
    wanted = within("variance", variance, 1e-12, 1e6)
    if wanted.ndim:
        raise DomainError(f"variance must be one number, not an array of shape {wanted.shape}")
    target = float(wanted)
    q = _smallest(act, layers, target)
    edge = edge_of_chaos_curve(act, q)
    if edge.status == "none":
        raise DomainError(f"activation = {act.name} has no edge of chaos at q = {q:.6g}, where Var s^2 would be {target:g}: {edge.reason}")
    spectrum = jacobian_spectrum(act, edge.sigma_w, edge.sigma_b, layers, "orthogonal", q)
    return IsometryPoint(q, float(edge.sigma_w), float(edge.sigma_b), bool(edge.stable), spectrum.edges[1])


def _smallest(act: Activation, layers: int, target: float) -> float:
    """The smallest q at which L(μ₂/μ₁² − 1) passes the target."""

    def excess(log_q: float) -> float:
        return layers * slope_law(act, math.exp(log_q)).spread / target - 1.0

    def none(why: str) -> DomainError:
        return DomainError(f"activation = {act.name}: no isometry of {layers} layers with Var s^2 = {target:g}: {why}")

    low = math.log(SMALLEST)
    if excess(low) > 0.0:
        at_zero = layers * slope_law(act, SMALLEST).spread
        raise none(f"with orthogonal weights it is {at_zero:.6g} as q -> 0, as the slopes on both sides of 0 differ in size, or vanish")
    from scipy.optimize import brentq

    # On a coarse ladder from below: up to where the odd and smooth ones pass, then finer.
    ladder = np.arange(low, math.log(LARGEST), math.log(STEP))
    for start, stop in zip(ladder[:-1].tolist(), ladder[1:].tolist(), strict=True):
        if excess(stop) > 0.0:
            return math.exp(float(brentq(excess, start, stop, xtol=1e-15, rtol=1e-14, maxiter=1000)))
    raise none(f"it stays below that up to q = {LARGEST:g}; where |phi'| is constant (linear, abs) every point of the edge is an isometry")
