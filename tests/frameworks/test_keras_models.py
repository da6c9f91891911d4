"""initialise of Keras models: what is found, what is drawn, and what random networks show."""

from __future__ import annotations

import doctest
import inspect
import math
import os
import subprocess
import sys

import numpy as np
import pytest

import meanfield as mf
import meanfield.frameworks.keras as mfk
from tests.frameworks.layer_variances import check, convolutional_z, dense_z, image

try:
    import keras
except ImportError:
    pytest.skip('Keras 3 or its backend is not installed: pip install ".[keras,jax]"', allow_module_level=True)

L = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # between Keras and NumPy
Z = 5.0  # two-sided, 6e-7 a draw


def numbers(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor), dtype=np.float64)


def inputs(*shape):
    """Of mean square exactly 1 for each input."""
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return x / np.sqrt(np.mean(x * x, axis=tuple(range(1, x.ndim)), keepdims=True))


def dense(activation, depth=25, width=400):
    """Activations are layers of their own, so that outputs of Dense layers can be looked at."""
    parts = [part for n in range(depth - 1) for part in (L.Dense(width, name=f"d{n}"), activation())]
    return keras.Sequential([keras.Input((64,)), *parts, L.Dense(10, name="head")])


def measured(model, x, networks, training=False, **keywords):
    """(the last table, mean h² of each network and layer)."""
    names = [row.name for row in mfk.initialise(model, seed=0, **keywords)]
    looked = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])  # with the same weights, whatever they are
    rows = []
    for seed in range(networks):
        table = mfk.initialise(model, seed=seed, **keywords)
        rows.append([float(np.mean(numbers(h) ** 2)) for h in looked(x, training=training)])
    return table, np.array(rows)


def unnamed():
    return L.Activation(lambda x: x * keras.ops.tanh(1.3 * x) + 0.1 * x)


@pytest.mark.parametrize(
    ("activation", "act"),
    [
        (lambda: L.Activation("tanh"), "tanh"),
        (L.ReLU, "relu"),
        (lambda: L.Activation("gelu"), "gelu"),
        pytest.param(
            unnamed,
            "x*tanh(1.3*x) + 0.1*x",
            marks=pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="not tried"),
        ),
    ],
    ids=["tanh", "relu", "gelu", "formula"],
)
def test_layer_variances_of_deep_dense_models(activation, act):
    """24 hidden layers of width 400, false-alarm rate 1e-3 for all layers; σ_w 8% larger is found out."""
    table, squares = measured(dense(activation), inputs(1, 64), 5)
    best = mf.recommend(act, 25)
    np.testing.assert_allclose(table.sigma_w[1:-1], best.sigma_w, rtol=1e-6)
    np.testing.assert_allclose(table.sigma_b[:-1], best.sigma_b, rtol=1e-6)
    np.testing.assert_allclose(table.q, [*[best.q] * 24, 1.0], rtol=1e-5)
    largest, allowed = dense_z(squares[:, :-1], act, best.sigma_w, best.sigma_b, best.q, 400)
    assert largest <= allowed
    largest, allowed = dense_z(squares[:, :-1], act, 1.08 * best.sigma_w, best.sigma_b, best.q, 400)
    assert largest > allowed


def test_layer_variances_of_convolutions():
    """Six 3 × 3 convolutions without padding, 48 channels; false-alarm rate 1e-3 for all layers; σ_w 10% larger is found out."""
    depth, channels = 6, 48
    parts = [part for n in range(depth) for part in (L.Conv2D(channels, 3, name=f"c{n}"), L.Activation("silu"))]
    model = keras.Sequential([keras.Input((16, 16, 4)), *parts, L.Flatten(), L.Dense(2, name="head")])
    table, squares = measured(model, image(16, 4), 12)
    best = mf.recommend("silu", depth + 1)
    np.testing.assert_allclose(table.sigma_w[1:-1], best.sigma_w, rtol=1e-6)
    assert [table[0].fan_in, table[1].fan_in] == [36.0, 432.0]
    squares = squares[:, :-1]
    largest, allowed = convolutional_z(squares, "silu", best.sigma_w, best.sigma_b, best.q, channels)
    assert largest <= allowed
    assert convolutional_z(squares, "silu", 1.1 * best.sigma_w, best.sigma_b, best.q, channels)[0] > allowed


