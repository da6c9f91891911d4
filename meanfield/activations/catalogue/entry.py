"""What a catalogue entry holds, and the activation made from it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations.activation import Activation, Array
from meanfield.activations.breakpoint import Breakpoint
from meanfield.errors import ActivationError

if TYPE_CHECKING:
    from meanfield.activations.formula.blind_spots import BlindSpots
    from meanfield.activations.formula.tree import Node
    from meanfield.arrays import Mask

Function = Callable[[Array], "Array | float"]
Triple = tuple[Function, Function, Function]


@dataclass(frozen=True)
class Parameter:
    """A parameter of an entry: its name, its default and the values it may take."""

    name: str
    default: Any
    allowed: str = "a finite number"
    accepts: Callable[[float], bool] = field(default=lambda value: True)

    def checked(self, entry: str, value: Any) -> Any:
        """The value as a float, or an error that names the parameter and what is allowed."""
        number = None if isinstance(value, (str, bytes, bool)) else _as_float(value)
        if number is None or not np.isfinite(number) or not self.accepts(number):
            raise ActivationError(f"{self.name} of {entry} must be {self.allowed}, not {value!r}")
        return number


@dataclass(frozen=True)
class Choice(Parameter):
    """A parameter that takes one of a few words."""

    words: tuple[str, ...] = ()

    def checked(self, entry: str, value: Any) -> Any:
        if not isinstance(value, str) or value not in self.words:
            raise ActivationError(f"{self.name} of {entry} must be one of {', '.join(map(repr, self.words))}, not {value!r}")
        return value


@dataclass(frozen=True)
class Coefficients(Parameter):
    """A parameter that is a sequence of finite numbers."""

    def checked(self, entry: str, value: Any) -> Any:
        try:
            given = tuple(value)
            # NumPy's complex numbers would become floats with no more than a warning.
            numbers = () if any(isinstance(number, complex) for number in given) else tuple(float(number) for number in given)
        except (TypeError, ValueError, OverflowError):
            numbers = ()
        if not 1 <= len(numbers) <= 100 or not all(map(np.isfinite, numbers)) or isinstance(value, (str, bytes)):
            raise ActivationError(f"{self.name} of {entry} must be 1 to 100 finite numbers, constant term first, not {value!r}")
        return numbers


def positive(name: str, default: float) -> Parameter:
    """A parameter that must be a finite number above 0."""
    return Parameter(name, default, "a finite number > 0", lambda value: value > 0)


def not_negative(name: str, default: float) -> Parameter:
    """A parameter that must be a finite number, 0 or above."""
    return Parameter(name, default, "a finite number >= 0", lambda value: value >= 0)


@dataclass(frozen=True)
class Pieces:
    """φ, φ', φ'' as analytic pieces between cuts.

    `owners[i]` says which piece holds at the cut itself: −1 the left one, +1 the right one. `whole`, where given,
    evaluates all of φ faster than the pieces do.
    """

    pieces: tuple[Triple, ...]
    cuts: tuple[float, ...] = ()
    owners: tuple[int, ...] = ()
    whole: Triple | None = None

    def __call__(self, x: Array, k: int) -> Array:
        if self.whole is not None:
            return np.asarray(self.whole[k](x), dtype=np.float64)
        y: Any = self.pieces[0][k](x)
        for cut, owner, piece in zip(self.cuts, self.owners, self.pieces[1:], strict=True):
            y = np.where(x >= cut if owner > 0 else x > cut, piece[k](x), y)
        return np.broadcast_to(y, x.shape).copy() if np.ndim(y) == 0 else np.asarray(y, dtype=np.float64)

    def limit(self, x: float, side: int, k: int) -> float:
        """φ^(k)(x±)."""
        index = sum(cut <= x if side > 0 else cut < x for cut in self.cuts)
        return float(np.ravel(self.pieces[index][k](np.array([x])))[0]) + 0.0

    def breakpoints(self) -> tuple[Breakpoint, ...]:
        """The cuts with their jumps."""
        jumps = ((cut, *(self.limit(cut, 1, k) - self.limit(cut, -1, k) for k in (0, 1))) for cut in self.cuts)
        return tuple(Breakpoint(cut, value, slope) for cut, value, slope in jumps)


def smooth(value: Function, slope: Function, curvature: Function) -> Pieces:
    """An activation that is analytic everywhere."""
    return Pieces(pieces=((value, slope, curvature),), whole=(value, slope, curvature))


def constant(number: float) -> Function:
    """The function that is `number` everywhere."""
    return lambda x: np.full_like(x, number)


def line(slope: float, intercept: float = 0.0) -> Triple:
    """slope · x + intercept and its derivatives."""
    if intercept == 0.0:
        return (lambda x: slope * x, constant(slope), constant(0.0))
    return (lambda x: slope * x + intercept, constant(slope), constant(0.0))


@dataclass(frozen=True)
class Entry:
    """One activation of the catalogue, or a family of them where it has parameters.

    `formula` is its text in the grammar of formulas, or makes that text from the parameters.
    """

    name: str
    build: Callable[..., Pieces]
    formula: str | Callable[..., str]
    aliases: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    note: str = ""

    def activation(self, given: Mapping[str, Any]) -> CatalogueActivation:
        """The activation at the given parameters, defaults elsewhere."""
        return CatalogueActivation(self, self.checked(given))

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters with their values, in order."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                allowed = f"it takes {', '.join(known)}" if known else "it takes none"
                raise ActivationError(f"{self.name} has no parameter {name!r}: {allowed}")
        values = {name: parameter.checked(self.name, given.get(name, parameter.default)) for name, parameter in known.items()}
        if "min_val" in values and values["min_val"] >= values["max_val"]:
            raise ActivationError(f"min_val of {self.name} must be below max_val, not {values['min_val']!r} >= {values['max_val']!r}")
        if "lower" in values and values["lower"] > values["upper"]:
            raise ActivationError(f"lower of {self.name} must be at most upper, not {values['lower']!r} > {values['upper']!r}")
        return values

    def text(self, parameters: Mapping[str, Any]) -> str:
        """The formula's text."""
        return self.formula if isinstance(self.formula, str) else self.formula(**parameters)


