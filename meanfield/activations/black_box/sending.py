"""A function of the user's on its way to another process: whether it pickles, and whether what came back is the same."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from meanfield.errors import ActivationError
from meanfield.result import same

BY_VALUE = ("cloudpickle", "dill")  # picklers that write a function's code, and not its name


class Sent:
    """A function, equal to another that is it, says so itself, or holds the same, as a torch module does after a pickle."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sent):
            return NotImplemented
        if self.function is other.function or bool(self.function == other.function):
            return True
        # Two functions, classes or lambdas are one only if they are the same object.
        if type(self.function) is not type(other.function) or hasattr(self.function, "__qualname__"):
            return False
        try:
            return same(_contents(self.function), _contents(other.function))
        except Exception:  # contents that can't be told are not known to be equal
            return False

    __hash__ = None  # type: ignore[assignment]


def _contents(function: Any) -> Any:
    """What an object that can be called holds: a torch module its weights, another one its pickle."""
    if hasattr(function, "state_dict"):
        return repr(function), {name: np.asarray(value.detach().cpu()) for name, value in function.state_dict().items()}
    return pickle.dumps(function)


def check_pickles(function: Callable[..., Any], name: str) -> None:
    """Refuse a function that does not pickle, in words that say why.

    Raises
    ------
    ActivationError
        If it does not pickle, and the pickler at work is none that writes code, as joblib's for processes is.

    Examples
    --------
    >>> import math
    >>> check_pickles(math.tanh, "tanh")
    >>> check_pickles(lambda x: x, "mine")
    Traceback (most recent call last):
    ...
    meanfield.errors.ActivationError: the activation 'mine' can't be pickled: its function is a lambda, and pickle keeps functions by their
    name; define it with def at the top of a module, or give it as a formula
    """
    if _written_by_value():
        return
    try:
        pickle.dumps(function)
    except Exception as error:
        qualified = getattr(function, "__qualname__", type(function).__qualname__)
        if qualified.endswith("<lambda>"):
            why = "its function is a lambda, and pickle keeps functions by their name"
        elif "<locals>" in qualified:
            why = f"its function {qualified} is defined inside another one, and pickle keeps functions by their name"
        else:
            why = f"its function {qualified} does not pickle ({error})"
        raise ActivationError(
            f"the activation {name!r} can't be pickled: {why}; define it with def at the top of a module, or give it as a formula"
        ) from error


def _written_by_value() -> bool:
    """Whether a pickler further up the stack writes code: a ``__reduce__`` is not told who asks."""
    frame = sys._getframe(1)
    while frame is not None:
        if any(part in BY_VALUE for part in str(frame.f_globals.get("__name__", "")).split(".")):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