def residual(blocks, width, rate=0.0, normed=False):
    """x + W₂ φ(W₁ x), with dropout in the branches, behind a normalisation or not."""
    x = keras.Input((30,))
    h = L.Dense(width, name="stem")(x)
    for n in range(blocks):
        r = L.Dense(width, name=f"a{n}")(L.LayerNormalization()(h) if normed else h)
        r = L.Dropout(rate)(L.ReLU()(r))
        h = L.Add()([h, L.Dense(width, name=f"b{n}")(r)])
    return keras.Model(x, L.Dense(10, name="head")(h))


@pytest.mark.parametrize(("rate", "normed"), [(0.0, False), (0.0, True), (0.3, False)])
def test_layer_variances_of_residual_models(rate, normed):
    """12 blocks of width 400: |t| below 5 of 29 degrees of freedom in each of 26 layers, 1e-3 for all, beyond a bias of 3% of the width."""
    table, squares = measured(residual(12, 400, rate, normed), inputs(1, 30), 30, training=True)
    check(table, squares, bias=0.03)
    assert table["b0"].sigma_w == pytest.approx(math.sqrt(2.0 * (1.0 - rate) / 12), rel=1e-6)
    assert ("dropout of 0.3" in str(table)) is (rate > 0.0)
    assert ("LayerNormalization" in str(table)) is normed


def weights_of(model):
    return [numbers(weight) for weight in model.get_weights()]


