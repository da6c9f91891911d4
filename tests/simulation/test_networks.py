"""The theory of layers against explicit random networks of the same description."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

import meanfield as mf
from meanfield import layers as L
from meanfield.layers.layer import every
from meanfield.simulation.network_ensemble import NetworkEnsemble
from tests.random_stacks import ALONE, KINDS, random_stack

SILU_V = 0.355775519817352
SWIGLU = L.Sequence(L.Gate(L.Dense(1.0), L.Sequence(L.Dense(1.0), "silu")), L.Dense(SILU_V**-0.5))
NETWORKS = {
    "residual": mf.Network(L.Repeat(L.Residual("tanh", L.Dense(1.0)), 3)),
    "dropout": mf.Network(L.Repeat(L.Sequence("relu", L.Dropout(0.1), L.Dense(1.8**0.5)), 4)),
    "dropout before an activation": mf.Network(
        L.Dense(1.2, 0.2), L.Dropout(0.3), "gelu", L.Dense(1.5, 0.1), L.Dropout(0.2), L.Dropout(0.1), "tanh", L.Dense(1.0)
    ),
    "batch norm": mf.Network(L.Repeat(L.Dense(1.3, 0.1) >> L.BatchNorm(8) >> "relu", 3), L.Dense(1.0)),
    "batch norm, linear": mf.Network(L.Repeat(L.Dense(1.3, 0.1) >> L.BatchNorm(8), 3)),
    "batch norm, residual": mf.Network(L.Repeat(L.Residual(L.BatchNorm(8), "tanh", L.Dense(1.3)), 3)),
    "pre-norm": mf.Network(
        L.Dense(1.4, 0.1),
        L.Repeat(L.Residual(L.LayerNorm(), L.Dense(1.0), "gelu", L.Dense(1.0), scale=0.5), 4),
        L.LayerNorm(),
        L.Dense(1.0),
    ),
    "swiglu": mf.Network(L.Repeat(L.Residual(L.RMSNorm(), SWIGLU), 3)),
    "norm after an activation": mf.Network(L.Repeat(L.Dense(1.2, 0.3) >> "relu" >> L.LayerNorm(), 3)),
    "concatenation, mixture": mf.Network(
        L.Dense(1.0),
        L.Concatenate(L.Identity(), L.Sequence("relu", L.Dense(1.5)), widths=(2, 1)),
        "tanh",
        L.Dense(1.3, 0.1),
        L.Mixture({"relu": 0.3, "abs": 0.7}),
        L.Dense(1.0),
    ),
    "two activations": mf.Network(L.Dense(1.2), "relu", "tanh", L.Dense(1.4, 0.1), "sin", L.Dense(1.0)),
    "convolution": mf.Network(L.Convolution(1.4, 0.1), "relu", L.Convolution(1.3, taps=5), "tanh", L.Dense(1.0)),
    "kinds of weights": mf.Network(
        L.Dense(1.2),
        "relu",
        L.Dense(1.7, 0.2, weights="standardised"),
        "gelu",
        L.Dense(1.3, weights="orthogonal"),
        "tanh",
        L.Dense(1.1, weights="normalised"),
    ),
    "branch without weights behind": mf.Network(L.Dense(1.0), L.Repeat(L.Residual(L.Dense(1.2, 0.3), "relu", scale=0.7), 3), L.Dense(1.0)),
    "post-norm": mf.Network(L.Repeat(L.Residual("gelu", L.Dense(1.3, 0.2), skip=0.9) >> L.LayerNorm(), 3)),
    "squeeze and excite": mf.Network(L.Dense(1.0), L.Gate(L.Identity(), L.Sequence(L.Dense(1.0), "sigmoid")), L.Dense(1.2)),
    "maxout": mf.Network(L.Repeat(L.Dense(1.0) >> L.Maxout(2), 3), L.Dense(1.1, 0.2), L.Maxout(5), L.RMSNorm(), L.Dense(1.0)),
    "maxout in a branch": mf.Network(
        L.Dense(1.0),
        L.Residual(L.Dense(1.0), L.Maxout(3), L.Dense(1.0)),
        L.Concatenate(L.Identity(), L.Dense(1.0) >> L.Maxout(4)),
        L.Dense(1.0),
    ),
    "batch of tokens, softmax": mf.Network(
        L.Dense(1.0), L.Repeat(L.Residual(L.LayerNorm(), L.Attention(1.2, 1.5, tokens=6), scale=0.7), 2), "gelu", L.Dense(1.3)
    ),
    "batch of tokens, linear": mf.Network(L.Dense(1.0), L.Attention(0.4, 0.7, tokens=5, kind="linear"), L.Dense(1.0)),
    "batch of tokens, uniform": mf.Network(L.Dense(1.0), L.Attention(0.0, 1.3, tokens=5), "relu", L.Dense(1.0)),
    "activation behind the sum": mf.Network(
        L.Dense(1.4, 0.1), "relu", L.Repeat(L.PostActivation(L.Dense(2**0.5), "relu", L.Dense(1.0)), 3), L.Dense(0.7)
    ),
    "tanh behind the sum": mf.Network(
        L.Repeat(L.PostActivation(L.RMSNorm(), L.Dense(0.9, 0.3), activation="tanh", skip=0.8), 3), L.LayerNorm(), L.Dense(1.0)
    ),
    "means over sites": mf.Network(
        L.Convolution(1.4, 0.3), "relu", L.AveragePool(2), L.Convolution(1.3, 0.2), "tanh", L.GlobalAveragePool(4), L.Dense(1.3)
    ),
    "means over sites of sums": mf.Network(
        L.Dense(1.2, 0.5), L.Residual(L.LayerNorm(), L.Convolution(1.0), "gelu", L.Dense(1.0)), L.AveragePool(3), "relu", L.AveragePool(2)
    ),
}
RATE = 1e-4 / len(NETWORKS)  # the whole table's false-alarm rate is 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_theory_and_networks_agree(name: str) -> None:
    batch = name.startswith("batch")
    sim = NETWORKS[name].simulate(width=200, networks=120, q=1.3 if batch else (1.0, 1.5), c=0.3, seed=1, progress=False)
    verdict = sim.compare(false_alarm=RATE)
    assert verdict.consistent, str(verdict)
    assert verdict.tests >= 3 * len(sim.q1.mean)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in ("kinds of weights", "means over sites of sums")])
def test_theory_and_conditional_networks_agree(name: str) -> None:
    sim = NETWORKS[name].simulate(500, 100, q=1.3, c=0.3, seed=5, progress=False, method="conditional")
    verdict = sim.compare(false_alarm=RATE)
    assert verdict.consistent, str(verdict)
    assert verdict.tests >= 3 * len(sim.q1.mean)


@pytest.mark.parametrize("name", ["swiglu", "batch norm", "concatenation, mixture", "batch of tokens, softmax", "convolution"])
@pytest.mark.parametrize("width", [3, 12])
def test_both_methods_draw_from_one_distribution(name: str, width: int) -> None:
    """At widths where theory says nothing, and where there are fewer units than inputs. False-alarm rate 1e-5 for each of the ten."""
    one = NETWORKS[name].simulate(width, 2000, 1.0, 0.3, 1, progress=False, method="weights")
    two = NETWORKS[name].simulate(width, 2000, 1.0, 0.3, 2, progress=False, method="conditional")
    assert one.log_gradient is not None
    assert two.log_gradient is not None
    tests = 3 * len(one.q1.mean)
    for a, b in ((one.q1, two.q1), (one.c, two.c), (one.log_gradient, two.log_gradient)):
        kept = np.isfinite(a.mean) & np.isfinite(b.mean) & (a.standard_error > 0.0) & (b.standard_error > 0.0)
        z = (a.mean - b.mean)[kept] / np.hypot(a.standard_error, b.standard_error)[kept]
        assert np.max(np.abs(z)) < norm.isf(0.5e-5 / tests)


def test_conditional_wants_gaussian_weights() -> None:
    with pytest.raises(mf.DomainError, match="normalised"):
        NETWORKS["kinds of weights"].simulate(20, 2, method="conditional")
    with pytest.raises(mf.DomainError, match="method"):
        NETWORKS["residual"].simulate(20, 2, method="exact")


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_random_stacks(number: int) -> None:
    """Of twenty layers; one of each kind of inputs."""
    network, q, c = random_stack(np.random.default_rng((2, number)), KINDS[number])
    verdict = network.simulate(400, 60, q, c, number, progress=False, method="conditional").compare(false_alarm=1e-5)
    assert verdict.consistent, str(verdict)


def test_each_kind_of_layer_is_drawn_alone() -> None:
    """The table that `python -m tests.random_stacks` asks at width 2000: every public kind; traced models bring the others."""
    for_models = {"ChannelNorm", "Given", "Graph", "Layer", "Scale"}
    kinds = {name for name in L.__all__ if name[0].isupper()} - for_models
    drawn = {type(layer).__name__ for network in ALONE.values() for layer in every(network.layers)} | {"Sequence"}
    assert kinds <= drawn, kinds - drawn


BETWEEN = {
    "an activation": (L.Dense(1.1), "relu"),
    "two in a row": (L.Dense(1.1, 0.3), "abs", "sin"),
    "masks behind one": (L.Dense(1.1), "softplus", L.Dropout(0.4)),
    "masks before one": (L.Dense(1.1, 0.2), L.Dropout(0.3), L.Dropout(0.4), "sin"),
    "the largest of three": (L.Dense(1.1), L.Maxout(3)),
    "a gate": (L.Gate(L.Dense(1.1), L.Sequence(L.Dense(1.0, 0.5), "sigmoid")),),
    "a residual block": (L.Residual(L.Dense(1.3), "abs", L.Dense(1.2)),),
    "two kinds of units": (L.Concatenate(L.Identity(), L.Sequence(L.Dense(1.3), "relu")),),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_what_a_batch_shares_of_its_gradient(name: str) -> None:
    """What stands between two normalisations leaves a δ that doesn't sum to 0 over the batch."""
    block = L.Sequence(L.Dense(1.0), L.BatchNorm(5), "tanh", *BETWEEN[name])
    network = mf.Network(L.Repeat(block, 5), L.Dense(1.0))
    verdict = network.simulate(1200, 120, 1.0, 0.3, 7, progress=False, method="conditional").compare(false_alarm=1e-5)
    assert verdict.consistent, str(verdict)


