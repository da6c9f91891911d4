"""Means over sites against a published value and Gram matrices of explicit sites."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L
from meanfield.layers.state import State

FILE = Path(__file__).parents[1] / "reference" / "layers.json"
REFERENCE = {entry["id"]: entry for entry in json.loads(FILE.read_text(encoding="utf-8"))["entries"]}


def test_two_relu_sites() -> None:
    """Variance 2 and correlation 0.3, from independent sites of variance 1 by weights and biases."""
    net = mf.Network(L.Dense(1.4**0.5, 0.6**0.5), "relu", L.AveragePool(2))
    assert net.propagate().q1[-1] == pytest.approx(REFERENCE["D3"]["value"], rel=1e-12)
    assert net.propagate().gradient[2] == 0.5


def relu(gram: np.ndarray) -> np.ndarray:
    size = np.sqrt(np.diag(gram))
    c = np.clip(gram / np.outer(size, size), -1.0, 1.0)
    result: np.ndarray = np.outer(size, size) * (np.sqrt(1 - c * c) + (math.pi - np.arccos(c)) * c) / (2 * math.pi)
    return result


@pytest.mark.parametrize(("q", "c"), [((1.0, 1.0), 0.3), ((0.5, 2.0), -0.4), ((1.0, 1.0), 1.0)])
def test_against_the_gram_matrix_of_all_sites(q: tuple[float, float], c: float) -> None:
    """Two inputs of 12 sites each as a 24 × 24 covariance: dense, ReLU, means of 2, dense, ReLU, mean of 6."""
    inputs = np.array([[q[0], c * math.sqrt(q[0] * q[1])], [c * math.sqrt(q[0] * q[1]), q[1]]])
    gram = np.kron(inputs, np.eye(12))
    first = np.kron(np.eye(12), np.full((1, 2), 0.5))
    second = np.kron(np.eye(2), np.full((1, 6), 1.0 / 6.0))
    gram = first @ relu(0.3 + 1.7 * gram) @ first.T
    seen = [gram]
    gram = second @ relu(0.1 + 1.2 * gram) @ second.T
    seen.append(gram)
    block = L.Sequence("relu", L.AveragePool(2))
    net = mf.Network(L.Dense(1.7**0.5, 0.3**0.5), block, L.Dense(1.2**0.5, 0.1**0.5), "relu", L.GlobalAveragePool(6))
    t = net.propagate(q, c)
    for index, (gram, one) in ((3, (seen[0], 6)), (6, (seen[1], 1))):
        k11, k22, k12 = gram[0, 0], gram[one, one], gram[0, one]
        assert (t.q1[index], t.q2[index]) == pytest.approx((k11, k22), rel=1e-12)
        assert t.c[index] == pytest.approx(k12 / math.sqrt(k11 * k22), rel=1e-12)


def test_a_mean_of_one_site_is_nothing() -> None:
    one = mf.Network(L.Dense(1.3, 0.2), "relu", L.AveragePool(1), L.Dense(1.0), "tanh", L.GlobalAveragePool(1)).propagate((1.0, 2.0), 0.3)
    two = mf.Network(L.Dense(1.3, 0.2), "relu", L.Identity(), L.Dense(1.0), "tanh", L.Identity()).propagate((1.0, 2.0), 0.3)
    for name in ("q1", "q2", "c", "mean1", "gradient"):
        assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-13), name


def test_means_of_gaussian_values_are_gaussian() -> None:
    net = mf.Network(L.Dense(1.0, 0.5), L.AveragePool(4), "tanh")
    assert net.propagate().q1[2] == pytest.approx(0.25 + 1.0 / 4.0, rel=1e-14)
    assert net.propagate().q1[3] == pytest.approx(mf.second_moment("tanh", 0.5), rel=1e-13)


def test_means_of_means_are_means() -> None:
    stem = (L.Convolution(1.3, 0.4), "relu")
    one = mf.Network(*stem, L.AveragePool(2), L.AveragePool(3), L.Dense(1.0)).propagate(1.0, 0.2)
    two = mf.Network(*stem, L.Repeat(L.Identity(), 1), L.AveragePool(6), L.Dense(1.0)).propagate(1.0, 0.2)
    for name in ("q1", "c", "gradient"):
        assert getattr(one, name)[[0, -1]] == pytest.approx(getattr(two, name)[[0, -1]], rel=1e-13), name


def test_infinitely_many_sites() -> None:
    """What is left is the covariance of different sites; a finite number tends to it."""
    stem = (L.Dense(1.0, 0.5), "relu")
    limit = mf.Network(*stem, L.GlobalAveragePool()).propagate()
    near = mf.Network(*stem, L.GlobalAveragePool(10**6)).propagate()
    assert limit.q1[-1] == pytest.approx(near.q1[-1], rel=1e-5)
    assert limit.q1[-1] < near.q1[-1]
    assert limit.gradient[0] == 0.0


def test_long_repetitions_follow_the_sites() -> None:
    """No road for many turns leaves the sites behind."""
    block = L.Sequence("tanh", L.Dense(1.2, 0.3))
    many = mf.Network(L.Repeat(block, 60), L.AveragePool(2)).propagate(1.0, 0.3)
    single = mf.Network(*[block] * 60, L.AveragePool(2)).propagate(1.0, 0.3)
    assert many.q1[-1] == pytest.approx(single.q1[-1], rel=1e-13)
    assert many.c[-1] == pytest.approx(single.c[-1], rel=1e-13)
    # The pair of inputs at rest from the start, the sites not.
    rest = L.Sequence("relu", L.Dense(2**0.5))
    many = mf.Network(L.Repeat(rest, 60), L.AveragePool(2)).propagate(1.0, 1.0)
    single = mf.Network(*[rest] * 60, L.AveragePool(2)).propagate(1.0, 1.0)
    assert many.q1[-1] == pytest.approx(single.q1[-1], rel=1e-13)


def test_means_of_independent_sites_keep_small_decorrelations() -> None:
    t = mf.Network(L.Dense(1.0), L.AveragePool(4)).propagate(1.0, epsilon=1e-14)
    assert t.epsilon[-1] == pytest.approx(1e-14, rel=1e-12, abs=0.0)


def test_it_prints() -> None:
    assert "AveragePool(4)" in str(mf.Network(L.Dense(1.0), L.AveragePool(4), L.GlobalAveragePool()))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: L.AveragePool(0), "sites = 0 is out of range"),
        (lambda: L.GlobalAveragePool(2.5), "sites"),
        (lambda: mf.Network(L.Dense(1.0), L.AveragePool(2) >> "relu", L.AveragePool(2), "tanh"), r"layer 5 \(tanh\).*mean over sites"),
        (lambda: mf.Network(L.Residual(L.AveragePool(2), L.Dense(1.0))), r"layer 1\.1 \(AveragePool\(2\)\): sites are followed"),
        (lambda: mf.Network(L.GlobalAveragePool(2), L.AveragePool(2)), r"layer 2 .*behind a mean over all sites"),
        (lambda: mf.Network(L.Dense(1.0), L.BatchNorm(8), "relu", L.AveragePool(2)), r"layer 2 \(BatchNorm\(8\)\): what it makes"),
        (lambda: mf.Network(L.Residual(L.Attention(1.0, 1.0, 4)), L.AveragePool(2)), "what it makes of different sites"),
        (lambda: L.AveragePool(2).apply(State.of(1.0, 1.0, 0.5)), "sites are followed"),
        (lambda: mf.Network(L.GlobalAveragePool()).simulate(progress=False), "say how many"),
        (lambda: mf.Network(L.AveragePool(10**5)).simulate(progress=False), "at most 4096"),
    ],
)
def test_what_makes_no_sense(make: Any, word: str) -> None:
    with pytest.raises(mf.DomainError, match=word):
        make()
