"""From what a user writes to an activation."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from meanfield.activations.activation import Activation, shortened
from meanfield.activations.catalogue.names import entries, find, suggestions
from meanfield.errors import ActivationError

_KEPT = 256
_lock = threading.RLock()
_cache: OrderedDict[Any, Activation] = OrderedDict()

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[.\- ][A-Za-z0-9_]+)*\Z")


def activations() -> tuple[str, ...]:
    """The names of the catalogue, in alphabetical order.

    Examples
    --------
    >>> import meanfield as mf
    >>> "relu" in mf.activations()
    True
    """
    return tuple(entries())


def activation(
    spec: Any,
    /,
    *,
    breakpoints: Iterable[Any] | None = None,
    name: str | None = None,
    **parameters: Any,
) -> Activation:
    """The activation that `spec` describes.

    Parameters
    ----------
    spec : str, SymPy expression, callable or Activation
        A name of the catalogue (spellings of torch, jax and keras are known; capitals, underscores and hyphens don't
        matter), a formula in x, a SymPy expression with one free symbol, or any function from arrays to arrays, a torch
        module included. An activation is handed back as it is.
    breakpoints : iterable of float, optional
        Callables only: the points where it is not smooth. They are searched for where none are given.
    name : str, optional
        What to call a callable.
    **parameters
        The parameters of the catalogue entry, by torch's names, or the values of the named constants in a formula.

    Returns
    -------
    Activation
        The same object again for the same name and parameters, or the same formula.

    Raises
    ------
    ActivationError
        Where `spec` can't be understood or evaluated.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.activation("LeakyReLU", negative_slope=0.3)(-1.0)
    -0.3
    >>> mf.activation("x * sigmoid(b * x)", b=2)(0.0)
    0.0
    """
    if isinstance(spec, Activation):
        _only_callables(spec.name, breakpoints, name)
        if parameters:
            raise ActivationError(f"{spec!r} is an activation already and takes no parameters ({', '.join(parameters)})")
        return spec
    if isinstance(spec, str):
        _only_callables(shortened(spec), breakpoints, name)
        return _from_text(spec, parameters)
    if type(spec).__module__.partition(".")[0] == "sympy" and hasattr(spec, "free_symbols"):
        _only_callables(shortened(str(type(spec).__name__)), breakpoints, name)
        return _from_sympy(spec, parameters)
    if callable(spec):
        from meanfield.activations.black_box.black_box import from_callable

        if parameters:
            raise ActivationError(f"a callable takes no parameters ({', '.join(parameters)}): bind them first, with functools.partial")
        return from_callable(spec, breakpoints, name)
    raise ActivationError(
        f"an activation is a catalogue name, a formula, a SymPy expression or a callable, not {type(spec).__name__} {shortened(repr(spec))}"
    )


Activation._find = staticmethod(activation)


def _from_text(spec: str, parameters: dict[str, Any]) -> Activation:
    if len(spec) <= 100:
        entry = find(spec)
        if entry is not None:
            values = entry.checked(parameters)
            return _kept(("catalogue", entry.name, tuple(values.items())), lambda: entry.activation(values))
        word = spec.strip()
        if _WORD.match(word) and word != "x" and word not in parameters and not _is_formula_word(word):
            near = suggestions(word)
            hint = f"; did you mean {' or '.join(near)}?" if near else "; activations() lists the catalogue"
            raise ActivationError(f"unknown activation {word!r}{hint}")
    from meanfield.activations.formula.formula import FormulaActivation, checked_parameters

    numbers = checked_parameters(spec, parameters)
    key = ("formula", spec.strip(), tuple(sorted(numbers.items())))
    return _kept(key, lambda: FormulaActivation.from_text(spec.strip(), numbers))


def _from_sympy(spec: Any, parameters: dict[str, Any]) -> Activation:
    from meanfield.activations.formula.formula import FormulaActivation

    if parameters:
        raise ActivationError(f"a SymPy expression takes no parameters ({', '.join(parameters)}): substitute them first")
    return _kept(("sympy", spec), lambda: FormulaActivation.from_sympy(spec))


def _is_formula_word(word: str) -> bool:
    """Whether a lone word or words with spaces, dots or hyphens may be meant as a formula: ``x - e``, ``pi``."""
    from meanfield.activations.formula.parse import FUNCTIONS

    parts = re.split(r"[.\- ]+", word)
    return (len(parts) > 1 and "x" in parts and not any(part in FUNCTIONS for part in parts)) or word in ("pi", "e")


def _only_callables(spec: str, breakpoints: Any, name: str | None) -> None:
    if breakpoints is not None or name is not None:
        which = "breakpoints" if breakpoints is not None else "name"
        raise ActivationError(f"{which}= is for callables; those of {spec} are known")


def _kept(key: Any, make: Callable[[], Activation]) -> Activation:
    """The activation made before under that key, or a new one; the least recently used are let go."""
    with _lock:
        if key in _cache:
            _cache.move_to_end(key)
            return _cache[key]
    made = make()
    with _lock:
        made = _cache.setdefault(key, made)
        while len(_cache) > _KEPT:
            _cache.popitem(last=False)
    return made
