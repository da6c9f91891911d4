"""Layers until correlations have settled, counted exactly."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

import meanfield as mf


@pytest.mark.parametrize("name", ["tanh", "silu", "hardtanh", "elu"])
@pytest.mark.parametrize("threshold", [0.1, 1e-2, 1e-3])
def test_agrees_with_the_trajectory(name: str, threshold: float) -> None:
    edge = mf.edge_of_chaos(name, 0.2)
    depth = mf.propagation_depth(name, 0.2, threshold=threshold)
    path = mf.MeanField(name, edge.sigma_w, 0.2).propagate(int(depth), q=edge.q, hold_variance=True)
    assert path.epsilon[-1] < threshold <= path.epsilon[-2]


def test_off_the_edge() -> None:
    net = mf.MeanField("tanh", 2.5, 0.3)
    depth = mf.propagation_depth("tanh", 0.3, 2.5, c0=-0.5, threshold=1e-6)
    path = net.propagate(int(depth), q=net.q_star, c=-0.5, hold_variance=True)
    distance = np.abs(path.epsilon - net.epsilon_star)
    assert distance[-1] < 1e-6 <= distance[-2]
    # One decade more takes ξ_c log 10 layers.
    more = mf.propagation_depth("tanh", 0.3, 2.5, c0=-0.5, threshold=1e-9)
    assert more - depth == pytest.approx(net.depth_scales.xi_c * math.log(1e3), abs=1.01)


def test_ten_million_layers_and_more() -> None:
    start = time.perf_counter()
    beta = mf.asymptotics("tanh", 0.2).constant
    for threshold in (beta / 1e7, beta / 1e8):  # counted one by one; integrated
        depth = mf.propagation_depth("tanh", 0.2, threshold=threshold)
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
    assert mf.propagation_depth("tanh", 0.0) == math.inf  # the identity at q = 0
    assert mf.propagation_depth("linear", 0.0) == math.inf
    assert mf.propagation_depth("tanh", 0.3, 2.5, c0=1.0) == math.inf  # the unstable fixed point
    assert mf.propagation_depth("tanh", 0.2, c0=1.0) == 0.0
    assert mf.propagation_depth("tanh", 0.5, 0.0) == 1.0
    assert mf.propagation_depth("relu", 0.1, 2.0) == mf.propagation_depth("relu", 0.0)  # q* = inf: the map of the slopes


def test_broadcasts() -> None:
    out = mf.propagation_depth("tanh", [[0.1], [0.3]], [0.8, 1.2, 2.0])
    assert out.shape == (2, 3)
    assert out[1, 2] == mf.propagation_depth("tanh", 0.3, 2.0)


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
        mf.propagation_depth("softplus", 0.1)
