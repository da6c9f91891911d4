"""The two equations in (α, β) that are left of DKS and TAT once γ and δ are eliminated, and Newton's method for them.

With ψ(Z) = φ(αZ + β), e its part beyond the linear one, X = E ψ'² − Var ψ and K = Cov(ψ, ψ'') (`meanfield.expectation.shifted`):

    DKS   δ = −E ψ, γ² = 1/Var ψ:    C'(1) − 1 = X/Var ψ = ζ_L − 1,         Q'(1) − 1 = (X + K)/Var ψ = 0
    TAT   γ² = 1/E ψ'², δ + E ψ = m = ±√X:    C''(1) = E ψ''²/E ψ'² = τ_L,  Q'(1) − 1 = (K + m E ψ'')/E ψ'² = 0

Both are solved divided by their small target, t = ζ_L − 1 or τ_L, so that a residual is relative to it.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from meanfield.activations.shaped import Shape
from meanfield.errors import ActivationError
from meanfield.expectation.shifted import DEEPEST, ShiftedMoments, fourth_moments, hidden, moments_and_rates, shifted_moments, slope_noise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meanfield.activations import Activation
    from meanfield.arrays import Array, Mask

ROUNDS = 30  # of Newton's method
CLOSE = 1e-12  # residual, relative to the target, that counts as solved
WORST = 1e-9  # with which a solution is handed on: where φ or its derivatives are no better than that
FAR_ENOUGH = 2e-13  # with which a search by one rule ends
SURE = 1e-7  # from which one more step ends in rounding, where derivatives are exact
NEARLY = 1e-3  # residual by one rule with which a finer one goes on
NOISIEST = 1e-5  # residual that is handed on where the noise of numerical derivatives makes it
NEAR = 0.02  # of residual, log α and β/α: on the way to the same solution
SAME = 1e-7  # of log α and β/α: the same solution found twice
LOST = 1e7  # γ|E ψ|: with more φ̂ itself, evaluated in double precision, is not good to 1e-9


class Places(NamedTuple):
    """Pairs (α, β), arrays (n,), each with the sign of δ + E ψ that goes with it: 0 for DKS."""

    alpha: Array
    beta: Array
    sign: Array

    def at(self, which: Any) -> Places:
        """Some of them."""
        return Places(self.alpha[which], self.beta[which], self.sign[which])


@dataclass(frozen=True)
class Equations:
    """Two equations in (α, β).

    Attributes
    ----------
    name : "dks" or "tat"
    target : t = ζ_L − 1 of DKS, τ_L of TAT
    """

    name: str
    target: float

    @property
    def signs(self) -> tuple[float, ...]:
        """Of δ + E ψ."""
        return (0.0,) if self.name == "dks" else (1.0, -1.0)

    @property
    def curvature(self) -> bool:
        """Whether E ψ''² is asked for."""
        return self.name == "tat"

    def size(self, m: ShiftedMoments) -> Array:
        """C'(1) − 1 (DKS) or C''(1) (TAT)."""
        return m.excess / m.variance if self.name == "dks" else m.bends / m.slopes

    def balance(self, m: ShiftedMoments, sign: Array | float) -> Array:
        """Q'(1) − 1."""
        if self.name == "dks":
            return (m.excess + m.coupling) / m.variance
        return (m.coupling + sign * np.sqrt(np.maximum(m.excess, 0.0)) * m.bend) / m.slopes

    def residuals(self, m: ShiftedMoments, sign: Array) -> Array:
        """Both, relative to the target: shape (2, n)."""
        with np.errstate(all="ignore"):
            return np.array([self.size(m) / self.target - 1.0, self.balance(m, sign) / self.target])

    def slopes(self, m: ShiftedMoments, rates: ShiftedMoments, sign: Array) -> Array:
        """Derivatives of the residuals: shape (2 equations, 2 unknowns, n), from those of the moments, (2, n)."""
        with np.errstate(all="ignore"):
            if self.name == "dks":
                size = (rates.excess - self.size(m) * rates.variance) / m.variance
                balance = (rates.excess + rates.coupling - self.balance(m, sign) * rates.variance) / m.variance
            else:
                size = (rates.bends - self.size(m) * rates.slopes) / m.slopes
                root = np.sqrt(np.maximum(m.excess, 0.0))
                tilted = rates.coupling + sign * (root * rates.bend + 0.5 * rates.excess / root * m.bend)
                balance = (tilted - self.balance(m, sign) * rates.slopes) / m.slopes
            return np.array([size, balance]) / self.target

    def outer(self, m: ShiftedMoments, sign: Array) -> tuple[Array, Array]:
        """γ and δ."""
        with np.errstate(all="ignore"):
            if self.name == "dks":
                return 1.0 / np.sqrt(m.variance), -m.mean
            return 1.0 / np.sqrt(m.slopes), sign * np.sqrt(np.maximum(m.excess, 0.0)) - m.mean

    def reached(self, m: ShiftedMoments, sign: Array, index: int) -> dict[str, float]:
        """What φ̂ has where the method asks."""
        gamma, delta = (float(each[index]) for each in self.outer(m, sign))
        mean = float(m.mean[index]) + delta  # E(ψ + δ): exactly 0 in DKS
        q = gamma**2 * (mean**2 + float(m.variance[index]))
        found = {"Q(1)": q, "Q'(1)": 1.0 + float(self.balance(m, sign)[index])}
        if self.name == "dks":
            return {**found, "C(0)": gamma**2 * mean**2 / q, "C'(1)": 1.0 + float(self.size(m)[index])}
        return {**found, "C'(1)": gamma**2 * float(m.slopes[index]) / q, "C''(1)": float(self.size(m)[index])}


