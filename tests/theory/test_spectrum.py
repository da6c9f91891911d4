"""The law of a Jacobian's singular values against closed forms, thirty-digit arithmetic and itself by another way."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

import meanfield as mf
from meanfield.theory.spectrum.limit_laws import bernoulli_limit, smooth_limit_edges
from meanfield.theory.spectrum.slope_law import slope_law
from tests.theory.survey_spectra import complaints

FILE = Path(__file__).parents[1] / "reference" / "spectra.json"
REFERENCE = json.loads(FILE.read_text())


def critical(name: str, depth: int, weights: str, q: float) -> mf.JacobianSpectrum:
    """At χ = 1."""
    return mf.jacobian_spectrum(name, 1.0 / math.sqrt(float(mf.second_moment(name, q, 1))), 0.0, depth, weights, q)


def integrals(s: mf.JacobianSpectrum, *powers: int, order: int = 24, panels: int = 25) -> list[float]:
    """E[s^{2k}; bands] by quadrature of the density alone, in log λ between quantiles, which only place the panels."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    zero = sum(atom.mass for atom in s.atoms if atom.value == 0.0)
    whole = 1.0 - sum(atom.mass for atom in s.atoms)
    totals = [0.0] * len(powers)
    few = np.linspace(0.02, 0.98, panels)
    p = np.concatenate([np.geomspace(1e-12, 1e-2, panels - 4), few, 1.0 - np.geomspace(1e-2, 1e-14, panels)])
    cuts = np.unique(np.asarray(s.log_quantile(zero + whole * p)))  # an isolated atom lies above the band
    for a, b in itertools.pairwise(cuts.tolist()):
        t = 0.5 * (a + b) + 0.5 * (b - a) * nodes
        values = 0.5 * (b - a) * weights * s.log_density(t)
        for i, k in enumerate(powers):
            totals[i] += float(np.sum(values * np.exp(k * t)))
    return totals


# ---- reference values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", list(REFERENCE["spectra"]))
def test_upper_edge_and_variance_of_the_reference(key):
    name, weights, depth = key.split("|")
    want = REFERENCE["spectra"][key]["theory"]
    s = mf.jacobian_spectrum(name, math.sqrt(want["sigma_w2"]), math.sqrt(want["sigma_b2"]), int(depth), weights, want["q"])
    assert s.edges[1] ** 2 == pytest.approx(want["s2_max"], rel=1e-9)
    assert s.variance == pytest.approx(want["var_exact"], rel=1e-12)
    assert s.mean == pytest.approx(1.0, rel=1e-12)
    masses = [mass for value, mass in want["atoms"]]
    assert [atom.mass for atom in s.atoms] == pytest.approx(masses, abs=1e-12)
    found = np.asarray(s.log_quantile(np.array([0.25, 0.5, 0.75])))
    for level, expected in zip(found, want["logq"], strict=True):
        # The median of ReLU lies at the end of its atom; one orthogonal layer has a test of its own.
        if key.split("|", 1)[1] != "orthogonal|1" and (name != "relu" or (expected > -1e8 and level > -math.inf)):
            assert level == pytest.approx(expected, abs=4e-3 * max(1.0, abs(expected)))


@pytest.mark.parametrize("key", [key for key, value in REFERENCE["spectra"].items() if value["edge"]])
def test_edge_at_finite_width(key):
    name, weights, depth = key.split("|")
    want = REFERENCE["spectra"][key]
    th = want["theory"]
    s = mf.jacobian_spectrum(name, math.sqrt(th["sigma_w2"]), math.sqrt(th["sigma_b2"]), int(depth), weights, th["q"])
    found = s.at_width(600)
    assert found.s_max**2 == pytest.approx(want["edge"]["predicted_N600"], rel=1e-4)
    # The reference's error is that of the mean of three networks.
    assert 2.0 * found.s_max * found.standard_error == pytest.approx(math.sqrt(3.0) * want["edge"]["se"], rel=1e-3)


def test_unequal_layers_of_the_reference():
    from meanfield.theory.spectrum.unequal_layers import UnequalLayers

    act = mf.activation("tanh")
    want = REFERENCE["unequal_layers"]["tanh q=0.3 (8 layers) and q=1.2 (8 layers), geometric mean chi 1"]
    laws = [(slope_law(act, 0.3), 8), (slope_law(act, 1.2), 8)]
    for gaussian, name in ((False, "orthogonal"), (True, "gaussian")):
        curve = UnequalLayers(laws, gaussian)
        assert math.exp(curve.bands[0][1]) == pytest.approx(want[name]["s2_max"], rel=1e-9)
        assert sum(count * (law.spread + gaussian) for law, count in laws) == pytest.approx(want[name]["relvar"], rel=1e-12)


# ---- closed forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 64, 10_000, 100_000])
def test_linear_layers_are_fuss_catalan(depth):
    s = mf.jacobian_spectrum("linear", 1.0, 0.0, depth, q=1.0)
    want = mp.mpf(depth + 1) ** (depth + 1) / mp.mpf(depth) ** depth
    assert s.edges[1] ** 2 == pytest.approx(float(want), rel=1e-9)
    for k in (1, 2, 3, 4, 6):  # binomial((L + 1)k, k)/(Lk + 1)
        number = mp.binomial((depth + 1) * k, k) / (depth * k + 1)
        assert s.moment(k) == pytest.approx(float(number), rel=1e-12)
    assert s.mean_log == pytest.approx(-depth, rel=1e-12)


