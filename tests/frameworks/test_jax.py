"""jax initialisers draw what the theory says, whatever the framework around them."""

from __future__ import annotations

import doctest
import functools
import importlib
import inspect
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

import meanfield as mf
import meanfield.frameworks.jax as mfj
from meanfield.frameworks.jax.recognition import recognised
from tests.frameworks.layer_variances import convolutional_z, dense_z, image


def test_without_jax_the_error_says_what_to_install():
    code = (
        "import sys\n"
        "sys.modules['jax'] = None\n"
        "import meanfield.frameworks.jax as mfj\n"
        "try:\n"
        "    mfj.initializer('tanh', depth=10)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.startswith("MeanFieldError")
    assert "meanfield-nets[jax]" in done.stdout


jax = pytest.importorskip("jax", reason='jax is not installed: pip install ".[jax]"')
jnp = jax.numpy
Z = 5.0  # two-sided, 6e-7 a draw: fewer than 1e-4 false alarms for all draws of this file


def check(draw, scale, fourth):
    """Mean and mean square of n independent numbers; fourth = E x⁴/(E x²)²."""
    x = np.asarray(draw, dtype=np.float64).ravel()
    assert abs(x.mean()) < Z * scale / math.sqrt(x.size)
    assert abs(np.mean(x * x) / scale**2 - 1.0) < Z * math.sqrt((fourth - 1.0) / x.size)


@pytest.mark.parametrize(("distribution", "fourth"), [("normal", 3.0), ("truncated_normal", 2.4), ("uniform", 1.8)])
@pytest.mark.parametrize(
    ("axes", "shape", "fan_in"),
    [
        ({}, (300, 200), 300),
        ({}, (3, 5, 40, 30), 600),
        ({"in_axis": 1, "out_axis": 0}, (30, 40, 3, 5), 600),
        ({"in_axis": (0, 1), "out_axis": 2}, (20, 15, 70), 300),
        ({"in_axis": (), "batch_axis": -2}, (3, 3, 500, 8), 9),
    ],
)
def test_the_variance_is_that_of_the_fan_in(distribution, fourth, axes, shape, fan_in):
    init = mfj.initializer("tanh", sigma_w=1.7, sigma_b=0.2, distribution=distribution, **axes)
    weights = init(jax.random.key(1), shape)
    assert weights.shape == shape
    assert weights.dtype == jnp.float32
    check(weights, 1.7 / math.sqrt(fan_in), fourth)


@pytest.mark.parametrize(("fan_in", "units"), [(60, 40), (40, 60), (50, 50)])
def test_orthogonal_matrices_have_equal_singular_values_and_the_same_variance(fan_in, units):
    init = mfj.initializer("tanh", sigma_w=1.7, sigma_b=0.2, distribution="orthogonal", in_axis=1, out_axis=0)
    weights = np.asarray(init(jax.random.key(2), (units, fan_in // 2, 2)))
    matrix = weights.transpose(2, 1, 0).reshape(fan_in, units)
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(values, 1.7 * math.sqrt(max(fan_in, units) / fan_in), rtol=1e-5)
    assert np.mean(weights**2) * fan_in == pytest.approx(1.7**2, rel=1e-5)
    stack = mfj.initializer("tanh", sigma_w=1.0, sigma_b=0.2, distribution="orthogonal", batch_axis=0)(jax.random.key(3), (4, 9, 9))
    np.testing.assert_allclose(np.einsum("bij,bkj->bik", stack, stack), np.broadcast_to(np.eye(9), (4, 9, 9)), atol=1e-5)
    assert np.abs(stack[0] - stack[1]).max() > 0.1


@pytest.mark.parametrize(("distribution", "fourth"), [("normal", 3.0), ("truncated_normal", 2.4), ("uniform", 1.8)])
def test_biases_have_standard_deviation_sigma_b(distribution, fourth):
    bias = mfj.bias_initializer("tanh", sigma_b=0.3, distribution=distribution)
    check(bias(jax.random.key(4), (20000,)), 0.3, fourth)
    assert not np.asarray(mfj.bias_initializer("relu", depth=20)(jax.random.key(4), (50,))).any()


def test_jit_and_vmap_see_numbers_only():
    for distribution in ("normal", "orthogonal"):
        init = mfj.initializer("mish", depth=30, distribution=distribution)
        key = jax.random.key(5)
        np.testing.assert_allclose(jax.jit(init, static_argnums=1)(key, (4, 6)), init(key, (4, 6)), atol=1e-6)
        assert jax.vmap(lambda k, init=init: init(k, (4, 6)))(jax.random.split(key, 3)).shape == (3, 4, 6)
        assert jax.eval_shape(lambda k, init=init: init(k, (4, 6), jnp.float16), key).dtype == jnp.float16
        assert hash(init) == hash(pickle.loads(pickle.dumps(init)))
    assert isinstance(init, getattr(jax.nn.initializers, "Initializer", object))
    assert init(key, (0, 3)).shape == (0, 3)


def test_narrow_dtypes_are_not_biased_by_rounding():
    weights = mfj.initializer("relu", depth=20)(jax.random.key(6), (500, 500), jnp.bfloat16)
    assert weights.dtype == jnp.bfloat16
    check(weights.astype(jnp.float32), math.sqrt(2.0 / 500), 3.0)


def test_sigmas_come_from_the_theory():
    best = mf.recommend("silu", 40)
    for init in (mfj.initializer("silu", depth=40), mfj.bias_initializer("silu", depth=40)):
        assert (init.sigma_w, init.sigma_b, init.q) == (best.sigma_w, best.sigma_b, best.q)
    edge = mf.edge_of_chaos("tanh", sigma_b=0.2)
    init = mfj.initializer("tanh", sigma_b=0.2, input_variance=2.5)
    # q¹ = σ_b² + σ²|a|²/d is the q of the others.
    assert 0.2**2 + init.sigma_w**2 * 2.5 == pytest.approx(float(edge.q), rel=1e-12)
    with pytest.warns(UserWarning, match="grows without bound") as caught:
        mfj.initializer("mish", sigma_b=0.0)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (jax.nn.silu, mf.activation("silu")),
        (jax.nn.gelu, mf.activation("gelu", approximate="tanh")),
        (functools.partial(jax.nn.gelu, approximate=False), mf.activation("gelu")),
        (functools.partial(jax.nn.leaky_relu, negative_slope=0.3), mf.activation("leaky_relu", negative_slope=0.3)),
        (jnp.tanh, mf.activation("tanh")),
    ],
)
def test_functions_of_jax_are_recognised_by_their_values(function, expected):
    init, known = mfj.initializer(function, depth=20), mf.recommend(expected, 20)
    assert (init.sigma_w, init.sigma_b) == (known.sigma_w, known.sigma_b)


def test_other_functions_are_taken_in_double_precision():
    def gelu(x):  # not what its name says
        return jnp.tanh(x) + 0.1 * x

    found = recognised(gelu)
    assert found.name == "gelu"
    assert mf.second_moment(found, 1.0) == pytest.approx(float(mf.second_moment("tanh(x) + 0.1*x", 1.0)), rel=1e-12)
    assert not jax.config.jax_enable_x64


def test_sigma_w_alone_means_no_biases():
    """As in init_ for torch."""
    init, bias = (make("tanh", sigma_w=1.5) for make in (mfj.initializer, mfj.bias_initializer))
    assert (init.sigma_w, init.sigma_b) == (bias.sigma_w, bias.sigma_b) == (1.5, 0.0)
    assert init.q == mf.MeanField("tanh", 1.5, 0.0).q_star
    assert mfj.initializer("tanh", depth=50, sigma_w=1.5) == init  # depth decides nothing then
    assert not np.asarray(bias(jax.random.key(4), (50,))).any()


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        ({"activation": None, "depth": 3}, mf.ActivationError, "activation is missing"),
        ({"activation": "tnah", "depth": 3}, mf.ActivationError, "tnah"),
        ({"activation": jax.nn.softmax, "depth": 3}, mf.ActivationError, "softmax"),
        ({"activation": "tanh"}, mf.DomainError, "depth is missing"),
        ({"activation": "tanh", "sigma_w": 0.5, "input_variance": 1.0}, mf.DomainError, "q = 0"),
        ({"activation": "tanh", "sigma_w": -1.0, "sigma_b": 0.0}, mf.DomainError, "sigma_w = -1.0"),
        ({"activation": "tanh", "sigma_w": [1.0, 2.0], "sigma_b": 0.0}, mf.DomainError, "sigma_w"),
        ({"activation": "softplus", "sigma_b": 0.1}, mf.DomainError, "no edge of chaos"),
        ({"activation": "tanh", "depth": 0}, mf.DomainError, "depth"),
        ({"activation": "tanh", "depth": 3, "distribution": "cauchy"}, mf.DomainError, "cauchy"),
        ({"activation": "tanh", "depth": 3, "in_axis": 1.5}, mf.DomainError, "in_axis = 1.5"),
        ({"activation": "tanh", "depth": 3, "input_variance": 0.0}, mf.DomainError, "input_variance = 0.0"),
        ({"activation": "tanh", "sigma_w": 0.5, "sigma_b": 0.0, "input_variance": 1.0}, mf.DomainError, "q = 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, word):
    with pytest.raises(error, match=word):
        mfj.initializer(**arguments)


def test_wrong_shapes_and_dtypes_are_named():
    init = mfj.initializer("tanh", depth=3)
    for shape, word in (((5,), "in_axis = -2"), ((), "in_axis")):
        with pytest.raises(mf.DomainError, match=word):
            init(jax.random.key(0), shape)
    with pytest.raises(mf.DomainError, match="one meaning"):
        mfj.initializer("tanh", depth=3, in_axis=0, out_axis=-2)(jax.random.key(0), (3, 4))
    for dtype in (jnp.int32, jnp.complex64):
        with pytest.raises(mf.DomainError, match="dtype"):
            init(jax.random.key(0), (3, 4), dtype)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def mlp(kernel, bias, depth, width, key, x):
    """Mean h² of every layer, for each input."""

    def layer(h, key):
        one, two = jax.random.split(key)
        h = jnp.tanh(h) @ kernel(one, (width, width)) + bias(two, (width,))
        return h, jnp.mean(h * h, axis=-1)

    first, key = jax.random.split(key)
    one, two = jax.random.split(first)
    h = x @ kernel(one, (x.shape[-1], width)) + bias(two, (width,))
    rest = jax.lax.scan(layer, h, jax.random.split(key, depth - 1))[1]
    return jnp.concatenate([jnp.mean(h * h, axis=-1)[None], rest])


def test_layer_variances_of_a_deep_mlp_match_the_theory():
    """Depth 50, width 500; false-alarm rate 1e-3. Weights 3% too large are found out."""
    networks, depth, width = 5, 50, 500
    kernel, bias = mfj.initializer("tanh", sigma_b=0.2), mfj.bias_initializer("tanh", sigma_b=0.2)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32))
    q = kernel.sigma_b**2 + kernel.sigma_w**2 * float(jnp.mean(x * x))
    for init, agrees in ((kernel, True), (mfj.initializer("tanh", sigma_w=1.03 * kernel.sigma_w, sigma_b=0.2), False)):
        keys = jax.random.split(jax.random.key(7), networks)
        measured = np.array([mlp(init, bias, depth, width, key, x)[:, 0] for key in keys], dtype=np.float64)
        largest, allowed = dense_z(measured, "tanh", kernel.sigma_w, 0.2, q, width)
        assert (largest <= allowed) is agrees, (largest, allowed)


def test_layer_variances_of_a_cnn_match_the_theory():
    """Six 3 × 3 convolutions without padding, 48 channels; false-alarm rate 1e-3."""
    depth, channels = 6, 48
    kernel, bias = mfj.initializer("silu", depth=depth), mfj.bias_initializer("silu", depth=depth)

    @jax.jit
    def cnn(key, h):
        found = []
        for layer, one in enumerate(jax.random.split(key, depth)):
            weights = kernel(one, (3, 3, h.shape[-1], channels))
            dims = ("NHWC", "HWIO", "NHWC")
            a = h if layer == 0 else jax.nn.silu(h)
            h = jax.lax.conv_general_dilated(a, weights, (1, 1), "VALID", dimension_numbers=dims) + bias(
                jax.random.fold_in(one, 1), (channels,)
            )
            found.append(jnp.mean(h * h))
        return jnp.stack(found)

    measured = np.array([cnn(key, image(16, 4)) for key in jax.random.split(jax.random.key(8), 16)], dtype=np.float64)
    largest, allowed = convolutional_z(measured, "silu", kernel.sigma_w, kernel.sigma_b, kernel.sigma_b**2 + kernel.sigma_w**2, channels)
    assert largest <= allowed
    assert (
        convolutional_z(measured, "silu", 1.1 * kernel.sigma_w, kernel.sigma_b, kernel.sigma_b**2 + kernel.sigma_w**2, channels)[0]
        > allowed
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_flax_layers_take_them():
    pytest.importorskip("flax", reason="flax is not installed")
    from flax import linen, nnx

    kernel, bias = mfj.initializer("tanh", depth=50), mfj.bias_initializer("tanh", depth=50)
    dense = nnx.Linear(300, 200, kernel_init=kernel, bias_init=bias, rngs=nnx.Rngs(0))
    convolution = nnx.Conv(20, 40, (3, 3), kernel_init=kernel, bias_init=bias, rngs=nnx.Rngs(1))
    variables = linen.Dense(200, kernel_init=kernel, bias_init=bias).init(jax.random.key(9), jnp.zeros((1, 300)))
    check(dense.kernel[...], kernel.sigma_w / math.sqrt(300), 3.0)
    check(dense.bias[...], kernel.sigma_b, 3.0)
    check(convolution.kernel[...], kernel.sigma_w / math.sqrt(180), 3.0)
    check(variables["params"]["kernel"], kernel.sigma_w / math.sqrt(300), 3.0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_equinox_layers_take_them():
    eqx = pytest.importorskip("equinox", reason="equinox is not installed")
    kernel = mfj.initializer("tanh", depth=50, in_axis=1, out_axis=0)
    layer = eqx.nn.Conv2d(20, 40, 3, key=jax.random.key(0))
    layer = eqx.tree_at(lambda part: part.weight, layer, kernel(jax.random.key(1), layer.weight.shape, layer.weight.dtype))
    check(layer.weight, kernel.sigma_w / math.sqrt(180), 3.0)


@pytest.mark.parametrize("name", ["initializer", "bias_initializer"])
def test_the_examples_of_the_docstrings(name):
    """They are marked to be skipped for those without jax; here they run."""
    text = inspect.getdoc(getattr(importlib.import_module("meanfield.frameworks.jax"), name)).replace("# doctest: +SKIP", "")
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(doctest.DocTestParser().get_doctest(text, {}, name, None, 0))
    assert runner.summarize().attempted > 1
    assert runner.failures == 0
