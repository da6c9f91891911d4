"""An activation as a Keras layer."""

from __future__ import annotations

from typing import Any, Self

from meanfield.frameworks.keras.installed import keras, needs_keras, registered
from meanfield.frameworks.translation import Scales, translated

_Layer: Any = object if keras is None else keras.layers.Layer


@registered
class MeanFieldActivation(_Layer):  # type: ignore[misc, unused-ignore]
    """The same function as a Keras layer: differentiable with any backend, saved and loaded with its model.

    Parameters
    ----------
    activation : str or Activation
        Anything `meanfield.activation` accepts that has a formula: the catalogue, formulas and what `shape_activation` makes of them.
    **settings
        Keras's own: name, dtype, trainable.

    Raises
    ------
    ActivationError
        If the activation is known by its values only.
    MeanFieldError
        If Keras is not installed.

    Examples
    --------
    >>> import meanfield as mf
    >>> import meanfield.frameworks.keras as mfk  # doctest: +SKIP
    >>> layer = mfk.MeanFieldActivation(mf.shape_activation("gelu", depth=100, method="tat"))  # doctest: +SKIP
    """

    def __init__(self, activation: Any = None, **settings: Any) -> None:
        needs_keras()
        super().__init__(**settings)
        self._scales = Scales(activation)
        self._function = self._scales.around(translated(self._scales.tree("Keras"), _operations()))

    def call(self, inputs: Any) -> Any:
        """φ of every number."""
        return self._function(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As it came."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """φ by name and parameters, and the scales as numbers: `from_config` solves nothing again."""
        scales = self._scales
        return {
            **super().get_config(),
            "activation": scales.base.name,
            "parameters": dict(scales.base.parameters),
            **{name: getattr(scales, name) for name in ("output_scale", "input_scale", "input_shift", "output_shift")},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The layer that `get_config` described."""
        from meanfield.activations import activation as find_activation
        from meanfield.activations.shaped import Shape, ShapedActivation

        given = dict(config)
        if "output_scale" not in given:  # written by hand: the arguments of the class
            return cls(**given)
        base = find_activation(given.pop("activation"), **given.pop("parameters"))
        shape = Shape(**{name: given.pop(name) for name in ("output_scale", "input_scale", "input_shift", "output_shift")})
        return cls(ShapedActivation(base, (shape,), {}, "saved", f"shaped {base.name}"), **given)


def _operations() -> dict[str, Any]:
    ops = keras.ops
    names = (
        *("exp", "expm1", "log", "log1p", "sqrt", "abs", "sign", "sin", "cos", "tan", "sinh", "cosh", "tanh", "erf", "sigmoid", "relu"),
        *("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh"),
        *("maximum", "minimum", "where", "full_like", "logical_and", "logical_or", "logical_not"),
    )
    return {
        **{name: getattr(ops, name) for name in names},
        "erfc": lambda a: 1.0 - ops.erf(a),
        "softplus": lambda a: ops.logaddexp(a, ops.zeros_like(a)),
        "heaviside": lambda a: ops.where(a > 0, ops.ones_like(a), ops.zeros_like(a)),
    }
