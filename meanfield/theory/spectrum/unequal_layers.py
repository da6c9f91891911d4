"""The spectrum of layers that differ: a trajectory of variances, widths that change, residual blocks.

Factors that are free of each other multiply their S-transforms. In m, normalised to the units that have the singular values,

    log z(m) = −log m + Σ_l [log w_l + log ρ_l m] + Σ_k c_k log(1 + ρ_k m),

with ρ = (singular values)/(units of the layer), and w_l where the factor's own transform is ρ_l m: w_l = ζ_l with M_l(ζ_l) = ρ_l m for a
dense layer, and for a residual one (1 + m)²/a, see `Factor`. There is no ζ that all layers share, so the curve is followed from its upper
edge down: at log z = log λ_max − t² by Newton's method in log m and all log ζ_l, from the point before.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from meanfield.errors import MeanFieldError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meanfield.arrays import Array
    from meanfield.theory.spectrum.slope_law import SlopeLaw

STEP = 0.08  # of t, at most
LEFT = 1e-10  # of the mass: the curve is followed until no more is below
LEFT_OF_BLOCKS = 1e-8  # the same of residual blocks, whose 1 + m = (1 + m_X) + b loses its digits towards λ = 0
MOST = 4000  # points
SETTLED = 1e-12
BESIDE = 0.5  # of |1 + m|: nearer to m = −1 the unknown is log(1 + m) in place of log m
ENDS = 1e-3  # of the mass: with less below, a curve that can't be followed on has come to its lower edge


@dataclass(frozen=True)
class Factor:
    """Equal layers of a product.

    Attributes
    ----------
    law : SlopeLaw
        Of d = φ'² before the weights.
    count : int
        How many of them.
    ratio : float
        ρ: singular values for each unit of the layer.
    branch : float
        x = E s² of the branch X over skip², where the layer is skip (1 + X); 0 for a layer without a skip connection. X = W D is
        R-diagonal, so the law of ±|1 + X| is the free convolution of that of ±|X| and of ±1: with a = (1 + m_X)²/z_X, z_X = x ζ(1 + m_X)^g,
        m = m_X + b, b(1 + b) = a, and w = (1 + m)²/a  [Tarnowski et al. 2019 for its limit].
    """

    law: SlopeLaw
    count: int
    ratio: float = 1.0
    branch: float = 0.0


class _Seen(NamedTuple):
    """Of every factor at its log ζ: its log m, log(1 + m) and log w, their slopes by log ζ, and Im ∫ m d log w."""

    log_m: Any
    log_n: Any
    speed: Any  # ∂log ζ/∂log m
    log_w: Any
    slope_w: Any  # ∂log w/∂log ζ
    angle: Any


class _Place(NamedTuple):
    """log m and log(1 + m): beside m = −1, towards λ = 0, only the latter tells 1 + m to all its digits."""

    log_m: complex
    log_n: complex

    @property
    def beside(self) -> bool:
        return abs(self.m_and_n[1]) < BESIDE

    @property
    def m_and_n(self) -> tuple[complex, complex]:
        n = cmath.exp(self.log_n)
        return (n - 1.0, n) if abs(n) < BESIDE else (cmath.exp(self.log_m), n)

    @classmethod
    def at(cls, log_m: complex) -> _Place:
        m = cmath.exp(log_m)
        return cls(complex(log_m), complex(np.log1p(m)) if abs(m) < 0.5 else complex(_below(1.0 + m)))

    def moved(self, step: complex) -> _Place:
        """With log m changed by this much, to first order at least."""
        if not self.beside:
            return _Place.at(self.log_m + step)
        m, n = self.m_and_n
        log_n = self.log_n + step * m / n
        return _Place(complex(_below(cmath.exp(log_n) - 1.0)), log_n)


def _below(z: Any) -> Any:
    """log z with arguments in [−π, 0]."""
    found = np.log(z)
    return np.where(found.imag > 1.0, found - 2j * math.pi, found)


class UnequalLayers:
    """The law of s²/E s² in logarithms.

    Parameters
    ----------
    laws : sequence of Factor or (SlopeLaw, count)
    gaussian : bool
        Gaussian weights, or orthogonal ones.
    over : sequence of (ρ, c), optional
        The terms c log(1 + ρ m); those of equal widths where left out.
    zero_mass : float, optional
        The part of the singular values that are 0; the largest P(d = 0) where left out.
    """

    def __init__(
        self,
        laws: Sequence[Factor | tuple[SlopeLaw, int]],
        gaussian: bool,
        over: Sequence[tuple[float, float]] | None = None,
        zero_mass: float | None = None,
    ) -> None:
        self.factors = [item if isinstance(item, Factor) else Factor(*item) for item in laws]
        self.counts = np.array([factor.count for factor in self.factors], dtype=float)
        self.log_ratios = np.log([factor.ratio for factor in self.factors])
        self.ratios = np.exp(self.log_ratios)
        self.branches = np.array([factor.branch for factor in self.factors])
        self.gaussian = float(gaussian)
        self.widest = np.where(self.branches > 0.0, 2.0 * math.pi, math.pi) + 1e-12  # arg ζ
        # A dense layer with Gaussian weights has log ζ + log m, one with orthogonal weights and a residual one −log(1 + m) more.
        more = float(np.sum(self.counts[(self.branches > 0.0) | (not gaussian)]))
        self.over = [(1.0, 1.0 - more)] if over is None else list(over)
        lost = [factor.law.zero_mass for factor in self.factors if factor.branch == 0.0]
        self.zero_mass = max(lost, default=0.0) if zero_mass is None else zero_mass

    # ---- the map -----------------------------------------------------------------------------------------------------

    def _transforms(self, zeta: Any) -> Array:
        """Rows of `kernels.transforms_at` for each layer at its log ζ."""
        from meanfield.theory.spectrum.kernels import transforms_at

        rows = np.empty((len(self.factors), 9))
        for i, factor in enumerate(self.factors):
            transforms_at(zeta[i : i + 1].real.copy(), zeta[i : i + 1].imag.copy(), factor.law.packed, rows[i : i + 1])
        return rows

    def _see(self, place: _Place, zeta: Any) -> _Seen:
        rows = self._transforms(zeta)
        m, n, s = rows[:, 0] + 1j * rows[:, 1], rows[:, 2] + 1j * rows[:, 3], rows[:, 6] + 1j * rows[:, 7]
        log_m, slope_m = _below(m), -s / m  # log M(ζ + δ) = log M − (s/m) δ
        log_over = _below(n)
        log_w, slope_w, angle = zeta.astype(complex), np.ones(m.shape, dtype=complex), rows[:, 8].copy()
        there = self.branches > 0.0
        if there.any():
            g, x = self.gaussian, self.branches[there]
            m, n, s = m[there], n[there], s[there]
            # k = √z_X is above the real axis, so that ζ may go round 0 to below it; there 1 + m_X is above.
            log_n = np.log(n)
            turned = 2j * math.pi * (np.where(zeta[there].imag > math.pi, -log_n.imag, log_n.imag) > 1.0)
            log_n, slope_n = log_n + np.where(zeta[there].imag > math.pi, turned, -turned), -s / n
            log_z, slope_z = np.log(x) + zeta[there] + g * log_n, 1.0 + g * slope_n
            log_a, slope_a = 2.0 * log_n - log_z, 2.0 * slope_n - slope_z
            a = np.exp(log_a)
            root = np.sqrt(1.0 + 4.0 * a)
            first, second = 2.0 * a / (1.0 + root), -0.5 * (1.0 + root)
            # b is the transform of ±1; of the two roots the one that m − m_X is.
            wanted = place.m_and_n[0] - m
            b = np.where(np.abs(first - wanted) <= np.abs(second - wanted), first, second)
            whole = m + b
            slope = -s + a * slope_a / (1.0 + 2.0 * b)
            log_m[there], slope_m[there] = _below(whole), slope / whole
            log_over[there] = _below(n + b)
            log_w[there] = 2.0 * _below(1.0 + whole) - log_a - np.log1p(x)  # E w m → 1 + x
            slope_w[there] = 2.0 * slope / (1.0 + whole) - slope_a
            inner = angle[there] + g * (m.imag - log_n.imag)  # of ∫ m_X d log z_X
            # 1 + b = γ z_B with γ = √a, and z_B, where ±1 has the transform γ, is above the real axis.
            of_signs = np.log(1.0 + b).imag
            of_signs -= 2.0 * math.pi * np.round((of_signs - 0.5 * log_a.imag - 0.5 * math.pi) / (2.0 * math.pi))
            angle[there] = inner + log_z.imag + of_signs - log_w[there].imag
        return _Seen(log_m, log_over, 1.0 / slope_m, log_w, slope_w, angle)

    def _solve(self, place: _Place, zeta: Any, target: float | None) -> tuple[_Place, Any, _Seen] | None:
        """m and log ζ_l with log z = target, by Newton's method; with no target at this m. None where it does not settle."""
        last = math.inf
        for _ in range(40):
            seen = self._see(place, zeta)
            m, n = place.m_and_n
            beside = place.beside and not np.any(self.branches > 0.0)  # blocks have no more digits of 1 + m than of m
            finer = m / n if beside else 1.0
            gap = place.log_m + self.log_ratios - seen.log_m
            gap = gap.real + 1j * (np.mod(gap.imag + math.pi, 2.0 * math.pi) - math.pi)
            if beside:
                gap = np.where(self.ratios == 1.0, (place.log_n - seen.log_n) / finer, gap)
            step_u = 0.0 + 0.0j
            value, slope = self._level(place, seen, gap)
            if target is not None:
                step_u = (target - value) / slope
            change = seen.speed * (gap + step_u)
            size = max(abs(step_u * finer), float(np.max(np.abs(change))))
            if not math.isfinite(size):
                return None
            limit = min(1.0, 0.5 / size) if size > 0.5 else 1.0
            after = place.log_n + limit * step_u * finer if beside else place.log_m + limit * step_u
            if not (-math.pi - 1e-12 <= after.imag <= 1e-12) or np.any(zeta.imag + limit * change.imag < -1e-12):
                return None
            place, zeta = place.moved(limit * step_u) if beside else _Place.at(after), zeta + limit * change
            if np.any(zeta.imag > self.widest):
                return None
            if size < SETTLED or (size < 1e-9 and size > 0.25 * last):
                return place, zeta, self._see(place, zeta)
            last = size
        return None

    def _level(self, place: _Place, seen: _Seen, gap: Any = 0.0) -> tuple[complex, complex]:
        """log z and ∂log z/∂log m, each log ζ_l moved by its gap."""
        u, (whole, n) = place.log_m, place.m_and_n
        moved = seen.log_w + seen.slope_w * seen.speed * gap
        value = -u + np.sum(self.counts * (moved + self.log_ratios + u))
        slope = -1.0 + np.sum(self.counts * (seen.slope_w * seen.speed + 1.0))
        for ratio, times in self.over:
            m = ratio * whole
            log_over, over = (place.log_n, n) if ratio == 1.0 else (_Place.at(u + math.log(ratio)).log_n, 1.0 + m)
            value += times * log_over
            slope += times * m / over
        return complex(value), complex(slope)

    # ---- the edges ---------------------------------------------------------------------------------------------------

    def _on_axis(self, u: float) -> tuple[float, float, Array]:
        """log z, its slope and log ζ_l at real m = e^u, where each ζ_l lies beyond the support of d."""
        from scipy.optimize import brentq

        from meanfield.theory.spectrum.kernels import on_the_axis

        found, row = np.empty(len(self.factors)), np.empty((1, 4))
        for i, factor in enumerate(self.factors):
            law, x = factor.law, factor.branch
            top = float(law.supports[-1, 1])
            wanted = u + self.log_ratios[i]

            def excess(v: float, law: SlopeLaw = law, top: float = top, x: float = x, wanted: float = wanted) -> float:
                zeta = top + top * math.exp(v)
                on_the_axis(np.array([zeta]), 1.0, 0.0, law.packed, row)
                m, n = row[0, 2], row[0, 3]
                if x > 0.0:
                    a = n ** (2.0 - self.gaussian) / (x * zeta)
                    m += 2.0 * a / (1.0 + math.sqrt(1.0 + 4.0 * a))
                return math.log(m) - wanted

            low, high = -32.0, max(60.0, 10.0 - wanted) + (abs(math.log(x)) if x > 0.0 else 0.0)
            v = low if excess(low) < 0.0 else float(brentq(excess, low, high, xtol=1e-13, maxiter=1000))
            found[i] = math.log(top) + math.log1p(math.exp(v))
        place = _Place.at(u)
        value, slope = self._level(place, self._see(place, found.astype(complex)))
        return value.real, slope.real, found

    @cached_property
    def _edge(self) -> tuple[_Place, float, Array, float]:
        """m, log λ, log ζ_l and ∂²log z/∂u² at the upper edge of the band."""
        from scipy.optimize import brentq

        if self._isolated is not None:
            return self._edge_below(self._isolated[2])
        low, high = -60.0, 30.0
        # Where layers have tops that doubles don't tell from their ζ, the slope at a large m is rounding: z rises there if it rises below.
        rising = next((at for at in (high, 9.0, 6.0, 3.0, 1.5, 0.0, -1.5, -3.0, -5.0, -8.0) if self._on_axis(at)[1] > 0.0), None)
        u = high if rising is None else float(brentq(lambda at: self._on_axis(at)[1], low, rising, xtol=1e-12, maxiter=1000))
        level, _, zeta = self._on_axis(u)
        step = 1e-3
        second = (self._on_axis(u + step)[1] - self._on_axis(u - step)[1]) / (2.0 * step)
        if not second > 0.0:
            raise MeanFieldError("the upper edge of this spectrum is not that of a square root: it is not followed")
        return _Place.at(u), level, zeta.astype(complex), second

    def _edge_below(self, places: list[int]) -> tuple[_Place, float, Array, float]:
        """The same below an isolated atom, where z falls from m = −∞ on, and each ζ_l from its own atom."""
        from scipy.optimize import brentq

        v = 28.0
        start = [
            math.log(factor.law.atoms[i] * (1.0 - factor.law.masses[i] / (factor.ratio * math.exp(v))))
            for factor, i in zip(self.factors, places, strict=True)
        ]
        state = [np.array(start, dtype=complex)]

        def slope(at: float) -> float:
            found = self._solve(_Place.at(complex(at, -math.pi)), state[0], None)
            if found is None:
                raise MeanFieldError(
                    "the upper edge of the band below the isolated singular value was not found; give one q for all layers"
                )
            state[0] = found[1]
            return self._level(found[0], found[2])[1].real

        above = v
        while slope(v) > 0.0:  # m < −1, which v = 0 is
            before, above, v = state[0], v, v - 0.25 * min(1.0, v)
        state[0] = before
        v = float(brentq(slope, v, above, xtol=1e-13))
        second = (slope(v + 1e-4) - slope(v - 1e-4)) / 2e-4
        slope(v)
        place = _Place.at(complex(v, -math.pi))
        return place, self._level(place, self._see(place, state[0]))[0].real, state[0], second

    def _lower_edge(self, u: complex, zeta: Any) -> tuple[_Place, float, Any, float] | None:
        """The same at the lower end of a band above 0, from a point of the curve beside it; there m < 0, and each ζ_l is real."""
        from scipy.optimize import brentq

        state = [zeta.real + 1j * math.pi * np.round(zeta.imag / math.pi)]

        def slope(v: float) -> float:
            found = self._solve(_Place.at(complex(v, -math.pi)), state[0], None)
            if found is None:
                return math.nan
            state[0] = found[1]
            return self._level(found[0], found[2])[1].real

        here, step = u.real, 1e-4
        for _ in range(16):
            a, b = slope(here - step), slope(here + step)
            if math.isfinite(a * b) and a * b < 0.0:
                try:
                    v = float(brentq(slope, here - step, here + step, xtol=1e-13))
                except ValueError:  # between the two some place was not solved for
                    return None
                found = self._solve(_Place.at(complex(v, -math.pi)), state[0], None)
                if found is None:
                    return None
                second = (slope(v + 1e-4) - slope(v - 1e-4)) / 2e-4
                return found[0], self._level(found[0], found[2])[0].real, found[1], second
            step *= 2.0
        return None

    # ---- the curve ---------------------------------------------------------------------------------------------------

    @cached_property
    def _curve(self) -> tuple[Array, tuple[_Place, ...], Array, Array, Array]:
        """log z ascending, m, log ζ_l, density and mass above."""
        edge, top, zeta_e, second = self._edge
        speed = self._see(edge, zeta_e).speed
        side = 1j if edge.log_m.imag < 0.0 else -1j  # into Im m < 0
        over = 0.0 if self._isolated is None else self._isolated[1]
        points: list[tuple[float, _Place, Any, float, float]] = [(top, edge, zeta_e, 0.0, over)]
        everything = 1.0 - self.zero_mass
        left = LEFT_OF_BLOCKS if np.any(self.branches > 0.0) else LEFT
        t, step = 0.0, 0.5 * STEP
        self.low_edge: tuple[_Place, float, Any, float] | None = None
        while len(points) < MOST:
            after = t + step
            if t == 0.0:  # log z = top + ½ second (u − u_e)²
                du = side * math.sqrt(2.0 * after * after / abs(second))
                guess = edge.moved(du), zeta_e + speed * du
            else:
                _, place, zeta, *_ = points[-1]
                seen = self._see(place, zeta)
                du = (t * t - after * after) / self._level(place, seen)[1]
                guess = place.moved(du), zeta + seen.speed * du
            found = self._solve(*guess, top - after * after)
            density, above = self._read(found) if found is not None else (0.0, 0.0)
            if (
                found is None
                or not density > 0.0
                or above < points[-1][4] - 1e-12
                or above - points[-1][4] > 0.1
                or above > everything + 1e-9
            ):
                step *= 0.5
                if step < 1e-5 * max(1.0, t):
                    break
                continue
            points.append((top - after * after, found[0], found[1], density, above))
            if everything - above < left:
                break
            t, step = after, min(1.3 * step, max(STEP, 0.03 * after))
        self.reached = points[-1][4]
        if left <= everything - self.reached < ENDS and len(points) > 2:
            self.low_edge = self._lower_edge(points[-1][1].log_m, points[-1][2])
            if self.low_edge is not None and self.low_edge[1] < points[-1][0]:
                points.append((self.low_edge[1], self.low_edge[0], self.low_edge[2], 0.0, everything))
                self.reached = everything
            else:
                self.low_edge = None
        levels, places, zetas, densities, masses = zip(*points[::-1], strict=True)
        return np.array(levels), places, np.array(zetas), np.array(densities), np.array(masses)

    def _read(self, found: tuple[_Place, Any, _Seen]) -> tuple[float, float]:
        """−Im m/π and the mass above, Im G/π with G = ∫ m d log z: ∫ m d log(ρm) = m, and (ρm − log(1 + ρm))/ρ for log(1 + ρm)."""
        place, _, seen = found
        m, n = place.m_and_n
        total = -m.imag + float(np.sum(self.counts * (seen.angle / self.ratios + m.imag)))
        for ratio, times in self.over:
            part = ratio * m
            over = n if ratio == 1.0 else 1.0 + part
            total += times * (part.imag - math.atan2(part.imag, over.real)) / ratio
        return float(-m.imag / math.pi), float(total / math.pi)

    @cached_property
    def _isolated(self) -> tuple[float, float, list[int]] | None:
        """(log λ, mass, which atom of each law) of what orthogonal layers of one width leave of atoms that they all have."""
        plain = np.all(self.branches == 0.0) and np.all(self.ratios == 1.0)
        if self.gaussian or not plain or not all(np.any(factor.law.atoms > 0.0) for factor in self.factors):
            return None
        best = [int(np.argmax(factor.law.masses * (factor.law.atoms > 0.0))) for factor in self.factors]
        pairs = list(zip(self.factors, best, strict=True))
        left = 1.0 - sum(factor.count * (1.0 - float(factor.law.masses[i])) for factor, i in pairs)
        if not left > 0.0:
            return None
        return sum(factor.count * math.log(factor.law.atoms[i]) for factor, i in pairs), left, best

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """(log λ, mass): the rank that is lost, and with orthogonal weights what is left of atoms in every layer."""
        found = [(-math.inf, self.zero_mass)] if self.zero_mass > 0.0 else []
        return tuple(found) if self._isolated is None else (*found, self._isolated[:2])

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """One band: gaps between unequal layers are not looked for."""
        levels = self._curve[0]
        return ((float(levels[0]) if self.low_edge is not None else -math.inf, self._edge[1]),)

    def _at(self, level: float) -> tuple[float, float]:
        levels, places, zeta, density, above = self._curve
        if level >= levels[-1]:
            return 0.0, self._isolated[1] if self._isolated is not None and level < self._isolated[0] else 0.0
        if level <= levels[0]:
            if self.reached < 1.0 - self.zero_mass - 1e-6:
                raise MeanFieldError(
                    f"the curve of unequal layers could be followed down to log s^2 = {levels[0]:.6g} (relative to its mean) only, with "
                    f"{self.reached:.6g} of the mass above: layers that differ, or residual blocks, are followed down to the first gap only"
                )
            return 0.0, 1.0 - self.zero_mass
        i = int(np.searchsorted(levels, level))
        for j in (i, i - 1, min(i + 1, levels.size - 1)):
            if j == levels.size - 1:  # the edge itself: from its square root
                edge, top, zeta_e, second = self._edge
                du = (1j if edge.log_m.imag < 0.0 else -1j) * math.sqrt(2.0 * (top - level) / abs(second))
                found = self._solve(edge.moved(du), zeta_e + self._see(edge, zeta_e).speed * du, level)
            elif j == 0 and self.low_edge is not None:
                edge, bottom, zeta_e, second = self.low_edge
                du = 1j * math.sqrt(2.0 * (level - bottom) / abs(second))
                found = self._solve(edge.moved(du), zeta_e + self._see(edge, zeta_e).speed * du, level)
            else:
                found = self._solve(places[j], zeta[j], level)
            if found is not None:
                here = self._read(found)
                if min(above[i - 1], above[i]) - 1e-9 <= here[1] <= max(above[i - 1], above[i]) + 1e-9:
                    return here
        part = (level - levels[i - 1]) / (levels[i] - levels[i - 1])
        return float(density[i - 1] + part * (density[i] - density[i - 1])), float(above[i - 1] + part * (above[i] - above[i - 1]))

    def density(self, levels: Array) -> Array:
        """The density of log λ at values of it."""
        return np.array([self._at(float(level))[0] for level in levels.ravel()]).reshape(levels.shape)

    def above(self, levels: Array) -> Array:
        """P(log λ > level)."""
        return np.clip([self._at(float(level))[1] for level in levels.ravel()], 0.0, 1.0).reshape(levels.shape)

    def quantile(self, p: Array) -> Array:
        """The level below which a part p lies."""
        from scipy.optimize import brentq

        levels, _, _, _, above = self._curve
        everything = 1.0 - self.zero_mass
        result = np.empty(p.shape)
        for index in np.ndindex(p.shape):
            wanted = 1.0 - float(p[index])
            if wanted >= everything and everything < 1.0:
                result[index] = -math.inf
            elif self._isolated is not None and wanted <= self._isolated[1]:
                result[index] = self._isolated[0]
            elif wanted <= 0.0:
                result[index] = levels[-1]
            elif wanted >= above[0]:
                self._at(float(levels[0]) - 1.0)  # says so where the curve ended early
                result[index] = levels[0]
            else:
                i = int(np.searchsorted(-above, -wanted))
                low, high = float(levels[i - 1]), float(levels[i])

                def excess(level: float, wanted: float = wanted) -> float:
                    return self._at(level)[1] - wanted

                if excess(low) > 0.0 > excess(high):
                    result[index] = brentq(excess, low, high, xtol=1e-12, maxiter=1000)
                else:  # within the rounding of the mass
                    result[index] = low if abs(above[i - 1] - wanted) < abs(above[i] - wanted) else high
        return result

    def top_edge(self) -> tuple[float, float] | None:
        """s and K as `EqualLayers.top_edge`, by the first layer's ζ: −Im m = m √(2τ/K_u), K_u = ∂²log z/∂u²."""
        edge, _, _, second = self._edge
        return (math.exp(edge.log_m.real), second) if self._isolated is None else None


