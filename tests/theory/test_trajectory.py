"""Propagation of two inputs: references, and the maps applied layer by layer."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield.solve.decorrelation_path import pieces_of
from tests.reference_activations import SPECS

REFERENCE = json.loads((Path(__file__).parent.parent / "reference" / "visible.json").read_text())["activations"]
TRAJECTORIES = [n for n, e in REFERENCE.items() if "eps" in (e.get("trajectory") or {})]


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_references_on_the_edge_of_chaos(name: str) -> None:
    record = REFERENCE[name]["trajectory"]
    spec, parameters = SPECS[name]
    net = mf.MeanField(mf.activation(spec, **parameters), float(record["sw"]), float(record["sb"]))
    path = net.propagate(10_000, q=float(record.get("q", 1.0)), hold_variance=True)
    for layer, exact in record["eps"].items():
        assert path.epsilon[int(layer)] == pytest.approx(float(exact), rel=1e-9, abs=0.0), layer
    assert path.gradient == pytest.approx(np.ones(10_001), rel=1e-9)


def _layer_by_layer(net: mf.MeanField, depth: int, q1: float, q2: float, c: float) -> tuple[list[float], list[float], list[float]]:
    first, second, correlations = [q1], [q2], [c]
    weight, bias = net.sigma_w**2, net.sigma_b**2
    for _ in range(depth):
        a, b = first[-1], second[-1]
        product = bias + weight * mf.covariance(net.activation, a, b, correlations[-1])
        first.append(net.variance_map(a))
        second.append(net.variance_map(b))
        correlations.append(max(-1.0, min(1.0, product / math.sqrt(first[-1] * second[-1]))))
    return first, second, correlations


@given(
    st.sampled_from(["tanh", "relu", "elu", "hardtanh", "sign", "sin", "silu", "softplus"]),
    st.floats(0.3, 2.5),
    st.floats(0.05, 1),
    st.floats(0.2, 4),
    st.sampled_from([1.0, 0.5, 3.0]),
    st.floats(-1, 1),
)
@settings(deadline=None, max_examples=30)
def test_equals_the_maps_layer_by_layer(name: str, sigma_w: float, sigma_b: float, q: float, ratio: float, c: float) -> None:
    net = mf.MeanField(name, sigma_w, sigma_b)
    path = net.propagate(12, q=(q, ratio * q), c=c)
    first, second, correlations = _layer_by_layer(net, 12, q, ratio * q, c)
    assert path.q1 == pytest.approx(first, rel=1e-12)
    assert path.q2 == pytest.approx(second, rel=1e-12)
    # Where φ jumps or gradients grow, rounding grows as well.
    slack = 1e-7 if name == "sign" else 1e-12 * max(1.0, 3.0 ** (2 * sigma_w))
    assert path.c == pytest.approx(correlations, abs=slack)


def test_long_transients_are_interpolated_exactly() -> None:
    """Critical tanh: the variance never settles; each of these layers against the decorrelation map at its own variance."""
    net = mf.MeanField("tanh", 1.0, 0.0)
    path = net.propagate(20_000)
    assert path.q1[20_000] * 2 * 20_000 == pytest.approx(1.0, rel=1e-3)
    for layer in (3, 40, 100, 333, 2_000, 19_999):
        after = net.decorrelation_map(path.epsilon[layer], q=path.q1[layer])
        assert path.epsilon[layer + 1] == pytest.approx(after, rel=1e-11, abs=0.0)


def test_slow_kinked_transient() -> None:
    sigma_b = 1e-3
    edge = mf.edge_of_chaos("elu", sigma_b)
    net = mf.MeanField("elu", edge.sigma_w, sigma_b)
    path = net.propagate(3_000)
    for layer in (30, 100, 333, 1_000, 2_999):
        assert path.epsilon[layer + 1] == pytest.approx(net.decorrelation_map(path.epsilon[layer], q=path.q1[layer]), rel=1e-11, abs=0.0)


def test_gradient_conventions() -> None:
    net = mf.MeanField("tanh", 1.5, 0.3)
    path = net.propagate(6, q=(2.0, 0.1))
    slopes = [net.sigma_w**2 * mf.second_moment("tanh", q, derivative=1) for q in path.q1]
    assert path.gradient == pytest.approx([math.prod(slopes[layer:6]) for layer in range(7)], rel=1e-13)
    assert path.gradient[-1] == 1.0
    assert net.propagate(0).gradient.tolist() == [1.0]
    # Overflow and underflow are inf and 0.
    assert mf.MeanField("tanh", 4.0, 0.3).propagate(2_000).gradient[0] == math.inf
    assert mf.MeanField("tanh", 0.5, 0.3).propagate(2_000).gradient[0] == 0.0
    # Back-propagation sees φ' almost everywhere: nothing for sign, the slope 1 of the outer parts for hardshrink.
    assert mf.MeanField("sign", 1.5, 0.1).propagate(3).gradient.tolist() == [0.0, 0.0, 0.0, 1.0]
    shrink = mf.MeanField("hardshrink", 1.0, 0.0).propagate(1, q=1.0)
    assert shrink.gradient[0] == pytest.approx(math.erfc(0.5 / math.sqrt(2)), rel=1e-12)


def test_relu_keeps_every_variance() -> None:
    net = mf.MeanField("relu", math.sqrt(2), 0.0)
    path = net.propagate(10**6, q=3.7)
    assert (path.q1 == 3.7).all()
    assert (path.gradient == 1.0).all()
    assert path.epsilon[10**6] * 1e12 == pytest.approx(4.5 * math.pi**2, rel=1e-3)


def test_a_million_layers_are_quick() -> None:
    edge = mf.edge_of_chaos("silu", 0.2)
    net = mf.MeanField("silu", edge.sigma_w, 0.2)
    net.propagate(100, q=edge.q, hold_variance=True)
    start = time.perf_counter()
    path = net.propagate(10**6, q=edge.q, hold_variance=True)
    assert time.perf_counter() - start < 1.0  # 0.05 s on an idle machine
    assert path.epsilon[-1] * 1e6 == pytest.approx(6.35914, rel=1e-4)


def test_hold_variance() -> None:
    edge = mf.edge_of_chaos("silu", 0.2)
    assert edge.status == "repelling"
    net = mf.MeanField("silu", edge.sigma_w, 0.2)
    held = net.propagate(500, q=edge.q, hold_variance=True)
    assert (held.q1 == edge.q).all()
    free = net.propagate(500, q=edge.q * (1 + 1e-6))
    assert abs(free.q1[-1] / edge.q - 1) > 0.1
    pair = net.propagate(5, q=(0.3, 0.6), hold_variance=True)
    assert (pair.q1 == 0.3).all()
    assert (pair.q2 == 0.6).all()
    product = net.sigma_b**2 + net.sigma_w**2 * mf.covariance("silu", 0.3, 0.6, 0.5)
    assert pair.c[1] == pytest.approx(product / math.sqrt(net.variance_map(0.3) * net.variance_map(0.6)), rel=1e-12)


def test_tiny_decorrelations_keep_their_digits() -> None:
    net = mf.MeanField("tanh", 2.0, 0.3)
    path = net.propagate(10, epsilon=1e-30)
    assert path.epsilon[0] == 1e-30
    product = 1e-30
    for layer in range(10):
        product *= net.sigma_w**2 * path.q1[layer] * mf.second_moment("tanh", path.q1[layer], derivative=1) / path.q1[layer + 1]
    assert path.epsilon[10] == pytest.approx(product, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("name", ["tanh", "hardtanh"])
def test_starts_end_in_the_stable_point(name: str) -> None:
    net = mf.MeanField(name, 2.5, 0.3)
    for q, c in ((1.0, 0.999), (0.1, -0.9), ((0.1, 9.0), 0.2), (50.0, -1.0)):
        assert net.propagate(400, q=q, c=c).c[-1] == pytest.approx(net.c_star, abs=1e-11)
    assert net.propagate(400, c=1.0).epsilon[-1] == 0.0


def test_zero_and_infinity() -> None:
    fading = mf.MeanField("tanh", 0.5, 0.0).propagate(600)
    assert fading.q1[-1] == 0.0
    assert fading.epsilon[-1] == pytest.approx(fading.epsilon[300], rel=1e-12, abs=0.0)  # the identity
    growing = mf.MeanField("relu", 2.0, 0.1).propagate(1_200, q=(1.0, 2.0))
    assert growing.q1[-1] == math.inf
    assert growing.epsilon[-1] == pytest.approx(4.5 * math.pi**2 / 1_200**2, rel=0.05)
    assert not any(np.isnan(a).any() for a in (growing.c, growing.epsilon, growing.gradient, fading.c, fading.gradient))
    with pytest.raises(mf.DomainError, match="not defined"):
        mf.MeanField("tanh", 1.0, 0.0).propagate(5, q=(0.0, 1.0))


def test_reads_well() -> None:
    text = str(mf.MeanField("tanh", 1.3, 0.2).propagate(100))
    assert text.splitlines()[0].split() == ["layer", "q1", "q2", "c", "1", "-", "c", "gradient"]
    assert text.splitlines()[-1].split()[0] == "100"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": -1}, "depth = -1"),
        ({"depth": 1.5}, "depth = 1.5"),
        ({"depth": 3, "q": -1.0}, "q = -1"),
        ({"depth": 3, "q": (1.0, 2.0, 3.0)}, "pair"),
        ({"depth": 3, "c": 1.5}, "c = 1.5"),
        ({"depth": 3, "epsilon": -0.1}, "epsilon = -0.1"),
        ({"depth": 3, "c": 0.1, "epsilon": 0.1}, "one of the two"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(mf.DomainError, match=message):
        mf.MeanField("tanh", 1.0, 0.1).propagate(**arguments)  # type: ignore[arg-type]


def test_divergence_of_a_steep_activation_is_told_and_not_hidden() -> None:
    net = mf.MeanField("x**2", 1.2, 0.0)
    with pytest.warns(mf.AccuracyWarning, match="passes 1e280 at layer 9"):
        path = net.propagate(12)
    assert np.isfinite(path.q1[:9]).all()
    assert np.isinf(path.q1[9:]).all()
    # φ(x) = x²: f(c) = (1 + 2c²)/3 at every variance, and c = ½ is its fixed point.
    assert path.c[:9] == pytest.approx(np.full(9, 0.5), abs=1e-12)
    assert np.isnan(path.c[9:]).all()


@pytest.mark.filterwarnings("ignore:the variance passes 1e280")
@pytest.mark.parametrize(("sigma_w", "sigma_b", "q"), [(0.6, 0.0, 1.0), (0.9, 0.3, (1.0, 2.0))])
def test_a_scale_of_the_function_changes_nothing_up_to_overflow(sigma_w: float, sigma_b: float, q: Any) -> None:
    # x³ overflows in 0.001 x³ before the product does: it once ended the trajectory in an error.
    plain = mf.MeanField("x**3", sigma_w, sigma_b).propagate(12, q=q, c=0.5)
    scaled = mf.MeanField("(0.001)*(x**3)", 1000 * sigma_w, sigma_b).propagate(12, q=q, c=0.5)
    assert np.isnan(plain.c).tolist() == np.isnan(scaled.c).tolist()
    assert np.isnan(plain.c[8:]).all()
    # E[x³y³] = q1 q2 √(q1 q2) (9c + 6c³), V = 15 q³: exact.
    q1, q2 = (q, q) if isinstance(q, float) else q
    c = 0.5
    for layer in range(1, 5):
        covariance = sigma_b**2 + sigma_w**2 * (q1 * q2) ** 1.5 * (9 * c + 6 * c**3)
        q1, q2 = (sigma_b**2 + sigma_w**2 * 15 * v**3 for v in (q1, q2))
        c = covariance / (q1 * q2) ** 0.5
        for path in (plain, scaled):
            assert path.q1[layer] == pytest.approx(q1, rel=1e-11)
            assert path.c[layer] == pytest.approx(c, abs=1e-12)


@pytest.mark.parametrize(("name", "sigma_w", "sigma_b"), [("tanh", 2.0, 0.3), ("tanh", 1.0, 0.4), ("gelu", 1.2, 0.4), ("selu", 0.8, 0.2)])
def test_near_c_1_off_the_edge_each_layer_is_the_maps_own(name: str, sigma_w: float, sigma_b: float) -> None:
    """Where χ₁ is not 1 a standing variance's recursion follows 1 − f(1 − ε), of relative accuracy however small ε is."""
    net = mf.MeanField(name, sigma_w, sigma_b)
    q = float(net.q_star)
    assert abs(net.chi_1 - 1.0) > 0.02
    path = net.propagate(60, q=q, epsilon=1e-9, hold_variance=True).epsilon
    np.testing.assert_allclose(path[1:], sigma_w**2 / q * mf.decorrelation(name, q, path[:-1]), rtol=1e-11)


