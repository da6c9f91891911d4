"""Activations as Keras layers."""

from __future__ import annotations

import os

import numpy as np
import pytest

import meanfield as mf

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip("jax", reason='jax is not installed: pip install ".[jax]"')
keras = pytest.importorskip("keras", reason='keras is not installed: pip install ".[keras]"')

from meanfield.frameworks.keras import MeanFieldActivation  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # between Keras and NumPy

X = np.linspace(-9.0, 9.0, 91).astype(np.float32)[None] + np.float32(0.0137)


@pytest.mark.parametrize("name", ["tanh", "elu", "gelu", "softplus", "leaky_relu", "hardtanh"])
def test_values(name):
    assert np.asarray(MeanFieldActivation(name)(X)) == pytest.approx(mf.activation(name)(X.astype(float)), rel=3e-5, abs=3e-6)


def test_a_model_that_is_saved(tmp_path):
    a = mf.shape_activation("leaky_relu", depth=20, method="tat")
    model = keras.Sequential([keras.Input((91,)), MeanFieldActivation(a), keras.layers.Dense(3)])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(np.asarray(again(X)), np.asarray(model(X)))
    assert np.asarray(model.layers[0](X)) == pytest.approx(a(X.astype(float)), rel=1e-5, abs=1e-5)
