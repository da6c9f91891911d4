"""How two inputs travel: variances, correlation and gradient, layer by layer."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import AccuracyWarning, DomainError
from meanfield.expectation.arguments import correlation_argument, variance, within
from meanfield.expectation.held_profiles import has_profile
from meanfield.expectation.two_inputs import covariance_at, decorrelations_at
from meanfield.theory import limits
from meanfield.theory.angle_recursion import VISIBLE, is_two_lines, limit_slopes, recursion_at, recursion_of_slopes
from meanfield.theory.moving_profiles import WIDEST, iterate_moving, iterate_two_lines, profiles_needed
from meanfield.theory.slopes import mean_square_slopes
from meanfield.theory.variance_path import variance_path

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.theory.mean_field import MeanField

DEEPEST = 10**8
MERGED = 2e-8  # variances this close act as one: what their difference does to c is of second order, 1e-16
FEW = 24  # layers at one variance that are cheaper one by one than by fitting its profile


@dataclass(frozen=True)
class Trajectory:
    """Two inputs through `depth` layers. Index 0 is the start; arrays of length depth + 1.

    Attributes
    ----------
    q1, q2 : ndarray
        Variances of the two inputs' pre-activations.
    c : ndarray
        Their correlation.
    epsilon : ndarray
        1 − c; relatively accurate where the variances are equal, to about 1e-15 absolutely where they differ.
    gradient : ndarray
        E|∂E/∂h^l|²/E|∂E/∂h^L|² of the first input, vector norms: Π σ_w² V[φ'](q1_k) for k = l … L−1; 1 at l = L.
    """

    q1: Array
    q2: Array
    c: Array
    epsilon: Array
    gradient: Array

    @property
    def depth(self) -> int:
        """L, the number of layers."""
        return int(self.c.size - 1)

    def __str__(self) -> str:
        shown = sorted({min(round(10.0 ** (0.5 * k)), self.depth) for k in range(18)} | {0, self.depth})
        lines = [f"{'layer':>9} {'q1':>12} {'q2':>12} {'c':>14} {'1 - c':>12} {'gradient':>12}"]
        lines += [
            f"{i:>9} {self.q1[i]:>12.6g} {self.q2[i]:>12.6g} {self.c[i]:>14.9g} {self.epsilon[i]:>12.6g} {self.gradient[i]:>12.6g}"
            for i in shown
        ]
        return "\n".join(lines)


def checked_depth(depth: Any) -> int:
    """A number of layers in [0, 1e8]."""
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or not 0 <= depth <= DEEPEST:
        raise DomainError(f"depth = {depth!r} is out of range: it must be a whole number in [0, {DEEPEST}]")
    return int(depth)


def propagate(net: MeanField, depth: int, q: Any, c: float | None, epsilon: float | None, hold_variance: bool) -> Trajectory:
    """See `MeanField.propagate`."""
    layers = checked_depth(depth)
    pair = variance("q", q)
    if pair.shape not in ((), (2,)):
        raise DomainError(f"q must be one variance or a pair (q1, q2), not an array of shape {pair.shape}")
    first, second = (float(pair), float(pair)) if pair.ndim == 0 else (float(pair[0]), float(pair[1]))
    loss = _start(c, epsilon)
    act, weight, bias = net.activation, net.sigma_w**2, net.sigma_b**2
    if weight == 0.0 and bias == 0.0 and layers:
        raise DomainError("sigma_w = 0 and sigma_b = 0 leave every layer at 0: no correlation is defined")
    q1, settled1 = _variances(act, weight, bias, first, layers, hold_variance)
    q2, settled2 = (q1, settled1) if second == first else _variances(act, weight, bias, second, layers, hold_variance)
    stop = layers + 1
    infinite = np.isinf(q1) | np.isinf(q2)
    if infinite.any() and not limits.has_tail(act):
        stop = int(np.argmax(infinite))
        warnings.warn(
            f"the variance passes 1e280 at layer {stop}; {act.name} is steeper than linear, so the correlation has no limit there: nan",
            AccuracyWarning,
            stacklevel=3,
        )
    decorrelation = np.full(layers + 1, math.nan)
    part = q1[:stop]
    path = _Path(net, act, weight, bias, part, part if q2 is q1 else q2[:stop], hold_variance)
    decorrelation[:stop] = path.run(loss, min(max(settled1, settled2), stop - 1))
    correlation = 1.0 - decorrelation
    if c is not None:
        correlation[0] = float(c)
    return Trajectory(q1, q2.copy() if q2 is q1 else q2, correlation, decorrelation, _gradient(net, q1, settled1))


def _start(c: float | None, epsilon: float | None) -> float:
    if (c is None) == (epsilon is None):
        raise DomainError("give the start as c or as epsilon = 1 − c, one of the two")
    value = correlation_argument("c", c) if epsilon is None else within("epsilon", epsilon, 0.0, 2.0)
    if value.ndim:
        raise DomainError(f"{'c' if epsilon is None else 'epsilon'} must be one number, not an array of shape {value.shape}")
    return 1.0 - float(value) if epsilon is None else float(value)


def _variances(act: Activation, weight: float, bias: float, start: float, depth: int, hold: bool) -> tuple[Array, int]:
    if hold:
        return np.full(depth + 1, start), 0
    return variance_path(act, weight, bias, start, depth)


class _Path:
    """The correlation along two given sequences of variances."""

    def __init__(self, net: MeanField, act: Activation, weight: float, bias: float, q1: Array, q2: Array, hold: bool) -> None:
        self.net, self.act, self.weight, self.bias = net, act, weight, bias
        self.q1, self.q2, self.hold = q1, q2, hold
        self.depth = q1.size - 1
        self.two_lines = is_two_lines(act, 1.0)
        self.zero_stays = bias == 0.0 and float(net.variance_map(0.0)) == 0.0

    def norm(self, layer: int) -> float:
        """√(F(q1)F(q2)) at a layer."""
        if not self.hold:
            return math.sqrt(self.q1[layer + 1]) * math.sqrt(self.q2[layer + 1])
        return math.sqrt(float(self.net.variance_map(self.q1[layer])) * float(self.net.variance_map(self.q2[layer])))

    def run(self, loss: float, settled: int) -> Array:
        """ε at every layer; the variances stand still from `settled` on."""
        epsilon = np.empty(self.depth + 1)
        epsilon[0] = loss
        if self.weight == 0.0:
            epsilon[1:] = 0.0
            return epsilon
        layer = self._unequal(epsilon)
        if layer == self.depth:
            return epsilon
        x = np.empty(self.depth + 1 - layer)
        x[0] = math.sqrt(0.5 * epsilon[layer])
        self._equal(x, layer, settled)
        epsilon[layer + 1 :] = 2.0 * x[1:] ** 2
        return epsilon

    def _is_limit(self, q: float) -> bool:
        return math.isinf(q) or (q == 0.0 and self.zero_stays)

    def _unequal(self, epsilon: Array) -> int:
        """Layer by layer while the variances differ; returns the layer from which on they don't."""
        for layer in range(self.depth):
            a, b = float(self.q1[layer]), float(self.q2[layer])
            if a == b or abs(a - b) <= MERGED * max(a, b) or self._sizes_drop_out(layer):
                return layer
            loss = float(epsilon[layer])
            ends = not 0.0 < self.norm(layer) < math.inf and (max(a, b) <= 1e-100 or min(a, b) >= 1e100)
            if self._is_limit(a) or self._is_limit(b) or ends:
                # A map of slopes doesn't see the sizes of its inputs, as long as both are that far out.
                far, other = (a, b) if self._is_limit(a) else (b, a)
                far = (0.0 if a < 1.0 else math.inf) if ends else far
                if not (other <= 1e-100 if far == 0.0 else other >= 1e100):
                    raise DomainError(
                        f"q = ({float(self.q1[0])!r}, {float(self.q2[0])!r}): at layer {layer} the variances are {a:g} and {b:g}, and the "
                        f"correlation with an input of variance {far:g} is not defined"
                    )
                after = float(limits.loss_of_slopes(*limit_slopes(self.act, far), np.array([loss]))[0])
            else:
                covariance = covariance_at(self.act, a, b, 1.0 - loss, 0)
                after = self._loss(self.bias + self.weight * covariance, layer)
            epsilon[layer + 1] = after
        return self.depth

    def _sizes_drop_out(self, layer: int) -> bool:
        """Whether from here on φ is two lines and the bias nothing: C(q1, q2, c) = √(q1 q2) C(1, 1, c)."""
        low = min(self.q1[layer], self.q2[layer])
        if not (low >= 1.0 / VISIBLE or self.zero_stays) or self.hold:
            return False
        rest = np.concatenate([self.q1[layer:], self.q2[layer:]])
        far = low >= 1.0 / VISIBLE
        same = bool(np.all(rest >= 1.0 / VISIBLE)) if far else self.two_lines or bool(np.all(rest <= VISIBLE))
        inside = float(min(max(low, 1e-280), 1e280))
        return same and low > 0.0 and (self.two_lines or is_two_lines(self.act, inside))

    def _loss(self, covariance: float, layer: int) -> float:
        norm = self.norm(layer)
        if math.isinf(norm):  # F overflows at this layer
            root = math.sqrt(abs(covariance))
            ratio = root / math.sqrt(self.q1[layer + 1]) * (root / math.sqrt(self.q2[layer + 1]))
            covariance, norm = math.copysign(ratio, covariance), 1.0
        return min(max(1.0 - covariance / norm, 0.0), 2.0)

    def _equal(self, x: Array, first: int, settled: int) -> None:
        """Half sines for one variance: fill x[1:], x[0] being that of layer `first`."""
        # Variances that have all but merged act as their geometric mean.
        q = self.q1 if self.q2 is self.q1 else np.sqrt(self.q1) * np.sqrt(self.q2)
        layer = first
        smooth = has_profile(self.act)
        while layer < self.depth:
            here = x[layer - first]
            if here == 0.0:
                x[layer - first :] = 0.0
                return
            now = float(q[layer])
            if self._is_limit(now) or not 0.0 < self.norm(layer) < math.inf:  # the last before F leaves the range counts as well
                recursion = recursion_of_slopes(self.act, 0.0 if now < 1.0 else math.inf)
                x[layer - first :] = recursion.iterate(here, self.depth - layer)
                return
            if smooth and layer >= settled and self.depth - layer > FEW and now > 0.0:
                recursion = recursion_at(self.act, now, self.weight / self.norm(layer))
                x[layer - first :] = recursion.iterate(here, self.depth - layer)
                return
            straight = self._two_lines_until(q, layer)
            if straight > layer:
                gain = self._gains(layer, straight)
                x[layer - first : straight - first + 1] = iterate_two_lines(self.act, np.ascontiguousarray(q[layer:straight]), gain, here)
                layer = straight
                continue
            end = self._slow_stretch(q, layer, max(settled, layer + 1)) if smooth and layer < settled else layer + 1
            if end > layer + 1:
                gain = self._gains(layer, end)
                x[layer - first : end - first + 1] = iterate_moving(self.act, np.ascontiguousarray(q[layer:end]), gain, here)
            else:
                after = self.weight / self.norm(layer) * self._decorrelation(now, 2.0 * here * here)
                x[layer - first + 1] = math.sqrt(min(0.5 * max(after, 0.0), 1.0))
            layer = end

    def _gains(self, layer: int, end: int) -> Array:
        """σ_w²/F of layers that move."""
        result: Array = self.weight / np.sqrt(self.q1[layer + 1 : end + 1]) / np.sqrt(self.q2[layer + 1 : end + 1])
        return result

    def _two_lines_until(self, q: Array, layer: int) -> int:
        """The end of a stretch along which φ is but two lines; `layer` where it isn't."""
        if self.hold or not (self.two_lines or is_two_lines(self.act, float(q[layer]))):
            return layer
        ahead = q[layer : self.depth]
        after = q[layer + 1 :]
        good = (ahead >= 1e-280) & (ahead <= 1e280) & (after > 0.0) & (after < math.inf)
        if not self.two_lines:  # else at every variance
            good &= (ahead <= VISIBLE) if q[layer] <= VISIBLE else (ahead >= 1.0 / VISIBLE)
        return self.depth if good.all() else layer + int(np.argmin(good))

    def _decorrelation(self, q: float, loss: float) -> float:
        if q == 0.0:
            from meanfield.expectation.two_inputs import decorrelation_at

            return decorrelation_at(self.act, 0.0, loss)
        return float(decorrelations_at(self.act, q, np.array([loss]))[0])

    def _slow_stretch(self, q: Array, layer: int, settled: int) -> int:
        """The end of a stretch of layers worth interpolating in log q; layer + 1 where they are better done one by one."""
        stop = min(settled, self.depth)
        ahead = q[layer:stop]
        outside = np.flatnonzero(~((ahead > 1e-280) & (ahead < 1e280)))
        if outside.size:
            ahead = ahead[: int(outside[0])]
        if ahead.size < 8:
            return layer + 1
        logs = np.log(ahead)
        span = np.maximum.accumulate(logs) - np.minimum.accumulate(logs)
        inside = int(np.searchsorted(span, WIDEST, side="right"))
        if inside <= 2 * profiles_needed(float(span[inside - 1])) + 8:
            return layer + 1
        # Leave out layers at the front that take most of the span for themselves.
        rest = float(logs[1:inside].max() - logs[1:inside].min())
        if profiles_needed(rest) < profiles_needed(float(span[inside - 1])):
            return layer + 1
        return layer + inside


def _gradient(net: MeanField, q1: Array, settled: int) -> Array:
    """Π_{k=l}^{L−1} σ_w² V[φ'](q1_k), accumulated in logarithms: inf past 1e308, 0 below 1e-308."""
    depth = q1.size - 1
    gradient = np.ones(depth + 1)
    if depth == 0:
        return gradient
    moving = min(settled, depth - 1) + 1
    slopes = net.sigma_w**2 * mean_square_slopes(net.activation, q1[:moving])
    if abs(slopes[-1] - 1.0) <= 1e-12 and settled < depth:
        slopes[-1] = 1.0  # critical: what is left is the rounding of σ_w
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        logs = np.log(slopes)
        remaining = np.arange(depth - moving + 1, -1, -1.0)  # layers after each l ≥ moving − 1
        tail = np.where(remaining > 0, logs[-1] * np.maximum(remaining, 1.0), 0.0)
        gradient[moving - 1 :] = np.exp(tail)
        before = np.cumsum(logs[:-1][::-1])[::-1] + tail[0]
        if np.isneginf(logs).any():
            before = np.where(np.isnan(before), -math.inf, before)
        gradient[: moving - 1] = np.exp(before)
    return gradient
