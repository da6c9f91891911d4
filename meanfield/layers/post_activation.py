"""A sum followed by an activation, as in torchvision's residual blocks: no Gaussian is left, one unit's density is followed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.layers.cotangent import Along, Cotangent, Cotangents, at_output, common, scaled
from meanfield.layers.density import Density, gaussian, kernel, walked
from meanfield.layers.law import ByUnit, Function, Gaussian
from meanfield.layers.layer import Layer, MisplacedLayer, Step
from meanfield.layers.residual import Residual
from meanfield.layers.sequence import Sequence
from meanfield.layers.state import Part, State

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

PAIRS = 2**20
SEED = 20_150_901
WRONG = 1e-9  # probability that may be lost by a grid


@dataclass(frozen=True, init=False)
class PostActivation(Layer):
    """φ(skip·x + scale·branch(x)): the blocks of ResNet v1, with φ behind the sum.

    Parameters
    ----------
    *branch : layers
        One after the other; the last with weights.
    activation : str, callable or Activation
        φ.
    scale, skip : float
        In [−1e100, 1e100].

    Notes
    -----
    A unit's value is a random walk, z' = φ(skip z + G) with G ~ N(0, scale² F): for ReLU reflected at 0 (Lindley's recursion). Its density
    is followed on a grid: K11, means and the gradient, whose factors along the skip depend on each other through the unit's values, to 1e-9
    or better. K12 is that of 2²⁰ pairs of walks of one fixed seed: 1 − c has a relative standard error of 2·10⁻³ behind one He block,
    5·10⁻³ behind six. A Gaussian in place of the walk would be wrong by factors: six He blocks make K11 grow by 182, not by 1.5⁶ = 11.

    References
    ----------
    He et al. (2015) for the block; Lindley (1952) for the recursion.

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield import layers as L
    >>> he = 2**0.5
    >>> block = L.PostActivation(L.Dense(he), "relu", L.Dense(he))
    >>> t = mf.Network(L.Dense(he), "relu", L.Repeat(block, 6)).propagate()
    >>> print(f"{t.q1[-1] / t.q1[2]:.1f}")
    182.3
    """

    sum: Residual
    activation: Any

    def __init__(self, *branch: Any, activation: Any = "relu", scale: float = 1.0, skip: float = 1.0) -> None:
        object.__setattr__(self, "sum", Residual(*branch, scale=scale, skip=skip))
        object.__setattr__(self, "activation", find_activation(activation))

    @property
    def branch(self) -> Sequence:
        """The layers of the branch."""
        return self.sum.branch

    @property
    def inside(self) -> tuple[Layer, ...]:
        return self.branch.layers

    @property
    def mixes_inputs(self) -> bool:
        return True

    @property
    def is_costly(self) -> bool:
        return True

    def exactness(self) -> tuple[str, str]:
        errors = "to 0.2 % behind one block and 0.5 % behind six"
        return "simulated", f"variance and gradient by the density of one unit; 1 − c from {PAIRS:,} pairs of a fixed seed, {errors}"

    def apply(self, state: State) -> Step:
        if len(state.parts) > 1:
            raise MisplacedLayer("its input is of several kinds of units", self)
        (part,) = state.parts
        if part.tangent is not None:
            raise MisplacedLayer("the tangent kernel behind a sum and an activation is not known", self)
        if np.size(part.epsilon) != 1 or np.size(part.q1) != 1 or np.size(part.q2) != 1:
            raise MisplacedLayer("it follows one pair of inputs at a time", self)
        before = self._before(part)
        try:
            step = self.branch.apply(state)
        except MisplacedLayer as error:
            raise error if error.place else error.inside(1) from None
        if not step.state.is_gaussian:
            raise MisplacedLayer("its branch doesn't end in weights", self)
        branch = step.state.whole
        deviations = [abs(self.sum.scale) * math.sqrt(float(np.ravel(q)[0])) for q in (branch.q1, branch.q2)]
        first = self._walked(before.first, deviations[0])
        second = first if before.second is before.first and deviations[0] == deviations[1] else self._walked(before.second, deviations[1])
        pairs, epsilon = self._pairs(before, deviations, float(np.ravel(branch.epsilon)[0]))
        law = ByUnit(first, second, pairs, before.turn + 1)
        shape = np.shape(part.epsilon)
        q1, q2, loss, mean1, mean2 = (np.full(shape, v) for v in (first.mean_square, second.mean_square, epsilon, first.mean, second.mean))
        after = Part(1.0, q1, q2, loss, mean1, mean2, law)
        closed = isinstance(part.law, Gaussian)

        def pull(cotangents: Cotangents) -> Cotangents:
            (each,) = cotangents
            shared = common(cotangents)
            norms = each.free + sum(b.norm for b in each.behind) + (0.0 if each.along is None else each.along.norms)
            inner = first.slopes**2 * norms  # E|δ|² in front of φ, given h
            through = scaled(step.pull(scaled(at_output(step.state, shared), np.asarray(first.weights @ inner))), self.sum.scale**2)
            skip = self.sum.skip**2 * ((first.rule * inner) @ kernel(first.nodes, before.first, self.sum.skip, deviations[0]))
            (branch_part,) = through
            free = branch_part.norm
            # What two inputs share is taken to come through φ as their norms do.
            if closed:
                return (Cotangent(free + before.first.weights @ skip, common=shared),)
            return (Cotangent(free, (), Along(before.first.nodes, before.first.weights, skip), shared),)

        return Step(State((after,)), pull)

    def _before(self, part: Part) -> ByUnit:
        """The law of the input's units: a walk that is under way, or a function of a Gaussian variable with which one starts."""
        if isinstance(part.law, ByUnit):
            return part.law
        if isinstance(part.law, Function):
            act, q1, q2, epsilon = part.law.activation, part.law.source.q1, part.law.source.q2, part.law.source.epsilon
        elif isinstance(part.law, Gaussian):
            act, q1, q2, epsilon = find_activation("linear"), part.q1, part.q2, part.epsilon
        else:
            raise MisplacedLayer("the law of its input's units is not known; put weights, or weights and an activation, before it", self)
        a, b, loss = (float(np.ravel(v)[0]) for v in (q1, q2, epsilon))
        if not (min(a, b) > 0.0 and max(a, b) < 1e280):
            raise MisplacedLayer("its input's variance is 0 or infinite", self)
        first = gaussian(a, act)
        second = first if a == b else gaussian(b, act)
        g1, g2 = _correlated(loss, 0)
        return ByUnit(first, second, (_values(act, math.sqrt(a) * g1), _values(act, math.sqrt(b) * g2)), 0)

    def _walked(self, before: Density, deviation: float) -> Density:
        found = walked(before, self.sum.skip, deviation, self.activation)
        if found is None:
            raise MisplacedLayer(
                f"its branch adds values of standard deviation {deviation:.3g} to a much wider stream, too fine a grid for its density",
                self,
            )
        if abs(found.total - 1.0) > WRONG or not math.isfinite(found.mean_square):
            raise MisplacedLayer(f"the density of its units couldn't be followed: its total is {found.total:.9g}; simulate", self)
        return found

    def _pairs(self, before: ByUnit, deviations: list[float], epsilon: float) -> tuple[tuple[Array, Array], float]:
        g1, g2 = _correlated(epsilon, before.turn + 1)
        h1 = self.sum.skip * before.pairs[0] + deviations[0] * g1
        h2 = self.sum.skip * before.pairs[1] + deviations[1] * g2
        z1, z2 = _values(self.activation, h1), _values(self.activation, h2)
        size1, size2 = math.sqrt(float(np.mean(z1 * z1))), math.sqrt(float(np.mean(z2 * z2)))
        if not (size1 > 0.0 and size2 > 0.0):
            return (z1, z2), 0.0
        return (z1, z2), 0.5 * float(np.mean((z1 / size1 - z2 / size2) ** 2))

    def __str__(self) -> str:
        inner = str(self.sum)[len("Residual(") : -1]
        return f"PostActivation({inner}, {self.activation.name})"


def _values(act: Activation, x: Array) -> Array:
    return act.values(np.ascontiguousarray(x), 0)


def _correlated(epsilon: float, turn: int) -> tuple[Array, Array]:
    """Standard Gaussian pairs with 1 − correlation ε: their difference is drawn, not left over."""
    a, b = np.random.Generator(np.random.SFC64([SEED, turn])).standard_normal((2, PAIRS))
    return a, a - (epsilon * a - math.sqrt(epsilon * (2.0 - epsilon)) * b)
