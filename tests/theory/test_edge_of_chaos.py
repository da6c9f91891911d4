"""The edge of chaos against the 30-digit references, published numbers and its own definition."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

import meanfield as mf
from tests.reference_activations import SPECS

REFERENCE = json.loads((Path(__file__).parent.parent / "reference" / "visible.json").read_text())["activations"]
BAR = 1e-11
POINTS = [(name, sigma_b) for name, entry in REFERENCE.items() for sigma_b in entry["eoc"].get("points", {})]


def activation(name: str) -> mf.Activation:
    spec, parameters = SPECS[name]
    return mf.activation(spec, **parameters)


@pytest.mark.parametrize(("name", "sigma_b"), POINTS)
def test_references(name: str, sigma_b: str) -> None:
    record = REFERENCE[name]["eoc"]["points"][sigma_b]
    edge = mf.edge_of_chaos(activation(name), float(sigma_b))
    if record["status"] == "none":
        assert edge.status == "none"
        assert edge.reason
        assert math.isnan(edge.sigma_w)
        return
    chosen = record["chosen"]
    assert edge.status == ("attracting" if record["status"] == "ok" else "repelling")
    assert edge.stable == (record["status"] == "ok")
    assert edge.sigma_w == pytest.approx(float(chosen["sw"]), rel=BAR)
    assert edge.q == pytest.approx(float(chosen["q"]), rel=BAR)
    assert edge.variance_slope == pytest.approx(float(chosen["Fprime"]), rel=BAR)
    everything = edge.all_points()
    assert [p.q for p in everything] == pytest.approx([float(r["q"]) for r in record["roots"]], rel=BAR)


def test_published_values() -> None:
    # [Schoenholz 2017] tanh without biases; [Hayou 2018] ReLU-like; public mean-field code for CNNs (σ_b² = 2.01e-5).
    tanh = mf.edge_of_chaos("tanh", [0.0, math.sqrt(2.01e-5), math.sqrt(0.05)])
    assert tanh.sigma_w[0] ** 2 == pytest.approx(1.0, rel=1e-15)
    assert tanh.sigma_w[1:] ** 2 == pytest.approx([1.0499956, 1.7609546], rel=1e-7)
    assert tanh.q == pytest.approx([0.0, 0.0259186, 0.5700479], rel=1e-6)
    # The half-stable points where the attracting edge begins.
    for name, q, sigma_b, weight in (
        ("swish", 14.3202, 0.74508, 1.98800),
        ("gelu", 3.5616, 0.41584, 1.98306),
        ("mish", 1.670169, 0.307444, 2.013524),
    ):
        at = mf.edge_of_chaos_curve(name, q)
        assert at.sigma_b == pytest.approx(sigma_b, abs=6e-6)
        assert at.sigma_w**2 == pytest.approx(weight, abs=6e-6)
        assert at.variance_slope == pytest.approx(1.0, abs=1e-5)
    assert mf.edge_of_chaos_curve("swish", 14.32).sigma_b ** 2 == pytest.approx(0.5551, abs=5e-5)
    assert mf.edge_of_chaos_curve("swish", 14.32).sigma_w ** 2 == pytest.approx(1.988, abs=5e-5)
    for name, q, sigma_w in (
        ("tanh", 0.512079, 1.304146),
        ("elu", 1.106931, 1.229251),
        ("erf", 0.465763, 1.152795),
        ("arctan", 0.617298, 1.308297),
        ("hardtanh", 0.4232866419, math.sqrt(1.1419248608)),
        ("selu", 0.717049, math.sqrt(0.878860)),
        ("softsign", 0.358326, math.sqrt(2.991616)),
    ):
        edge = mf.edge_of_chaos(name, 0.2)
        assert (edge.q, edge.sigma_w) == pytest.approx((q, sigma_w), rel=2e-6), name
    sine = mf.edge_of_chaos("sin", 0.2)
    assert sine.sigma_w**2 == pytest.approx(0.96 + sine.q, rel=1e-14)
    assert mf.edge_of_chaos("erf", 0.0).sigma_w ** 2 == pytest.approx(math.pi / 4, rel=1e-15)
    sigmoid = mf.edge_of_chaos("sigmoid", 0.0)
    assert (sigmoid.q, sigmoid.sigma_w, sigmoid.status) == (
        pytest.approx(45.62428, rel=1e-7),
        pytest.approx(10.14926, rel=1e-6),
        "attracting",
    )


def test_without_biases() -> None:
    for name, sigma_w, q, status in (
        ("tanh", 1.0, 0.0, "attracting"),
        ("swish", 2.0, 0.0, "repelling"),
        ("gelu", 2.0, 0.0, "repelling"),
        ("mish", 5 / 3, 0.0, "repelling"),
        ("relu", math.sqrt(2), 1.0, "neutral"),
        ("leaky_relu", math.sqrt(2 / 1.0001), 1.0, "neutral"),
        ("linear", 1.0, 1.0, "neutral"),
        ("abs", 1.0, 1.0, "neutral"),
    ):
        edge = mf.edge_of_chaos(name, 0.0)
        assert (edge.sigma_w, edge.q, edge.status) == (pytest.approx(sigma_w, rel=1e-14), q, status), name
        assert edge.variance_slope == 1.0
    relu = mf.edge_of_chaos("relu", [0.0, 0.1])
    assert relu.status.tolist() == ["neutral", "none"]
    assert "single point" in relu.reason[1]
    assert "single point" in str(relu)


def test_without_biases_the_sign_nearest_to_zero_counts() -> None:
    # V(q)/q − 1 = −6q + 30·10⁶ q² + … changes its sign at q = 2·10⁻⁷.
    for formula, status in (("x - x**3 + 1e6*x**5", "attracting"), ("x + x**3 - 1e6*x**5", "repelling")):
        edge = mf.edge_of_chaos(formula, 0.0)
        assert (edge.q, edge.sigma_w, edge.status) == (0.0, 1.0, status)


@pytest.mark.parametrize("name", ["softplus", "squareplus", "sign", "heaviside"])
def test_none(name: str) -> None:
    edge = mf.edge_of_chaos(name, [0.0, 0.3])
    assert edge.status.tolist() == ["none", "none"]
    assert np.isnan(edge.sigma_w).all()
    assert not edge.stable.any()
    jumps = name in ("sign", "heaviside")
    assert all(("jumps at x = 0" if jumps else "no variance fixed point") in reason for reason in edge.reason)
    assert not (jumps and any("fixed point" in reason for reason in edge.reason))


def test_the_two_parametrisations_agree() -> None:
    for name in ("tanh", "silu", "hardtanh", "selu", "relu6", "sin"):
        curve = mf.edge_of_chaos_curve(name, np.geomspace(0.05, 30, 40))
        curve = mf.edge_of_chaos_curve(name, curve.q[curve.sigma_b > 1e-3])  # below, q barely depends on σ_b for relu6
        back = mf.edge_of_chaos(name, curve.sigma_b)
        assert back.q == pytest.approx(curve.q, rel=1e-10), name
        assert back.sigma_w == pytest.approx(curve.sigma_w, rel=1e-12), name
        assert (back.status == curve.status).all()


def test_every_point_is_on_the_edge() -> None:
    """The definition, by the ensemble's own maps: F(q) = q and χ₁ = 1."""
    for name in ("tanh", "gelu", "hardswish", "x*tanh(exp(x))", "mish"):
        edge = mf.edge_of_chaos(name, np.linspace(0.05, 2, 9))
        for sigma_b, sigma_w, q, slope in zip(edge.sigma_b, edge.sigma_w, edge.q, edge.variance_slope, strict=True):
            net = mf.MeanField(name, sigma_w, sigma_b)
            assert net.variance_map(q) == pytest.approx(q, rel=1e-13)
            assert net.correlation_slope(1.0, q=q) == pytest.approx(1.0, rel=1e-12)
            assert net.variance_slope(q) == pytest.approx(slope, rel=1e-11)


