"""φ that oscillates many times within reach of the Gaussian: sin, cos and Gaussians have closed forms."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy.optimize import brentq

import meanfield as mf
from meanfield.expectation import angle_ratios
from meanfield.expectation.angle_profile import angle_of
from meanfield.expectation.angle_ratios import AngleRatios, OppositeLosses
from meanfield.expectation.moments import moment_table
from meanfield.expectation.smoothing import Smoother
from meanfield.expectation.two_inputs import decorrelations_at

S = np.array([0.002, 0.05, 0.3, 0.6, 0.8, 0.97])
FAR_TOO_WIDE = 1e5


def loss_of_sine(q: float, epsilon: np.ndarray) -> np.ndarray:
    """½E[(sin u − sin v)²] = ½(1 − e^(−qε) − e^(−2q) + e^(−q(2 − ε)))."""
    return 0.5 * (-np.expm1(-q * epsilon) - math.exp(-2 * q) + np.exp(-q * (2 - epsilon)))


@pytest.mark.parametrize("q", [30.0, 1e3, 5e3, 2e5])
def test_losses_of_sine(q: float) -> None:
    ratios = AngleRatios(mf.activation("sin"), np.array([q]))
    assert ratios.usable
    theta = angle_of(S, q)
    epsilon = 2 * np.sin(0.5 * theta) ** 2
    # Beyond √q = 100 the doubles themselves leave sin(x) no more digits than |x| ulp.
    np.testing.assert_allclose(ratios(theta[None, :])[0] * epsilon, loss_of_sine(q, epsilon), rtol=max(1e-12, 1e-14 * math.sqrt(q)))


@pytest.mark.parametrize(("name", "shift"), [("sin(x - 1)", 1.0), ("sin", 0.0)])
@pytest.mark.parametrize("q", [1.0, 30.0, 5e3])
def test_losses_of_sine_at_the_other_end(name: str, shift: float, q: float) -> None:
    losses = OppositeLosses(mf.activation(name), q)
    assert losses.usable
    theta = angle_of(S, q)
    c = -np.cos(theta)
    # E[sin(u − s) sin(v − s)] = ½(e^(−q(1 − c)) − e^(−q(1 + c)) cos 2s)
    same, opposite = math.cos(2 * shift), 2 * np.cos(0.5 * theta) ** 2
    expected = 0.5 * (1 - math.exp(-2 * q) * same) - 0.5 * (np.exp(-q * opposite) - np.exp(-q * (1 + c)) * same)
    np.testing.assert_allclose(losses(theta[None, :])[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["relu(x - 1)", "clip(x - 3, -1, 1)", "tanh(20*(x - 1))", "sign(x - 2)"])
@pytest.mark.parametrize("q", [1.0, 30.0, 1e4])
def test_features_on_one_side_and_the_other_end(name: str, q: float) -> None:
    act = mf.activation(name)
    theta = angle_of(S, q)
    losses = OppositeLosses(act, q)
    assert losses.usable
    expected = decorrelations_at(act, q, 2 * np.cos(0.5 * theta) ** 2)
    np.testing.assert_allclose(losses(theta[None, :])[0], expected, rtol=0, atol=2e-12 * expected.max())


@pytest.mark.parametrize("q", [1.0, 1e4, 1e10])
def test_losses_of_a_gaussian_at_both_ends(q: float) -> None:
    act = mf.activation("exp(-x**2)")
    theta = angle_of(S, q)
    near = 2 * np.sin(0.5 * theta) ** 2
    # V − C = (1 + 4q)^(−½) − ((1 + 2q)² − 4q²c²)^(−½), even in c; (2q)²(1 − c²) = 4q² ε(2 − ε)
    a, b = 1 + 4 * q, 4 * q * q * near * (2 - near)
    expected = b / (math.sqrt(a) * np.sqrt(a + b) * (math.sqrt(a) + np.sqrt(a + b)))
    np.testing.assert_allclose(AngleRatios(act, np.array([q]))(theta[None, :])[0] * near, expected, rtol=1e-12)
    np.testing.assert_allclose(OppositeLosses(act, q)(theta[None, :])[0], expected, rtol=0, atol=1e-13 / math.sqrt(a))


@pytest.mark.parametrize("sigma_w", [5.0, 30.0, 100.0, 300.0])
def test_fixed_point_of_sine(sigma_w: float) -> None:
    net = mf.MeanField("sin", sigma_w, 1.0)
    q = brentq(lambda v: 1.0 + 0.5 * sigma_w**2 * -math.expm1(-2 * v) - v, 1.0, sigma_w**2, xtol=1e-14, rtol=1e-15)
    assert net.q_star == pytest.approx(q, rel=1e-12)

    def excess(c: float) -> float:  # c q = σ_b² + σ_w² e^(−q) sinh(qc)
        return 1.0 + 0.5 * sigma_w**2 * (math.exp(-q * (1 - c)) - math.exp(-q * (1 + c))) - c * q

    c = brentq(excess, 0.0, 0.5, xtol=1e-18, rtol=1e-15)
    assert net.c_star == pytest.approx(c, rel=1e-9, abs=1e-11)  # c is 1 − ε, and sin(x) at |x| ~ 2000 has 13 digits


def test_moments_of_sine_far_out() -> None:
    q = np.geomspace(1.0, 1e6, 40)
    np.testing.assert_allclose(mf.second_moment("sin", q), -0.5 * np.expm1(-2 * q), rtol=1e-12)


def test_no_panels_for_rounding() -> None:
    """Further out x itself has fewer digits: no finer panels than near 0 are wanted."""
    partition = moment_table(mf.activation("sin")).partition
    assert [partition.panels_in(shell) for shell in (5, 6, 8)] <= [64, 128, 256]


def test_steps_between_kinks_that_8_points_do_not_see() -> None:
    """At √q = 1000 the kinks at ±½ lie as close as u and v: the double integral over u − v and u + v, panel by panel."""
    q, epsilon, threshold = 1e6, 9.9e-7, 0.5
    apart, together = math.sqrt(2 * q * epsilon), math.sqrt(q * (1 - epsilon / 2))
    unit, weights = np.polynomial.legendre.leggauss(40)

    def panels(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half = 0.5 * np.diff(ends)[:, None]
        return (0.5 * (ends[1:] + ends[:-1])[:, None] + half * unit).ravel(), (half * weights).ravel()

    total = q * epsilon  # of the straight line; softshrink is x − clip(x, −½, ½)
    for d, weight in zip(*panels(np.union1d(np.linspace(0, 9 * apart, 61), [2 * threshold])), strict=True):
        s, mass = panels(np.unique([i * threshold + j * d / 2 for i in (-1, 1) for j in (-1, 1)]))
        step = np.clip(s + d / 2, -threshold, threshold) - np.clip(s - d / 2, -threshold, threshold)
        inner = float(mass @ ((0.5 * step - d) * step * np.exp(-0.5 * (s / together) ** 2))) / together
        total += weight * inner * math.exp(-0.5 * (d / apart) ** 2) / apart / math.pi
    assert mf.decorrelation("softshrink", q, epsilon) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("name", ["tanh", "gelu", "softsign", "softplus", "selu", "hardtanh", "x*sigmoid(1.7*x)"])
@pytest.mark.parametrize("q", [1e-3, 1.0, 1e8, 1e24])
def test_slope_at_the_end(name: str, q: float) -> None:
    """D → q ε V[φ'] as ε → 0: at ε = 1e-40 nothing is left of φ(u) − φ(v) itself."""
    epsilon = 1e-40
    assert mf.decorrelation(name, q, epsilon) == pytest.approx(q * epsilon * mf.second_moment(name, q, derivative=1), rel=1e-12, abs=0)


def test_too_many_features_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first sum: a look at where the nodes would lie tells."""
    for road in ("by_shared_nodes", "by_own_nodes"):
        monkeypatch.setattr(Smoother, road, lambda *_: pytest.fail("a sum was begun"))
    net = mf.MeanField("sin", FAR_TOO_WIDE, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.AccuracyWarning)
        assert net.q_star == pytest.approx(0.5 * FAR_TOO_WIDE**2, rel=0.1)
        for ask in (lambda: net.c_star, lambda: net.depth_scales, lambda: net.propagate(1000, q=net.q_star, c=0.3, hold_variance=True)):
            with pytest.raises(mf.ActivationError, match=r"sin has too many features within reach of N\(0, q\) at q = "):
                ask()


def test_a_diagram_has_nan_where_there_are_too_many_features() -> None:
    weights, biases = [0.5, 2.0, FAR_TOO_WIDE, 2 * FAR_TOO_WIDE], [0.0, 1.0]
    with pytest.warns(mf.AccuracyWarning) as caught:
        diagram = mf.phase_diagram("sin", weights, biases)
    assert any(str(w.message).startswith("sin has too many features within reach of N(0, q*) at 4 of 8 points: c* is nan") for w in caught)
    for lost in (diagram.epsilon_star, diagram.c_star, diagram.xi_c):
        assert np.isnan(lost[:, 2:]).all()
    for known in (diagram.q_star, diagram.chi_1, diagram.xi_q, diagram.xi_grad):
        assert np.isfinite(known).all()
    assert (diagram.phase[:, 2:] == 1).all()
    for b, w in np.ndindex(2, 2):
        assert diagram.c_star[b, w] == pytest.approx(mf.MeanField("sin", weights[w], biases[b]).c_star, rel=1e-9, abs=1e-12, nan_ok=True)


def test_the_table_of_a_diagram_has_gaps_where_there_are_too_many_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(angle_ratios, "MOST_WORK", 80_000_000)
    with pytest.warns(mf.AccuracyWarning, match=r"at 2 of 6 points: c\* is nan there"):
        diagram = mf.phase_diagram("sin(1.01*x)", [2.0, 10.0, 90.0], [0.5, 1.0])
    np.testing.assert_array_equal(np.isnan(diagram.c_star), [[False, False, True], [False, False, True]])
    assert (diagram.epsilon_star[:, :2] > 0).all()


def test_a_refusal_of_one_kind_of_table_does_not_refuse_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is answered must not depend on what was asked before: the other half of a map takes twice the work."""
    monkeypatch.setattr(angle_ratios, "MOST_WORK", 250_000_000)
    act = mf.activation("sin(1.02*x)")
    with pytest.raises(mf.ActivationError, match="too many features"):
        OppositeLosses(act, 5000.0)
    assert AngleRatios(act, np.array([6000.0])).usable


def test_samples_are_said_to_be_samples() -> None:
    for ask in (lambda: mf.covariance("sin", 1e12, 1.0, 0.3), lambda: mf.decorrelation("sin(1/x)", 1.0, 0.3)):
        with pytest.warns(mf.AccuracyWarning, match="relative error of about"):
            ask()


def test_samples_of_a_small_step() -> None:
    """Where φ oscillates on a panel its slopes there do not tell its variance."""
    with pytest.warns(mf.AccuracyWarning, match="relative error of about"):
        assert 0.25 < mf.decorrelation("sin", 1e12, 1e-10) < 1.0
