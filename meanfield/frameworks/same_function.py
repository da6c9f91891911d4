"""A framework's own activation function, recognised as the catalogue's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.activations import activations as catalogue
from meanfield.activations.catalogue.names import find
from meanfield.errors import ActivationError, DomainError

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

# Values at these points tell functions apart; frameworks compute in single precision.
POINTS = np.concatenate([np.linspace(-8.0, 8.0, 257), [-0.013, 0.013, -20.0, 20.0]])
TOLERANCE = 1e-5
# The same where the name does not count: relative and absolute, for values of double precision with constants that were rounded to single …
DOUBLE = (1e-6, 1e-9)
SINGLE = (1e-5, 1e-6)  # … and for values of single precision
# Words that the catalogue spells differently (jax and keras say approximate=True).
_WORDS: dict[tuple[str, Any], Any] = {("approximate", True): "tanh", ("approximate", False): "none"}


def same_function(function: Any, values: Callable[[Array], Array]) -> Activation | None:
    """The catalogue's entry of that name, if it has the function's values too.

    Its parameters are looked for among the function's defaults and attributes: keras.layers.LeakyReLU(0.3), jax.nn.gelu.

    Parameters
    ----------
    function : callable
        A framework's function, layer or partial.
    values : callable
        The function on an array of doubles, to single precision at least.
    """
    core = function
    while isinstance(core, functools.partial):
        core = core.func
    entry = find(str(getattr(core, "__name__", type(core).__name__)))
    if entry is None:
        return None
    names = {parameter.name for parameter in entry.parameters}
    wanted = values(POINTS)
    for given in ({}, {name: value for name, value in _settings(function).items() if name in names}):
        try:
            candidate = entry.activation(given)
        except ActivationError:  # the function means something else by that parameter
            continue
        if np.all(np.abs(candidate(POINTS) - wanted) <= TOLERANCE * (1.0 + np.abs(wanted))):
            return candidate
    return None


def same_values(values: Callable[[Array], Array], tolerance: tuple[float, float] = DOUBLE) -> Activation | None:
    """The catalogue's entry with these values, of whatever name: its usual parameters, and the slopes that are often changed.

    Examples
    --------
    >>> same_values(lambda x: np.where(x > 0, x, 0.3 * x))
    activation('leaky_relu', negative_slope=0.3)
    """
    wanted = values(POINTS)
    with np.errstate(all="ignore"):
        if wanted.shape != POINTS.shape or not np.all(np.isfinite(wanted)):
            return None
        slope, floor = -float(values(np.array([-1.0]))[0]), -float(values(np.array([-60.0]))[0])
        candidates: list[tuple[str, dict[str, Any]]] = [
            *((name, {}) for name in sorted(catalogue(), key=len)),
            ("gelu", {"approximate": "tanh"}),
            ("leaky_relu", {"negative_slope": float(f"{slope:.7g}")}),  # what single precision made of a number somebody typed
            ("elu", {"alpha": float(f"{floor:.7g}")}),
            ("celu", {"alpha": float(f"{floor:.7g}")}),
        ]
        for name, given in candidates:
            try:
                candidate = find_activation(name, **given)
            except (ActivationError, DomainError):  # a slope that the entry does not allow
                continue
            if np.all(np.abs(candidate(POINTS) - wanted) <= tolerance[0] * np.abs(wanted) + tolerance[1]):
                return candidate
    return None


def as_activation(function: Any, values: Callable[[Array], Array], not_tried: tuple[type[Exception], ...] = ()) -> Activation:
    """The catalogue's entry if it is the same function; else the function itself, under its own name.

    Parameters
    ----------
    function, values
        As in `same_function`.
    not_tried : tuple of exception types
        What the framework raises for a function that is none of one array: `meanfield.activation` says what is wrong with it.
    """
    try:
        found = same_function(function, values)
    except not_tried:
        found = None
    return found or find_activation(values, name=str(getattr(function, "__name__", type(function).__name__)))


def padded(x: Array) -> Array:
    """x with zeros up to the next power of two: a framework that compiles for every length then compiles few programs.

    Examples
    --------
    >>> padded(np.ones(3))
    array([1., 1., 1., 0.])
    """
    longer = np.zeros(1 << max(x.size - 1, 0).bit_length())
    longer[: x.size] = x
    return longer


def _settings(function: Any) -> Mapping[str, Any]:
    """Defaults of a function's arguments, and attributes of an object."""
    found: dict[str, Any] = {}
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = {}.values()
    found |= {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    found |= {name: value for name, value in getattr(function, "__dict__", {}).items() if isinstance(value, (int, float, str))}
    return {name: _WORDS.get((name, value), value) if isinstance(value, (bool, str)) else value for name, value in found.items()}
