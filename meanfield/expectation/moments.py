"""One-input moments of φ as functions of q: exact at quadrature nodes, piecewise polynomial in between.

One octave of q is one Chebyshev series of 20 coefficients, or a few where the moments change fast (a mass that lies
many standard deviations out). Octaves are built when first asked for, and kept with the activation.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from meanfield.activations.kept import Kept
from meanfield.errors import DomainError
from meanfield.expectation.octaves import without_kernels
from meanfield.expectation.panels import Partition
from meanfield.expectation.poles import INTEGRABLE, not_square_integrable, strongest_pole
from meanfield.expectation.rule import Rule, build_rule

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Integers, Mask

    Form: TypeAlias = Callable[[Rule, Array, Array], tuple[Array, Array]]  # of a rule, the variances and the weights there

NODES = 20  # where an octave, or a piece of one, is sampled, and terms of the series that must have decayed
PARTS, TERMS = 8, 12  # short series that it is kept as: on an eighth of its length 12 terms lose less than rounding does
# Octaves that share one quadrature rule: always the same, so that no number depends on what was asked for before. Where an
# oscillating φ is dear each octave stands alone: where the outermost shell of the group's first octave takes many panels.
GROUP, FEW_PANELS = 8, 24
# Resolved in one pass with the first octave: what most questions come to.
SHELLS, CORES = range(-22, 5), (-22, -15, -11, -7, -4)
SQUARINGS = 2  # a Gaussian of q/4 is that of q squared twice: 4 units of rounding
DIRECTS_HELD = 1024  # values of q that no table serves, with their columns
MOST_CUTS = 5  # an octave is cut into at most 2⁵ pieces; past that each q is integrated on its own
MOST_WEIGHTS = 20_000_000  # of one matrix (160 MB): with more nodes an octave is not cut
SERIES_TOLERANCE = 2e-14
LONG = 32_768  # nodes of a rule; longer ones are summed in parts
LARGE = 1e60  # of |φ⁽ᵏ⁾|: squares and products of more are summed with care
SMALLEST, LARGEST = 1e-290, 1e290  # variances the tables serve
SQRT_2PI = math.sqrt(2 * math.pi)

READY, MISSING, DIRECT, INFINITE = 0, 1, 2, 3  # the state of one octave of q, for the kernels

# Columns of the table of orders (0, 1). With λ = E[φ'] on the octave and ρ = φ − λx, Stein's identity E[xρ] = q E[ρ']
# takes the linear part out of the two differences below before they are formed, so they keep their relative accuracy
# where φ is nearly linear (small q).
V, V1, Q_DV, DEFICIT, EXCESS, MEAN = range(6)
#   V        E[φ²]
#   V1       E[φ'²]
#   Q_DV     q dV/dq = ½E[φ²(Z² − 1)]
#   DEFICIT  q E[φ'²] − E[φ²]           = E[qρ'² − ρ²]                      (σ_b² on the edge of chaos is DEFICIT/V1)
#   EXCESS   q dV/dq − q E[φ'²]         = E[λ(x² − q)ρ' + ρρ'x − qρ'²]      (F' − 1 on the edge of chaos is EXCESS/(qV1))
#   MEAN     E[φ]
COLUMNS = 6


@dataclass(frozen=True)
class Octave:
    """One octave of q: monomial coefficients of shape (columns, pieces · PARTS, TERMS), or why there are none."""

    coefficients: Array | None
    infinite: tuple[str, ...]  # per column: the reason why it is infinite, or ""
    error: Array  # per column, relative (to √V·… where the column can vanish)


@lru_cache(maxsize=1)
def _chebyshev() -> tuple[Array, Array]:
    """Nodes, and the matrix from values there to Chebyshev coefficients."""
    k = np.arange(NODES)
    angle = (2 * k + 1) * np.pi / (2 * NODES)
    to_series = 2.0 / NODES * np.cos(np.outer(k, angle))
    to_series[0] *= 0.5
    return np.cos(angle), to_series


@lru_cache(maxsize=1)
def _to_parts() -> tuple[Array, Array]:
    """From Chebyshev coefficients to the first of those on each part, (PARTS, TERMS, NODES), and from those to monomials.

    Two steps: one pre-multiplied matrix would lose digits.
    """
    nodes, to_series = _chebyshev()
    parts = np.empty((PARTS, TERMS, NODES))
    for part in range(PARTS):
        t = (nodes + 2 * part + 1 - PARTS) / PARTS
        parts[part] = (to_series @ np.polynomial.chebyshev.chebvander(t, NODES - 1))[:TERMS]
    to_monomials = np.zeros((TERMS, TERMS))
    for i in range(TERMS):
        to_monomials[: i + 1, i] = np.polynomial.chebyshev.cheb2poly([0.0] * i + [1.0])
    return parts, to_monomials


def gaussian_weights(rule: Rule, q: Array) -> Array:
    """Weights of ∫ N(x; 0, q) dx, shape (len(q), nodes)."""
    x2 = rule.x * rule.x
    result: Array = np.exp(np.multiply.outer(-0.5 / q, x2)) * (rule.weights / SQRT_2PI)
    result /= np.sqrt(q)[:, None]
    return result


def _fourth_roots(rule: Rule, q: Array) -> Array:
    """The fourth roots of `gaussian_weights`, which underflow only where φ² overflows twice over."""
    result: Array = np.exp(np.multiply.outer(-0.125 / q, rule.x * rule.x))
    result *= (rule.weights / SQRT_2PI) ** 0.25
    result *= (q**-0.125)[:, None]
    return result


def _octave_weights(rule: Rule, q: Array) -> Array:
    """gaussian_weights for q of shape (octaves, TERMS), each row twice the one before: most exponentials by squaring."""
    exponent = -0.5 * rule.x * rule.x
    result = np.empty((*q.shape, rule.x.size))
    for i in range(len(q) - 1, -1, -1):
        if (len(q) - 1 - i) % (SQUARINGS + 1) == 0:
            np.exp(np.multiply.outer(1.0 / q[i], exponent, out=result[i]), out=result[i])
        else:
            np.multiply(result[i + 1], result[i + 1], out=result[i])
    result *= rule.weights / SQRT_2PI
    result /= np.sqrt(q)[:, :, None]
    return result.reshape(q.size, rule.x.size)


def _product(weights: Array, columns: Array) -> Array:
    """weights @ columns in blocks so small that no BLAS starts threads for them.

    Threads would cost more than they save here, and the sums would depend on their number.
    """
    rows, inner = 20, 1024
    out = np.zeros((weights.shape[0], columns.shape[1]))
    for i in range(0, weights.shape[0], rows):
        for j in range(0, columns.shape[0], inner):
            out[i : i + rows] += weights[i : i + rows, j : j + inner] @ columns[j : j + inner]
    return out


class MomentTable:
    """The moments of one activation for orders (0, 1) or (2,), octave by octave."""

    def __init__(self, activation: Activation, orders: tuple[int, ...]) -> None:
        self.partition = Partition(activation, orders)
        self.columns = COLUMNS if orders == (0, 1) else 1
        self._jumps = [b.location for b in activation.breakpoints if b.value_jump != 0.0]
        self._poles = [b.location for b in activation.breakpoints if math.isinf(b.value_jump)]
        kinks = [b for b in activation.breakpoints if b.slope_jump != 0.0 or b.value_jump != 0.0]
        # φ⁽ᵏ⁾ carries a delta when φ⁽ᵏ⁻¹⁾ jumps, and the square of a delta has no finite mean.
        # Beside a pole φ' is not even integrable.
        self._delta = ""
        if self._poles:
            nearest = min(self._poles, key=abs)
            self._delta = f"{activation.name} is infinite at x = {nearest:.6g}, and E[φ'²] diverges there"
        elif orders == (2,) and kinks:
            self._delta = f"φ' of {activation.name} jumps at x = {kinks[0].location:.6g}, so φ'' holds a delta there"
        elif orders == (0, 1) and self._jumps:
            self._delta = f"φ of {activation.name} jumps at x = {self._jumps[0]:.6g}, so φ' holds a delta there"
        else:
            order = max(orders)
            singular = not_square_integrable(activation, order)
            if singular is not None:
                self._delta = f"(φ{chr(39) * order})² of {activation.name} is not integrable at x = {singular:.6g}"
        # Why every column is infinite at every q.
        strength, where = strongest_pole(activation) if self._poles else (0.0, 0.0)
        self._divergent = ""
        if 2 * strength > INTEGRABLE:
            self._divergent = f"{activation.name} has a pole at x = {where:.6g}, where E[φ²] diverges"
        elif orders == (2,):
            self._divergent = self._delta
        self._squares_jump = self._jump_of_squares(activation)
        self._octaves: dict[int, Octave] = {}
        self._cheap: dict[int, bool] = {}  # whether a group is built together, by its first octave
        self._directs: dict[float, tuple[Array, Array, tuple[str, ...]]] = {}
        self.asked = 0  # questions answered
        self._lock = threading.RLock()
        self._packed: tuple[int, Integers, Integers, Integers, Array] | None = None
        self._by_column: list[tuple[int, Integers, Integers, Integers, Array]] = []
        self._rows: dict[tuple[int, int], tuple[float, ...]] = {}  # of one piece, for questions about one q
        self._accurate: dict[tuple[int, int], float] = {}  # estimates of whole octaves

    @property
    def has_jumps(self) -> bool:
        """Whether φ itself jumps or has a pole, so that E[φ'²] is infinite at every q."""
        return bool(self._jumps)

    @property
    def steep(self) -> str:
        """Why E[φ'²] is infinite at every q > 0, however small; or ""."""
        return self._delta if self.columns > 1 else ""

    @staticmethod
    def _jump_of_squares(activation: Activation) -> tuple[Array, Array]:
        """The t where φ jumps, poles left out, and φ²(t+) − φ²(t−) there."""
        at = np.array([b.location for b in activation.breakpoints if b.value_jump != 0.0 and math.isfinite(b.value_jump)])
        above, below = activation.limits(at, +1, 0), activation.limits(at, -1, 0)
        with np.errstate(over="ignore"):
            return at, (above - below) * (above + below)  # where the squares overflow this is inf, and no error

    # ---- exact values at given q ------------------------------------------------------------------------------------

    def integrate(self, rule: Rule, q: Array, slope: float | None = None, weights: Array | None = None) -> tuple[Array, Array]:
        """All columns at the given q by quadrature: values and error estimates, shape (columns, len(q)).

        slope is λ; that of the middle q where it is not given. weights are the Gaussian's at every q, if made before.
        """
        if rule.x.size == 0:
            zero = np.zeros((self.columns, q.size))
            return zero, zero
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            if self.columns == 1:
                values, error = self._added(rule, q, weights, self._squares)
                return self._with_tails(rule, q, values, 2 * error)
            # E[x] = 0: without its mean, φφ' leaves no cancellation in E[φφ'x] where φ(0) ≠ 0 and q is small.
            first = gaussian_weights(rule, q[:1])[0] if weights is None else weights[0]
            centre = float(np.sum(first * (rule.values[0] * rule.values[1])))  # not by BLAS, whose threads cost more than they save here
            centre = centre if math.isfinite(centre) else 0.0
            if slope is None:
                middle = q.size // 2
                row = gaussian_weights(rule, q[middle : middle + 1])[0] if weights is None else weights[middle]
                slope = self.mean_slope(row, rule, float(q[middle]))

            def form(part: Rule, q: Array, mass: Array) -> tuple[Array, Array]:
                return self._columns(part, q, mass, centre, slope)

            values, error = self._added(rule, q, weights, form)
            v, v1, q_dv, mean, *sums = values
            # Where φ is so large that its differences can't be summed as columns, digits lost to them are not the concern.
            plain = np.isnan(sums[0])
            deficit = np.where(plain, q * v1 - v, sums[0] + q * sums[1])
            excess = np.where(plain, q_dv - q * v1, sums[2] + q * sums[3])
            # What all nodes agree to be rounding is 0: ReLU-like φ, whose two parts are equal at every q.
            if np.all(np.abs(deficit) <= 1e-13 * (q * sums[1] - sums[0]) + 1e-31 * q * v1):
                deficit = np.zeros_like(deficit)
            if np.all(np.abs(excess) <= 1e-13 * (np.abs(sums[2]) + np.abs(q * sums[3])) + 1e-31 * q * v1):
                excess = np.zeros_like(excess)
            # ½∫φ² ∂²p = E[φφ'x]/q + ½ Σ (φ²(t+) − φ²(t−)) t p(t)/q over the jumps of φ
            t, jump = self._squares_jump
            if t.size:
                q_dv = q_dv + np.sum(np.exp(np.multiply.outer(-0.5 / q, t * t)) * (0.5 * t * jump), axis=1) / np.sqrt(2 * math.pi * q)
            if self._poles:  # φφ' is not integrable there: E[φ²(Z² − 1)]/2 itself, as far as φ² is
                plain_square, far_square = sums[4:]
                q_dv = 0.5 * (far_square / q - plain_square)
            near, far, cross, other, mean_error = 2 * error
            scale = near + q * far + cross + other
            columns = np.stack([v, v1, q_dv, deficit, excess, mean])
            return self._with_tails(rule, q, columns, np.stack([near, far, cross + other, scale, scale, mean_error]))

    def _with_tails(self, rule: Rule, q: Array, values: Array, error: Array) -> tuple[Array, Array]:
        """The columns and their errors with what lies beyond the x at which φ overflows."""
        for tail in rule.beyond:
            variance = float(q[0])
            x, mass, off, slope, second = tail.masses(variance, 2)
            steep = slope * slope
            half = 0.5 * (x * x / variance - 1.0) if self._poles else slope * x  # what the rule adds up on the other side of `start`
            factors = [np.ones_like(x), steep, half, variance * steep - 1.0, half - variance * steep] if self.columns > 1 else [second**2]
            tails = [(float(np.sum(mass * f)), float(np.sum(off * np.abs(f)))) for f in factors]
            if self.columns > 1:
                _, mass, off, *_ = tail.masses(variance, 1)
                tails.append((tail.sign * float(np.sum(mass)), float(np.sum(off))))
            more, doubt = np.array(tails).T
            values, error = values + more[:, None], error + doubt[:, None]
        return values, error

    @staticmethod
    def _added(
        rule: Rule, q: Array, weights: Array | None, form: Callable[[Rule, Array, Array], tuple[Array, Array]]
    ) -> tuple[Array, Array]:
        """What `form` makes of the rule and its weights; of parts of a long rule, added, so that their weights stay in the cache."""
        if weights is not None or rule.x.size <= LONG:
            return form(rule, q, gaussian_weights(rule, q) if weights is None else weights)
        found = []
        for start in range(0, rule.x.size, LONG):
            part = rule.part(slice(start, start + LONG))
            found.append(form(part, q, gaussian_weights(part, q)))
        return np.sum([f[0] for f in found], axis=0), np.sum([f[1] for f in found], axis=0)

    def _squares(self, rule: Rule, q: Array, weights: Array) -> tuple[Array, Array]:
        """E[φ''²] and its error."""
        values = rule.values[0]
        pairs = [(np.abs(values) + 0.5 * rule.tail[0], rule.tail[0])]
        return self._sums(rule, q, weights, [values**2])[:1], self._errors(rule, q, weights, pairs)

    def _columns(self, rule: Rule, q: Array, weights: Array, centre: float, slope: float) -> tuple[Array, Array]:
        """Sums of the columns V, V1, Q_DV, MEAN, of both differences for q⁰ and q¹, of two more beside poles; and errors."""
        phi, dphi = rule.values
        x = rule.x
        rho, drho = phi - slope * x, dphi - slope
        columns = [phi**2, dphi**2, (phi * dphi - centre) * x, phi]
        columns += [-(rho**2), drho**2, x * drho * (slope * x + rho), -slope * drho - drho**2]
        sums = self._sums(rule, q, weights, columns)
        if self._poles:
            sums = np.concatenate([sums, (weights @ np.stack([phi**2, (phi * x) ** 2], axis=1)).T])
        size, slope_size, half = np.abs(phi), np.abs(dphi), 0.5 * np.abs(x)
        pairs = [
            (size + 0.5 * rule.tail[0], rule.tail[0]),
            (slope_size + 0.5 * rule.tail[1], rule.tail[1]),
            (size, half * rule.tail[1]),
            (slope_size, half * rule.tail[0]),
            (np.full_like(x, 0.5), rule.tail[0]),
        ]
        return sums, self._errors(rule, q, weights, pairs)

    def _sums(self, rule: Rule, q: Array, weights: Array, columns: list[Array]) -> Array:
        """Integrals of the columns, shape (columns, len(q)); nan for the fifth on where φ is too large for them."""
        stacked = np.stack(columns, axis=1)
        if np.max(np.abs(stacked)) < LARGE**2:
            return _product(weights, stacked).T
        # φ² may overflow where its product with the Gaussian does not, or the Gaussian underflow: split it.
        root = _fourth_roots(rule, q)
        scaled = [root * part * root for part in rule.values]  # φ⁽ᵏ⁾ √weight
        products = [scaled[0] * scaled[0]]
        if len(columns) > 1:
            products += [scaled[1] * scaled[1], scaled[0] * scaled[1] * rule.x, scaled[0] * root * root]
        sums = np.full((len(columns), weights.shape[0]), math.nan)
        for i, product in enumerate(products):
            sums[i] = np.sum(product, axis=1)
        return sums

    @staticmethod
    def _errors(rule: Rule, q: Array, weights: Array, pairs: list[tuple[Array, Array]]) -> Array:
        """Integrals of products |φ⁽ᵏ⁾| · error, the second of which is 0 for most φ."""
        out = np.zeros((len(pairs), weights.shape[0]))
        there = np.flatnonzero(np.any([tail > 0 for _, tail in pairs], axis=0))
        if there.size == 0:
            return out
        if there.size < weights.shape[1]:
            weights, pairs = weights[:, there], [(size[there], tail[there]) for size, tail in pairs]
        if max(float(np.max(column)) for pair in pairs for column in pair) < LARGE:
            return _product(weights, np.stack([size * tail for size, tail in pairs], axis=1)).T
        root = _fourth_roots(rule, q)[:, there]
        for i, (size, tail) in enumerate(pairs):  # the product may overflow where the Gaussian makes up for it
            out[i] = np.sum(((root * size) * root) * ((root * tail) * root), axis=1)
        return out

    @staticmethod
    def mean_slope(weights: Array, rule: Rule, q: float) -> float:
        """λ = E[φ'] = E[xφ]/q."""
        total = float(np.sum(weights * (rule.x * rule.values[0]))) / q
        return total if math.isfinite(total) else 0.0

    def direct(self, q: float) -> tuple[Array, Array, tuple[str, ...]]:
        """Columns, error estimates and reasons at one q, without the table."""
        if self._divergent:
            return np.full(self.columns, math.inf), np.zeros(self.columns), (self._divergent,) * self.columns
        rule = build_rule(self.partition, q, q)
        values, error = self.integrate(rule, np.array([q]))
        reasons = self._reasons(rule)
        result = values[:, 0].copy()
        for column, reason in enumerate(reasons):
            if reason:
                result[column] = math.inf
        return result, error[:, 0], reasons

    def _direct(self, q: float) -> tuple[Array, Array, tuple[str, ...]]:
        """`direct`, remembered for the next question, which is often about another column or the error at the same q."""
        with self._lock:
            if q not in self._directs:
                while len(self._directs) >= DIRECTS_HELD:
                    self._directs.pop(next(iter(self._directs)))
                self._directs[q] = self.direct(q)
            return self._directs[q]

    def _reasons(self, rule: Rule) -> tuple[str, ...]:
        if self.columns == 1:
            return (self._delta or rule.infinite[0],)
        value, slope = rule.infinite
        slope = self._delta or slope or value
        return (value, slope, value, slope, slope, value)

    # ---- the table --------------------------------------------------------------------------------------------------

    def ensure(self, lowest: int, highest: int) -> None:
        """Build the octaves lowest … highest that are missing."""
        with self._lock:
            wanted = [e for e in range(lowest, highest + 1) if e not in self._octaves]
            if not wanted:
                return
            if self._divergent:
                nothing = Octave(np.zeros((self.columns, 1, TERMS)), (self._divergent,) * self.columns, np.zeros(self.columns))
                self._octaves.update(dict.fromkeys(wanted, nothing))
                self._packed = None
                return
            # One pass over φ for everything that the new octaves will ask for first, and another where their groups ask for more.
            self._resolve((e,) for e in wanted)
            groups = dict.fromkeys(map(self._group_of, wanted))
            self._resolve(groups)
            for group in groups:
                found = self._build_group(group[0], len(group)) if len(group) > 1 else {}
                for e in group:
                    if e not in self._octaves:
                        self._octaves[e] = found.get(e) or self._build(e)
            self._packed = None

    def _resolve(self, groups: Iterable[tuple[int, ...]]) -> None:
        """Have the partition's shells and cores at hand that rules for these octaves begin with."""
        lowest, highest = zip(*((group[0], group[-1]) for group in groups), strict=True)
        cores = {min(math.floor(0.5 * e) - 3, -4) for e in lowest}
        outer = math.ceil(0.5 * (max(highest) + 1) + math.log2(10.0))
        if self.partition.activation.costly:
            self.partition.ensure(range(min(cores), outer), tuple(cores))
        else:
            cores.update(CORES)
            self.partition.ensure(range(min(*cores, SHELLS.start), max(outer, SHELLS.stop)), tuple(cores))

    def _group_of(self, octave: int) -> tuple[int, ...]:
        """The octaves that are built together with this one."""
        first = octave - octave % GROUP
        if first not in self._cheap:
            self._cheap[first] = self.partition.panels_in(first // 2 + 3) <= FEW_PANELS
        return tuple(range(first, first + GROUP)) if self._cheap[first] else (octave,)

    def _build_group(self, octave: int, count: int) -> dict[int, Octave]:
        """Octaves octave … octave + count − 1 by one rule; those that need more than one series are left out."""
        low = math.ldexp(1.0, octave)
        rule = build_rule(self.partition, low, math.ldexp(low, count))
        infinite = self._reasons(rule)
        if any(infinite) and infinite != self._delta_reasons():
            return {}
        if any(np.max(np.abs(v), initial=0.0) > LARGE for v in rule.values):
            return {}  # so steep that one rule is no longer good for all
        q = np.ldexp(low, np.arange(count))[:, None] * (0.5 * (3.0 + _chebyshev()[0]))
        with np.errstate(under="ignore"):
            weights = _octave_weights(rule, q) if rule.x.size else None
        values, error = self.integrate(rule, q.ravel(), None, weights)
        series, relative, decayed = self._series(values, error, infinite, count)
        return {
            octave + i: Octave(np.ascontiguousarray(series[:, PARTS * i : PARTS * (i + 1)]), infinite, relative[:, i])
            for i in range(count)
            if decayed[i]
        }

    def _delta_reasons(self) -> tuple[str, ...]:
        """The reasons of the columns that are infinite at every q because φ⁽ᵏ⁻¹⁾ jumps."""
        return (self._delta,) if self.columns == 1 else ("", self._delta, "", self._delta, self._delta, "")

    def _build(self, octave: int) -> Octave:
        low, high = math.ldexp(1.0, octave), math.ldexp(1.0, octave + 1)
        rule = build_rule(self.partition, low, high)
        infinite = self._reasons(rule)
        if any(infinite) and self._reasons(build_rule(self.partition, low, low)) != infinite:
            return Octave(None, ("",) * self.columns, np.zeros(self.columns))  # it diverges from some q inside the octave on
        nodes = _chebyshev()[0]
        slope = None
        if self.columns > 1 and rule.x.size:
            with np.errstate(over="ignore", invalid="ignore"):
                middle = np.array([1.5 * low])
                slope = self.mean_slope(gaussian_weights(rule, middle)[0], rule, 1.5 * low)
        for cut in range(MOST_CUTS + 1):
            pieces = 1 << cut
            if cut and pieces * NODES * rule.x.size > MOST_WEIGHTS:
                break
            start = low * (1.0 + np.arange(pieces) / pieces)
            q = (start[:, None] + low / pieces * 0.5 * (1.0 + nodes)).ravel()
            values, error = self.integrate(rule, q, slope)
            found = self._fitted(values, error, infinite, pieces)
            if found is not None:
                return found
            if not np.isfinite(values[[not reason for reason in infinite]]).all():
                break  # what overflows here does so in a smaller piece too
        return Octave(None, infinite, np.zeros(self.columns))

    def _fitted(self, values: Array, error: Array, infinite: tuple[str, ...], pieces: int) -> Octave | None:
        """The series through values at the Chebyshev nodes of each piece, or None where one has not decayed."""
        series, relative, decayed = self._series(values, error, infinite, pieces)
        return Octave(series, infinite, np.max(relative, axis=1)) if decayed.all() else None

    def _series(self, values: Array, error: Array, infinite: tuple[str, ...], pieces: int) -> tuple[Array, Array, Mask]:
        """Monomials (columns, pieces · PARTS, TERMS), relative errors (columns, pieces), and which pieces have decayed.

        A piece in which something overflows has not: each q is decided on its own there.
        """
        to_series = _chebyshev()[1]
        values = values.copy()
        values[[bool(r) for r in infinite]] = 1.0
        shaped = values.reshape(self.columns, pieces, NODES)
        decayed: Mask = np.asarray(np.isfinite(shaped).all(axis=(0, 2)))
        shaped = np.where(decayed[:, None], shaped, 0.0)
        series = shaped @ to_series.T
        size = np.abs(shaped)
        if self.columns > 1:
            smallest = np.min(size[V], axis=1, keepdims=True)
            for column in (Q_DV, DEFICIT, EXCESS):
                size[column] = np.max(size[column], axis=1, keepdims=True) + smallest
            size[MEAN] = np.sqrt(size[V])
        scale = np.min(size, axis=2)  # V, V1, V2 > 0: relative at every q
        tail = np.max(np.abs(series[:, :, -2:]), axis=2)
        error = error.reshape(shaped.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            quadrature = np.max(np.where(size > 0, error / size, error > 0), axis=2)  # of 0 all may be missed
            # A series need not be better than what it is made of.
            decayed = decayed & (tail <= (SERIES_TOLERANCE + quadrature) * scale).all(axis=0)
            relative = quadrature + np.where(scale > 0, tail / scale, 0.0)
        to_parts, to_monomials = _to_parts()
        parts = series @ to_parts.reshape(-1, NODES).T
        return parts.reshape(self.columns, pieces * PARTS, TERMS) @ to_monomials.T, relative, decayed

    def packed(self, column: int) -> tuple[int, Integers, Integers, Integers, Array]:
        """Arrays for the kernel: first octave, state, first row, pieces, coefficients (rows × TERMS)."""
        with self._lock:
            whole = self.snapshot()
            if not self._by_column:
                first, state, start, pieces, block = whole
                self._by_column = [(first, state[c], start, pieces, block[c]) for c in range(self.columns)]
            return self._by_column[column]

    def snapshot(self) -> tuple[int, Integers, Integers, Integers, Array]:
        """As `packed`, state and coefficients of all columns, of one moment: between two calls another thread may add octaves."""
        with self._lock:
            if self._packed is None:
                first, last = min(self._octaves), max(self._octaves)
                count = last - first + 1
                state = np.full((self.columns, count), MISSING, dtype=np.int64)
                start, pieces = np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64)
                rows: list[Array] = []
                total = 0
                for e, octave in sorted(self._octaves.items()):
                    i = e - first
                    state[:, i] = DIRECT if octave.coefficients is None else READY
                    for c, reason in enumerate(octave.infinite):
                        if reason:
                            state[c, i] = INFINITE
                    if octave.coefficients is not None:
                        start[i], pieces[i] = total, octave.coefficients.shape[1]
                        rows.append(octave.coefficients)
                        total += octave.coefficients.shape[1]
                block = np.concatenate(rows, axis=1) if rows else np.zeros((self.columns, 1, TERMS))
                self._packed = (first, state, start, pieces, np.ascontiguousarray(block))
                self._by_column = []
            return self._packed

    def __call__(self, column: int, q: Array) -> Array:
        """A column at an array of q in (0, ∞), any shape."""
        flat = np.ascontiguousarray(q, dtype=float).ravel()
        self.asked += 1
        if without_kernels(flat.size, self.asked):
            from meanfield.expectation.octaves import evaluate_octaves
        else:
            from meanfield.expectation.kernels import evaluate_octaves
        out = np.empty_like(flat)
        if flat.size == 0:
            return out.reshape(q.shape)
        if self._octaves:
            missed = evaluate_octaves(flat, *self.packed(column), out)
        else:
            missed = flat.size
            out[:] = math.nan
        if missed:
            todo = np.isnan(out)
            lowest, highest = float(flat[todo].min()), float(flat[todo].max())
            if not (lowest >= SMALLEST and highest <= LARGEST):
                bad = lowest if not lowest >= SMALLEST else highest
                raise DomainError(f"q = {bad!r} is out of range: the variance must lie in [{SMALLEST:g}, {LARGEST:g}]")
            for e in np.unique(np.frexp(flat[todo])[1] - 1):
                self.ensure(int(e), int(e))
            missed = evaluate_octaves(flat, *self.packed(column), out)
        if missed:
            for i in np.flatnonzero(np.isnan(out)):
                out[i] = self._direct(float(flat[i]))[0][column]
        return out.reshape(q.shape)

    def at(self, column: int, q: float) -> float:
        """A column at one q in [SMALLEST, LARGEST], with the bits that `__call__` gives it, in a few microseconds."""
        mantissa, exponent = math.frexp(q)
        octave = self._octaves.get(exponent - 1)
        if octave is None or octave.coefficients is None or octave.infinite[column]:
            return float(self(column, np.array([q]))[0])
        self.asked += 1
        count = octave.coefficients.shape[1]
        position = (2.0 * mantissa - 1.0) * count
        piece = min(int(position), count - 1)
        row = self._rows.get(key := (column, exponent * (PARTS << MOST_CUTS) + piece))
        if row is None:
            row = self._rows[key] = tuple(octave.coefficients[column, piece].tolist())
        t = 2.0 * (position - piece) - 1.0
        square = t * t
        even, odd = row[-2], row[-1]
        for k in range(TERMS - 4, -1, -2):  # as kernels.evaluate_octaves
            even = even * square + row[k]
            odd = odd * square + row[k + 1]
        result: float = even + t * odd
        return result

    def has_octave(self, q: float) -> bool:
        """Whether the octave of q is built, so that its error estimate is known."""
        return math.frexp(q)[1] - 1 in self._octaves

    def largest_error(self, column: int, low: float, high: float) -> float:
        """The largest error estimate of the octaves from low to high, as far as they are built; inf where one has no series."""
        worst = 0.0
        for e in range(math.frexp(low)[1] - 1, math.frexp(high)[1]):
            if (octave := self._octaves.get(e)) is not None:
                worst = max(worst, math.inf if octave.coefficients is None else self._octave_error(column, e))
        return worst

    def _octave_error(self, column: int, e: int) -> float:
        found = self._accurate.get((column, e))
        if found is None:
            found = self._accurate[column, e] = self.error(column, math.ldexp(1.5, e))[0]
        return found

    def worst_error(self, column: int, q: Array) -> float:
        """The largest relative error estimate of a column at an array of q: that of an octave, or of each q where no series serves."""
        octaves = np.frexp(q)[1] - 1
        lowest = int(octaves.min())
        worst = 0.0
        for e in (lowest + np.flatnonzero(np.bincount(octaves - lowest))).tolist():
            self.ensure(e, e)
            if self._octaves[e].coefficients is not None:
                worst = max(worst, self._octave_error(column, e))
                continue
            worst = max(worst, *(self.error(column, float(v))[0] for v in np.unique(q[octaves == e])[:DIRECTS_HELD]))
        return worst

    def error(self, column: int, q: float) -> tuple[float, str]:
        """The relative error estimate of a column near q, and the reason where it is infinite."""
        e = math.frexp(q)[1] - 1
        self.ensure(e, e)
        octave = self._octaves[e]
        if octave.infinite[column]:
            return 0.0, octave.infinite[column]
        if octave.coefficients is not None:
            return float(octave.error[column]), ""
        values, error, reasons = self._direct(q)
        if reasons[column] or not math.isfinite(values[column]):
            return 0.0, reasons[column] or "the expectation overflows"
        size = abs(float(values[column]))
        return float(error[column]) / size if size else float(error[column] > 0), ""


_tables: Kept[dict[tuple[int, ...], MomentTable]] = Kept("moment tables")
_tables_lock = threading.Lock()


def moment_table(activation: Activation, orders: tuple[int, ...] = (0, 1)) -> MomentTable:
    """The table that belongs to an activation; kept for as long as the activation lives."""
    with _tables_lock:
        held = _tables.setdefault(activation, {})
        if orders not in held:
            held[orders] = MomentTable(activation, orders)
        return held[orders]
