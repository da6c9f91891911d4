"""A skip and a branch: skip·x + scale·branch(x)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meanfield.layers.arguments import number
from meanfield.layers.cotangent import Cotangents, added, at_output, common, scaled, total
from meanfield.layers.law import GAUSSIAN, Unknown
from meanfield.layers.layer import Affine, Layer, MisplacedLayer, Step
from meanfield.layers.normalise import with_means
from meanfield.layers.sequence import Sequence
from meanfield.layers.state import Part, State, centred, combined, sum_of_tangents


@dataclass(frozen=True, init=False)
class Residual(Layer):
    """skip·x + scale·branch(x).

    Parameters
    ----------
    *branch : layers
        One after the other; the branch must have weights somewhere.
    scale, skip : float
        In [−1e100, 1e100].

    Notes
    -----
    With a branch F that ends in weights: K ↦ skip² K + scale² F, and gradients skip² + scale² χ_F. Where weights come earlier
    (x + φ(W x)) the means' product 2·skip·scale·m·m_F is added, and the sum is not Gaussian.

    References
    ----------
    Yang & Schoenholz (2017); Hayou et al. (2021).

    Examples
    --------
    >>> from meanfield import layers as L
    >>> print(L.Residual("relu", L.Dense(2**0.5), scale=0.5))
    Residual(relu >> Dense(σ_w=1.41421, σ_b=0), scale=0.5)
    """

    branch: Sequence
    scale: float
    skip: float

    def __init__(self, *branch: Any, scale: float = 1.0, skip: float = 1.0) -> None:
        object.__setattr__(self, "branch", Sequence(*branch))
        object.__setattr__(self, "scale", number("scale", scale, -1e100, 1e100))
        object.__setattr__(self, "skip", number("skip", skip, -1e100, 1e100))
        if not self.branch.mixes:
            raise MisplacedLayer("its branch has no weights: write the sum as one activation", self)
        if self.branch.changes_width:
            raise MisplacedLayer("its branch ends in a concatenation or a maxout, so that the widths of the two sides differ", self)

    @property
    def inside(self) -> tuple[Layer, ...]:
        return self.branch.layers

    def apply(self, state: State) -> Step:
        try:
            step = self.branch.apply(state)
        except MisplacedLayer as error:
            raise error if error.place else error.inside(1) from None
        branch = step.state.whole
        parts = tuple(self._sum(part, branch) for part in state.parts)

        def pull(cotangents: Cotangents) -> Cotangents:
            whole = total(cotangents)
            through = step.pull(scaled(at_output(step.state, common(cotangents)), whole))
            return added(scaled(cotangents, self.skip**2), scaled(through, self.scale**2))

        return Step(State(parts), pull)

    def _sum(self, part: Part, branch: Part) -> Part:
        a, b = self.skip, self.scale
        tangent = None
        if part.tangent is not None and branch.tangent is not None:
            tangent = sum_of_tangents([a * a * part.tangent, b * b * branch.tangent])
        if branch.law == GAUSSIAN or not (np.any(branch.mean1) or np.any(branch.mean2)):
            q1, q2, epsilon = combined([a * a, b * b], [part, branch])
            law = GAUSSIAN if part.law == GAUSSIAN and branch.law == GAUSSIAN else Unknown("a sum that is not Gaussian")
            return Part(part.share, q1, q2, epsilon, a * part.mean1, a * part.mean2, law, tangent)
        mean1, mean2 = a * part.mean1 + b * branch.mean1, a * part.mean2 + b * branch.mean2
        inner1, inner2, loss = combined([a * a, b * b], [centred(part), centred(branch)])
        rest = replace(part, q1=inner1, q2=inner2, epsilon=loss)
        q1, q2, epsilon = with_means(rest, mean1, mean2)
        return Part(part.share, q1, q2, epsilon, mean1, mean2, Unknown("a sum whose branch ends in no weights"), tangent)

    def affine(self) -> Affine | None:
        inner = self.branch.affine()
        if inner is None:
            return None
        a, b = self.skip**2, self.scale**2
        return Affine(a + b * inner.a, b * inner.b, b * inner.w, inner.mu, inner.activation)

    def __str__(self) -> str:
        more = "".join(f", {name}={value:g}" for name, value in (("scale", self.scale), ("skip", self.skip)) if value != 1.0)
        return f"Residual({self.branch}{more})"
