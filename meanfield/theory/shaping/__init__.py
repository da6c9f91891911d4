"""Activation shaping: (α, β, γ, δ) with which φ̂(x) = γ(φ(αx + β) + δ) suits a depth at σ_w = 1, σ_b = 0.

Lives here: the equations of DKS and TAT, where their solutions are looked for, leaky ReLUs, the maximal functions of a network.
Not here: the moments of φ(αZ + β) (meanfield.expectation) and what a shaped activation is (meanfield.activations).
"""

from __future__ import annotations

from meanfield.theory.shaping.shape import shape_activation

__all__ = ["shape_activation"]