def test_a_path_from_one_is_looked_up_on_one_piece() -> None:
    assert pieces_of(np.array([1.0, 0.9, 0.5])).tolist() == [-1, -1, -1]
    assert pieces_of(np.array([1.0, 1.1])).tolist() == [0, 0]
    assert pieces_of(np.array([1.0, 0.9, 1.1])).tolist() == [0, -1, 0]
    assert pieces_of(np.array([4.0, 4.0])).tolist() == [1, 1]
    assert pieces_of(np.array([1.0, 0.9, 0.2])).tolist() == [-1, -1, -2]


@pytest.mark.parametrize("formula", ["tanh", "gelu", "hardtanh"])
def test_the_first_layers_from_one_are_those_of_the_map(formula: str) -> None:
    net = mf.MeanField(formula, 1.1, 0.3)
    way = net.propagate(30, q=1.0, c=0.5)
    for layer in range(4):
        after = net.decorrelation_map(float(way.epsilon[layer]), q=float(way.q1[layer]))
        assert way.epsilon[layer + 1] == pytest.approx(after, rel=1e-12)


def test_a_gradient_is_one_all_along_the_edge() -> None:
    edge = mf.edge_of_chaos("tanh", 0.1)
    net = mf.MeanField("tanh", float(edge.sigma_w), 0.1)
    np.testing.assert_array_equal(net.propagate(50, q=float(edge.q), c=0.5).gradient, np.ones(51))
    off = mf.MeanField("tanh", 1.01 * float(edge.sigma_w), 0.1)
    assert off.propagate(50, q=off.q_star, c=0.5).gradient[0] == pytest.approx(off.chi_1**50, rel=1e-12)


def test_a_start_beside_the_fixed_point_moves() -> None:
    net = mf.MeanField("tanh", 1.3, 0.2)
    start = net.q_star * (1.0 + 1e-4)
    way = net.propagate(5, q=start, c=0.5)
    assert way.q1[1] == net.variance_map(start) != start
    assert (net.propagate(5, q=net.q_star, c=0.5).q1 == net.q_star).all()
