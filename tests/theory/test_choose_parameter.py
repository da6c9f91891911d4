"""Members of families for a depth: published and derived values, and the map iterated by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf


@pytest.mark.parametrize(("depth", "beta"), [(50, 0.9247450498383958), (1000, 0.13647)])
def test_swish(depth, beta):
    found = mf.choose_parameter("swish", "beta", depth=depth, between=(0.05, 2.0))
    assert found.value == pytest.approx(beta, rel=1e-11 if depth == 50 else 1e-4)
    if depth == 50:
        assert found.sigma_w**2 == pytest.approx(2.711642446686874, rel=1e-11)
        assert found.sigma_b**2 == pytest.approx(0.06089199384886712, rel=1e-10)
    net = mf.MeanField(found.activation, found.sigma_w, found.sigma_b)
    assert net.variance_map(1.0) == pytest.approx(1.0, rel=1e-13)
    assert found.sigma_w**2 * mf.second_moment(found.activation, 1.0, derivative=1) == pytest.approx(1.0, rel=1e-13)
    assert net.propagate(depth, q=1.0, c=0.0, hold_variance=True).c[-1] == pytest.approx(0.9, abs=1e-11)
    assert found.variance_slope == pytest.approx(net.variance_slope(1.0), rel=1e-14)
    assert (found.stable, found.status) == (False, "repelling")


def test_leaky_relu_is_the_tailored_one():
    """Both slopes s and 1/s, and s is that of TAT, whose map is iterated from c = 0 in closed form."""
    found = mf.choose_parameter("leaky_relu", "negative_slope", depth=100, between=(0.0, 4.0))
    tailored = mf.shape_activation("leaky_relu", depth=100, method="tat").parameters["negative_slope"]
    assert found.value == pytest.approx(tailored, rel=1e-11)
    assert [other.value for other in found.others] == pytest.approx([1 / tailored], rel=1e-11)
    assert found.sigma_w == pytest.approx(math.sqrt(2 / (1 + tailored**2)), rel=1e-11)
    assert (found.sigma_b, found.status, found.stable) == (0.0, "neutral", False)
    c = 0.0
    kappa = (1 - found.value) ** 2 / (1 + found.value**2)
    for _ in range(100):
        c += kappa / math.pi * (math.sqrt(1 - c * c) - c * math.acos(c))
    assert c == pytest.approx(0.9, abs=1e-12)


def test_a_formula_and_a_stable_point():
    """sin(a x)/a: everything in closed form: C = e^{-a²} sinh(a² c)/a² at q = 1, C' = e^{-a²} cosh(a² c)."""
    found = mf.choose_parameter("sin(a*x)/a", "a", depth=40, correlation=0.5, between=(0.1, 1.5), stable=True)
    assert found.stable
    a2 = found.value**2
    weight = math.exp(a2) / math.cosh(a2)
    bias = 1 - weight * math.exp(-a2) * math.sinh(a2) / a2
    assert found.sigma_w**2 == pytest.approx(weight, rel=1e-12)
    assert found.sigma_b**2 == pytest.approx(bias, rel=1e-11)
    c = 0.0
    for _ in range(40):
        c = bias + weight * math.exp(-a2) * math.sinh(a2 * c) / a2
    assert c == pytest.approx(0.5, abs=1e-11)


def test_what_is_refused():
    with pytest.raises(mf.DomainError, match=r"brings c = 0 to 0\.9 after 50 layers at a point that attracts"):
        mf.choose_parameter("swish", "beta", depth=50, between=(0.2, 2.0), stable=True)
    with pytest.raises(mf.ActivationError, match="tanh has no parameter 'beta' that is a number: it has none"):
        mf.choose_parameter("tanh", "beta", depth=50)
    with pytest.raises(mf.ActivationError, match="takes a catalogue name or a formula"):
        mf.choose_parameter(np.tanh, "a", depth=50)
    with pytest.raises(mf.ActivationError):
        mf.choose_parameter("tanh(x)", "a", depth=50)
    for wrong in ({"depth": 0}, {"depth": 50, "correlation": 1.0}, {"depth": 50, "between": (2.0, 1.0)}, {"depth": 50, "between": 3.0}):
        with pytest.raises(mf.DomainError):
            mf.choose_parameter("swish", "beta", **wrong)


def test_ranking():
    table = mf.choose_activation(100, ["relu", "tanh", "sign", "x*sigmoid(1.7*x)"])
    assert [row.name for row in table][:: len(table) - 1] == ["tanh", "sign"]
    advice = mf.recommend("tanh", 100)
    best = table.best
    assert (best.sigma_w, best.sigma_b, best.q) == (advice.sigma_w, advice.sigma_b, advice.q)
    assert best.cost == max(advice.cost, best.gradient_spread)
    relu = next(row for row in table if row.name == "relu")
    # E φ'⁴/(E φ'²)² = 2: 3·2 − 1 = 5 for each layer, and 100·(2 − 1).
    assert relu.gradient_spread == pytest.approx(math.sqrt(100 * 5 / 1000), rel=1e-12)
    assert relu.jacobian_spread == pytest.approx(100.0, rel=1e-12)
    assert "sign" in str(table)
    assert len(repr(table)) < 200
    with pytest.raises(mf.DomainError, match="candidates is empty"):
        mf.choose_activation(10, [])
    with pytest.raises(mf.DomainError, match="list of activations"):
        mf.choose_activation(10, "tanh")
    with pytest.raises(mf.DomainError, match="width"):
        mf.choose_activation(10, ["tanh"], width=0)


def test_what_is_wrong_with_other_parameters_is_told():
    with pytest.raises(mf.ActivationError, match="elu has no parameter 'beta': it takes alpha"):
        mf.choose_parameter("elu", "alpha", depth=10, beta=2.0)
    with pytest.raises(mf.DomainError, match="alpha is what is looked for"):
        mf.choose_parameter("elu", "alpha", depth=10, alpha=2.0)
    with pytest.raises(mf.ActivationError, match="min_val of hardtanh must be a finite number"):
        mf.choose_parameter("hardtanh", "max_val", depth=10, min_val="q")
    with pytest.raises(mf.DomainError, match="candidates = 3 must be a list"):
        mf.choose_activation(10, 3)
