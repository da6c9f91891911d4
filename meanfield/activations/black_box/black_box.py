"""The activation made from a function of the user's."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from meanfield.activations.activation import Activation, Array
from meanfield.activations.black_box.calling import ArrayFunction, is_torch, wants_tensors
from meanfield.activations.black_box.differentiation import DEGREE, Derivative, Mask, clear_beside, differentiate
from meanfield.activations.black_box.kinks import find_kinks
from meanfield.activations.black_box.pieces import cut
from meanfield.activations.black_box.scan import scan
from meanfield.activations.black_box.sending import Sent, check_pickles
from meanfield.activations.breakpoint import Breakpoint
from meanfield.activations.feature import Feature
from meanfield.errors import ActivationError

_log = logging.getLogger(__name__)
_THIN = 1e-2  # relative to 1 + |x|: what is wider is no layer beside a breakpoint
_STEP = 8.0  # from one feature of a layer to the next
_MOST_LAYERS = 4_000


class BlackBoxActivation(Activation):
    """An activation known by its values.

    Arrays are handed to the function whole. One that takes a single number at a time, such as math.tanh, works too, more
    slowly. Modules and functions of torch are evaluated in double precision and differentiated by torch. For all others
    φ' and φ'' come from local Chebyshev interpolation, to about 1e-12 and 1e-9 of the size of φ nearby where φ is computed
    in double precision, and of what that comes to at the scale of φ where it is steep.

    What departs from its surroundings over a width of at least `narrowest`·√(1 + x²) is found with certainty for |x| ≤ 10⁴, and
    beside 0 what is as wide as 0.4% of |x|. `narrowest` is 4.3e-5, or 6.0e-4 where φ takes one number at a time or as long as
    that. Nothing narrower need be seen, and error estimates know nothing of it: declare it by `breakpoints`.
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
        self.costly = getattr(self._call, "differentiated", None) is None
        samples, self.narrowest = scan(self._call, self.relative_noise, self._call.one_by_one)
        found: Sequence[float] = self._declared or ()
        pieces = cut(self._call, self.relative_noise, samples, np.array(found, dtype=np.float64))
        if self._declared is None:
            found = find_kinks(self._call, self.relative_noise, pieces)
            if found:  # what was narrow on account of a kink alone is wide again on both sides of it
                pieces = cut(self._call, self.relative_noise, samples, np.array(found))
        self._cuts = np.array(found, dtype=np.float64)
        self._clear_left, self._clear_right = clear_beside(self._call, self._cuts, self.relative_noise)
        self._pieces = pieces
        self.features = tuple(sorted({*pieces.features(), *_layers(self._cuts, self._clear_left, self._clear_right)}))
        self.breakpoints = self._measured(self._cuts) if len(self._cuts) else ()

    def _raw(self, x: Array, k: int) -> Array:
        if not x.size:  # np.vectorize refuses that
            return np.zeros(0)
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
        values = self._differentiated(x, k, side).values
        lost = np.flatnonzero(np.isnan(values))
        if lost.size:  # ±inf where φ has overflowed, or is about to, for good
            far = x[lost]
            further = [self._call(np.ascontiguousarray(far * step)) for step in (1.01, 1.1, 2.0)]
            gone = np.isinf(further[0]) & (further[0] == further[1]) & (further[0] == further[2])
            values[lost[gone]] = (further[0] * (np.sign(far) if k == 1 else 1.0))[gone]
        return values

    def _differentiated(self, x: Array, k: int, side: int = -1) -> Derivative:
        """By interpolation on the piece around x; at a breakpoint on the piece at that side of it."""
        index = np.searchsorted(self._cuts, x, side="left" if side < 0 else "right")
        walls = np.concatenate([[-np.inf], self._cuts, [np.inf]])
        beside = np.nextafter(x, -np.inf) if side < 0 else x
        start = 16.0 * np.minimum(self._pieces.width(x), self._pieces.width(beside))
        # An interval that touches a wall up to which φ is not smooth is not resolved, however often it is halved.
        for wall, clear in ((walls[index], [np.inf, *self._clear_right]), (walls[index + 1], [*self._clear_left, np.inf])):
            away = np.abs(x - wall)
            start = np.where(away > 0.0, np.minimum(start, np.maximum(4.0 * np.array(clear)[index], away)), start)
        return differentiate(self._call, x, k, walls[index], walls[index + 1], start, self.relative_noise)

    def noise(self, x: Array, k: int) -> Array:
        """How large the noise of φ^(k) at x is, absolute; 0 where it is no more than rounding."""
        if k == 0 or not self.costly:
            return np.zeros(x.shape)
        return self._differentiated(x, k).noise

    def _limit(self, x: float, side: int, k: int) -> float:
        return float(self.limits(np.array([x]), side, k)[0])

    def limits(self, x: Array, side: int, k: int) -> Array:
        """φ^(k) at breakpoints, from one side."""
        if not x.size:
            return np.zeros(0)
        limits = self._numerical(x, k, side)
        if k == 0:
            # The function's own value, at x or one step beside it, is more exact than the interpolant's.
            left = np.arange(len(x))
            for points in (x, np.nextafter(x, side * np.inf)):
                own, fitted = self._call(points[left]), limits[left]
                with np.errstate(invalid="ignore"):
                    size = np.maximum(np.maximum(np.abs(fitted), np.abs(own)), np.maximum(np.abs(x[left]) * 1e-3, 1e-3))
                    near = np.abs(own - fitted) <= 1e4 * self.relative_noise * size
                limits[left[near]] = own[near]
                left = left[~near]
                if not len(left):
                    break
        return limits

    def _measured(self, x: Array) -> tuple[Breakpoint, ...]:
        """The breakpoints at x with their jumps; differences within the noise count as 0."""
        with np.errstate(invalid="ignore"):
            right, left = self.limits(x, +1, 0), self.limits(x, -1, 0)
            jump = np.where(np.isnan(right - left) | self._closes(x, right - left), 0.0, right - left)
            after, before = self._differentiated(x, 1, +1), self._differentiated(x, 1, -1)
            steeper, flatter = after.values, before.values
            noise = self.relative_noise * (np.abs(right) + np.abs(left) + np.maximum(np.abs(right), np.abs(left)) + 1e-12)
            # The place of a kink is known to some units in the last place, which the slopes beside it make a step of.
            unplaced = self.relative_noise * np.abs(x) * np.where(np.isfinite(steeper - flatter), np.abs(steeper) + np.abs(flatter), 0.0)
            jump[np.abs(jump) <= 1e3 * noise + 256.0 * unplaced] = 0.0
            slope = np.where(np.isnan(steeper - flatter), 0.0, steeper - flatter)
            # At the end of an interval a series of n terms magnifies noise n times as much as in its middle.
            slope[np.abs(slope) <= 8.0 * DEGREE * (after.noise + before.noise)] = 0.0
            noise = self.relative_noise * (np.abs(steeper) + np.abs(flatter) + np.maximum(np.abs(right), np.abs(left)) + 1e-12)
            slope[np.abs(slope) <= 1e5 * noise] = 0.0
        return tuple(map(Breakpoint, x.tolist(), jump.tolist(), slope.tolist()))

    def _closes(self, x: Array, jump: Array) -> Mask:
        """Whether φ has no such jump at x: right beside x its two sides are closer than that."""
        distance = 64.0 * np.spacing(np.maximum(np.abs(x), 1e-16))
        closer: Mask = np.abs(self._call(x + distance) - self._call(x - distance)) < 0.1 * np.abs(jump)
        return closer

    def cut_at(self, jumps: Iterable[float], smooth: Iterable[float]) -> BlackBoxActivation:
        """The same function with further breakpoints; at those where it is smooth nothing is measured, as it may be steep there."""
        at, keep = [*(b.location for b in self.breakpoints), *jumps], set(smooth)
        made = BlackBoxActivation(self._original, [*at, *keep], self._given_name or self.name)
        made.breakpoints = tuple(Breakpoint(b.location) if b.location in keep else b for b in made.breakpoints)
        return made

    def _origins(self) -> tuple[Any, ...]:
        return (Sent(self._original), self._declared, self._given_name)

    def __reduce__(self) -> Any:
        check_pickles(self._original, self.name)
        return _restored, (self._original, self._declared, self._given_name)


def _layers(walls: Array, left: Array, right: Array) -> list[Feature]:
    """Where φ is smooth up to a breakpoint only very near to it, as beside a steep step: features of all sizes from there on."""
    found: list[Feature] = []
    inner = [[(abs(wall), wall, clear) for wall, clear in zip(walls.tolist(), side.tolist(), strict=True)] for side in (left, right)]
    for _, wall, clear in sorted(inner[0] + inner[1]):
        scale = clear
        while 0.0 < scale < _THIN * (1.0 + abs(wall)):
            found.append(Feature(wall, scale))
            scale *= _STEP
    if len(found) > _MOST_LAYERS:
        _log.info("%d layers beside breakpoints were found and the innermost %d kept", len(found), _MOST_LAYERS)
    return found[:_MOST_LAYERS]


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
