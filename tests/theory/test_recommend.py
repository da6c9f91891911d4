"""The edge point for a depth, and the gain."""

from __future__ import annotations

import contextlib
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


def _criterion(name: str, depth: int, sigma_w: float, sigma_b: float, starts: tuple[float, ...] = (0.5, 1.0, 2.0)) -> tuple[float, ...]:
    """The formula of the docstring, by `propagate` alone."""
    net = mf.MeanField(name, sigma_w, sigma_b)
    paths = [(start, net.propagate(depth, q=start, c=0.5)) for start in starts]
    return (
        max(abs(math.log(path.q1[-1] / start)) for start, path in paths),
        max(abs(math.log(path.gradient[0])) for _, path in paths),
        max(abs(math.log(path.epsilon[-1] / 0.5)) for _, path in paths),
    )


@pytest.mark.parametrize(
    ("name", "depth", "variance"),
    [("tanh", 20, None), ("silu", 12, None), ("gelu", 40, None), ("arctan", 30, 9.0), ("hardtanh", 12, 0.3), ("relu", 60, None)],
)
def test_the_three_terms_are_what_propagate_gives(name: str, depth: int, variance: float | None) -> None:
    best = mf.recommend(name, depth, input_variance=variance)
    starts = tuple(part * (variance or 1.0) for part in (0.5, 1.0, 2.0))
    terms = (best.variance_change, best.gradient_change, best.correlation_change)
    assert terms == pytest.approx(_criterion(name, depth, best.sigma_w, best.sigma_b, starts), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize(("name", "depth"), [("tanh", 8), ("silu", 8)])
def test_minimises_the_criterion(name: str, depth: int) -> None:
    best = mf.recommend(name, depth)
    curve = mf.edge_of_chaos_curve(name, best.q * np.geomspace(0.3, 4.0, 8))
    others = [max(_criterion(name, depth, w, b)) for w, b in zip(curve.sigma_w, curve.sigma_b, strict=True)]
    assert best.cost <= min(others) * (1 + 1e-6)


# Of points by hand on the edge: what is kept, from a variance of ½, of differences and of the squared gradient after 300 layers.
RIVALS = {
    "gelu": (1.39863, 0.6, 3.4e-3, 0.28),
    "mish": (1.39343, 0.5, 7.5e-3, 0.27),
    "silu": (1.40273, 1.1, 1.2e-3, 0.20),
}


@pytest.mark.parametrize("name", RIVALS)
def test_points_by_hand_are_no_better(name: str) -> None:
    sigma_w, sigma_b, difference, gradient = RIVALS[name]
    path = mf.MeanField(name, sigma_w, sigma_b).propagate(300, q=0.5, c=0.5)
    assert path.epsilon[-1] / 0.5 == pytest.approx(difference, rel=0.03)
    assert path.gradient[0] == pytest.approx(gradient, rel=0.03)
    best = mf.recommend(name, 300)
    assert best.cost <= max(abs(math.log(path.q1[-1] / 0.5)), -math.log(path.gradient[0]), -math.log(path.epsilon[-1] / 0.5))


def test_the_reason_tells_what_propagate_gives_and_what_was_preferred() -> None:
    best = mf.recommend("gelu", 40)
    path = mf.MeanField("gelu", best.sigma_w, best.sigma_b).propagate(40, q=0.5, c=0.5)
    assert f"the variance grows by a factor of {path.q1[-1] / 0.5:.3g}" in best.reason
    assert f"the squared gradient shrinks by a factor of {1 / path.gradient[0]:.3g}" in best.reason
    assert f"differences between inputs shrink by a factor of {0.5 / path.epsilon[-1]:.3g}" in best.reason
    assert "With a larger sigma_b the gradient would change less, and the variance and differences more." in best.reason
    assert "the largest of the three is smallest is preferred" in best.reason


FUNCTIONS = ["tanh", "erf", "arctan", "softsign", "sin", "hardtanh", "elu", "selu", "celu", "silu", "gelu", "mish", "sigmoid", "relu6"]
FUNCTIONS += ["softshrink", "hardswish", "tanhshrink", "gaussian", "x*exp(-x**2)", "x+sin(x)"]


def _brute_force(name: str, depth: int, start: float) -> float:
    """The smallest criterion at points along the edge: held against `propagate` above and in the test below."""
    from meanfield.theory.signal_changes import SignalChanges, laws_at

    act = mf.activation(name)
    curve = mf.edge_of_chaos_curve(act, start * np.geomspace(1e-4, 1e3, 71))
    signals = SignalChanges(act, (0.5 * start, start, 2.0 * start), (depth,))
    smallest = math.inf
    for w, b, q, status in zip(curve.sigma_w, curve.sigma_b, curve.q, curve.status, strict=True):
        if status == "none" or max(max(map(abs, pair)) for pair in signals.sizes(depth, w, b)) >= smallest:
            continue
        found = signals.changes(depth, w, b, laws_at(act, w, q))
        smallest = min(smallest, max(max(abs(c.variance), abs(c.gradient), abs(c.difference)) for c in found))
    return smallest


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_point_of_the_edge_is_better(name: str) -> None:
    for depth in (10, 100, 300, 3000):
        with contextlib.suppress(mf.DomainError):
            assert mf.recommend(name, depth).cost <= _brute_force(name, depth, 1.0) + 0.02


@pytest.mark.parametrize("name", ["tanh", "gelu", "selu", "softsign"])
@pytest.mark.parametrize("variance", [0.01, 30.0])
def test_no_point_of_the_edge_is_better_for_other_inputs(name: str, variance: float) -> None:
    for depth in (10, 300):
        assert mf.recommend(name, depth, input_variance=variance).cost <= _brute_force(name, depth, variance) + 0.05


@pytest.mark.parametrize(("name", "depth"), [("gelu", 12), ("hardtanh", 12), ("selu", 12), ("sigmoid", 12), ("x+sin(x)", 8)])
def test_differences_followed_by_table_are_those_of_propagate(name: str, depth: int) -> None:
    from meanfield.theory.signal_changes import SignalChanges

    edge = mf.edge_of_chaos(name, 0.3)
    for sigma_w in (0.9 * edge.sigma_w, edge.sigma_w, 1.2 * edge.sigma_w):  # ordered, critical and chaotic
        path = mf.MeanField(name, sigma_w, 0.3).propagate(depth, q=1.7, c=0.5)
        (found,) = SignalChanges(mf.activation(name), (1.7,), (depth,)).changes(depth, sigma_w, 0.3, (0.0, 0.0))
        assert found.difference == pytest.approx(math.log(path.epsilon[-1] / 0.5), rel=1e-9)
        assert found.gradient == pytest.approx(math.log(path.gradient[0]), rel=1e-12, abs=1e-13)
        assert found.variance == pytest.approx(math.log(path.q1[-1] / 1.7), rel=1e-12)


SCALED = [
    ("tanh(x)", "tanh(30*x)"),
    ("sin(x)", "sin(30*x)"),
    ("x*(1+erf(x))", "x*30*(1+erf(30*x))"),
    ("clip(x, -1, 1)", "clip(30*x, -1, 1)"),
]


@pytest.mark.parametrize(("name", "steep"), SCALED)
@pytest.mark.parametrize("bias", [True, False])
def test_rescaled_inputs_rescale_the_advice(name: str, steep: str, bias: bool) -> None:
    # Layers of φ(kx) with σ_w/k, σ_b/k see k times what they pass on: k h is the h of φ.
    plain = mf.recommend(name, 40, bias=bias, input_variance=0.7)
    scaled = mf.recommend(steep, 40, bias=bias, input_variance=0.7 / 900)
    found = (scaled.sigma_w * 30, scaled.sigma_b * 30, scaled.q * 900)
    assert found == pytest.approx((plain.sigma_w, plain.sigma_b, plain.q), rel=1e-12)
    assert scaled.cost == pytest.approx(plain.cost, rel=1e-10)
    assert scaled.status == plain.status


@pytest.mark.parametrize("name", ["tanh(x)", "sin(x)", "x*(1+erf(x))", "clip(x, -1, 1)"])
@pytest.mark.parametrize("bias", [True, False])
def test_rescaled_outputs_rescale_the_weights(name: str, bias: bool) -> None:
    plain, scaled = (mf.recommend(f, 40, bias=bias) for f in (name, f"7*({name})"))
    assert (scaled.sigma_w * 7, scaled.sigma_b, scaled.q) == pytest.approx((plain.sigma_w, plain.sigma_b, plain.q), rel=1e-12)
    assert scaled.cost == pytest.approx(plain.cost, rel=1e-10)


def test_the_input_variance_is_one_where_it_is_left_out() -> None:
    assert mf.recommend("tanh", 30) == mf.recommend("tanh", 30, input_variance=1.0)
    assert mf.recommend("tanh", 30, input_variance=25.0).sigma_b > mf.recommend("tanh", 30).sigma_b
    assert mf.recommend("relu", 30, input_variance=25.0).q == 25.0


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan, "one", [1.0, 2.0], 1e-250])
def test_bad_input_variance(value: object) -> None:
    with pytest.raises(mf.DomainError, match="input_variance"):
        mf.recommend("tanh", 30, input_variance=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, 1, None, "no", 0.2])
