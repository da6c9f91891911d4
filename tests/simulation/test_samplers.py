"""The samplers against exact results at finite width, and against each other.

z-scores below are rejected beyond 5: a false alarm in 1.7 million, and the seeds are fixed. Where a test draws on several it says so.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

import meanfield as mf
from meanfield.simulation import conditional, explicit
from tests.simulation.sampler_agreement import ACTIVATIONS, FAMILY_WISE, compared, draw, ensemble

METHODS = ("conditional", "weights")


def z(estimate: mf.Estimate, exact: np.ndarray) -> np.ndarray:
    return (estimate.mean - exact) / (estimate.standard_error + 1e-12 * np.abs(exact))


@pytest.mark.parametrize("method", METHODS)
def test_linear_networks_have_exact_means_at_width_3(method):
    """φ(h) = h: E q and E h1·h2 follow the recursion of infinite width at any width; E|δ^l|²/|δ^L|² = σ_w^(2(L−l))."""
    sim = mf.simulate("linear", 0.8, 0.5, 3, 4, 20_000, q=(1.0, 2.0), c=0.3, method=method, seed=1)
    q1, q2, both = [1.0], [2.0], [0.3 * 2**0.5]
    for _ in range(4):
        for path in (q1, q2, both):
            path.append(0.25 + 0.64 * path[-1])
    assert np.abs(z(sim.q1, np.array(q1))).max() < 5
    assert np.abs(z(sim.q2, np.array(q2))).max() < 5
    assert np.abs(z(sim.gram[:, 0, 1], np.array(both))).max() < 5
    assert np.abs(z(sim.gradient, 0.64 ** np.arange(4, -1, -1)))[:-1].max() < 5
    assert sim.gradient.mean[-1] == 1.0


@pytest.mark.parametrize("method", METHODS)
def test_relu_gradients_are_exact_in_mean_at_width_20(method):
    """Each unit of ReLU passes the gradient with probability ½, independently: Hanin & Nica (2019), Proposition 2."""
    sim = mf.simulate("relu", 1.5, 0.3, 20, 6, 8000, method=method, seed=2)
    assert np.abs(z(sim.gradient, 1.125 ** np.arange(6, -1, -1)))[:-1].max() < 5


def test_sign_networks_without_biases_keep_their_variance():
    """φ = ±1: every row is N(0, σ_w²) whatever came before, so q has mean σ_w² and variance 2σ_w⁴/N."""
    sim = mf.simulate("sign", 1.3, 0.0, 5, 3, 40_000, seed=3)
    assert np.abs(z(sim.q1, np.array([1.0, 1.69, 1.69, 1.69]))).max() < 5
    spread = sim.q1.standard_deviation[1:] ** 2 / (2 * 1.69**2 / 5)
    # The sample variance of a χ²₅ variable, kurtosis 3 + 12/5, has relative error √((2 + 12/5)/n).
    assert np.abs(spread - 1).max() < 5 * (4.4 / 40_000) ** 0.5
    assert np.all(sim.gradient.mean[:-1] == 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_rectangular_networks_pass_norms_on_whatever_the_widths(method):
    sim = mf.simulate("linear", 1.1, 0.0, widths=[3, 40, 5, 17, 2], networks=20_000, method=method, seed=4)
    assert np.abs(z(sim.gradient, 1.21 ** np.arange(4, -1, -1)))[:-1].max() < 5
    assert np.abs(z(sim.q1, 1.21 ** np.arange(5))).max() < 5


def test_orthogonal_layers_keep_lengths_exactly():
    """Square: |Wx| = σ_w |x|, for every network by itself."""
    given = ensemble("linear", 1.3, 0.0, [12] * 4, 50, "weights", weights="orthogonal")
    samples = draw(given)
    ratios = samples.gram[:, 1:, 0, 0] / samples.gram[:, :-1, 0, 0]
    np.testing.assert_allclose(ratios, 1.69, rtol=1e-12)
    np.testing.assert_allclose(samples.epsilon[:, 1:, 0, 1], samples.epsilon[:, :-1, 0, 1], rtol=1e-10)
    np.testing.assert_allclose(np.exp(samples.log_gradient[:, 0]), 1.69**3, rtol=1e-12)


@pytest.mark.parametrize("weights", ["orthogonal", "uniform"])
@pytest.mark.parametrize("widths", [[6, 15, 15], [15, 6, 6]])
def test_other_distributions_have_entries_of_variance_one_over_fan_in(weights, widths):
    sim = mf.simulate("linear", 1.2, 0.4, widths=widths, networks=20_000, method="weights", weights=weights, seed=5)
    assert np.abs(z(sim.q1, np.array([1.0, 1.6, 0.16 + 1.44 * 1.6]))).max() < 5
    assert np.abs(z(sim.gradient, np.array([1.44**2, 1.44, 1.0])))[:-1].max() < 5


def test_the_samplers_agree_in_distribution():
    """A small run of ``python -m tests.simulation.sampler_agreement``; family-wise 1e-4 over its tests."""
    tests = []
    for name, width in (("tanh", 2), ("relu", 2), ("swish", 10), ("sign", 10), ("tanh", 100)):
        both = [draw(ensemble(name, *ACTIVATIONS[name], [width] * 5, 3000 if width < 100 else 500, method)) for method in METHODS]
        tests += compared(*both, f"{name}, width {width}:")
    smallest = min(tests, key=lambda t: t.p)
    assert smallest.p > FAMILY_WISE / len(tests), smallest


def test_more_inputs_than_units():
    """Five inputs through layers of width 2: the activations are linearly dependent, and the samplers agree all the same."""
    inputs = np.random.default_rng(0).normal(size=(5, 3))
    both = [draw(ensemble("tanh", 1.4, 0.3, [2, 2, 4, 2], 3000, method, inputs=inputs)) for method in METHODS]
    ranks = np.linalg.matrix_rank(both[0].gram[:, 1], tol=1e-9)
    assert ranks.max() == 2
    p = [
        ks_2samp(both[0].gram[:, layer, a, b], both[1].gram[:, layer, a, b]).pvalue
        for layer in range(4)
        for a in range(5)
        for b in range(a + 1)
    ]
    p += [ks_2samp(both[0].log_gradient[:, layer], both[1].log_gradient[:, layer]).pvalue for layer in range(3)]
    assert min(p) > 1e-4 / len(p)


def test_inputs_pass_a_first_layer():
    """q¹ = σ_b² + σ_w²|a|²/d, and the whole Gram matrix with it."""
    inputs = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0], [3.0, 0.0, 1.0]])
    exact = 0.09 + 1.44 * inputs @ inputs.T / 3
    for method in METHODS:
        sim = mf.simulate("tanh", 1.2, 0.3, 50, 2, 4000, inputs=inputs, method=method, seed=6)
        assert sim.gram.mean.shape == (3, 3, 3)
        assert sim.q.mean.shape == (3, 3)
        assert np.abs(z(sim.gram[0], exact)).max() < 5
        np.testing.assert_array_equal(sim.q1.mean, sim.gram.mean[:, 0, 0])
        np.testing.assert_array_equal(sim.c.mean, sim.correlation.mean[:, 0, 1])


def test_equal_inputs_stay_equal_in_a_chaotic_network():
    sim = mf.simulate("tanh", 4.0, 0.1, 200, 60, 5, c=1.0, seed=7)
    assert np.all(sim.epsilon.mean <= 1e-31)


def test_small_decorrelations_are_resolved_far_below_rounding():
    """Two inputs 1e-10 apart in an ordered network: ε, far below the rounding of c, follows the recursion down to 1e-25."""
    inputs = np.array([[1.0, 0.5], [1.0, 0.5 + 1e-10]])
    sim = mf.simulate("tanh", 0.9, 0.3, 2000, 15, 40, inputs=inputs, gradients=False, seed=8)
    theory = mf.MeanField("tanh", 0.9, 0.3).propagate(15, q=sim.q1.mean[0], epsilon=sim.epsilon.mean[0])
    assert 1e-27 < theory.epsilon[-1] < 1e-23
    # Each layer's own 1/√2000, twice, accumulates over the layers and averages over the networks: about 2%.
    np.testing.assert_allclose(sim.epsilon.mean, theory.epsilon, rtol=0.1)


def test_dead_inputs_are_left_out_and_counted():
    sim = mf.simulate("relu", 1.4, 0.0, 2, 6, 2000, q=1.0, c=0.0, seed=9)
    assert sim.c.count[0] == 2000
    # The first layer of width 2 lets an input die with probability 1/4.
    assert sim.c.count[1] == pytest.approx(2000 * 9 / 16, abs=5 * (2000 * 9 / 16 * 7 / 16) ** 0.5)
    assert np.all(np.diff(sim.c.count) <= 0)
    assert np.isfinite(sim.c.mean).all()
    assert np.isfinite(sim.q1.mean).all()
    assert "leaves out up to" in str(sim)


def test_networks_that_all_die_say_so():
    with pytest.warns(mf.AccuracyWarning, match="c is NaN from layer 1 on"):
        sim = mf.simulate("tanh", 0.0, 0.0, 10, 3, 5)
    assert np.all(sim.q1.mean[1:] == 0.0)
    assert np.all(sim.gradient.mean[:-1] == 0.0)


def test_overflow_is_infinite_not_nan():
    for method in METHODS:
        with pytest.warns(mf.AccuracyWarning, match="NaN from layer"):
            sim = mf.simulate("relu", 30.0, 0.1, 30, 260, 3, method=method, seed=10)
        assert np.all(sim.q1.mean[-5:] == np.inf)
        assert np.all(sim.gram.standard_error[-5:] == np.inf)
        assert not np.isnan(sim.q1.mean).any()
        assert np.all(sim.gradient.count == 0)


def test_long_backward_passes_in_stretches_give_the_same_numbers(monkeypatch):
    given = ensemble("tanh", 1.5, 0.3, [9, 12, 5, 8, 11, 7, 6, 9], 40, "conditional")
    whole = draw(given)
    monkeypatch.setattr(conditional, "HELD", 1)
    parts = draw(given)
    for name in ("gram", "epsilon", "log_gradient"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_explicit_weights_drawn_again_give_the_same_numbers(monkeypatch):
    for weights in ("gaussian", "uniform", "orthogonal"):
        given = ensemble("tanh", 1.5, 0.3, [9, 12, 5, 8], 40, "weights", weights=weights)
        kept = draw(given)
        with monkeypatch.context() as patch:
            patch.setattr(explicit, "KEPT", 0)
            again = draw(given)
        np.testing.assert_allclose(kept.log_gradient, again.log_gradient, rtol=1e-9, atol=1e-12)


def test_small_pieces_of_rows_give_the_same_layers(monkeypatch):
    """Gaussian rows come from one stream, whatever the size of the pieces: only the last bits may differ."""
    given = ensemble("tanh", 1.5, 0.3, [40, 30, 50], 1, "weights")
    whole = draw(given)
    monkeypatch.setattr(explicit, "ROWS_OF", 200)
    monkeypatch.setattr(explicit, "KEPT", 0)
    pieces = draw(given)
    np.testing.assert_allclose(pieces.gram, whole.gram, rtol=1e-12)
    np.testing.assert_allclose(pieces.log_gradient, whole.log_gradient, rtol=1e-9)


def test_any_activation_takes_the_same_road():
    for spec in ("linear", "x * tanh(x)", lambda x: np.arctan(x) + 0.1):
        conditional_one, explicit_one = (  # two seeds: independent
            mf.simulate(spec, 1.2, 0.2, 30, 3, 1500, method=method, seed=seed, q=0.8) for method, seed in zip(METHODS, (1, 2), strict=True)
        )
        for name in ("q1", "q2", "c", "log_gradient"):
            ours, theirs = getattr(conditional_one, name), getattr(explicit_one, name)
            error = np.hypot(ours.standard_error, theirs.standard_error) + 1e-12
            assert np.abs((ours.mean - theirs.mean) / error).max() < 5, name


def test_torch_draws_the_same_distribution():
    torch = pytest.importorskip("torch")
    del torch
    numpy_side = mf.simulate("tanh", 1.4, 0.2, 20, 4, 300, method="weights", seed=1)
    for weights in ("gaussian", "orthogonal", "uniform"):
        sim = mf.simulate("tanh", 1.4, 0.2, 20, 4, 300, method="weights", backend="torch", device="cpu", seed=2, weights=weights)
        again = mf.simulate("tanh", 1.4, 0.2, 20, 4, 300, method="weights", backend="torch", seed=2, weights=weights)
        np.testing.assert_array_equal(sim.q1.mean, again.q1.mean)
        names = ("q1", "q2", "c", "log_gradient") if weights == "gaussian" else ("q1",)
        for name in names:
            ours, theirs = getattr(sim, name)[:4], getattr(numpy_side, name)[:4]
            gap = 0.0 if weights == "gaussian" else 0.05  # other distributions agree to first order in 1/width only
            assert np.abs((ours.mean - theirs.mean) / (np.hypot(ours.standard_error, theirs.standard_error) + gap)).max() < 5
