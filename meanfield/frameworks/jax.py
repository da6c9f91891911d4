"""Initialisers with the signature of jax.nn.initializers, for Flax and Equinox."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError, MeanFieldError
from meanfield.frameworks.distributions import TRUNCATED, orthogonal_scale
from meanfield.frameworks.initial_law import InitialLaw, told_biases, told_weights
from meanfield.frameworks.kernel_axes import KernelAxes, KernelLayout

if TYPE_CHECKING:
    from meanfield.arrays import Array

_FUNCTIONS = (
    *("exp", "expm1", "log", "log1p", "sqrt", "abs", "sign", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh"),
    *("maximum", "minimum", "where", "full_like", "logical_and", "logical_or", "logical_not"),
)


@dataclass(frozen=True)
class Initializer(InitialLaw):
    """Draws weights of standard deviation sigma_w/√fan_in; called as ``init(key, shape, dtype)``.

    It holds plain numbers only: it can be hashed, compared, pickled, traced and mapped over.

    Attributes
    ----------
    activation, sigma_w, sigma_b, q, distribution
        As in `InitialLaw`: φ's name, σ_w of this layer, σ_b of its biases, the variance that the network starts at.
    axes : KernelAxes
    dtype : Any
        What is drawn where a call names no dtype; jax's default if None.
    """

    axes: KernelAxes
    dtype: Any = None

    def __call__(self, key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        """Weights of that shape and dtype.

        Raises
        ------
        DomainError
            If the shape has no such axes, or the dtype is not real and floating.
        """
        layout = self.axes.of(shape)
        kind, work = _dtypes(self.dtype if dtype is None else dtype)
        jnp = _jax().numpy
        if 0 in layout.shape:
            weights = jnp.zeros(layout.shape, work)
        elif self.distribution == "orthogonal":
            weights = self._orthogonal(key, layout, work)
        else:
            weights = (self.sigma_w / math.sqrt(layout.fan_in)) * _standard(key, layout.shape, work, self.distribution)
        return _placed(weights.astype(kind), out_sharding)

    def _orthogonal(self, key: Any, layout: KernelLayout, work: Any) -> Any:
        jax = _jax()
        batch, fan_in, units = layout.matrices
        draw = jax.nn.initializers.orthogonal(orthogonal_scale(self.sigma_w, fan_in, units))
        stack = jax.vmap(lambda one: draw(one, (fan_in, units), work))(jax.random.split(key, batch))
        return jax.numpy.transpose(stack.reshape(layout.stacked), layout.back)

    def __str__(self) -> str:
        return told_weights(self)


@dataclass(frozen=True)
class BiasInitializer(InitialLaw):
    """Draws biases of standard deviation sigma_b; called as ``init(key, shape, dtype)``.

    Attributes
    ----------
    activation, sigma_w, sigma_b, q, distribution
        As in `InitialLaw`.
    dtype : Any
        What is drawn where a call names no dtype.
    """

    dtype: Any = None

    def __call__(self, key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        """Biases of that shape and dtype."""
        kind, work = _dtypes(self.dtype if dtype is None else dtype)
        biases = self.sigma_b * _standard(key, tuple(int(size) for size in shape), work, self.distribution)
        return _placed(biases.astype(kind), out_sharding)

    def __str__(self) -> str:
        return told_biases(self)


def initializer(
    activation: Any,
    depth: int | None = None,
    sigma_w: float | None = None,
    sigma_b: float | None = None,
    *,
    input_variance: float | None = None,
    distribution: str = "normal",
    in_axis: int | Iterable[int] = -2,
    out_axis: int | Iterable[int] = -1,
    batch_axis: int | Iterable[int] = (),
    dtype: Any = None,
) -> Initializer:
    """An initialiser of weights for the layers of a network with that activation.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts, functions of jax.nn included.
    depth : int, optional
        Number of layers: σ_w and σ_b are those of `recommend`. Needed where neither σ is given.
    sigma_w, sigma_b : float, optional
        Standard deviations (σ, not σ²) of weights times √fan_in, and of biases; in [0, 1e100]. sigma_w alone: no biases.
        sigma_b alone: σ_w on the edge of chaos there.
    input_variance : float, optional
        For the first layer, which sees data instead of φ(h): the mean square of an input's components, |a|²/d. Its σ_w
        is chosen so that the first pre-activations have the variance q of the others.
    distribution : {"normal", "truncated_normal", "uniform", "orthogonal"}
        Of variance σ_w²/fan_in all of them. Orthogonal matrices are fan_in × units, receptive field included.
    in_axis, out_axis, batch_axis : int or sequence of int
        As in ``jax.nn.initializers.variance_scaling``: (-2, -1) for Flax, (1, 0) for Equinox, whose arrays start with the outputs.
    dtype : optional
        What to draw where a call names no dtype.

    Returns
    -------
    Initializer
        A function of (key, shape, dtype). σ_w and σ_b are numbers by then: jit and vmap see nothing of how they were found.

    Raises
    ------
    ActivationError
        If the activation is missing or can't be understood.
    DomainError
        If an argument is out of its range, or there is no edge of chaos to start at.
    MeanFieldError
        If jax is not installed.

    References
    ----------
    Poole et al. (2016), eq. 3; Hayou et al. (2018), section 3.

    Examples
    --------
    >>> import jax, meanfield.frameworks.jax as mfj  # doctest: +SKIP
    >>> init = mfj.initializer("tanh", sigma_b=0.2)  # doctest: +SKIP
    >>> print(init)  # doctest: +SKIP
    normal weights for tanh: σ_w = 1.30414584/√fan_in (σ_b = 0.2, q = 0.512079)
    >>> init(jax.random.key(0), (300, 100)).shape  # doctest: +SKIP
    (300, 100)
    """
    axes = KernelAxes.checked(in_axis, out_axis, batch_axis)
    act = _recognised(activation)
    return Initializer.of_weights(act, depth, sigma_w, sigma_b, input_variance, distribution, axes=axes, dtype=dtype)


def bias_initializer(
    activation: Any,
    depth: int | None = None,
    sigma_w: float | None = None,
    sigma_b: float | None = None,
    *,
    distribution: str = "normal",
    dtype: Any = None,
) -> BiasInitializer:
    """The initialiser of biases that goes with `initializer`: independent ones of standard deviation σ_b.

    Parameters
    ----------
    activation, depth, sigma_w, sigma_b
        As in `initializer`; give both the same.
    distribution : {"normal", "truncated_normal", "uniform"}
    dtype : optional
        What to draw where a call names no dtype.

    Returns
    -------
    BiasInitializer
        A function of (key, shape, dtype).

    Raises
    ------
    ActivationError, DomainError, MeanFieldError
        As `initializer`.

    Examples
    --------
    >>> import meanfield.frameworks.jax as mfj  # doctest: +SKIP
    >>> print(mfj.bias_initializer("tanh", sigma_b=0.2))  # doctest: +SKIP
    normal biases for tanh: σ_b = 0.2 (σ_w = 1.30414584, q = 0.512079)
    """
    return BiasInitializer.of_biases(_recognised(activation), depth, sigma_w, sigma_b, distribution, dtype=dtype)


def _jax() -> Any:
    try:
        return importlib.import_module("jax")
    except ImportError as error:
        raise MeanFieldError(f"meanfield.frameworks.jax needs jax ({error}): install meanfield-nets[jax]") from error


def _dtypes(dtype: Any) -> tuple[Any, Any]:
    """The dtype to return, and the one to compute in: σ_w rounded to eight bits would be off by 0.2%."""
    jnp = _jax().numpy
    kind = jnp.zeros((), dtype).dtype  # jax's default for None, and single precision for double where that is off
    if not jnp.issubdtype(kind, jnp.floating):
        raise DomainError(f"dtype = {dtype!r} is out of range: weights and biases are real floating-point numbers")
    return kind, jnp.promote_types(kind, jnp.float32)


def _standard(key: Any, shape: tuple[int, ...], work: Any, distribution: str) -> Any:
    """Independent numbers of mean 0 and variance 1."""
    random = _jax().random
    if distribution == "normal":
        return random.normal(key, shape, work)
    if distribution == "truncated_normal":
        return random.truncated_normal(key, -2.0, 2.0, shape, work) / TRUNCATED
    return random.uniform(key, shape, work, -math.sqrt(3.0), math.sqrt(3.0))


def _placed(array: Any, out_sharding: Any) -> Any:
    """The array on the devices that were asked for."""
    if out_sharding is None:
        return array
    jax = _jax()
    return jax.lax.with_sharding_constraint(array, out_sharding)


def _recognised(activation: Any) -> Any:
    """A function of jax as the catalogue's, or in double precision; anything else as it is."""
    jax = _jax()
    if not callable(activation) or isinstance(activation, type) or not _is_jax(activation):
        return activation
    from meanfield.frameworks.same_function import as_activation

    return as_activation(activation, _in_double_precision(activation), (jax.errors.JAXTypeError,))