def test_bad_bias(value: object) -> None:
    for function in (mf.recommend, mf.gain):
        with pytest.raises(mf.DomainError, match="bias"):
            function("tanh", 30, bias=value)  # type: ignore[arg-type]


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
        assert mf.gain("tanh", depth=4) == pytest.approx(1.0, rel=1e-14)
        assert mf.gain("linear") == pytest.approx(1.0, rel=1e-14)
        assert mf.gain(mf.activation("leaky_relu", negative_slope=0.2)) == pytest.approx(math.sqrt(2 / 1.04), rel=1e-14)
        assert mf.gain("erf", depth=4) == pytest.approx(math.sqrt(math.pi / 4), rel=1e-13)


@pytest.mark.parametrize(
    ("name", "weight", "variance", "gradient"),
    [("elu", 1.0, 6.6e-4, 8e-4), ("tanh", 1.0, 0.005, 0.007), ("selu", 0.690486, 2.9e-4, 4e-4), ("softsign", 1.0, 4e-5, 6e-5)],
)
def test_gain_says_what_is_lost_without_biases(name: str, weight: float, variance: float, gradient: float) -> None:
    path = mf.MeanField(name, weight, 0.0).propagate(100, epsilon=0.0)
    assert (path.q1[-1], path.gradient[0]) == pytest.approx((variance, gradient), rel=0.08)
    with pytest.warns(UserWarning, match=f"becomes {path.q1[-1]:.3g}, and the mean squared gradient {path.gradient[0]:.3g} times"):
        assert mf.gain(name, depth=100) == pytest.approx(weight, abs=1e-6)


