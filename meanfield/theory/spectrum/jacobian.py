"""The singular values of the input-output Jacobian of a deep random network."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.expectation.arguments import real_array, unwrap, variance, within
from meanfield.expectation.second_moment import second_moments
from meanfield.result import Result, paged
from meanfield.theory.arguments import one_standard_deviation
from meanfield.theory.spectrum.equal_layers import EqualLayers
from meanfield.theory.spectrum.moments import HIGHEST, moments_of_product
from meanfield.theory.spectrum.one_layer import OneLayer
from meanfield.theory.spectrum.product import Layers, Product, spectrum_of_product
from meanfield.theory.spectrum.rectangular import checked_widths, spectrum_of_widths
from meanfield.theory.spectrum.slope_law import slope_law, squared_slope_moment
from meanfield.theory.spectrum.width import WidthEstimate, edge_at_width

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.theory.spectrum.slope_law import SlopeLaw

DEEPEST = 100_000_000
WIDEST = 10**9
TRAJECTORY_DEEPEST = 100_000
SAME_LAYER = 1e-11  # relative difference of two variances whose laws are taken to be one
WEIGHTS = ("gaussian", "orthogonal")
TABULATED = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)  # parts of all singular values at which `to_frame` gives quantiles


class Atom(NamedTuple):
    """A singular value that a positive part of all singular values has.

    Attributes
    ----------
    value : float
        s.
    mass : float
        The part.
    """

    value: float
    mass: float


class Curve(Protocol):
    """A law of log λ."""

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]: ...
    @property
    def bands(self) -> tuple[tuple[float, float], ...]: ...
    def density(self, levels: Array) -> Array: ...
    def above(self, levels: Array) -> Array: ...
    def quantile(self, p: Array) -> Array: ...
    def top_edge(self) -> tuple[float, float] | None: ...


@dataclass(frozen=True, eq=False, repr=False)
class JacobianSpectrum(Result):
    """The law of the singular values s of J = ∂h^L/∂h⁰ at infinite width.

    Attributes
    ----------
    activation : Activation
    sigma_w : float
        Standard deviation (σ, not σ²) of the weights times √fan_in.
    depth : int
        L, the number of layers.
    weights : str
        "gaussian" or "orthogonal".
    q : float or tuple of float
        Variance of the pre-activations, in all layers or in h⁰, …, h^(L−1).
    edges : tuple of float
        (s_min, s_max): the ends of the spectrum, atoms included. s_min is 0 where φ' comes as near to 0 as one likes, however little of
        the mass lies there: quote quantiles. s_max leaves out the 2·10⁻¹⁹ of all units beyond nine standard deviations; inf where φ' is
        unbounded.
    bands : tuple of (float, float)
        The intervals with a density.
    atoms : tuple of Atom
        Values of positive mass: 0 where φ' = 0 somewhere, isolated ones with orthogonal weights. Slopes that underflow count as 0.
    mean, variance : float
        E s² = χ^L and Var s², exact at any depth.
    mean_log : float
        E[log s²; s > 0]/P(s > 0), exact.
    """

    activation: Activation
    sigma_w: float
    depth: int
    weights: str
    q: float | tuple[float, ...]
    edges: tuple[float, float]
    bands: tuple[tuple[float, float], ...]
    atoms: tuple[Atom, ...]
    mean: float
    variance: float
    mean_log: float
    log_mean: float
    title: str = field(repr=False)
    _curve: Curve = field(repr=False, compare=False)
    _product: Product = field(repr=False, compare=False)
    _log_s: tuple[float, ...] | None = field(repr=False, compare=False)

    _pictured = True

    def _columns(self) -> dict[str, Any]:
        p = np.array(TABULATED)
        values = np.asarray(self.quantile(p))
        return {"part": p, "singular_value": values, "density": np.asarray(self.density(values))}

    def moment(self, k: int) -> float:
        """E s^{2k}, exact at any depth (Lagrange inversion of the S-transform).

        Parameters
        ----------
        k : int
            In [0, 32].

        Raises
        ------
        DomainError
            If k is out of range.

        Examples
        --------
        >>> import meanfield as mf
        >>> s = mf.jacobian_spectrum("linear", sigma_w=1.0, sigma_b=0.0, depth=2, q=1.0)
        >>> [round(s.moment(k), 9) for k in (1, 2, 3)]  # Fuss–Catalan numbers
        [1.0, 3.0, 12.0]
        """
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 0 <= k <= HIGHEST:
            raise DomainError(f"k = {k!r} is out of range: a whole number in [0, {HIGHEST}]")
        if k == 0:
            return 1.0
        if k == 1:
            return self.mean
        return _exp(k * self.log_mean + math.log(self._relative_moment(int(k))))

    def _relative_moment(self, k: int) -> float:
        if self._log_s is None or len(self._log_s) < k - 1:
            object.__setattr__(self, "_log_s", self._product.log_s(self.activation, self.weights == "gaussian", k - 1))
        assert self._log_s is not None
        return moments_of_product(self._log_s, k)

    def density(self, x: Any) -> Any:
        """The density of s, atoms left out.

        Parameters
        ----------
        x : float or array
            Singular values, in [0, ∞).

        Returns
        -------
        float or ndarray
            Shaped like x; 0 outside the bands.

        Examples
        --------
        >>> import math
        >>> import meanfield as mf
        >>> s = mf.jacobian_spectrum("linear", sigma_w=1.0, sigma_b=0.0, depth=1, q=1.0)
        >>> round(s.density(1.0) * math.pi, 12)  # the quarter circle, √(4 − s²)/π
        1.732050807569
        """
        array = within("x", x, 0.0, math.inf)
        result = np.zeros(array.shape)
        inside = (array > 0.0) & np.isfinite(array)
        if inside.any():
            # dλ/λ = 2 ds/s
            result[inside] = 2.0 / array[inside] * self._curve.density(np.ascontiguousarray(self._levels(array[inside])))
        return unwrap(result)

    def log_density(self, x: Any) -> Any:
        """The density of log s² at values of it: for depths at which s itself leaves the range of doubles.

        Examples
        --------
        >>> import meanfield as mf
        >>> s = mf.jacobian_spectrum("tanh", sigma_w=1.1, sigma_b=0.1, depth=100000)
        >>> s.log_density(s.mean_log) > 0.0
        True
        """
        array = real_array("x", x)
        return unwrap(self._curve.density(np.ascontiguousarray(np.atleast_1d(array - self.log_mean))).reshape(array.shape))

    def cdf(self, x: Any) -> Any:
        """The part of all singular values that are at most x, atoms included.

        Parameters
        ----------
        x : float or array
            In [0, ∞].

        Returns
        -------
        float or ndarray
            Shaped like x. Explicit on the curve (docs/spectra.md), so it needs no integration.

        Examples
        --------
        >>> import meanfield as mf
        >>> s = mf.jacobian_spectrum("relu", sigma_w=2**0.5, sigma_b=0.0, depth=8)
        >>> s.cdf(0.0), round(s.cdf(s.edges[1]), 9)
        (0.5, 1.0)
        """
        array = within("x", x, 0.0, math.inf)
        flat = array.ravel()
        result = np.ones(flat.shape)
        inside = (flat > 0.0) & np.isfinite(flat)
        if inside.any():
            result[inside] = 1.0 - self._curve.above(np.ascontiguousarray(self._levels(flat[inside])))
        result[flat == 0.0] = sum(atom.mass for atom in self.atoms if atom.value == 0.0)
        return unwrap(result.reshape(array.shape))

    def quantile(self, p: Any) -> Any:
        """The singular value below which a part p of them lies.

        Parameters
        ----------
        p : float or array
            In [0, 1].

        Returns
        -------
        float or ndarray
            Shaped like p.

        Examples
        --------
        >>> import meanfield as mf
        >>> s = mf.jacobian_spectrum("erf", sigma_w=1.2, sigma_b=0.2, depth=32)
        >>> round(s.cdf(s.quantile(0.75)), 12)
        0.75
        """
        with np.errstate(over="ignore", under="ignore"):
            return unwrap(np.exp(0.5 * np.asarray(self.log_quantile(p))))

    def log_quantile(self, p: Any) -> Any:
        """The same of log s²; −inf in the atom at 0.

        Examples
        --------
        >>> import meanfield as mf
        >>> s = mf.jacobian_spectrum("tanh", sigma_w=1.1, sigma_b=0.1, depth=100000)
        >>> s.quantile(0.5), s.log_quantile(0.5) < -1e4
        (0.0, True)
        """
        array = within("p", p, 0.0, 1.0)
        return unwrap(self._curve.quantile(array) + self.log_mean)

    def _levels(self, s: Array) -> Array:
        return 2.0 * np.log(s) - self.log_mean

    def at_width(self, width: int) -> WidthEstimate:
        """The largest singular value of a network of finite width: an estimate (Tracy–Widom).

        Parameters
        ----------
        width : int
            Units N of each layer, in [2, 10⁹].

        Returns
        -------
        WidthEstimate
            s_max and its standard deviation from network to network.

        Raises
        ------
        DomainError
            If the width is out of range, or the spectrum does not end like a square root (an atom at its end, one orthogonal layer).

        Examples
        --------
        >>> import meanfield as mf
        >>> s = mf.jacobian_spectrum("tanh", sigma_w=1.3041458, sigma_b=0.2, depth=16)
        >>> round(s.edges[1] ** 2, 1), round(s.at_width(600).s_max ** 2, 1)
        (58.1, 52.3)
        """
        if isinstance(width, bool) or not isinstance(width, (int, np.integer)) or not 2 <= width <= WIDEST:
            raise DomainError(f"width = {width!r} is out of range: a whole number in [2, {WIDEST}]")
        found = None if math.isinf(self.edges[1]) else self._curve.top_edge()
        if found is None:
            raise DomainError("the upper edge of this spectrum is not that of a square root: how it moves with the width is not known")
        weight, curvature = found
        edge = self.edges[1] ** 2
        # λ = λ_max(1 − τ): −Im m = s√(2τ/K), and the density of λ is −Im m/(πλ).
        return edge_at_width(edge, weight * math.sqrt(2.0 / curvature) * edge**-1.5, int(width))

    def plot(self, ax: Any = None) -> Any:
        """Draw the density, with atoms as stems; returns the Axes."""
        from meanfield.plot import spectrum

        return spectrum(self, ax=ax)

    def __str__(self) -> str:
        low, high = self.edges
        lines = [paged(self.title), f"  singular values in [{low:.6g}, {high:.9g}]" + self._bands_told()]
        lines += [f"  atom at {atom.value:.6g} of mass {atom.mass:.6g}" for atom in self.atoms]
        lines.append(f"  mean of s^2 {self.mean:.6g}, variance {self.variance:.6g}, mean of log s^2 {self.mean_log:.6g}")
        p = (0.05, 0.25, 0.5, 0.75, 0.95)
        values = np.asarray(self.quantile(np.array(p)))
        lines.append("  quantiles " + ", ".join(f"{100 * part:g}%: {value:.4g}" for part, value in zip(p, values, strict=True)))
        return paged("\n".join(lines), hang=4)

    def _bands_told(self) -> str:
        if len(self.bands) < 2:
            return ""
        return ", in bands " + ", ".join(f"[{low:.6g}, {high:.6g}]" for low, high in self.bands)


def jacobian_spectrum(
    activation: Any,
    sigma_w: float,
    sigma_b: float,
    depth: int,
    weights: str = "gaussian",
    q: Any = None,
    widths: Any = None,
) -> JacobianSpectrum:
    """The law of the singular values of the Jacobian ∂h^L/∂h⁰ of a wide random network.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    sigma_w, sigma_b : float
        Standard deviations (σ, not σ²) of weights times √fan_in, and of biases; sigma_w > 0.
    depth : int
        Number of layers L, in [1, 10⁸].
    weights : {"gaussian", "orthogonal"}
        W_ij independent N(0, σ_w²/N), or W = σ_w times Haar.
    q : float or "trajectory", optional
        Variance of the pre-activations in every layer; q* where not given. "trajectory": the variances q_l of an input with q = 1,
        depth up to 10⁵.
    widths : sequence of int, optional
        N_0, …, N_L, the units of h⁰, …, h^L, of which only the ratios count; equal ones where left out. Orthogonal weights then have
        orthonormal rows or columns, with entries of variance σ_w²/fan_in. The law is that of the min(N_0, N_L) singular values.

    Returns
    -------
    JacobianSpectrum
        Edges, bands, atoms, moments, density, distribution function and quantiles of the singular values.

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.
    DomainError
        If an argument is out of range, φ jumps (its Jacobian is infinite), or q* is 0 or inf where φ has no slope there.

    Notes
    -----
    With d = φ'(√q Z)² and M(ζ) = E[d/(ζ − d)] = m the law is the curve z(ζ) = σ_w^{2L} ζ h(ζ)^{L−1} (1 + m)^{gL}, h = ζm/(1 + m), g = 1
    for Gaussian weights and 0 for orthogonal ones, where z is real; −Im m/π is the density of log s² there. For each |ζ| there is one
    such point at most: docs/spectra.md has the proof. Holds for N → ∞ at fixed L; the corrections are of order L/N.

    References
    ----------
    Pennington, Schoenholz, Ganguli (2017, 2018); Pastur, Slavin (2020) and Collins, Hayase (2023) for freeness.

    Examples
    --------
    >>> import meanfield as mf
    >>> s = mf.jacobian_spectrum("tanh", sigma_w=1.0235568, sigma_b=0.00417726, depth=64, weights="orthogonal", q=0.024672)
    >>> round(s.mean, 5), round(s.variance, 4), round(s.edges[1] ** 2, 4)
    (1.0, 0.25, 2.2249)
    >>> mf.jacobian_spectrum("abs", sigma_w=1.0, sigma_b=0.0, depth=100, weights="orthogonal").atoms  # an isometry at any depth
    (Atom(value=1.0, mass=1.0),)
    """
    from meanfield.theory.mean_field import MeanField

    return spectrum_of(MeanField(find_activation(activation), sigma_w, sigma_b), depth, weights, q, widths)


def spectrum_of(net: Any, depth: int, weights: str = "gaussian", q: Any = None, widths: Any = None) -> JacobianSpectrum:
    """`jacobian_spectrum` of a plain `MeanField`."""
    act: Activation = net.activation
    sigma_w = one_standard_deviation("sigma_w", net.sigma_w)
    if sigma_w == 0.0:
        raise DomainError("sigma_w = 0.0 is out of range: without weights the Jacobian is 0")
    layers, gaussian = checked_spectrum_arguments(depth, weights)
    label = f"Jacobian of {layers} layer{'s' if layers > 1 else ''} of {act.name}, sigma_w = {sigma_w:.9g}, {weights} weights"
    if widths is not None:
        units = checked_widths(widths, layers)
        if len(set(units)) > 1:
            path = path_of(net, layers, q) if isinstance(q, str) else (float(net.q_star) if q is None else one_variance(q),)
            told = f"along the trajectory from q = 1 to {path[-1]:.6g}" if isinstance(q, str) else f"q = {path[0]:.6g}"
            shown = ", ".join(map(str, units)) if len(units) < 7 else f"{units[0]}, {units[1]}, ..., {units[-1]}"
            title = f"{label}, {told}, widths {shown}"
            return spectrum_of_widths(act, sigma_w, weights, path, units, path if len(path) > 1 else path[0], title)
    if isinstance(q, str):
        return _along(net, layers, gaussian, label, path_of(net, layers, q))
    at = float(net.q_star) if q is None else one_variance(q)
    law = slope_law(act, at)
    curve: Curve = OneLayer(law) if layers == 1 and not gaussian else EqualLayers(law, layers, gaussian)
    # E s² = χ^L with χ = σ_w² E d, as `MeanField.chi_1` has it at q*.
    log_mean = layers * (2.0 * math.log(sigma_w) + math.log(mean_square(act, at, law)))
    spread = layers * (law.spread + float(gaussian))
    mean_log = layers * mean_log_of_layer(law, gaussian) - (layers - 1) * _entropy(law.zero_mass)
    product = Product((Layers(at, layers),), ((1.0, 1.0 if gaussian else 1.0 - layers),))
    return result(act, sigma_w, layers, weights, at, f"{label}, q = {at:.6g}", curve, (law,), log_mean, spread, mean_log, product)


def result(
    act: Activation,
    sigma_w: float,
    depth: int,
    weights: str,
    q: float | tuple[float, ...],
    title: str,
    curve: Curve,
    laws: tuple[SlopeLaw, ...],
    log_mean: float,
    spread: float,
    mean_log: float,
    product: Product,
) -> JacobianSpectrum:
    """The result, from the law of log s²/E s² and its closed forms; spread is Var s²/(E s²)², mean_log E[log(s²/E s²); s > 0]."""
    if any(not math.isfinite(squared_slope_moment(act, p, 2)) for p in (q if isinstance(q, tuple) else (q,))):
        spread = math.inf

    def value(level: float) -> float:
        return _exp(0.5 * (level + log_mean))

    atoms = tuple(Atom(value(level), mass) for level, mass in curve.atoms)
    bands = tuple((value(low), value(high)) for low, high in curve.bands)
    unbounded = any(law.unbounded for law in laws)
    if unbounded and bands:
        bands = (*bands[:-1], (bands[-1][0], math.inf))
    ends = [end for band in bands for end in band] + [atom.value for atom in atoms]
    positive = 1.0 - sum(mass for level, mass in curve.atoms if level == -math.inf)
    return JacobianSpectrum(
        act,
        sigma_w,
        depth,
        weights,
        q,
        (min(ends), max(ends)),
        bands,
        atoms,
        _exp(log_mean),
        _exp(2.0 * log_mean + math.log(spread)) if 0.0 < spread < math.inf else spread,
        log_mean + mean_log / positive,
        log_mean,
        title,
        curve,
        product,
        None,
    )


def mean_log_of_layer(law: SlopeLaw, gaussian: bool) -> float:
    """What a layer adds to E[log s²; s > 0], beside the entropy of a rank that layers share: E[log d; d > 0] − g(a + p₀ log p₀)."""
    p = law.zero_mass
    return law.mean_log - float(gaussian) * (1.0 - p + (p * math.log(p) if p > 0.0 else 0.0))


def _entropy(p: float) -> float:
    """−p log p − (1 − p) log(1 − p): what the second layer on loses for each that is not of full rank."""
    return -p * math.log(p) - (1.0 - p) * math.log1p(-p) if 0.0 < p < 1.0 else 0.0


def mean_square(act: Activation, q: float, law: SlopeLaw) -> float:
    """E φ'(√q Z)², to the bit what the maps have."""
    if law.finite_valued:
        return law.mean
    return float(second_moments(act, np.array([q]), 1)[0])


