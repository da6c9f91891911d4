"""Every question of `MeanField`, asked of one repeated layer, whatever it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.arguments import correlation_argument, unwrap, variance, within
from meanfield.expectation.moments import MEAN, V, moment_table
from meanfield.expectation.second_moment import second_moments
from meanfield.layers import limits
from meanfield.layers.cotangent import at_output, total
from meanfield.layers.layer import Layer, MisplacedLayer
from meanfield.layers.limits import is_line
from meanfield.layers.normalise import LayerNorm, RMSNorm
from meanfield.layers.residual import Residual
from meanfield.layers.sequence import Repeat
from meanfield.layers.state import Part, State
from meanfield.solve.correlation import CorrelationPoint, DepthScales, depth_scale
from meanfield.solve.layer_profile import layer_recursion
from meanfield.solve.moving_profiles import evenly
from meanfield.solve.scan import octave_grid, polish, with_extrema
from meanfield.solve.variance import FixedPoint, variance_slope
from meanfield.solve.walk import gradient_factor, summing_to_0, walk
from meanfield.theory.plain_field import CRITICAL, PlainField
from meanfield.theory.trajectory import Trajectory, checked_depth, propagate, started

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.layers.layer import Affine
    from meanfield.theory.depth_law import DepthLaws
    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum

LOWEST, HIGHEST = 2.0**-60, 2.0**60  # between which fixed points of a layer's variance are looked for
STEP = 1e-3  # of log q, for the slope of a variance map that has no formula
EQUAL = 1e-13  # |F(q) − q|/q up to this is rounding
BEYOND = 1e60  # a variance at which a layer without a formula shows how it grows
FAR = 1e40  # a variance at which a bounded φ is its two ends
LOSSES = np.geomspace(1e-15, 2.0, 240)  # where the map is looked at for its fixed point


class LayerField(PlainField):
    """`MeanField` of a layer that is repeated. See there; `MeanField(layer)` makes one."""

    def __init__(self, activation: Any, sigma_w: float | None = None, sigma_b: float | None = None) -> None:
        if sigma_w is not None or sigma_b is not None:
            raise DomainError("a layer brings its own sigma_w and sigma_b: give MeanField the layer alone")
        self.layer: Layer = activation.layer if isinstance(activation, Repeat) else activation
        first = self.layer.apply(State.of(1.0, 1.0, 0.5)).state
        try:
            self.layer.apply(first)
        except MisplacedLayer as error:
            raise MisplacedLayer(f"it can't be repeated: {error.reason}", error.layer, error.place) from None
        if isinstance(self.layer, Residual) and np.any(first.whole.mean1):
            raise MisplacedLayer(
                "the mean of its stream grows with its variance: follow it with Network(layer * depth).propagate", self.layer
            )
        affine = self.layer.affine()
        self._affine = affine
        if affine is not None:
            self.rule = affine
            self.activation = affine.activation
            self._table = moment_table(self.activation)
        self._weight = affine.w if affine is not None else math.nan
        self._bias = affine.b if affine is not None else math.nan

    def _origins(self) -> tuple[Any, ...]:
        return (self.layer,)

    def __repr__(self) -> str:
        return f"MeanField({self.layer})"

    @cached_property
    def _plain(self) -> PlainField | None:
        """The plain network with the same variance map but for a slower step: σ² over 1 − a."""
        rule = self._affine
        if rule is None or rule.a >= 1.0:
            return None
        return PlainField(rule.activation, math.sqrt(rule.w * rule.mu / (1.0 - rule.a)), math.sqrt(rule.b / (1.0 - rule.a)))

    def _behind(self, q: Any, epsilon: Any, tangent: Any = None) -> Part:
        with np.errstate(over="ignore", invalid="ignore"):  # inf where a variance passes the range of numbers
            return self.layer.apply(State.of(q, q, epsilon, tangent)).state.whole

    def jacobian_spectrum(self, depth: int, weights: str = "gaussian", q: Any = None, widths: Any = None) -> JacobianSpectrum:
        """See `MeanField.jacobian_spectrum`; for an activation and a dense layer, as they are or as the branch of a residual block.

        Examples
        --------
        >>> import meanfield as mf
        >>> from meanfield import layers as L
        >>> s = mf.MeanField(L.Residual("tanh", L.Dense(1.0), scale=0.2)).jacobian_spectrum(8, q=0.7)
        >>> round(s.mean, 5), round(s.variance / s.mean**2, 4)
        (1.18255, 0.3299)
        """
        from meanfield.theory.spectrum.plain_layers import spectrum_of
        from meanfield.theory.spectrum.residual import spectrum_of_blocks

        rule = self._affine
        if rule is None or rule.mu != 1.0:
            raise DomainError(
                f"the spectrum of the Jacobian of {self.layer} is not known: only that of an activation and a dense layer is, and of a "
                f"residual block with these in its branch"
            )
        if rule.a > 0.0:
            if widths is not None:
                raise DomainError("widths: a residual block does not change its width")
            return spectrum_of_blocks(self, depth, weights, q)
        plain = PlainField(rule.activation, math.sqrt(rule.w), math.sqrt(rule.b))
        return spectrum_of(plain, depth, weights, self.q_star if q is None else q, widths)

    def spectrum_variance(self, q: Any) -> float:
        """One variance; q* where there is none."""
        from meanfield.theory.spectrum.plain_layers import one_variance

        return float(self.q_star) if q is None else one_variance(q)

    def variance_map(self, q: Any) -> Any:
        at = variance("q", q)
        rule = self._affine
        if rule is not None:
            moment = second_moments(rule.activation, at, 0) if rule.w > 0.0 else np.zeros(at.shape)
            return unwrap(rule.b + rule.w * rule.mu * moment + rule.a * at)
        try:
            found = self._behind(at, np.zeros(at.shape)).q1
        except MisplacedLayer:  # a batch of equal inputs: 0/0
            found = self._behind(at, np.ones(at.shape)).q1
        return unwrap(np.asarray(found, dtype=np.float64).reshape(at.shape))

    def variance_slope(self, q: Any) -> Any:
        at = variance("q", q)
        rule = self._affine
        if rule is not None:
            return unwrap(rule.a + variance_slope(rule.activation, self._table, rule.w * rule.mu, at))
        if np.any(at == 0.0):
            at = np.where(at == 0.0, LOWEST, at)  # the limit q → 0⁺
        # Central differences in log q of four widths, extrapolated: errors of order STEP⁸.
        steps = STEP * np.array([1.0, 2.0, 3.0, 4.0])
        weights = np.array([8.0 / 5.0, -4.0 / 5.0, 8.0 / 35.0, -1.0 / 35.0])
        rises = [(self.variance_map(at * math.exp(h)) - self.variance_map(at * math.exp(-h))) / (2.0 * h) for h in steps]
        slope = sum(w * rise for w, rise in zip(weights, rises, strict=True))
        return unwrap(np.asarray(slope / at))

    @cached_property
    def _fixed_points(self) -> tuple[FixedPoint, ...]:
        if self._plain is not None:
            assert self._affine is not None
            a = self._affine.a
            return tuple(FixedPoint(p.value, a + (1.0 - a) * p.slope, p.stable) for p in self._plain.variance_fixed_points())
        zero = self._zero()
        if self._affine is not None:  # a ≥ 1: F(q) > q but where nothing is added at all
            return zero
        grid = octave_grid(LOWEST, HIGHEST)

        def excess(q: Array, _brackets: Any = None) -> Array:
            found: Array = np.asarray(self.variance_map(q)) / q - 1.0
            return found

        values = excess(grid)
        if np.all(np.abs(values) <= EQUAL):
            return zero
        grid, values = with_extrema(grid, values, excess)
        clear = np.flatnonzero(np.abs(values) > EQUAL)
        low, high = clear[:-1], clear[1:]
        crossing = np.sign(values[low]) != np.sign(values[high])
        low, high = low[crossing], high[crossing]
        found = polish(excess, grid[low], grid[high], values[low], values[high]) if low.size else np.empty(0)
        points = [FixedPoint(float(q), slope, abs(slope) < 1.0) for q in found for slope in (float(self.variance_slope(float(q))),)]
        return (*zero, *points)

    def _zero(self) -> tuple[FixedPoint, ...]:
        """The point 0, where an input of variance 0 stays there."""
        try:
            if float(self.variance_map(0.0)) != 0.0:
                return ()
        except DomainError:  # 0/0 of a normalisation
            return ()
        slope = float(self.variance_map(LOWEST)) / LOWEST
        return (FixedPoint(0.0, slope, slope < 1.0),)

    def variance_limit(self, q0: float = 1.0) -> float:
        start = variance("q0", q0)
        if start.ndim:
            raise DomainError(f"q0 must be one number, not an array of shape {start.shape}")
        q = float(start)
        if self._plain is not None and self._affine is not None and self._affine.a == 0.0:
            return self._plain.variance_limit(q)
        return self._towards(q)

    def _towards(self, q: float) -> float:
        """Step by step, until F is seen to rise all the way to the next fixed point."""
        for _ in range(10_000):
            after = float(self.variance_map(q))
            if self._affine is not None and self._affine.a >= 1.0 and after > q * (1.0 + EQUAL):
                return math.inf  # F(q) − q = (a − 1) q + b + w V > 0 at every q > 0
            if math.isinf(after) or after > 1e280:
                return math.inf
            if abs(after - q) <= EQUAL * q:
                return min((p.value for p in self._fixed_points if abs(p.value - q) <= 1e-6 * q), key=lambda v: abs(v - q), default=q)
            upwards = after > q
            ahead = [p.value for p in self._fixed_points if (p.value > q if upwards else p.value < q)]
            if not ahead and not upwards:
                q = after
                continue
            target = (min(ahead) if upwards else max(ahead)) if ahead else math.inf
            low, high = min(q, target), min(max(q, target), HIGHEST)
            low = max(low, high * 2.0**-60)
            if low >= high or np.all(np.diff(np.asarray(self.variance_map(octave_grid(low, high)))) >= 0.0):
                return target
            q = after
        return q

    def _factor(self, q: float) -> float:
        """The gradient's factor: of two inputs at c* where a batch is normalised, of any two elsewhere."""
        epsilon = 0.5
        if summing_to_0((self.layer,)) is not None:
            epsilon = self._correlation_point.epsilon
        return gradient_factor(self.layer, State.of(q, q, epsilon if 0.0 < epsilon <= 2.0 else 0.5))

    @cached_property
    def chi_1(self) -> float:
        """The gradient's factor |δ before|²/|δ behind|² at q*: σ_w² V[φ'] for the plain layer; inf where φ jumps.

        Where the layer normalises a batch the factor depends on the correlation too, and is that at c*.
        """
        q, rule = self.q_star, self._affine
        if rule is not None and rule.w > 0.0 and self._table.has_jumps:
            return math.inf
        if rule is not None and not 0.0 < q < math.inf:
            return rule.a + (rule.w * rule.mu * limits.mean_square_slope(rule.activation, q) if rule.w > 0.0 else 0.0)
        return self._factor(min(max(q, 1.0 / BEYOND), BEYOND))

    @cached_property
    def _slope_at_one(self) -> float:
        """f'(1), normalised by the variances; inf where 1 is no fixed point."""
        q = min(max(self.q_star, 1.0 / BEYOND), BEYOND)
        try:
            behind = self._behind(q, np.zeros(1), np.ones(1))
        except MisplacedLayer:  # a batch of equal inputs: 0/0
            return math.inf
        if float(behind.epsilon[0]) > 0.0:
            return math.inf
        slope = float(behind.slope[0]) * q / float(np.ravel(behind.q1)[0])
        return 1.0 if abs(slope - 1.0) <= CRITICAL else slope

    @property
    def phase(self) -> str:
        """ "ordered" (f'(1) < 1 at q*), "critical" (within 1e-12 of 1) or "chaotic" (above, or c = 1 is no fixed point at all)."""
        if self._plain is not None and self._affine is not None and self._affine.mu == 1.0:
            return self._plain.phase
        slope = self._slope_at_one
        return "critical" if slope == 1.0 else "ordered" if slope < 1.0 else "chaotic"

    @cached_property
    def _correlation_point(self) -> CorrelationPoint:
        rule, q = self._affine, self.q_star
        if rule is not None and rule.mu == 1.0 and self._plain is not None:
            point = self._plain._correlation_point
            slope = rule.a + (1.0 - rule.a) * point.slope
            return CorrelationPoint(point.c, point.epsilon, slope, (1.0 - rule.a) * point.loss, point.reason)
        if 0.0 < q < math.inf:
            return self._fixed_correlation(lambda loss, tangent=None: self._behind(q, loss, tangent), q)
        return self._correlation_far_out(q)

    def _fixed_correlation(self, behind: Callable[..., Part], q: float) -> CorrelationPoint:
        """The first ε from 0 on at which ε' stops to exceed it."""
        from scipy.optimize import brentq

        rise = np.broadcast_to(behind(LOSSES).epsilon, LOSSES.shape) - LOSSES
        if np.all(np.abs(rise) <= 4e-15 * LOSSES + 1e-16):
            return CorrelationPoint(math.nan, math.nan, 1.0, 0.0, "the correlation map is the identity: every c is a fixed point")
        if not self._leaves_one(behind, q):
            slope = self._slope(behind, 0.0, q)
            slope = 1.0 if abs(slope - 1.0) <= CRITICAL else slope
            return CorrelationPoint(1.0, 0.0, slope, 1.0 - slope)
        below = np.flatnonzero(rise < 0.0)
        if not below.size:
            return CorrelationPoint(-1.0, 2.0, self._slope(behind, 2.0, q), math.nan)
        at = int(below[0])
        low = LOSSES[at - 1] if at else 1e-300

        def excess(log_loss: float) -> float:
            loss = math.exp(log_loss)
            return float(np.ravel(behind(np.array([loss])).epsilon)[0]) / loss - 1.0

        epsilon = math.exp(brentq(excess, math.log(low), math.log(LOSSES[at]), xtol=1e-300, rtol=1e-15, maxiter=500))
        slope = self._slope(behind, epsilon, q)
        c = 1.0 - epsilon
        return CorrelationPoint(c if abs(c) > 1e-15 else 0.0, epsilon, slope, 1.0 - slope)  # what is left of 0 is rounding

    def _leaves_one(self, behind: Callable[..., Part], q: float) -> bool:
        """Whether c = 1 is no fixed point, or a repelling one."""
        try:
            loss = float(np.ravel(behind(np.zeros(1)).epsilon)[0])
        except MisplacedLayer:  # a batch of equal inputs: 0/0
            return True
        return loss > 0.0 or self._slope(behind, 0.0, q) > 1.0 + CRITICAL

    def _slope(self, behind: Callable[..., Part], epsilon: float, q: float) -> float:
        found = behind(np.array([epsilon]), np.ones(1))
        return float(np.ravel(found.slope)[0]) * q / float(np.ravel(found.q1)[0])

    def _correlation_far_out(self, q: float) -> CorrelationPoint:
        """q* = 0 or inf: where the stream's correlation drifts to."""
        rule, layer = self._affine, self.layer
        if rule is not None:
            left, right = limits.slopes(rule.activation, q)
            if rule.w == 0.0 or (left == right and is_line(rule.activation, q)):
                return CorrelationPoint(math.nan, math.nan, 1.0, 0.0, "the correlation map is the identity there: every c is a fixed point")
            if q > 0.0 and left == right == 0.0:  # φ is bounded: what is added has its own correlation, and the stream takes it over
                weight, bias, act = rule.w, rule.b, rule.activation
                if limits.oscillates(act):  # C[φ](q, q, c) tends to E[φ]² at every c < 1
                    v, mean = limits.settled(act, V), limits.settled(act, MEAN)
                    loss = weight * (rule.mu * v - mean * mean) / (bias + weight * rule.mu * v)
                    return CorrelationPoint(1.0 - loss, loss, 1.0, 0.0)

                def branch(loss: Array, tangent: Array | None = None) -> Part:
                    from meanfield.layers.activation import Activation
                    from meanfield.layers.dense import Dense

                    inner = Activation(act).apply(State.of(FAR, FAR, loss, tangent)).state
                    return Dense(math.sqrt(weight), math.sqrt(bias)).apply(inner).state.whole

                point = self._fixed_correlation(branch, FAR)
                return CorrelationPoint(point.c, point.epsilon, 1.0, 0.0)
            return CorrelationPoint(1.0, 0.0, 1.0, 0.0)
        if q > 0.0 and isinstance(layer, Residual) and abs(layer.skip) == 1.0 and isinstance(layer.branch.layers[0], (LayerNorm, RMSNorm)):
            point = self._fixed_correlation(
                lambda loss, tangent=None: layer.branch.apply(State.of(1.0, 1.0, loss, tangent)).state.whole, 1.0
            )
            return CorrelationPoint(point.c, point.epsilon, 1.0, 0.0, point.reason)
        where = "0" if q == 0.0 else "infinity"
        return CorrelationPoint(
            math.nan, math.nan, math.nan, math.nan, f"the variance goes to {where}, where the limit of this layer's map is not known"
        )

    @cached_property
    def growth_far_out(self) -> float:
        """As `MeanField.growth_far_out`; the gradient's factor where the maps have no formula."""
        rule = self._affine
        if rule is None:
            return self.chi_1
        return rule.a + (rule.w * rule.mu * limits.growth(rule.activation) if rule.w > 0.0 else 0.0)

    @cached_property
    def depth_scales(self) -> DepthScales:
        """As `MeanField.depth_scales`; the gradient's from its own factor, which is not f'(1) where variances grow."""
        point, q, rule = self._correlation_point, self.q_star, self._affine
        slope = self.growth_far_out if math.isinf(q) and rule is not None else float(self.variance_slope(q if math.isfinite(q) else BEYOND))
        resolved = point.epsilon > 0.0 and 0.0 < point.loss < 0.9
        correlation = -1.0 / math.log1p(-point.loss) if resolved else depth_scale(point.slope)
        gradient = math.inf if abs(self.chi_1 - 1.0) <= CRITICAL else depth_scale(self.chi_1)
        return DepthScales(depth_scale(slope), correlation, gradient)

    @property
    def rule_or_none(self) -> Affine | None:
        """The layer's maps as a, b, w, μ and φ, where they have that form."""
        return self._affine

    @property
    def branch_factor(self) -> float:
        """The gradient's factor of a residual layer's branch at variance 1."""
        assert isinstance(self.layer, Residual)
        step = self.layer.branch.apply(State.of(1.0, 1.0, 0.5))
        return float(total(step.pull(at_output(step.state))))

    @cached_property
    def depth_law(self) -> DepthLaws:
        from meanfield.theory.depth_law import layer_laws

        return layer_laws(self)

    def _where(self, q: Any) -> float:
        at = self._at(q)
        if not 0.0 < at < math.inf:
            raise DomainError(f"q = {at!r}: the maps of a layer are known at positive finite variances; give q")
        return at

    def correlation_map(self, c: Any, q: float | None = None) -> Any:
        at, correlation = self._where(q), correlation_argument("c", c)
        return unwrap(1.0 - np.broadcast_to(self._behind(at, 1.0 - correlation).epsilon, correlation.shape))

    def correlation_slope(self, c: Any, q: float | None = None) -> Any:
        at, correlation = self._where(q), correlation_argument("c", c)
        found = self._behind(at, 1.0 - correlation, np.ones(correlation.shape))
        return unwrap(np.asarray(found.slope * at / found.q1, dtype=np.float64).reshape(correlation.shape))

    def decorrelation_map(self, epsilon: Any, q: float | None = None) -> Any:
        at, loss = self._where(q), within("epsilon", epsilon, 0.0, 2.0)
        return unwrap(np.array(np.broadcast_to(self._behind(at, loss).epsilon, loss.shape)))

    def propagate(
        self, depth: int, q: Any = 1.0, c: float | None = None, hold_variance: bool = False, *, epsilon: float | None = None
    ) -> Trajectory:
        start = 0.5 if c is None and epsilon is None else c
        if self._affine is not None:
            return propagate(self, depth, q, start, epsilon, hold_variance)
        layers = checked_depth(depth)
        first, second, loss = started(q, start, epsilon)
        if hold_variance:
            return self._held(layers, first, second, loss)
        found = walk((Repeat(self.layer, layers),) if layers else (), State.of(first, second, loss))
        moments = found.moments
        with np.errstate(over="ignore"):
            gradient = np.exp(found.log_gradient)
        return Trajectory(moments.q1, moments.q2, 1.0 - moments.epsilon, moments.epsilon, gradient, moments.mean1, moments.mean2)

    def _held(self, layers: int, first: float, second: float, loss: float) -> Trajectory:
        if first != second or not first > 0.0:
            raise DomainError(f"q = ({first!r}, {second!r}): a held variance is one positive number for both inputs of a layer")
        found = layer_recursion(self.layer, first)
        if found is None:
            raise DomainError(f"{self.layer}: no short series follows its correlation map, which can't be held at one variance")
        x = evenly(found.table, layers, math.sqrt(0.5 * loss), 1.0, 0.0, found.loss)
        epsilon = 2.0 * x**2
        epsilon[0] = loss
        q = np.full(layers + 1, first)
        with np.errstate(over="ignore"):
            gradient = self._factor(first) ** np.arange(layers, -1, -1.0)
        return Trajectory(q, q.copy(), 1.0 - epsilon, epsilon, gradient)
