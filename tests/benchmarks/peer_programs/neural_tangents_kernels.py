"""NNGP and NTK by neural-tangents, for tests.theory.kernels_by_neural_tangents; its arguments are two .npz files, asked and told."""

from __future__ import annotations

import sys
import time
from typing import Any

import jax
import numpy as np
from neural_tangents import stax

jax.config.update("jax_enable_x64", True)

ACTIVATIONS: dict[str, Any] = {
    "relu": stax.Relu(),
    "leaky_relu": stax.LeakyRelu(0.1),
    "abs": stax.Abs(),
    "ab_relu": stax.ABRelu(-0.3, 1.2),
    "erf": stax.Erf(),
    "erf_scaled": stax.Erf(a=0.7, b=1.3, c=0.2),
    "sigmoid_like": stax.Sigmoid_like(),
    "gelu": stax.Gelu(),
    "sin": stax.Sin(a=1.1, b=0.8, c=0.3),
    "cos": stax.Cos(a=0.9, b=1.2, c=0.1),
    "rbf": stax.Rbf(0.7),
    "exp": stax.Exp(a=0.5, b=0.4),
    "gaussian": stax.Gaussian(a=1.2, b=-0.8),
    "gabor": stax.Gabor(),
    "hermite": stax.Hermite(3),
    "monomial": stax.Monomial(2),
    "rectified_monomial": stax.RectifiedMonomial(2),
    "polynomial": stax.Polynomial([0.1, 0.5, 0.3]),
}


def one_hidden(phi: Any) -> Any:
    return stax.serial(stax.Dense(1, 1.3, 0.2), phi, stax.Dense(1, 0.9, 0.1))


def three_hidden(phi: Any) -> Any:
    return stax.serial(*(layer for _ in range(3) for layer in (stax.Dense(1, 0.8, 0.3), phi)), stax.Dense(1, 1.0, None))


def residual(phi: Any) -> Any:
    block = stax.serial(stax.FanOut(2), stax.parallel(stax.Identity(), stax.serial(phi, stax.Dense(1, 0.6, 0.1))), stax.FanInSum())
    return stax.serial(stax.Dense(1, 0.9, 0.1), block, block, phi, stax.Dense(1, 1.0, None))


def normalised(phi: Any) -> Any:
    layers = (stax.Dense(1, 1.2, 0.2), stax.LayerNorm(eps=0.0), phi)
    return stax.serial(*layers, *layers, stax.Dense(1, 1.0, None))


def gated(phi: Any) -> Any:
    branches = stax.parallel(stax.serial(stax.Dense(1, 1.1, 0.1), phi), stax.Dense(1, 0.7, 0.3))
    return stax.serial(stax.Dense(1, 1.0, 0.1), stax.FanOut(2), branches, stax.FanInProd(), stax.Dense(1, 1.0, None))


ARCHITECTURES = {f.__name__: f for f in (one_hidden, three_hidden, residual, normalised, gated)}


def main(inputs: str, kernels: str) -> None:
    """Every activation in every architecture on the inputs, and the time of a deep network on many."""
    given = np.load(inputs)
    found: dict[str, Any] = {}
    for name, phi in ACTIVATIONS.items():
        for architecture, build in ARCHITECTURES.items():
            kernel = build(phi)[2]
            for kind in ("nngp", "ntk"):
                try:
                    found[f"{name}|{architecture}|{kind}"] = np.asarray(kernel(given["x"], None, kind))
                except Exception as error:  # told, not hidden: the comparison counts what is missing
                    found[f"{name}|{architecture}|{kind}"] = np.array(f"{type(error).__name__}: {error}")
    for name in ("erf", "relu"):
        layers = [layer for _ in range(50) for layer in (stax.Dense(1, 1.2, 0.1), ACTIVATIONS[name])]
        kernel = jax.jit(stax.serial(*layers, stax.Dense(1, 1.0, None))[2], static_argnums=2)
        kernel(given["many"], None, "nngp").block_until_ready()
        started = time.perf_counter()
        kernel(given["many"], None, "nngp").block_until_ready()
        found[f"seconds|{name}"] = np.array(time.perf_counter() - started)
    posterior = stax.serial(*(layer for _ in range(3) for layer in (stax.Dense(1, 1.5, 0.2), ACTIVATIONS["erf"])), stax.Dense(1, 1.5, 0.2))[
        2
    ]
    gram, cross = (np.asarray(posterior(a, given["train"], "nngp")) for a in (given["train"], given["test"]))
    found["prediction"] = cross @ np.linalg.solve(gram + 1e-2 * np.eye(len(gram)), given["target"])
    np.savez(kernels, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
