"""Glorot & Bengio's measurements at initialisation, by theory and by sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf

QUANTITIES = (
    "pre_activation_variance",
    "activation_mean",
    "activation_variance",
    "saturated_fraction",
    "gradient_variance",
    "weight_gradient_variance",
)
WIDTHS = [400, 300, 300, 300, 10]
Z = 4.8  # Student's t with 39 degrees of freedom: 2.4e-5 each; about 140 comparisons below, false-alarm rate 3e-3


def z_scores(found, name):
    """Hidden layers; 0 where nothing is random, and a term of order 1/width for what theory leaves out."""
    sampled = getattr(found.simulated, name)
    theory = getattr(found, name)
    error = np.hypot(sampled.standard_error, 3.0 * np.abs(theory) / found.widths[1:])
    off = sampled.mean - theory
    return np.where(np.abs(off) < 1e-14, 0.0, off / np.maximum(error, 1e-4 * (name == "saturated_fraction") + 1e-300))[:-1]


@pytest.mark.parametrize(
    ("name", "init"),
    [
        ("tanh", "standard"),
        ("tanh", "normalized"),
        ("sigmoid", "standard"),
        ("softsign", "glorot_normal"),
        ("relu", "he_normal"),
        ("silu", "pytorch_default"),
        ("tanh", (2.5, 0.3)),
    ],
)
def test_sampling_agrees_with_theory(name, init):
    found = mf.layer_statistics(name, WIDTHS, init, networks=40, seed=3, progress=False)
    for quantity in QUANTITIES:
        assert np.abs(z_scores(found, quantity)).max() < Z, quantity


def test_theory_is_the_recursion():
    found = mf.layer_statistics("tanh", [100, 50, 80, 10], (1.3, 0.2), q0=0.7, networks=0)
    first = 0.04 + 1.69 * 0.7
    second = 0.04 + 1.69 * mf.second_moment("tanh", first)
    assert found.pre_activation_variance[:2] == pytest.approx([first, second], rel=1e-12)
    upper = 1.69 * 10 / 80 * mf.second_moment("tanh", second, derivative=1)
    lower = 1.69 * 80 / 50 * mf.second_moment("tanh", first, derivative=1) * upper
    assert found.gradient_variance == pytest.approx([lower, upper, 1.0], rel=1e-12)
    assert found.weight_gradient_variance[0] == pytest.approx(lower * 0.7, rel=1e-12)
    assert found.simulated is None


def test_standard_scheme_shrinks_gradients_by_the_predicted_factor():
    """Glorot & Bengio (2010), eq. 12 and figure 7 (top): σ_w² V[φ'] = V[φ']/3 for each layer further down."""
    found = mf.layer_statistics("tanh", [1000, 500, 500, 500, 500, 10], "standard", networks=30, seed=1, progress=False)
    factors = found.gradient_variance[:3] / found.gradient_variance[1:4]
    for q, factor in zip(found.pre_activation_variance[:3], factors, strict=True):
        assert factor == pytest.approx(mf.second_moment("tanh", q, derivative=1) / 3, rel=1e-12)
    assert np.all(factors < 1 / 3)
    sampled = found.simulated.gradient_variance
    for layer, factor in enumerate(factors):
        measured = sampled.mean[layer] / sampled.mean[layer + 1]
        error = measured * math.hypot(*(sampled.standard_error[layer : layer + 2] / sampled.mean[layer : layer + 2]))
        assert (1.0 - measured) / error > 5  # it shrinks
        assert abs(measured - factor) < 4.5 * error  # and by that much


def test_normalized_scheme_keeps_gradients_level():
    """Figure 7 (bottom): level in the linear regime that its derivation assumes; tanh at q0 = 0.05 loses what V[φ'] says."""
    widths = [500, 500, 500, 500, 500, 500]
    linear = mf.layer_statistics("linear", widths, "normalized", networks=30, seed=1, progress=False)
    np.testing.assert_allclose(linear.gradient_variance, 1.0, rtol=1e-12)
    np.testing.assert_allclose(linear.activation_variance, 1.0, rtol=1e-12)
    assert np.abs(z_scores(linear, "gradient_variance")).max() < 4.8
    tanh = mf.layer_statistics("tanh", widths, "normalized", q0=0.05, networks=30, seed=1, progress=False)
    assert tanh.gradient_variance[0] > 0.7
    assert np.abs(z_scores(tanh, "gradient_variance")).max() < 4.8
    standard = mf.layer_statistics("tanh", widths, "standard", q0=0.05, networks=0)
    assert standard.gradient_variance[0] < 0.015


def test_weight_gradients_stay_level_even_with_the_standard_scheme():
    """Eq. 14 and figure 9: what gradients lose downwards, activations lose upwards."""
    found = mf.layer_statistics("linear", [500] * 6, "standard", networks=0)
    np.testing.assert_allclose(found.weight_gradient_variance, 3.0**-4, rtol=1e-12)


def test_saturation_at_initialisation():
    """tanh saturates layer after layer where weights are large; softsign less; sigmoid sits at its middle, far from both ends."""
    widths = [300, 300, 300, 300, 10]
    large = {
        name: mf.layer_statistics(name, widths, (2.5, 0.0), networks=30, seed=5, progress=False) for name in ("tanh", "softsign", "sigmoid")
    }
    for found in large.values():
        assert np.abs(z_scores(found, "saturated_fraction")).max() < Z
    tanh, softsign, sigmoid = (found.simulated.saturated_fraction for found in large.values())
    between = (tanh.mean - softsign.mean)[:-1] / np.hypot(tanh.standard_error, softsign.standard_error)[:-1]
    assert np.all(between > 5)
    assert np.all(sigmoid.mean[:-1] < softsign.mean[:-1])
    mean = mf.layer_statistics("sigmoid", widths, "standard", networks=0).activation_mean
    np.testing.assert_allclose(mean[:-1], 0.5, rtol=1e-12)
    assert np.all(mf.layer_statistics("tanh", widths, "standard", networks=0).saturated_fraction < 0.01)


def test_saturated_fraction_in_closed_form():
    def normal(x):
        return 0.5 * math.erfc(-x / math.sqrt(2))

    found = mf.layer_statistics("tanh", [10, 10, 10], (1.0, 0.0), q0=2.0, threshold=0.1, networks=0)
    edge = math.atanh(math.sqrt(0.9)) / math.sqrt(2.0)  # 1 − tanh² < 0.1
    assert found.saturated_fraction[0] == pytest.approx(2 * normal(-edge), rel=1e-12)
    assert mf.layer_statistics("relu", [10, 10, 10], networks=0).saturated_fraction[0] == 0.5
    hard = mf.layer_statistics("hardtanh", [10, 10, 10], (1.0, 0.0), q0=1.0, networks=0)
    assert hard.saturated_fraction[0] == pytest.approx(2 * normal(-1.0), rel=1e-12)


def test_histograms_are_densities_of_what_is_seen():
    found = mf.layer_statistics("tanh", WIDTHS, "standard", networks=10, progress=False).simulated.histograms
    for edges, densities in ((found.activation_edges, found.activation_density), (found.gradient_edges, found.gradient_density)):
        assert edges.shape == (61,)
        assert densities.shape == (4, 60)
        inside = (densities * np.diff(edges)).sum(axis=1)
        assert np.all((inside[:-1] > 0.98) & (inside[:-1] <= 1 + 1e-12))


def test_the_seed_decides():
    one, two, other = (mf.layer_statistics("tanh", [20, 20, 5], networks=3, seed=s, progress=False).simulated for s in (1, 1, 2))
    np.testing.assert_array_equal(one.gradient_variance.mean, two.gradient_variance.mean)
    assert np.any(one.gradient_variance.mean != other.gradient_variance.mean)


def test_a_scheme_object_and_text():
    init = mf.scheme("lecun_uniform", 10)
    found = mf.layer_statistics("tanh", [20, 20, 5], init, networks=2, progress=False)
    assert (found.distribution, found.sigma_w.tolist()) == ("uniform", [1.0, 1.0])
    text = str(found)
    assert "saturated: |φ'| < 0.1" in text
    assert text.count("±") == 12


@pytest.mark.parametrize(
    ("keywords", "word"),
    [
        ({"widths": [10]}, "widths"),
        ({"widths": [10, 0]}, "widths"),
        ({"init": "random"}, "random"),
        ({"init": 3.0}, "init"),
        ({"init": (1.0, -1.0)}, "sigma_b"),
        ({"q0": 0.0}, "q0"),
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": 1.5}, "threshold"),
        ({"networks": -1}, "networks"),
        ({"seed": 1.5}, "seed"),
        ({"activation": "relu", "init": (1e80, 0.0)}, "layer 2"),
    ],
)
def test_bad_input(keywords, word):
    with pytest.raises(mf.DomainError, match=word):
        mf.layer_statistics(**{"activation": "tanh", "widths": [10, 10, 10], "networks": 0} | keywords)
