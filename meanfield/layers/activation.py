"""φ, unit by unit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.layers import gaussian_map
from meanfield.layers.composition import MOST_IN_A_ROW, compose, in_a_row, slope_of
from meanfield.layers.cotangent import Behind, Cotangent, Cotangents
from meanfield.layers.dropout import at_zero, masked_slopes
from meanfield.layers.law import Function, Gaussian, Masked, OnSphere, Source, Unknown
from meanfield.layers.layer import Layer, MisplacedLayer, Step
from meanfield.layers.slopes import mean_square_slopes
from meanfield.layers.sphere import batch_moments
from meanfield.layers.state import Part, State
from meanfield.layers.tangent import TangentKernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.activations import Activation as Function_
    from meanfield.arrays import Array


@dataclass(frozen=True)
class Activation(Layer):
    """φ of every unit.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.

    Notes
    -----
    K11 ↦ V[φ](K11), K12 ↦ C[φ](K11, K22, c), the gradient's factor is V[φ'](K11): for Gaussian input (behind weights), or behind
    another activation, as one function of it.

    References
    ----------
    Poole et al. (2016); Schoenholz et al. (2017).

    Examples
    --------
    >>> from meanfield import layers as L
    >>> print(L.Activation("tanh"))
    tanh
    """

    activation: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", find_activation(self.activation))

    def apply(self, state: State) -> Step:
        made = [_applied(self.activation, part, self) for part in state.parts]

        def pull(cotangents: Cotangents) -> Cotangents:
            return tuple(slope(each) for (_, slope), each in zip(made, cotangents, strict=True))

        return Step(State(tuple(part for part, _ in made)), pull)

    def __str__(self) -> str:
        return str(self.activation.name)


def _applied(act: Function_, part: Part, layer: Layer) -> tuple[Part, Any]:
    """The part behind φ, and what multiplies a gradient's norm."""
    if isinstance(part.law, Gaussian):
        return _of_gaussian(act, part, Source(part.q1, part.q2, part.epsilon))
    if isinstance(part.law, Function):
        if in_a_row(act) + in_a_row(part.law.activation) > MOST_IN_A_ROW:
            raise MisplacedLayer(f"more than {MOST_IN_A_ROW} activations in a row; write them as one formula", layer)
        return _of_function(act, part, part.law)
    if isinstance(part.law, Masked):
        return _of_masked(act, part, part.law)
    if isinstance(part.law, OnSphere):
        return _of_batch(act, part, part.law)
    reason = part.law.reason if isinstance(part.law, Unknown) else "sums have gone through activations"
    raise MisplacedLayer(f"its input is not Gaussian: {reason}; put a layer with weights before it, or simulate", layer)


def _of_gaussian(act: Function_, part: Part, source: Source) -> tuple[Part, Any]:
    v1 = gaussian_map.second_moment(act, source.q1)
    v2 = v1 if source.q2 is source.q1 else gaussian_map.second_moment(act, source.q2)
    epsilon = gaussian_map.decorrelation(act, source, v1, v2)
    mean1 = gaussian_map.mean(act, source.q1)
    mean2 = mean1 if source.q2 is source.q1 else gaussian_map.mean(act, source.q2)
    tangent = None if part.tangent is None else part.tangent * gaussian_map.slope_covariance(act, source)
    after = Part(part.share, v1, v2, epsilon, mean1, mean2, Function(act, source), tangent)

    def slope(behind: Cotangent) -> Cotangent:
        return _pulled(behind, act, lambda act: _slopes(act, source.q1), lambda act: gaussian_map.slope_covariance(act, source))

    return after, slope


def _pulled(
    cotangent: Cotangent,
    act: Function_,
    factor: Callable[[Function_], Array],
    shared_factor: Callable[[Function_], Array],
    keep: float = 1.0,
) -> Cotangent:
    """A gradient through φ. What has come through another activation just behind goes through both as one function.

    factor is E[φ'²], shared_factor E[φ'φ'] at two inputs of a batch.
    """
    found = [_behind(act, cotangent.free, cotangent.common, factor, shared_factor, keep)]
    for each in cotangent.behind:
        found.append(_behind(compose(each.activation, act), each.before, each.common_before, factor, shared_factor, keep))
    # Behind a `PostActivation`: E|δ|² φ'(z)² over the Gaussian z, which only weights can stand in front of.
    free = 0.0 * cotangent.free
    if cotangent.along is not None:
        along = cotangent.along
        free = free + along.weights @ (along.norms * act.values(along.nodes, 1) ** 2)
    return Cotangent(free, tuple(found), common=cotangent.common)


def _behind(
    act: Function_,
    before: Array,
    shared: Array | None,
    factor: Callable[[Function_], Array],
    shared_factor: Callable[[Function_], Array],
    keep: float,
) -> Behind:
    """A gradient of norm `before` behind φ, in front of it."""
    slope = factor(act)
    if shared is None or not np.all(slope > 0.0):
        return Behind(act, before * slope, before, keep, shared, shared)
    return Behind(act, before * slope, before, keep, shared * shared_factor(act) / slope, shared)


