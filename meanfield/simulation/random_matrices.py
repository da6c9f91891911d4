"""Standard normal and uniform matrices from the generator of each array library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from meanfield.errors import DomainError, MeanFieldError

if TYPE_CHECKING:
    from meanfield.arrays import Array

BACKENDS = ("numpy", "torch", "jax", "cupy")


class Library(Protocol):
    """An array library: its namespace, its random numbers, and the way there and back."""

    xp: Any

    def generator(self, seed: Any) -> Any:
        """A generator for one numpy.random.SeedSequence."""

    def normal(self, generator: Any, shape: tuple[int, ...]) -> Any:
        """Standard normal numbers in double precision; may reuse memory that an earlier call handed out."""

    def uniform(self, generator: Any, shape: tuple[int, ...]) -> Any:
        """Numbers uniform in [0, 1); may reuse memory that an earlier call handed out."""

    def put(self, array: Array) -> Any:
        """A NumPy array as one of the library's."""

    def fetch(self, array: Any) -> Array:
        """An array of the library's as NumPy's."""

    def owned(self, array: Any) -> Any:
        """The array in memory that later calls leave alone."""


def library(backend: str, device: str | None) -> Library:
    """The array library of that name."""
    import importlib

    if backend == "numpy":
        if device not in (None, "cpu"):
            raise DomainError(f"device = {device!r} is out of range: NumPy computes on the cpu; backend= names other libraries")
        return _NumPy()
    try:
        module = importlib.import_module(backend)
    except ImportError as error:
        raise MeanFieldError(f"backend = {backend!r} needs the package {backend}, which can't be imported: {error}") from error
    if backend == "torch":
        return _Torch(module, device)
    return _Jax(module, device) if backend == "jax" else _CuPy(module, device)


def _state(seed: Any) -> int:
    return int(seed.generate_state(1, np.uint64)[0])


class _NumPy:
    def __init__(self) -> None:
        import array_api_compat.numpy

        self.xp: Any = array_api_compat.numpy
        self._memory = np.empty(0)

    def generator(self, seed: Any) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64(seed))

    def normal(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return generator.standard_normal(out=self._place(shape))

    def uniform(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return generator.random(out=self._place(shape))

    def _place(self, shape: tuple[int, ...]) -> Array:
        size = int(np.prod(shape))
        if self._memory.size < size:
            self._memory = np.empty(size)
        return self._memory[:size].reshape(shape)

    def put(self, array: Array) -> Array:
        return array

    def fetch(self, array: Array) -> Array:
        return array

    def owned(self, array: Array) -> Array:
        return array.copy()


class _Torch:
    def __init__(self, torch: Any, device: str | None) -> None:
        import array_api_compat.torch

        self.xp: Any = array_api_compat.torch
        self._torch: Any = torch
        try:
            self.device = torch.device(device or "cpu")
            torch.empty(1, dtype=torch.float64, device=self.device)
        except (RuntimeError, AssertionError, TypeError) as error:
            raise DomainError(f"device = {device!r} can't be used by torch in double precision: {error}") from error

    def generator(self, seed: Any) -> Any:
        return self._torch.Generator(device=self.device).manual_seed(_state(seed))

    def normal(self, generator: Any, shape: tuple[int, ...]) -> Any:
        return self._torch.randn(shape, generator=generator, dtype=self._torch.float64, device=self.device)

    def uniform(self, generator: Any, shape: tuple[int, ...]) -> Any:
        return self._torch.rand(shape, generator=generator, dtype=self._torch.float64, device=self.device)

    def put(self, array: Array) -> Any:
        return self._torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def fetch(self, array: Any) -> Array:
        return np.asarray(array.cpu().numpy())

    def owned(self, array: Any) -> Any:
        return array


class _Jax:
    def __init__(self, jax: Any, device: str | None) -> None:
        if not jax.config.jax_enable_x64:
            raise DomainError("backend = 'jax' needs double precision: jax.config.update('jax_enable_x64', True) first")
        self.xp: Any = jax.numpy
        self._jax: Any = jax
        try:
            self.device = jax.devices(device)[0] if device else jax.devices()[0]
        except RuntimeError as error:
            raise DomainError(f"device = {device!r} is not one of jax's: {error}") from error

    def generator(self, seed: Any) -> list[Any]:
        return [self._jax.device_put(self._jax.random.key(_state(seed) >> 1), self.device)]

    def _next(self, generator: list[Any]) -> Any:
        generator[0], key = self._jax.random.split(generator[0])
        return key

    def normal(self, generator: list[Any], shape: tuple[int, ...]) -> Any:
        return self._jax.random.normal(self._next(generator), shape, dtype=np.float64)

    def uniform(self, generator: list[Any], shape: tuple[int, ...]) -> Any:
        return self._jax.random.uniform(self._next(generator), shape, dtype=np.float64)

    def put(self, array: Array) -> Any:
        return self._jax.device_put(np.ascontiguousarray(array), self.device)

    def fetch(self, array: Any) -> Array:
        return np.array(array)

    def owned(self, array: Any) -> Any:
        return array


class _CuPy:
    def __init__(self, cupy: Any, device: str | None) -> None:
        import array_api_compat.cupy  # type: ignore[import-untyped, unused-ignore]

        self.xp: Any = array_api_compat.cupy
        self._cupy: Any = cupy
        number = (device or "cuda:0").partition(":")[2] or "0"
        if (device or "cuda").partition(":")[0] != "cuda" or not number.isdigit():
            raise DomainError(f"device = {device!r} is out of range: CuPy knows 'cuda' and 'cuda:N'")
        cupy.cuda.Device(int(number)).use()

    def generator(self, seed: Any) -> Any:
        return self._cupy.random.Generator(self._cupy.random.Philox4x3210(_state(seed)))

    def normal(self, generator: Any, shape: tuple[int, ...]) -> Any:
        return generator.standard_normal(shape, dtype=np.float64)

    def uniform(self, generator: Any, shape: tuple[int, ...]) -> Any:
        return generator.random(shape, dtype=np.float64)

    def put(self, array: Array) -> Any:
        return self._cupy.asarray(array)

    def fetch(self, array: Any) -> Array:
        return np.asarray(self._cupy.asnumpy(array))

    def owned(self, array: Any) -> Any:
        return array
