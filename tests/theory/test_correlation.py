"""c*, 1 − c*, f'(c*) and the depth scales."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from tests.reference_activations import SPECS

REFERENCE = json.loads((Path(__file__).parent.parent / "reference" / "visible.json").read_text())["activations"]
NETWORKS = [(n, k) for n, e in REFERENCE.items() for k, r in e.get("fixed_points", {}).items() if r["status"] == "ok"]


@pytest.mark.parametrize(("name", "key"), NETWORKS)
def test_references(name: str, key: str) -> None:
    record = REFERENCE[name]["fixed_points"][key]
    spec, parameters = SPECS[name]
    net = mf.MeanField(mf.activation(spec, **parameters), *map(float, key.split(",")))
    xi = float(record["xi_c"])
    assert net.c_star == pytest.approx(float(record["c_star"]), rel=1e-11 * max(xi, 1.0))
    assert net.correlation_slope(net.c_star) == pytest.approx(float(record["fprime_c_star"]), rel=1e-11 * max(xi, 1.0))
    scales = net.depth_scales
    assert scales.xi_q == pytest.approx(float(record["xi_q"]), rel=1e-11 * max(float(record["xi_q"]), 1.0))
    assert scales.xi_c == pytest.approx(xi, rel=1e-11 * max(xi, 1.0))
    if record["xi_grad"] is None:  # the files leave growing gradients out
        assert scales.xi_grad == pytest.approx(-1.0 / math.log(float(record["chi_1"])), rel=1e-10)
    else:
        assert scales.xi_grad == pytest.approx(float(record["xi_grad"]), rel=1e-11 * max(abs(float(record["xi_grad"])), 1.0))


def test_poole_2016() -> None:
    for sigma_w, c in ((1.3, 1.0), (2.5, 0.1221037473), (4.0, 0.0296959216)):
        assert mf.MeanField("tanh", sigma_w, 0.3).c_star == pytest.approx(c, abs=5e-11)


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "elu"])
@pytest.mark.parametrize("above", [1e-3, 1e-6, 1e-9])
def test_just_above_criticality(name: str, above: float) -> None:
    """1 − c* to relative accuracy: the expansion 1 − f = χ₁ε − ε²/β gives ε* → β(χ₁ − 1), with kinks ((χ₁ − 1)/κ)²."""
    edge = mf.edge_of_chaos(name, sigma_b=0.3)
    net = mf.MeanField(name, edge.sigma_w * (1 + above), 0.3)
    law = mf.asymptotics(name, sigma_b=0.3)
    excess = net.chi_1 - 1.0
    leading = law.constant * excess if law.kind == "smooth" else law.constant / 4 * excess**2
    assert net.phase == "chaotic"
    assert net.epsilon_star == pytest.approx(leading, rel=10 * math.sqrt(above) + 1e-5, abs=0.0)
    assert net.decorrelation_map(net.epsilon_star) == pytest.approx(net.epsilon_star, rel=1e-10, abs=0.0)


@given(st.sampled_from(["tanh", "erf", "hardtanh", "sign", "sin", "sigmoid", "heaviside"]), st.floats(1.5, 12), st.floats(0, 1))
@settings(deadline=None, max_examples=20)
def test_the_point_is_fixed_and_stable(name: str, sigma_w: float, sigma_b: float) -> None:
    net = mf.MeanField(name, sigma_w, sigma_b)
    if not 0 < net.q_star < math.inf:
        return
    assert net.correlation_map(net.c_star) == pytest.approx(net.c_star, abs=1e-11)
    slope = net.correlation_slope(net.c_star)
    assert 0 <= slope <= 1 + 1e-12
    scale = net.depth_scales.xi_c
    assert math.exp(-1 / scale) == pytest.approx(slope, rel=1e-9) if scale > 0 else slope == 0.0
    assert net.c_star + net.epsilon_star == pytest.approx(1.0, abs=1e-15)


def test_odd_activations_without_bias_decorrelate_fully() -> None:
    for name in ("tanh", "hardtanh", "sign", "sin"):
        net = mf.MeanField(name, 2.0, 0.0)
        assert (net.c_star, net.epsilon_star) == (0.0, 1.0)
    # sign: f(c) = (2/π) arcsin c.
    assert mf.MeanField("sign", 2.0, 0.0).depth_scales.xi_c == pytest.approx(-1 / math.log(2 / math.pi), rel=1e-11)


def test_jumps() -> None:
    scales = mf.MeanField("sign", 1.5, 0.1).depth_scales
    assert (scales.xi_q, scales.xi_grad) == (0.0, 0.0)  # V[sign] = 1 at every q; χ₁ = inf
    # f(c) = (σ_b² + σ_w² (2/π) arcsin c)/q, q = σ_b² + σ_w².
    c = 0.5
    for _ in range(200):
        c = (0.01 + 2.25 * 2 / math.pi * math.asin(c)) / 2.26
    assert mf.MeanField("sign", 1.5, 0.1).c_star == pytest.approx(c, rel=1e-11)


@pytest.mark.parametrize("sigma_b", [2.3, 2.44, 2.6])
def test_a_jump_that_is_never_met(sigma_b: float) -> None:
    """1 − f = K√ε where K² is smaller than any double: c* is 1 to rounding, and f' there ½."""
    net = mf.MeanField("where(x > 100, 1, 0)", 0.1, sigma_b)
    assert (net.c_star, net.epsilon_star) == (1.0, 0.0)
    assert net.depth_scales.xi_c == pytest.approx(1 / math.log(2), rel=1e-15)


