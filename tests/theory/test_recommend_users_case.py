"""`recommend`, `gain`, `scheme` and `layer_statistics` for the user's own case: dropout, the law of the weights, no fans."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L


@pytest.fixture(scope="module")
def plain():
    return mf.recommend("tanh", depth=30)


def test_dropout_scales_the_weights_and_keeps_the_edge(plain):
    rate = 0.2
    found = mf.recommend("tanh", depth=30, dropout=rate)
    assert found.sigma_w == pytest.approx(plain.sigma_w * math.sqrt(0.8), rel=1e-15)
    assert (found.sigma_b, found.q, found.dropout) == (plain.sigma_b, plain.q, rate)
    assert (found.variance_change, found.gradient_change) == (plain.variance_change, plain.gradient_change)
    # By the layers themselves: the gradient's factor is 1 and q is the fixed point.
    field = mf.MeanField(L.Sequence("tanh", L.Dropout(rate), L.Dense(found.sigma_w, found.sigma_b)))
    assert field.chi_1 == pytest.approx(1.0, abs=1e-10)
    assert field.q_star == pytest.approx(found.q, rel=1e-10)


def test_differences_behind_dropout_by_the_recursion_itself():
    """c' = (σ_b² + σ_w² C[φ](q1, q2, c))/F(q), F with 1/(1 − p): masks are independent for the two inputs."""
    rate, depth = 0.3, 12
    found = mf.recommend("tanh", depth=depth, dropout=rate)
    ends = []
    for start in (0.5, 1.0, 2.0):
        q, c = start, 0.5
        for _ in range(depth):
            after = found.sigma_b**2 + found.sigma_w**2 * mf.second_moment("tanh", q) / (1 - rate)
            c = (found.sigma_b**2 + found.sigma_w**2 * mf.covariance("tanh", q, q, c)) / after
            q = after
        ends.append(1 - c)
    assert found.correlation_change == pytest.approx(max(abs(math.log(end / 0.5)) for end in ends), rel=1e-9)
    assert f"1 - c, from c = 0.5, is {max(ends):.3g}" in found.reason


def test_relu_behind_dropout_is_the_closed_form():
    """He: σ_w² E[relu²]/(1 − p) = q, so σ_w² = 2(1 − p) (Schoenholz et al. 2017, section 5; Hendrycks & Gimpel 2016)."""
    for rate in (0.0, 0.1, 0.5):
        for bias in (True, False):
            assert mf.recommend("relu", depth=20, bias=bias, dropout=rate).sigma_w == pytest.approx(math.sqrt(2 * (1 - rate)), rel=1e-12)


def test_relu_in_residual_branches_is_the_closed_form():
    """σ_w² V = q/L with V = q/2: variance and gradient grow by 1 + 1/L a block, below e over all (Zhang et al. 2019)."""
    for depth in (1, 50, 3_000_000):
        found = mf.recommend("relu", depth=depth, residual=True)
        assert found.sigma_w == pytest.approx(math.sqrt(2 / depth), rel=1e-12)
        grown = depth * math.log1p(1 / depth)
        assert found.variance_change == pytest.approx(grown, rel=1e-6)
        assert found.gradient_change == pytest.approx(grown, rel=1e-6)
        assert (found.sigma_b, found.residual, found.status) == (0.0, True, "neutral")
    assert "each of 50 residual branches of relu adds 1/50" in mf.recommend("relu", depth=50, residual=True).reason
    assert mf.recommend("relu", 50, residual=True, dropout=0.5).sigma_w == pytest.approx(math.sqrt(1 / 50), rel=1e-12)
    assert mf.recommend("relu", 50, residual=True, weights="orthogonal").weights == "orthogonal"


def test_signals_behind_residual_branches_by_the_recursion_itself():
    """q' = q + σ_w² V, k' = k + σ_w² C, with 1/(1 − p) on V alone behind dropout; the gradient's factor is 1 + σ_w² V[φ']/(1 − p)."""
    depth, start = 12, 3.0
    for rate in (0.0, 0.3):
        found = mf.recommend("gelu", depth=depth, residual=True, input_variance=start, dropout=rate)
        assert found.sigma_w == pytest.approx(math.sqrt((1 - rate) * start / (depth * mf.second_moment("gelu", start))), rel=1e-13)
        worst = [0.0, 0.0, 0.0]
        for q0 in (0.5 * start, start, 2 * start):
            q, k, gradient = q0, 0.5 * q0, 0.0
            for _ in range(depth):
                gradient += math.log1p(found.sigma_w**2 * mf.second_moment("gelu", q, derivative=1) / (1 - rate))
                covariance = mf.covariance("gelu", q, q, k / q)
                q, k = q + found.sigma_w**2 * mf.second_moment("gelu", q) / (1 - rate), k + found.sigma_w**2 * covariance
            changes = (math.log(q / q0), gradient, math.log((1 - k / q) / 0.5))
            worst = [max(a, abs(b)) for a, b in zip(worst, changes, strict=True)]
        assert found.variance_change == pytest.approx(worst[0], rel=1e-10)
        assert found.gradient_change == pytest.approx(worst[1], rel=1e-10)
        assert found.correlation_change == pytest.approx(worst[2], rel=1e-9)


