"""Activations as functions of jax.numpy."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf

jax = pytest.importorskip("jax", reason='jax is not installed: pip install ".[jax]"')

from meanfield.frameworks.jax import function  # noqa: E402

X = np.linspace(-9.0, 9.0, 91).astype(np.float32) + np.float32(0.0137)


@pytest.mark.parametrize(
    "name", ["tanh", "elu", "selu", "gelu", "softplus", "leaky_relu", "hardtanh", "sparse_plus", "squareplus", "heaviside"]
)
def test_the_catalogue(name):
    act, f = mf.activation(name), function(name)
    assert np.asarray(jax.jit(f)(X)) == pytest.approx(act(X.astype(float)), rel=3e-5, abs=3e-6)
    slopes = jax.vmap(jax.grad(f))(X)
    assert np.asarray(slopes) == pytest.approx(act.derivative(X.astype(float)), rel=3e-4, abs=3e-6)


def test_shaped():
    a = mf.shape_activation("silu", depth=100)
    f = function(a)
    assert np.asarray(f(X)) == pytest.approx(a(X.astype(float)), rel=1e-4, abs=1e-4)
    assert float(jax.grad(function("elu"))(800.0)) == 1.0
    with pytest.raises(mf.ActivationError, match="has no formula"):
        function(mf.activation(np.tanh, name="mine"))