def test_zero_and_infinite_variance() -> None:
    quiet = mf.MeanField("tanh", 0.5, 0.0)
    assert math.isnan(quiet.c_star)  # the identity: see below
    assert quiet.depth_scales == mf.DepthScales(pytest.approx(1 / math.log(4)), math.inf, pytest.approx(1 / math.log(4)))
    loud = mf.MeanField("relu", 2.0, 0.1)
    assert (loud.c_star, loud.phase) == (1.0, "chaotic")
    assert loud.depth_scales == mf.DepthScales(pytest.approx(-1 / math.log(2)), math.inf, pytest.approx(-1 / math.log(2)))
    critical = mf.MeanField("relu", math.sqrt(2), 0.0)
    assert critical.depth_scales == mf.DepthScales(pytest.approx(math.inf), math.inf, math.inf)
    cubic = mf.MeanField("x**3", 1.0, 0.0)
    assert math.isnan(cubic.c_star)
    assert "faster than linearly" in cubic.c_star_reason


def test_no_weights() -> None:
    net = mf.MeanField("tanh", 0.0, 0.5)
    assert net.c_star == 1.0
    assert net.depth_scales == mf.DepthScales(0.0, 0.0, 0.0)
    with pytest.raises(mf.DomainError, match="leave every layer at 0"):
        _ = mf.MeanField("tanh", 0.0, 0.0).c_star


IDENTITY = [
    ("tanh", 0.8, 0.0),
    ("tanh", 1.0, 0.0),
    ("silu", 1.0, 0.0),
    ("gelu", 1.0, 0.0),
    ("sin", 0.9, 0.0),
    ("softsign", 0.5, 0.0),
    ("elu", 0.7, 0.0),
    ("where(x>0, x, 0.3*(exp(x/0.3)-1))", 0.8, 0.0),
    ("where(abs(x)>0.5, 2*x, x)", 0.4, 0.0),
    ("linear", 0.5, 0.0),
    ("linear", 1.0, 0.0),
    ("2*x", 0.5, 0.0),
    ("linear", 2.0, 0.1),
    ("x + tanh(x)", 2.0, 0.1),
]


@pytest.mark.parametrize(("name", "sigma_w", "sigma_b"), IDENTITY)
def test_where_the_map_is_the_identity_no_limit_is_singled_out(name: str, sigma_w: float, sigma_b: float) -> None:
    net = mf.MeanField(name, sigma_w, sigma_b)
    ends = [net.propagate(3000, c=c).c[-1] for c in (0.0, 0.5, 0.9)]
    assert ends[0] < ends[1] - 0.05 < ends[2] - 0.1  # directly: where correlations go depends on where they begin
    assert math.isnan(net.c_star)
    assert math.isnan(net.epsilon_star)
    assert "identity" in net.c_star_reason
    assert net.depth_scales.xi_c == math.inf
    assert net.correlation_map(0.3) == pytest.approx(0.3, abs=1e-12)
    diagram = mf.phase_diagram(name, sigma_w, sigma_b)
    assert np.isnan([diagram.c_star[0, 0], diagram.epsilon_star[0, 0]]).all()
    assert (diagram.xi_c[0, 0], diagram.chi_1[0, 0]) == (math.inf, pytest.approx(net.chi_1, rel=1e-14))
    assert "c* is nan, in 1 of 1" in str(diagram)


def test_tanh_and_silu_stay_where_they_were_left() -> None:
    assert mf.MeanField("tanh", 0.8, 0.0).propagate(2000).c[-1] == pytest.approx(0.46378, abs=5e-6)
    assert mf.MeanField("silu", 1.0, 0.0).propagate(2000).c[-1] == pytest.approx(0.518, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b"),
    [
        ("relu", 1.0, 0.0),
        ("relu", math.sqrt(2.0), 0.0),
        ("relu", 2.0, 0.3),
        ("selu", 0.5, 0.0),
        ("abs(x)", 0.5, 0.0),
        ("linear", 0.5, 0.1),
        ("linear", 1.0, 0.1),
        ("2*x+1", 0.5, 0.0),
        ("2*x+1", 0.4, 0.0),
    ],
)
def test_slopes_that_differ_and_biases_make_inputs_alike(name: str, sigma_w: float, sigma_b: float) -> None:
    net = mf.MeanField(name, sigma_w, sigma_b)
    assert (net.c_star, net.epsilon_star, net.c_star_reason) == (1.0, 0.0, "")
    assert net.propagate(1_000_000, c=0.0).c[-1] > 0.999
    assert mf.phase_diagram(name, sigma_w, sigma_b).c_star[0, 0] == 1.0


def test_measured_slopes_agree_to_their_accuracy() -> None:
    elu = mf.activation(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))), name="my elu")
    assert math.isnan(mf.MeanField(elu, 0.7, 0.0).c_star)
    assert mf.MeanField(mf.activation(lambda x: np.maximum(x, 0.0), name="my relu"), 0.7, 0.0).c_star == 1.0
    line = mf.activation(lambda x: 1.0 * x, name="line")
    assert np.isnan(mf.phase_diagram(line, 0.7, [0.0, 0.1]).c_star).tolist() == [[True], [False]]
