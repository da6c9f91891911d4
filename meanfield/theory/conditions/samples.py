"""φ and φ' on one symmetric grid of x, and the moments on one grid of q: looked at by all conditions."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import AccuracyWarning, MeanFieldError
from meanfield.expectation.moments import DEFICIT, EXCESS, MEAN, Q_DV, V1, MomentTable, V, moment_table
from meanfield.expectation.rule import build_rule
from meanfield.solve.scan import PER_OCTAVE, octave_grid
from meanfield.theory.conditions.closer_look import NOTHING, CloserLook, missed, sums, unresolved

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

MISSED = 0.01  # relative error of a sum over fine samples, and the difference from it that shows that the moments miss something
COMPARED = (-4, 16)  # log₂ q at which that is tried
BESIDE = 50  # breakpoints that are looked at from near
DISTANCES = np.concatenate([-np.exp2(np.arange(-24.0, -4.0)), np.exp2(np.arange(-24.0, -4.0))])
FINE, COARSE = 32, 4  # points for each factor of two of |x|: where φ lives, and far out
INNER, OUTER = (-20, 40), (-60, 200)  # log₂|x|
LOWEST, HIGHEST = -32, 20  # log₂ q
LOWEST_FAINT, FAINT = -60, 1e-4  # the same, and |φ(0)|, where that is small but not 0
STEP = 4  # octaves
MOST = 20_000  # nodes of one octave: beyond, φ oscillates all the way and each octave costs twice the last
ENOUGH = 30  # log₂|x| up to which φ must be known, for its tails to be read off
SMALLEST, LARGEST = 1e-60, 1e30  # V of ordinary size: below, φ is 0 but for masses far out
REACH, SAMPLES = 24.0123, 480  # standard deviations on both sides; neither 0 nor other round numbers are among the samples
OUTSIDE = 1e-12  # of the integrand's height, at the ends
FLOOR = 5e-14  # of V: what the series of the moments leave unresolved


@dataclass(frozen=True)
class Samples:
    """φ(±x) and φ'(±x) at ascending x > 0; the grid ends where φ can't be evaluated."""

    x: Array
    right: Array
    left: Array
    right_slope: Array
    left_slope: Array
    undefined: str  # why the grid ends early, or ""

    @property
    def square(self) -> Array:
        """g(x) = φ(x)² + φ(−x)²: V[φ](q) = ½E[g(√q|Z|)]."""
        with np.errstate(over="ignore"):
            result: Array = self.right**2 + self.left**2
        return result

    @property
    def square_slope(self) -> Array:
        """x g'(x)/2 = x (φ(x)φ'(x) − φ(−x)φ'(−x)); q dV/dq = ½E[√q|Z| g'(√q|Z|)/2] for continuous φ."""
        with np.errstate(over="ignore", invalid="ignore"):
            result: Array = self.x * (self.right * self.right_slope - self.left * self.left_slope)
        return result


@dataclass(frozen=True)
class Moments:
    """The columns of the moment table at ascending q, up to where V is infinite.

    `noise[column]` is what the sign of that column must exceed to count.
    """

    table: MomentTable
    q: Array
    values: dict[int, Array]
    noise: dict[int, Array]
    infinite: str  # why V is infinite from some q on, or ""
    unknown: str  # why it can't be known at any q, or ""
    unresolved: str = ""  # why it may be wrong, or ""

    def __getitem__(self, column: int) -> Array:
        return self.values[column]


def grid() -> Array:
    """The |x| that are looked at."""
    parts = [
        np.exp2(np.arange(OUTER[0] * COARSE, INNER[0] * COARSE) / COARSE),
        np.exp2(np.arange(INNER[0] * FINE, INNER[1] * FINE) / FINE),
        np.exp2(np.arange(INNER[1] * COARSE, OUTER[1] * COARSE + 1) / COARSE),
    ]
    result: Array = np.concatenate(parts)
    return result


def sample(act: Activation, closer: CloserLook = NOTHING) -> Samples:
    """φ and φ' on the grid, beside the breakpoints, and where a closer look has found something."""
    beside = np.multiply.outer([b.location for b in act.breakpoints[:BESIDE]], 1.0 + DISTANCES).ravel()
    x = np.unique(np.concatenate([grid(), np.abs(beside), closer.points]))
    x = x[x > 0.0]
    x = x[~np.isin(x, np.abs([b.location for b in act.breakpoints]))]  # there φ' may be infinite or not defined
    undefined = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        for top in (OUTER[1], 60, 30, 12, 6, 3):
            kept = x[x <= 2.0**top]
            try:
                columns = [act.values(np.ascontiguousarray(s * kept), k) for k in (0, 1) for s in (1.0, -1.0)]
            except MeanFieldError as error:
                undefined = str(error)
                continue
            return Samples(kept, columns[0], columns[1], columns[2], columns[3], undefined if top < ENOUGH else "")
    nothing = np.empty(0)
    return Samples(nothing, nothing, nothing, nothing, nothing, undefined)


