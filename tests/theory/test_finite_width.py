"""First-order theory in 1/width against closed forms, differences of the maps, and networks."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.fourth_moments import line_moments, pair_moments
from meanfield.theory.finite_width import _derivatives

ROOT_2 = math.sqrt(2.0)


def test_published_spreads_of_the_variance():
    found = mf.finite_width("tanh", 1.5, 0.3, depth=4)
    assert found.kernel_covariance[1:, 0, 0] == pytest.approx([0.494, 0.575, 0.589, 0.592], abs=1e-3)
    net = mf.MeanField("tanh", 1.5, 0.3)
    # v' = F'² v + σ_w⁴ Var φ², with one-input expectations
    v = 0.0
    for layer in range(4):
        q = found.q1[layer]
        v = net.variance_slope(q) ** 2 * v + 1.5**4 * (mf.expectation("tanh(x)**4", q) - mf.second_moment("tanh", q) ** 2)
        assert found.kernel_covariance[layer + 1, 0, 0] == pytest.approx(v, rel=1e-10)


@pytest.mark.parametrize("sigma_b", [0.0, 0.3])
def test_linear_networks_are_products_of_chi_squares(sigma_b):
    """|Wᵀδ|²/|δ|² = σ_w² χ²_N/N, whose log has mean −1/N and variance 2/N; K' = σ_b² + σ_w² K χ²_N/N."""
    depth, sigma_w = 6, 0.9
    found = mf.finite_width("linear", sigma_w, sigma_b, depth, q=1.3, c=0.2)
    back = np.arange(depth, -1, -1)
    np.testing.assert_allclose(found.log_gradient_shift, -back, atol=1e-9)
    np.testing.assert_allclose(found.log_gradient_spread, 2.0 * back, atol=1e-9)
    np.testing.assert_allclose(found.gradient_shift, 0.0, atol=1e-9)  # the mean of the ratio has no correction
    np.testing.assert_allclose(found.kernel_shift, 0.0, atol=1e-9)  # the map is linear
    spread = 0.0
    for layer in range(depth):
        spread = sigma_w**4 * (spread + 2.0 * found.q1[layer] ** 2)
        assert found.kernel_covariance[layer + 1, 0, 0] == pytest.approx(spread, rel=1e-9)


def test_critical_relu_grows_by_five_a_layer():
    """E[φ⁴]/E[φ²]² − 1 = 3E[φ'⁴]/E[φ'²]² − 1 = 5, forward and back, and independent of each other."""
    found = mf.finite_width("relu", ROOT_2, 0.0, depth=8)
    layers = np.arange(9)
    np.testing.assert_allclose(found.kernel_covariance[:, 0, 0], 5.0 * layers, atol=1e-9)
    np.testing.assert_allclose(found.q1_spread, 5.0 * layers + 2.0, atol=1e-9)
    np.testing.assert_allclose(found.log_gradient_spread, 5.0 * layers[::-1], atol=1e-8)
    np.testing.assert_allclose(found.log_gradient_shift, -2.5 * layers[::-1], atol=1e-8)


def test_start_is_the_sample_correlation_of_gaussian_pairs():
    """E r = c − c(1 − c²)/(2N), Var r = (1 − c²)²/N (Fisher 1915), whatever the variances."""
    for c in (-0.7, 0.0, 0.5, 0.999):
        found = mf.finite_width("tanh", 1.0, 0.1, depth=0, q=(0.4, 3.0), c=c)
        assert found.c_shift[0] == pytest.approx(-0.5 * c * (1 - c * c), abs=1e-12)
        assert found.c_spread[0] == pytest.approx((1 - c * c) ** 2, rel=1e-9)
        assert (found.q1_spread[0], found.q2_spread[0]) == pytest.approx((2 * 0.16, 2 * 9.0))


