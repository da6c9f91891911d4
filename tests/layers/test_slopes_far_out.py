"""φ whose slope oscillates however far out: E[φ'²] tends to the mean square of the oscillation, E[cos²] = ½, wherever FAR lies in it."""

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L
from meanfield.errors import ActivationError, DomainError
from meanfield.layers import limits


@pytest.mark.parametrize(
    ("formula", "mean_square", "growth"),
    [
        ("sin(x)", 0.5, 0.0),
        ("cos(x)", 0.5, 0.0),
        ("sin(30*x)", 450.0, 0.0),
        ("x+sin(x)", 1.5, 1.0),
        ("2*x+0.5*sin(3*x)", 4 + 9 / 8, 4.0),
        ("relu(x)+sin(x)", 1.0, 0.5),  # ½(E[(1 + cos)²] + E[cos²]) = ½(3/2 + 1/2)
        ("tanh(x)", 0.0, 0.0),
        ("relu(x)", 0.5, 0.5),
    ],
)
def test_mean_squares_of_slopes_far_out(formula: str, mean_square: float, growth: float) -> None:
    act = mf.activation(formula)
    assert limits.mean_square_slope(act, math.inf) == pytest.approx(mean_square, rel=1e-12)
    assert limits.growth(act) == pytest.approx(growth, rel=1e-11)


def test_a_feature_near_zero_dies_out() -> None:
    assert limits.mean_square_slope(mf.activation("sin(x)+tanh(x)"), math.inf) == pytest.approx(0.5, rel=1e-8)


def test_slopes_that_grow_and_oscillate_are_infinite() -> None:
    assert limits.mean_square_slope(mf.activation("x*cos(x)"), math.inf) == math.inf


@pytest.mark.parametrize("name", ["sin", "cos(x)"])
def test_residual_streams_of_oscillating_branches(name: str) -> None:
    net = mf.MeanField(L.Residual(name, L.Dense(1.3, 0.1)))
    assert net.q_star == math.inf
    assert net.chi_1 == pytest.approx(1 + 1.69 / 2, rel=1e-13)
    # each layer adds σ_w²/2 + σ_b², of which inputs with c < 1 share σ_b² alone
    assert net.c_star == pytest.approx(0.01 / (1.69 / 2 + 0.01), rel=1e-12)
    assert net.depth_scales.xi_grad == pytest.approx(-1 / math.log(1.845), rel=1e-12)
    law = net.depth_law
    assert law.variance.constant == pytest.approx(1.69 / 2 + 0.01, rel=1e-12)
    assert law.gradient.exponent == pytest.approx(math.log(1.845), rel=1e-12)


def test_variances_grow_by_the_line_and_gradients_by_the_slopes() -> None:
    net = mf.MeanField("x+sin(x)", sigma_w=1.2, sigma_b=0.1)
    assert (net.q_star, net.chi_1) == (math.inf, pytest.approx(1.44 * 1.5, rel=1e-12))
    scales = net.depth_scales
    assert scales.xi_q == pytest.approx(-1 / math.log(1.44), rel=1e-10)
    assert scales.xi_grad == pytest.approx(-1 / math.log(2.16), rel=1e-12)
    diagram = mf.phase_diagram("x+sin(x)", [0.6, 1.2], [0.1])
    assert diagram.chi_1[0, 1] == pytest.approx(2.16, rel=1e-12)
    assert diagram.variance_slope[0, 1] == pytest.approx(1.44, rel=1e-10)
    assert diagram.xi_q[0, 1] == pytest.approx(scales.xi_q, rel=1e-12)
    assert diagram.xi_grad[0, 1] == pytest.approx(scales.xi_grad, rel=1e-12)


def _raises(sigma_w: float, sigma_b: float) -> L.Dense:
    raise KeyError("no such width")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda w: L.Dense(w), r"takes two arguments, build\(sigma_w, sigma_b\); <lambda> takes 1"),
        (lambda w, b, c: L.Dense(w, b), r"build\(sigma_w, sigma_b\); <lambda> takes 3"),
        (_raises, r"build\(sigma_w, sigma_b\) raised KeyError at \(1\.0, 1\.0\): 'no such width'"),
        (lambda w, b: L.Dense(-w, b), r"build\(1\.0, 1\.0\) makes no layer: sigma_w = -1\.0 is out of range"),
        (lambda w, b: "tanh", r"build\(1\.0, 1\.0\) must return a layer, not str"),
    ],
)
def test_functions_that_build_no_layer(build: object, words: str) -> None:
    with pytest.raises(DomainError, match=words):
        mf.edge_of_chaos(build, sigma_b=0.1)
    with pytest.raises(DomainError, match=words):
        mf.phase_diagram(build, sigma_w=[1.0], sigma_b=np.array([0.1]))


def test_a_function_of_one_argument_that_fails_is_an_activation() -> None:
    def fails(x: object) -> object:
        raise ValueError("no")

    with pytest.raises(ActivationError, match="raised ValueError"):
        mf.edge_of_chaos(fails, sigma_b=0.1)