def test_a_wrong_theory_is_seen() -> None:
    """The same networks against a description that differs in one number."""
    sim = mf.Network(L.Repeat(L.Residual("tanh", L.Dense(1.0)), 3)).simulate(width=200, networks=120, progress=False)
    wrong = mf.Network(L.Repeat(L.Residual("tanh", L.Dense(1.0), skip=0.9), 3))
    assert isinstance(sim.ensemble, NetworkEnsemble)
    assert replace(sim, ensemble=replace(sim.ensemble, network=wrong)).compare().consistent is False


def test_an_unknown_gradient_is_told_from_a_small_width() -> None:
    sim = NETWORKS["batch of tokens, uniform"].simulate(width=50, networks=20, progress=False)
    assert "Not known to the theory: log gradient (layers 0-1)" in str(sim.compare())


def test_the_same_seed_gives_the_same_numbers() -> None:
    net = NETWORKS["pre-norm"]
    one = net.simulate(width=64, networks=70, seed=3, progress=False)
    two = net.simulate(width=64, networks=70, seed=3, progress=False, n_jobs=2)
    assert np.array_equal(one.q1.mean, two.q1.mean)
    assert one.gradient is not None
    assert two.gradient is not None
    assert np.array_equal(one.gradient.mean, two.gradient.mean)
    assert not np.array_equal(one.q1.mean, net.simulate(width=64, networks=70, seed=4, progress=False).q1.mean)


