"""Published claims about networks of layers, each against a formula of its own, to the order that the claim has."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import dblquad, quad, solve_ivp
from scipy.optimize import brentq

import meanfield as mf
from meanfield import layers as L


def path(layer: L.Layer, times: int, c: float = 0.5) -> mf.Trajectory:
    return mf.Network(L.Repeat(layer, times)).propagate(c=c)


def gaussian(g, *breaks: float) -> float:
    """E g(Z), piecewise, by scipy."""
    ends = [-12.0, *sorted(breaks), 12.0]
    found = 0.0
    for low, high in pairwise(ends):
        found += quad(lambda z: g(z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), low, high, epsabs=1e-14, epsrel=1e-13, limit=200)[0]
    return found


def relu_covariance(c: float) -> float:
    """E φ(u)φ(v) of ReLU at variance 1 (Cho & Saul 2009)."""
    return (math.sqrt(1 - c * c) + c * (math.pi / 2 + math.asin(c))) / (2 * math.pi)


def test_relu_residual_networks_double_the_variance_and_the_gradient():
    """Yang & Schoenholz (2017): p and the gradient grow by 1 + σ_w²/2 a block, 2 at He's σ_w."""
    t = path(L.Residual("relu", L.Dense(2**0.5)), 60)
    np.testing.assert_allclose(t.q1, 2.0 ** np.arange(61), rtol=1e-13)
    np.testing.assert_allclose(t.gradient, 2.0 ** np.arange(60, -1, -1), rtol=1e-13)
    t = path(L.Residual("relu", L.Dense(0.8), scale=0.5), 60)
    np.testing.assert_allclose(t.q1, (1 + 0.25 * 0.32) ** np.arange(61), rtol=1e-13)


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1.0, 0.0), (1.0, 0.5)])
def test_tanh_residual_networks_grow_linearly_and_their_gradients_by_the_root(sigma_w, sigma_b):
    """Yang & Schoenholz (2017): p ~ s l with s = σ_w² + σ_b², log gradient ~ A√l with A = 2σ_w²∫φ'²/√(2πs).

    The next terms are of order √l and log l. With them, the growth from l/4 to l is right to order 1/l up to logarithms.
    """
    s = sigma_w**2 + sigma_b**2
    slopes = quad(lambda x: math.cosh(x) ** -4, -40, 40, epsabs=1e-13)[0]
    assert slopes == pytest.approx(4 / 3, rel=1e-12)
    a = 2 * sigma_w**2 * slopes / math.sqrt(2 * math.pi * s)
    lost = 2 * sigma_w**2 * 2 / math.sqrt(2 * math.pi * s)  # ∫(1 − tanh²) = 2: p = s l − lost·√l + …
    # log(1 + x) = x − x²/2 with x = a/(2√p/√s): ¼(a lost/s − a²/2) log l in all.
    b = 0.25 * a * lost / s - a * a / 8
    t = path(L.Residual("tanh", L.Dense(sigma_w, sigma_b)), 400)
    logs = np.log(t.gradient)
    for layer in (100, 400):
        quarter = layer // 4
        root = math.sqrt(layer) - math.sqrt(quarter)
        growth = (logs[quarter] - logs[layer]) / root
        assert growth == pytest.approx(a, rel=1.2 / math.sqrt(layer))
        assert growth == pytest.approx(a + b * math.log(4) / root, rel=4.0 / layer)
        assert t.q1[layer] == pytest.approx(s * layer, rel=3.0 / math.sqrt(layer))
        assert t.q1[layer] - t.q1[quarter] == pytest.approx(s * 0.75 * layer - lost * root, rel=3.0 / layer)