class CatalogueActivation(Activation):
    """An activation of the catalogue."""

    has_formula = True

    def __init__(self, entry: Entry, parameters: Mapping[str, Any]) -> None:
        self._entry = entry
        self._pieces = entry.build(**parameters)
        with np.errstate(all="ignore"):
            breakpoints = self._pieces.breakpoints()
        super().__init__(entry.name, breakpoints, parameters)

    @functools.cached_property
    def text(self) -> str:
        """The formula's text, parameters as names."""
        return self._entry.text(self.parameters)

    @functools.cached_property
    def formula(self) -> Any:
        """The SymPy expression of φ in the symbol x."""
        from meanfield.activations.formula.sympy_bridge import to_sympy

        return to_sympy(self._tree())

    def _tree(self) -> Node:
        from meanfield.activations.formula.parse import parse

        numbers = {name: value for name, value in self.parameters.items() if isinstance(value, float) and name in self.text}
        return parse(self.text, numbers, unused=True)

    @functools.cached_property
    def _blind_spots(self) -> BlindSpots | None:
        """None at the parameters' defaults: what varies on a scale near 1 around 0 hides nothing, and mpmath need not be loaded."""
        if all(self.parameters[parameter.name] == parameter.default for parameter in self._entry.parameters):
            return None
        from meanfield.activations.formula.blind_spots import BlindSpots
        from meanfield.activations.formula.rewrite import rewritten
        from meanfield.activations.formula.tree import tape

        return BlindSpots(tape(rewritten(self._tree())))

    def hides(self, points: Array) -> Mask:
        return super().hides(points) if self._blind_spots is None else self._blind_spots.between(points)

    def _raw(self, x: Array, k: int) -> Array:
        return self._pieces(x, k)

    def _limit(self, x: float, side: int, k: int) -> float:
        with np.errstate(all="ignore"):
            return self._pieces.limit(x, side, k)

    def __reduce__(self) -> Any:
        return functools.partial(Activation._find, self.name, **self.parameters), ()


def _as_float(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
