"""The activation made from a function of the user's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from meanfield.activations.activation import Activation, Array
from meanfield.activations.black_box.calling import ArrayFunction, is_torch, wants_tensors
from meanfield.activations.black_box.differentiation import differentiate
from meanfield.activations.black_box.kinks import find_kinks
from meanfield.activations.breakpoint import Breakpoint
from meanfield.errors import ActivationError


class BlackBoxActivation(Activation):
    """An activation known by its values.

    Arrays are handed to the function whole. One that takes a single number at a time, such as math.tanh, works too, more
    slowly. Modules and functions of torch are evaluated in double precision and differentiated by torch. For all others
    φ' and φ'' come from local Chebyshev interpolation, to about 1e-12 and 1e-9 of the size of φ nearby where φ is computed
    in double precision and varies on scales not far below 1.
    """

    def __init__(self, function: Callable[..., Any], breakpoints: Iterable[Any] | None, name: str | None) -> None:
        self._original = function
        self._declared = None if breakpoints is None else _locations(breakpoints)
        self._given_name = name
        shown = name or _name_of(function)
        self._call: ArrayFunction
        if is_torch(function) or wants_tensors(function):
            from meanfield.activations.black_box.torch_function import TorchFunction

            self._call = TorchFunction(function, shown)
        else:
            self._call = ArrayFunction(function, shown)
        super().__init__(shown, (), None, self._call.noise)
        found = find_kinks(self._call, self.relative_noise) if self._declared is None else self._declared
        self._cuts = np.array(found, dtype=np.float64)
        self.breakpoints = tuple(self._measured(x) for x in found)

    def _raw(self, x: Array, k: int) -> Array:
        if k == 0:
            return self._call(x)
        automatic = getattr(self._call, "differentiated", None)
        if automatic is not None:
            try:
                y: Array = automatic(x, k)
            except ActivationError:
                y = np.full(x.shape, np.nan)
            missing = np.isnan(y)
            if missing.any():
                y[missing] = self._numerical(x[missing], k)
            return y
        return self._numerical(x, k)

    def _numerical(self, x: Array, k: int, side: int = -1) -> Array:
        """By interpolation on the piece around x; at a breakpoint on the piece at that side of it."""
        index = np.searchsorted(self._cuts, x, side="left" if side < 0 else "right")
        walls = np.concatenate([[-np.inf], self._cuts, [np.inf]])
        return differentiate(self._call, x, k, walls[index], walls[index + 1], self.relative_noise)

    def _limit(self, x: float, side: int, k: int) -> float:
        value = float(self._numerical(np.array([x]), k, side)[0])
        if k == 0:
            # The function's own value, at x or one step beside it, is more exact than the interpolant's.
            for point in (x, math.nextafter(x, side * math.inf)):
                own = float(self._call(np.array([point]))[0])
                if abs(own - value) <= 1e4 * self.relative_noise * max(abs(value), abs(own), abs(x) * 1e-3, 1e-3):
                    return own
        return value

    def _measured(self, x: float) -> Breakpoint:
        """The breakpoint at x with its jumps; differences within the noise count as 0."""
        jumps = []
        for k in (0, 1):
            right, left = self._limit(x, +1, k), self._limit(x, -1, k)
            jump = right - left
            if math.isnan(jump):
                jump = 0.0
            size = abs(right) + abs(left) + max(abs(self._limit(x, s, 0)) for s in (-1, 1)) + 1e-12
            jumps.append(0.0 if abs(jump) <= (1e3, 1e5)[k] * self.relative_noise * size else jump)
        return Breakpoint(x, *jumps)

    def cut_at(self, jumps: Iterable[float], smooth: Iterable[float]) -> BlackBoxActivation:
        """The same function with further breakpoints; at those where it is smooth nothing is measured, as it may be steep there."""
        at, keep = [*(b.location for b in self.breakpoints), *jumps], set(smooth)
        made = BlackBoxActivation(self._original, [*at, *keep], self._given_name or self.name)
        made.breakpoints = tuple(Breakpoint(b.location) if b.location in keep else b for b in made.breakpoints)
        return made

    def __reduce__(self) -> Any:
        return _restored, (self._original, self._declared, self._given_name)


def from_callable(function: Callable[..., Any], breakpoints: Iterable[Any] | None, name: str | None) -> BlackBoxActivation:
    """The activation of a function from arrays to arrays."""
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ActivationError(f"name must be a text that is not empty, not {name!r}")
    return BlackBoxActivation(function, breakpoints, name)


def _restored(function: Callable[..., Any], breakpoints: Any, name: str | None) -> BlackBoxActivation:
    return BlackBoxActivation(function, breakpoints, name)


def _locations(breakpoints: Iterable[Any]) -> tuple[float, ...]:
    try:
        given = [float(getattr(point, "location", point)) for point in breakpoints]
    except (TypeError, ValueError) as error:
        raise ActivationError(f"breakpoints must be finite numbers, not {breakpoints!r}") from error
    if len(given) > 10_000 or not all(map(math.isfinite, given)):
        raise ActivationError(f"breakpoints must be at most 10000 finite numbers, not {breakpoints!r}")
    return tuple(sorted({x + 0.0 for x in given}))


def _name_of(function: Any) -> str:
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__
