"""Every question of `MeanField`, asked of an activation with σ_w and σ_b."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.expectation.arguments import correlation_argument, unwrap, variance, within
from meanfield.expectation.covariance import covariances, decorrelations
from meanfield.expectation.moments import V1, moment_table
from meanfield.layers import limits
from meanfield.layers.layer import Affine
from meanfield.layers.limits import is_line
from meanfield.solve.angle_recursion import limit_slopes
from meanfield.solve.correlation import CorrelationPoint, DepthScales, chaotic_fixed_point, depth_scale, every_point
from meanfield.solve.variance import FixedPoint, fixed_points, limit, variance_map, variance_slope
from meanfield.theory.arguments import one_standard_deviation

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.theory.depth_law import DepthLaws
    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum
    from meanfield.theory.trajectory import Trajectory

CRITICAL = 1e-12  # |χ₁ − 1| up to this is called critical


class PlainField:
    """`meanfield.MeanField` of an activation with σ_w and σ_b; see there."""

    def __init__(self, activation: Any, sigma_w: float | None = None, sigma_b: float | None = None) -> None:
        if sigma_w is None or sigma_b is None:
            raise DomainError("MeanField of an activation needs sigma_w and sigma_b; of a layer, the layer alone")
        self.activation = find_activation(activation)
        self.sigma_w = one_standard_deviation("sigma_w", sigma_w)
        self.sigma_b = one_standard_deviation("sigma_b", sigma_b)
        self._weight = self.sigma_w**2
        self._bias = self.sigma_b**2
        self._table = moment_table(self.activation)
        self.rule = Affine(0.0, self._bias, self._weight, 1.0, self.activation)

    def _origins(self) -> tuple[Any, ...]:
        """What it was made from: all that is compared, and all that travels in a pickle; the rest is worked out again."""
        return (self.activation, self.sigma_w, self.sigma_b)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlainField) and type(self) is type(other) and self._origins() == other._origins()

    def __hash__(self) -> int:
        return hash(self._origins())

    def __repr__(self) -> str:
        return f"MeanField({self.activation.name!r}, sigma_w={self.sigma_w!r}, sigma_b={self.sigma_b!r})"

    def variance_map(self, q: Any) -> Any:
        """F(q) = σ_b² + σ_w² V[φ](q) (Poole et al. 2016, eq. 3).

        Parameters
        ----------
        q : float or array
            Variance: 0, or in [1e-280, 1e280].

        Returns
        -------
        float or ndarray
            Shaped like q; inf where V[φ] is.

        Examples
        --------
        >>> import meanfield as mf
        >>> round(mf.MeanField("relu", sigma_w=2**0.5, sigma_b=0.0).variance_map(3.0), 12)
        3.0
        """
        return unwrap(variance_map(self.activation, self._table, self._weight, self._bias, variance("q", q)))

    def variance_slope(self, q: Any) -> Any:
        """F'(q) = σ_w² E[φ(√q Z)² (Z² − 1)]/(2q); at q = 0 the limit q → 0⁺.

        Parameters
        ----------
        q : float or array
            Variance: 0, or in [1e-280, 1e280].

        Returns
        -------
        float or ndarray
            Shaped like q.
        """
        return unwrap(variance_slope(self.activation, self._table, self._weight, variance("q", q)))

    def variance_fixed_points(self) -> tuple[FixedPoint, ...]:
        """All solutions of F(q) = q, ascending; 0 included where F(0) = 0.

        Where F(q) = q holds on a whole range (ReLU-like φ at criticality) only 0 is listed, with slope 1.

        Examples
        --------
        >>> import meanfield as mf
        >>> for point in mf.MeanField("silu", sigma_w=1.8, sigma_b=0.1).variance_fixed_points():
        ...     print(f"{point.value:.4f} {point.slope:.4f} {point.stable}")
        0.0657 0.8838 True
        0.3341 1.0973 False
        """
        return self._fixed_points

    @cached_property
    def _fixed_points(self) -> tuple[FixedPoint, ...]:
        return fixed_points(self.activation, self._table, self._weight, self._bias)

    def variance_limit(self, q0: float = 1.0) -> float:
        """Where the recursion q, F(q), F(F(q)), … from q0 goes.

        Parameters
        ----------
        q0 : float
            Starting variance: 0, or in [1e-280, 1e280].

        Returns
        -------
        float
            0.0, a fixed point, or inf.

        Examples
        --------
        >>> import meanfield as mf
        >>> mf.MeanField("relu", sigma_w=2.0, sigma_b=0.0).variance_limit(1.0)
        inf
        """
        start = variance("q0", q0)
        if start.ndim:
            raise DomainError(f"q0 must be one number, not an array of shape {start.shape}")
        return limit(self.activation, self._table, self._weight, self._bias, self._fixed_points, float(start))

    @cached_property
    def q_star(self) -> float:
        """The limit of the variance recursion from q = 1; 0.0 and inf are answers."""
        return self.variance_limit(1.0)

    @cached_property
    def chi_1(self) -> float:
        """χ₁ = σ_w² V[φ'](q*) (Poole et al. 2016, eq. 7); inf where φ jumps or φ' is not square-integrable (√|x − 1|).

        At q* = 0 it is the limit q → 0⁺, at q* = inf that of φ's tail slopes.
        """
        if self._weight == 0.0:
            return 0.0
        if self._table.steep:
            return math.inf
        if 0 < self.q_star < math.inf:
            return self._weight * float(self._table(V1, np.array([self.q_star]))[0])
        return self._weight * limits.mean_square_slope(self.activation, self.q_star)

    @property
    def phase(self) -> str:
        """ "ordered" (χ₁ < 1), "critical" (χ₁ within 1e-12 of 1) or "chaotic" (χ₁ > 1)."""
        if abs(self.chi_1 - 1.0) <= CRITICAL:
            return "critical"
        return "ordered" if self.chi_1 < 1 else "chaotic"

    @cached_property
    def _correlation_point(self) -> CorrelationPoint:
        """The stable fixed point of the correlation map at q*."""
        if self._weight == 0.0:
            self._nonzero()
            return CorrelationPoint(1.0, 0.0, 0.0, 1.0)
        if self._is_limit(self.q_star):
            # The normalised map of φ's slopes: f(1) = 1 and f'(1) = 1.
            try:
                limit_slopes(self.activation, self.q_star)
            except DomainError as error:  # a property has no q to give
                why = f"q → {'0' if self.q_star == 0.0 else '∞'}: {str(error).removesuffix('; give q')}"
                return CorrelationPoint(math.nan, math.nan, math.nan, math.nan, why)
            # At χ₁ = 1 variances grow to infinity by what is the same in both inputs, the bias, and there c → 1 all the same.
            if limits.same_slopes(self.activation, self.q_star) and not (self.phase == "critical" and math.isinf(self.q_star)):
                return every_point(self.activation, f"in the limit q → {'0' if self.q_star == 0.0 else '∞'}")
            return CorrelationPoint(1.0, 0.0, 1.0, 0.0)
        if self._bias == 0.0 and self.phase == "critical" and is_line(self.activation, self.q_star):
            return every_point(self.activation, "at every q, as φ is linear and there is no bias")
        if self.phase == "chaotic":
            return chaotic_fixed_point(self.activation, self.q_star, self._weight, self._bias)
        slope = 1.0 if self.phase == "critical" else self.chi_1
        return CorrelationPoint(1.0, 0.0, slope, 1.0 - slope)

    @property
    def c_star(self) -> float:
        """c*, the stable fixed point of the correlation map at q*: 1 unless the network is chaotic.

        In the limits q* = 0 and q* = inf the map is normalised by a variance that itself shrinks or grows, so f'(1) = 1
        whatever χ₁ is. Where the slopes of φ differ there (ReLU) c* = 1. Where they agree (tanh, σ_b = 0, σ_w ≤ 1) the map is the
        identity, as it is for linear φ without biases: every correlation is a fixed point, c* is nan, and `c_star_reason` says so.
        Where φ is flatter than linear at 0, or steeper far out, the map has no limit: nan, with that reason.

        Examples
        --------
        >>> import meanfield as mf
        >>> round(mf.MeanField("tanh", sigma_w=2.5, sigma_b=0.3).c_star, 10)  # Poole et al. 2016
        0.1221037473
        """
        return self._correlation_point.c

    @property
    def c_star_reason(self) -> str:
        """Why c* and 1 − c* are nan, or "".

        Examples
        --------
        >>> import meanfield as mf
        >>> net = mf.MeanField("tanh", sigma_w=0.8, sigma_b=0.0)
        >>> net.c_star, net.c_star_reason.split(":")[0]
        (nan, 'the correlation map of tanh is the identity in the limit q → 0')
        """
        return self._correlation_point.reason

    @property
    def epsilon_star(self) -> float:
        """1 − c*, to relative accuracy 1e-14/(χ₁ − 1) or so just above criticality, where c* nears 1; nan where c* is.

        Examples
        --------
        >>> import meanfield as mf
        >>> mf.MeanField("tanh", sigma_w=1.3, sigma_b=0.2).epsilon_star
        0.0
        """
        return self._correlation_point.epsilon

    @cached_property
    def growth_far_out(self) -> float:
        """F(q)/q in the limit q → ∞: χ₁ there, but for φ whose slope oscillates (x + sin(x))."""
        return self._weight * limits.growth(self.activation) if self._weight > 0.0 else 0.0

    @cached_property
    def depth_scales(self) -> DepthScales:
        """ξ = ``−1/log|slope|`` of the variance (F'(q*)), the correlation (f'(c*)) and the gradient (χ₁) (Schoenholz et al. 2017).

        inf where the slope is ±1, 0 where the slope is 0 or infinite (χ₁ of φ that jumps), negative where it exceeds 1: gradients
        that grow, or at q* = inf a variance that does. At q* = 0 and q* = inf the slopes are the limits there, and the
        normalised correlation map has f'(1) = 1, hence xi_c = inf: correlations settle slower than exponentially, or not at all.

        Examples
        --------
        >>> import meanfield as mf
        >>> scales = mf.MeanField("tanh", sigma_w=1.3, sigma_b=0.2).depth_scales
        >>> round(scales.xi_q, 4), round(scales.xi_c, 3)
        (1.6437, 437.313)
        """
        point = self._correlation_point
        if self._weight == 0.0:
            return DepthScales(0.0, 0.0, 0.0)
        slope = self.growth_far_out if self.q_star == math.inf else float(self.variance_slope(self.q_star))
        gradient = math.inf if self.phase == "critical" else depth_scale(self.chi_1)
        resolved = point.epsilon > 0.0 and 0.0 < point.loss < 0.9
        correlation = -1.0 / math.log1p(-point.loss) if resolved else depth_scale(point.slope)
        return DepthScales(depth_scale(slope), correlation, gradient)

    @cached_property
    def depth_law(self) -> DepthLaws:
        """How q, 1 − c and the gradient depend on the depth: a `DepthLaw` each, of a kind, an exponent and a constant.

        Examples
        --------
        >>> import meanfield as mf
        >>> from meanfield import layers as L
        >>> print(mf.MeanField(L.Residual(L.LayerNorm(), "relu", L.Dense(2**0.5))).depth_law)
        variance: 1 l^1
        1 - c: 44.4132 (log l)^-2
        gradient: l^1
        """
        from meanfield.theory.depth_law import plain_laws

        return plain_laws(self)

    def jacobian_spectrum(self, depth: int, weights: str = "gaussian", q: Any = None, widths: Any = None) -> JacobianSpectrum:
        """The law of the singular values of ∂h^L/∂h⁰; see `meanfield.jacobian_spectrum`.

        Examples
        --------
        >>> import meanfield as mf
        >>> s = mf.MeanField("relu", sigma_w=2**0.5, sigma_b=0.0).jacobian_spectrum(depth=4)
        >>> round(s.edges[1] ** 2, 6), s.atoms
        (21.858249, (Atom(value=0.0, mass=0.5),))
        """
        from meanfield.theory.spectrum.plain_layers import spectrum_of

        return spectrum_of(self, depth, weights, q, widths)

    def _at(self, q: Any) -> float:
        if q is None:
            return self.q_star
        if np.ndim(q) == 0 and q == math.inf:
            return math.inf
        array = variance("q", q)
        if array.ndim:
            raise DomainError(f"q must be one number, not an array of shape {array.shape}")
        return float(array)

    def _is_limit(self, q: float) -> bool:
        """Whether the map at q is a limit: infinite q, or q = 0 where F(0) = 0 leaves 0/0."""
        return math.isinf(q) or (q == 0.0 and float(self.variance_map(0.0)) == 0.0)

    def correlation_map(self, c: Any, q: float | None = None) -> Any:
        """f(c) = (σ_b² + σ_w² C[φ](q, q, c))/F(q), the correlation one layer on (Poole et al. 2016, eq. 6).

        Parameters
        ----------
        c : float or array
            Correlation, in [−1, 1].
        q : float, optional
            Variance of both inputs; q* where not given. At 0 and inf the map is its limit, that of φ's slopes there.

        Returns
        -------
        float or ndarray
            Shaped like c.

        Examples
        --------
        >>> import meanfield as mf
        >>> net = mf.MeanField("relu", sigma_w=2**0.5, sigma_b=0.0)
        >>> round(net.correlation_map(0.0), 12)  # 1/π
        0.318309886184
        """
        at = self._at(q)
        correlation = correlation_argument("c", c)
        if self._weight == 0.0:
            self._nonzero()
            return unwrap(np.ones(correlation.shape))
        if self._is_limit(at):
            return unwrap(limits.map_of_slopes(*limits.slopes(self.activation, at), correlation))
        norm = float(self.variance_map(at))
        values = covariances(self.activation, *_at(at, correlation), correlation, 0)
        result = (self._bias + self._weight * values) / norm
        # f(1) = 1 by definition; rounding must not carry |f| past 1.
        return unwrap(np.where(correlation == 1.0, 1.0, np.clip(result, -1.0, 1.0)))

    def correlation_slope(self, c: Any, q: float | None = None) -> Any:
        """f'(c) = σ_w² q C[φ'](q, q, c)/F(q), by Price's theorem; χ₁ at c = 1 and q = q*.

        Parameters
        ----------
        c : float or array
            Correlation, in [−1, 1].
        q : float, optional
            Variance of both inputs; q* where not given.

        Returns
        -------
        float or ndarray
            Shaped like c; inf at c = 1 where φ jumps.
        """
        at = self._at(q)
        correlation = correlation_argument("c", c)
        if self._weight == 0.0:
            self._nonzero()
            return unwrap(np.zeros(correlation.shape))
        if self._is_limit(at):
            return unwrap(limits.slope_of_slopes(*limits.slopes(self.activation, at), correlation))
        norm = float(self.variance_map(at))
        values = covariances(self.activation, *_at(at, correlation), correlation, 1)
        return unwrap(self._weight * at * values / norm)

    def decorrelation_map(self, epsilon: Any, q: float | None = None) -> Any:
        """1 − f(1 − ε) = (σ_w²/F(q)) ½E[(φ(u) − φ(v))²], to relative accuracy however small ε is.

        Parameters
        ----------
        epsilon : float or array
            Decorrelation ε = 1 − c, in [0, 2].
        q : float, optional
            Variance of both inputs; q* where not given.

        Returns
        -------
        float or ndarray
            Shaped like epsilon.

        Examples
        --------
        >>> import meanfield as mf
        >>> net = mf.MeanField("linear", sigma_w=1.0, sigma_b=0.0)
        >>> round(net.decorrelation_map(1e-15, q=1.0) / 1e-15, 12)
        1.0
        """
        at = self._at(q)
        loss = within("epsilon", epsilon, 0.0, 2.0)
        if self._weight == 0.0:
            self._nonzero()
            return unwrap(np.zeros(loss.shape))
        if self._is_limit(at):
            return unwrap(limits.loss_of_slopes(*limits.slopes(self.activation, at), loss))
        norm = float(self.variance_map(at))
        return unwrap(self._weight / norm * decorrelations(self.activation, _at(at, loss)[0], loss))

    def propagate(
        self,
        depth: int,
        q: Any = 1.0,
        c: float | None = None,
        hold_variance: bool = False,
        *,
        epsilon: float | None = None,
    ) -> Trajectory:
        """Two inputs through `depth` layers: variances, correlation, and the gradient on its way back.

        Parameters
        ----------
        depth : int
            Number of layers L, in [0, 10⁸].
        q : float or pair of floats
            Variance of the pre-activations at the start, of both inputs or (q1, q2): 0, or in [1e-280, 1e280].
        c : float, optional
            Correlation at the start, in [−1, 1]; 0.5 where neither c nor epsilon is given.
        hold_variance : bool
            Keep the variances where they are: for variance fixed points that are unstable.
        epsilon : float, optional
            The start as 1 − c instead, in [0, 2].

        Returns
        -------
        Trajectory
            q1, q2, c, epsilon, gradient: arrays of length depth + 1, index 0 the start.

        Raises
        ------
        DomainError
            If an argument is out of range, or a correlation with a vanishing input is asked for.

        Notes
        -----
        ε = 1 − c is carried to relative accuracy while the variances are equal. While they differ ε is good to about 1e-15
        absolutely; within 2e-8 of each other they count as equal. Once a variance
        stands still, a layer costs nanoseconds; there, f'(1) within 1e-12 of 1 is taken to be 1. Variances below 1e-280 become
        0 and above 1e280 inf, where the correlation map is its limit; where φ is steeper than linear there is none, and c is
        nan with an AccuracyWarning. gradient is inf above 1e308 and 0 below 1e-308.

        References
        ----------
        Schoenholz et al. (2017); Hayou et al. (2018).

        Examples
        --------
        >>> import meanfield as mf
        >>> relu = mf.MeanField("relu", sigma_w=2**0.5, sigma_b=0.0).propagate(1000)
        >>> round(float(relu.epsilon[1000]) * 1e5, 6)  # 9π²/(2l²) to leading order
        4.295604
        >>> float(relu.gradient[0])
        1.0
        """
        from meanfield.theory.trajectory import propagate

        return propagate(self, depth, q, 0.5 if c is None and epsilon is None else c, epsilon, hold_variance)

    def _nonzero(self) -> None:
        if self._bias == 0.0:
            raise DomainError("sigma_w = 0 and sigma_b = 0 leave every layer at 0: no correlation is defined")


def _at(q: float, like: Array) -> tuple[Array, Array]:
    """q for both inputs, shaped like another array."""
    both = np.full(like.shape, q)
    return both, both