def test_the_density_of_one_linear_layer_is_the_quarter_circle():
    s = mf.jacobian_spectrum("linear", 1.0, 0.0, 1, q=1.0)
    x = np.linspace(0.01, 1.99, 199)
    np.testing.assert_allclose(s.density(x), np.sqrt(4.0 - x * x) / math.pi, rtol=1e-10)
    cdf = (0.5 * x * np.sqrt(4.0 - x * x) + 2.0 * np.arcsin(0.5 * x)) / math.pi
    np.testing.assert_allclose(s.cdf(x), cdf, rtol=1e-10)
    np.testing.assert_allclose(s.quantile(cdf), x, rtol=1e-10)


def test_two_linear_layers_have_bures_density():
    """Fuss–Catalan of order 2 in closed form [Penson, Życzkowski 2011, eq. 8]."""
    s = mf.jacobian_spectrum("linear", 1.0, 0.0, 2, q=1.0)
    x = np.linspace(0.05, 6.7, 100)  # of λ
    root = (27.0 + 3.0 * np.sqrt(81.0 - 12.0 * x)) ** (1.0 / 3.0)
    density = 2 ** (1 / 3) * 3**0.5 / (12 * math.pi) * (2 ** (1 / 3) * root**2 - 6 * x ** (1 / 3)) / (x ** (2 / 3) * root)
    np.testing.assert_allclose(s.density(np.sqrt(x)) / (2.0 * np.sqrt(x)), density, rtol=1e-10)


def test_one_gaussian_layer_of_relu_is_marchenko_pastur():
    s = mf.jacobian_spectrum("relu", math.sqrt(2.0), 0.0, 1)
    low, high = (1.0 - math.sqrt(0.5)) ** 2, (1.0 + math.sqrt(0.5)) ** 2  # of λ/2, ratio ½
    assert s.edges == (0.0, pytest.approx(math.sqrt(2.0 * high), rel=1e-12))
    assert s.bands[0] == pytest.approx((math.sqrt(2.0 * low), math.sqrt(2.0 * high)), rel=1e-12)
    x = np.linspace(low, high, 51)[1:-1]
    density = np.sqrt((high - x) * (x - low)) / (2.0 * math.pi * x)
    np.testing.assert_allclose(s.density(np.sqrt(2.0 * x)), density * np.sqrt(2.0 * x), rtol=1e-9)


def test_two_orthogonal_layers_of_relu_are_two_projections():
    """The free product of two projections of rank ½: arcsine law of s/2 [Voiculescu, Dykema, Nica 1992, example 3.6.7]."""
    s = mf.jacobian_spectrum("relu", math.sqrt(2.0), 0.0, 2, "orthogonal")
    assert s.edges == (0.0, pytest.approx(2.0, rel=1e-12))
    x = np.linspace(0.02, 1.98, 99)
    np.testing.assert_allclose(s.density(x), 1.0 / (math.pi * np.sqrt(4.0 - x * x)), rtol=1e-9)
    np.testing.assert_allclose(s.cdf(x), 0.5 + np.arcsin(0.5 * x) / math.pi, rtol=1e-9)


@pytest.mark.parametrize("depth", [1, 7, 1000, 100_000])
def test_absolute_value_with_orthogonal_weights_is_an_isometry(depth):
    s = mf.jacobian_spectrum("abs", 1.0, 0.0, depth, "orthogonal")
    assert s.edges == (1.0, 1.0)
    assert s.atoms == (mf.Atom(1.0, 1.0),)
    assert (s.mean, s.variance, s.mean_log) == (1.0, 0.0, 0.0)
    assert s.quantile(0.3) == 1.0
    np.testing.assert_array_equal(s.cdf(np.array([0.5, 1.5])), [0.0, 1.0])


def test_one_orthogonal_layer_has_the_slopes_themselves():
    """s = σ_w (1 − tanh² h): its distribution is that of |h|."""
    q, sigma_w = 0.7, 1.3
    s = mf.jacobian_spectrum("tanh", sigma_w, 0.0, 1, "orthogonal", q)
    h = np.linspace(0.05, 2.0, 30)
    x = sigma_w / np.cosh(h) ** 2
    within = np.array([math.erf(v / math.sqrt(2.0 * q)) for v in h])
    np.testing.assert_allclose(s.cdf(x), 1.0 - within, rtol=1e-10)
    slope = 2.0 * x * np.tanh(h)  # |ds/dh|
    np.testing.assert_allclose(s.density(x), 2.0 * np.exp(-h * h / (2 * q)) / math.sqrt(2 * math.pi * q) / slope, rtol=1e-10)


