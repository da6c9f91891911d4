"""What a finite width does to a random network, to first order in 1/width."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield._callable import make_callable
from meanfield.errors import AccuracyWarning, DomainError
from meanfield.expectation.arguments import correlation_argument, real_array, variance
from meanfield.expectation.fourth_moments import PairMoments, line_moments, pair_moments
from meanfield.result import Result, paged
from meanfield.theory.mean_field import MeanField

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

DEEPEST = 10_000
TOLERANCE = 1e-6  # relative error of the integrals past which an AccuracyWarning is given
OPPOSITE = 1e-13  # 1 + c below which the inputs count as opposite
STILL = 1e-11  # relative change of a layer's (q1, q2, ε) below which its moments are those of the layer before

# Fluctuations are followed in the coordinates K11, K11 − K22 and E = ½(K11 + K22) − K12 = ½E[(h1 − h2)²]: each keeps its
# relative accuracy when the two inputs grow alike. Rows: dK11, dK22, dE along each coordinate.
_DIRECTIONS = ((1.0, 1.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
# (K11, K22, K12) from those coordinates.
_TO_KERNEL = np.array([[1.0, 0.0, 0.0], [1.0, -1.0, 0.0], [1.0, -0.5, -1.0]])


@dataclass(frozen=True, eq=False, repr=False)
class Band(Result):
    """Mean and standard deviation of one network's layer averages; dictionaries of arrays of length depth + 1.

    Attributes
    ----------
    mean, standard_deviation : dict
        Keys "q1", "q2", "c", "gradient", "log_gradient". Over n networks the standard error is standard_deviation/√n.
    """

    mean: dict[str, Array]
    standard_deviation: dict[str, Array]

    def _columns(self) -> dict[str, Any]:
        layers = np.arange(next(iter(self.mean.values())).size)
        spreads = {f"{name}_standard_deviation": values for name, values in self.standard_deviation.items()}
        return {"layer": layers, **self.mean, **spreads}

    def __str__(self) -> str:
        return paged(f"Means and standard deviations of one network, layer by layer: {', '.join(self.mean)}")


@dataclass(frozen=True, eq=False, repr=False)
class FiniteWidth(Result):
    """Two inputs through random networks of finite width, to first order in 1/N. Index 0 is the start, h⁰.

    A quantity X of one network has mean x + X_shift/N and variance X_spread/N, x being its value at infinite width.
    Where widths were given they are part of the shifts and spreads: there N = 1.

    Attributes
    ----------
    q1, q2, c, epsilon, gradient : ndarray of shape (depth + 1,)
        Infinite width, as in `Trajectory`.
    q1_shift, q2_shift, c_shift : ndarray
        Of a layer's averages q = mean h² and of the correlation c of the layer's own averages.
    q1_spread, q2_spread, c_spread : ndarray
        Their variances times N.
    log_gradient_shift, log_gradient_spread : ndarray
        Of log(`|δ^l|²/|δ^L|²`), first input; 0 where the gradient vanishes.
    gradient_shift, gradient_spread : ndarray
        Of the ratio itself: gradient·(shift + ½ spread) and gradient²·spread of the logarithm. The first-order form is
        good while depth/N is small; that of the logarithm holds much longer.
    kernel_shift : ndarray of shape (depth + 1, 3)
        N (E[K] − K), K = (K11, K22, K12) the covariance of a layer's pre-activations given the layer before.
    kernel_covariance : ndarray of shape (depth + 1, 3, 3)
        N Cov[K].
    widths : ndarray or None
        Of layers 0 … depth, where given.
    error : float
        Estimate of the relative error of the integrals.
    """

    activation: Activation
    sigma_w: float
    sigma_b: float
    q1: Array
    q2: Array
    c: Array
    epsilon: Array
    gradient: Array
    q1_shift: Array
    q2_shift: Array
    c_shift: Array
    q1_spread: Array
    q2_spread: Array
    c_spread: Array
    log_gradient_shift: Array
    log_gradient_spread: Array
    kernel_shift: Array
    kernel_covariance: Array
    widths: Array | None
    error: float

    @property
    def depth(self) -> int:
        """L, the number of layers."""
        return int(self.c.size - 1)

    @property
    def gradient_shift(self) -> Array:
        """Of `|δ^l|²/|δ^L|²`: gradient·(log_gradient_shift + ½ log_gradient_spread)."""
        return self.gradient * (self.log_gradient_shift + 0.5 * self.log_gradient_spread)

    @property
    def gradient_spread(self) -> Array:
        """Of `|δ^l|²/|δ^L|²`: gradient²·log_gradient_spread."""
        return self.gradient**2 * self.log_gradient_spread

    @property
    def log_gradient(self) -> Array:
        """Logarithm of the gradient at infinite width; −inf where it vanishes."""
        with np.errstate(divide="ignore"):
            return np.log(self.gradient)

    def at(self, width: int | None = None) -> Band:
        """Mean and standard deviation at a width N; without one, at the widths that were given.

        Examples
        --------
        >>> import meanfield as mf
        >>> band = mf.finite_width("tanh", 1.5, 0.3, depth=4).at(1000)
        >>> round(float(band.standard_deviation["q1"][4]), 4)
        0.0494
        """
        if (width is None) == (self.widths is None):
            need = "widths were given to finite_width already" if width is not None else "give the width"
            raise DomainError(f"width = {width!r}: {need}")
        if width is not None and (isinstance(width, bool) or not isinstance(width, (int, np.integer)) or width < 1):
            raise DomainError(f"width = {width!r} is out of range: it must be a whole number of at least 1")
        n = 1.0 if width is None else float(width)
        names = ("q1", "q2", "c", "gradient", "log_gradient")
        return Band(
            {name: getattr(self, name) + getattr(self, name + "_shift") / n for name in names},
            {name: np.sqrt(getattr(self, name + "_spread") / n) for name in names},
        )

    def _columns(self) -> dict[str, Any]:
        names = ("q1", "q2", "c", "epsilon", "gradient", "log_gradient")
        moved = [f"{name}_{what}" for name in ("q1", "q2", "c", "gradient", "log_gradient") for what in ("shift", "spread")]
        return {"layer": np.arange(self.depth + 1)} | {name: getattr(self, name) for name in (*names, *moved)}

    def plot(self, ax: Any = None, quantity: str = "q1", width: int | None = None) -> Any:
        """Draw the mean with two standard deviations of one network: see `meanfield.plot.finite_width`; returns the Axes."""
        from meanfield.plot.finite_width import finite_width as draw

        return draw(self, ax, quantity=quantity, width=width)

    def __str__(self) -> str:
        shown = sorted({min(round(10.0 ** (0.5 * k)), self.depth) for k in range(10)} | {0, self.depth})
        what = "at the given widths" if self.widths is not None else "times 1/N"
        columns = ("q1", "c", "log_gradient")
        title = f"Finite width of {self.activation.name}, σ_w = {self.sigma_w:g}, σ_b = {self.sigma_b:g}: shifts and variances {what}"
        lines = [paged(title)]
        for part in (columns[:2], columns[2:]):
            heads = ("q" if name == "q1" else name.replace("_", " ") for name in part)
            lines.append(f"{'layer':>6}" + "".join(f" {name:>12} {'shift':>10} {'variance':>10}" for name in heads))
            for i in shown:
                cells = [(getattr(self, n)[i], getattr(self, n + "_shift")[i], getattr(self, n + "_spread")[i]) for n in part]
                lines.append(f"{i:>6}" + "".join(f" {value:>12.6g} {shift:>10.4g} {spread:>10.4g}" for value, shift, spread in cells))
        return "\n".join(lines)


def finite_width(
    activation: Any,
    sigma_w: float,
    sigma_b: float,
    depth: int,
    q: Any = 1.0,
    c: float = 0.5,
    widths: Sequence[int] | None = None,
) -> FiniteWidth:
    """Means and spreads of random networks to first order in 1/width: variances, correlation, gradient.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    sigma_w, sigma_b : float
        Standard deviations, in [0, 1e100].
    depth : int
        Number of layers L, in [0, 10 000].
    q : float or pair of floats
        Variance of the pre-activations at the start, h⁰, of both inputs or (q1, q2); positive.
    c : float
        Their correlation at the start, in [−1, 1].
    widths : sequence of int, optional
        Widths of layers 0 … L. Without them every layer has width N, and shifts and spreads are the coefficients of 1/N.

    Returns
    -------
    FiniteWidth

    Raises
    ------
    DomainError
        If an argument is out of range, or a variance leaves [1e-280, 1e280] on the way.
    MeanFieldError
        If a fourth moment, E[φ⁴] or E[φ'⁴], is infinite.

    Warns
    -----
    AccuracyWarning
        If the integrals' relative error estimate exceeds 1e-6 (φ that oscillates fast at a large variance).

    Notes
    -----
    h⁰ has independent rows N(0, q[[1, c], [c, 1]]), as in `simulate`. With K = (K11, K22, K12) the covariance of a layer
    given the one before, J and H the first and second derivatives of its map,

        Σ' = J Σ Jᵀ + (σ_w⁴/N) Cov[φ(u)², φ(v)², φ(u)φ(v)],   m' = J m + ½ tr(H Σ),

    and a layer's averages add the spread of N Gaussian rows to Σ. Expansion parameter: depth/N.

    References
    ----------
    Roberts, Yaida, Hanin (2022), chapters 4 and 9; docs/finite_width.md derives the gradient's part.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.finite_width("tanh", sigma_w=1.5, sigma_b=0.3, depth=4)
    >>> found.kernel_covariance[1:, 0, 0].round(3)
    array([0.494, 0.575, 0.589, 0.591])
    """
    from meanfield.theory.trajectory import checked_depth

    net = MeanField(activation, sigma_w, sigma_b)
    layers = checked_depth(depth)
    if layers > DEEPEST:
        raise DomainError(f"depth = {depth!r} is out of range: the expansion in depth/width is followed for at most {DEEPEST} layers")
    _positive(q)
    start = correlation_argument("c", c)
    inverse = _inverse_widths(widths, layers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)  # of a variance that runs away: refused below
        path = net.propagate(layers, q=q, c=float(start) if start.ndim == 0 else c)
    # 1 − c is accurate near c = 1; near c = −1 rounding is all that 1 + c holds below this.
    epsilon = np.where(path.epsilon > 2.0 - OPPOSITE, 2.0, path.epsilon)
    extremes = np.concatenate([path.q1, path.q2])
    if not (extremes.min() >= 1e-280 and extremes.max() <= 1e280):
        layer = int(np.argmax(~((np.minimum(path.q1, path.q2) >= 1e-280) & (np.maximum(path.q1, path.q2) <= 1e280))))
        raise DomainError(
            f"depth = {layers}: the variance of {net.activation.name} at σ_w = {net.sigma_w:g}, σ_b = {net.sigma_b:g} leaves "
            f"[1e-280, 1e280] at layer {layer}"
        )
    shift, covariance, error = _forward(net, path.q1, path.q2, epsilon, inverse)
    if error > TOLERANCE:
        warnings.warn(f"finite width of {net.activation.name}: relative error about {error:.1g}", AccuracyWarning, stacklevel=2)
    averages = [_layer_averages(path.q1[i], path.q2[i], epsilon[i], shift[i], covariance[i], inverse[i]) for i in range(layers + 1)]
    table = np.array(averages)
    log_shift, log_spread = _backward(net, path.q1, shift[:, 0], covariance[:, 0, 0], inverse)
    return FiniteWidth(
        activation=net.activation,
        sigma_w=net.sigma_w,
        sigma_b=net.sigma_b,
        q1=path.q1,
        q2=path.q2,
        c=path.c,
        epsilon=path.epsilon,
        gradient=path.gradient,
        q1_shift=table[:, 0],
        q2_shift=table[:, 1],
        c_shift=table[:, 2],
        q1_spread=table[:, 3],
        q2_spread=table[:, 4],
        c_spread=table[:, 5],
        log_gradient_shift=np.where(path.gradient > 0.0, log_shift, 0.0),
        log_gradient_spread=np.where(path.gradient > 0.0, log_spread, 0.0),
        kernel_shift=shift @ _TO_KERNEL.T,
        kernel_covariance=_TO_KERNEL @ covariance @ _TO_KERNEL.T,
        widths=None if widths is None else np.array(widths, dtype=np.float64),
        error=error,
    )


def _positive(q: Any) -> None:
    given = variance("q", q)
    if given.size and float(given.min()) == 0.0:
        raise DomainError(f"q = {q!r} is out of range: finite-width theory needs positive variances")


def _inverse_widths(widths: Any, depth: int) -> Array:
    if widths is None:
        return np.ones(depth + 1)
    given = real_array("widths", widths)
    if given.shape != (depth + 1,):
        raise DomainError(f"widths has shape {given.shape}: it must name the widths of layers 0 … depth, {depth + 1} numbers")
    if not (np.all(given >= 1) and np.all(given == np.round(given)) and np.all(np.isfinite(given))):
        raise DomainError(f"widths = {widths!r} is out of range: widths are whole numbers of at least 1")
    result: Array = 1.0 / given
    return result


def _forward(net: MeanField, q1: Array, q2: Array, epsilon: Array, inverse: Array) -> tuple[Array, Array, float]:
    """Mean shift and covariance of (K11, K11 − K22, E) at every layer."""
    depth = q1.size - 1
    shift, covariance, error = np.zeros((depth + 1, 3)), np.zeros((depth + 1, 3, 3)), 0.0
    weight = net.sigma_w**2
    if weight == 0.0:
        return shift, covariance, error
    held: tuple[float, float, float] | None = None
    noise, slopes, curvatures = np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3, 3))
    for layer in range(depth):
        a, b, loss = float(q1[layer]), float(q2[layer]), float(epsilon[layer])
        if held is None or not _same(held, (a, b, loss)):
            moments = pair_moments(net.activation, a, b, loss)
            noise, error = weight * weight * moments.covariance, max(error, moments.error)
            if layer:  # the first layer is given: nothing there to differentiate
                slopes, curvatures = _derivatives(net, moments, a, b, loss)
            held = (a, b, loss) if layer else None
        spread = covariance[layer]
        covariance[layer + 1] = slopes @ spread @ slopes.T + inverse[layer] * noise
        shift[layer + 1] = slopes @ shift[layer] + 0.5 * np.einsum("pij,ij->p", curvatures, spread)
    return shift, covariance, error


def _same(first: tuple[float, float, float], second: tuple[float, float, float]) -> bool:
    return all(abs(x - y) <= STILL * max(abs(x), abs(y)) for x, y in zip(first, second, strict=True))


def _derivatives(net: MeanField, moments: PairMoments, k11: float, k22: float, epsilon: float) -> tuple[Array, Array]:
    """First and second derivatives of (F11, F11 − F22, E') by (K11, K11 − K22, E).

    A Gaussian density changes with its covariance as ½ Σ dK_ij ∂_i∂_j. In the coordinates (s, t) of the rule dK turns into
    M = A⁻¹ dK A⁻ᵀ and ∂_i∂_j into Hermite polynomials: no derivative of φ is needed, kinks and jumps change nothing.
    """
    weight = net.sigma_w**2
    if epsilon in (0.0, 2.0):
        return _collinear(net, k11, k22)
    root1, root2 = math.sqrt(k11), math.sqrt(k22)
    product = root1 * root2
    gap = (root2 - root1) / product  # 1/√K11 − 1/√K22
    alpha2, beta2 = 1.0 - 0.5 * epsilon, 0.5 * epsilon
    frames = []
    both = 4.0 * math.sqrt(alpha2 * beta2)
    for a, b, e in _DIRECTIONS:
        across = (a / k11 - b / k22) if k11 != k22 else (a - b) / k11
        along = (a / k11 + b / k22 + (a + b - 2.0 * e) / product) / (4.0 * alpha2)
        apart = (gap * (a / root1 - b / root2) + 2.0 * e / product) / (4.0 * beta2)
        frames.append((along, across / both, apart))
    score = moments.scores
    slopes = np.empty((3, 3))
    curvatures = np.empty((3, 3, 3))
    for i, (ss, st, tt) in enumerate(frames):
        slopes[:, i] = 0.5 * (ss * score[:, 1] + 2.0 * st * score[:, 2] + tt * score[:, 3])
        for j, (ss2, st2, tt2) in enumerate(frames):
            curvatures[:, i, j] = 0.25 * (
                ss * ss2 * score[:, 4]
                + 2.0 * (ss * st2 + st * ss2) * score[:, 5]
                + (ss * tt2 + tt * ss2 + 4.0 * st * st2) * score[:, 6]
                + 2.0 * (st * tt2 + tt * st2) * score[:, 7]
                + tt * tt2 * score[:, 8]
            )
    return weight * slopes, weight * curvatures


def _collinear(net: MeanField, k11: float, k22: float) -> tuple[Array, Array]:
    """c = ±1 at every layer: the two variances have maps of their own; E follows from them (its own part is left at 0)."""
    weight = net.sigma_w**2
    first, second = line_moments(net.activation, k11), line_moments(net.activation, k22)
    one, two = weight * first["F_1"], weight * second["F_1"]
    slopes = np.array([[one, 0.0, 0.0], [one - two, two, 0.0], [0.0, 0.0, 0.0]])
    curvatures = np.zeros((3, 3, 3))
    one, two = weight * first["F_2"], weight * second["F_2"]
    curvatures[0, 0, 0] = one
    curvatures[1] = [[one - two, two, 0.0], [two, -two, 0.0], [0.0, 0.0, 0.0]]
    return slopes, curvatures


def _layer_averages(k11: float, k22: float, epsilon: float, shift: Array, covariance: Array, inverse: float) -> tuple[float, ...]:
    """Shifts and spreads of a layer's q1, q2 and c: the averages of N rows given K, then c by the delta method."""
    root = math.sqrt(k11 * k22) if k11 * k22 < math.inf and k11 * k22 > 0.0 else math.sqrt(k11) * math.sqrt(k22)
    difference = k11 - k22
    e = 0.5 * (math.sqrt(k11) - math.sqrt(k22)) ** 2 + epsilon * root  # E = ½E[(h1 − h2)²]
    # Wishart: quadratic forms xᵀAx of a Gaussian row have covariance 2 tr(AKBK).
    ones, twos = k11, k22
    mixed = k11 - 0.5 * difference - e  # K12
    one_e, two_e = 0.5 * difference + e, 0.5 * difference - e  # Cov[h1, h1 − h2], Cov[h2, h1 − h2]
    rows = np.empty((3, 3))
    rows[0, 0] = 2.0 * ones * ones
    # h1² − h2² = (h1 − h2)(h1 + h2)
    sum_, gap = 2.0 * (k11 + k22) - 2.0 * e, 2.0 * e  # Var[h1 + h2], Var[h1 − h2]
    rows[1, 1] = sum_ * gap + difference * difference
    rows[0, 1] = rows[1, 0] = 2.0 * (one_e * (ones + mixed))
    rows[0, 2] = rows[2, 0] = one_e * one_e
    rows[1, 2] = rows[2, 1] = one_e * one_e - two_e * two_e
    rows[2, 2] = 2.0 * e * e
    total = covariance + inverse * rows
    q2_shift = shift[0] - shift[1]
    q2_spread = max(total[0, 0] - 2.0 * total[0, 1] + total[1, 1], 0.0)
    if epsilon in (0.0, 2.0):
        return shift[0], q2_shift, 0.0, total[0, 0], q2_spread, 0.0
    # 1 − c = E/√(S11 S22) − (cosh(D/2) − 1), D = log S11 − log S22
    p1, px = 0.5 * (1.0 / ones + 1.0 / twos), -0.5 / twos  # derivatives of log √(S11 S22)
    p11, p1x, pxx = -0.5 * (1.0 / ones**2 + 1.0 / twos**2), 0.5 / twos**2, -0.5 / twos**2
    big = math.log(k11 / k22)
    slope, bend = 0.5 * math.sinh(0.5 * big), 0.25 * math.cosh(0.5 * big)
    d1, dx = -difference / (ones * twos), 1.0 / twos
    d11, d1x, dxx = 1.0 / twos**2 - 1.0 / ones**2, -1.0 / twos**2, 1.0 / twos**2
    ratio = e / root
    gradient = np.array([-ratio * p1 - slope * d1, -ratio * px - slope * dx, 1.0 / root])
    hessian = np.array(
        [
            [
                ratio * (p1 * p1 - p11) - slope * d11 - bend * d1 * d1,
                ratio * (p1 * px - p1x) - slope * d1x - bend * d1 * dx,
                -p1 / root,
            ],
            [
                ratio * (p1 * px - p1x) - slope * d1x - bend * d1 * dx,
                ratio * (px * px - pxx) - slope * dxx - bend * dx * dx,
                -px / root,
            ],
            [-p1 / root, -px / root, 0.0],
        ]
    )
    c_shift = -float(gradient @ shift + 0.5 * np.sum(hessian * total))
    return shift[0], q2_shift, c_shift, total[0, 0], q2_spread, max(float(gradient @ total @ gradient), 0.0)


def _backward(net: MeanField, q: Array, shift: Array, spread: Array, inverse: Array) -> tuple[Array, Array]:
    """Shift and spread of log(|δ^l|²/|δ^L|²) of an input whose K has the given shift and spread.

    log ρ_k of one layer, ρ = |δ^k|²/|δ^{k+1}|², fluctuates with K_k, and by η with the layer's own N rows; η goes along
    with ξ, the layer's contribution to K_{k+1}, which acts on all later layers.
    """
    depth = q.size - 1
    log_shift, log_spread = np.zeros(depth + 1), np.zeros(depth + 1)
    weight, bias = net.sigma_w**2, net.sigma_b**2
    if weight == 0.0:
        return log_shift, log_spread
    sensitivity = 0.0  # of log |δ^{l+1}|²/|δ^L|² to K_{l+1}
    noise, mean = 0.0, 0.0
    alignment = 0.0  # Γ: E(Mᵀδ)² relative to its value for a δ that doesn't know the weights, less 1; M = h − b
    held, found = -1.0, {}
    for layer in range(depth - 1, -1, -1):
        k = float(q[layer])
        if abs(k - held) > STILL * k:
            held, found = k, line_moments(net.activation, k)
        chi, moment = found["slope"], found["V"]
        if chi <= 0.0:  # no gradient passes; nor further down
            return log_shift, log_spread
        n = inverse[layer]
        tilt = found["slope_1"] / chi  # d log V[φ']/dq
        bend = found["slope_2"] / chi - tilt * tilt
        eta = 3.0 * found["slope_4"] / chi**2 - 1.0
        xi = weight * weight * (found["fourth"] - moment * moment)
        both = weight * (found["mixed"] / chi - moment)
        noise += n * (eta + 2.0 * sensitivity * both + sensitivity * sensitivity * xi)
        mean += tilt * shift[layer] + 0.5 * bend * spread[layer] - 0.5 * n * eta
        if moment > 0.0:
            mean += n * found["mixed"] / (chi * moment) * alignment
            fan = k - bias  # σ_w² V of the layer below
            alignment = 2.0 * fan * tilt + fan * (found["radial"] / k) ** 2 / (moment * chi) * alignment
        sensitivity = tilt + weight * found["F_1"] * sensitivity
        log_shift[layer] = mean
        log_spread[layer] = noise + sensitivity * sensitivity * spread[layer]
    return log_shift, log_spread


make_callable(__name__)