def test_gain_answers_for_the_same_cases(plain):
    assert mf.gain("tanh", depth=5, dropout=0.36) == 0.8 * mf.gain("tanh", depth=5)
    assert mf.gain("elu", depth=20, bias=False, dropout=0.36) == pytest.approx(0.8 * mf.gain("elu", depth=20, bias=False), rel=1e-15)
    assert mf.gain("tanh", depth=5, weights="orthogonal") == mf.gain("tanh", depth=5)
    assert mf.gain("gelu", depth=40, residual=True) == mf.recommend("gelu", depth=40, residual=True).sigma_w
    with pytest.warns(UserWarning, match="needs biases"):
        assert mf.gain("silu", depth=30, dropout=0.36) == 0.8 * mf.recommend("silu", depth=30).sigma_w
    for more, told in (
        ({"dropout": 1.0}, "dropout"),
        ({"weights": "x"}, "weights"),
        ({"residual": 1}, "residual = 1 must be True or False"),
    ):
        for ask in (mf.gain, mf.recommend):
            with pytest.raises(mf.DomainError, match=told):
                ask("tanh", depth=5, **more)


@pytest.mark.parametrize("law", ["orthogonal", "uniform"])
def test_the_law_of_the_weights_changes_words_only(plain, law):
    found = mf.recommend("tanh", depth=30, weights=law)
    assert (found.sigma_w, found.sigma_b, found.q) == (plain.sigma_w, plain.sigma_b, plain.q)
    assert found.weights == law
    assert law.capitalize() in found.reason
    assert found != plain


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"dropout": 1.0}, r"dropout = 1.0 is out of range: it must be one rate in \[0, 1\)"),
        ({"dropout": 1.0001}, r"dropout = 1.0001 is out of range: it must be one rate in \[0, 1\)"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": [0.1, 0.2]}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
        ({"weights": "ternary"}, "weights = 'ternary' is unknown; give one of gaussian, orthogonal, uniform"),
        ({"weights": None}, "weights = None"),
    ],
)
def test_bad_input(more, told):
    with pytest.raises(mf.DomainError, match=told):
        mf.recommend("tanh", depth=5, **more)


def test_scheme_without_fans():
    assert mf.scheme("he").sigma_w == math.sqrt(2)
    assert mf.scheme("lecun").sigma_w == 1.0
    assert mf.scheme("xavier_normal").sigma_w == 1.0  # equal fans
    assert mf.scheme("he").network("relu").chi_1 == pytest.approx(1.0, rel=1e-12)
    assert str(mf.scheme("he")) == "he (normal): sigma_w = 1.41421356, sigma_b = 0"
    with pytest.raises(mf.DomainError, match="fan_in is missing: pytorch_default needs it"):
        mf.scheme("pytorch_default")
    with pytest.raises(mf.DomainError, match="fan_in is missing"):
        mf.scheme("glorot", fan_out=10)
    with pytest.raises(mf.DomainError, match=r"needs fan_in: scheme\('he', fan_in=…\)"):
        mf.scheme("he").weight_standard_deviation  # noqa: B018


def test_layer_statistics_of_a_recommendation(plain):
    widths = [64, 64, 64, 10]
    found = mf.layer_statistics("tanh", widths, init=plain, networks=0)
    same = mf.layer_statistics("tanh", widths, init=(plain.sigma_w, plain.sigma_b), networks=0)
    assert found.init == "recommended for 30 layers"
    assert np.array_equal(found.gradient_variance, same.gradient_variance)
    with pytest.raises(mf.DomainError, match=r"dropout = 0\.1, and these layers have none"):
        mf.layer_statistics("tanh", widths, init=mf.recommend("tanh", 5, dropout=0.1), networks=0)


def test_an_expectation_has_the_digits_that_its_error_leaves():
    assert str(mf.estimate("tanh")).startswith("0 ±")  # −6.8e-19 is rounding
    assert str(mf.estimate("x**2", q=2.0)).startswith("2 ±")
    value, _, error = str(mf.estimate("relu")).partition(" ± ")
    assert abs(float(value) - 1 / math.sqrt(2 * math.pi)) <= 2 * float(error)
    assert str(mf.estimate("exp(x**2)")).startswith("inf")
    assert len(str(mf.estimate("relu", q=np.linspace(1, 2, 100))).splitlines()) == 5