def test_an_isolated_atom_and_what_is_left():
    """hard tanh: an atom at (σ_w)^{2L} of mass 1 − L(1 − p), and the band ends below it [PSG 2018]."""
    q, depth = 0.12, 64
    s = critical("hardtanh", depth, "orthogonal", q)
    p = math.erf(1.0 / math.sqrt(2.0 * q))
    assert s.atoms[1].mass == pytest.approx(1.0 - depth * (1.0 - p), rel=1e-10)
    assert s.atoms[1].value == pytest.approx(p ** (-0.5 * depth), rel=1e-12)
    assert s.bands[0][1] < s.atoms[1].value
    assert integrals(s, 0)[0] == pytest.approx(1.0 - s.atoms[0].mass - s.atoms[1].mass, abs=1e-8)


# ---- thirty digits ---------------------------------------------------------------------------------------------------


def thirty_digit_mean(q: float):
    """E f(d) for tanh: the trapezoidal rule, which converges geometrically for f that is analytic about the real axis."""
    step = mp.mpf(1) / 64
    z = [step * i for i in range(64 * 12)]
    d = [mp.sech(mp.sqrt(q) * v) ** 4 for v in z]
    w = [2 * step * mp.npdf(v) * (mp.mpf(1) / 2 if i == 0 else 1) for i, v in enumerate(z)]
    return lambda f: mp.fsum(a * f(b) for a, b in zip(w, d, strict=True))


@pytest.mark.parametrize(("depth", "gaussian"), [(3, True), (8, False)])
def test_the_edge_in_thirty_digit_arithmetic(depth, gaussian):
    """Where ∂log z/∂log ζ = 0."""
    q = 0.5
    with mp.workdps(30):
        mean = thirty_digit_mean(q)

        def slope(zeta):
            m, s = mean(lambda d: d / (zeta - d)), mean(lambda d: d * zeta / (zeta - d) ** 2)
            return 1 + (depth - 1) * (1 - s / (m * (1 + m))) - (depth * s / (1 + m) if gaussian else 0)

        low, high = mp.mpf("1.2"), mp.mpf(40)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if slope(middle) < 0 else (low, middle)
        m = mean(lambda d: d / (low - d))
        level = low * (low * m / (1 + m)) ** (depth - 1) * ((1 + m) ** depth if gaussian else 1)
        level /= mean(lambda d: d) ** depth
    s = critical("tanh", depth, "gaussian" if gaussian else "orthogonal", q)
    assert s.edges[1] ** 2 == pytest.approx(float(level), rel=1e-12)


@pytest.mark.parametrize(("depth", "gaussian", "r"), [(4, True, 0.9), (4, False, 1.1), (64, False, 2.0)])
def test_density_in_thirty_digit_arithmetic(depth, gaussian, r):
    """A point of the curve: θ by bisection in mpmath, then λ, density and mass above from the definitions."""
    q = 0.5
    with mp.workdps(30):
        mean = thirty_digit_mean(q)

        def argument(theta):
            zeta = r * mp.expj(theta)
            m = mean(lambda d: d / (zeta - d))
            return theta + (depth - 1) * mp.arg(zeta * m / (1 + m)) + (depth * mp.arg(1 + m) if gaussian else 0)

        low, high = mp.mpf("0.2"), mp.pi
        for _ in range(56):
            middle = (low + high) / 2
            low, high = (middle, high) if argument(middle) < 0 else (low, middle)
        zeta = r * mp.expj(low)
        m = mean(lambda d: d / (zeta - d))
        level = abs(zeta * (zeta * m / (1 + m)) ** (depth - 1) * ((1 + m) ** depth if gaussian else 1))
        over = mp.log(1 + m)
        g = depth * mean(lambda d: mp.log(1 - d / zeta)) + (depth - 1) * over + (depth * (m - over) if gaussian else 0)
    s = mf.jacobian_spectrum("tanh", 1.0, 0.0, depth, "gaussian" if gaussian else "orthogonal", q)
    x = math.sqrt(float(level))
    assert s.density(x) == pytest.approx(float(-m.imag / mp.pi) * 2.0 / x, rel=1e-9)
    assert s.cdf(x) == pytest.approx(1.0 - float(g.imag / mp.pi), abs=1e-11)


# ---- itself by another way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "depth", "weights", "q"),
    [
        ("tanh", 4, "gaussian", 0.5),
        ("erf", 16, "orthogonal", 0.3),
        ("relu", 3, "gaussian", 1.0),
        ("gelu", 8, "orthogonal", 1.0),
        ("selu", 2, "gaussian", 1.0),
    ],
)
def test_density_integrates_to_one_and_to_the_moments(name, depth, weights, q):
    s = critical(name, depth, weights, q)
    zero = sum(atom.mass for atom in s.atoms)
    mass, first, second, third = integrals(s, 0, 1, 2, 3)
    assert mass == pytest.approx(1.0 - zero, abs=1e-8)
    assert first == pytest.approx(s.mean, rel=1e-8)
    assert second - first**2 == pytest.approx(s.variance, rel=1e-7)
    assert second == pytest.approx(s.moment(2), rel=1e-8)
    assert third == pytest.approx(s.moment(3), rel=1e-8)


def test_moments_are_exact_at_any_depth():
    s = critical("erf", 100_000, "orthogonal", 0.02)
    q = mp.mpf("0.02")  # d = (4/π) exp(−2x²): E d² /(E d)² = (1 + 4q)/√(1 + 8q)
    assert s.variance / s.mean**2 == pytest.approx(float(100_000 * ((1 + 4 * q) / mp.sqrt(1 + 8 * q) - 1)), rel=1e-12)
    assert s.mean == pytest.approx(1.0, rel=1e-10)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", ["relu", "hardtanh", "tanh"])
