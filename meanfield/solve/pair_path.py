"""Two inputs through many equal layers K11 ↦ a K11 + b + w μ V[φ], K12 ↦ a K12 + b + w C[φ]: variances, decorrelation, gradient."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import AccuracyWarning, DomainError
from meanfield.expectation.held_profiles import angle_profile, has_profile
from meanfield.expectation.second_moment import second_moment, second_moments
from meanfield.expectation.two_inputs import covariance_at, decorrelation_at, decorrelations_at
from meanfield.layers import limits
from meanfield.layers.gaussian_map import MERGED
from meanfield.layers.limits import VISIBLE, is_two_lines
from meanfield.layers.slopes import mean_square_slopes
from meanfield.solve.angle_recursion import CRITICAL, AngleRecursion, limit_slopes, recursion_at, recursion_of_slopes, straight_recursion
from meanfield.solve.decorrelation_path import FURTHEST, NEAREST, along_table, has_table, pieces_of
from meanfield.solve.moving_profiles import WIDEST, evenly, iterate_moving, iterate_two_lines, profiles_needed
from meanfield.solve.variance_path import variance_path

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.layers.layer import Affine

ACUTE = math.sqrt(0.5)  # x at θ = π/2, where the correlation table ends
PER_PIECE = 4  # layers, each a quadrature, from which on a piece of the correlation table is worth making, to be kept
PER_FAR_PIECE, FAR = 40, 3  # the same from q = 4³ on, where pieces cost tenths of a second and more
FEW = 24  # layers at one variance that are cheaper one by one than by fitting its profile


@dataclass(frozen=True)
class PairPath:
    """What `follow` found; arrays of length depth + 1, index 0 the start.

    Attributes
    ----------
    q1, q2, epsilon : ndarray
    log_gradient : ndarray
        Σ log(a + w μ V[φ'](q1_k)) for k = l … L−1.
    """

    q1: Array
    q2: Array
    epsilon: Array
    log_gradient: Array

    @property
    def gradient(self) -> Array:
        """inf past 1e308, 0 below 1e-308."""
        if not self.log_gradient.any():  # critical all along
            return np.ones(self.log_gradient.size)
        with np.errstate(over="ignore"):
            result: Array = np.exp(self.log_gradient)
        return result


def follow(rule: Affine, depth: int, q1: float, q2: float, loss: float, hold: bool) -> PairPath:
    """Two inputs with variances q1, q2 and decorrelation `loss` through `depth` layers; hold keeps the variances where they are."""
    act = rule.activation
    first, settled1 = _variances(rule, q1, depth, hold)
    second, settled2 = (first, settled1) if q2 == q1 else _variances(rule, q2, depth, hold)
    stop = depth + 1
    if max(first[-1], second[-1]) == math.inf and not limits.has_tail(act):  # from where on it is infinite it stays so
        stop = int(np.argmax(np.isinf(first) | np.isinf(second)))
        warnings.warn(
            f"the variance passes 1e280 at layer {stop}; {act.name} is steeper than linear, so the correlation has no limit there: nan",
            AccuracyWarning,
            stacklevel=4,
        )
    part = first[:stop]
    path = _Path(rule, part, part if second is first else second[:stop], hold)
    epsilon = path.run(loss, min(max(settled1, settled2), stop - 1))
    if stop <= depth:
        epsilon = np.concatenate([epsilon, np.full(depth + 1 - stop, math.nan)])
    return PairPath(first, second.copy() if second is first else second, epsilon, _log_gradient(rule, first, settled1))


def _variances(rule: Affine, start: float, depth: int, hold: bool) -> tuple[Array, int]:
    if hold:
        return np.full(depth + 1, start), 0
    return variance_path(rule.activation, rule.w * rule.mu, rule.b, start, depth, carry=rule.a)


class _Path:
    """The correlation along two given sequences of variances."""

    def __init__(self, rule: Affine, q1: Array, q2: Array, hold: bool) -> None:
        self.rule, self.act, self.weight, self.bias = rule, rule.activation, rule.w, rule.b
        self.plain = rule.a == 0.0 and rule.mu == 1.0
        self.q1, self.q2, self.hold = q1, q2, hold
        self.depth = q1.size - 1
        self.two_lines = is_two_lines(self.act, 1.0)

    @cached_property
    def zero_stays(self) -> bool:
        """Whether F(0) = 0."""
        return self.bias == 0.0 and self._map(0.0) == 0.0

    def _map(self, q: float) -> float:
        """a q + b + w μ V(q)."""
        rule = self.rule
        return rule.b + rule.w * rule.mu * (self._moment(q) if rule.w > 0.0 else 0.0) + rule.a * q

    def _moment(self, q: float) -> float:
        """V(q)."""
        return float(second_moment(self.act, q)) if q > 0.0 else float(second_moments(self.act, np.zeros(1), 0)[0])

    def norm(self, layer: int) -> float:
        """√(F(q1)F(q2)) at a layer."""
        return self._held_norm if self.hold else math.sqrt(self.q1[layer + 1]) * math.sqrt(self.q2[layer + 1])

    @cached_property
    def _held_norm(self) -> float:
        """The same where the variances stay."""
        first = self._map(float(self.q1[0]))
        return math.sqrt(first * (first if self.q2 is self.q1 else self._map(float(self.q2[0]))))

    def run(self, loss: float, settled: int) -> Array:
        """ε at every layer; the variances stand still from `settled` on."""
        epsilon = np.empty(self.depth + 1)
        epsilon[0] = loss
        if self.weight == 0.0 and self.rule.a == 0.0:
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
                carry, factor, lost = self._limit_terms(far)
                shape = float(limits.loss_of_slopes(*limit_slopes(self.act, far), np.array([loss]))[0]) if factor > 0.0 else 0.0
                after = shape if self.plain else lost + carry * loss + factor * shape
            else:
                covariance = covariance_at(self.act, a, b, 1.0 - loss, 0) if self.weight > 0.0 else 0.0
                skipped = self.rule.a * (math.sqrt(a) * math.sqrt(b) * (1.0 - loss))
                after = self._loss(self.bias + self.weight * covariance + skipped, layer)
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
        smooth = has_profile(self.act) or self.weight == 0.0
        while layer < self.depth:
            here = x[layer - first]
            if here == 0.0 and self.rule.mu == 1.0:
                x[layer - first :] = 0.0
                return
            now = float(q[layer])
            if self._is_limit(now) or not 0.0 < self.norm(layer) < math.inf:  # the last before F leaves the range counts as well
                x[layer - first :] = self._in_the_limit(0.0 if now < 1.0 else math.inf, here, self.depth - layer)
                return
            if smooth and layer >= settled and self.depth - layer > FEW and now > 0.0:
                x[layer - first :] = self._standing(now, self.norm(layer), here, self.depth - layer)
                return
            straight = self._two_lines_until(q, layer)
            if straight > layer:
                gain = self._gains(layer, straight)
                x[layer - first : straight - first + 1] = iterate_two_lines(
                    self.act, np.ascontiguousarray(q[layer:straight]), gain, here, *self._besides(q, layer, straight)
                )
                layer = straight
                continue
            end = self._tabled(q, layer, settled) if here <= ACUTE else layer
            if end > layer:
                ahead = np.ascontiguousarray(q[layer:end])
                losses = along_table(self.act, ahead, self._gains(layer, end), *self._besides(q, layer, end), 2.0 * here * here)
                if losses is not None:
                    x[layer - first : end - first + 1] = np.sqrt(0.5 * losses)
                    layer = end
                    continue
            end = self._slow_stretch(q, layer, max(settled, layer + 1)) if smooth and layer < settled else layer + 1
            if end > layer + 1:
                gain = self._gains(layer, end)
                x[layer - first : end - first + 1] = iterate_moving(
                    self.act, np.ascontiguousarray(q[layer:end]), gain, here, *self._besides(q, layer, end)
                )
            else:
                after = self.weight / self.norm(layer) * self._decorrelation(now, 2.0 * here * here) if self.weight > 0.0 else 0.0
                if not self.plain:
                    carry, lost = self._beside(now, self.norm(layer))
                    after += lost + carry * 2.0 * here * here
                x[layer - first + 1] = math.sqrt(min(0.5 * max(after, 0.0), 1.0))
            layer = end

    def _limit_terms(self, q: float) -> tuple[float, float, float]:
        """(carry, factor, loss) of ε' = loss + carry ε + factor · (map of φ's slopes), in the limit of no or infinite variance."""
        rule = self.rule
        left, right = limits.slopes(self.act, q)
        slope = rule.w * 0.5 * (left * left + right * right) if rule.w > 0.0 else 0.0
        total = rule.a + rule.mu * slope
        if self.plain or not 0.0 < total < math.inf:
            return 0.0, 1.0, 0.0
        return rule.a / total, slope / total, (rule.mu - 1.0) * slope / total

    def _in_the_limit(self, q: float, start: float, layers: int) -> Array:
        if self.plain:
            return recursion_of_slopes(self.act, q).iterate(start, layers)
        carry, factor, lost = self._limit_terms(q)
        recursion = recursion_of_slopes(self.act, q) if factor > 0.0 else straight_recursion()
        return evenly(recursion, layers, start, factor, carry, lost)

    def _standing(self, q: float, norm: float, start: float, layers: int) -> Array:
        """Layers of one variance."""
        if self.plain:
            return recursion_at(self.act, q, self.weight / norm).iterate(start, layers)
        carry, lost = self._beside(q, norm)
        if self.weight == 0.0:
            return evenly(straight_recursion(), layers, start, 0.0, carry, lost)
        profile, gain = angle_profile(self.act, q), self.weight / norm
        if not profile.jumping and lost == 0.0 and abs(carry + gain * profile.at_zero - 1.0) <= CRITICAL:
            gain = (1.0 - carry) / profile.at_zero  # critical: what is left is the rounding of σ_w
        table = AngleRecursion.of(profile, 1.0 / profile.at_zero)
        return evenly(table, layers, start, gain * profile.at_zero, carry, lost)

    def _beside(self, q: float, norm: float) -> tuple[float, float]:
        """a q/F and (μ − 1) w V/F: what the skip carries of ε, and what dropout adds."""
        rule = self.rule
        moment = self._moment(q) if rule.mu != 1.0 else 0.0
        return rule.a * q / norm, (rule.mu - 1.0) * rule.w * moment / norm

    def _besides(self, q: Array, layer: int, end: int) -> tuple[Array, Array]:
        """The same for layers that move."""
        rule, norm = self.rule, np.sqrt(self.q1[layer + 1 : end + 1]) * np.sqrt(self.q2[layer + 1 : end + 1])
        here = q[layer:end]
        lost = (rule.mu - 1.0) * rule.w * second_moments(self.act, here, 0) / norm if rule.mu != 1.0 else np.zeros(here.size)
        return rule.a * here / norm, lost

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
            return decorrelation_at(self.act, 0.0, loss)
        return float(decorrelations_at(self.act, q, np.array([loss]))[0])

    def _tabled(self, q: Array, layer: int, settled: int) -> int:
        """The end of a stretch of moving layers that is worth its pieces of the correlation table; `layer` for none.

        Whether a piece is there already plays no part: a trajectory has the same bits whatever was asked before.
        """
        ahead = q[layer : min(settled, self.depth)]
        outside = np.flatnonzero(~((ahead >= NEAREST) & (ahead <= FURTHEST)))
        ahead = ahead[: int(outside[0])] if outside.size else ahead
        if self.weight == 0.0 or ahead.size == 0 or not has_table(self.act):
            return layer
        price = np.zeros(ahead.size, dtype=np.int64)
        pieces, first = np.unique(pieces_of(ahead), return_index=True)
        price[first] = np.where(pieces < FAR, PER_PIECE, PER_FAR_PIECE)
        worth = np.flatnonzero(np.arange(1, ahead.size + 1) >= np.cumsum(price))
        return layer + int(worth[-1]) + 1 if worth.size else layer

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


def _log_gradient(rule: Affine, q1: Array, settled: int) -> Array:
    """Π_{k=l}^{L−1} (a + w μ V[φ'](q1_k)), as a logarithm."""
    depth = q1.size - 1
    gradient = np.zeros(depth + 1)
    if depth == 0:
        return gradient
    moving = min(settled, depth - 1) + 1
    slopes = rule.w * rule.mu * mean_square_slopes(rule.activation, q1[:moving]) + rule.a
    if abs(slopes[-1] - 1.0) <= 1e-12 and settled < depth:
        slopes[-1] = 1.0  # critical: what is left is the rounding of σ_w
    if moving == 1 and 0.0 < slopes[0] < math.inf:
        return math.log(slopes[0]) * np.arange(depth, -1.0, -1.0) if slopes[0] != 1.0 else gradient
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        logs = np.log(slopes)
        remaining = np.arange(depth - moving + 1, -1, -1.0)  # layers after each l ≥ moving − 1
        tail = np.where(remaining > 0, logs[-1] * np.maximum(remaining, 1.0), 0.0)
        gradient[moving - 1 :] = tail
        before = np.cumsum(logs[:-1][::-1])[::-1] + tail[0]
        if np.isneginf(logs).any():
            before = np.where(np.isnan(before), -math.inf, before)
        gradient[: moving - 1] = before
    return gradient