def test_tiny_biases_keep_their_digits() -> None:
    # tanh: σ_b² = (4/3) q³ (1 + O(q)).
    for sigma_b in (1e-4, 1e-6, 1e-9):
        edge = mf.edge_of_chaos("tanh", sigma_b)
        leading = (0.75 * sigma_b**2) ** (1 / 3)
        assert edge.q == pytest.approx(leading, rel=5 * leading)
        assert edge.sigma_w == pytest.approx(1 + edge.q, abs=5 * edge.q**2)
        assert edge.status == "attracting"
    # F' = 1 − 2q, which is 10⁻¹³ from 1, and still below it.
    assert mf.edge_of_chaos("tanh", 1e-20).status == "attracting"


def test_shapes_and_types() -> None:
    edge = mf.edge_of_chaos("tanh", 0.2)
    assert (type(edge.sigma_w), type(edge.stable), type(edge.status)) == (float, bool, str)
    grid = mf.edge_of_chaos("tanh", np.full((2, 3), 0.2))
    assert grid.sigma_w.shape == grid.status.shape == grid.stable.shape == (2, 3)
    assert mf.edge_of_chaos("tanh", np.zeros(0)).q.shape == (0,)
    assert grid.sigma_w.tolist() == [[edge.sigma_w] * 3] * 2


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "a", 1j, 1e101])
def test_bad_sigma_b(value: object) -> None:
    with pytest.raises(mf.DomainError, match="sigma_b"):
        mf.edge_of_chaos("tanh", value)


def test_curve_outside_its_range() -> None:
    curve = mf.edge_of_chaos_curve("sigmoid", [10.0, 100.0])
    assert curve.status.tolist() == ["none", "attracting"]
    assert "< 0" in curve.reason[0]
    with pytest.raises(mf.DomainError, match="q"):
        mf.edge_of_chaos_curve("tanh", -1.0)