def test_mean_log(name, weights):
    """E[log s²; s > 0] in closed form against the quantiles' mean."""
    s = critical(name, 3, weights, 0.8)
    zero = sum(atom.mass for atom in s.atoms if atom.value == 0.0)
    nodes, masses = np.polynomial.legendre.leggauss(200)
    # Both ends of the quantile function are infinite or steep: p = sin² φ. hard tanh has an atom, where it bends.
    phi = 0.25 * math.pi * (1.0 + nodes)
    p = np.sin(phi) ** 2
    total = float(np.sum(0.25 * math.pi * masses * np.sin(2.0 * phi) * s.log_quantile(zero + (1.0 - zero) * p)))
    assert total == pytest.approx(s.mean_log, rel=5e-4)


def test_mean_is_chi_to_the_depth():
    net = mf.MeanField("silu", 1.7, 0.3)
    for depth in (1, 10, 1000):
        assert net.jacobian_spectrum(depth).mean == pytest.approx(net.chi_1**depth, rel=1e-12)
    trajectory = net.propagate(12, q=1.0)
    assert net.jacobian_spectrum(12, q="trajectory").mean == pytest.approx(float(trajectory.gradient[0]), rel=1e-12)


@pytest.mark.parametrize(("name", "sigma_w", "depth"), [("mish", 1.4, 30), ("gelu", 1.5, 32), ("tanh", 1.2, 12)])
def test_the_edge_of_many_unequal_orthogonal_layers_is_the_least_real_z(name, sigma_w, depth):
    """λ_max = min over m > 0 of z = (1 + m)/m Π σ_w² ζ_l m/(1 + m), with m = E[d/(ζ_l − d)] (S-transforms), by sums over a grid of x."""
    net = mf.MeanField(name, sigma_w=sigma_w, sigma_b=0.1)
    s = net.jacobian_spectrum(depth, "orthogonal", "trajectory")
    q = net.propagate(depth, q=1.0).q1
    x = np.linspace(-9.0, 9.0, 6001)
    density = np.exp(-(x**2) / 2.0)
    laws = []
    for variance in q[:-1] if np.prod(sigma_w**2 * mf.second_moment(name, q[:-1], 1)) == pytest.approx(s.mean, rel=1e-9) else q[1:]:
        laws.append(np.asarray(mf.activation(name).derivative(np.sqrt(variance) * x)) ** 2)
    assert np.prod([sigma_w**2 * (d @ density) / density.sum() for d in laws]) == pytest.approx(s.mean, rel=1e-10)

    def log_z(u):
        total = -u + np.log1p(np.exp(u))
        for d in laws:
            zeta = brentq(
                lambda v, d=d: np.log(((d / (d.max() * (1 + np.exp(v)) - d)) @ density) / density.sum()) - u, -8.0, 40.0, xtol=1e-13
            )
            total += np.log(sigma_w**2 * d.max() * (1 + np.exp(zeta))) + u - np.log1p(np.exp(u))
        return total

    found = minimize_scalar(log_z, bounds=(-8.0, 0.5), method="bounded", options={"xatol": 1e-7})
    assert 2.0 * np.log(s.edges[1]) == pytest.approx(found.fun, abs=1e-9)


def test_a_trajectory_that_stands_still_is_equal_layers():
    edge = mf.edge_of_chaos_curve("tanh", 1.0)
    along = mf.jacobian_spectrum("tanh", edge.sigma_w, edge.sigma_b, 6, q="trajectory")
    still = mf.jacobian_spectrum("tanh", edge.sigma_w, edge.sigma_b, 6, q=1.0)
    assert along.edges[1] == pytest.approx(still.edges[1], rel=1e-9)
    x = np.linspace(0.2, 3.0, 7)
    np.testing.assert_allclose(along.density(x), still.density(x), rtol=1e-8)


def test_unequal_layers_with_equal_laws_are_equal_layers():
    from meanfield.theory.spectrum.equal_layers import EqualLayers
    from meanfield.theory.spectrum.unequal_layers import UnequalLayers

    law = slope_law(mf.activation("tanh"), 0.4)
    x = np.array([-3.0, -1.0, 0.5, 1.5])
    for gaussian in (True, False):
        split, whole = UnequalLayers([(law, 2), (law, 3)], gaussian), EqualLayers(law, 5, gaussian)
        np.testing.assert_allclose(split.density(x), whole.density(x), rtol=1e-9)
        np.testing.assert_allclose(split.above(x), whole.above(x), atol=1e-10)


# ---- networks of layers that differ ----------------------------------------------------------------------------------


def haar(rng: np.random.Generator, after: int, before: int) -> np.ndarray:
    """Orthonormal columns or rows, with the sign fix."""
    q, r = np.linalg.qr(rng.standard_normal((max(after, before), min(after, before))))
    q = q * np.sign(np.diag(r))
    return q if after >= before else q.T


