"""NNGP and NTK of data against published and 30-digit values, closed forms, and explicit networks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L
from meanfield.expectation.crowd import in_a_crowd
from meanfield.theory.kernels import gram, norms_table, stages
from meanfield.theory.kernels.inputs import losses
from meanfield.theory.kernels.norms_table import NormsTable
from meanfield.theory.kernels.one_variance import Table

REFERENCE = Path(__file__).parents[1] / "reference"
LAYERS = {entry["id"]: entry for entry in json.loads((REFERENCE / "layers.json").read_text(encoding="utf-8"))["entries"]}
ONE_INPUT = json.loads((REFERENCE / "visible.json").read_text(encoding="utf-8"))["activations"]


def data(count: int, components: int, seed: int, equal: bool = False) -> Any:
    x = np.random.default_rng(seed).standard_normal((count, components))
    return x / np.sqrt(np.mean(x * x, axis=1, keepdims=True)) if equal else x


def plain(act: str, sigma_w: float, sigma_b: float, depth: int) -> mf.Network:
    return mf.Network(L.Dense(sigma_w, sigma_b), L.Repeat(L.Sequence(act, L.Dense(sigma_w, sigma_b)), depth))


def test_relu_network_of_the_reference() -> None:
    entry = LAYERS["F1_relu"]
    x = np.stack([np.r_[np.full(25, 1.2), np.zeros(25)], np.r_[np.full(40, 0.7), np.full(10, -0.5)]])
    net = plain("relu", 2**0.5, 0.1, 3)
    ntk, standard = net.ntk(x), net.ntk(x, parametrization="standard", width=1000)
    found = [ntk[0, 0], ntk[0, 1], ntk[1, 1], standard[0, 0], standard[0, 1]]
    assert found == pytest.approx(entry["value"], rel=1e-13)
    assert net.nngp(x) == pytest.approx(np.array(entry["nngp"]), rel=1e-13)
    # Every layer's own entries; the diagonal too.
    each, theta = net.nngp(x, per_layer=True), net.ntk(x, per_layer=True)
    assert each.shape == theta.shape == (5, 2, 2)
    assert each[0] == pytest.approx(x @ x.T / 50, rel=1e-14)
    assert np.all(theta[0] == 0.0)
    assert each[-1] == pytest.approx(net.nngp(x), rel=1e-14)
    assert theta[-1] == pytest.approx(ntk, rel=1e-14)


def arc_cosine(k11: Any, k22: Any, k12: Any) -> tuple[Any, Any]:
    """C and C[φ'] of ReLU [Cho, Saul 2009]."""
    norm = np.sqrt(k11 * k22)
    angle = np.arccos(np.clip(k12 / norm, -1, 1))
    return norm * (np.sin(angle) + (math.pi - angle) * np.cos(angle)) / (2 * math.pi), (math.pi - angle) / (2 * math.pi)


def arc_sine(k11: Any, k22: Any, k12: Any) -> tuple[Any, Any]:
    """C and C[φ'] of erf [Williams 1997]."""
    below = (1 + 2 * k11) * (1 + 2 * k22)
    return 2 / math.pi * np.arcsin(2 * k12 / np.sqrt(below)), 4 / math.pi / np.sqrt(below - 4 * k12**2)


@pytest.mark.parametrize(("act", "rule", "sigma_w", "sigma_b"), [("relu", arc_cosine, 1.5, 0.3), ("erf", arc_sine, 1.4, 0.2)])
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("depth", [1, 4])
def test_closed_forms_layer_by_layer(act: str, rule: Any, sigma_w: float, sigma_b: float, equal: bool, depth: int) -> None:
    x, y = data(7, 5, 1, equal), data(4, 5, 2, equal)
    whole = np.concatenate([x, y])
    k = sigma_b**2 + sigma_w**2 * whole @ whole.T / 5
    theta = k.copy()
    for _ in range(depth):
        d = np.diag(k)
        value, slope = rule(d[:, None], d[None, :], k)
        k = sigma_b**2 + sigma_w**2 * value
        theta = k + sigma_w**2 * slope * theta
    net = plain(act, sigma_w, sigma_b, depth)
    assert net.nngp(x, y) == pytest.approx(k[:7, 7:], rel=1e-12, abs=1e-13)
    assert net.ntk(x, y) == pytest.approx(theta[:7, 7:], rel=1e-12, abs=1e-13)
    # c = 1 on the diagonal costs the closed forms half their digits
    assert net.nngp(x) == pytest.approx(k[:7, :7], rel=1e-12, abs=1e-13)
    off = ~np.eye(7, dtype=bool)
    assert net.ntk(x)[off] == pytest.approx(theta[:7, :7][off], rel=1e-12, abs=1e-13)
    assert np.diag(net.ntk(x)) == pytest.approx(np.diag(theta)[:7], rel=1e-7)


@pytest.mark.parametrize("act", ["tanh", "silu", "elu", "gelu"])
def test_one_hidden_layer_is_the_covariance_to_30_digits(act: str) -> None:
    """x, y in the plane with x·x/2 = q1, y·y/2 = q2 and correlation c; K = σ_w² C, Θ = K + σ_w² C[φ'] K⁰."""
    seen = 0
    for key, entry in ONE_INPUT[act]["B"].items():
        q1, q2, c = (float(part) for part in key.split(","))
        if not (1e-3 <= q1 <= 30 and 1e-3 <= q2 <= 30):
            continue
        value, slope = float(entry["C"]["value"]), float(entry["C1"]["value"])
        x = math.sqrt(2 * q1) * np.array([[1.0, 0.0]])
        y = math.sqrt(2 * q2) * np.array([[c, math.sqrt((1 - c) * (1 + c))]])
        net = mf.Network(L.Dense(1.0), act, L.Dense(1.3))
        scale = math.sqrt(float(mf.second_moment(act, q1) * mf.second_moment(act, q2)))
        assert abs(net.nngp(x, y)[0, 0] - 1.69 * value) <= 1.69e-12 * scale
        slopes = math.sqrt(float(mf.second_moment(act, q1, 1) * mf.second_moment(act, q2, 1) * q1 * q2))
        own = 1.69 * value + 1.69 * slope * c * math.sqrt(q1 * q2)
        assert abs(net.ntk(x, y)[0, 0] - own) <= 1.69e-12 * (scale + slopes)
        seen += 1
    assert seen >= 5


@pytest.mark.parametrize(("act", "sigma_b", "limit"), [("tanh", 0.2, "tanh"), ("relu", 0.0, "relu")])
def test_ratio_of_tangents_on_the_edge_of_chaos(act: str, sigma_b: float, limit: str) -> None:
    point = mf.edge_of_chaos(act, sigma_b=sigma_b)
    q = float(point.q)
    x = math.sqrt(q) * math.sqrt(2) * np.array([[1.0, 0.0], [0.2, math.sqrt(0.96)]])
    net = mf.Network(L.Dense(1.0), L.Repeat(L.Sequence(act, L.Dense(float(point.sigma_w), sigma_b)), 200))  # Θ starts at K⁰
    theta = net.ntk(x)
    depth, ratio = LAYERS["F2"]["value"][limit][0]
    assert depth == 200
    assert theta[0, 1] / theta[0, 0] == pytest.approx(ratio, rel=1e-11)


NETWORKS = {
    "residual": mf.Network(L.Dense(1.2, 0.1), L.Repeat(L.Residual("tanh", L.Dense(1.1, 0.2), scale=0.6, skip=0.9), 3), L.Dense(1.0)),
    "pre-norm": mf.Network(L.Dense(1.2, 0.1), L.Residual(L.LayerNorm(), "gelu", L.Dense(1.1)), L.RMSNorm(), L.Dense(1.0, 0.3)),
    "gated": mf.Network(L.Dense(1.0), L.Gate(L.Dense(1.1), L.Sequence(L.Dense(1.2, 0.1), "sigmoid")), L.Dense(1.4)),
    "side by side": mf.Network(L.Dense(1.0), L.Concatenate(L.Identity(), L.Sequence("relu", L.Dense(1.5)), widths=(1, 2)), L.Dense(1.0)),
    "norm after": mf.Network(L.Dense(1.3, 0.2), "relu", L.LayerNorm(), L.Dense(1.2, 0.1), "tanh", L.Dense(1.0)),
    "mixture": mf.Network(L.Dense(1.2, 0.1), L.Mixture({"relu": 1, "sin": 1}), L.Dense(1.0), L.Maxout(2), L.Dense(1.1)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_nngp_is_what_propagate_gives(name: str) -> None:
    net = NETWORKS[name]
    x = data(3, 6, 5)
    found = net.nngp(x)
    for i in range(3):
        for j in range(i):
            q = (float(np.mean(x[i] ** 2)), float(np.mean(x[j] ** 2)))
            trajectory = net.propagate(q, float(x[i] @ x[j] / 6 / math.sqrt(q[0] * q[1])))
            wanted = math.sqrt(trajectory.q1[-1] * trajectory.q2[-1]) * trajectory.c[-1]
            assert found[i, j] == pytest.approx(wanted, rel=1e-11, abs=1e-12)
    assert np.linalg.eigvalsh(net.nngp(data(40, 6, 6))).min() > -1e-13 * 40


def explicit(name: str, width: int) -> tuple[Any, Any]:
    """(forward, parameters) of one network by torch, in the parametrisation of the tangent kernel."""
    import torch

    def dense(fan_in: int, fan_out: int) -> list[Any]:
        return [torch.randn(fan_out, fan_in, dtype=torch.float64), torch.randn(fan_out, dtype=torch.float64)]

    def apply(w: list[Any], sigma_w: float, sigma_b: float, x: Any) -> Any:
        return x @ w[0].T * (sigma_w / w[0].shape[1] ** 0.5) + sigma_b * w[1]

    n = width
    if name == "residual":
        weights = [dense(6, n), *(dense(n, n) for _ in range(3)), dense(n, 1)]

        def forward(x: Any) -> Any:
            h = apply(weights[0], 1.2, 0.1, x)
            for w in weights[1:4]:
                h = 0.9 * h + 0.6 * apply(w, 1.1, 0.2, torch.tanh(h))
            return apply(weights[4], 1.0, 0.0, h)

    elif name == "norm after":
        weights = [dense(6, n), dense(n, n), dense(n, 1)]

        def forward(x: Any) -> Any:
            h = torch.relu(apply(weights[0], 1.3, 0.2, x))
            h = (h - h.mean(-1, keepdim=True)) / h.std(-1, unbiased=False, keepdim=True)
            return apply(weights[2], 1.0, 0.0, torch.tanh(apply(weights[1], 1.2, 0.1, h)))

    else:
        weights = [dense(6, n), dense(n, n), dense(n, n), dense(n, 1)]

        def forward(x: Any) -> Any:
            h = apply(weights[0], 1.0, 0.0, x)
            h = apply(weights[1], 1.1, 0.0, h) * torch.sigmoid(apply(weights[2], 1.2, 0.1, h))
            return apply(weights[3], 1.4, 0.0, h)

    return forward, [p.requires_grad_() for w in weights for p in w]


@pytest.mark.parametrize("name", ["residual", "norm after", "gated"])
def test_tangent_kernel_of_explicit_networks(name: str) -> None:
    """Θ by autograd: mean over 300 networks of width 200 against the limit, with a bias of up to 3/width taken off.

    Nine numbers, |z| < 4.5: a false alarm in 1 of 16,000 runs.
    """
    torch = pytest.importorskip("torch", reason="torch is not installed: tangent kernels were NOT compared with autograd")
    torch.manual_seed(3)
    x = data(2, 6, 9)
    wanted = NETWORKS[name].ntk(x)
    kept = []
    width = 200
    for _ in range(300):
        forward, parameters = explicit(name, width)
        rows = []
        for each in torch.from_numpy(x):
            output = forward(each[None])[0, 0]
            rows.append(torch.cat([g.reshape(-1) for g in torch.autograd.grad(output, parameters, allow_unused=True) if g is not None]))
        stacked = torch.stack(rows)
        kept.append((stacked @ stacked.T).detach().numpy())
    mean, error = np.mean(kept, axis=0), np.std(kept, axis=0) / math.sqrt(len(kept))
    bias = 3.0 / width * np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    assert np.all(np.maximum(np.abs(mean - wanted) - bias, 0.0) < 4.5 * error), (mean, wanted, error)


def test_finite_kernels_come_in_like_one_over_the_width() -> None:
    """E[f(x)f(x')] given all but the last layer, for tanh and widths 100 … 3200: departures times the width stay bounded.

    At the largest |t| < 4.5 beyond a bias of 3/width, 6 numbers for each of 4 widths: a false alarm in 1 of 1,000 runs at most.
    """
    x = data(3, 4, 11)
    net = plain("tanh", 1.5, 0.1, 2)
    wanted = net.nngp(x)
    rng = np.random.default_rng(12)
    for width, networks in ((100, 60), (400, 60), (1600, 60), (3200, 30)):
        kept = []
        for _ in range(networks):
            h = x @ (rng.standard_normal((4, width)) * 1.5 / 2.0) + 0.1 * rng.standard_normal(width)
            h = np.tanh(h) @ (rng.standard_normal((width, width)) * 1.5 / math.sqrt(width)) + 0.1 * rng.standard_normal(width)
            a = np.tanh(h)
            kept.append(0.01 + 2.25 * a @ a.T / width)
        mean, error = np.mean(kept, axis=0), np.std(kept, axis=0) / math.sqrt(len(kept))
        assert np.all(np.abs(mean - wanted) < 3.0 / width + 4.5 * error)


@pytest.mark.parametrize("act", ["relu", "tanh", "selu"])
def test_the_table_for_one_norm_is_what_single_pairs_give(act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = data(12, 8, 3, equal=True)
    x[1], x[2], x[3] = x[0], -x[0], x[0] + 1e-7 * x[4]
    x[3] *= math.sqrt(8 / (x[3] @ x[3]))
    net = plain(act, 1.4, 0.2 if act == "tanh" else 0.0, 2)
    alone, tangents = net.nngp(x), net.ntk(x)
    monkeypatch.setattr(gram, "WORTH", 1)
    assert net.nngp(x) == pytest.approx(alone, rel=1e-12, abs=1e-12 * alone.max())
    off = ~np.eye(12, dtype=bool)
    near = ([0, 1, 3, 3], [3, 3, 0, 1])
    off[near] = False  # ε = 5e-15: alone, C' comes from c = 1 − ε, and goes with √ε
    assert net.ntk(x)[near] == pytest.approx(tangents[near], rel=1e-10)
    off[[2, 3], [3, 2]] = False  # all but opposite: ε, near 2, is rounded, and Θ goes with √(2 − ε)
    assert net.ntk(x)[off] == pytest.approx(tangents[off], rel=1e-11, abs=1e-12 * tangents.max())
    assert net.ntk(x)[2, 3] == pytest.approx(tangents[2, 3], rel=1e-9)
    assert np.diag(net.ntk(x)) == pytest.approx(np.diag(tangents), rel=1e-12)


def test_a_table_behind_layers_that_bring_variances_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs of different norms meet in the normalisation: Θ from before it goes through the table's factor."""
    net = mf.Network(L.Dense(1.2, 0.3), L.RMSNorm(), "relu", L.Dense(1.4), "relu", L.Dense(1.1))
    x = data(12, 5, 41)
    alone, tangents = net.nngp(x), net.ntk(x)
    monkeypatch.setattr(gram, "WORTH", 1)
    assert isinstance(gram.prepared(net, x, None, None).stages[-1].table, Table)
    assert net.nngp(x) == pytest.approx(alone, rel=1e-12, abs=1e-12)
    assert net.ntk(x) == pytest.approx(tangents, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize(
    ("act", "sigma_w", "sigma_b", "spread", "depth"),
    [
        ("tanh", 1.4, 0.1, 3.0, 6),
        ("gelu", 1.4, 0.1, 2.0, 6),
        ("relu", 1.3, 0.2, 2.0, 4),
        ("relu", 2**0.5, 0.0, 6.0, 20),
        ("selu", 1.1, 0.1, 1.0, 3),
    ],
)
def test_tables_of_different_norms_are_what_layers_give(
    act: str, sigma_w: float, sigma_b: float, spread: float, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NNGP and NTK by tables of both norms and ε against the layers pair by pair; parallel, opposite, near and equal rows among them."""
    rng = np.random.default_rng(8)
    x = data(30, 10, 12, equal=True) * np.exp(0.25 * spread * rng.uniform(-1, 1, 30))[:, None]
    x[1], x[2], x[3], x[5] = 1.1 * x[0], -0.9 * x[0], x[4], x[6] + 1e-4 * x[7]
    net = plain(act, sigma_w, sigma_b, depth)
    with in_a_crowd():
        alone, tangents, standard = net.nngp(x), net.ntk(x), net.ntk(x, x[:9], "standard", width=300)
    monkeypatch.setattr(gram, "WORTH", 1)
    monkeypatch.setattr(stages, "NODES", 1e-3)  # tables are cheap, and
    monkeypatch.setattr(norms_table, "WORTH", 0.05)  # made for a few entries
    found = gram.prepared(net, x, None, None).stages
    assert any(isinstance(stage.table, NormsTable) for stage in found)
    size = np.sqrt(np.outer(np.diag(alone), np.diag(alone)))
    assert np.max(np.abs(net.nngp(x) - alone) / size) <= 2e-13
    larger = np.sqrt(np.outer(np.diag(tangents), np.diag(tangents)))
    assert np.max(np.abs(net.ntk(x) - tangents) / larger) <= 1e-12
    assert np.max(np.abs(net.ntk(x, x[:9], "standard", width=300) - standard) / np.max(standard)) <= 4e-12
    table = next(stage.table for stage in found if isinstance(stage.table, NormsTable))
    assert sum(octave.parts > 0 for octave in table._octaves.values()) >= 2  # it is the tables that were seen
    if (act, sigma_b) == ("relu", 0.0):  # the norms do not matter
        assert {octave.series.shape[2] for octave in table._octaves.values() if octave.parts} == {1}


@pytest.mark.parametrize("step", [1e-9, 1e-4, 0.02, 0.5])
def test_decorrelations_of_rows(step: float) -> None:
    """1 − cos δ = 2 sin²(δ/2) of rows at an angle of δ, and 2 − 2 sin²(δ/2) from the other end, to their last digits."""
    here = np.array([[1.0, 0.0]])
    there = np.array([[math.cos(step), math.sin(step)], [-math.cos(step), math.sin(step)]])
    near, far = losses(here, there)[0]
    assert near == pytest.approx(2 * math.sin(step / 2) ** 2, rel=1e-13 if step < 0.1 else 1e-14)
    assert abs(far - (2 - 2 * math.sin(step / 2) ** 2)) <= 5e-16


def test_small_decorrelations_keep_their_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two inputs 1e-6 apart, ordered tanh: Var(f − f') against the product of slopes."""
    monkeypatch.setattr(gram, "WORTH", 1)
    step = 1e-6
    x = math.sqrt(2) * np.array([[1.0, 0.0], [math.cos(step), math.sin(step)]])
    net = plain("relu", 2**0.5, 0.0, 6)
    q, epsilon = gram.output_losses(net, x)
    trajectory = net.propagate(1.0, epsilon=2 * math.sin(step / 2) ** 2)
    assert epsilon[0, 1] == pytest.approx(float(trajectory.epsilon[-1]), rel=1e-9)
    assert q == pytest.approx([2.0, 2.0], rel=1e-14)


def test_dropout_of_one_pass_and_of_two() -> None:
    """E[f²] has 1/ρ, E[f f'] of two passes has not; Θ on the diagonal is of one pass."""
    keep, s = 0.8, 1.3
    net = mf.Network(L.Dense(1.0), "relu", L.Dropout(1 - keep), L.Dense(s))
    x = np.array([[1.0, 1.0], [1.0, 0.0]])
    first, second = net.nngp(x), net.nngp(x, x)
    assert first[0, 0] == pytest.approx(s * s * 0.5 / keep, rel=1e-13)
    assert second[0, 0] == pytest.approx(s * s * 0.5, rel=1e-13)
    assert first[0, 1] == pytest.approx(second[0, 1], rel=1e-14)
    # Θ = K + σ_w² μ V[φ'] K⁰ with K⁰ = 1
    assert net.ntk(x)[0, 0] == pytest.approx(s * s * 0.5 / keep + s * s * 0.5 / keep, rel=1e-13)
    before = mf.Network(L.Dense(1.0), L.Dropout(1 - keep), "relu", L.Dense(s))
    # φ(d u/ρ): V = ρ · q/(2ρ²), slopes E[d²/ρ² φ'(d u/ρ)²] = 1/(2ρ)
    assert before.nngp(x)[0, 0] == pytest.approx(s * s * 0.5 / keep, rel=1e-13)
    assert before.ntk(x)[0, 0] == pytest.approx(s * s * (0.5 / keep + 0.5 / keep), rel=1e-13)


def test_identical_opposite_and_zero_inputs() -> None:
    x = np.array([[1.0, 2.0, 0.5], [1.0, 2.0, 0.5], [-1.0, -2.0, -0.5], [0.0, 0.0, 0.0]])
    for act in ("tanh", "relu", "max(0, x - 0.7)", "cos"):
        for bias in (0.0, 0.3):
            net = plain(act, 1.3, bias, 2)
            k, theta = net.nngp(x), net.ntk(x)
            assert np.all(np.isfinite(k)), (act, bias)
            assert np.all(np.isfinite(theta)), (act, bias)
            assert np.array_equal(k, k.T)
            assert k[0, 1] == pytest.approx(k[0, 0], rel=1e-14)
            assert np.linalg.eigvalsh(k).min() >= -1e-14 * k.max()
            assert np.linalg.eigvalsh(theta).min() >= -1e-13 * theta.max()
            alone = net.nngp(x[:1], x[3:])[0, 0]
            assert alone == pytest.approx(k[0, 3], rel=1e-13, abs=1e-15)
            if bias == 0.0 and act in ("tanh", "relu"):
                assert np.all(k[3] == 0.0)
    assert plain("tanh", 1.3, 0.0, 2).nngp(x)[0, 2] == pytest.approx(-plain("tanh", 1.3, 0.0, 2).nngp(x)[0, 0], rel=1e-14)


def test_blocks_threads_and_targets_do_not_change_the_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    x, y = data(30, 5, 21), data(17, 5, 22)
    net = plain("relu", 1.4, 0.1, 2)
    whole, across = net.nngp(x), net.ntk(x, y)
    monkeypatch.setattr(gram, "BLOCK", 64)
    assert np.array_equal(net.nngp(x, n_jobs=2), net.nngp(x))
    assert net.nngp(x) == pytest.approx(whole, rel=1e-13, abs=1e-14)
    assert net.ntk(x, y) == pytest.approx(across, rel=1e-13, abs=1e-14)
    target = np.memmap(tmp_path / "kernel", dtype=np.float64, mode="w+", shape=(30, 17))
    assert net.ntk(x, y, out=target) is target
    assert np.asarray(target) == pytest.approx(across, rel=1e-13, abs=1e-14)
    assert net.nngp(x, x)[np.triu_indices(30, 1)] == pytest.approx(whole[np.triu_indices(30, 1)], rel=1e-12, abs=1e-14)


def test_draws_have_the_kernel_as_covariance() -> None:
    """20,000 draws at 6 inputs: 21 covariances, |z| < 5 each, a false alarm in 1 of 80,000 runs."""
    x = data(6, 3, 31)
    net = plain("silu", 1.6, 0.3, 3)
    k = net.nngp(x)
    f = net.sample_outputs(x, samples=20_000, seed=4)
    assert f.shape == (20_000, 6)
    error = np.sqrt((k**2 + np.outer(np.diag(k), np.diag(k))) / 20_000)
    assert np.all(np.abs(f.T @ f / 20_000 - k) < 5 * error)
    assert np.array_equal(f, net.sample_outputs(x, samples=20_000, seed=4))
    assert not np.array_equal(f[:5], net.sample_outputs(x, samples=5, seed=5))


def test_draws_deep_in_the_ordered_phase_keep_their_differences() -> None:
    """tanh(0.7, 0.3), 40 layers: all outputs within 1e-7 of each other, and their differences have the variance 2qε."""
    angle = np.array([0.0, 0.5, 2.0])
    x = math.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    net = plain("tanh", 0.7, 0.3, 40)
    q, epsilon = gram.output_losses(net, x)
    assert 0.0 < epsilon[0, 1] < 1e-14
    f = net.sample_outputs(x, samples=4000, seed=1)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        ratio = np.mean((f[:, i] - f[:, j]) ** 2) / (2 * q[0] * epsilon[i, j])
        assert abs(ratio - 1) < 5 * math.sqrt(2 / 4000)  # a false alarm in 1 of 600,000 runs
    assert np.mean(f[:, 0] ** 2) == pytest.approx(q[0], rel=5 * math.sqrt(2 / 4000))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda net: net.nngp([1.0, 2.0]), r"X has shape \(2,\)"),
        (lambda net: net.nngp([[1.0, math.nan]]), "X must not be NaN"),
        (lambda net: net.nngp([[1.0, math.inf]]), "X must be finite: row 0"),
        (lambda net: net.nngp([[1e200, 0.0]]), "mean square of row 0 of X"),
        (lambda net: net.nngp([[1.0, 2.0]], [[1.0]]), "Y has 1 columns and X 2"),
        (lambda net: net.ntk([[1.0]], parametrization="mup"), "parametrization = 'mup'"),
        (lambda net: net.ntk([[1.0]], width=0.0), "width = 0.0"),
        (lambda net: net.nngp([[1.0]], out=np.zeros((1, 2))), r"out must be a float64 array of shape \(1, 1\)"),
        (lambda net: net.sample_outputs([[1.0]], samples=0), "samples = 0"),
        (lambda net: mf.Network(L.Dense(1.0), "sign(x)", L.Dense(1.0)).ntk([[1.0]]), "infinite on the diagonal"),
        (lambda net: mf.Network(L.Dense(1.0), L.BatchNorm(8), "relu", L.Dense(1.0)).nngp([[1.0]]), "more than two inputs at once"),
        (lambda net: mf.Network(L.Dense(1.0), L.GlobalAveragePool(), L.Dense(1.0)).nngp([[1.0]]), "without sites"),
        (lambda net: mf.Network(L.LayerNorm(), L.Dense(1.0)).nngp([[1.0, 1.0]]), "can't be normalised"),
    ],
)
def test_bad_input(call: Any, words: str) -> None:
    with pytest.raises(mf.DomainError, match=words):
        call(plain("relu", 1.0, 0.0, 1))
