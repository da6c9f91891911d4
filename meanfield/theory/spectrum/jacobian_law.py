"""The law of the singular values of a Jacobian: what is asked of it, whatever network it is of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.arguments import real_array, unwrap, within
from meanfield.expectation.second_moment import second_moments
from meanfield.result import Result, paged
from meanfield.theory.spectrum.moments import HIGHEST, moments_of_product
from meanfield.theory.spectrum.slope_law import squared_slope_moment
from meanfield.theory.spectrum.width import WidthEstimate, edge_at_width

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.theory.spectrum.product import Product
    from meanfield.theory.spectrum.slope_law import SlopeLaw

WIDEST = 10**9
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


def mean_square(act: Activation, q: float, law: SlopeLaw) -> float:
    """E φ'(√q Z)², to the bit what the maps have."""
    if law.finite_valued:
        return law.mean
    return float(second_moments(act, np.array([q]), 1)[0])


def _exp(x: float) -> float:
    return math.exp(x) if x < 709.78 else math.inf