def test_the_same_seed_draws_the_same():
    model = dense(L.ReLU, 4, 30)
    found = []
    for seed in (1, 1, 2):
        mfk.initialise(model, seed=seed)
        found.append(weights_of(model))
    assert all(np.array_equal(a, b) for a, b in zip(found[0], found[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(found[0], found[2], strict=True))
    keras.utils.set_random_seed(3)
    mfk.initialise(model)
    once = weights_of(model)
    keras.utils.set_random_seed(3)
    mfk.initialise(model)
    assert all(np.array_equal(a, b) for a, b in zip(once, weights_of(model), strict=True))
    # Layers of one shape have weights of their own.
    assert np.abs(once[2] - once[4]).max() > 0.0


def test_draws_have_the_variances_of_the_table():
    model = dense(lambda: L.Activation("tanh"), 4, 400)
    table = mfk.initialise(model, sigma_w=1.3, sigma_b=0.2, seed=3)
    for row in table:
        layer = model.get_layer(row.name)
        weights, biases = numbers(layer.kernel), numbers(layer.bias)
        assert abs(np.mean(weights**2) * row.fan_in / 1.3**2 - 1.0) < Z * math.sqrt(2.0 / weights.size)
        assert np.abs(biases).max() > 0.0
    assert (table.sigma_w == 1.3).all()
    assert (table.sigma_b == 0.2).all()
    assert "orthogonal" in str(mfk.initialise(model, sigma_w=1.3, orthogonal=True, seed=3))
    np.testing.assert_allclose(np.linalg.svd(numbers(model.get_layer("d1").kernel), compute_uv=False), 1.3, rtol=1e-5)
    assert not numbers(model.get_layer("d1").bias).any()


def mixed():
    """A batch normalisation, a gate by functions, a model inside, a concatenation, a layer that is used twice."""
    x = keras.Input((12, 12, 3))
    h = L.Conv2D(16, 3, use_bias=False, name="stem")(x)
    h = L.Activation("gelu")(L.BatchNormalization()(h))
    h = L.Conv2D(16, 3, activation="relu", name="conv")(L.ZeroPadding2D()(h))
    h = L.GlobalAveragePooling2D()(h)
    twice = L.Dense(16, activation=keras.layers.LeakyReLU(negative_slope=0.3), name="twice")
    h = twice(twice(h))
    h = L.Dense(20, name="swish")(L.AlphaDropout(0.1)(h))
    z = h * keras.ops.sigmoid(1.702 * h)
    inner = keras.Sequential([keras.Input((20,)), L.Dense(50, activation="tanh", name="in")], name="inner")
    gate = L.Dense(20, name="gate")(z)
    y = L.Concatenate()([inner(z), z * keras.ops.sigmoid(gate)])
    return keras.Model(x, L.Dense(4, activation="softmax", name="out")(y))


def test_what_acts_on_the_signal_is_found():
    model = mixed()
    table = mfk.initialise(model, seed=0)
    assert table["stem"].method == "convention"
    assert table["stem"].activation == "gelu"
    assert table["conv"].activation == "relu"
    assert "BatchNormalization before it" in table["conv"].note
    assert table["twice"].activation == "leaky_relu"
    assert "used 2 times" in table["twice"].note
    assert table["twice"].method == "guess"  # behind a pooling
    swish = mf.recommend("x * sigmoid(1.702*x)", table.depth - 1)  # layers behind the normalisation
    assert table["swish"].sigma_b == pytest.approx(swish.sigma_b, rel=1e-6)
    assert table["inner.in"].activation == "tanh"
    assert "in a gate" in table["gate"].note
    assert "side by side" in table["out"].note
    assert table["out"].activation == ""
    before = [numbers(v) for v in model.non_trainable_variables]
    table = mfk.initialise(model, seed=0, x=inputs(8, 12, 12, 3))
    assert table["twice"].method == "measured"
    assert "guess" not in table.methods
    assert all(np.array_equal(a, numbers(b)) for a, b in zip(before, model.non_trainable_variables, strict=True))


def test_a_batch_scales_what_theory_does_not_tell():
    x = inputs(8, 6, 6, 3)
    parts = [L.Conv2D(30, 3, activation="relu"), L.GlobalAveragePooling2D(), L.Dense(400, name="out")]
    model = keras.Sequential([keras.Input((6, 6, 3)), *parts])
    table = mfk.initialise(model, seed=0, x=x)
    assert table["out"].method == "measured"
    assert float(np.mean(numbers(model(x)) ** 2)) == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(table["out"].sigma_w ** 2 / 30, np.mean(numbers(model.get_layer("out").kernel) ** 2), rtol=0.1)
    assert [row.method for row in mfk.initialise(model, seed=0, x=x, method="measure")] == ["measured", "measured"]


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in"),
    [
        (lambda: L.DepthwiseConv2D(3, depth_multiplier=2, name="a"), (12, 12, 8), 9),
        (lambda: L.Conv2DTranspose(6, 4, strides=2, name="a"), (12, 12, 8), 8 * 16 / 4),
        (lambda: L.Conv1D(6, 5, groups=2, name="a"), (12, 8), 20),
        (lambda: L.EinsumDense("abc,cde->abde", (12, 4, 5), name="a"), (12, 30), 30),
    ],
    ids=["depthwise", "transposed", "grouped", "einsum"],
)
def test_fan_in_of_other_layers(layer, shape, fan_in):
    model = keras.Sequential([keras.Input(shape), layer(), L.ReLU(), L.Flatten(), L.Dense(3)])
    row = mfk.initialise(model, seed=0)["a"]
    assert row.fan_in == fan_in
    weights = numbers(model.get_layer("a").kernel)
    assert abs(np.mean(weights**2) * fan_in / row.sigma_w**2 - 1.0) < Z * math.sqrt(2.0 / weights.size)


def test_a_separable_convolution_is_two_layers():
    model = keras.Sequential([keras.Input((12, 12, 8)), L.SeparableConv2D(16, 3, name="s"), L.ReLU(), L.Flatten(), L.Dense(3)])
    table = mfk.initialise(model, seed=0)
    assert [row.name for row in table][:2] == ["s.depthwise_kernel", "s.pointwise_kernel"]
    assert "linear pair" in table["s.depthwise_kernel"].note
    assert table["s.pointwise_kernel"].activation == "relu"


def test_weights_that_are_zero_by_design_stay():
    model = residual(3, 20)
    for n in range(3):
        model.get_layer(f"b{n}").kernel.assign(np.zeros((20, 20)))
    table = mfk.initialise(model, seed=0)
    assert [table[f"b{n}"].method for n in range(3)] == ["kept"] * 3
    assert not numbers(model.get_layer("b0").kernel).any()


class Written(keras.Model):
    """A subclass."""

    def __init__(self):
        super().__init__()
        self.layer = L.Dense(3)

    def call(self, x):
        return self.layer(x)


@pytest.mark.parametrize(
    ("make", "keywords", "error", "word"),
    [
        (object, {}, mf.DomainError, "model must be a keras.Model"),
        (Written, {}, mf.DomainError, "written as a subclass"),
        (lambda: keras.Sequential([L.Dense(3)]), {}, mf.DomainError, "no input shape"),
        (lambda: keras.Sequential([keras.Input((3,)), L.ReLU()]), {}, mf.DomainError, "nothing to initialise"),
        (lambda: dense(L.ReLU, 3, 9), {"x": np.ones((1, 5), np.float32)}, mf.DomainError, "x: the model fails on it"),
        (lambda: dense(L.ReLU, 3, 9), {"seed": -1}, mf.DomainError, "seed = -1"),
        (lambda: dense(L.ReLU, 3, 9), {"sigma_w": -1.0}, mf.DomainError, "sigma_w"),
        (lambda: dense(L.ReLU, 3, 9), {"method": "measure"}, mf.DomainError, "give x="),
        (lambda: dense(L.ReLU, 3, 9), {"method": "guess"}, mf.DomainError, "method"),
        (lambda: dense(L.ReLU, 3, 9), {"activation": "tanh"}, mf.ActivationError, "not by tanh"),
        (lambda: dense(L.ReLU, 3, 9), {"activation": {"no": "relu"}}, mf.DomainError, "'no' is no layer"),
    ],
)
def test_what_is_wrong_is_named(make, keywords, error, word):
    with pytest.raises(error, match=word):
        mfk.initialise(make(), **keywords)


def test_a_sequential_model_gets_its_shapes_from_x():
    model = keras.Sequential([L.Dense(20, activation="relu", name="one"), L.Dense(3, name="two")])
    assert [row.fan_in for row in mfk.initialise(model, x=inputs(2, 7), seed=0)] == [7.0, 20.0]


def test_the_example_of_the_docstring():
    """It is marked to be skipped for those without Keras; here it runs."""
    text = inspect.getdoc(mfk.initialise).replace("# doctest: +SKIP", "")
    assert "sigma_w, sigma_b : float, optional" in text
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(doctest.DocTestParser().get_doctest(text, {}, "initialise", None, 0))
    assert runner.summarize().attempted > 1
    assert runner.failures == 0


@pytest.mark.skipif(os.environ.get("MEANFIELD_OTHER_BACKEND") == "1", reason="this is the other backend")
def test_the_other_backend():
    """The same on torch where this run is on jax, and the other way round: quick checks in a process of its own."""
    other = "torch" if keras.backend.backend() == "jax" else "jax"
    pytest.importorskip(other, reason=f"{other} is not installed")
    words = "found or measured or batch or fan_in or separable or named or shapes or draws"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", words]
    environment = {**os.environ, "KERAS_BACKEND": other, "MEANFIELD_OTHER_BACKEND": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout
