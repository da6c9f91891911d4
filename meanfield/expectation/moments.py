"""One-input moments of φ as functions of q: exact at quadrature nodes, piecewise polynomial in between.

One octave of q is one Chebyshev series of 20 coefficients, or a few where the moments change fast (a mass that lies
many standard deviations out). Octaves are built when first asked for, and kept with the activation.
"""

from __future__ import annotations

import math
import threading
import weakref
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.panels import Partition
from meanfield.expectation.rule import Rule, build_rule

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Integers

TERMS = 20
MOST_CUTS = 5  # an octave is cut into at most 2⁵ pieces; past that each q is integrated on its own
SERIES_TOLERANCE = 2e-14
SMALLEST, LARGEST = 1e-290, 1e290  # variances the tables serve
SQRT_2PI = math.sqrt(2 * math.pi)

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
    """One octave of q: monomial coefficients of shape (columns, pieces, TERMS), or why there are none."""

    coefficients: Array | None
    infinite: tuple[str, ...]  # per column: the reason why it is infinite, or ""
    error: Array  # per column, relative (to √V·… where the column can vanish)


@lru_cache(maxsize=1)
def _chebyshev() -> tuple[Array, Array, Array]:
    """Nodes, the matrix from values to Chebyshev coefficients, and that from those to monomials.

    Two steps: one pre-multiplied matrix would lose three digits.
    """
    k = np.arange(TERMS)
    angle = (2 * k + 1) * np.pi / (2 * TERMS)
    to_series = 2.0 / TERMS * np.cos(np.outer(k, angle))
    to_series[0] *= 0.5
    to_monomials = np.zeros((TERMS, TERMS))
    for i in range(TERMS):
        to_monomials[: i + 1, i] = np.polynomial.chebyshev.cheb2poly([0.0] * i + [1.0])
    return np.cos(angle), to_series, to_monomials


def gaussian_weights(rule: Rule, q: Array) -> Array:
    """Weights of ∫ N(x; 0, q) dx, shape (len(q), nodes)."""
    x2 = rule.x * rule.x
    result: Array = np.exp(np.multiply.outer(-0.5 / q, x2)) * (rule.weights / SQRT_2PI)
    result /= np.sqrt(q)[:, None]
    return result