def test_stable_resnet_scaling():
    """Hayou et al. (2021): with branches scaled by 1/√L a ReLU network has a limit: dc/dτ = f(c) − c over τ in [0, 1]."""
    flow = solve_ivp(lambda _, c: 2 * relu_covariance(c[0]) - c[0], (0, 1), [0.5], rtol=1e-12, atol=1e-14)
    assert flow.y[0, -1] == pytest.approx(0.593229671432484, abs=1e-11)
    found = {}
    for depth in (20, 200, 2000):
        t = path(L.Residual("relu", L.Dense(2**0.5), scale=depth**-0.5), depth)
        found[depth] = float(t.c[-1])
        assert t.gradient[0] == pytest.approx((1 + 1 / depth) ** depth, rel=1e-12)
        # Euler's method for that flow: the error is of order 1/L.
        assert t.c[-1] == pytest.approx(flow.y[0, -1], abs=0.07 / depth)
    assert found[20] == pytest.approx(0.589997, abs=5e-7)
    assert 10 * (found[2000] - flow.y[0, -1]) == pytest.approx(found[200] - flow.y[0, -1], rel=0.01)


RELU = 2**0.5


def dropped(phi: str, rate: float) -> tuple[float, float]:
    """ε* and f'(c*) of dropout on the line of unchanged gradients, solved with scipy's quadratures from the recursion itself."""
    keep = 1.0 - rate
    if phi == "relu":
        c = brentq(lambda c: 2 * keep * relu_covariance(c) - c, 0.0, 1.0, xtol=1e-15)
        return 1.0 - c, keep * (1.0 / 2 + math.asin(c) / math.pi)
    edge = mf.edge_of_chaos("tanh", sigma_b=0.2)
    q, weight = float(edge.q), keep * float(edge.sigma_w) ** 2

    def c_map(c: float) -> float:
        return (0.04 + weight * float(mf.covariance("tanh", q, q, c))) / q

    c = brentq(lambda c: c_map(c) - c, 0.0, 1.0, xtol=1e-15)
    return 1.0 - c, weight * float(mf.covariance("tanh", q, q, c, derivative=1))


@pytest.mark.parametrize(("phi", "power"), [("tanh", 1 / 2), ("relu", 1 / 3)])
def test_dropout_moves_the_fixed_point(phi, power):
    """Schoenholz et al. (2017): with dropout c* < 1 and ξ_c is finite; ε* from δ, and ξ_c ~ rate^(−1/2) or, for kinks, rate^(−1/3).

    On the line of unchanged gradients. The laws' next terms are of relative order ε*^(1/2).
    """
    sigma_w, sigma_b = (float(mf.edge_of_chaos("tanh", sigma_b=0.2).sigma_w), 0.2) if phi == "tanh" else (RELU, 0.0)
    depth = {}
    for rate in (1e-3, 1e-4, 1e-5):
        epsilon, slope = dropped(phi, rate)
        depth[rate] = -1 / math.log(slope)
        layer = L.Sequence(phi, L.Dropout(rate), L.Dense((1 - rate) ** 0.5 * sigma_w, sigma_b))
        t = path(layer, math.ceil(30 * depth[rate]), c=1.0 - 1.5 * epsilon)
        assert t.epsilon[-1] == pytest.approx(epsilon, rel=1e-9)
        one = mf.Network(phi, L.Dropout(rate), L.Dense((1 - rate) ** 0.5 * sigma_w, sigma_b)).propagate(c=1.0 - 1.5 * epsilon)
        assert one.epsilon[-1] == pytest.approx(t.epsilon[1], rel=1e-12)  # layer by layer, not by the compiled recursion
        # Near the fixed point the distance shrinks by f'(c*) a layer.
        near = math.ceil(8 * depth[rate])
        ratio = (t.epsilon[near + 10] - epsilon) / (t.epsilon[near] - epsilon)
        assert ratio ** (1 / 10) == pytest.approx(slope, rel=1e-4 * (1 - slope) + 1e-6)
    assert dropped("tanh", 1e-4)[0] == pytest.approx(0.0254258, abs=5e-8)
    assert dropped("relu", 1e-4)[0] == pytest.approx(0.00479056, abs=5e-9)
    kappa = 2 * math.sqrt(2) / (3 * math.pi)  # ReLU: 1 − f(1 − ε) = ε − κ ε^(3/2) + …, with δ = rate: κε^(3/2) = δ
    if phi == "relu":
        for rate in (1e-3, 1e-5):
            assert dropped(phi, rate)[0] == pytest.approx((rate / kappa) ** (2 / 3), rel=(rate / kappa) ** (1 / 3))
            assert depth[rate] == pytest.approx(1 / (1.5 * kappa ** (2 / 3) * rate ** (1 / 3)), rel=(rate / kappa) ** (1 / 3))
    exponent = math.log(depth[1e-5] / depth[1e-4]) / math.log(10)
    assert exponent == pytest.approx(power, abs=0.01)


