"""Keras initialisers draw what the theory says, and survive being saved."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import meanfield as mf
import meanfield.frameworks.keras as mfk
from tests.frameworks.layer_variances import convolutional_z, dense_z, image

INSTALL = 'Keras 3 or its backend is not installed: pip install ".[keras,jax]"'


def test_without_keras_the_error_says_what_to_install():
    code = (
        "import sys\n"
        "sys.modules['keras'] = None\n"
        "import meanfield.frameworks.keras as mfk\n"
        "for make in (mfk.MeanFieldInitializer, mfk.MeanFieldBiasInitializer):\n"
        "    try:\n"
        "        make('tanh', depth=10)\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.count("MeanFieldError") == 2
    assert "meanfield-nets[keras]" in done.stdout


try:
    import keras
except ImportError:
    keras = None
    pytest.skip(INSTALL, allow_module_level=True)

# Keras reads its own variables through a NumPy protocol that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
Z = 5.0  # two-sided, 6e-7 a draw: fewer than 1e-4 false alarms for all draws of this file


def numbers(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor), dtype=np.float64)


def check(draw, scale, fourth):
    """Mean and mean square of n independent numbers; fourth = E x⁴/(E x²)²."""
    x = numbers(draw).ravel()
    assert abs(x.mean()) < Z * scale / math.sqrt(x.size)
    assert abs(np.mean(x * x) / scale**2 - 1.0) < Z * math.sqrt((fourth - 1.0) / x.size)


@pytest.mark.parametrize(("distribution", "fourth"), [("normal", 3.0), ("truncated_normal", 2.4), ("uniform", 1.8)])
@pytest.mark.parametrize(
    ("axes", "shape", "fan_in"),
    [
        ({}, (300, 200), 300),
        ({}, (3, 5, 40, 30), 600),
        ({"in_axis": -1, "out_axis": -2}, (3, 5, 30, 40), 600),
        ({"in_axis": (), "batch_axis": -2}, (3, 3, 500, 8), 9),
    ],
)
def test_the_variance_is_that_of_the_fan_in(distribution, fourth, axes, shape, fan_in):
    init = mfk.MeanFieldInitializer("tanh", sigma_w=1.7, sigma_b=0.2, distribution=distribution, seed=1, **axes)
    check(init(shape), 1.7 / math.sqrt(fan_in), fourth)
    assert keras.backend.standardize_dtype(init((2, 2), dtype="float16").dtype) == "float16"


@pytest.mark.parametrize(("fan_in", "units"), [(60, 40), (40, 60)])
def test_orthogonal_matrices_have_equal_singular_values(fan_in, units):
    init = mfk.MeanFieldInitializer("tanh", sigma_w=1.7, sigma_b=0.2, distribution="orthogonal", seed=2)
    matrix = numbers(init((2, fan_in // 2, units))).reshape(fan_in, units)
    np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False), 1.7 * math.sqrt(max(fan_in, units) / fan_in), rtol=1e-5)


def test_no_two_draws_are_the_same():
    """One seed for several layers, and for weights and biases; the same script draws the same."""

    def draws(seed):
        kernel, first = (mfk.MeanFieldInitializer("tanh", sigma_b=0.2, input_variance=v, seed=seed) for v in (None, 1.0))
        bias = mfk.MeanFieldBiasInitializer("tanh", sigma_b=0.2, seed=seed)
        found = [kernel((4, 4)), kernel((4, 4)), first((4, 4)), bias((4, 4))]
        return np.array([numbers(draw) / numbers(draw).std() for draw in found])

    once, again = draws(3), draws(3)
    np.testing.assert_array_equal(once, again)
    assert all(np.abs(once[i] - once[j]).max() > 0.1 for i in range(4) for j in range(i))
    generator = mfk.MeanFieldInitializer("tanh", sigma_b=0.2, seed=keras.random.SeedGenerator(4))
    assert np.abs(numbers(generator((4, 4))) - numbers(generator((4, 4)))).max() > 0.01


def test_a_model_survives_saving(tmp_path):
    kernel = mfk.MeanFieldInitializer(lambda x: np.tanh(x), sigma_b=0.2, distribution="orthogonal", seed=5)
    bias = mfk.MeanFieldBiasInitializer("tanh", sigma_b=0.2)
    dense = keras.layers.Dense(9, activation="tanh", kernel_initializer=kernel, bias_initializer=bias)
    model = keras.Sequential([keras.Input((7,)), dense])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numbers(loaded(np.ones((1, 7)))), numbers(model(np.ones((1, 7)))))
    restored = loaded.layers[0].kernel_initializer
    assert isinstance(restored, mfk.MeanFieldInitializer)
    assert restored.get_config() == kernel.get_config()
    assert str(restored) == str(kernel)
    assert loaded.layers[0].bias_initializer.get_config() == bias.get_config()
    assert numbers(restored((7, 9))).shape == (7, 9)
    generator = mfk.MeanFieldInitializer("tanh", sigma_b=0.2, seed=keras.random.SeedGenerator(6))
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(generator))
    assert isinstance(copy.seed, keras.random.SeedGenerator)
    assert mfk.MeanFieldInitializer.from_config({"activation": "tanh", "sigma_b": 0.2}).sigma_w == pytest.approx(1.304146, abs=1e-6)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("leaky_relu", mf.activation("leaky_relu", negative_slope=0.2)),  # Keras's own default
        (keras.layers.LeakyReLU(negative_slope=0.3), mf.activation("leaky_relu", negative_slope=0.3)),
        (keras.layers.ReLU, mf.activation("relu")),
        (keras.activations.gelu, mf.activation("gelu")),
        ("hard_silu", mf.activation("hardswish")),
        ("x * tanh(x)", mf.activation("x * tanh(x)")),
    ],
)
def test_an_activation_is_what_keras_means_by_it(activation, expected):
    init, known = mfk.MeanFieldInitializer(activation, depth=20), mf.recommend(expected, 20)
    assert (init.sigma_w, init.sigma_b) == (known.sigma_w, known.sigma_b)


def test_sigma_w_alone_means_no_biases():
    """As in init_ for torch."""
    init, bias = (make("tanh", sigma_w=1.5) for make in (mfk.MeanFieldInitializer, mfk.MeanFieldBiasInitializer))
    assert (init.sigma_w, init.sigma_b, bias.sigma_b) == (1.5, 0.0, 0.0)
    assert not numbers(bias((50,))).any()


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        ({}, mf.ActivationError, "activation is missing"),
        ({"activation": "tnah", "depth": 3}, mf.ActivationError, "tnah"),
        ({"activation": "softmax", "depth": 3}, mf.ActivationError, "softmax"),
        ({"activation": "tanh"}, mf.DomainError, "depth is missing"),
        ({"activation": "tanh", "depth": 3, "seed": -1}, mf.DomainError, "seed = -1"),
        ({"activation": "tanh", "depth": 3, "distribution": "cauchy"}, mf.DomainError, "cauchy"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, word):
    with pytest.raises(error, match=word):
        mfk.MeanFieldInitializer(**arguments)


def test_wrong_shapes_and_dtypes_are_named():
    init = mfk.MeanFieldInitializer("tanh", depth=3)
    with pytest.raises(mf.DomainError, match="in_axis"):
        init((5,))
    with pytest.raises(mf.DomainError, match="dtype"):
        init((5, 5), dtype="int32")


def variances(layers, h):
    """Mean h² of each layer; a layer with an activation is asked for what it has before it."""
    found = []
    for index, layer in enumerate(layers):
        h = layer(h if index == 0 else keras.ops.tanh(h))
        found.append(float(keras.ops.mean(keras.ops.square(h))))
    return found


def test_layer_variances_of_a_deep_mlp_match_the_theory():
    """Depth 50, width 500; false-alarm rate 1e-3. Weights 3% too large are found out."""
    networks, depth, width = 4, 50, 500
    x = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)
    bias = mfk.MeanFieldBiasInitializer("tanh", sigma_b=0.2, seed=8)
    right = mfk.MeanFieldInitializer("tanh", sigma_b=0.2, seed=7)
    q = right.sigma_b**2 + right.sigma_w**2 * float(np.mean(x * x))
    for kernel, agrees in ((right, True), (mfk.MeanFieldInitializer("tanh", sigma_w=1.03 * right.sigma_w, sigma_b=0.2, seed=7), False)):
        stacks = [
            [keras.layers.Dense(width, kernel_initializer=kernel, bias_initializer=bias) for _ in range(depth)] for _ in range(networks)
        ]
        largest, allowed = dense_z(np.array([variances(stack, x) for stack in stacks]), "tanh", right.sigma_w, 0.2, q, width)
        assert (largest <= allowed) is agrees, (largest, allowed)


def test_layer_variances_of_a_cnn_match_the_theory():
    """Five 3 × 3 convolutions without padding, 32 channels; false-alarm rate 1e-3."""
    kernel, bias = (make("tanh", depth=50, seed=9) for make in (mfk.MeanFieldInitializer, mfk.MeanFieldBiasInitializer))
    stacks = [[keras.layers.Conv2D(32, 3, kernel_initializer=kernel, bias_initializer=bias) for _ in range(5)] for _ in range(16)]
    measured = np.array([variances(stack, image(13, 4)) for stack in stacks])
    q = kernel.sigma_b**2 + kernel.sigma_w**2
    largest, allowed = convolutional_z(measured, "tanh", kernel.sigma_w, kernel.sigma_b, q, 32)
    assert largest <= allowed
    assert convolutional_z(measured, "tanh", 1.15 * kernel.sigma_w, kernel.sigma_b, q, 32)[0] > allowed


@pytest.mark.skipif(os.environ.get("MEANFIELD_OTHER_BACKEND") == "1", reason="this is the other backend")
def test_the_other_backend():
    """The same on torch where this run is on jax, and the other way round: quick checks in a process of its own."""
    other = "torch" if keras.backend.backend() == "jax" else "jax"
    pytest.importorskip(other, reason=f"{other} is not installed")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        __file__,
        "-k",
        "saving or named or same or orthogonal or means",
    ]
    environment = {**os.environ, "KERAS_BACKEND": other, "MEANFIELD_OTHER_BACKEND": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
