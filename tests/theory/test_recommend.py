"""The edge point for a depth, and the gain."""

from __future__ import annotations

import importlib
import math
import warnings

import numpy as np
import pytest

import meanfield as mf
from meanfield.theory.recommend import recommend_each


@pytest.mark.parametrize("name", ["tanh", "elu", "silu", "hardtanh", "sigmoid", "sin"])
@pytest.mark.parametrize("depth", [10, 100, 1000])
def test_is_on_the_edge_of_chaos(name: str, depth: int) -> None:
    best = mf.recommend(name, depth)
    net = mf.MeanField(name, best.sigma_w, best.sigma_b)
    assert net.variance_map(best.q) == pytest.approx(best.q, rel=1e-12)
    assert best.sigma_w**2 * mf.second_moment(name, best.q, derivative=1) == pytest.approx(1.0, rel=1e-12)


def _criterion(name: str, depth: int, sigma_w: float, sigma_b: float, q: float) -> float:
    """The formula of the docstring, by the public maps alone, for φ without kinks."""
    net = mf.MeanField(name, sigma_w, sigma_b)
    worst = 0.0
    for start in (0.5, 1.0, 2.0):
        path = net.propagate(depth, q=start, epsilon=0.0)
        worst = max(worst, abs(math.log(path.q1[-1] / start)), abs(math.log(path.gradient[0])))
    beta = 2 / (sigma_w**2 * q * mf.second_moment(name, q, derivative=2))
    return max(worst, math.log1p(0.5 * depth / beta))


@pytest.mark.parametrize(("name", "depth"), [("tanh", 50), ("tanh", 400), ("silu", 12), ("silu", 150), ("arctan", 100)])
def test_minimises_the_criterion(name: str, depth: int) -> None:
    best = mf.recommend(name, depth)
    assert best.cost == pytest.approx(_criterion(name, depth, best.sigma_w, best.sigma_b, best.q), rel=1e-9)
    curve = mf.edge_of_chaos_curve(name, np.geomspace(1e-3, 200, 60))
    with np.errstate(over="ignore"):
        others = [
            _criterion(name, depth, w, b, q)
            for w, b, q, status in zip(curve.sigma_w, curve.sigma_b, curve.q, curve.status, strict=True)
            if status != "none" and math.isfinite(mf.MeanField(name, w, b).variance_map(q))
        ]
    assert best.cost <= min(others) * (1 + 1e-6)


def test_deeper_means_less_bias() -> None:
    biases = [mf.recommend("tanh", depth).sigma_b for depth in (10, 100, 1000, 10_000)]
    assert biases == sorted(biases, reverse=True)
    # β ~ 1/(2q²): variance lost and differences lost balance at q ~ L^(−1/3).
    q = [mf.recommend("tanh", depth).q for depth in (1000, 8000)]
    assert q[0] / q[1] == pytest.approx(2.0, rel=0.1)


def test_unstable_points_serve_shallow_networks_only() -> None:
    assert mf.recommend("silu", 10).status == "repelling"
    assert "unstable" in mf.recommend("silu", 10).reason
    deep = mf.recommend("silu", 300)
    assert deep.status == "attracting"
    assert deep.sigma_b > 0.74508
    path = mf.MeanField("silu", deep.sigma_w, deep.sigma_b).propagate(300, epsilon=0.0)
    assert path.q1[-1] < 100


def test_relu_has_one_point() -> None:
    best = mf.recommend("relu", 1000)
    assert (best.sigma_w, best.sigma_b, best.status) == (pytest.approx(math.sqrt(2)), 0.0, "neutral")
    assert (best.variance_change, best.gradient_change) == (pytest.approx(0.0, abs=1e-12), 0.0)
    assert "only point" in best.reason


@pytest.mark.parametrize("name", ["softplus", "sign"])
def test_no_edge_says_what_to_do(name: str) -> None:
    with pytest.raises(mf.DomainError, match="keeps a variance of 1"):
        mf.recommend(name, 100)


@pytest.mark.parametrize("depth", [0, -3, 2.5, 10**9])
def test_bad_depth(depth: float) -> None:
    with pytest.raises(mf.DomainError, match="depth"):
        mf.recommend("tanh", depth)  # type: ignore[arg-type]


