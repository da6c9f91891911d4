"""The correlation recursion at one variance, in the half sine x = sin(θ/2) with ε = 1 − c = 2x²: any depth, any φ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.expectation.angle_profile import AngleProfile, chebyshev_nodes, chebyshev_series
from meanfield.expectation.held_profiles import angle_profile
from meanfield.expectation.moments import V, moment_table
from meanfield.theory import limits

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

VISIBLE = 2.0**-100  # below this variance, and above its inverse, φ shows its slopes at 0± or ∓∞ only: to √q = 1e-15
CRITICAL = 1e-12  # |f'(1) − 1| up to this is critical, and then taken to be 0
TERMS = 12


@dataclass(frozen=True)
class AngleRecursion:
    """x_{l+1} from x_l at one variance, as tables of polynomials in x (see the kernels).

    Attributes
    ----------
    profile : AngleProfile
        D(θ) at that variance.
    gain : float
        σ_w²/F(q): 1 − f = gain · D. Where gain · q V[φ'] is within 1e-12 of 1 it is set so that f'(1) = 1 exactly: on
        the edge of chaos the rounding of σ_w would otherwise decide what happens after 10¹² layers.
    base, exponent : float, int
        base = 2**exponent: where the panels turn from equal to octaves.
    near, far : arrays
        Rows of monomial coefficients.
    """

    profile: AngleProfile
    gain: float
    base: float
    exponent: int
    near: Array
    far: Array

    @staticmethod
    def of(profile: AngleProfile, gain: float, widest: float | None = None) -> AngleRecursion:
        """Re-expand a profile on the panels of the kernels; on those of the variance `widest` where that is given."""
        if not profile.jumping and abs(gain * profile.at_zero - 1.0) <= CRITICAL:
            gain = 1.0 / profile.at_zero
        exponent = -max(2, math.ceil(math.log2(4.0 * math.sqrt(widest or profile.q) + 4.0)))
        base = math.ldexp(1.0, exponent)
        left, width = _panels(exponent)
        x = left[:, None] + 0.5 * width[:, None] * (1.0 + chebyshev_nodes(TERMS))
        theta = 2.0 * np.arcsin(np.minimum(x, 1.0)).ravel()
        # The last panel reaches a little past π/2; D itself is good there too.
        near = (profile.decorrelation(theta).reshape(x.shape)) / (x if profile.jumping else 2.0 * x * x) * gain
        far = profile.decorrelation(np.pi - theta).reshape(x.shape) * gain
        near_table, far_table = _monomials(near), _monomials(far)
        if not profile.jumping:
            # At x = 0 the ratio is f'(1), known better than the series is: its error there is taken out below `base`.
            first = near_table[0]
            error = gain * profile.at_zero - float(np.sum(first[::2]) - np.sum(first[1::2]))
            inner = np.arange(8)
            near_table[:8, 0] += error * (1.0 - (inner + 0.5) / 8)
            near_table[:8, 1] -= error * 0.5 / 8
        return AngleRecursion(profile, gain, base, exponent, near_table, far_table)

    def iterate(self, start: float, depth: int) -> Array:
        """x_0 … x_depth."""
        from meanfield.theory.angle_recursion_kernels import iterate

        out = np.empty(depth + 1)
        iterate(start, self.base, self.exponent, self.profile.jumping, self.near, self.far, out)
        return out

    def first_within(self, start: float, target: float, threshold: float, most: int) -> tuple[int, float, bool]:
        """The first l with |ε_l − target| < threshold (−1: not within `most` layers), the last x, whether x stands still."""
        from meanfield.theory.angle_recursion_kernels import first_within

        layer, x, still = first_within(start, target, threshold, most, self.base, self.exponent, self.profile.jumping, self.near, self.far)
        return int(layer), float(x), bool(still)


def _panels(exponent: int) -> tuple[Array, Array]:
    """Left ends and widths: eight equal panels in [0, base], eight in each octave up to 1."""
    base = math.ldexp(1.0, exponent)
    left = [base * np.arange(8) / 8]
    width = [np.full(8, base / 8)]
    for power in range(exponent, 0):
        low = math.ldexp(1.0, power)
        left.append(low * (1.0 + np.arange(8) / 8))
        width.append(np.full(8, low / 8))
    keep = np.concatenate(left) <= math.sqrt(0.5)
    return np.concatenate(left)[keep], np.concatenate(width)[keep]


@lru_cache(maxsize=1)
def _to_monomials() -> Array:
    matrix = np.zeros((TERMS, TERMS))
    for i in range(TERMS):
        matrix[: i + 1, i] = np.polynomial.chebyshev.cheb2poly([0.0] * i + [1.0])
    return matrix


def _monomials(values: Array) -> Array:
    """Coefficients of powers of t ∈ [−1, 1] from values at Chebyshev nodes, row by row."""
    result: Array = np.ascontiguousarray(chebyshev_series(values) @ _to_monomials().T)
    return result


def recursion_at(activation: Activation, q: float, gain: float) -> AngleRecursion:
    """The recursion at a variance in (0, inf); gain = σ_w²/F(q)."""
    return AngleRecursion.of(angle_profile(activation, q), gain)


def limit_slopes(activation: Activation, q: float) -> tuple[float, float]:
    """The slopes (left, right) of φ at 0± (q = 0) or at ∓∞ (q = inf), where they make a limit of the correlation map."""
    left, right = limits.slopes(activation, q)
    if q > 0.0 and math.isinf(max(abs(left), abs(right))):
        raise DomainError(f"{activation.name} grows faster than linearly: its correlation map has no limit at infinite q; give q")
    limits.map_of_slopes(left, right, np.zeros(1))  # raises where both are 0 or one is infinite
    return left, right


def recursion_of_slopes(activation: Activation, q: float) -> AngleRecursion:
    """The recursion in the limit q = 0 or inf: that of the slopes of φ there, at any variance."""
    return _of_slopes(*limit_slopes(activation, q))


@lru_cache(maxsize=8)
def _of_slopes(left: float, right: float) -> AngleRecursion:
    size = max(abs(left), abs(right))
    left, right = left / size, right / size
    same = find_activation("linear" if left == right else f"where(x > 0, ({right!r})*x, ({left!r})*x)")
    profile = AngleProfile.fit(same, 1.0)
    return AngleRecursion.of(profile, 1.0 / profile.at_zero)


def is_two_lines(activation: Activation, q: float) -> bool:
    """Whether φ looks linear on both sides of 0 from variance q: at any q for ReLU-like φ, else near 0 or far out."""
    if VISIBLE < q < 1.0 / VISIBLE:
        if any(b.location != 0.0 for b in activation.breakpoints) or activation.one_sided(0.0, 1, 0) != 0.0:
            return False
        if limits.slopes(activation, 0.0) != limits.slopes(activation, math.inf):
            return False
        at = np.array([2.0**-20, 1.0, 2.0**20])
    else:
        at = np.array([q])
    left, right = limits.slopes(activation, 0.0 if q < 1.0 else math.inf)
    slope = 0.5 * (left * left + right * right)
    if not 0.0 < slope < math.inf:
        return False
    return bool(np.all(np.abs(moment_table(activation)(V, at) / (slope * at) - 1.0) <= 4e-15))


def is_line(activation: Activation, q: float) -> bool:
    """Whether φ looks like one line through 0 from variance q: the correlation map without bias is the identity."""
    return limits.same_slopes(activation, 0.0) and is_two_lines(activation, q)
