"""The two equations in (α, β) that are left of DKS and TAT once γ and δ are eliminated, and Newton's method for them.

With ψ(Z) = φ(αZ + β), e its part beyond the linear one, X = E ψ'² − Var ψ and K = Cov(ψ, ψ'') (`meanfield.expectation.shifted`):

    DKS   δ = −E ψ, γ² = 1/Var ψ:    C'(1) − 1 = X/Var ψ = ζ_L − 1,         Q'(1) − 1 = (X + K)/Var ψ = 0
    TAT   γ² = 1/E ψ'², δ + E ψ = m = ±√X:    C''(1) = E ψ''²/E ψ'² = τ_L,  Q'(1) − 1 = (K + m E ψ'')/E ψ'² = 0

Both are solved divided by their small target, t = ζ_L − 1 or τ_L, so that a residual is relative to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.activations.shaped import Shape
from meanfield.errors import ActivationError
from meanfield.expectation.shifted import DEEPEST, ShiftedMoments, fourth_moments, hidden, shifted_moments

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

ROUNDS = 30  # of Newton's method
DIFFERENCE = 1e-6  # of log α, and of β in units of α: the Jacobian comes out to 1e-6, and each round gains six digits
CLOSE = 1e-12  # residual, relative to the target, that counts as solved; rounds go on while they gain
WORST = 1e-9  # with which a solution is handed on: where φ or its derivatives are no better than that
LOST = 1e7  # γ|E ψ|: with more φ̂ itself, evaluated in double precision, is not good to 1e-9


@dataclass(frozen=True)
class Equations:
    """Two equations in (α, β).

    Attributes
    ----------
    name : "dks" or "tat"
    target : t = ζ_L − 1 of DKS, τ_L of TAT
    sign : of δ + E ψ, for TAT
    """

    name: str
    target: float
    sign: float = 0.0

    def size(self, m: ShiftedMoments) -> Array:
        """C'(1) − 1 (DKS) or C''(1) (TAT)."""
        return m.excess / m.variance if self.name == "dks" else m.bends / m.slopes

    def balance(self, m: ShiftedMoments) -> Array:
        """Q'(1) − 1."""
        if self.name == "dks":
            return (m.excess + m.coupling) / m.variance
        return (m.coupling + self.sign * np.sqrt(np.maximum(m.excess, 0.0)) * m.bend) / m.slopes

    def residuals(self, m: ShiftedMoments) -> Array:
        """Both, relative to the target: shape (2, n)."""
        with np.errstate(all="ignore"):
            return np.array([self.size(m) / self.target - 1.0, self.balance(m) / self.target])

    def outer(self, m: ShiftedMoments) -> tuple[float, float]:
        """γ and δ at the first pair."""
        if self.name == "dks":
            return 1.0 / math.sqrt(float(m.variance[0])), -float(m.mean[0])
        return 1.0 / math.sqrt(float(m.slopes[0])), self.sign * math.sqrt(max(float(m.excess[0]), 0.0)) - float(m.mean[0])

    def reached(self, m: ShiftedMoments) -> dict[str, float]:
        """What φ̂ has where the method asks."""
        gamma, delta = self.outer(m)
        mean = float(m.mean[0]) + delta  # E(ψ + δ): exactly 0 in DKS
        q = gamma**2 * (mean**2 + float(m.variance[0]))
        found = {"Q(1)": q, "Q'(1)": 1.0 + float(self.balance(m)[0])}
        if self.name == "dks":
            return {**found, "C(0)": gamma**2 * mean**2 / q, "C'(1)": 1.0 + float(self.size(m)[0])}
        return {**found, "C'(1)": gamma**2 * float(m.slopes[0]) / q, "C''(1)": float(self.size(m)[0])}


def solved(act: Activation, equations: Equations, alpha: float, beta: float, scale: float) -> Shape | None:
    """Newton's method in (log α, β) from a start; None where it finds nothing."""
    try:
        return _solved(act, equations, alpha, beta, scale)
    except ActivationError:  # the search went where φ can't be evaluated
        return None


def _solved(act: Activation, equations: Equations, alpha: float, beta: float, scale: float) -> Shape | None:
    curvature = equations.name == "tat"
    for level in range(DEEPEST + 1):
        point = _newton(act, equations, alpha, beta, scale, level)
        if point is None:
            return None
        alpha, beta = point
        # The verdict is that of a finer rule than the one solved with.
        fine = shifted_moments(act, np.array([alpha]), np.array([beta]), level + 1, curvature)
        residual = float(np.max(np.abs(equations.residuals(fine))))
        if residual <= CLOSE:
            break
    if not residual <= WORST:
        return None
    extra = hidden(act, alpha, beta)
    if extra.size:  # something narrow: what was solved is not φ's
        fine = shifted_moments(act, np.array([alpha]), np.array([beta]), 1, curvature, extra)
        residual = float(np.max(np.abs(equations.residuals(fine))))
        if not residual <= WORST:
            return None
    gamma, delta = equations.outer(fine)
    if not gamma * abs(float(fine.mean[0])) <= LOST:
        return None
    fourth, curvature_of_q = fourth_moments(act, alpha, beta, gamma, delta, level + 1)
    reached = equations.reached(fine)
    return Shape(gamma, alpha, beta, delta, residual, reached, fourth_moment=fourth, variance_curvature=curvature_of_q)


def _newton(act: Activation, equations: Equations, alpha: float, beta: float, scale: float, level: int) -> tuple[float, float] | None:
    curvature = equations.name == "tat"
    best, where, stalled = math.inf, (alpha, beta), 0
    for _ in range(ROUNDS):
        shift = DIFFERENCE * alpha
        a = np.array([alpha, alpha * math.exp(DIFFERENCE), alpha])
        b = np.array([beta, beta, beta + shift])
        r = equations.residuals(shifted_moments(act, a, b, level, curvature))
        if not np.isfinite(r).all():
            break
        size = float(np.max(np.abs(r[:, 0])))
        stalled = 0 if size < 0.5 * best else stalled + 1
        if size < best:
            best, where = size, (alpha, beta)
        if best <= 0.1 * CLOSE or stalled > (1 if best <= WORST else 3):
            break
        (p, q), (u, v) = ((r[:, 1] - r[:, 0]) / DIFFERENCE), ((r[:, 2] - r[:, 0]) / shift)
        determinant = p * v - u * q
        if determinant == 0.0:
            break
        step = (-(v * r[0, 0] - u * r[1, 0]) / determinant, -(p * r[1, 0] - q * r[0, 0]) / determinant)
        damping = max(1.0, abs(step[0]) / 0.7, abs(step[1]) / max(alpha, 0.25 * scale))
        alpha *= math.exp(step[0] / damping)
        beta += float(step[1] / damping)
        if not (1e-12 * scale < alpha < 1e4 * scale and abs(beta) < 1e6 * scale):
            break
    return where if best <= 1e-3 else None
