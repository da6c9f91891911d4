"""Keras 3 initialisers that serialise."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from meanfield.errors import DomainError
from meanfield.frameworks.arguments import documented
from meanfield.frameworks.distributions import BIASES, TRUNCATED, WEIGHTS, checked_distribution, orthogonal_scale
from meanfield.frameworks.initial_law import InitialLaw, told_biases, told_weights
from meanfield.frameworks.keras.installed import keras as _keras
from meanfield.frameworks.keras.installed import needs_keras, registered
from meanfield.frameworks.keras.recognition import recognised
from meanfield.frameworks.kernel_axes import KernelAxes, KernelLayout
from meanfield.theory.arguments import one_standard_deviation

_Base: Any = object if _keras is None else _keras.initializers.Initializer


class _Drawn(_Base):  # type: ignore[misc, unused-ignore]
    """What weights and biases have in common: σ's, a distribution, and seeds that never repeat."""

    activation: str
    sigma_w: float
    sigma_b: float
    q: float
    distribution: str
    seed: Any

    def _set(self, activation: str, sigma_w: float, sigma_b: float, q: float, distribution: str, seed: Any) -> None:
        needs_keras()
        self.activation, self.sigma_w, self.sigma_b, self.q, self.distribution = activation, sigma_w, sigma_b, q, distribution
        self.seed = _checked_seed(seed)
        # keras.utils.set_random_seed seeds Python's generator, so it settles these too.
        self._own_seed = random.randrange(2**31) if seed is None else self.seed
        self._calls = 0
        # One seed may serve weights and biases, first and hidden layers: their numbers must not be the same ones.
        self._kind = zlib.crc32(repr((type(self).__name__, sigma_w, sigma_b, distribution)).encode())

    def get_config(self) -> dict[str, Any]:
        """σ's and settings as plain numbers and words; `from_config` asks no theory again."""
        seed = self.seed if self.seed is None or isinstance(self.seed, int) else _keras.saving.serialize_keras_object(self.seed)
        return {
            "activation": self.activation,
            "sigma_w": self.sigma_w,
            "sigma_b": self.sigma_b,
            "q": self.q,
            "distribution": self.distribution,
            "seed": seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The initialiser that `get_config` described."""
        given = dict(config)
        if "q" not in given:  # written by hand: the arguments of the class
            return cls(**given)
        for name in ("sigma_w", "sigma_b"):
            given[name] = one_standard_deviation(name, given[name])
        restored = cls.__new__(cls)
        restored._restore(given)
        return restored

    def _restore(self, config: dict[str, Any]) -> None:
        self._set(**config)

    def _next_seed(self) -> Any:
        """A new one for every call: layers that share an initialiser must not share their weights."""
        if not isinstance(self._own_seed, int):
            return self._own_seed  # a SeedGenerator moves on by itself
        self._calls += 1
        return int(np.random.SeedSequence([self._own_seed, self._kind, self._calls]).generate_state(1)[0] >> 1)

    def _standard(self, shape: tuple[int, ...], work: str) -> Any:
        """Independent numbers of mean 0 and variance 1."""
        draw = _keras.random
        seed = self._next_seed()
        if self.distribution == "truncated_normal":
            return draw.truncated_normal(shape, stddev=1.0 / TRUNCATED, dtype=work, seed=seed)
        if self.distribution == "uniform":
            return draw.uniform(shape, -math.sqrt(3.0), math.sqrt(3.0), dtype=work, seed=seed)
        return draw.normal(shape, dtype=work, seed=seed)


@registered
@documented
class MeanFieldInitializer(_Drawn):
    """Kernels of standard deviation σ_w/√fan_in, for the layers of a network with that activation.

    Parameters
    ----------
    activation : str, callable or Activation
        What Keras calls by that name (its leaky_relu has slope 0.2), a function of keras.activations, an activation layer, or
        anything `meanfield.activation` accepts.
    <depth>
    <sigmas>
    <input_variance>
    <distribution>
    in_axis, out_axis, batch_axis : int or sequence of int
        Which axes of the kernel are inputs, outputs, and neither; the others are a convolution's receptive field. Depthwise
        convolutions: in_axis=(), batch_axis=-2. Transposed ones: in_axis=-1, out_axis=-2.
    seed : int, keras.random.SeedGenerator or None
        Each call draws anew, so several layers may share one initialiser. Copies made from its configuration start again.

    Attributes
    ----------
    activation : str
        The name of φ.
    sigma_w, sigma_b, q : float
        What was found: σ_w of this layer, σ_b of the biases that go with it, the variance that the network starts at.

    Raises
    ------
    <layer_errors>
    MeanFieldError
        If keras or its backend is not installed.

    References
    ----------
    <layer_references>

    Examples
    --------
    >>> import keras, meanfield.frameworks.keras as mfk  # doctest: +SKIP
    >>> init = mfk.MeanFieldInitializer("tanh", sigma_b=0.2)  # doctest: +SKIP
    >>> print(init)  # doctest: +SKIP
    normal weights for tanh: σ_w = 1.30414584/√fan_in (σ_b = 0.2, q = 0.512079)
    >>> layer = keras.layers.Dense(100, activation="tanh", kernel_initializer=init)  # doctest: +SKIP
    """

    axes: KernelAxes

    def __init__(
        self,
        activation: Any = None,
        depth: int | None = None,
        sigma_w: float | None = None,
        sigma_b: float | None = None,
        *,
        input_variance: float | None = None,
        distribution: str = "normal",
        in_axis: int | Iterable[int] = -2,
        out_axis: int | Iterable[int] = -1,
        batch_axis: int | Iterable[int] = (),
        seed: Any = None,
    ) -> None:
        needs_keras()
        self.axes = KernelAxes.checked(in_axis, out_axis, batch_axis)
        law = InitialLaw.of_weights(recognised(activation), depth, sigma_w, sigma_b, input_variance, distribution)
        self._set(**vars(law), seed=seed)

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Weights of that shape and dtype.

        Raises
        ------
        DomainError
            If the shape has no such axes, or the dtype is not real and floating.
        """
        layout = self.axes.of(shape)
        kind, work = _dtypes(dtype)
        ops = _keras.ops
        if 0 in layout.shape:
            return ops.zeros(layout.shape, dtype=kind)
        if self.distribution == "orthogonal":
            weights = self._orthogonal(layout, work)
        else:
            weights = (self.sigma_w / math.sqrt(layout.fan_in)) * self._standard(layout.shape, work)
        return ops.cast(weights, kind)

    def _orthogonal(self, layout: KernelLayout, work: str) -> Any:
        ops = _keras.ops
        batch, fan_in, units = layout.matrices
        q, r = ops.qr(self._standard((batch, max(fan_in, units), min(fan_in, units)), work))
        # Uniform over orthogonal matrices once the diagonal of R is positive (Mezzadri 2007).
        signs = ops.sign(ops.diagonal(r, axis1=-2, axis2=-1))
        q = q * ops.expand_dims(signs, -2)
        if fan_in < units:
            q = ops.transpose(q, (0, 2, 1))
        stack = orthogonal_scale(self.sigma_w, fan_in, units) * ops.reshape(q, layout.stacked)
        return ops.transpose(stack, layout.back)

    def get_config(self) -> dict[str, Any]:
        """σ's and settings as plain numbers and words; `from_config` asks no theory again."""
        axes = {name: list(getattr(self.axes, name)) for name in ("in_axis", "out_axis", "batch_axis")}
        return {**super().get_config(), **axes}

    def _restore(self, config: dict[str, Any]) -> None:
        names = {"in_axis": -2, "out_axis": -1, "batch_axis": ()}
        self.axes = KernelAxes.checked(*(config.pop(name, usual) for name, usual in names.items()))
        config["distribution"] = checked_distribution(config["distribution"], WEIGHTS)
        self._set(**config)

    def __str__(self) -> str:
        return told_weights(self)


@registered
@documented
class MeanFieldBiasInitializer(_Drawn):
    """The biases that go with `MeanFieldInitializer`: independent ones of standard deviation σ_b.

    Parameters
    ----------
    activation, depth, sigma_w, sigma_b
        As in `MeanFieldInitializer`; give both the same.
    <bias_distribution>
    seed : int, keras.random.SeedGenerator or None

    Raises
    ------
    ActivationError, DomainError, MeanFieldError
        As `MeanFieldInitializer`.

    Examples
    --------
    >>> import meanfield.frameworks.keras as mfk  # doctest: +SKIP
    >>> print(mfk.MeanFieldBiasInitializer("tanh", sigma_b=0.2))  # doctest: +SKIP
    normal biases for tanh: σ_b = 0.2 (σ_w = 1.30414584, q = 0.512079)
    """

    def __init__(
        self,
        activation: Any = None,
        depth: int | None = None,
        sigma_w: float | None = None,
        sigma_b: float | None = None,
        *,
        distribution: str = "normal",
        seed: Any = None,
    ) -> None:
        needs_keras()
        law = InitialLaw.of_biases(recognised(activation), depth, sigma_w, sigma_b, distribution)
        self._set(**vars(law), seed=seed)

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Biases of that shape and dtype."""
        kind, work = _dtypes(dtype)
        return _keras.ops.cast(self.sigma_b * self._standard(tuple(int(size) for size in shape), work), kind)

    def _restore(self, config: dict[str, Any]) -> None:
        config["distribution"] = checked_distribution(config["distribution"], BIASES)
        self._set(**config)

    def __str__(self) -> str:
        return told_biases(self)


def _checked_seed(seed: Any) -> Any:
    if isinstance(seed, dict):
        seed = _keras.saving.deserialize_keras_object(seed)
    if isinstance(seed, np.integer):
        seed = int(seed)
    if seed is None or isinstance(seed, _keras.random.SeedGenerator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DomainError(f"seed = {seed!r} is out of range: it must be a whole number of at least 0, a keras.random.SeedGenerator or None")
    return seed


def _dtypes(dtype: Any) -> tuple[str, str]:
    """The dtype to return, and the one to compute in: σ_w rounded to eight bits would be off by 0.2%."""
    kind = str(_keras.backend.standardize_dtype(dtype if dtype is not None else _keras.config.floatx()))
    if "float" not in kind:
        raise DomainError(f"dtype = {dtype!r} is out of range: weights and biases are real floating-point numbers")
    return kind, "float64" if kind == "float64" else "float32"
