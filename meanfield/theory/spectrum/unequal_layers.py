"""The spectrum of layers whose squared slopes have different laws: a trajectory of variances.

log z(m) = log((1 + m)/m) + Σ_l [log ζ_l + log m − (1 − g) log(1 + m)], M_l(ζ_l) = m. There is no ζ that all layers share, so the curve is
followed from its upper edge down: at log z = log λ_max − t² by Newton's method in log m and all log ζ_l, from the point before.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import MeanFieldError

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.theory.spectrum.slope_law import SlopeLaw

STEP = 0.08  # of t, at most
LEFT = 1e-10  # of the mass: the curve is followed until no more is below
MOST = 4000  # points
SETTLED = 1e-12


class UnequalLayers:
    """The law of s²/E s² in logarithms, for groups of layers with a law each."""

    def __init__(self, laws: list[tuple[SlopeLaw, int]], gaussian: bool) -> None:
        self.laws = laws
        self.counts = np.array([count for _, count in laws], dtype=float)
        self.gaussian = float(gaussian)

    # ---- the map -----------------------------------------------------------------------------------------------------

    def _transforms(self, zeta: Any) -> Array:
        """Rows of `kernels.transforms_at` for each layer at its log ζ."""
        from meanfield.theory.spectrum.kernels import transforms_at

        rows = np.empty((len(self.laws), 9))
        for i, (law, _) in enumerate(self.laws):
            transforms_at(zeta[i : i + 1].real.copy(), zeta[i : i + 1].imag.copy(), law.packed, rows[i : i + 1])
        return rows

    def _solve(self, u: complex, zeta: Any, target: float | None) -> tuple[complex, Any, Array] | None:
        """u = log m and log ζ_l with log z = target, by Newton's method; with no target at this u. None where it does not settle."""
        last = math.inf
        for _ in range(40):
            rows = self._transforms(zeta)
            m, s = rows[:, 0] + 1j * rows[:, 1], rows[:, 6] + 1j * rows[:, 7]
            # log M_l(ζ + δ) = log M_l − (s/m) δ
            gap = u - np.log(m)
            gap = gap.real + 1j * (np.mod(gap.imag + math.pi, 2.0 * math.pi) - math.pi)
            speed = -m / s  # ∂log ζ_l/∂log m
            step_u = 0.0 + 0.0j
            value, slope = self._level(u, zeta + speed * gap, speed)
            if target is not None:
                step_u = (target - value) / slope
            change = speed * (gap + step_u)
            size = max(abs(step_u), float(np.max(np.abs(change))))
            if not math.isfinite(size):
                return None
            limit = min(1.0, 0.5 / size) if size > 0.5 else 1.0
            u, zeta = u + limit * step_u, zeta + limit * change
            if not (-math.pi < u.imag <= 1e-12) or np.any(zeta.imag < -1e-12) or np.any(zeta.imag >= math.pi):
                return None
            if size < SETTLED or (size < 1e-9 and size > 0.25 * last):
                return u, zeta, self._transforms(zeta)
            last = size
        return None

    def _level(self, u: complex, zeta: Any, speed: Any) -> tuple[complex, complex]:
        """log z and ∂log z/∂log m."""
        m = np.exp(u)
        over = np.log1p(m) if abs(m) < 0.5 else np.log(1.0 + m)
        if over.imag > 1.0:
            over -= 2j * math.pi
        total = float(self.counts.sum())
        value = over - u + np.sum(self.counts * zeta) + total * (u - (1.0 - self.gaussian) * over)
        slope = -1.0 / (1.0 + m) + np.sum(self.counts * speed) + total * (1.0 + self.gaussian * m) / (1.0 + m)
        return complex(value), complex(slope)

    # ---- the upper edge ----------------------------------------------------------------------------------------------

    def _on_axis(self, u: float) -> tuple[float, float, Array]:
        """log z, its slope and log ζ_l at real m = e^u, where each ζ_l lies beyond the support of d."""
        from scipy.optimize import brentq

        from meanfield.theory.spectrum.kernels import on_the_axis

        found, row = np.empty(len(self.laws)), np.empty((1, 4))
        for i, (law, _) in enumerate(self.laws):
            top = float(law.supports[-1, 1])

            def excess(v: float, law: SlopeLaw = law, top: float = top) -> float:
                on_the_axis(np.array([top + top * math.exp(v)]), 1.0, 0.0, law.packed, row)
                return math.log(row[0, 2]) - u

            low, high = -34.0, max(60.0, 10.0 - u)
            v = low if excess(low) < 0.0 else float(brentq(excess, low, high, xtol=1e-13, maxiter=1000))
            found[i] = math.log(top) + math.log1p(math.exp(v))
        zeta = found.astype(complex)
        rows = self._transforms(zeta)
        value, slope = self._level(complex(u), zeta, -(rows[:, 0] / rows[:, 6]).astype(complex))
        return value.real, slope.real, found

    @cached_property
    def _edge(self) -> tuple[float, float, Array, float]:
        """u = log m, log λ, log ζ_l and ∂²log z/∂u² at the upper edge."""
        from scipy.optimize import brentq

        low, high = -60.0, 30.0
        u = high if self._on_axis(high)[1] < 0.0 else float(brentq(lambda at: self._on_axis(at)[1], low, high, xtol=1e-12, maxiter=1000))
        level, _, zeta = self._on_axis(u)
        step = 1e-3
        second = (self._on_axis(u + step)[1] - self._on_axis(u - step)[1]) / (2.0 * step)
        return u, level, zeta, second

    # ---- the curve ---------------------------------------------------------------------------------------------------

    @cached_property
    def _curve(self) -> tuple[Array, Array, Array, Array, Array]:
        """log z ascending, log m, log ζ_l, density and mass above."""
        u_e, top, zeta_e, second = self._edge
        rows = self._transforms(zeta_e.astype(complex))
        speed = -(rows[:, 0] / rows[:, 6])
        points: list[tuple[float, complex, Any, float, float]] = [(top, complex(u_e), zeta_e.astype(complex), 0.0, 0.0)]
        everything = 1.0 - max(law.zero_mass for law, _ in self.laws)
        t, step = 0.0, 0.5 * STEP
        while len(points) < MOST:
            after = t + step
            if t == 0.0:  # log z = top + ½ second (u − u_e)²
                du = -1j * math.sqrt(2.0 * after * after / second)
                guess = u_e + du, zeta_e + speed * du
            else:
                _, u, zeta, *_ = points[-1]
                rows = self._transforms(zeta)
                speed_here = -(rows[:, 0] + 1j * rows[:, 1]) / (rows[:, 6] + 1j * rows[:, 7])
                du = (t * t - after * after) / self._level(u, zeta, speed_here)[1]
                guess = u + du, zeta + speed_here * du
            found = self._solve(complex(guess[0]), guess[1], top - after * after)
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
            if everything - above < LEFT:
                break
            t, step = after, min(1.3 * step, max(STEP, 0.03 * after))
        self.reached = points[-1][4]
        columns = list(zip(*points[::-1], strict=True))
        return tuple(np.array(c) for c in columns)  # type: ignore[return-value]

    def _read(self, found: tuple[complex, Any, Array]) -> tuple[float, float]:
        """−Im m/π and the mass above, Im G/π with G = Σ_l {E log(1 − d/ζ_l) + log(1 + m) + g(m − log(1 + m))} − log(1 + m)."""
        u, _, rows = found
        m = np.exp(u)
        over = math.atan2(m.imag, 1.0 + m.real)
        layers = float(np.sum(self.counts * (rows[:, 8] + over + self.gaussian * (m.imag - over))))
        return float(-m.imag / math.pi), (layers - over) / math.pi

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """(log λ, mass): the rank that is lost, and with orthogonal weights what is left of atoms in every layer."""
        zero = max(law.zero_mass for law, _ in self.laws)
        found = [(-math.inf, zero)] if zero > 0.0 else []
        if not self.gaussian and all(law.atoms.size for law, _ in self.laws):
            best = [int(np.argmax(law.masses * (law.atoms > 0.0))) for law, _ in self.laws]
            left = 1.0 - sum(count * (1.0 - float(law.masses[i])) for (law, count), i in zip(self.laws, best, strict=True))
            if left > 0.0:
                found.append((sum(count * math.log(law.atoms[i]) for (law, count), i in zip(self.laws, best, strict=True)), left))
        return tuple(found)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """One band: gaps between unequal layers are not looked for."""
        endless = self.gaussian or any(law.reaches_zero for law, _ in self.laws)
        return ((-math.inf if endless else float(self._curve[0][0]), self._edge[1]),)

    def _at(self, level: float) -> tuple[float, float]:
        levels, u, zeta, density, above = self._curve
        if level >= levels[-1]:
            return 0.0, 0.0
        if level <= levels[0]:
            if self.reached < 1.0 - max(law.zero_mass for law, _ in self.laws) - 1e-6:
                raise MeanFieldError(
                    f"the curve of unequal layers could be followed down to log s^2 = {levels[0]:.6g} (relative to its mean) only, with "
                    f"{self.reached:.6g} of the mass above; give one q for all layers"
                )
            return 0.0, 1.0 - max(law.zero_mass for law, _ in self.laws)
        i = int(np.searchsorted(levels, level))
        for j in (i, i - 1, min(i + 1, levels.size - 1)):
            if j == levels.size - 1:  # the edge itself: from its square root
                u_e, top, zeta_e, second = self._edge
                rows = self._transforms(zeta_e.astype(complex))
                du = -1j * math.sqrt(2.0 * (top - level) / second)
                found = self._solve(u_e + du, zeta_e - rows[:, 0] / rows[:, 6] * du, level)
            else:
                found = self._solve(complex(u[j]), zeta[j], level)
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
        everything = 1.0 - max(law.zero_mass for law, _ in self.laws)
        result = np.empty(p.shape)
        for index in np.ndindex(p.shape):
            wanted = 1.0 - float(p[index])
            if wanted >= everything and everything < 1.0:
                result[index] = -math.inf
            elif wanted <= 0.0:
                result[index] = levels[-1]
            elif wanted >= above[0]:
                self._at(float(levels[0]) - 1.0)  # says so where the curve ended early
                result[index] = levels[0]
            else:
                i = int(np.searchsorted(-above, -wanted))
                low, high = float(levels[i - 1]), float(levels[i])
                result[index] = brentq(lambda level, wanted=wanted: self._at(level)[1] - wanted, low, high, xtol=1e-12, maxiter=1000)
        return result

    def top_edge(self) -> tuple[float, float] | None:
        """s and K as `EqualLayers.top_edge`, by the first layer's ζ: −Im m = m √(2τ/K_u), K_u = ∂²log z/∂u²."""
        u, _, _, second = self._edge
        return math.exp(u), second