@pytest.mark.parametrize("name", ["tanh", "silu", "hardtanh", "relu6", "selu"])
def test_roots_that_fall_on_a_sample(name: str) -> None:
    """σ_b of a q that the search samples: rounding decides on which side the root is seen."""
    curve = mf.edge_of_chaos_curve(name, np.exp2(np.arange(-16, 49) / 8))
    keep = curve.sigma_b > 1e-3
    for shift in (-1, 0, 1):
        sigma_b = curve.sigma_b[keep] * (1 + shift * 2.0**-52)
        edge = mf.edge_of_chaos(name, sigma_b)
        assert edge.q == pytest.approx(curve.q[keep], rel=1e-10)
        for i in range(0, sigma_b.size, 4):
            assert mf.edge_of_chaos(name, float(sigma_b[i])).all_points()[0].q == pytest.approx(curve.q[keep][i], rel=1e-10)


@pytest.mark.parametrize(
    "name",
    [
        *("max(0, x-0.7)", "max(0, x-0.7)-max(0,-x-0.7)", "softshrink", "max(0, x-3)", "x**3*exp(-x**2)", "max(0, x)**2"),
        *(
            "tanh",
            "silu",
            "hardtanh",
            "gelu",
            "selu",
            "sigmoid",
            "relu",
            "sin",
            "softplus",
            "exp(x)",
            "1e-150*tanh(x)",
            "x**3",
            "exp(x**2/8)",
        ),
    ],
)
def test_what_is_asked_beside_it_does_not_change_a_bit_of_an_edge_point(name: str) -> None:
    # σ_b² on, just below and just above the borders of the stretches that are searched (2⁻⁸, 1, 2⁸), and orders of magnitude apart.
    borders = [math.sqrt(2.0**e * (1 + shift * 2.0**-52)) for e in (-8, 0, 8) for shift in (-1, 0, 1)]
    sigma_b = np.array([0.05, 3.0, 0.0, 0.2, 1e-6, 0.7, 0.01, 0.003, 0.1, 0.5, 1.0, 1e-20, 900.0, 2000.0, *borders])
    together = mf.edge_of_chaos(name, sigma_b=sigma_b)
    backwards = mf.edge_of_chaos(name, sigma_b=sigma_b[::-1])
    for i, sigma in enumerate(sigma_b):
        alone = mf.edge_of_chaos(name, sigma_b=sigma)
        for field in ("sigma_w", "q", "variance_slope", "status", "reason"):
            answers = [np.asarray(a) for a in (getattr(together, field)[i], getattr(backwards, field)[-1 - i], getattr(alone, field))]
            assert answers[0].astype(object) == answers[2].astype(object) or answers[0].tobytes() == answers[2].tobytes(), (field, sigma)
            assert answers[1].astype(object) == answers[2].astype(object) or answers[1].tobytes() == answers[2].tobytes(), (field, sigma)
        points = alone.all_points()
        assert bool(points) == (alone.status != "none"), sigma
        if points:
            assert (points[0].sigma_w, points[0].q) == (alone.sigma_w, alone.q), sigma


def test_the_edge_of_a_shifted_relu_beside_a_smaller_sigma_b() -> None:
    found = mf.edge_of_chaos("max(0, x-0.7)", sigma_b=[0.0, 0.2])
    assert found.sigma_w[1] == pytest.approx(42.1844084743098, rel=1e-12)
    assert found.status.tolist() == ["none", "neutral"]


def test_where_no_float_holds_sigma_w_the_reason_says_so() -> None:
    # q = σ_b² (1 + …), and E[φ'²] = P(Z > 0.7/√q) is e^−2450 at q = 10⁻⁴: σ_w = e^1225.
    edge = mf.edge_of_chaos("max(0, x-0.7)", sigma_b=[0.001, 0.01, 0.0185, 0.019, 0.02, 0.0])
    assert edge.status.tolist() == ["none", "none", "none", "neutral", "neutral", "none"]
    assert all("needs σ_w > 3e+152" in reason for reason in edge.reason[:3])
    assert edge.reason[5].startswith("no variance fixed point")  # without biases there is none
    # erfc(a)/2 with a = 0.7/√(2q), the closed form, 30 digits: σ_w at the q that solves q − V/V[φ'] = σ_b².
    with mpmath.workdps(40):
        for sigma_b, sigma_w in zip(edge.sigma_b[3:5], edge.sigma_w[3:5], strict=True):

            def excess(q: Any, target: float = sigma_b**2) -> Any:
                ratio = mpmath.mpf(0.7) / mpmath.sqrt(q)
                mass = mpmath.erfc(ratio / mpmath.sqrt(2)) / 2
                moment = q * ((1 + ratio**2) * mass - ratio * mpmath.npdf(ratio))
                return q - moment / mass - mpmath.mpf(target)

            q = mpmath.findroot(excess, (sigma_b**2, 1.1 * sigma_b**2), solver="anderson", tol=1e-60)
            exact = 1 / mpmath.sqrt(mpmath.erfc(mpmath.mpf(0.7) / mpmath.sqrt(2 * q)) / 2)
            assert abs(sigma_w / exact - 1) < 1e-10
    constant = mf.edge_of_chaos("0*x + 1", 0.1)
    assert constant.status == "none"
    assert "σ_w >" not in constant.reason