def moments(act: Activation, closer: CloserLook = NOTHING) -> Moments:
    """The moments on 8 points for each octave of q in [2⁻³², 2²⁰], as far as V is finite and φ does not oscillate too fast."""
    table = moment_table(act)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        reach = (_bottom(act), HIGHEST) if math.isfinite(float(table(V1, np.ones(1))[0])) else (-8, 8)
        lowest, highest, infinite, unknown = _range(act, *reach)
        try:
            affordable = _affordable(table, lowest, highest)
            if affordable == lowest < highest and math.isfinite(float(table(V, np.ones(1))[0])):
                unknown = f"{act.name} oscillates so fast beside 0 that one E[φ(√q Z)²] takes more than {MOST} values"
            highest = affordable
            q = octave_grid(2.0**lowest, 2.0**highest) if lowest < highest else np.empty(0)
            q[-1:] *= 1.0 - 2.0**-30  # inside the last octave: its end belongs to the next, and would build that
            values, relative = _columns(table, q)
        except MeanFieldError as error:  # at some x of a quadrature rule φ can't be evaluated
            values, relative = _columns(table, np.empty(0))
            unknown = str(error)
    q = q[: values[V].size] if values[V].size else np.empty(0)
    noise = {}
    for column, value in values.items():
        size = np.where(np.isfinite(value), np.abs(value), 0.0) + (np.sqrt(values[V]) if column == MEAN else 0.0)
        if column in (Q_DV, DEFICIT, EXCESS):
            size = size + values[V]
        noise[column] = (10.0 * relative[column] + FLOOR) * size
    found = Moments(table, q, values, noise, infinite, unknown)
    return _with_missed(act, found, closer) if q.size else found


def _with_missed(act: Activation, found: Moments, closer: CloserLook) -> Moments:
    """The same with V and its slope mended where the quadrature has stepped over a part of φ; to a percent, and with a word about it."""
    values, noise, q = dict(found.values), dict(found.noise), found.q
    hidden = unresolved(found.table, closer)
    if hidden:
        middle, width = hidden[0]
        why = f"{act.name} has a feature of width {width:.2g} at x = {middle:.6g}, which the moments don't resolve"
        value, slope = missed(act, hidden, q)
        values[V], values[Q_DV] = values[V] + value, values[Q_DV] + slope
        noise[Q_DV] = noise[Q_DV] + MISSED * np.abs(slope)
        return replace(found, values=values, noise=noise, unresolved=why)
    if not np.all(np.abs(closer.y) < LARGEST):
        return found
    inside = (q >= 2.0 ** COMPARED[0]) & (q <= 2.0 ** COMPARED[1])
    few = np.flatnonzero(inside)[:: 2 * PER_OCTAVE]
    if not closer.x.size or not few.size or np.all(np.abs(sums(closer, q[few])[0] - values[V][few]) <= MISSED * values[V][few]):
        return found
    at = np.flatnonzero(inside)
    value, slope = sums(closer, q[at])
    values[V], values[Q_DV], noise[Q_DV] = values[V].copy(), values[Q_DV].copy(), noise[Q_DV].copy()
    values[V][at], values[Q_DV][at], noise[Q_DV][at] = value, slope, MISSED * value
    return replace(found, values=values, noise=noise, unresolved=f"the moments of {act.name} miss a part of it that fine samples show")


def _bottom(act: Activation) -> int:
    """log₂ of the smallest q: lower where φ(0) is so small that q − V/V[φ'] shows it only there."""
    try:
        size = abs(float(act.values(np.zeros(1), 0)[0]))
    except MeanFieldError:
        return LOWEST
    return LOWEST_FAINT if 0.0 < size < FAINT else LOWEST


def _columns(table: MomentTable, q: Array) -> tuple[dict[int, Array], dict[int, Array]]:
    """All columns at q as far as V is finite, and their relative errors."""
    finite = np.isfinite(table(V, q))
    if not finite.all():
        q = q[: int(np.argmin(finite))]
    values = {column: table(column, q) for column in (V, V1, Q_DV, DEFICIT, EXCESS, MEAN)}
    relative = {column: np.zeros(q.size) for column in values}
    octaves = np.frexp(q)[1] - 1
    for e in np.unique(octaves):
        for column in values:
            relative[column][octaves == e] = table.error(column, math.ldexp(1.0, int(e)))[0]
    return values, relative


def _range(act: Activation, bottom: int, top: int) -> tuple[int, int, str, str]:
    """log₂ of the smallest and largest q to look at: where V is a number of ordinary size, and why it is not beyond, or can't be known.

    By a few samples of the Gaussian at each q; to build tables only to find that they overflow would take seconds.
    """
    z = np.linspace(-REACH, REACH, SAMPLES)
    density = np.exp(-0.5 * z * z)
    lowest = None
    for e in range(bottom, top + 1):
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                integrand = act.values(math.sqrt(2.0**e) * z, 0) ** 2 * density
        except MeanFieldError as error:
            return (e if lowest is None else lowest), e - 1, "", f"E[φ(√q Z)²] can't be looked at from q = {2.0**e:.3g} on: {error}"
        size = float(np.sum(integrand)) * 2 * REACH / SAMPLES / math.sqrt(2 * math.pi)
        # The table shares a rule among STEP octaves: begin with the first of them, and where φ has some mass.
        if lowest is None and (size <= SMALLEST or e % STEP):
            continue
        if not size < LARGEST or max(integrand[0], integrand[-1]) > OUTSIDE * np.max(integrand):
            why = f"E[φ(√q Z)²] is infinite or overflows, or nearly so, from q = {2.0**e:.3g} on"
            # None of the octaves that share a rule may reach the overflow.
            return (e if lowest is None else lowest), (e - 1) // STEP * STEP, why, ""
        lowest = e if lowest is None else lowest
    return (top, top, "", "E[φ(√q Z)²] is 0 as far as can be seen") if lowest is None else (lowest, top, "", "")


def _affordable(table: MomentTable, lowest: int, highest: int) -> int:
    """log₂ of the largest q that takes no more than MOST nodes: less than asked for where φ oscillates all the way."""
    for e in range(lowest, highest, STEP):
        if build_rule(table.partition, 2.0**e, 2.0 ** (e + 1)).x.size > MOST:
            return e
    return highest


def clear_sign(value: Array, noise: Array) -> Array:
    """The sign where it exceeds the noise, else 0."""
    with np.errstate(invalid="ignore"):
        result: Array = np.where(np.abs(value) > noise, np.sign(value), 0.0)
    return result
