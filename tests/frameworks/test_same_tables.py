"""One model in four frameworks is one plan."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
torch = pytest.importorskip("torch", reason='torch is not installed: pip install ".[torch]"')
jax = pytest.importorskip("jax", reason='jax is not installed: pip install ".[jax]"')
nnx = pytest.importorskip("flax.nnx", reason="flax is not installed: pip install flax")
eqx = pytest.importorskip("equinox", reason="equinox is not installed: pip install equinox")
keras = pytest.importorskip("keras", reason='Keras is not installed: pip install ".[keras]"')
jnp, nn, L = jax.numpy, torch.nn, keras.layers

import meanfield.frameworks.jax as mfj  # noqa: E402
import meanfield.frameworks.keras as mfk  # noqa: E402
from meanfield.frameworks.torch import init_  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
WIDTH, BLOCKS = 24, 3


class Torch(nn.Module):
    """A stem, residual blocks with a normalisation and a dropout, skips side by side, a head."""

    def __init__(self):
        super().__init__()
        self.stem, self.skip, self.head = nn.Linear(12, WIDTH), nn.Linear(WIDTH, 8), nn.Linear(WIDTH + 8, 5)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(BLOCKS))
        self.first = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(BLOCKS))
        self.second = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(BLOCKS))
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        h = torch.tanh(self.stem(x))
        for norm, first, second in zip(self.norms, self.first, self.second, strict=True):
            h = h + second(self.drop(nn.functional.leaky_relu(first(norm(h)), 0.2)))
        return self.head(torch.cat([h, torch.nn.functional.gelu(self.skip(h))], -1))


class Flax(nnx.Module):
    """The same."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.stem, self.skip = nnx.Linear(12, WIDTH, rngs=rngs), nnx.Linear(WIDTH, 8, rngs=rngs)
        self.head = nnx.Linear(WIDTH + 8, 5, rngs=rngs)
        self.norms = nnx.List([nnx.LayerNorm(WIDTH, rngs=rngs) for _ in range(BLOCKS)])
        self.first = nnx.List([nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(BLOCKS)])
        self.second = nnx.List([nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(BLOCKS)])
        self.drop = nnx.Dropout(0.2, rngs=rngs)

    def __call__(self, x):
        h = jnp.tanh(self.stem(x))
        for norm, first, second in zip(self.norms, self.first, self.second, strict=True):
            h = h + second(self.drop(nnx.leaky_relu(first(norm(h)), 0.2)))
        return self.head(jnp.concatenate([h, nnx.gelu(self.skip(h), approximate=False)], -1))


class Equinox(eqx.Module):
    """The same, for one input."""

    stem: eqx.nn.Linear
    skip: eqx.nn.Linear
    head: eqx.nn.Linear
    norms: list
    first: list
    second: list
    drop: eqx.nn.Dropout

    def __init__(self):
        key = jax.random.key(0)
        self.stem, self.skip = eqx.nn.Linear(12, WIDTH, key=key), eqx.nn.Linear(WIDTH, 8, key=key)
        self.head = eqx.nn.Linear(WIDTH + 8, 5, key=key)
        self.norms = [eqx.nn.LayerNorm(WIDTH) for _ in range(BLOCKS)]
        self.first = [eqx.nn.Linear(WIDTH, WIDTH, key=key) for _ in range(BLOCKS)]
        self.second = [eqx.nn.Linear(WIDTH, WIDTH, key=key) for _ in range(BLOCKS)]
        self.drop = eqx.nn.Dropout(0.2)

    def __call__(self, x, key):
        h = jnp.tanh(self.stem(x))
        for norm, first, second in zip(self.norms, self.first, self.second, strict=True):
            h = h + second(self.drop(jax.nn.leaky_relu(first(norm(h)), 0.2), key=key))
        return self.head(jnp.concatenate([h, jax.nn.gelu(self.skip(h), approximate=False)]))


def in_keras():
    x = keras.Input((12,))
    h = L.Dense(WIDTH, activation="tanh", name="stem")(x)
    for n in range(BLOCKS):
        r = L.LeakyReLU(negative_slope=0.2)(L.Dense(WIDTH, name=f"first.{n}")(L.LayerNormalization()(h)))
        h = h + L.Dense(WIDTH, name=f"second.{n}")(L.Dropout(0.2)(r))
    skip = L.Dense(8, activation="gelu", name="skip")(h)
    gelu = keras.layers.Activation(keras.activations.linear)(skip)
    return keras.Model(x, L.Dense(5, name="head")(keras.ops.concatenate([h, gelu], -1)))


def test_one_plan():
    expected = init_(Torch(), seed=0)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 12)), jnp.float32)
    tables = {
        "flax": mfj.initialise(Flax(), x, seed=0)[1],
        "equinox": mfj.initialise(Equinox(), x[0], seed=0, call=lambda model, x: model(x, jax.random.key(1)))[1],
        "keras": mfk.initialise(in_keras(), seed=0),
    }
    for framework, table in tables.items():
        assert {row.name for row in table} == {row.name for row in expected}, framework
        assert table.depth == expected.depth, framework
        for row in expected:
            found = table[row.name]
            assert (found.fan_in, found.activation) == (row.fan_in, row.activation), (framework, row.name)
            values = [found.sigma_w, found.sigma_b, found.q]
            np.testing.assert_allclose(values, [row.sigma_w, row.sigma_b, row.q], rtol=1e-5, err_msg=f"{framework} {row.name}")