@pytest.mark.parametrize("name", ["tanh", "relu", "hardtanh", "sign", "silu"])
@pytest.mark.parametrize("where", [(1.0, 1.0, 0.5), (0.7, 1.6, 1.3), (1.2, 1.2, 0.05)])
def test_derivatives_are_those_of_the_maps(name, where):
    """J and H in (K11, K11 − K22, E) against central differences of `second_moment` and `covariance`."""
    k11, k22, epsilon = where
    net = mf.MeanField(name, 1.3, 0.2)

    def image(x):
        a, b = x[0], x[0] - x[1]
        c = (0.5 * (a + b) - x[2]) / math.sqrt(a * b)
        cross = mf.covariance(name, a, b, c)
        one, two = mf.second_moment(name, a), mf.second_moment(name, b)
        return 1.3**2 * np.array([one, one - two, 0.5 * (one + two) - cross])

    centre = np.array([k11, k11 - k22, 0.5 * (k11 + k22) - (1 - epsilon) * math.sqrt(k11 * k22)])
    jacobian, hessian = _derivatives(net, pair_moments(net.activation, k11, k22, epsilon), k11, k22, epsilon)
    size = np.array([0.02, 0.02, 0.2 * centre[2]])
    for i in range(3):
        e = np.eye(3)[i] * size[i]
        # Richardson on central differences: error h⁴
        first = [(image(centre + h * e) - image(centre - h * e)) / (2 * h * size[i]) for h in (0.1, 0.05)]
        np.testing.assert_allclose(jacobian[:, i], (4 * first[1] - first[0]) / 3, rtol=1e-5, atol=1e-5)
        second = [(image(centre + h * e) - 2 * image(centre) + image(centre - h * e)) / (h * size[i]) ** 2 for h in (0.2, 0.1)]
        np.testing.assert_allclose(hessian[:, i, i], (4 * second[1] - second[0]) / 3, rtol=2e-4, atol=2e-4)
        for j in range(i):
            d = np.eye(3)[j] * size[j]
            mixed = [
                (image(centre + h * (e + d)) - image(centre + h * (e - d)) - image(centre - h * (e - d)) + image(centre - h * (e + d)))
                / (4 * h * h * size[i] * size[j])
                for h in (0.2, 0.1)
            ]
            np.testing.assert_allclose(hessian[:, i, j], (4 * mixed[1] - mixed[0]) / 3, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(hessian, np.swapaxes(hessian, 1, 2), atol=1e-8)


Z = 4.5  # two-sided 7e-6 each; the checks below make about 200 comparisons: false-alarm rate 1.4e-3


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b", "widths", "q"),
    [
        ("tanh", 1.5, 0.3, [120] * 6, 1.0),
        ("tanh", 1.5, 0.3, [150, 60, 200, 100, 80, 120], (1.0, 1.7)),
        ("relu", 1.4, 0.3, [150] * 5, (1.0, 0.6)),
        ("silu", 1.6, 0.4, [150] * 5, 1.0),
        ("sign", 1.0, 0.3, [120] * 5, 1.0),
    ],
)
def test_networks_scatter_as_predicted(name, sigma_w, sigma_b, widths, q):
    networks = 3000
    depth = len(widths) - 1
    theory = mf.finite_width(name, sigma_w, sigma_b, depth, q=q, widths=widths)
    sim = mf.simulate(name, sigma_w, sigma_b, widths=widths, q=q, networks=networks, seed=4, progress=False)
    band = theory.at()
    for quantity in ("q1", "q2", "c", "log_gradient"):
        found = getattr(sim, quantity)
        random = band.standard_deviation[quantity] > 0
        if not random.any():  # sign passes no gradient
            continue
        ratio = found.standard_error[random] * math.sqrt(networks) / band.standard_deviation[quantity][random]
        # Next order: a few layers/width. The sample standard deviation scatters by 1/√(2n), more with heavy tails.
        assert np.abs(ratio - 1).max() < Z * 1.5 / math.sqrt(2 * networks) + 2.0 * depth / min(widths), quantity
        off = np.abs(found.mean - band.mean[quantity])[random]
        next_order = np.abs(getattr(theory, quantity + "_shift")[random]) * 3.0 * depth / min(widths)
        assert np.all(off < Z * found.standard_error[random] + next_order), quantity


def test_gradient_feels_the_forward_pass():
    """Without the coupling between the passes the log gradient's variance would be Σ (3E[φ'⁴]/V[φ']² − 1)."""
    found = mf.finite_width("tanh", 1.5, 0.3, depth=10)
    apart = 0.0
    for q in found.q1[:-1]:
        moments = line_moments(mf.activation("tanh"), float(q))
        apart += 3 * moments["slope_4"] / moments["slope"] ** 2 - 1
    assert found.log_gradient_spread[0] > 1.05 * apart


def test_equal_inputs_stay_equal():
    for name, c in (("tanh", 1.0), ("relu", 1.0), ("tanh", -1.0)):
        found = mf.finite_width(name, 1.2, 0.0, depth=5, c=c)
        np.testing.assert_allclose(found.c_spread, 0.0, atol=1e-12)
        np.testing.assert_allclose(found.c_shift, 0.0, atol=1e-12)
        np.testing.assert_allclose(found.q1_spread, found.q2_spread, rtol=1e-9)
        single = mf.finite_width(name, 1.2, 0.0, depth=5, c=0.3)
        np.testing.assert_allclose(found.q1_spread, single.q1_spread, rtol=1e-8)
        np.testing.assert_allclose(found.q1_shift, single.q1_shift, rtol=1e-7, atol=1e-10)


