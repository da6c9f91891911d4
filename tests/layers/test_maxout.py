"""The largest of k units against closed forms and published values."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate

import meanfield as mf
from meanfield import layers as L
from meanfield.layers.state import State
from meanfield.layers.winners import series, winners

FILE = Path(__file__).parents[1] / "reference" / "layers.json"
REFERENCE = {entry["id"]: entry for entry in json.loads(FILE.read_text(encoding="utf-8"))["entries"]}


def test_reference_values() -> None:
    squares, network = REFERENCE["E2"]["value"]
    assert winners(3).mean_square == pytest.approx(float(squares["k3"]), rel=1e-14)
    assert winners(4).mean_square == pytest.approx(float(squares["k4"]), rel=1e-14)
    (mean, square), closed, _ = REFERENCE["D4"]["value"]
    assert (winners(4).mean, winners(4).mean_square) == pytest.approx((mean, float(closed)), rel=1e-14)
    assert square == pytest.approx(float(closed), rel=1e-14)
    t = mf.Network(L.Repeat(L.Dense(1.0) >> L.Maxout(2), 6)).propagate(1.0, 0.3)
    assert [t.q1[-1], t.c[-1], t.gradient[0]] == pytest.approx(network, rel=1e-12)


def test_two_pieces_have_the_map_of_relu() -> None:
    """max(u, v) = (s + |d|)/√2, by the closed form and by the series that serves more pieces."""
    epsilon = np.array([0.0, 1e-14, 1e-6, 0.3, 1.0, 1.7, 2.0])
    relu = L.Activation("relu").apply(State.of(1.3, 1.3, epsilon)).state.epsilon
    behind = L.Maxout(2).apply(State.of(1.3, 1.3, epsilon, 1.0)).state.whole
    assert behind.epsilon == pytest.approx(relu, rel=1e-12, abs=0.0)
    theta = 2 * np.arcsin(np.sqrt(epsilon / 2))
    assert epsilon * series(winners(2).lost, theta) == pytest.approx(relu, rel=1e-12, abs=0.0)
    assert behind.tangent == pytest.approx(1 - theta / math.pi, rel=1e-12, abs=1e-14)
    assert float(behind.mean1) == pytest.approx(math.sqrt(1.3 / math.pi), rel=1e-14)


def same_of_three(theta: float) -> float:
    """P(the same of three wins) by Plackett's identity: the derivative of a four-dimensional orthant in its correlations c, c/2, ½.

    Conditional on two of the four differences being 0, the other two have the correlation of the Schur complement.
    """

    def slope(angle: float) -> float:
        c = math.cos(angle)
        r = np.array([[1, 0.5, c, c / 2], [0.5, 1, c / 2, c], [c, c / 2, 1, 0.5], [c / 2, c, 0.5, 1]])
        total = 0.0
        for (i, j), weight in {(0, 2): 1.0, (1, 3): 1.0, (0, 3): 0.5, (1, 2): 0.5}.items():
            rest = [m for m in range(4) if m not in (i, j)]
            given = [i, j]
            left = r[np.ix_(rest, rest)] - r[np.ix_(rest, given)] @ np.linalg.solve(r[np.ix_(given, given)], r[np.ix_(given, rest)])
            corr = left[0, 1] / math.sqrt(left[0, 0] * left[1, 1])
            total += weight / (2 * math.pi * math.sqrt(1 - r[i, j] ** 2)) * (0.25 + math.asin(corr) / (2 * math.pi))
        return -3.0 * math.sin(angle) * total

    return 1.0 / 3.0 + float(integrate.quad(slope, math.pi / 2, theta, epsabs=1e-14, epsrel=1e-14)[0])


@pytest.mark.parametrize("theta", [0.05, 0.4, 1.0, 1.5, 2.2, 3.0])
def test_three_pieces_against_plackett(theta: float) -> None:
    found = winners(3)
    assert float(series(found.same, np.array(theta))) == pytest.approx(same_of_three(theta), rel=1e-12, abs=1e-13)
    lost = integrate.quad(lambda t: same_of_three(t) * math.sin(t), 0.02, theta, epsabs=1e-13)[0]
    whole = float(series(found.lost, np.array(theta))) * (1 - math.cos(theta))
    start = float(series(found.lost, np.array(0.02))) * (1 - math.cos(0.02))
    assert whole - start == pytest.approx(lost, rel=1e-11)


@pytest.mark.parametrize("pieces", [2, 3, 4, 7, 16, 32])
def test_closed_forms_at_the_ends(pieces: int) -> None:
    """Independent inputs: C = (E M)²; equal ones: P = 1; opposite ones, k = 3: C = −E max·min = √3/π."""
    found = winners(pieces)
    assert float(series(found.lost, np.array(math.pi / 2))) == pytest.approx(found.mean_square - found.mean**2, rel=1e-12)
    assert float(series(found.same, np.array(0.0))) == pytest.approx(1.0, rel=1e-12)
    assert float(series(found.same, np.array(math.pi / 2))) == pytest.approx(1.0 / pieces, rel=1e-12)
    if pieces == 3:
        opposite = found.mean_square - 2.0 * float(series(found.lost, np.array(math.pi)))
        assert opposite == pytest.approx(math.sqrt(3) / math.pi, rel=1e-12)
    behind = L.Maxout(pieces).apply(State.of(2.0, 0.5, 1e-14)).state.whole
    assert float(behind.epsilon) == pytest.approx(1e-14 / found.mean_square, rel=1e-6, abs=0.0)
    assert (float(behind.q1), float(behind.q2)) == pytest.approx((2.0 * found.mean_square, 0.5 * found.mean_square), rel=1e-14)


def test_each_element_alone() -> None:
    epsilon = np.linspace(0.0, 2.0, 17)
    together = L.Maxout(5).apply(State.of(1.0, 1.0, epsilon)).state.epsilon
    alone = [float(L.Maxout(5).apply(State.of(1.0, 1.0, e)).state.epsilon) for e in epsilon]
    assert np.array_equal(together, alone)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: L.Maxout(1), "pieces = 1 is out of range"),
        (lambda: L.Maxout(33), r"\[2, 32\]"),
        (lambda: L.Maxout(2.0), "pieces"),
        (lambda: L.Residual(L.Dense(1.0), L.Maxout(2)), "maxout"),
        (lambda: L.Gate(L.Dense(1.0) >> L.Maxout(2), L.Dense(1.0)), "maxout"),
        (lambda: mf.Network("relu", L.Maxout(2)), r"layer 2 \(Maxout\(2\)\): its input is not Gaussian"),
        (lambda: mf.Network(L.Dense(1.0), L.Maxout(2), "relu"), r"layer 3 \(relu\): its input is not Gaussian: the largest"),
        (lambda: mf.Network(L.Concatenate(L.Dense(1.0), L.Dense(2.0)), L.Maxout(2)), "several kinds"),
        (lambda: mf.Network(L.Maxout(5)).simulate(width=3, networks=2, progress=False), "larger width"),
    ],
)
def test_what_makes_no_sense(make: Any, word: str) -> None:
    with pytest.raises(mf.DomainError, match=word):
        make()
