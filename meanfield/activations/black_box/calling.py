"""Calling a function of the user's: arrays in, checked arrays of doubles out."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from meanfield.activations.activation import DOUBLE_NOISE, Array, shortened
from meanfield.errors import ActivationError

PROBES = np.array([0.0, 0.31, -0.31, 1.73, -1.73, 5.9, -5.9, 0.0137, -0.0137, 23.0, -23.0])


class ArrayFunction:
    """A function that takes a whole array, or one number at a time, which is slower.

    Raises ActivationError, naming x, where the function raises or returns the wrong shape, complex numbers or NaN.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function = function
        self.name = name
        self.noise = DOUBLE_NOISE
        self.one_by_one = False
        try:
            y = self._all(PROBES)
        except Exception as error:  # whatever a user's function may raise
            self.one_by_one = True
            try:
                y = self._each(PROBES)
            except ActivationError as again:
                if isinstance(again.__cause__, TypeError) and not isinstance(error, (TypeError, ActivationError)):
                    raise self._failed(PROBES, error) from error
                if isinstance(error, ActivationError):
                    raise error from None
                raise
        self._check_elementwise(y)

    def __call__(self, x: Array) -> Array:
        """φ at each x."""
        if self.one_by_one:
            return self._each(x)
        try:
            return self._all(x)
        except ActivationError:
            raise
        except Exception as error:
            raise self._failed(x, error) from error

    def _all(self, x: Array) -> Array:
        with np.errstate(all="ignore"):
            raw = self.function(x.copy())
        y = np.asarray(raw)
        self._check_kind(y, x)
        if y.shape != x.shape:
            raise ActivationError(
                f"{self.name} returned shape {y.shape} for an array of shape {x.shape} (x = {float(x[0])!r}, …): "
                "an activation must return an array of the same shape"
            )
        if y.dtype.kind == "f" and y.dtype.itemsize < 8:
            self.noise = max(self.noise, float(np.finfo(y.dtype).eps))
        return self._without_nan(y.astype(np.float64), x)

    def _each(self, x: Array) -> Array:
        try:
            values = [self.function(point) for point in x.tolist()]
        except Exception:
            values = []  # below it is told at which x
        if values and all(type(value) is float for value in values):
            return self._without_nan(np.array(values), x)
        y = np.empty(x.shape)
        for index, point in enumerate(x.tolist()):
            try:
                value = np.asarray(self.function(point))
            except OverflowError as error:
                value = np.asarray(self._overflown(point, error))
            except Exception as error:
                raise ActivationError(f"{self.name} raised {type(error).__name__} at x = {point!r}: {shortened(str(error))}") from error
            self._check_kind(value, x[index : index + 1])
            if value.shape != ():
                raise ActivationError(f"{self.name} returned shape {value.shape} at x = {point!r}: it must return one number")
            y[index] = value
        return self._without_nan(y, x)

    def _overflown(self, x: float, error: OverflowError) -> float:
        """±inf for what the math module refuses to compute: the sign is that of the first value that it doesn't, on the way to 0."""
        nearer = x
        for _ in range(64):
            nearer *= 0.75
            try:
                return math.copysign(math.inf, float(self.function(nearer)))
            except OverflowError:
                continue
        raise ActivationError(f"{self.name} raised OverflowError at x = {x!r}: {shortened(str(error))}") from error

    def _check_kind(self, y: Any, x: Array) -> None:
        if y.dtype.kind == "c":
            raise ActivationError(f"{self.name} returned complex numbers at x = {float(x[0])!r}")
        if y.dtype.kind not in "fiub":
            raise ActivationError(f"{self.name} returned {y.dtype} instead of numbers at x = {float(x[0])!r}")

    def _without_nan(self, y: Array, x: Array) -> Array:
        undefined = np.isnan(y)
        if undefined.any():
            raise ActivationError(f"{self.name} is not a number at x = {float(x[int(np.argmax(undefined))])!r}")
        return y

    def _failed(self, x: Array, error: Exception) -> ActivationError:
        """The error for the first single x at which the function raises, or for the array."""
        at = f"an array of {len(x)} points from x = {float(x[0])!r}"
        for point in x[:100]:
            try:
                self.function(np.array([point]))
            except Exception:
                at = f"x = {float(point)!r}"
                break
        return ActivationError(f"{self.name} raised {type(error).__name__} at {at}: {shortened(str(error))}")

    def _check_elementwise(self, y: Array) -> None:
        alone = self(PROBES[1:2])
        if not np.isclose(alone[0], y[1], rtol=1e-3, atol=1e-30):
            raise ActivationError(
                f"{self.name} is not elementwise: at x = {float(PROBES[1])!r} it gives {float(alone[0])!r} alone and {float(y[1])!r} "
                "beside other values"
            )


def is_torch(function: Any) -> bool:
    """Whether a function belongs to torch; torch is never imported for the question."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(function, torch.nn.Module) or (isinstance(function, type) and issubclass(function, torch.nn.Module)):
        return True
    module = getattr(function, "__module__", None) or ""
    owner = getattr(function, "__self__", None)
    owners = (
        getattr(owner, "__module__", None) or "",
        getattr(type(owner), "__module__", None) or "",
        getattr(owner, "__name__", "") or "",
    )
    return any(str(word).partition(".")[0] == "torch" for word in (module, *owners))


def wants_tensors(function: Callable[..., Any]) -> bool:
    """Whether a function that fails on NumPy arrays answers a tensor with a tensor."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    try:
        with np.errstate(all="ignore"):
            answer = function(PROBES.copy())
        return isinstance(answer, torch.Tensor)
    except Exception:
        pass
    try:
        return isinstance(function(torch.from_numpy(PROBES.copy())), torch.Tensor)
    except Exception:
        return False