def batch_gradient(batch: int) -> float:
    """λ of batch normalisation and ReLU, both homogeneous: the sphere's integrals are those of Gaussians of correlation −1/(B − 1)."""
    n = batch - 1
    c = -1.0 / n
    off = relu_covariance(c)
    both = 0.25 + math.asin(c) / (2 * math.pi)
    first = batch * (0.5 * (1 - 1 / batch) - 0.5 / batch)
    second = (batch * 0.5 - (0.5 + n * both) - (0.5 + n * off)) / batch
    return batch / ((n - 2) * n * (0.5 - off)) * (first - second)


def test_batch_normalisation_explodes():
    """Yang et al. (2019): gradients grow by λ > 1 a layer, (B − 2)/(B − 3) for a linear network, and stay above π/(π − 1) for ReLU."""
    for batch in (4, 8, 32, 256):
        for phi, wanted in (("linear", (batch - 2) / (batch - 3)), ("relu", batch_gradient(batch))):
            t = path(L.Sequence(L.Dense(1.0), L.BatchNorm(batch), phi), 5)
            assert t.gradient[1] / t.gradient[2] == pytest.approx(wanted, rel=1e-11)
            # The factor that a `MeanField` gives is this one, wherever the block is said to begin.
            dense, normed, act = L.Dense(1.0, 0.3), L.BatchNorm(batch), L.Activation(phi)
            for block in ((dense, normed, act), (normed, act, dense), (act, dense, normed)):
                assert mf.MeanField(L.Sequence(*block)).chi_1 == pytest.approx(wanted, rel=1e-11)
        # The errors at a network's end sum to 0 over the batch too.
        end = path(L.Sequence(L.Dense(1.0), L.BatchNorm(batch)), 5)
        assert end.gradient[4] / end.gradient[5] == pytest.approx((batch - 2) / (batch - 3), rel=1e-12)
    wide = path(L.Sequence(L.Dense(1.0), L.BatchNorm(10**5), "relu"), 5)
    assert wide.gradient[1] / wide.gradient[2] == pytest.approx(math.pi / (math.pi - 1), rel=1e-4)
    assert batch_gradient(64) == pytest.approx(1.493063, abs=5e-7)
    # tanh, B = 16: density of y₁ and y₂ on the sphere, by scipy.
    n = 15
    root = math.sqrt(n)

    def average(g) -> float:
        def inside(b: float, a: float) -> float:
            first = root * math.sin(a)
            other = -first / n + root * math.sqrt(1 - 1 / n**2) * math.cos(a) * math.sin(b)
            return g(first, other) * math.cos(a) ** (n - 2) * math.cos(b) ** (n - 3)

        half = math.pi / 2
        return dblquad(inside, -half, half, -half, half, epsabs=1e-11, epsrel=1e-10)[0]

    size = average(lambda y, z: 1.0)
    slope = lambda y: math.cosh(y) ** -2  # noqa: E731
    d = average(lambda y, z: math.tanh(y) ** 2) / size
    o = average(lambda y, z: math.tanh(y) * math.tanh(z)) / size
    square = average(lambda y, z: slope(y) ** 2) / size
    weighted = average(lambda y, z: (y * slope(y)) ** 2) / size
    both = average(lambda y, z: slope(y) * slope(z)) / size
    moved = average(lambda y, z: y * z * slope(y) * slope(z)) / size
    batch = 16
    first_term = batch * (square * (1 - 1 / batch) - weighted / batch)
    second_term = (batch * square - (square + n * both) - (weighted + n * moved)) / batch
    wanted = batch / ((n - 2) * n * (d - o)) * (first_term - second_term)
    t = path(L.Sequence(L.Dense(1.0), L.BatchNorm(16), "tanh"), 5)
    assert t.gradient[1] / t.gradient[2] == pytest.approx(wanted, rel=1e-8)
    assert wanted == pytest.approx(1.246258, abs=5e-7)