def test_gain() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mf.gain("relu") == pytest.approx(math.sqrt(2), rel=1e-14)
        assert mf.gain("tanh") == pytest.approx(1.0, rel=1e-14)
        assert mf.gain("linear") == pytest.approx(1.0, rel=1e-14)
        assert mf.gain(mf.activation("leaky_relu", negative_slope=0.2)) == pytest.approx(math.sqrt(2 / 1.04), rel=1e-14)
        assert mf.gain("erf") == pytest.approx(math.sqrt(math.pi / 4), rel=1e-13)


@pytest.mark.parametrize("name", ["silu", "gelu", "mish"])
def test_gain_names_the_biases_it_needs(name: str) -> None:
    best = mf.recommend(name, 60)
    with pytest.warns(UserWarning, match=f"sigma_b = {best.sigma_b:.6g}"):
        assert mf.gain(name, depth=60) == best.sigma_w


@pytest.mark.parametrize("name", ["x**3", "exp"])
def test_steep_activations_end_and_say_what_it_costs(name: str) -> None:
    best = mf.recommend(name, depth=20)
    assert best.status == "repelling"
    assert best.variance_change < np.log(1e6)
    assert best.cost > 20.0
    assert "unstable" in best.reason


@pytest.mark.parametrize("name", ["tanh", "silu", "relu", "sigmoid", "x**3", "exp", "sign"])
def test_several_depths_at_once_give_the_same_bits(name: str) -> None:
    depths = (20, 100, 1000)
    found = recommend_each(name, depths)
    assert tuple(found) == depths
    for depth, best in found.items():
        if isinstance(best, mf.DomainError):
            with pytest.raises(mf.DomainError) as alone:
                mf.recommend(name, depth)
            assert str(alone.value) == str(best)
        else:
            assert mf.recommend(name, depth) == best


def test_several_depths_follow_each_path_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("meanfield.theory.recommend")
    followed: list[tuple[float, float, float]] = []
    original = module.variance_path

    def counted(act: object, weight: float, bias: float, start: float, depth: int, ceiling: float) -> object:
        if depth == 1000:  # those of the candidates: the search beside the best one is each depth's own
            followed.append((weight, bias, start))
        return original(act, weight, bias, start, depth, ceiling)

    monkeypatch.setattr(module, "variance_path", counted)
    monkeypatch.setattr(module, "_refined", lambda act, depth, point, changes: (point, changes))
    recommend_each("x**3", (20, 1000))
    assert len(followed) > 50
    assert len(followed) == len(set(followed))


def test_several_depths_are_checked() -> None:
    with pytest.raises(mf.DomainError, match="depth = 0"):
        recommend_each("tanh", (20, 0))


def test_attracting_points_are_mentioned_only_where_there_are_some() -> None:
    assert "what the attracting points do" in mf.recommend("silu", 10).reason
    assert "No point of the curve attracts" in mf.recommend("x**3", 20).reason


@pytest.mark.parametrize(("name", "q"), [("relu", 1.0), ("hardtanh", 1.0), ("selu", 1.0), ("tanh", 1.0), ("silu", 20.0), ("gelu", 20.0)])
def test_the_criterions_correlation_term_is_the_log_of_what_a_network_loses(name: str, q: float) -> None:
    # The laws 1/l² (kinks) and 1/l (smooth) against 3000 layers of the recursion itself, from ε = ½.
    from meanfield.theory.recommend import _changes, _Paths

    depth = 3000
    edge = mf.edge_of_chaos(name, 0.0) if name == "relu" else mf.edge_of_chaos_curve(name, q)
    point = float(edge.sigma_w), float(edge.sigma_b), float(edge.q)
    activation = mf.activation(name)
    term = _changes(activation, depth, _Paths(activation, depth), point)[2]
    followed = mf.MeanField(name, *point[:2]).propagate(depth, q=point[2], epsilon=0.5, hold_variance=True)
    assert term == pytest.approx(math.log(0.5 / followed.epsilon[-1]), rel=3e-3)