def solved(act: Activation, equations: Equations, starts: Places, scale: float, cuts: Array | None = None) -> list[Shape]:
    """Newton's method in (log α, β/α) from all starts side by side; the solutions, each once. `cuts`: of x, beside φ's breakpoints."""
    shapes: list[Shape] = []
    search = _Search(act, equations, scale, cuts, starts)
    widest = float(np.max(starts.alpha, initial=0.0)) / (8.0 * scale)
    # Where φ bends within a step, a coarser rule leads astray.
    first = 0 if cuts is not None or widest <= 1.0 else min(math.ceil(math.log2(widest)), 2)
    for level in range(first, DEEPEST + 1):
        search.improve(level)
        search.keep(search.best <= NEARLY)
        search.keep(_first_of_equals(search.places))
        if not search.best.size:
            break
        # The verdict is that of a finer rule than the one solved with.
        fine = _moments(act, search.places, level + 1, equations.curvature, cuts)[0]
        residual = np.max(np.abs(equations.residuals(fine, search.places.sign)), axis=0)
        noise = slope_noise(act, search.places.beta) / equations.target  # of a residual
        good = residual <= (np.maximum(CLOSE, 0.01 * noise) if level < DEEPEST else np.maximum(WORST, np.minimum(30.0 * noise, NOISIEST)))
        if good.any():
            part = ShiftedMoments(*(m[good] for m in fine))
            found = _shapes(act, equations, search.places.at(good), part, residual[good], level + 1, cuts)
            shapes += [shape for shape in found if not any(_same(shape, other) for other in shapes)]
        search.keep(~good)
    return shapes


def _same(a: Shape, b: Shape) -> bool:
    near = abs(math.log(a.input_scale / b.input_scale)) < SAME and abs(a.input_shift - b.input_shift) < SAME * a.input_scale
    return near and abs(a.output_shift - b.output_shift) < SAME * (1.0 + abs(a.output_shift))


def nearest(act: Activation, equations: Equations, starts: Places, scale: float) -> float:
    """The smallest residual that a search from the starts comes to, by a fine rule: 1e-3 and more where they mean nothing."""
    search = _Search(act, equations, scale, None, starts)
    search.improve(2)
    return float(np.min(search.best, initial=math.inf))


def _shapes(
    act: Activation, equations: Equations, found: Places, fine: ShiftedMoments, residual: Array, level: int, cuts: Array | None
) -> Iterator[Shape]:
    """What was found, without what turns out not to be φ's, or lost in double precision."""
    for index, extra in enumerate(hidden(act, found.alpha, found.beta)):
        if extra.size and cuts is None:  # something narrow: what was solved is not φ's
            here = found.at([index])
            try:
                again = shifted_moments(act, here.alpha, here.beta, 1, equations.curvature, extra)
            except ActivationError:  # at a point where φ'' is infinite, as that of |x|^1.4: nothing is confirmed
                residual[index] = math.inf
                continue
            residual[index] = float(np.max(np.abs(equations.residuals(again, here.sign))))
            for whole, part in zip(fine, again, strict=True):
                whole[index] = part[0]
    gamma, delta = equations.outer(fine, found.sign)
    noise = slope_noise(act, found.beta) / equations.target
    kept = (residual <= np.maximum(WORST, np.minimum(30.0 * noise, NOISIEST))) & (gamma * np.abs(fine.mean) <= LOST)
    fourth, curvature_of_q = fourth_moments(act, found.alpha, found.beta, gamma, delta, level, cuts)
    for i in np.flatnonzero(kept):
        yield Shape(
            output_scale=float(gamma[i]),
            input_scale=float(found.alpha[i]),
            input_shift=float(found.beta[i]),
            output_shift=float(delta[i]),
            residual=float(residual[i]),
            reached=equations.reached(fine, found.sign, int(i)),
            fourth_moment=float(fourth[i]),
            variance_curvature=float(curvature_of_q[i]),
        )


