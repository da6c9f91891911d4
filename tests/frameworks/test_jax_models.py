"""initialise of Flax NNX and Equinox models: what is found, what is drawn, and what random networks show."""

from __future__ import annotations

import doctest
import inspect
import math
from itertools import pairwise

import numpy as np
import pytest

import meanfield as mf
import meanfield.frameworks.jax as mfj
from tests.frameworks.layer_variances import FALSE_ALARM, check, convolutional_z, dense_z, image

jax = pytest.importorskip("jax", reason='jax is not installed: pip install ".[jax]"')
jnp = jax.numpy
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # between the frameworks
nnx = pytest.importorskip("flax.nnx", reason="flax is not installed: pip install flax")
eqx = pytest.importorskip("equinox", reason="equinox is not installed: pip install equinox")

Z = 5.0  # two-sided, 6e-7 a draw


def inputs(*shape):
    """Of mean square exactly 1 for each input."""
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return jnp.asarray(x / np.sqrt(np.mean(x * x, axis=tuple(range(1, x.ndim)), keepdims=True)))


class Dense(nnx.Module):
    """A chain of Linear layers; `seen` takes what each gives."""

    def __init__(self, act, depth=25, width=400, given=64, outputs=10, seed=0, bias=True):
        rngs = nnx.Rngs(seed)
        sizes = [given, *[width] * (depth - 1), outputs]
        self.act = act
        self.layers = nnx.List([nnx.Linear(a, b, use_bias=bias, rngs=rngs) for a, b in pairwise(sizes)])

    def __call__(self, x, seen=None):
        for place, layer in enumerate(self.layers):
            x = layer(x if place == 0 else self.act(x))
            if seen is not None:
                seen.append(float(jnp.mean(x * x)))
        return x


class Equinox(eqx.Module):
    """The same in Equinox, for one input."""

    layers: list
    act: object

    def __init__(self, act, depth=25, width=400, given=64, outputs=10):
        sizes = [given, *[width] * (depth - 1), outputs]
        keys = jax.random.split(jax.random.key(0), depth)
        self.layers = [eqx.nn.Linear(a, b, key=key) for (a, b), key in zip(pairwise(sizes), keys, strict=True)]
        self.act = act

    def __call__(self, x, seen=None):
        for place, layer in enumerate(self.layers):
            x = layer(x if place == 0 else self.act(x))
            if seen is not None:
                seen.append(float(jnp.mean(x * x)))
        return x


def measured(make, x, networks, **keywords):
    """(the last table, mean h² of each network and layer)."""
    rows = []
    for seed in range(networks):
        model, table = mfj.initialise(make(), x, seed=seed, **keywords)
        seen = []
        model(x, seen)
        rows.append(seen)
    return table, np.array(rows)


def unnamed(x):
    return x * jnp.tanh(1.3 * x) + 0.1 * x


@pytest.mark.parametrize(
    ("make", "x", "act"),
    [
        (lambda: Dense(jnp.tanh), inputs(1, 64), "tanh"),
        (lambda: Dense(nnx.relu), inputs(1, 64), "relu"),
        (lambda: Equinox(lambda h: jax.nn.gelu(h, approximate=False)), inputs(1, 64)[0], "gelu"),
        (lambda: Equinox(unnamed), inputs(1, 64)[0], "x*tanh(1.3*x) + 0.1*x"),
    ],
    ids=["nnx-tanh", "nnx-relu", "equinox-gelu", "equinox-formula"],
)
def test_layer_variances_of_deep_dense_models(make, x, act):
    """24 hidden layers of width 400, false-alarm rate 1e-3 for all layers; σ_w 8% larger is found out."""
    table, squares = measured(make, x, 5)
    best = mf.recommend(act, 25)
    np.testing.assert_allclose(table.sigma_w[1:-1], best.sigma_w, rtol=1e-6)
    np.testing.assert_allclose(table.sigma_b[:-1], best.sigma_b, rtol=1e-6)
    np.testing.assert_allclose(table.q, [*[best.q] * 24, 1.0], rtol=1e-5)
    largest, allowed = dense_z(squares[:, :-1], act, best.sigma_w, best.sigma_b, best.q, 400)
    assert largest <= allowed
    largest, allowed = dense_z(squares[:, :-1], act, 1.08 * best.sigma_w, best.sigma_b, best.q, 400)
    assert largest > allowed