def mean_log_of(factors: Sequence[Factor], gaussian: bool, over: Sequence[tuple[float, float]], zero: float) -> float:
    """E[log(s²/E s²); s > 0] = ∫ log|z| dm over −(1 − P(s = 0)) < m < 0, term by term.

    ∫ log|ζ_l| dm is E[log d; d > 0] over the whole of it; a layer with less rank lost than another is integrated numerically.
    """
    a = 1.0 - zero
    total = a - a * math.log(a)  # −∫ log|m|
    for factor in factors:
        there = factor.ratio * a
        if factor.branch > 0.0:
            own = _mean_log_of_block(factor, gaussian) + a - a * math.log(a)
            own += _integral_of_over(1.0, a)  # log w of S = (1 + m)/(m w)
        else:
            whole = 1.0 - factor.law.zero_mass
            own = factor.law.mean_log if there >= whole * (1.0 - 1e-14) else _integral_of_log(factor.law, there)
        total += factor.count * (own / factor.ratio + a * math.log(there) - a)  # and ∫ log|ρm|
    return total + sum(times * _integral_of_over(ratio, a) for ratio, times in over)


def _integral_of_over(ratio: float, a: float) -> float:
    """∫ log(1 + ρm) dm over −a < m < 0."""
    left = 1.0 - ratio * a
    return (-1.0 - (left * math.log(left) - left if left > 0.0 else 0.0)) / ratio