def _is_jax(function: Any) -> bool:
    """Whether a function answers an array with one of jax's."""
    import numpy as np

    module = str(getattr(function, "__module__", "") or "")
    if module.partition(".")[0] == "meanfield":
        return False
    jax = _jax()
    try:
        return isinstance(function(np.linspace(-1.0, 1.0, 3)), jax.Array)
    except Exception:  # whatever a function that is not jax's may raise; `activation` says what is wrong with it
        return False


def _in_double_precision(function: Callable[..., Any]) -> Callable[[Array], Array]:
    """The function on arrays of doubles."""
    import numpy as np

    from meanfield.frameworks.same_function import padded

    jax = _jax()
    enable = getattr(jax, "enable_x64", None)
    if enable is None:
        enable = importlib.import_module("jax.experimental").enable_x64

    def values(x: Array) -> Array:
        with enable(True):
            longer = padded(x)
            y = np.asarray(function(jax.numpy.asarray(longer)))
        return y[: x.size] if y.shape == longer.shape else y

    return values


def function(activation: Any) -> Callable[[Any], Any]:
    """The same function in jax.numpy: differentiable, compiled and mapped over as any other.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts that has a formula: the catalogue, formulas and what `shape_activation` makes of them.

    Returns
    -------
    callable
        From arrays to arrays of the same shape and dtype.

    Raises
    ------
    ActivationError
        If the activation is known by its values only.
    MeanFieldError
        If JAX is not installed.
    """
    from meanfield.frameworks.translation import Scales, translated

    jax = _jax()
    scales = Scales(activation)
    jnp = jax.numpy
    table = {
        **{name: getattr(jnp, name) for name in _FUNCTIONS},
        "erf": jax.scipy.special.erf,
        "erfc": jax.scipy.special.erfc,
        "sigmoid": jax.nn.sigmoid,
        "relu": jax.nn.relu,
        "softplus": lambda a: jnp.logaddexp(a, 0.0),
        "heaviside": lambda a: jnp.where(a > 0, jnp.ones_like(a), jnp.zeros_like(a)),
    }
    return scales.around(translated(scales.tree("JAX"), table))
