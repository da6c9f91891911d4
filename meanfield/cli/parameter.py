"""Parameters of an activation as typed: name=value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meanfield.errors import DomainError

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


def _value(text: str) -> float | str | tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        return text
    return numbers if len(numbers) > 1 else numbers[0]