class Convolutional(nnx.Module):
    """3 × 3 kernels; `seen` takes what each gives."""

    def __init__(self, depth, channels, padding):
        rngs = nnx.Rngs(0)
        sizes = [4, *[channels] * depth]
        self.layers = nnx.List([nnx.Conv(a, b, (3, 3), padding=padding, rngs=rngs) for a, b in pairwise(sizes)])
        self.head = nnx.Linear(channels, 2, rngs=rngs)

    def __call__(self, x, seen=None):
        for place, layer in enumerate(self.layers):
            x = layer(x if place == 0 else nnx.silu(x))
            if seen is not None:
                seen.append(float(jnp.mean(x * x)))
        return self.head(nnx.silu(x)[:, 0, 0])


@pytest.mark.parametrize(("depth", "padding", "size"), [(6, "VALID", 16), (20, "CIRCULAR", 6)])
def test_layer_variances_of_convolutions(depth, padding, size):
    """48 channels; false-alarm rate 1e-3 for all layers; σ_w 10% larger is found out."""
    table, squares = measured(lambda: Convolutional(depth, 48, padding), jnp.asarray(image(size, 4)), 12, activation="silu")
    best = mf.recommend("silu", depth + 1)
    np.testing.assert_allclose(table.sigma_w[1:-1], best.sigma_w, rtol=1e-6)
    assert table[0].fan_in == 36.0
    assert table[1].fan_in == 432.0
    largest, allowed = convolutional_z(squares, "silu", best.sigma_w, best.sigma_b, best.q, 48)
    assert largest <= allowed
    assert convolutional_z(squares, "silu", 1.1 * best.sigma_w, best.sigma_b, best.q, 48)[0] > allowed


class Residual(eqx.Module):
    """x + W₂ φ(W₁ x), with dropout in the branches, behind a normalisation or not."""

    stem: eqx.nn.Linear
    first: list
    second: list
    norms: list
    drop: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, blocks, width, rate=0.0, normed=False):
        keys = iter(jax.random.split(jax.random.key(0), 2 * blocks + 2))
        self.stem = eqx.nn.Linear(30, width, key=next(keys))
        self.first = [eqx.nn.Linear(width, width, key=next(keys)) for _ in range(blocks)]
        self.second = [eqx.nn.Linear(width, width, key=next(keys)) for _ in range(blocks)]
        self.norms = [eqx.nn.LayerNorm(width) if normed else eqx.nn.Identity() for _ in range(blocks)]
        self.drop = eqx.nn.Dropout(rate)
        self.head = eqx.nn.Linear(width, 10, key=next(keys))

    def __call__(self, x, seen=None, key=None):
        def met(h):
            if seen is not None:
                seen.append(float(jnp.mean(h * h)))
            return h

        keys = [None] * len(self.first) if key is None else jax.random.split(key, len(self.first))
        x = met(self.stem(x))
        for first, second, norm, one in zip(self.first, self.second, self.norms, keys, strict=True):
            h = jax.nn.relu(met(first(norm(x))))
            x = x + met(second(self.drop(h, key=one) if self.drop.p > 0.0 else h))
        return met(self.head(x))


@pytest.mark.parametrize(("rate", "normed"), [(0.0, False), (0.0, True), (0.3, False)])
def test_layer_variances_of_residual_models(rate, normed):
    """12 blocks of width 400: |t| below 5 of 29 degrees of freedom in each of 26 layers, 1e-3 for all, beyond a bias of 3% of the width."""
    x, blocks = inputs(1, 30)[0], 12
    rows = []
    for seed in range(30):
        model, table = mfj.initialise(
            Residual(blocks, 400, rate, normed), x, seed=seed, call=lambda model, x: model(x, key=jax.random.key(7))
        )
        seen = []
        model(x, seen, jax.random.key(100 + seed))
        rows.append(seen)
    check(table, np.array(rows), bias=0.03)
    assert table["second.0"].sigma_w == pytest.approx(math.sqrt(2.0 * (1.0 - rate) / blocks), rel=1e-6)
    assert ("makes up for dropout" in " ".join(str(table).split()) or "dropout of 0.3" in str(table)) is (rate > 0.0)
    assert ("a normalisation" in str(table)) is normed


