"""Initialisers with the signature of jax.nn.initializers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from meanfield.errors import DomainError
from meanfield.frameworks.arguments import documented
from meanfield.frameworks.distributions import TRUNCATED, orthogonal_scale
from meanfield.frameworks.initial_law import InitialLaw, told_biases, told_weights
from meanfield.frameworks.jax.installed import jax
from meanfield.frameworks.jax.recognition import recognised
from meanfield.frameworks.kernel_axes import KernelAxes, KernelLayout


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
        jnp = jax().numpy
        if 0 in layout.shape:
            weights = jnp.zeros(layout.shape, work)
        elif self.distribution == "orthogonal":
            weights = self._orthogonal(key, layout, work)
        else:
            weights = (self.sigma_w / math.sqrt(layout.fan_in)) * _standard(key, layout.shape, work, self.distribution)
        return _placed(weights.astype(kind), out_sharding)

    def _orthogonal(self, key: Any, layout: KernelLayout, work: Any) -> Any:
        library = jax()
        batch, fan_in, units = layout.matrices
        draw = library.nn.initializers.orthogonal(orthogonal_scale(self.sigma_w, fan_in, units))
        stack = library.vmap(lambda one: draw(one, (fan_in, units), work))(library.random.split(key, batch))
        return library.numpy.transpose(stack.reshape(layout.stacked), layout.back)

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


@documented
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
    <depth>
    <sigmas>
    <input_variance>
    <distribution>
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
    <layer_errors>
    MeanFieldError
        If jax is not installed.

    References
    ----------
    <layer_references>

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
    act = recognised(activation)
    return Initializer.of_weights(act, depth, sigma_w, sigma_b, input_variance, distribution, axes=axes, dtype=dtype)


@documented
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
    <bias_distribution>
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
    return BiasInitializer.of_biases(recognised(activation), depth, sigma_w, sigma_b, distribution, dtype=dtype)


def _dtypes(dtype: Any) -> tuple[Any, Any]:
    """The dtype to return, and the one to compute in: σ_w rounded to eight bits would be off by 0.2%."""
    jnp = jax().numpy
    kind = jnp.zeros((), dtype).dtype  # jax's default for None, and single precision for double where that is off
    if not jnp.issubdtype(kind, jnp.floating):
        raise DomainError(f"dtype = {dtype!r} is out of range: weights and biases are real floating-point numbers")
    return kind, jnp.promote_types(kind, jnp.float32)


def _standard(key: Any, shape: tuple[int, ...], work: Any, distribution: str) -> Any:
    """Independent numbers of mean 0 and variance 1."""
    random = jax().random
    if distribution == "normal":
        return random.normal(key, shape, work)
    if distribution == "truncated_normal":
        return random.truncated_normal(key, -2.0, 2.0, shape, work) / TRUNCATED
    return random.uniform(key, shape, work, -math.sqrt(3.0), math.sqrt(3.0))


def _placed(array: Any, out_sharding: Any) -> Any:
    """The array on the devices that were asked for."""
    if out_sharding is None:
        return array
    library = jax()
    return library.lax.with_sharding_constraint(array, out_sharding)