def matrix(rng: np.random.Generator, weights: str, after: int, before: int) -> np.ndarray:
    """Entries of variance 1/before."""
    if weights == "gaussian":
        return rng.standard_normal((after, before)) / math.sqrt(before)
    return haar(rng, after, before) * math.sqrt(max(after, before) / before)


def distance(values: np.ndarray, law: mf.JacobianSpectrum) -> float:
    """Kolmogorov's, above 0."""
    cdf, steps = np.asarray(law.cdf(np.sort(values))), np.arange(values.size + 1) / values.size
    there = np.sort(values) > 1e-9
    return max(float(np.max((steps[1:] - cdf)[there])), float(np.max((cdf - steps[:-1])[there])))


BLOCK = mf.layers.Residual("tanh", mf.layers.Dense(0.6), skip=0.9)


def test_residual_blocks_of_the_reference():
    want = REFERENCE["isometry"]["residual|tanh|L=8|c=0.5|gaussian"]
    block = mf.layers.Residual("tanh", mf.layers.Dense(math.sqrt(want["sigma_w2"])))
    s = mf.MeanField(block).jacobian_spectrum(8, q=want["q"])
    assert s.edges[1] ** 2 == pytest.approx(want["s2_max"], rel=1e-9)
    assert s.mean == pytest.approx(want["m1"], rel=1e-12)
    assert s.variance / s.mean**2 == pytest.approx(want["relvar"], rel=1e-12)


def test_the_mean_of_residual_blocks_is_the_gradients():
    s = mf.MeanField(BLOCK).jacobian_spectrum(3, "orthogonal", 0.8)
    assert s.mean == pytest.approx((0.81 + 0.36 * float(mf.second_moment("tanh", 0.8, 1))) ** 3, rel=1e-13)
    along = mf.MeanField(BLOCK).jacobian_spectrum(4, q="trajectory")
    assert along.mean == pytest.approx(float(mf.MeanField(BLOCK).propagate(4, q=1.0).gradient[0]), rel=1e-12)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_residual_blocks_against_matrices(weights):
    """Kolmogorov's distance to explicit products is O(L/N); 6(L + 1)/N bounds it, as for plain layers."""
    width, depth, q, rng = 300, 3, 0.8, np.random.default_rng(5)
    product = np.eye(width)
    for _ in range(depth):
        slopes = 1.0 - np.tanh(math.sqrt(q) * rng.standard_normal(width)) ** 2
        product = (0.9 * np.eye(width) + 0.6 * matrix(rng, weights, width, width) * slopes) @ product
    law = mf.MeanField(BLOCK).jacobian_spectrum(depth, weights, q)
    assert distance(np.linalg.svd(product)[1], law) < 6.0 * (depth + 1) / width


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("widths", [(300, 150), (150, 300), (200, 400, 150, 300)])
def test_widths_against_matrices(widths, weights):
    q, rng = 0.8, np.random.default_rng(6)
    product = np.eye(widths[0])
    for before, after in itertools.pairwise(widths):
        slopes = 1.0 - np.tanh(math.sqrt(q) * rng.standard_normal(before)) ** 2
        product = 1.2 * matrix(rng, weights, after, before) * slopes @ product
    law = mf.jacobian_spectrum("tanh", 1.2, 0.0, len(widths) - 1, weights, q, widths)
    values = np.linalg.svd(product)[1]
    zero = float(np.mean(values <= 1e-9))
    assert zero == pytest.approx(sum(atom.mass for atom in law.atoms), abs=1e-12)
    # One widening layer with orthonormal columns is a sample of independent slopes.
    alone = len(widths) == 2 and weights == "orthogonal"
    assert distance(values, law) < (2.0 / math.sqrt(values.size) if alone else 6.0 * len(widths) / min(widths))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: mf.MeanField(BLOCK).jacobian_spectrum(3, "gaussian", 0.8),
        lambda: mf.MeanField(mf.layers.Residual("relu", mf.layers.Dense(0.3))).jacobian_spectrum(6, "orthogonal", 0.8),
        lambda: mf.MeanField(mf.layers.Residual("gelu", mf.layers.Dense(0.4))).jacobian_spectrum(3, "orthogonal", "trajectory"),
        lambda: mf.jacobian_spectrum("tanh", 1.2, 0.1, 3, "gaussian", 0.8, (300, 600, 200, 400)),
        lambda: mf.jacobian_spectrum("relu", 1.2, 0.1, 2, "orthogonal", 0.8, (400, 200, 400)),
    ],
)
def test_densities_of_layers_that_differ_integrate_to_their_moments(ask):
    """Moments by Lagrange inversion, the density by the curve; E log s² in closed form."""
    s = ask()
    found = integrals(s, 0, 1, 2, 3, order=14, panels=13)
    assert found[0] == pytest.approx(1.0 - sum(atom.mass for atom in s.atoms), abs=1e-8)
    assert found[1:] == pytest.approx([s.mean, s.moment(2), s.moment(3)], rel=2e-9)
    assert s.variance == pytest.approx(s.moment(2) - s.mean**2, rel=1e-11)
    zero = sum(atom.mass for atom in s.atoms)
    nodes, masses = np.polynomial.legendre.leggauss(40)
    phi = 0.25 * math.pi * (1.0 + nodes)
    parts = np.asarray(s.log_quantile(zero + (1.0 - zero) * np.sin(phi) ** 2))
    assert float(np.sum(0.25 * math.pi * masses * np.sin(2.0 * phi) * parts)) == pytest.approx(s.mean_log, abs=1e-6)


