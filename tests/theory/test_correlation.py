"""c*, 1 − c*, f'(c*) and the depth scales."""

from __future__ import annotations

import json
import math
from pathlib import Path

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
    assert (quiet.c_star, quiet.epsilon_star) == (1.0, 0.0)
    assert quiet.depth_scales == mf.DepthScales(pytest.approx(1 / math.log(4)), math.inf, pytest.approx(1 / math.log(4)))
    loud = mf.MeanField("relu", 2.0, 0.1)
    assert (loud.c_star, loud.phase) == (1.0, "chaotic")
    assert loud.depth_scales == mf.DepthScales(pytest.approx(-1 / math.log(2)), math.inf, pytest.approx(-1 / math.log(2)))
    critical = mf.MeanField("relu", math.sqrt(2), 0.0)
    assert critical.depth_scales == mf.DepthScales(pytest.approx(math.inf), math.inf, math.inf)
    with pytest.raises(mf.DomainError, match="faster than linearly"):
        _ = mf.MeanField("x**3", 1.0, 0.0).c_star


def test_no_weights() -> None:
    net = mf.MeanField("tanh", 0.0, 0.5)
    assert net.c_star == 1.0
    assert net.depth_scales == mf.DepthScales(0.0, 0.0, 0.0)
    with pytest.raises(mf.DomainError, match="leave every layer at 0"):
        _ = mf.MeanField("tanh", 0.0, 0.0).c_star
