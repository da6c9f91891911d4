"""neural-tangents: its closed forms where it has them, else ElementwiseNumerical with the degree that its documentation suggests."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

import answering
import jax
import jax.numpy as jnp
import numpy as np
from answering import Array
from neural_tangents import stax

jax.config.update("jax_enable_x64", True)
DEGREE = 25


def _numerical() -> Any:
    return stax.ElementwiseNumerical(jnp.tanh, DEGREE, lambda x: 1 - jnp.tanh(x) ** 2)


LAYERS: dict[str, Callable[[], Any]] = {"tanh": _numerical, "erf": stax.Erf, "relu": stax.Relu, "gelu": stax.Gelu}


def _pair(q: Any, c: Any) -> tuple[Any, Any]:
    """Two inputs of two features each, with variance q and correlation c."""
    root = jnp.sqrt(2 * q)
    return root * jnp.array([[1.0, 0.0]]), root * jnp.stack([c, jnp.sqrt((1 - c) * (1 + c))])[None]


class NeuralTangents(answering.ByArrays):
    """Through its public functions, in float64, compiled, mapped over arrays by jax.vmap."""

    name = "neural-tangents"

    def versions(self) -> dict[str, str]:
        return {package: metadata.version(package) for package in ("neural-tangents", "jax", "jaxlib", "numpy", "scipy")}

    def how(self, activation: str, kind: str) -> str:
        return f"numerical, degree {DEGREE}" if LAYERS[activation] is _numerical else "closed form"

    def moment_of(self, activation: str, order: int) -> answering.Moment:
        kernel = stax.serial(stax.Dense(1, 1.0, None), LAYERS[activation]())[2]

        def second(q: Any) -> Any:
            # diagonal_spatial makes the numerical layer use a rule of one dimension, 40 times as fast as its rule for pairs.
            return kernel(jnp.sqrt(q)[:, None], None, "cov1", diagonal_batch=True, diagonal_spatial=True)

        def slope(q: Any) -> Any:  # the tangent kernel is q V[φ']
            return kernel(jnp.sqrt(q).reshape(1, 1), None, "ntk")[0, 0] / q

        compiled = jax.jit(jax.vmap(slope) if order else second)
        return lambda q: np.asarray(compiled(q))

    def covariance_of(self, activation: str) -> answering.Covariance:
        kernel = stax.serial(stax.Dense(1, 1.0, None), LAYERS[activation]())[2]
        compiled = jax.jit(jax.vmap(lambda q, c: kernel(*_pair(q, c), "nngp")[0, 0]))
        return lambda q, c: np.asarray(compiled(q, c))

    def trajectory_of(self, activation: str, *, sigma_w: float, sigma_b: float, q: float, c: float, depth: int) -> Callable[[], Array]:
        """Its own recursion: a layer's kernel is the next layer's input, in one compiled loop."""
        start = stax.serial(stax.Dense(1, 1.0, None))[2]
        layer = stax.serial(LAYERS[activation](), stax.Dense(1, sigma_w, sigma_b or None))[2]

        def step(kernel: Any, _: None) -> tuple[Any, Any]:
            kernel = layer(kernel)
            return kernel, 1 - kernel.nngp[0, 0] / jnp.sqrt(kernel.cov1[0] * kernel.cov2[0])

        compiled = jax.jit(lambda q, c: jax.lax.scan(step, start(*_pair(q, c)), None, length=depth)[1])
        return lambda: np.concatenate([[1 - c], np.asarray(compiled(q, c))])


if __name__ == "__main__":
    answering.main(NeuralTangents())