def test_pre_norm_gradients_are_powers_of_the_depth_and_post_norm_ones_exponential():
    """De & Smith (2020), Doshi et al. (2023): pre-norm p = p₀ + s²l and gradient ~ (L/l)^(χ_F/s²); post-norm grows by a factor a layer.

    The power's next term is of relative order 1/l: from p₀ and from log(1 + χ/p) = χ/p − ….
    """
    v = gaussian(lambda z: math.tanh(z) ** 2)
    chi = gaussian(lambda z: math.cosh(z) ** -4)
    exponent = chi / v
    assert exponent == pytest.approx(1.178, abs=5e-4)
    weight = 1.3
    for phi, power, square in (("tanh", exponent, v), ("relu", 1.0, 0.5)):
        t = path(L.Residual(L.LayerNorm(), phi, L.Dense(weight)), 4000)
        np.testing.assert_allclose(t.q1, 1 + weight**2 * square * np.arange(4001), rtol=1e-12)
        for layer in (100, 1000):
            found = math.log(t.gradient[layer] / t.gradient[4 * layer]) / math.log(4)
            assert found == pytest.approx(power, rel=2.0 / layer)
        if phi == "relu":
            np.testing.assert_allclose(t.gradient, t.q1[-1] / t.q1, rtol=1e-12)
        post = path(L.Sequence(L.Residual(phi, L.Dense(weight)), L.LayerNorm()), 200)
        factor = (1 + weight**2 * power * square) / (1 + weight**2 * square)
        assert post.gradient[0] == pytest.approx(factor**200, rel=1e-10)


@pytest.mark.parametrize(
    ("phi", "function", "slope", "line"),
    [
        ("tanh", math.tanh, lambda z: math.cosh(z) ** -2, 0.0701084120504),
        ("erf", math.erf, lambda z: 2 / math.sqrt(math.pi) * math.exp(-z * z), 0.104851),
        ("relu", lambda z: max(z, 0.0), lambda z: float(z > 0), 0.0),
    ],
)
def test_layer_norm_s_critical_line(phi, function, slope, line):
    """Doshi et al. (2023): with LayerNorm before φ, χ = 1 on the line σ_b²/σ_w² = V[φ'](1) − V(1), whatever the size of the weights."""
    found = gaussian(lambda z: slope(z) ** 2, 0.0) - gaussian(lambda z: function(z) ** 2, 0.0)
    assert found == pytest.approx(line, abs=6e-7 if phi == "erf" else 1e-12)
    for sigma_w in (0.5, 2.0):
        for shift, sign in ((0.0, 0), (0.01, -1), (-0.01, 1)):
            ratio = found + shift
            if ratio < 0:
                continue
            layer = L.Sequence(L.LayerNorm(), phi, L.Dense(sigma_w, sigma_w * math.sqrt(max(ratio, 0.0))))
            t = path(layer, 100)
            growth = math.log(t.gradient[1]) / 99
            assert abs(growth) < 1e-12 if sign == 0 else growth * sign > 1e-3


def test_layer_norm_behind_relu():
    """φ → LayerNorm → W: factor π/(π − 1) a layer at σ_b = 0, and 1 on the line σ_b²/σ_w² = 1/(π − 1)."""
    for ratio, wanted in ((0.0, math.pi / (math.pi - 1)), (1 / (math.pi - 1), 1.0)):
        t = path(L.Sequence(L.Dense(1.2, 1.2 * ratio**0.5), "relu", L.LayerNorm()), 50)
        assert t.gradient[10] / t.gradient[11] == pytest.approx(wanted, rel=1e-12)