def test_large_branches_have_a_mean_log():
    """Branches with E s² > 1 push eigenvalues of 1 + X over the unit circle: Jensen's formula, against quantiles."""
    s = mf.MeanField(mf.layers.Residual("tanh", mf.layers.Dense(2.5))).jacobian_spectrum(1, q=0.8)
    nodes, masses = np.polynomial.legendre.leggauss(40)
    phi = 0.25 * math.pi * (1.0 + nodes)
    total = float(np.sum(0.25 * math.pi * masses * np.sin(2.0 * phi) * np.asarray(s.log_quantile(np.sin(phi) ** 2))))
    assert s.mean_log == pytest.approx(total, abs=1e-5)
    assert s.mean_log > 0.1


def test_one_widening_of_linear_layers_is_marchenko_pastur():
    s = mf.jacobian_spectrum("linear", 1.0, 0.0, 1, "gaussian", 1.0, (100, 300))
    ends = ((math.sqrt(3.0) - 1.0), (math.sqrt(3.0) + 1.0))
    assert s.edges == pytest.approx(ends, rel=1e-9)
    x = np.linspace(ends[0], ends[1], 21)[1:-1]
    low, high = ends[0] ** 2, ends[1] ** 2
    density = np.sqrt((high - x * x) * (x * x - low)) / (math.pi * x)
    np.testing.assert_allclose(s.density(x), density, rtol=1e-8)


def test_residual_networks_tend_to_the_smooth_law():
    """L → ∞ at c = L x fixed: e^c times the smooth law with σ₀² = 2c [Tarnowski et al. 2019]."""
    c, gaps = 0.25, []
    for depth in (16, 64, 256):
        slope = float(mf.second_moment("tanh", 0.7, 1))
        block = mf.layers.Residual("tanh", mf.layers.Dense(math.sqrt(c / depth / slope)))
        s = mf.MeanField(block).jacobian_spectrum(depth, q=0.7)
        gaps.append(math.exp(0.5 * c) * smooth_limit_edges(2.0 * c)[1] / s.edges[1] - 1.0)
    assert gaps[0] > 3.0 * gaps[1] > 9.0 * gaps[2] > 0.0


def test_an_isolated_atom_along_a_trajectory():
    """The band below it, and the atom, add up."""
    s = mf.jacobian_spectrum("hardtanh", 0.7, 0.05, 4, "orthogonal", "trajectory")
    assert len(s.atoms) == 2
    path = mf.MeanField("hardtanh", 0.7, 0.05).propagate(4, q=1.0, c=1.0).q1[:-1]
    assert s.atoms[1].mass == pytest.approx(1.0 - sum(math.erfc(1.0 / math.sqrt(2.0 * q)) for q in path), rel=1e-10)
    mass, first, second = integrals(s, 0, 1, 2, order=14, panels=13)
    assert mass == pytest.approx(1.0 - s.atoms[0].mass - s.atoms[1].mass, abs=1e-8)
    value, left = s.atoms[1]
    assert first + left * value**2 == pytest.approx(s.mean, rel=1e-9)
    assert second + left * value**4 == pytest.approx(s.moment(2), rel=1e-9)


def test_layers_that_relu_makes_equal_are_one_group():
    along = mf.jacobian_spectrum("relu", 1.2, 0.1, 5, "orthogonal", "trajectory")
    still = mf.jacobian_spectrum("relu", 1.2, 0.1, 5, "orthogonal", 1.0)
    assert along.edges == still.edges
    assert len(along.q) == 5


def test_an_edge_beside_an_atom_keeps_its_digits():
    """Two orthogonal layers of ReLU, s = 2 cos(φ/2): P(s > 2 cos(φ/2)) = φ/2π, down to φ = 1e-4, and θ there is φ/2."""
    s = mf.jacobian_spectrum("relu", math.sqrt(2.0), 0.0, 2, "orthogonal")
    phi = np.geomspace(1e-3, 1.0, 7)
    levels = math.log(4.0) + 2.0 * np.log(np.cos(0.5 * phi))
    np.testing.assert_allclose(s.log_density(levels), 1.0 / (2.0 * math.pi * np.tan(0.5 * phi)), rtol=3e-9)


@pytest.mark.parametrize(("name", "sigma_w", "depth", "weights"), [("tanh", 1.3, 3, "gaussian"), ("erf", 1.5, 4, "orthogonal")])
def test_the_lower_tail_along_a_trajectory_keeps_its_mass(name, sigma_w, depth, weights):
    """Beside m = −1, where log m no longer tells 1 + m."""
    s = mf.jacobian_spectrum(name, sigma_w, 0.2, depth, weights, "trajectory")
    assert integrals(s, 0, order=14, panels=13)[0] == pytest.approx(1.0, abs=1e-9)


def test_the_lower_end_of_very_many_layers_keeps_its_mass():
    """Of 10⁵ orthogonal layers the curve ends within the reach of Z: 2·10⁻⁵ of the mass lies on its last bend."""
    s = critical("tanh", 100_000, "orthogonal", 0.1)
    low = float(s._curve._tables[0][2][0])
    assert integrals(s, 0)[0] == pytest.approx(1.0, abs=1e-8)
    assert 1.0 - float(s._curve.above(np.array([low + 1e-4]))[0]) < 1e-8