def equal(first, second):
    return all(bool(jnp.array_equal(a, b)) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))


def test_the_same_seed_draws_the_same():
    x = inputs(3, 64)
    first, second, other = (mfj.initialise(Dense(nnx.relu, 3, 30), x, seed=seed)[0] for seed in (1, 1, 2))
    assert equal(nnx.state(first, nnx.Param), nnx.state(second, nnx.Param))
    assert not equal(nnx.state(first, nnx.Param), nnx.state(other, nnx.Param))
    key = jax.random.key(4)
    a, b = (mfj.initialise(Equinox(jnp.tanh, 3, 30), x[0], key=key)[0] for _ in range(2))
    assert equal(eqx.filter(a, eqx.is_array), eqx.filter(b, eqx.is_array))
    assert np.abs(np.asarray(a.layers[1].weight)).max() > 0.0


def test_a_flax_model_is_changed_and_an_equinox_model_is_not():
    x = inputs(1, 64)
    model = Dense(nnx.relu, 3, 30)
    before = np.asarray(model.layers[0].kernel[...]).copy()
    again, table = mfj.initialise(model, x, seed=0)
    assert again is model
    assert np.abs(np.asarray(model.layers[0].kernel[...]) - before).max() > 0.0
    assert [row.name for row in table] == ["layers.0", "layers.1", "layers.2"]
    assert {row.kind for row in table} == {"Linear"}
    tree = Equinox(jnp.tanh, 3, 30)
    kept = np.asarray(tree.layers[0].weight).copy()
    new, table = mfj.initialise(tree, x[0], seed=0)
    np.testing.assert_array_equal(np.asarray(tree.layers[0].weight), kept)
    assert np.abs(np.asarray(new.layers[0].weight) - kept).max() > 0.0
    assert isinstance(new, Equinox)
    assert [row.name for row in table] == ["layers.0", "layers.1", "layers.2"]


def test_draws_have_the_variances_of_the_table():
    model, table = mfj.initialise(Dense(jnp.tanh, 4, 400), inputs(2, 64), sigma_w=1.3, sigma_b=0.2, seed=3)
    for layer, row in zip(model.layers, table, strict=True):
        weights, biases = np.asarray(layer.kernel[...], float), np.asarray(layer.bias[...], float)
        assert abs(np.mean(weights**2) * row.fan_in / 1.3**2 - 1.0) < Z * math.sqrt(2.0 / weights.size)
        assert np.abs(biases).max() > 0.0
    assert (table.sigma_w == 1.3).all()
    assert (table.sigma_b == 0.2).all()
    orthogonal, table = mfj.initialise(Dense(jnp.tanh, 4, 40), inputs(2, 64), sigma_w=1.3, orthogonal=True, seed=3)
    values = np.linalg.svd(np.asarray(orthogonal.layers[1].kernel[...]), compute_uv=False)
    np.testing.assert_allclose(values, 1.3, rtol=1e-5)
    assert not np.asarray(orthogonal.layers[1].bias[...]).any()
    assert "orthogonal" in str(table)