def _same_law(one: SlopeLaw, other: SlopeLaw) -> bool:
    return (
        one.finite_valued
        and other.finite_valued
        and one.atoms.shape == other.atoms.shape
        and abs(one.mean - other.mean) <= 1e-14 * one.mean
        and bool(np.allclose(one.atoms, other.atoms, rtol=1e-14) and np.allclose(one.masses, other.masses, rtol=1e-14))
    )


def _grouped(variances: tuple[float, ...], depth: int) -> list[tuple[float, int]]:
    """Variances and how many layers have each."""
    if len(variances) == 1:
        return [(variances[0], depth)]
    groups: list[tuple[float, int]] = []
    for q in variances:
        if groups and abs(q - groups[-1][0]) <= SAME_LAYER * groups[-1][0]:
            groups[-1] = (groups[-1][0], groups[-1][1] + 1)
        else:
            groups.append((q, 1))
    return groups


def spectrum_of_path(net: Any, depth: int, weights: str, start: float) -> JacobianSpectrum:
    """`jacobian_spectrum` along the trajectory of an input with variance start."""
    label = f"Jacobian of {depth} layers of {net.activation.name}, sigma_w = {net.sigma_w:.9g}, {weights} weights"
    return _along(net, depth, weights == "gaussian", label, path_of(net, depth, "trajectory", start))