def test_newton_arrives_beside_a_pole():
    """Half of the slopes of SELU are one number: of two layers the density goes to infinity at its square like |log s² − pole|^(−1/2)."""
    from meanfield.theory.spectrum.kernels import at_levels

    s = critical("selu", 2, "orthogonal", 100.0)
    law, (grid, angle, level, _) = s._curve.law, s._curve._tables[0]
    pole, off = 2.0 * math.log(float(law.atoms[-1])), np.array([1e-6, 1e-8, 1e-10])
    for side in (-1.0, 1.0):
        rows = np.empty((3, 2))
        assert at_levels(pole + side * off, grid, angle, level, 2.0, 0.0, law.packed, True, rows) == 0  # none by brackets
        assert rows[:, 0] * np.sqrt(off) == pytest.approx(rows[1, 0] * math.sqrt(off[1]), rel=2e-3)
        assert abs(rows[0, 1] - rows[2, 1]) == pytest.approx(2.0 * rows[0, 0] * off[0] - 2.0 * rows[2, 0] * off[2], rel=1e-2)


def test_the_lower_tail_keeps_its_mass():
    """Where |φ'| is nearly constant Gaussian layers are nearly linear: cdf against Fuss–Catalan's own, down to 1e-9."""
    near = mf.jacobian_spectrum("tanh", 1.0, 0.0, 2, "gaussian", 1e-10)
    linear = mf.jacobian_spectrum("linear", 1.0, 0.0, 2, "gaussian", 1.0)
    levels = np.array([-40.0, -50.0, -58.0])
    np.testing.assert_allclose(1.0 - near._curve.above(levels), 1.0 - linear._curve.above(levels), rtol=1e-4)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: mf.jacobian_spectrum("tanh", 1.0, 0.1, 2, widths=(3, 4)), "depth \\+ 1 = 3"),
        (lambda: mf.jacobian_spectrum("tanh", 1.0, 0.1, 2, widths=(3, 4, 0)), "widths has 0"),
        (lambda: mf.MeanField(mf.layers.Residual("tanh", mf.layers.Dense(0.6))).jacobian_spectrum(2), "'trajectory'"),
        (lambda: mf.MeanField(BLOCK).jacobian_spectrum(2, q=1.0, widths=(3, 4, 3)), "does not change its width"),
        (lambda: mf.MeanField(mf.layers.Residual("hardtanh", mf.layers.Dense(0.3))).jacobian_spectrum(2, q=9.0), "more than half"),
    ],
)
def test_bad_arguments_of_layers_that_differ(ask, told):
    with pytest.raises(mf.DomainError, match=told):
        ask()


def test_slopes_are_followed_as_far_out_as_their_mean_lies():
    """exp: E φ'² = e^{2q}, which lies at Z = 2√q."""
    assert slope_law(mf.activation("exp"), 100.0).mean == pytest.approx(math.exp(200.0), rel=1e-11)


def test_answers_do_not_depend_on_company():
    s = critical("gelu", 8, "orthogonal", 1.0)
    x = np.linspace(0.01, 3.0, 9)
    np.testing.assert_array_equal(s.density(x), [s.density(float(v)) for v in x])
    np.testing.assert_array_equal(s.cdf(x), [s.cdf(float(v)) for v in x])
    p = np.array([0.1, 0.5, 0.9])
    np.testing.assert_array_equal(s.quantile(p), [s.quantile(float(v)) for v in p])
    assert isinstance(s.density(1.0), float)
    assert s.density(x.reshape(3, 3)).shape == (3, 3)


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_smooth_and_bernoulli_limits():
    """Pennington, Schoenholz, Ganguli (2018): the true edges tend to the limit's, as 1/√L and 1/L."""
    low, high = smooth_limit_edges(0.25)
    assert (low**2, high**2) == pytest.approx(tuple(REFERENCE["closed_form"]["smooth limit sigma0^2=1/4"]), rel=1e-12)
    gaps = [high - mf.isometry_point("tanh", depth).s_max for depth in (64, 1024, 16384)]
    assert gaps[0] > 2.0 * gaps[1] > 4.0 * gaps[2] > 0.0
    edge, (value, mass) = bernoulli_limit(0.25)
    want = REFERENCE["closed_form"]["bernoulli limit sigma0^2=1/4"]
    assert (edge**2, value**2, mass) == pytest.approx((want["band_edge"], want["atom_at"], want["atom_mass"]), rel=1e-12)
    point = mf.isometry_point("hardtanh", 16384)
    s = mf.jacobian_spectrum("hardtanh", point.sigma_w, point.sigma_b, 16384, "orthogonal", point.q)
    assert s.atoms[1].mass == pytest.approx(mass, abs=1e-4)
    assert s.atoms[1].value == pytest.approx(value, rel=1e-4)
    assert s.bands[0][1] == pytest.approx(edge, rel=1e-3)


# ---- isometry --------------------------------------------------------------------------------------------------------