def _mean_log_of_block(factor: Factor, gaussian: bool) -> float:
    """E log|1 + X|² − log(1 + x): 2∫ log max(1, r) over the radii r of X's eigenvalues, the largest √x [Haagerup, Larsen 2000].

    The part within r is 1 + m where 1/S_X(m) = z_X m/(1 + m) = r². So it is 0 for x ≤ 1.
    """
    from scipy.integrate import quad
    from scipy.optimize import brentq

    law, x, g = factor.law, factor.branch, float(gaussian)
    if x <= 1.0:
        return -math.log1p(x)

    def at(y: float) -> tuple[float, float]:
        """−m and log r² at ζ = −e^y."""
        zeta = math.exp(y)
        m = float(np.sum(law.weights * law.values / (law.values + zeta)) + np.sum(law.masses * law.atoms / (law.atoms + zeta)))
        n = float(np.sum(law.weights * zeta / (law.values + zeta)) + np.sum(law.masses * zeta / (law.atoms + zeta)))
        return m, math.log(x) + y + math.log(m) + (g - 1.0) * math.log(n)

    low, high = -80.0, 60.0
    start = low if at(low)[1] > 0.0 else float(brentq(lambda y: at(y)[1], low, high, xtol=1e-13))
    # ∫ log r² d(1 + m) over r > 1, by parts: −m is what lies further out than r.
    end = start + 60.0

    def beyond(y: float) -> float:
        zeta, step = math.exp(y), 1e-4
        return at(y)[0] * (at(y + step)[1] - at(y - step)[1]) / (2.0 * step) if zeta > 0.0 else 0.0

    tail = quad(beyond, start, end, limit=200, epsabs=1e-12)[0]
    return float(at(start)[0] * at(start)[1] + tail) - math.log1p(x)


def _integral_of_log(law: SlopeLaw, a: float) -> float:
    """∫ log(−ζ(m)) dm over −a < m < 0."""
    from scipy.integrate import quad

    everything_log = law.mean_log  # over −(1 − p) < m < 0, p this law's own P(d = 0)
    if law.constant:  # ζ = (1 + m)/m
        return _integral_of_over(1.0, a) + a - a * math.log(a)

    def missing(x: float) -> float:
        """ζ = −e^x: what lies at m < −a, ∫ x dm there by parts."""
        y = math.exp(x)
        return float(np.sum(law.weights * law.values / (law.values + y)) + np.sum(law.masses * law.atoms / (law.atoms + y)))

    low, high = -200.0, 60.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if missing(middle) > a else (low, middle)
    edge = 0.5 * (low + high)
    # ∫_{m < −a} x dm = edge (1 − p − a) − ∫_{−∞}^{edge} (missing(∞ below) − missing(x)) dx
    tail = quad(lambda x: (1.0 - law.zero_mass) - missing(x), edge - 60.0, edge, limit=200, epsabs=1e-13)[0]
    return float(everything_log - (edge * (1.0 - law.zero_mass - a) - tail))
