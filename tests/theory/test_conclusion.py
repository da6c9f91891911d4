"""sup|f(c) − c| as σ_b → 0 on the edge of chaos: its limit by formula, by the maps, and its order."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.theory.conditions.conclusion import limit_of_slopes, slope_settles
from meanfield.theory.conditions.samples import Samples, grid, sample

SELU_LIMIT = 0.0379715  # as computed elsewhere down to σ_b = 4e-11


def test_limit_of_slopes() -> None:
    assert limit_of_slopes(1.0, 0.0) == pytest.approx(1 / math.pi, rel=1e-15)
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    assert limit_of_slopes(scale, scale * alpha) == pytest.approx(SELU_LIMIT, abs=5e-8)
    assert limit_of_slopes(0.3, 0.3) == 0.0


@pytest.mark.parametrize(("name", "limit"), [("selu", SELU_LIMIT), ("relu6", 1 / math.pi), ("relu", 1 / math.pi)])
def test_does_not_vanish_where_the_slopes_differ(name: str, limit: float) -> None:
    result = mf.check_proposition4(name)
    assert result.conclusion.holds is False
    assert result.conclusion.evidence["limit"] == pytest.approx(limit, abs=5e-8)
    assert result.conclusion.witness == result.conclusion.evidence["limit"]
    if name != "relu":
        assert any("conclusion does not follow" in caveat for caveat in result.caveats)


def test_selu_approaches_its_limit_as_the_bias_falls() -> None:
    # From above at first, then from below: σ_b = 2⁻¹² is 4 % off, and only far smaller σ_b show the digits.
    evidence = mf.check_proposition4("selu").conclusion.evidence
    distance = evidence["limit"] - np.array(evidence["sup"][-6:])
    assert np.all(distance > 0)
    assert np.all(np.diff(distance) < 0)
    edge = mf.edge_of_chaos("selu", 1e-9)
    at_zero = mf.MeanField("selu", edge.sigma_w, 1e-9).correlation_map(0.0, q=edge.q)
    assert at_zero == pytest.approx(SELU_LIMIT, abs=5e-6)


@pytest.mark.parametrize("name", ["tanh", "selu", "silu", "relu6"])
def test_largest_distance_is_the_value_at_zero(name: str) -> None:
    # Independently: the correlation map itself on a grid of c.
    evidence = mf.check_proposition4(name).conclusion.evidence
    for k in (0, 4):
        sigma_b, sigma_w, q, sup = (evidence[key][k] for key in ("sigma_b", "sigma_w", "q", "sup"))
        c = np.linspace(0.0, 1.0, 41)
        distance = np.abs(mf.MeanField(name, sigma_w, sigma_b).correlation_map(c, q=q) - c)
        assert np.max(distance) == pytest.approx(sup, rel=1e-8)
        assert int(np.argmax(distance)) == 0


@pytest.mark.parametrize(("name", "order"), [("tanh", 4 / 3), ("sin", 4 / 3), ("silu", 1.0), ("elu", 1.0)])
def test_order_at_which_it_vanishes(name: str, order: float) -> None:
    # Odd φ: σ_b² ~ q³, so f(0) = σ_b²/q ~ σ_b^(4/3). φ''(0) ≠ 0: σ_b² ~ q², and f(0) ~ q ~ σ_b.
    evidence = mf.check_proposition4(name).conclusion.evidence
    assert evidence["order"] == pytest.approx(order, abs=0.02)
    assert evidence["sigma_b"] == tuple(2.0**-k for k in range(1, 13))


def test_sigmoid_does_not_start_at_zero() -> None:
    # q → 45.62 and f(0) → σ_w² E[φ]²/q with E[φ] = ½, σ_w = 10.149…
    result = mf.check_proposition4("sigmoid")
    assert result.conclusion.evidence["limit"] == pytest.approx(10.14926**2 * 0.25 / 45.62428, rel=1e-5)
    assert result.conditions["iii"].witness == pytest.approx(45.62428, rel=1e-6)


def test_linear_keeps_every_correlation() -> None:
    assert mf.check_proposition4("linear").conclusion.holds is True


def test_cube_keeps_a_distance() -> None:
    # s(q) = q − 15q³/(27q²) = 4q/9 and E[φ] = 0, so f(0) = 4/9 at every q.
    result = mf.check_proposition4("x**3")
    assert result.conclusion.holds is False
    assert result.conclusion.witness == pytest.approx(4 / 9, rel=1e-9)


def test_slopes_at_zero_that_no_slope_nearby_comes_near() -> None:
    # φ = x + x² sin(1/x): φ'(0±) = 1, but φ' = 1 + 2x sin(1/x) − cos(1/x), E[φ'²] → 3/2, and f(0) → 1 − 1/(3/2) = 1/3.
    x = grid()
    settled = Samples(x, np.tanh(x), -np.tanh(x), 1 / np.cosh(np.minimum(x, 300)) ** 2, 1 / np.cosh(np.minimum(x, 300)) ** 2, "")
    assert slope_settles(settled, 1.0, 1.0)
    slope = 1 + 2 * x * np.sin(1 / x) - np.cos(1 / x)
    wavy = Samples(x, x + x * x * np.sin(1 / x), -x + x * x * np.sin(1 / x), slope, slope, "")
    assert not slope_settles(wavy, 1.0, 1.0)
    slow = Samples(x, x, -x, 1 + np.minimum(x, 1.0) ** 0.1, 1 + np.minimum(x, 1.0) ** 0.1, "")  # continuous, and slowly so
    assert slope_settles(slow, 1.0, 1.0)


@pytest.mark.parametrize(
    "name", ["tanh", "selu", "relu", "silu", "elu", "hardtanh", "where(x > 0, x, 0.25*x)", "x + x*abs(x)**0.3/(1+x**2)"]
)
def test_ordinary_slopes_settle(name: str) -> None:
    result = mf.check_proposition4(name)
    one = result.conditions["i"].evidence
    assert slope_settles(sample(mf.activation(name)), one["slope_right"], one["slope_left"])