def test_isometry_point_of_the_reference():
    want = REFERENCE["isometry"]["tanh|64"]
    point = mf.isometry_point("tanh", 64)
    assert point.q == pytest.approx(want["q"], rel=1e-11)
    assert point.sigma_w == pytest.approx(want["sigma_w"], rel=1e-12)
    assert point.sigma_b == pytest.approx(want["sigma_b"], rel=1e-10)
    assert point.s_max**2 == pytest.approx(want["s2_max"], rel=1e-9)
    assert point.stable


@pytest.mark.parametrize(
    ("name", "q", "sigma_w", "sigma_b"), [("erf", 0.02416, 0.906905, 0.0041386), ("hardtanh", 0.119991, 1.001951, 0.0198531)]
)
def test_isometry_points(name, q, sigma_w, sigma_b):
    point = mf.isometry_point(name, depth=64, variance=0.25)
    assert (point.q, point.sigma_w, point.sigma_b) == pytest.approx((q, sigma_w, sigma_b), rel=3e-4)
    s = mf.jacobian_spectrum(name, point.sigma_w, point.sigma_b, 64, "orthogonal", point.q)
    assert (s.mean, s.variance) == (pytest.approx(1.0, rel=1e-11), pytest.approx(0.25, rel=1e-10))
    assert s.edges[1] == point.s_max


@pytest.mark.parametrize("name", ["relu", "selu", "leaky_relu", "abs", "linear"])
def test_no_isometry(name):
    with pytest.raises(mf.DomainError, match="no isometry"):
        mf.isometry_point(name, depth=64)


# ---- catalogue -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize(
    ("name", "depth", "q"),
    [
        ("softplus", 2, 0.1),
        ("mish", 8, 1.0),
        ("hardswish", 64, 1.0),
        ("sin", 1000, 1.0),
        ("erf", 8, 100.0),
        ("tanh", 100_000, 1e-6),
        ("tanhshrink", 1, 1.0),
        ("leaky_relu", 8, 1.0),
        ("prelu", 2, 1.0),
        ("relu6", 64, 1.0),
        ("squared_relu", 2, 1.0),
        ("softsign", 1, 1e-6),
        ("exp", 1, 100.0),
        ("snake", 1, 1.0),
        ("isrlu", 2, 1e-6),
    ],
)
def test_nothing_fails(name, depth, q, weights):
    """A sample of tests/theory/survey_spectra.py."""
    assert complaints(name, weights, depth, q) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"activation": "sign"}, "jumps"),
        ({"sigma_w": 0.0}, "sigma_w = 0.0"),
        ({"depth": 0}, "depth = 0"),
        ({"depth": True}, "depth = True"),
        ({"depth": 2.5}, "depth = 2.5"),
        ({"weights": "uniform"}, "weights = 'uniform'"),
        ({"q": -1.0}, "q = -1.0"),
        ({"q": "fixed"}, "q = 'fixed'"),
        ({"q": [1.0, 2.0]}, "shape"),
    ],
)
def test_bad_arguments_are_named(arguments, told):
    given = {"activation": "tanh", "sigma_w": 1.0, "sigma_b": 0.1, "depth": 3} | arguments
    with pytest.raises(mf.DomainError, match=told):
        mf.jacobian_spectrum(**given)


def test_bad_questions_are_named():
    s = mf.jacobian_spectrum("hardtanh", 1.0, 0.02, 8, "orthogonal")
    for question, told in (
        (lambda: s.density(-1.0), "x = -1.0"),
        (lambda: s.quantile(1.5), "p = 1.5"),
        (lambda: s.moment(40), "k = 40"),
        (lambda: s.at_width(1), "width = 1"),
        (lambda: s.at_width(100), "square root"),
    ):
        with pytest.raises(mf.DomainError, match=told):
            question()


def test_it_is_plain_data():
    import copy
    import pickle

    s = mf.jacobian_spectrum("tanh", 1.3, 0.2, 8)
    assert copy.deepcopy(s).edges == s.edges
    assert pickle.loads(pickle.dumps(s)).quantile(0.5) == s.quantile(0.5)
    assert s == mf.jacobian_spectrum(s.activation, 1.3, 0.2, 8)
    assert len(repr(s)) < 2500
    assert "quantiles" in str(s)


def test_widths_leave_isolated_singular_values_only_where_enough_units_are_linear():
    """Widths 100, 60, 60 and |φ'| = 1 with probability p: 100 − 40 − 160(1 − p) directions pass through all layers unchanged."""
    for saturated, served in ((0.45, True), (0.36, False)):
        q = float(mp.mpf(1) / (2 * mp.erfinv(1 - mp.mpf(saturated)) ** 2))  # P(|h| > 1)
        if served:
            s = mf.jacobian_spectrum("hardtanh", 1.0, 0.0, 2, "orthogonal", q, widths=(100, 60, 60))
            assert s.atoms[0].mass == pytest.approx(1.0 - min(100 * (1 - saturated), 60 * (1 - saturated)) / 60.0, abs=1e-12)
        else:
            with pytest.raises(mf.DomainError, match="isolated singular values"):
                mf.jacobian_spectrum("hardtanh", 1.0, 0.0, 2, "orthogonal", q, widths=(100, 60, 60))