def _slopes(act: Function_, q: Array) -> Array:
    """V[φ'] almost everywhere."""
    return mean_square_slopes(act, np.ravel(q)).reshape(np.shape(q))


def _of_function(act: Function_, part: Part, law: Function) -> tuple[Part, Any]:
    """φ₂(φ₁(z)): the moments are those of the composition; a gradient between the two is φ₂'(φ₁(z))δ."""
    whole = compose(act, law.activation)
    source = law.source
    started = None if part.tangent is None else part.tangent / gaussian_map.slope_covariance(law.activation, source)
    after, _ = _of_gaussian(whole, Part(part.share, part.q1, part.q2, part.epsilon, part.mean1, part.mean2, law, started), source)

    def factor(outer: Function_) -> Array:
        return gaussian_map.second_moment(slope_of(outer, law.activation), source.q1)

    def shared_factor(outer: Function_) -> Array:
        return gaussian_map.covariance(slope_of(outer, law.activation), source)

    def slope(behind: Cotangent) -> Cotangent:
        pulled = _pulled(replace(behind, along=None), act, factor, shared_factor)
        if behind.along is None:
            return pulled
        between = act.values(law.activation.values(behind.along.nodes, 0), 1)  # φ₂'(φ₁(z))
        return replace(pulled, along=replace(behind.along, norms=behind.along.norms * between**2))

    return after, slope


def _of_masked(act: Function_, part: Part, law: Masked) -> tuple[Part, Any]:
    """Dropout before φ: with ρ = keep and u = √(q/ρ²) Z, φ(u) on kept units and φ(0) on the others.

    V' = ρV + (1 − ρ)φ(0)², C' = ρ²C + 2ρ(1 − ρ)φ(0)E[φ] + (1 − ρ)²φ(0)², so that V' − C' = ρ²D + ρ(1 − ρ)E[(φ − φ(0))²].
    """
    keep, rest = law.keep, 1.0 - law.keep
    inner = law.source
    masked = at_zero(act, 0)
    source = Source(inner.q1 / keep**2, inner.q2 / keep**2, inner.epsilon)
    raw, _ = _of_gaussian(act, part, source)
    v1 = keep * raw.q1 + rest * masked**2
    v2 = keep * raw.q2 + rest * masked**2
    norm = np.sqrt(v1) * np.sqrt(v2)
    inside = np.sqrt(raw.q1) * np.sqrt(raw.q2)
    product = keep**2 * inside * (1.0 - raw.epsilon) + keep * rest * masked * (raw.mean1 + raw.mean2) + rest**2 * masked**2
    apart = keep**2 * inside * raw.epsilon + keep * rest * (inside - masked * (raw.mean1 + raw.mean2) + masked**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        epsilon = np.where(v1 == v2, apart / norm, 1.0 - product / norm)
    epsilon = np.where(norm > 0.0, np.clip(epsilon, 0.0, 2.0), part.epsilon)
    if isinstance(part.tangent, TangentKernel) and part.tangent.one_pass:
        epsilon = part.epsilon
    mean1, mean2 = keep * raw.mean1 + rest * masked, keep * raw.mean2 + rest * masked
    # The mask's own factor has brought 1 for K12, and the kept pairs' 1/ρ² for u: together C[φ'] of u.
    tangent = raw.tangent
    after = Part(part.share, v1, v2, epsilon, mean1, mean2, Unknown("dropout before an activation"), tangent)

    def factor(act: Function_) -> Array:
        return keep * _slopes(act, source.q1) + rest * at_zero(act, 1) ** 2

    def slope(behind: Cotangent) -> Cotangent:
        return _pulled(behind, act, factor, lambda act: masked_slopes(act, inner, keep), keep)

    return after, slope


def _of_batch(act: Function_, part: Part, law: OnSphere) -> tuple[Part, Any]:
    """φ of a normalised batch: d = E φ(y)² and o = E φ(y₁)φ(y₂) over the sphere (Yang et al. 2019)."""
    found = batch_moments(act, law.batch)
    like = np.ones(np.shape(part.q1))
    after = Part(
        part.share,
        found.diagonal * like,
        found.diagonal * like,
        np.ones(np.shape(part.epsilon)) * (found.diagonal - found.off_diagonal) / found.diagonal,
        found.mean * like,
        found.mean * like,
        Unknown("units of a normalised batch are not Gaussian"),
        None if part.tangent is None else 0.0 * part.tangent,
    )

    def factor(act: Function_) -> Array:
        return np.asarray(batch_moments(act, law.batch).mean_square_slope)

    def slope(behind: Cotangent) -> Cotangent:
        return _pulled(behind, act, factor, lambda act: np.asarray(batch_moments(act, law.batch).slopes))

    return after, slope
