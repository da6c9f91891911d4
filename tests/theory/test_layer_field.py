"""`MeanField`, the edge of chaos and phase diagrams of layers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L

FILE = Path(__file__).parents[1] / "reference" / "layers.json"
REFERENCE = {entry["id"]: entry for entry in json.loads(FILE.read_text(encoding="utf-8"))["entries"]}
SKIP, SCALE = 0.6, 0.8


def residual(sigma_w: float, sigma_b: float) -> L.Layer:
    return L.Residual("tanh", L.Dense(sigma_w, sigma_b), skip=SKIP, scale=SCALE)


@pytest.mark.parametrize("skip", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("phi", ["tanh", "erf", "gelu", "selu", "hardtanh"])
def test_a_skip_is_a_plain_layer_at_larger_sigmas(phi: str, skip: float) -> None:
    """x ↦ skip·x + W φ(x) + b has q* and c* of the plain layer at σ/√(1 − skip²), chaotic and ordered."""
    step = (1.0 - skip * skip) ** 0.5
    for sigma_w, sigma_b in ((1.4, 0.3), (0.8, 0.2), (0.6, 0.0)):
        net = mf.MeanField(L.Residual(phi, L.Dense(sigma_w * step, sigma_b * step), skip=skip))
        plain = mf.MeanField(phi, sigma_w, sigma_b)
        assert net.q_star == pytest.approx(plain.q_star, rel=1e-13)
        assert net.c_star == pytest.approx(plain.c_star, rel=1e-13, nan_ok=True)
        assert net.phase == plain.phase


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(2.0, 0.3), (1.1, 0.2), (0.7, 0.0)])
def test_a_residual_layer_has_the_fixed_points_of_the_plain_one(sigma_w: float, sigma_b: float) -> None:
    """skip² + scale² = 1: the same q* and c*, slopes skip² + scale² times the plain ones."""
    net, plain = mf.MeanField(residual(sigma_w, sigma_b)), mf.MeanField("tanh", sigma_w, sigma_b)
    assert net.q_star == pytest.approx(plain.q_star, rel=1e-13)
    assert net.c_star == pytest.approx(plain.c_star, rel=1e-13, nan_ok=True)
    assert net.chi_1 == pytest.approx(SKIP**2 + SCALE**2 * plain.chi_1, rel=1e-13)
    assert net.phase == plain.phase
    for mine, other in zip(net.variance_fixed_points(), plain.variance_fixed_points(), strict=True):
        assert mine.slope == pytest.approx(SKIP**2 + SCALE**2 * other.slope, rel=1e-12, abs=1e-14)
    if plain.q_star > 0:
        q = plain.q_star
        assert net.correlation_map(0.3) == pytest.approx(SKIP**2 * 0.3 + SCALE**2 * plain.correlation_map(0.3), rel=1e-13)
        assert net.correlation_slope(0.3) == pytest.approx(SKIP**2 + SCALE**2 * plain.correlation_slope(0.3), rel=1e-12)
        assert net.decorrelation_map(1e-12) == pytest.approx((SKIP**2 + SCALE**2 * plain.chi_1) * 1e-12, rel=1e-9)
        assert net.variance_slope(q) == pytest.approx(SKIP**2 + SCALE**2 * plain.variance_slope(q), rel=1e-12)


def test_a_plain_layer_is_the_plain_network() -> None:
    net, plain = mf.MeanField(L.Sequence("gelu", L.Dense(1.7, 0.3))), mf.MeanField("gelu", 1.7, 0.3)
    assert (net.q_star, net.c_star, net.phase) == (plain.q_star, plain.c_star, plain.phase)
    assert net.chi_1 == pytest.approx(plain.chi_1, rel=1e-14)
    assert np.array_equal(net.propagate(40, 0.7, 0.2).c, plain.propagate(40, 0.7, 0.2).c)


def test_dropout() -> None:
    """No ordered phase: c* < 1 always, and the gradient's factor is not f'(1)."""
    c, slope, scale = (float(v) for v in REFERENCE["A1"]["value"])
    relu = mf.MeanField(L.Sequence("relu", L.Dropout(0.1), L.Dense(1.8**0.5)))
    assert relu.c_star == pytest.approx(c, rel=1e-12)
    assert relu.correlation_slope(relu.c_star) == pytest.approx(slope, rel=1e-12)
    assert relu.depth_scales.xi_c == pytest.approx(scale, rel=1e-11)
    assert relu.phase == "chaotic"
    q, c, slope, factor, at_one = REFERENCE["A2"]["value"]
    tanh = mf.MeanField(L.Sequence("tanh", L.Dropout(0.1), L.Dense(1.5, 0.3)))
    found = [tanh.q_star, tanh.c_star, float(tanh.correlation_slope(tanh.c_star)), tanh.chi_1, float(tanh.correlation_map(1.0))]
    assert found == pytest.approx([q, c, slope, factor, at_one], rel=1e-11)


@pytest.mark.parametrize("rate", [1e-2, 1e-4, 1e-6])
def test_a_little_dropout_on_the_edge(rate: float) -> None:
    """ε* solved exactly, at σ_w² = (1 − p)·edge; A3_tanh has eight digits."""
    edge = mf.edge_of_chaos("tanh", 0.2)
    net = mf.MeanField(L.Sequence("tanh", L.Dropout(rate), L.Dense(edge.sigma_w * math.sqrt(1 - rate), 0.2)))
    values = dict(zip(REFERENCE["A3_tanh"]["arguments"]["p"], REFERENCE["A3_tanh"]["value"], strict=True))
    assert net.epsilon_star == pytest.approx(values[rate][0], rel=1e-7)
    assert net.chi_1 == pytest.approx(1.0, abs=1e-12)


def test_growing_streams() -> None:
    """q* = inf: c* is what the branch adds; no depth scale for the variance of a stream that grows linearly."""
    tanh = mf.MeanField(L.Residual("tanh", L.Dense(1.0, 0.5)))
    assert (tanh.q_star, tanh.phase) == (math.inf, "critical")
    assert tanh.c_star == pytest.approx(REFERENCE["B2_asym"]["value"][0], rel=1e-12)
    assert tanh.depth_scales.xi_q == math.inf
    relu = mf.MeanField(L.Residual("relu", L.Dense(2**0.5)))
    assert (relu.q_star, relu.c_star, relu.chi_1) == (math.inf, 1.0, pytest.approx(2.0, rel=1e-14))
    assert relu.depth_scales.xi_grad == pytest.approx(-1 / math.log(2), rel=1e-12)
    norm = mf.MeanField(L.Residual(L.LayerNorm(), "tanh", L.Dense(1.3, 0.2)))
    assert norm.q_star == math.inf
    branch = mf.MeanField(L.Sequence(L.LayerNorm(), "tanh", L.Dense(1.3, 0.2)))
    assert norm.c_star == pytest.approx(branch.c_star, rel=1e-12)


def test_layers_without_a_formula() -> None:
    """A branch of two layers, normalisations, gates: fixed points against the recursion itself."""
    two = L.Residual("tanh", L.Dense(1.2), "tanh", L.Dense(1.0, 0.1), skip=0.8, scale=0.6)
    net = mf.MeanField(two)
    long = net.propagate(3000, 1.0, 0.3)
    assert net.q_star == pytest.approx(long.q1[-1], rel=1e-12)
    (point,) = net.variance_fixed_points()
    slope = math.log(abs(long.q1[41] - net.q_star) / abs(long.q1[40] - net.q_star))
    assert math.log(point.slope) == pytest.approx(slope, rel=5e-3)  # to first order in the distance
    line = 0.0701084120504
    for ratio, phase in ((0.9, "chaotic"), (1.1, "ordered")):
        normed = mf.MeanField(L.Sequence(L.LayerNorm(), "tanh", L.Dense(1.3, 1.3 * math.sqrt(line * ratio))))
        assert normed.phase == phase
        assert normed.c_star == pytest.approx(normed.propagate(4000, 1.0, 0.3).c[-1], rel=1e-9)
    gate = mf.MeanField(L.Sequence(L.Gate(L.Dense(1.0), L.Dense(1.0) >> "silu"), L.Dense(1.7)))
    low, high = gate.variance_fixed_points()
    assert (low.value, low.stable) == (0.0, True)
    assert not high.stable
    assert high.slope > 1.0
    batch = mf.MeanField(L.Sequence(L.BatchNorm(8), "relu", L.Dense(1.2)))
    assert batch.phase == "chaotic"
    assert batch.propagate(30, 1.0, 0.3).c[-1] == pytest.approx(batch.c_star, rel=1e-12)
    decaying = mf.MeanField(L.Residual(L.Sequence(L.BatchNorm(8), "tanh", L.Dense(1.2)), skip=0.8))
    path = decaying.propagate(80, 1.0, 0.3)
    assert decaying.chi_1 == pytest.approx(path.gradient[60] / path.gradient[61], rel=1e-9)  # at q* and c*


@pytest.mark.filterwarnings("error")
def test_a_variance_past_the_largest_number() -> None:
    """It is inf without a word of NumPy's; what stays defined is followed, what doesn't is nan with one warning."""
    for layer, c in (
        (L.Scale(1e10), 0.5),
        (L.Sequence(L.Dense(3.0, 1.0), L.Maxout(3)), 1.0),
        (L.Sequence(L.Scale(8.0), "silu", L.Dense(3.0, 1.0)), 1.0),
        (L.Residual(L.Sequence(L.LayerNorm(), "relu", L.Dense(3.0, 1.0)), skip=1.5), None),
    ):
        path = mf.Network(L.Repeat(layer, 2000)).propagate()
        assert math.isinf(path.q1[-1])
        assert path.gradient[0] == math.inf
        # A branch that is normalised first adds nothing to a stream that is infinite: c stays where it was before.
        finite = int(np.flatnonzero(np.isfinite(path.q1))[-1])
        assert path.c[-1] == pytest.approx(path.c[finite] if c is None else c, rel=1e-12)
        field = mf.MeanField(layer)
        assert field.q_star == math.inf
        assert field.chi_1 > 1.0
    gate = L.Sequence(L.Gate(L.Dense(2.0), L.Dense(1.0) >> "relu"), L.Dense(3.0, 1.0))
    with pytest.warns(mf.AccuracyWarning, match="largest number at layer 8: the gradient can't be followed there, nan") as caught:
        path = mf.Network(L.Repeat(gate, 2000)).propagate()
    assert len(caught) == 1
    assert np.isnan(path.gradient[0])


def test_held_variances() -> None:
    net = mf.MeanField(L.Sequence(L.LayerNorm(), "tanh", L.Dense(1.3, 0.3)))
    held = net.propagate(50, net.q_star, 0.3, hold_variance=True)
    assert held.c == pytest.approx(net.propagate(50, net.q_star, 0.3).c, rel=1e-10)


def test_the_edge_of_chaos_of_layers() -> None:
    plain = mf.edge_of_chaos("tanh", [0.1, 0.2])
    mine = mf.edge_of_chaos(residual, [0.1, 0.2])
    assert mine.sigma_w == pytest.approx(plain.sigma_w, rel=1e-13)
    assert mine.q == pytest.approx(plain.q, rel=1e-13)
    assert mine.variance_slope == pytest.approx(SKIP**2 + SCALE**2 * plain.variance_slope, rel=1e-12)
    dropped = mf.edge_of_chaos(lambda w, b: L.Sequence("tanh", L.Dropout(0.1), L.Dense(w, b)), 0.2)
    assert dropped.sigma_w == pytest.approx(0.9**0.5 * plain.sigma_w[1], rel=1e-13)
    normed = mf.edge_of_chaos(lambda w, b: L.Sequence(L.LayerNorm(), "tanh", L.Dense(w, b)), 0.3)
    assert normed.sigma_w == pytest.approx(0.3 / math.sqrt(REFERENCE["C1_tanh"]["value"][3]), rel=1e-11)
    with pytest.raises(mf.DomainError, match="plain networks"):
        mine.all_points()


def test_phase_diagrams_of_layers() -> None:
    weights, biases = np.linspace(0.5, 3.0, 12), np.linspace(0.0, 1.0, 7)
    diagram = mf.phase_diagram(residual, weights, biases)
    for i, j in ((0, 0), (0, 9), (3, 5), (6, 11), (2, 4)):
        net = mf.MeanField(residual(float(weights[j]), float(biases[i])))
        scales = net.depth_scales
        assert diagram.q_star[i, j] == pytest.approx(net.q_star, rel=1e-11)
        assert diagram.c_star[i, j] == pytest.approx(net.c_star, rel=1e-10, nan_ok=True)
        assert diagram.chi_1[i, j] == pytest.approx(net.chi_1, rel=1e-11)
        assert [diagram.xi_q[i, j], diagram.xi_c[i, j], diagram.xi_grad[i, j]] == pytest.approx(
            [scales.xi_q, scales.xi_c, scales.xi_grad], rel=1e-8
        )
    normed = mf.phase_diagram(lambda w, b: L.Sequence(L.LayerNorm(), "tanh", L.Dense(w, b)), [1.0, 1.5], [0.1, 0.5])
    assert normed.phase.tolist() == [[1, 1], [-1, -1]]


@pytest.mark.parametrize(
    ("ask", "word"),
    [
        (lambda: mf.MeanField("tanh"), "needs sigma_w"),
        (lambda: mf.MeanField(L.Dense(1.0) >> "tanh", 1.0, 0.0), "own sigma_w"),
        (lambda: mf.MeanField(L.Residual(L.Dense(1.0), "relu")), "Network"),
        (lambda: mf.edge_of_chaos(lambda w, b: "tanh", 0.2), "must return a layer"),
        (lambda: mf.MeanField(L.Sequence("tanh", L.LayerNorm())), "can't be repeated"),
    ],
)
def test_what_can_not_be_asked(ask: object, word: str) -> None:
    with pytest.raises(mf.DomainError, match=word):
        ask()  # type: ignore[operator]


def test_depth_laws() -> None:
    """Exponents of the literature, and the recursion itself."""
    relu = mf.MeanField(L.Residual("relu", L.Dense(2**0.5))).depth_law
    assert (relu.variance.kind, relu.gradient.kind) == ("exponential", "exponential")
    assert (relu.variance.exponent, relu.gradient.exponent) == pytest.approx((math.log(2), math.log(2)), rel=1e-12)
    tanh = mf.MeanField(L.Residual("tanh", L.Dense(1.0, 0.5))).depth_law
    limit, _, rate = REFERENCE["B2_asym"]["value"]
    assert (tanh.variance.kind, tanh.variance.exponent, tanh.variance.constant) == ("power", 1.0, pytest.approx(1.25, rel=1e-12))
    assert (tanh.gradient.kind, tanh.gradient.exponent) == ("stretched", pytest.approx(rate, rel=1e-9))
    assert tanh.correlation.constant == pytest.approx(1.0 - limit, rel=1e-11)
    swish = L.Sequence(L.Gate(L.Dense(1.0), L.Dense(1.0) >> "silu"), L.Dense(1.0))
    for block, exponent in (
        (L.Residual(L.LayerNorm(), "relu", L.Dense(2**0.5)), 1.0),
        (L.Residual(L.LayerNorm(), "tanh", L.Dense(1.0), scale=0.3), 1.1778072323041817),
        (L.Residual(L.RMSNorm(), swish), REFERENCE["E1_slopes"]["value"]["silu"][2]),
    ):
        law = mf.MeanField(block).depth_law
        assert (law.gradient.kind, law.variance.kind) == ("power", "power")
        assert law.gradient.exponent == pytest.approx(exponent, rel=1e-12)
        deep = mf.Network(L.Repeat(block, 100_000)).propagate()
        assert deep.q1[-1] == pytest.approx(law.variance.constant * 1e5, rel=1e-3)
        local = math.log(deep.gradient[0] / deep.gradient[50_000]) / math.log(deep.q1[50_000] / deep.q1[0])
        assert local == pytest.approx(exponent, rel=0.1)
    kinked = mf.MeanField(L.Residual(L.LayerNorm(), "relu", L.Dense(2**0.5))).depth_law.correlation
    assert (kinked.kind, kinked.exponent) == ("logarithmic", -2.0)
    assert kinked.constant == pytest.approx(4.5 * math.pi**2, rel=1e-5)  # 4/κ² of ReLU
    line = REFERENCE["C1_tanh"]["value"][3]
    smooth = mf.MeanField(L.Sequence(L.LayerNorm(), "tanh", L.Dense(1.0, math.sqrt(line)))).depth_law.correlation
    assert (smooth.kind, smooth.exponent) == ("power", -1.0)
    deep = mf.Network(L.Repeat(L.Sequence(L.LayerNorm(), "tanh", L.Dense(1.0, math.sqrt(line))), 10**6)).propagate()
    assert deep.epsilon[-1] * 1e6 == pytest.approx(smooth.constant, rel=1e-4)
    edge = mf.edge_of_chaos("tanh", 0.2)
    plain = mf.MeanField("tanh", edge.sigma_w, 0.2).depth_law
    assert plain.correlation == mf.DepthLaw("power", -1.0, pytest.approx(mf.asymptotics("tanh", 0.2).constant, rel=1e-9))
    assert plain.gradient == mf.DepthLaw("bounded", 0.0, 1.0)
    assert mf.MeanField("tanh", 2.5, 0.3).depth_law.gradient.exponent == pytest.approx(math.log(mf.MeanField("tanh", 2.5, 0.3).chi_1))


def test_linear_and_oscillating_streams_come_to_an_answer() -> None:
    """A map that is linear in q, one that always adds, and one whose slope at 0 is 0."""
    linear = mf.MeanField(L.Concatenate("relu", L.Identity()) >> L.Dense(1.1))
    assert (linear.q_star, linear.chi_1) == (0.0, pytest.approx(0.75 * 1.21, rel=1e-12))
    assert mf.MeanField(L.Residual("sin(x)", L.Dense(1.0))).q_star == math.inf
    gated = mf.phase_diagram(lambda w, b: L.Gate(L.Dense(w, b), L.Dense(w, b)), [0.5], [0.0])
    assert (gated.q_star[0, 0], gated.variance_slope[0, 0]) == (0.0, pytest.approx(0.0, abs=1e-15))
    assert mf.MeanField(L.Residual("tanh", L.Dense(1.0))).c_star == 0.0