class Mixed(nnx.Module):
    """Batch normalisation, pooling, dropout, a concatenation, a gate and a layer that is used twice."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(3, 8, (3, 3), padding="CIRCULAR", rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.twice = nnx.Linear(8, 8, rngs=rngs)
        self.drop = nnx.Dropout(0.25, rngs=rngs)
        self.wide = nnx.Linear(8, 24, rngs=rngs)
        self.gate = nnx.Linear(24, 24, rngs=rngs)
        self.out = nnx.Linear(32, 2, rngs=rngs)

    def __call__(self, x):
        h = jnp.mean(nnx.relu(self.norm(self.conv(x))), (1, 2))
        h = self.drop(nnx.relu(self.twice(nnx.relu(self.twice(h)))))
        wide = jnp.tanh(self.wide(h))
        wide = wide * nnx.sigmoid(self.gate(wide))
        return nnx.softmax(self.out(jnp.concatenate([h, wide], -1)))


def test_what_acts_on_the_signal_is_found():
    model = Mixed()
    means = np.asarray(model.norm.mean[...]).copy()
    x = inputs(8, 6, 6, 3)
    model, table = mfj.initialise(model, x, seed=0)
    text = " ".join(str(table).split())
    assert table["conv"].method == "convention"
    assert table["conv"].activation == "relu"
    assert table["twice"].activation == "relu"
    assert "used 2 times" in table["twice"].note
    assert "dropout of 0.25" in table["wide"].note
    assert table["wide"].activation == "tanh"
    assert "in a gate (mul)" in table["gate"].note
    assert table["out"].activation == ""
    assert table["out"].method == "measured"  # behind a pooling and a gate
    assert "behind" not in text or table.left_alone == ()
    # The measured layer gives the variance that the table says, on this batch and with these masks.
    np.testing.assert_array_equal(np.asarray(model.norm.mean[...]), means)
    assert not table.left_alone
    first = float(table["twice"].sigma_w)
    assert first == pytest.approx(math.sqrt(2.0), rel=0.5) or table["twice"].method == "measured"


def test_a_batch_scales_what_theory_does_not_tell():
    class Pooled(nnx.Module):
        def __init__(self):
            rngs = nnx.Rngs(0)
            self.conv, self.out = nnx.Conv(3, 30, (3, 3), rngs=rngs), nnx.Linear(30, 400, rngs=rngs)

        def __call__(self, x):
            return self.out(jnp.mean(nnx.relu(self.conv(x)), (1, 2)))

    x = inputs(8, 6, 6, 3)
    model, table = mfj.initialise(Pooled(), x, seed=0)
    assert table["out"].method == "measured"
    assert float(jnp.mean(model(x) ** 2)) == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(table["out"].sigma_w ** 2 / 30, np.mean(np.asarray(model.out.kernel[...]) ** 2), rtol=0.1)
    _, table = mfj.initialise(Pooled(), x, seed=0, method="measure")
    assert [row.method for row in table] == ["measured", "measured"]


def test_linen_variables_are_a_pytree():
    linen = pytest.importorskip("flax.linen")
    module = linen.Sequential([linen.Dense(50), linen.tanh, linen.Dense(50), linen.tanh, linen.Dense(3)])
    x = inputs(2, 20)
    variables = module.init(jax.random.key(0), x)
    new, table = mfj.initialise(variables, x, seed=0, call=lambda variables, x: module.apply(variables, x))
    assert jax.tree.structure(new) == jax.tree.structure(variables)
    assert [row.activation for row in table] == ["tanh", "tanh", ""]
    assert table["params.layers_2"].sigma_w == pytest.approx(mf.recommend("tanh", 3).sigma_w)


def test_weights_that_are_zero_by_design_stay():
    model = Residual(3, 20)
    zero = jnp.zeros((20, 20))
    model = eqx.tree_at(lambda m: [layer.weight for layer in m.second], model, [zero] * 3)
    new, table = mfj.initialise(model, inputs(1, 30)[0], seed=0)
    assert [row.method for row in table if row.name.startswith("second")] == ["kept"] * 3
    assert not np.asarray(new.second[0].weight).any()


def test_transposed_and_grouped_convolutions():
    class Up(eqx.Module):
        group: eqx.nn.Conv2d
        up: eqx.nn.ConvTranspose2d

        def __call__(self, x):
            return self.up(jax.nn.relu(self.group(x)))

    one, two = jax.random.split(jax.random.key(0))
    model = Up(eqx.nn.Conv2d(4, 8, 3, groups=2, key=one), eqx.nn.ConvTranspose2d(8, 6, 4, stride=2, key=two))
    new, table = mfj.initialise(model, inputs(1, 4, 12, 12)[0], seed=0)
    assert [row.fan_in for row in table] == [18.0, 8 * 16 / 4]
    weights = np.asarray(new.up.weight, float)
    assert abs(np.mean(weights**2) * 32.0 / table["up"].sigma_w ** 2 - 1.0) < Z * math.sqrt(2.0 / weights.size)


class Computed(eqx.Module):
    """A weight that is standardised before it is used."""

    w: jax.Array

    def __call__(self, x):
        return (self.w / jnp.std(self.w)) @ x


class Looped(eqx.Module):
    """Layers in a scan."""

    w: jax.Array

    def __call__(self, x):
        return jax.lax.scan(lambda h, w: (jnp.tanh(w @ h), None), x, self.w)[0]


@pytest.mark.parametrize(
    ("model", "keywords", "error", "word"),
    [
        (object(), {"x": jnp.ones(3), "seed": 0}, mf.DomainError, "model must be"),
        (lambda x: x, {"x": jnp.ones(3), "seed": 0}, mf.DomainError, "model must be"),
        ({"w": jnp.ones((3, 3))}, {"x": jnp.ones(3), "seed": 0}, mf.DomainError, "call="),
        (Dense(nnx.relu, 3, 9), {"seed": 0}, mf.DomainError, "x is missing"),
        (Dense(nnx.relu, 3, 9), {"x": jnp.ones((1, 5)), "seed": 0}, mf.DomainError, "x: the model fails on it"),
        (Dense(nnx.relu, 3, 9), {"x": jnp.ones((1, 64))}, mf.DomainError, "key"),
        (Dense(nnx.relu, 3, 9), {"x": jnp.ones((1, 64)), "seed": 0, "key": jax.random.key(0)}, mf.DomainError, "one of the two"),
        (Dense(nnx.relu, 3, 9), {"x": jnp.ones((1, 64)), "seed": -1}, mf.DomainError, "seed = -1"),
        (Dense(nnx.relu, 3, 9), {"x": jnp.ones((1, 64)), "key": 5}, mf.DomainError, "key = 5"),
        (Dense(nnx.relu, 3, 9), {"x": jnp.ones((1, 64)), "seed": 0, "sigma_w": -1.0}, mf.DomainError, "sigma_w"),
        (Dense(nnx.relu, 3, 9), {"x": jnp.ones((1, 64)), "seed": 0, "method": "guess"}, mf.DomainError, "method"),
        (Dense(nnx.relu, 3, 9), {"x": jnp.ones((1, 64)), "seed": 0, "call": 3}, mf.DomainError, "call = 3"),
        (Dense(nnx.relu, 3, 9), {"x": jnp.ones((1, 64)), "seed": 0, "activation": "tanh"}, mf.ActivationError, "not by tanh"),
        (eqx.nn.Identity(), {"x": jnp.ones(3), "seed": 0}, mf.DomainError, "nothing to initialise"),
        (Computed(jnp.eye(3)), {"x": jnp.ones(3), "seed": 0}, mf.DomainError, "computed from w"),
        (Looped(jnp.ones((2, 3, 3))), {"x": jnp.ones(3), "seed": 0}, mf.DomainError, "write the loop out"),
    ],
)
def test_what_is_wrong_is_named(model, keywords, error, word):
    with pytest.raises(error, match=word):
        mfj.initialise(model, **keywords)


def test_the_example_of_the_docstring():
    """It is marked to be skipped for those without jax; here it runs."""
    text = inspect.getdoc(mfj.initialise).replace("# doctest: +SKIP", "")
    assert "sigma_w, sigma_b : float, optional" in text
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(doctest.DocTestParser().get_doctest(text, {}, "initialise", None, 0))
    assert runner.summarize().attempted > 1
    assert runner.failures == 0


def test_rates_of_false_alarm():
    """What the limits of this file add up to."""
    assert FALSE_ALARM * 6 < 0.01