class MomentTable:
    """The moments of one activation for orders (0, 1) or (2,), octave by octave."""

    def __init__(self, activation: Activation, orders: tuple[int, ...]) -> None:
        self.partition = Partition(activation, orders)
        self.columns = COLUMNS if orders == (0, 1) else 1
        self._jumps = [(b.location, b.value_jump) for b in activation.breakpoints if b.value_jump != 0.0]
        kinks = [b for b in activation.breakpoints if b.slope_jump != 0.0 or b.value_jump != 0.0]
        # φ⁽ᵏ⁾ carries a delta when φ⁽ᵏ⁻¹⁾ jumps, and the square of a delta has no finite mean.
        self._delta = ""
        if orders == (2,) and kinks:
            self._delta = f"φ' of {activation.name} jumps at x = {kinks[0].location:.6g}, so φ'' holds a delta there"
        elif orders == (0, 1) and self._jumps:
            self._delta = f"φ of {activation.name} jumps at x = {self._jumps[0][0]:.6g}, so φ' holds a delta there"
        self._squares_jump = self._jump_of_squares(activation)
        self._octaves: dict[int, Octave] = {}
        self._lock = threading.RLock()
        self._packed: tuple[int, Integers, Integers, Integers, Array] | None = None

    @property
    def has_jumps(self) -> bool:
        """Whether φ itself jumps, so that E[φ'²] is infinite at every q."""
        return bool(self._jumps)

    @staticmethod
    def _jump_of_squares(activation: Activation) -> list[tuple[float, float]]:
        """(t, φ²(t+) − φ²(t−)) at the jumps of φ."""
        return [
            (b.location, activation.one_sided(b.location, +1, 0) ** 2 - activation.one_sided(b.location, -1, 0) ** 2)
            for b in activation.breakpoints
            if b.value_jump != 0.0
        ]

    # ---- exact values at given q ------------------------------------------------------------------------------------

    def integrate(self, rule: Rule, q: Array, slope: float | None = None) -> tuple[Array, Array]:
        """All columns at the given q by quadrature: values and error estimates, shape (columns, len(q))."""
        if rule.x.size == 0:
            zero = np.zeros((self.columns, q.size))
            return zero, zero
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            if self.columns == 1:
                return self._integrate_columns(rule, q, [rule.values[0] ** 2], [np.abs(rule.values[0]) * rule.tail[0]], half=True)
            phi, dphi = rule.values
            x = rule.x
            product = phi * dphi
            # E[x] = 0: without its mean, φφ' leaves no cancellation in E[φφ'x] where φ(0) ≠ 0 and q is small.
            centre = float(gaussian_weights(rule, q[:1])[0] @ product)
            plain = [phi**2, dphi**2, (product - (centre if math.isfinite(centre) else 0.0)) * x, phi]
            errors = [
                np.abs(phi) * rule.tail[0],
                np.abs(dphi) * rule.tail[1],
                0.5 * np.abs(x) * (np.abs(phi) * rule.tail[1] + np.abs(dphi) * rule.tail[0]),
                0.5 * rule.tail[0],
            ]
            values, error = self._integrate_columns(rule, q, plain, errors)
            if slope is None:
                slope = self.mean_slope(rule, float(np.sqrt(q[0] * q[-1])))
            rho, drho = phi - slope * x, dphi - slope
            weights = gaussian_weights(rule, q)
            # Both differences as columns for q⁰ and q¹.
            parts = np.stack([-(rho**2), drho**2, x * drho * (slope * x + rho), -slope * drho - drho**2], axis=1)
            sums = (weights @ parts).T
            deficit = sums[0] + q * sums[1]
            excess = sums[2] + q * sums[3]
            # What all nodes agree to be rounding is 0: ReLU-like φ, whose two parts are equal at every q.
            if np.all(np.abs(deficit) <= 1e-13 * (q * sums[1] - sums[0]) + 1e-31 * q * values[1]):
                deficit = np.zeros_like(deficit)
            if np.all(np.abs(excess) <= 1e-13 * (np.abs(sums[2]) + np.abs(q * sums[3])) + 1e-31 * q * values[1]):
                excess = np.zeros_like(excess)
            density = np.array(
                [[t * jump * math.exp(-t * t / (2 * v)) / math.sqrt(2 * math.pi * v) for t, jump in self._squares_jump] for v in q]
            )
            # ½∫φ² ∂²p = E[φφ'x]/q + ½ Σ (φ²(t+) − φ²(t−)) t p(t)/q over the jumps of φ
            values[2] += 0.5 * density.sum(axis=1) if self._squares_jump else 0.0
            scale = error[0] + q * error[1] + error[2]
            return (
                np.stack([values[0], values[1], values[2], deficit, excess, values[3]]),
                np.stack([error[0], error[1], error[2], scale, scale, error[3]]),
            )

    def _integrate_columns(
        self, rule: Rule, q: Array, columns: list[Array], errors: list[Array], half: bool = False
    ) -> tuple[Array, Array]:
        weights = gaussian_weights(rule, q)
        stacked = np.stack(columns + errors, axis=1)
        if np.all(np.abs(stacked) < 1e140):
            sums = (weights @ stacked).T
        else:  # φ² may overflow where its product with the Gaussian does not: split the Gaussian in two
            root = np.sqrt(weights)
            sums = np.zeros((stacked.shape[1], q.size))
            phi = rule.values[0]
            pairs = (
                [(phi, phi)]
                if half
                else [(phi, phi), (rule.values[1], rule.values[1]), (phi, rule.values[1] * rule.x), (phi, np.ones_like(phi))]
            )
            for i, (left, right) in enumerate(pairs):
                sums[i] = np.sum((root * left) * (root * right), axis=1)
        count = len(columns)
        return sums[:count], 2 * sums[count:]

    def mean_slope(self, rule: Rule, q: float) -> float:
        """λ = E[φ'] = E[xφ]/q."""
        weights = gaussian_weights(rule, np.array([q]))[0]
        total = float(weights @ (rule.x * rule.values[0])) / q
        return total if math.isfinite(total) else 0.0

    def direct(self, q: float) -> tuple[Array, Array, tuple[str, ...]]:
        """Columns, error estimates and reasons at one q, without the table."""
        rule = build_rule(self.partition, q, q)
        values, error = self.integrate(rule, np.array([q]))
        reasons = self._reasons(rule)
        result = values[:, 0].copy()
        for column, reason in enumerate(reasons):
            if reason:
                result[column] = math.inf
        return result, error[:, 0], reasons

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
            # One pass over φ for everything that the new octaves will ask for first.
            cores = tuple({min(e // 2 - 3, -4) for e in wanted} | {min(math.floor(e / 2) - 3, -4) for e in wanted})
            self.partition.ensure(range(min(cores), math.ceil(0.5 * (max(wanted) + 1) + math.log2(10.0))), cores)
            for e in wanted:
                self._octaves[e] = self._build(e)
            self._packed = None

    def _build(self, octave: int) -> Octave:
        low, high = math.ldexp(1.0, octave), math.ldexp(1.0, octave + 1)
        rule = build_rule(self.partition, low, high)
        infinite = self._reasons(rule)
        if any(infinite) and self._reasons(build_rule(self.partition, low, low)) != infinite:
            return Octave(None, ("",) * self.columns, np.zeros(self.columns))  # it diverges from some q inside the octave on
        nodes, to_series, to_monomials = _chebyshev()
        with np.errstate(over="ignore", invalid="ignore"):
            slope = self.mean_slope(rule, 1.5 * low) if self.columns > 1 and rule.x.size else 0.0
        for cut in range(MOST_CUTS + 1):
            pieces = 1 << cut
            start = low * (1.0 + np.arange(pieces) / pieces)
            q = (start[:, None] + low / pieces * 0.5 * (1.0 + nodes)).ravel()
            values, error = self.integrate(rule, q, slope)
            values[[bool(r) for r in infinite]] = 1.0
            shaped = values.reshape(self.columns, pieces, TERMS)
            if not np.isfinite(shaped).all():
                break  # overflow inside the octave: each q is decided on its own
            series = shaped @ to_series.T
            size = np.abs(shaped)
            scale = np.min(size, axis=2)  # V, V1, V2 > 0: relative at every q
            if self.columns > 1:
                for column in (Q_DV, DEFICIT, EXCESS):
                    scale[column] = np.max(size[column], axis=1) + np.min(size[V], axis=1)
                scale[MEAN] = np.sqrt(np.min(size[V], axis=1))
            tail = np.max(np.abs(series[:, :, -2:]), axis=2)
            if np.all(tail <= SERIES_TOLERANCE * scale):
                with np.errstate(divide="ignore", invalid="ignore"):
                    relative = np.where(scale > 0, (np.max(error.reshape(shaped.shape), axis=2) + tail) / scale, 0.0)
                return Octave(series @ to_monomials.T, infinite, np.max(relative, axis=1))
        return Octave(None, infinite, np.zeros(self.columns))

    def packed(self, column: int) -> tuple[int, Integers, Integers, Integers, Array]:
        """Arrays for the kernel: first octave, state, first row, pieces, coefficients (rows × TERMS)."""
        from meanfield.expectation.kernels import DIRECT, INFINITE, MISSING, READY

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
            packed = self._packed
        return packed[0], packed[1][column], packed[2], packed[3], packed[4][column]

    def __call__(self, column: int, q: Array) -> Array:
        """A column at an array of q in (0, ∞), any shape."""
        from meanfield.expectation.kernels import evaluate_octaves

        flat = np.ascontiguousarray(q, dtype=float).ravel()
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
                out[i] = self.direct(float(flat[i]))[0][column]
        return out.reshape(q.shape)

    def error(self, column: int, q: float) -> tuple[float, str]:
        """The relative error estimate of a column near q, and the reason where it is infinite."""
        e = math.frexp(q)[1] - 1
        self.ensure(e, e)
        octave = self._octaves[e]
        if octave.infinite[column]:
            return 0.0, octave.infinite[column]
        if octave.coefficients is not None:
            return float(octave.error[column]), ""
        values, error, reasons = self.direct(q)
        if reasons[column] or not math.isfinite(values[column]):
            return 0.0, reasons[column] or "the expectation overflows"
        return float(error[column] / (abs(values[column]) or 1.0)), ""


_tables: weakref.WeakKeyDictionary[Activation, dict[tuple[int, ...], MomentTable]] = weakref.WeakKeyDictionary()
_tables_lock = threading.Lock()


def moment_table(activation: Activation, orders: tuple[int, ...] = (0, 1)) -> MomentTable:
    """The table that belongs to an activation; kept for as long as the activation lives."""
    with _tables_lock:
        held = _tables.setdefault(activation, {})
        if orders not in held:
            held[orders] = MomentTable(activation, orders)
        return held[orders]