@pytest.mark.parametrize(("name", "depth"), [("tanh", 30), ("elu", 100), ("gelu", 50), ("sin", 30), ("relu", 1000), ("softplus", 10)])
def test_gain_without_biases_keeps_variance_and_gradient_best(name: str, depth: int) -> None:
    def cost(sigma_w: float) -> float:
        path = mf.MeanField(name, sigma_w, 0.0).propagate(depth, epsilon=0.0)
        if not (0 < path.q1[-1] < math.inf and 0 < path.gradient[0] < math.inf):
            return math.inf
        return max(abs(math.log(path.q1[-1])), abs(math.log(path.gradient[0])))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = mf.gain(name, depth, bias=False)
    assert found == mf.recommend(name, depth, bias=False).sigma_w
    around = [cost(found * (1 + sign * step)) for step in (1e-9, 1e-6, 1e-4, 0.01, 0.1, 0.5) for sign in (-1, 1)]
    assert cost(found) <= min(around) + 1e-9
    assert cost(found) <= min(cost(w) for w in np.geomspace(found / 3, found * 3, 61)) + 1e-9


def test_gelu_without_biases() -> None:
    # The gain made for biases loses all without them.
    with pytest.warns(UserWarning, match="sigma_b"):
        biased = mf.gain("gelu", 100)
    assert mf.MeanField("gelu", biased, 0.0).propagate(100, epsilon=0.0).q1[-1] < 1e-28
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        free = mf.gain("gelu", 50, bias=False)
    assert free == pytest.approx(1.53335, abs=1e-5)
    path = mf.MeanField("gelu", free, 0.0).propagate(50, epsilon=0.0)
    assert 1 / 6 < path.q1[-1] < 1 < path.gradient[0] < 6
    best = mf.recommend("gelu", 50, bias=False)
    assert (best.sigma_b, best.q, best.status) == (0.0, 1.0, "repelling")
    assert "repel" in best.reason
    with pytest.warns(UserWarning, match="no sigma_w does better"):
        mf.gain("gelu", 200, bias=False)