def test_order_of_the_inputs_does_not_matter():
    one = mf.finite_width("selu", 1.0, 0.2, depth=4, q=(0.5, 2.0), c=0.4)
    two = mf.finite_width("selu", 1.0, 0.2, depth=4, q=(2.0, 0.5), c=0.4)
    np.testing.assert_allclose(one.q1_shift, two.q2_shift, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(one.q1_spread, two.q2_spread, rtol=1e-8)
    np.testing.assert_allclose(one.c_shift, two.c_shift, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(one.c_spread, two.c_spread, rtol=1e-8)


def test_widths_divide_the_coefficients():
    plain = mf.finite_width("tanh", 1.5, 0.3, depth=4).at(400)
    given = mf.finite_width("tanh", 1.5, 0.3, depth=4, widths=[400] * 5).at()
    for name in plain.mean:
        np.testing.assert_allclose(given.mean[name], plain.mean[name], rtol=1e-12)
        np.testing.assert_allclose(given.standard_deviation[name], plain.standard_deviation[name], rtol=1e-12)


def test_dead_gradients_have_no_spread():
    found = mf.finite_width("sign", 1.0, 0.3, depth=3)
    assert found.gradient.tolist() == [0.0, 0.0, 0.0, 1.0]
    assert found.log_gradient_spread.tolist() == [0.0] * 4
    assert np.isfinite(found.c_spread).all()


def test_text_shows_each_quantity():
    text = str(mf.finite_width("relu", 1.4, 0.3, depth=20))
    assert "log gradient" in text
    assert len(text.splitlines()) == 13


@pytest.mark.parametrize(
    ("keywords", "error", "word"),
    [
        ({"q": 0.0}, mf.DomainError, "q = 0.0"),
        ({"c": 1.5}, mf.DomainError, "c = 1.5"),
        ({"depth": -1}, mf.DomainError, "depth"),
        ({"depth": 100_000}, mf.DomainError, "depth"),
        ({"widths": [10, 10]}, mf.DomainError, "widths"),
        ({"widths": [10, 10, 10, 0.5]}, mf.DomainError, "widths"),
        ({"sigma_w": -1.0}, mf.DomainError, "sigma_w"),
        ({"activation": "relu", "sigma_w": 1e60}, mf.DomainError, "layer 3"),
        ({"activation": "exp(x**2/7)"}, mf.DomainError, "layer 2"),
    ],
)
def test_bad_input(keywords, error, word):
    with pytest.raises(error, match=word):
        mf.finite_width(**{"activation": "tanh", "sigma_w": 1.5, "sigma_b": 0.3, "depth": 3} | keywords)


def test_bad_width():
    found = mf.finite_width("tanh", 1.5, 0.3, depth=1)
    for width in (None, 0, 1.5, True):
        with pytest.raises(mf.DomainError, match="width"):
            found.at(width)


@pytest.mark.parametrize("width", [50, 200, 800])
def test_shifts_and_spreads_fall_as_one_over_width(width):
    """Each is told from 0 at z ≥ 5 first; then N times it is the predicted coefficient, up to the next order.

    26 comparisons at |z| < 4.5 for each width: false-alarm rate 2e-4. ``python -m tests.simulation.finite_width_band`` does more.
    """
    from tests.simulation.finite_width_band import gradient_scaling, scaling

    rows = scaling(width, networks=200, depth=3) + (gradient_scaling(width, 1500) if width == 50 else [])
    for what, measured, error, predicted in rows:
        assert abs(measured) / error >= 5, what
        assert abs(measured - predicted) < 4.5 * error + 5.0 / width * abs(predicted), what


@pytest.mark.parametrize(("name", "sigma_w", "sigma_b"), [("x*tanh(x)", 1.0, 0.1), ("silu", 1.8, 0.3)])
def test_mean_of_the_log_gradient_has_all_its_parts(name, sigma_w, sigma_b):
    """Here the shift of K and the alignment of δ with the weights contribute ±3/N, nine standard errors each."""
    networks, width, depth = 10_000, 100, 3
    theory = mf.finite_width(name, sigma_w, sigma_b, depth)
    sim = mf.simulate(name, sigma_w, sigma_b, width=width, depth=depth, networks=networks, seed=5, progress=False)
    measured = width * (sim.log_gradient.mean - theory.log_gradient)[:-1]
    error = width * sim.log_gradient.standard_error[:-1]
    assert np.all(np.abs(measured - theory.log_gradient_shift[:-1]) < 4.5 * error)


def test_gradients_of_finite_networks_have_no_unit() -> None:
    # φ(x) → 5φ(x/5) with σ_b → 5σ_b is the same network in other units: what is said of gradient ratios may not move.
    one = mf.finite_width("tanh(x)", 1.5, 0.3, depth=30, q=0.2, c=0.3)
    other = mf.finite_width("5*tanh(x/5)", 1.5, 1.5, depth=30, q=5.0, c=0.3)
    for name in ("gradient", "log_gradient_shift", "log_gradient_spread", "gradient_shift", "gradient_spread", "c_shift", "c_spread"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(other.q1_shift, 25 * one.q1_shift, rtol=1e-9)
    np.testing.assert_allclose(other.q1_spread, 625 * one.q1_spread, rtol=1e-9)