def mean_log_of(laws: list[tuple[SlopeLaw, int]], gaussian: bool) -> float:
    """E[log(s²/E s²); s > 0]: −∫ log S over m from −(1 − p₀) to 0, p₀ the largest P(d = 0) of all layers.

    ∫ log(−z) dm; a layer with less rank lost than another is integrated numerically.
    """
    zero = max(law.zero_mass for law, _ in laws)
    a = 1.0 - zero
    p_log_p = zero * math.log(zero) if zero > 0.0 else 0.0
    over = -p_log_p - a  # ∫ log(1 + m)
    entropy = -p_log_p - (a * math.log(a) if a < 1.0 else 0.0)  # ∫ log((1 + m)/(−m))
    total, layers = 0.0, 0
    for law, count in laws:
        layers += count
        own = law.mean_log if law.zero_mass == zero else _integral_of_log(law, a)
        total += count * (own + float(gaussian) * over)
    return total - (layers - 1) * entropy


def _integral_of_log(law: SlopeLaw, a: float) -> float:
    """∫ log(−ζ(m)) dm over −a < m < 0."""
    from scipy.integrate import quad

    everything_log = law.mean_log  # over −(1 − p) < m < 0, p this law's own P(d = 0)
    if law.constant:
        return everything_log  # not reached: a constant law loses no rank, and its ζ is (1 + m)/m

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
