"""Parameters of an activation as typed: name=value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from meanfield.errors import ActivationError, DomainError

if TYPE_CHECKING:
    from meanfield.activations import Activation

# Keywords of meanfield.activation that say something else about an activation.
_NOT_PARAMETERS = ("breakpoints", "name")


def parameters(words: Sequence[str]) -> dict[str, Any]:
    """A keyword dictionary from ``name=value`` words: numbers, comma lists of numbers, or else plain words.

    Examples
    --------
    >>> parameters(["negative_slope=0.3", "approximate=tanh", "coefficients=0,1"])
    {'negative_slope': 0.3, 'approximate': 'tanh', 'coefficients': (0.0, 1.0)}
    """
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals or not name.isidentifier() or not value:
            raise DomainError(f"-p {word!r} can't be read; give name=value, such as -p negative_slope=0.3")
        if name in _NOT_PARAMETERS:
            raise DomainError(f"-p {word!r}: {name!r} is no parameter of an activation; give one of its own parameters")
        if name in found:
            raise DomainError(f"-p {word!r}: the parameter {name!r} is given twice; give each once")
        found[name] = _value(value)
    return found


def named_activation(text: str, words: Sequence[str] | None) -> Activation:
    """The activation of a name or formula and its ``name=value`` words.

    Examples
    --------
    >>> dict(named_activation("leaky_relu", ["negative_slope=0.3"]).parameters)
    {'negative_slope': 0.3}
    """
    keywords = parameters(words or [])
    from meanfield.activations import activation

    try:
        return activation(text, **keywords)
    except ActivationError as error:
        # What a Python user gives as keywords is an option here.
        told = str(error).replace("give parameters as keywords beside the formula", "give a parameter's value with -p, such as -p a=0.3")
        raise ActivationError(told) from error


def _value(text: str) -> float | str | tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        return text
    return numbers if len(numbers) > 1 else numbers[0]