def test_nothing_keeps_a_step_function_without_biases() -> None:
    with pytest.raises(mf.DomainError, match="sigma_b = 0"):
        mf.recommend("sign", 10, bias=False)


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
    module = importlib.import_module("meanfield.theory.signal_changes")
    followed: list[tuple[float, float, float]] = []
    original = module.variance_path

    def counted(act: object, weight: float, bias: float, start: float, depth: int, ceiling: float) -> object:
        if depth == 1000:  # those of the candidates: the search beside the best one is each depth's own
            followed.append((weight, bias, start))
        return original(act, weight, bias, start, depth, ceiling)

    monkeypatch.setattr(module, "variance_path", counted)
    advice = importlib.import_module("meanfield.theory.recommend")
    monkeypatch.setattr(advice, "_refined", lambda act, depth, start, point, terms: (point, terms))
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
    from meanfield.theory.signal_changes import law, laws_at

    depth = 3000
    edge = mf.edge_of_chaos(name, 0.0) if name == "relu" else mf.edge_of_chaos_curve(name, q)
    term = law(depth, 0.5, laws_at(mf.activation(name), float(edge.sigma_w), float(edge.q)))
    followed = mf.MeanField(name, float(edge.sigma_w), float(edge.sigma_b)).propagate(
        depth, q=float(edge.q), epsilon=0.5, hold_variance=True
    )
    assert term == pytest.approx(math.log(0.5 / followed.epsilon[-1]), rel=3e-3)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_the_law_takes_over_where_the_variance_stands_still(name: str) -> None:
    from meanfield.theory.signal_changes import SignalChanges, laws_at

    depth = 200_000
    edge = mf.edge_of_chaos(name, 0.0) if name == "relu" else mf.edge_of_chaos_curve(name, 1.0)
    point = float(edge.sigma_w), float(edge.sigma_b)
    act = mf.activation(name)
    (found,) = SignalChanges(act, (1.0,), (depth,)).changes(depth, *point, laws_at(act, point[0], 1.0))
    path = mf.MeanField(name, *point).propagate(depth, q=1.0, c=0.5)
    assert found.difference == pytest.approx(math.log(path.epsilon[-1] / 0.5), abs=2e-3)


def test_the_gain_says_where_it_holds_a_variance_that_repels() -> None:
    with pytest.warns(UserWarning, match="repels"):
        assert mf.gain("exp(x)", depth=50) == pytest.approx(math.exp(-1.0), rel=1e-12)
