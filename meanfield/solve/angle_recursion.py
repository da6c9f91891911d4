"""The correlation recursion at one variance, in the half sine x = sin(θ/2) with ε = 1 − c = 2x²: any depth, any φ."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.activations.kept import Kept
from meanfield.errors import DomainError
from meanfield.expectation.angle_profile import AngleProfile
from meanfield.expectation.chebyshev import chebyshev_nodes
from meanfield.expectation.half_sines import TERMS, monomials
from meanfield.expectation.held_profiles import angle_profile
from meanfield.layers import limits

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

CRITICAL = 1e-12  # |f'(1) − 1| up to this is critical, and then taken to be 0
ACUTE = math.sqrt(0.5)  # x at θ = π/2
HELD = 16  # recursions kept per activation: making one costs what 10⁴ layers do


_recursions: Kept[dict[tuple[float, float], AngleRecursion]] = Kept("angle recursions")
_lock = threading.Lock()


class Profile(Protocol):
    """What the tables are made from: D(θ) of one map, and how it starts."""

    @property
    def q(self) -> float: ...
    @property
    def jumping(self) -> bool: ...
    @property
    def at_zero(self) -> float: ...
    def decorrelation(self, theta: Array) -> Array:
        """D at angles in [0, π]."""


@dataclass(frozen=True)
class AngleRecursion:
    """x_{l+1} from x_l at one variance, as tables of polynomials in x (see the kernels).

    Attributes
    ----------
    profile : Profile
        D(θ) at that variance.
    gain : float
        σ_w²/F(q): 1 − f = gain · D. Where gain · q V[φ'] is within 1e-12 of 1 it is set so that f'(1) = 1 exactly: on
        the edge of chaos the rounding of σ_w would otherwise decide what happens after 10¹² layers.
    base, exponent : float, int
        base = 2**exponent: where the panels turn from equal to octaves.
    near : array
        Rows of monomial coefficients, for angles up to π/2. Those of `far`, beyond, are made when a path starts there: from c ≥ 0 none
        comes to c < 0, as C is E[M²] there.
    steps : array
        The same of √ratio, so that a layer takes no root; `near` itself where φ jumps.
    """

    profile: Profile
    gain: float
    base: float
    exponent: int
    near: Array
    steps: Array

    @cached_property
    def far(self) -> Array:
        """The rows for angles from π/2 on."""
        left, width = _panels(self.exponent)
        x = left[:, None] + 0.5 * width[:, None] * (1.0 + chebyshev_nodes(TERMS))
        theta = 2.0 * np.arcsin(np.minimum(x, 1.0)).ravel()
        return monomials(self.profile.decorrelation(np.pi - theta).reshape(x.shape) * self.gain)

    def far_from(self, start: float) -> Array:
        """`far` for paths from `start`; from c ≥ 0 rows that hold at c = 0 alone, which rounding may step over."""
        return self.far if start > ACUTE else self._at_right_angles

    @cached_property
    def _at_right_angles(self) -> Array:
        rows = np.zeros_like(self.near)
        rows[:, 0] = self.gain * float(self.profile.decorrelation(np.array([0.5 * math.pi]))[0])
        return rows

    @staticmethod
    def of(profile: Profile, gain: float, widest: float | None = None) -> AngleRecursion:
        """Re-expand a profile on the panels of the kernels; on those of the variance `widest` where that is given."""
        if not profile.jumping and abs(gain * profile.at_zero - 1.0) <= CRITICAL:
            gain = 1.0 / profile.at_zero
        exponent = -max(2, math.ceil(math.log2(4.0 * math.sqrt(widest or profile.q) + 4.0)))
        base = math.ldexp(1.0, exponent)
        left, width = _panels(exponent)
        # The last panel reaches past π/2, where D would have to be known for c < 0 too: it is fitted up to there and no further.
        right = np.minimum(left + width, ACUTE)
        x = left[:, None] + 0.5 * (right - left)[:, None] * (1.0 + chebyshev_nodes(TERMS))
        theta = np.minimum(2.0 * np.arcsin(x), 0.5 * math.pi).ravel()
        near = (profile.decorrelation(theta).reshape(x.shape)) / (x if profile.jumping else 2.0 * x * x) * gain
        stretch = float(width[-1] / (right[-1] - left[-1]))
        if profile.jumping:
            table = _rows(near, stretch)
            return AngleRecursion(profile, gain, base, exponent, table, table)
        # At x = 0 the ratio is f'(1), known better than the series is.
        slope = gain * profile.at_zero
        tables = [
            _rows(values, stretch, zero) for values, zero in ((near, slope), (np.sqrt(np.maximum(near, 0.0)), math.sqrt(max(slope, 0.0))))
        ]
        return AngleRecursion(profile, gain, base, exponent, *tables)

    def iterate(self, start: float, depth: int) -> Array:
        """x_0 … x_depth."""
        from meanfield.solve.angle_recursion_kernels import iterate

        out = np.empty(depth + 1)
        iterate(start, self.base, self.exponent, self.profile.jumping, self.steps, self.far_from(start), out)
        return out

    def first_within(self, start: float, target: float, threshold: float, most: int) -> tuple[int, float, bool]:
        """The first l with |ε_l − target| < threshold (−1: not within `most` layers), the last x, whether x stands still."""
        from meanfield.solve.angle_recursion_kernels import first_within

        tables = self.steps, self.far_from(start)
        layer, x, still = first_within(start, target, threshold, most, self.base, self.exponent, self.profile.jumping, *tables)
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


def _rows(values: Array, stretch: float, zero: float | None = None) -> Array:
    """A table from values at the nodes; the last panel is `stretch` times as wide as what was sampled of it. `zero`: the value at x = 0."""
    table = monomials(values)
    table[-1] = np.polynomial.Polynomial(table[-1])(np.polynomial.Polynomial([stretch - 1.0, stretch])).coef
    if zero is not None:  # the error there is taken out below `base`
        first = table[0]
        error = zero - float(np.sum(first[::2]) - np.sum(first[1::2]))
        inner = np.arange(8)
        table[:8, 0] += error * (1.0 - (inner + 0.5) / 8)
        table[:8, 1] -= error * 0.5 / 8
    return table


def recursion_at(activation: Activation, q: float, gain: float) -> AngleRecursion:
    """The recursion at a variance in (0, inf); gain = σ_w²/F(q)."""
    profile = angle_profile(activation, q)
    with _lock:
        held = _recursions.setdefault(activation, {})
        found = held.get((q, gain))
    if found is None or found.profile is not profile:
        found = AngleRecursion.of(profile, gain)
        with _lock:
            while len(held) >= HELD:
                held.pop(next(iter(held)), None)
            held[q, gain] = found
    return found


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


def straight_recursion() -> AngleRecursion:
    """That of a linear φ: ε stays."""
    return _of_slopes(1.0, 1.0)


@lru_cache(maxsize=8)
def _of_slopes(left: float, right: float) -> AngleRecursion:
    size = max(abs(left), abs(right))
    left, right = left / size, right / size
    same = find_activation("linear" if left == right else f"where(x > 0, ({right!r})*x, ({left!r})*x)")
    profile = AngleProfile.fit(same, 1.0)
    return AngleRecursion.of(profile, 1.0 / profile.at_zero)