def test_torch_draws_them_too() -> None:
    pytest.importorskip("torch")
    sim = NETWORKS["pre-norm"].simulate(width=100, networks=40, seed=3, progress=False, backend="torch", device="cpu")
    assert sim.compare(false_alarm=1e-4).consistent


def test_it_prints() -> None:
    sim = NETWORKS["residual"].simulate(width=50, networks=10, progress=False)
    assert "10 networks of 3 layers, width 50" in str(sim)
    assert "10 networks of 3 layers" in str(sim.compare())


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"width": 1}, "width"),
        ({"networks": 0}, "networks"),
        ({"q": -1.0}, "q"),
        ({"c": 1.5}, "c"),
        ({"seed": -1}, "seed"),
        ({"backend": "fortran"}, "backend"),
        ({"n_jobs": 0}, "n_jobs"),
    ],
)
def test_bad_arguments(options: dict[str, object], word: str) -> None:
    with pytest.raises(mf.DomainError, match=word):
        NETWORKS["residual"].simulate(**options)  # type: ignore[arg-type]
    with pytest.raises(mf.DomainError, match="alike"):
        NETWORKS["batch norm"].simulate(c=-0.9)


@pytest.mark.filterwarnings("error")
def test_gradients_of_steps_and_infinite_variances_are_not_judged() -> None:
    """Steps stop gradients, and poles have no variance: 0 and inf, no nan and no warning."""
    steps = mf.Network(L.Dense(1.0), "sign", L.Dense(1.0)).simulate(width=20, networks=5, progress=False)
    assert steps.gradient is not None
    assert steps.gradient.mean[:2].tolist() == [0.0, 0.0]
    assert steps.compare().judged["gradient"].tolist() == [False, False, True, True]
    poles = mf.Network(L.Dense(1.0), "tan(x)", L.Dense(1.0)).simulate(width=20, networks=5, progress=False)
    assert poles.compare().judged["q1"].tolist()[2:] == [False, False]
