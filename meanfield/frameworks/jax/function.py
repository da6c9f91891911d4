"""An activation in the operations of jax.numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meanfield.frameworks.jax.installed import jax
from meanfield.frameworks.translation import Scales, translated

_FUNCTIONS = (
    *("exp", "expm1", "log", "log1p", "sqrt", "abs", "sign", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh"),
    *("maximum", "minimum", "where", "full_like", "logical_and", "logical_or", "logical_not"),
)


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
    library = jax()
    scales = Scales(activation)
    jnp = library.numpy
    table = {
        **{name: getattr(jnp, name) for name in _FUNCTIONS},
        "erf": library.scipy.special.erf,
        "erfc": library.scipy.special.erfc,
        "sigmoid": library.nn.sigmoid,
        "relu": library.nn.relu,
        "softplus": lambda a: jnp.logaddexp(a, 0.0),
        "heaviside": lambda a: jnp.where(a > 0, jnp.ones_like(a), jnp.zeros_like(a)),
    }
    return scales.around(translated(scales.tree("JAX"), table))
