"""The comparison with theory: agrees where it should, disagrees where it should, and says where it can't tell."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

import meanfield as mf
from meanfield.simulation import plain_comparison as comparison_module
from meanfield.simulation.comparison import normal_deviates, sidak

NAMES = ("q1", "q2", "c", "gradient")


@pytest.mark.parametrize(
    ("activation", "sigma_w", "sigma_b", "q", "c"),
    [
        ("tanh", 1.3, 0.2, (1.0, 0.6), 0.5),
        ("tanh", 2.5, 0.3, 1.0, 0.5),
        ("tanh", 0.9, 0.3, 1.0, -0.6),
        ("relu", 2**0.5, 0.0, 1.0, 0.2),
        ("silu", 1.6, 0.3, 0.5, 0.5),
        ("sign", 1.2, 0.3, 1.0, 0.5),
    ],
)
def test_random_networks_obey_the_theory(activation, sigma_w, sigma_b, q, c):
    """False-alarm rate 1e-3 each, on fixed seeds."""
    comparison = mf.simulate(activation, sigma_w, sigma_b, 500, 8, 200, q=q, c=c, seed=1).compare()
    assert comparison.consistent is True, str(comparison)
    assert comparison.max_abs_z < comparison.threshold
    assert tuple(comparison.z_scores) == NAMES
    assert all(z.shape == (9,) and np.isfinite(z).all() for z in comparison.z_scores.values())
    assert comparison.z_scores["gradient"][8] == 0.0
    assert "agrees with the theory" in str(comparison)
    assert all(comparison.judged[name].any() for name in NAMES)


def test_networks_of_another_kind_are_found_out():
    """σ_w = 1.3 against the theory at 1.35, and gradients of other weights: the first by q, the second by the gradient alone."""
    from dataclasses import replace

    sim = mf.simulate("tanh", 1.3, 0.2, 500, 8, 200, seed=1)
    wrong = replace(sim, ensemble=replace(sim.ensemble, sigma_w=1.35)).compare()
    assert wrong.consistent is False
    assert "disagrees with the theory" in wrong.verdict
    assert "layer" in wrong.verdict
    shifted = replace(sim.log_gradient, mean=sim.log_gradient.mean - np.where(np.arange(9) < 8, 0.1, 0.0))
    comparison = replace(sim, log_gradient=shifted).compare()
    assert comparison.consistent is False
    assert "log gradient at layer" in comparison.verdict


def test_small_widths_are_told_apart_from_disagreement():
    comparison = mf.simulate("relu", 2**0.5, 0.0, 12, 40, 2000, seed=2).compare()
    assert comparison.consistent is not False
    assert "Width too small for the first-order theory" in comparison.verdict
    assert "disagrees" not in str(comparison)
    assert not comparison.judged["q1"][-1]
    assert not comparison.judged["gradient"][0]
    tiny = mf.simulate("relu", 2**0.5, 0.0, 2, 3, 500, seed=2).compare()
    assert tiny.consistent is not False


def test_what_has_no_first_order_theory_says_why():
    comparison = mf.simulate("exp(x**2/7)", 0.5, 0.0, 50, 2, 10, seed=3).compare()
    assert comparison.consistent is None
    assert comparison.max_abs_z == 0.0
    assert "Nothing can be judged" in str(comparison)


def test_other_weights_are_judged_with_the_first_order_as_uncertainty():
    for weights in ("orthogonal", "uniform"):
        sim = mf.simulate("tanh", 1.4, 0.2, 200, 5, 60, method="weights", weights=weights, seed=4)
        assert sim.compare().consistent, weights


def test_rectangular_networks_and_given_inputs():
    inputs = np.random.default_rng(1).normal(size=(2, 6))
    sim = mf.simulate("tanh", 1.4, 0.2, widths=[200, 500, 300, 400], networks=300, inputs=inputs, seed=5)
    assert sim.compare().consistent
    assert tuple(mf.simulate("tanh", 1.4, 0.2, 300, 4, 50, gradients=False).compare().z_scores) == NAMES[:3]
    assert mf.simulate("tanh", 1.4, 0.2, 300, 4, 50, inputs=inputs[:1]).compare().consistent


def test_z_scores_are_standard_normal(monkeypatch):
    """z of independent ensembles at one layer: mean 0 and variance 1 within 4.5 standard errors, 8 checks."""
    theory = comparison_module.at_its_width(mf.simulate("tanh", 1.5, 0.3, 300, 3, 2))
    monkeypatch.setattr(comparison_module, "at_its_width", lambda sim: theory)  # the same for all
    z = []
    for seed in range(60):
        comparison = mf.simulate("tanh", 1.5, 0.3, 300, 3, 24, seed=seed).compare()
        z.append([comparison.z_scores[name][layer] for name, layer in (("q1", 3), ("q2", 1), ("c", 3), ("gradient", 0))])
    table = np.array(z)
    assert np.abs(table.mean(axis=0) * 60**0.5).max() < 4.5
    assert np.abs((table.var(axis=0) - 1.0) * 30**0.5).max() < 4.5


def test_students_t_becomes_a_normal_deviate():
    from scipy.stats import t

    for freedom in (2, 10, 1000):
        values = np.array([-4.0, -0.5, 0.0, 1.0, 6.0])
        np.testing.assert_allclose(norm.cdf(normal_deviates(values, freedom)), t.cdf(values, freedom), rtol=1e-9, atol=1e-12)
    assert sidak(1e-3, 1) == pytest.approx(3.2905, abs=1e-4)
    assert sidak(1e-3, 200) == pytest.approx(norm.isf(0.5 * (1 - 0.999 ** (1 / 200))), rel=1e-9)


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, float("nan"), "x", [0.1, 0.2]])
def test_the_false_alarm_rate_is_a_probability(rate):
    with pytest.raises(mf.DomainError, match="false_alarm"):
        mf.simulate("tanh", 1.3, 0.2, 10, 1, 3).compare(rate)