def path_of(net: Any, layers: int, q: str, start: float = 1.0) -> tuple[float, ...]:
    """The variances of h⁰, …, h^(L−1)."""
    if q != "trajectory":
        raise DomainError(f"q = {q!r} is out of range: a variance, or 'trajectory'")
    if layers > TRAJECTORY_DEEPEST:
        raise DomainError(f"depth = {layers} is out of range: along a trajectory at most {TRAJECTORY_DEEPEST} layers are followed")
    variances = net.propagate(layers, q=start, c=1.0).q1[:-1]
    if not np.isfinite(variances).all():
        raise DomainError("q = 'trajectory': the variances of this network overflow within its depth")
    return tuple(float(at) for at in variances)


def _along(net: Any, layers: int, gaussian: bool, label: str, path: tuple[float, ...]) -> JacobianSpectrum:
    act: Activation = net.activation
    weights = "gaussian" if gaussian else "orthogonal"
    title = f"{label}, along the trajectory from q = {path[0]:.6g} to {path[-1]:.6g}"
    parts: list[Layers] = []
    log_mean = 0.0
    for at, count in _grouped(path, layers):
        law = slope_law(act, at)
        log_mean += count * (2.0 * math.log(net.sigma_w) + math.log(mean_square(act, at, law)))
        # Where φ' takes the same few values as often at every variance (ReLU) all layers are equal.
        if parts and _same_law(law, slope_law(act, parts[-1].q)):
            parts[-1] = Layers(parts[-1].q, parts[-1].count + count)
        else:
            parts.append(Layers(at, count))
    if len(parts) == 1:
        equal = spectrum_of(net, layers, weights, parts[0].q)
        return replace(equal, q=path, title=title)
    zero = max(slope_law(act, part.q).zero_mass for part in parts)
    over = [(1.0, 1.0 if gaussian else 1.0 - layers)]
    return spectrum_of_product(act, net.sigma_w, layers, weights, path, title, parts, over, zero, log_mean)


def checked_spectrum_arguments(depth: Any, weights: Any) -> tuple[int, bool]:
    """A number of layers, and whether the weights are Gaussian."""
    layers = _checked_depth(depth)
    if weights not in WEIGHTS:
        raise DomainError(f"weights = {weights!r} is out of range: one of {', '.join(WEIGHTS)}")
    return layers, weights == "gaussian"


def _checked_depth(depth: Any) -> int:
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or not 1 <= depth <= DEEPEST:
        raise DomainError(f"depth = {depth!r} is out of range: a whole number in [1, {DEEPEST}]")
    return int(depth)


def one_variance(q: Any) -> float:
    if np.ndim(q) == 0 and not isinstance(q, str) and q == math.inf:
        return math.inf
    array = variance("q", q)
    if array.ndim:
        raise DomainError(f"q must be one number or 'trajectory', not an array of shape {array.shape}")
    return float(array)


def _exp(x: float) -> float:
    return math.exp(x) if x < 709.78 else math.inf
