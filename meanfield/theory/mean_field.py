"""One network ensemble: an activation with σ_w and σ_b, or one layer that is repeated."""

from __future__ import annotations

import functools
from typing import Any

from meanfield.layers.layer import Layer
from meanfield.theory.plain_field import PlainField


class MeanField(PlainField):
    """The mean-field theory of wide random networks h = W φ(h_prev) + b, W_ij ~ N(0, σ_w²/fan_in), b_i ~ N(0, σ_b²).

    Parameters
    ----------
    activation : str, callable, Activation or Layer
        Anything `meanfield.activation` accepts; or a layer of `meanfield.layers`, for a network of that layer repeated.
    sigma_w, sigma_b : float
        Standard deviations (σ, not σ²) of weights times √fan_in, and of biases; in [0, 1e100]. A layer brings its own.

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.
    DomainError
        If sigma_w or sigma_b is out of range.

    References
    ----------
    Poole et al. (2016); Schoenholz et al. (2017).

    Examples
    --------
    >>> import meanfield as mf
    >>> net = mf.MeanField("tanh", sigma_w=1.3, sigma_b=0.3)
    >>> round(net.q_star, 6), round(net.chi_1, 6), net.phase
    (0.607047, 0.939807, 'ordered')
    """

    def __new__(cls, activation: Any = None, sigma_w: float | None = None, sigma_b: float | None = None) -> MeanField:
        made = _of_layers() if cls is MeanField and isinstance(activation, Layer) else cls
        return super().__new__(made)

    def __reduce__(self) -> tuple[Any, ...]:
        return MeanField, self._origins()


@functools.cache
def _of_layers() -> type[MeanField]:
    """The class of what `MeanField(layer)` makes, loaded when the first of them is asked for."""
    from meanfield.theory.layer_field import LayerField

    class LayerMeanField(LayerField, MeanField):
        """`MeanField` of a layer that is repeated."""

    return LayerMeanField
