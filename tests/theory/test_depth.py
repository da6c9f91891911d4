"""Layers until correlations have settled, counted exactly."""

from __future__ import annotations

import math
import time
import warnings

import numpy as np
import pytest

import meanfield as mf


@pytest.mark.parametrize("name", ["tanh", "silu", "hardtanh", "elu"])
@pytest.mark.parametrize("threshold", [0.1, 1e-2, 1e-3])
def test_agrees_with_the_trajectory(name: str, threshold: float) -> None:
    edge = mf.edge_of_chaos(name, 0.2)
    depth = mf.propagation_depth(name, sigma_b=0.2, threshold=threshold)
    path = mf.MeanField(name, edge.sigma_w, 0.2).propagate(int(depth), q=edge.q, hold_variance=True)
    assert path.epsilon[-1] < threshold <= path.epsilon[-2]


def test_off_the_edge() -> None:
    net = mf.MeanField("tanh", 2.5, 0.3)
    depth = mf.propagation_depth("tanh", sigma_b=0.3, sigma_w=2.5, c0=-0.5, threshold=1e-6)
    path = net.propagate(int(depth), q=net.q_star, c=-0.5, hold_variance=True)
    distance = np.abs(path.epsilon - net.epsilon_star)
    assert distance[-1] < 1e-6 <= distance[-2]
    # One decade more takes ξ_c log 10 layers.
    more = mf.propagation_depth("tanh", sigma_b=0.3, sigma_w=2.5, c0=-0.5, threshold=1e-9)
    assert more - depth == pytest.approx(net.depth_scales.xi_c * math.log(1e3), abs=1.01)


def test_ten_million_layers_and_more() -> None:
    start = time.perf_counter()
    beta = mf.asymptotics("tanh", 0.2).constant
    for threshold in (beta / 1e7, beta / 1e8):  # counted one by one; integrated
        depth = mf.propagation_depth("tanh", sigma_b=0.2, threshold=threshold)
        assert depth == pytest.approx(beta / threshold, rel=2e-3)
    assert time.perf_counter() - start < 20
    # Both roads at the same place.
    from meanfield.solve.angle_recursion import recursion_at
    from meanfield.theory.depth import _remaining

    edge = mf.edge_of_chaos("tanh", 0.2)
    recursion = recursion_at(edge.activation, edge.q, edge.sigma_w**2 / edge.q)
    x = recursion.iterate(0.5, 1_000_000)
    assert _remaining(recursion, 2 * x[100_000] ** 2, 0.0, 2 * x[-1] ** 2) == pytest.approx(900_000, rel=1e-5)


def test_never_and_at_once() -> None:
    assert mf.propagation_depth("tanh", sigma_b=0.0) == math.inf  # the identity at q = 0
    assert mf.propagation_depth("linear", sigma_b=0.0) == math.inf
    assert mf.propagation_depth("tanh", sigma_b=0.3, sigma_w=2.5, c0=1.0) == math.inf  # the unstable fixed point
    assert mf.propagation_depth("tanh", sigma_b=0.2, c0=1.0) == 0.0
    assert mf.propagation_depth("tanh", sigma_b=0.5, sigma_w=0.0) == 1.0
    assert mf.propagation_depth("relu", sigma_b=0.1, sigma_w=2.0) == mf.propagation_depth(
        "relu", sigma_b=0.0
    )  # q* = inf: the map of the slopes


def test_broadcasts() -> None:
    out = mf.propagation_depth("tanh", sigma_b=[[0.1], [0.3]], sigma_w=[0.8, 1.2, 2.0])
    assert out.shape == (2, 3)
    assert out[1, 2] == mf.propagation_depth("tanh", sigma_b=0.3, sigma_w=2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma_b": -1.0}, "sigma_b"),
        ({"sigma_b": 0.1, "c0": 2.0}, "c0"),
        ({"sigma_b": 0.1, "threshold": 0.0}, "threshold"),
        ({"sigma_b": 0.1, "c0": [0.1, 0.2]}, "c0"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(mf.DomainError, match=message):
        mf.propagation_depth("tanh", **arguments)  # type: ignore[arg-type]
    with pytest.raises(mf.DomainError, match="edge of chaos"):
        mf.propagation_depth("softplus", sigma_b=0.1)


@pytest.mark.parametrize(
    ("formula", "sigma_w", "sigma_b"), [("cos(2*x)", 1.5, 0.2), ("x**2*exp(-x**2/2)", 4.0, 0.1), ("sin(3*x+1)", 2.0, 0.3)]
)
def test_no_layer_behind_the_answer_differs(formula, sigma_w, sigma_b):
    """Where f falls for c < 0 the sequence could leave again; it does not, since f has no negative coefficient."""
    net = mf.MeanField(formula, sigma_w, sigma_b)
    for c0 in (-0.99, -0.6, -0.2, 0.9):
        for threshold in (0.4, 0.1, 1e-3):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                depth = int(mf.propagation_depth(formula, sigma_b=sigma_b, sigma_w=sigma_w, c0=c0, threshold=threshold))
            c = net.propagate(depth + 200, q=net.q_star, c=c0, hold_variance=True).c
            differs = np.flatnonzero(np.abs(c - net.c_star) >= threshold)
            assert depth == (differs[-1] + 1 if differs.size else 0)


def test_a_start_that_happens_to_be_near_says_so():
    c_star = mf.MeanField("tanh", 2.5, 0.3).c_star
    with pytest.warns(UserWarning, match=r"c0 = 0\.12 lies within threshold = 0\.01 of c\* = 0\.122104 of tanh at sigma_b = 0\.3"):
        assert mf.propagation_depth("tanh", sigma_b=0.3, sigma_w=2.5, c0=0.12) == 0.0
    with pytest.warns(UserWarning, match="and at 1 points more") as caught:
        mf.propagation_depth("tanh", sigma_b=0.3, sigma_w=[2.5, 2.5, 1.0], c0=round(c_star, 3))
    assert len(caught) == 1
    assert mf.propagation_depth("tanh", sigma_b=0.3, sigma_w=1.0, c0=1.0) == 0.0  # c* itself: no chance, and no warning


def test_sigmas_go_by_keyword_only():
    with pytest.raises(TypeError):
        mf.propagation_depth("tanh", 1.3, 0.2)  # type: ignore[misc]