def _first_of_equals(found: Places, same: float = SAME) -> Mask:
    """Those to which no start before them led."""
    with np.errstate(all="ignore"):
        logs = np.log(found.alpha)
        near = np.abs(logs[:, None] - logs) < same
        near &= np.abs(found.beta[:, None] - found.beta) < same * found.alpha
        near &= found.sign[:, None] == found.sign
    first: Mask = ~np.tril(near, -1).any(axis=1)
    return first


def _moments(act: Activation, places: Places, level: int, curvature: bool, cuts: Array | None) -> tuple[ShiftedMoments, ShiftedMoments]:
    """With their derivatives by log α and by β/α; nan where φ can't be evaluated."""
    alpha, beta = places.alpha, places.beta
    try:
        return moments_and_rates(act, alpha, beta, level, curvature, cuts)
    except ActivationError:
        moments, rates = (ShiftedMoments(*np.full((len(ShiftedMoments._fields), *more, alpha.size), math.nan)) for more in ((), (2,)))
        for i in range(alpha.size):
            with contextlib.suppress(ActivationError):  # the search went where φ can't be evaluated
                one = moments_and_rates(act, alpha[i : i + 1], beta[i : i + 1], level, curvature, cuts)
                for found, part in zip((moments, rates), one, strict=True):
                    for into, value in zip(found, part, strict=True):
                        into[..., i] = value[..., 0]
        return moments, rates


class _Search:
    """Newton's method in (log α, β/α) from many places at once.

    Attributes
    ----------
    places : the best so far
    best : their residuals
    """

    def __init__(self, act: Activation, equations: Equations, scale: float, cuts: Array | None, starts: Places) -> None:
        self.act, self.equations, self.scale, self.cuts = act, equations, scale, cuts
        self.sure = 0.0 if act.costly else SURE
        self.places = starts
        self.best = np.full(starts.alpha.size, math.inf)

    def keep(self, which: Mask) -> None:
        """Go on with some of them."""
        self.places, self.best = self.places.at(which), self.best[which]

    def improve(self, level: int) -> None:
        """By the rule of one level, until all have come as far as they come."""
        alpha, beta, sign = (each.copy() for each in self.places)
        best = np.full(alpha.size, math.inf)
        reached = Places(alpha.copy(), beta.copy(), sign)
        stalled = np.zeros(alpha.size, dtype=np.intp)
        live, ended = np.arange(alpha.size), np.empty(0, dtype=np.intp)
        for _ in range(ROUNDS):
            # Two that are so close to each other end together, and no grid tells them apart: the better one goes on.
            order = np.concatenate([ended, live[np.argsort(best[live], kind="stable")]])
            one = _first_of_equals(Places(alpha[order], beta[order], sign[order]), NEAR)
            best[order[~one]] = math.inf
            live = order[ended.size :][one[ended.size :]]
            if not live.size:
                break
            here = Places(alpha[live], beta[live], sign[live])
            m, rates = _moments(self.act, here, level, self.equations.curvature, self.cuts)
            r = self.equations.residuals(m, here.sign)
            with np.errstate(all="ignore"):
                size = np.max(np.abs(r), axis=0)
                stalled[live] = np.where(size < 0.5 * best[live], 0, stalled[live] + 1)
                better = live[size < best[live]]
                best[better] = size[size < best[live]]
                reached.alpha[better], reached.beta[better] = alpha[better], beta[better]
                on = np.isfinite(size) & (best[live] > FAR_ENOUGH) & (stalled[live] <= np.where(best[live] <= WORST, 1, 3))
                sure = on & (size <= (self.sure if level < DEEPEST else 0.0))
                (p, u), (q, v) = self.equations.slopes(m, rates, here.sign)
                determinant = p * v - u * q
                step_a, step_b = -(v * r[0] - u * r[1]) / determinant, -(p * r[1] - q * r[0]) / determinant
                reach = np.maximum(1.0, 0.25 * self.scale / here.alpha)  # of a step in β/α
                damping = np.maximum(1.0, np.maximum(np.abs(step_a) / 0.7, np.abs(step_b) / reach))
                alpha[live], beta[live] = here.alpha * np.exp(step_a / damping), here.beta + here.alpha * (step_b / damping)
                on &= (alpha[live] > 1e-12 * self.scale) & (alpha[live] < 1e9 * self.scale) & (np.abs(beta[live]) < 1e10 * self.scale)
            # The error is squared by the last step; the verdict is another rule's.
            reached.alpha[live[sure]], reached.beta[live[sure]] = alpha[live[sure]], beta[live[sure]]
            live, ended = live[on & ~sure], np.concatenate([ended, live[sure]])
        self.places, self.best = reached, best
