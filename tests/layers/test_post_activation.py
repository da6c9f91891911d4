"""φ behind a sum: the density of one unit against a published value, closed forms and direct integrals."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate
from scipy.special import ndtr

import meanfield as mf
from meanfield import layers as L
from meanfield.layers.state import State

FILE = Path(__file__).parents[1] / "reference" / "layers.json"
REFERENCE = {entry["id"]: entry for entry in json.loads(FILE.read_text(encoding="utf-8"))["entries"]}
HE = math.sqrt(2.0)
BLOCK = L.PostActivation(L.Dense(HE), "relu", L.Dense(HE))


def normal(x: float) -> float:
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def over_half_gaussian(function: Any, q: float) -> float:
    """E f(relu(√q Z)) − f(0)/2."""
    size = math.sqrt(q)
    return float(integrate.quad(lambda z: normal(z) * function(size * z), 0.0, 12.0, epsabs=1e-14, epsrel=1e-13)[0])


def test_six_he_blocks() -> None:
    """The reference is a population of 2·10⁶ walks, good to three digits; a Gaussian in the walk's place would give 11.4."""
    entry = REFERENCE["B6"]
    t = mf.Network(L.Dense(HE), "relu", L.Repeat(BLOCK, 6)).propagate()
    growth = t.q1[-1] / t.q1[2]
    assert growth == pytest.approx(entry["value"], rel=2e-3)
    assert abs(growth - entry["monte_carlo"][0]) <= 3.0 * entry["standard_error"][0]
    assert growth > 10.0 * entry["gaussian_closure_wrong"]


def test_one_step_of_a_reflected_walk() -> None:
    """E relu(z + sG)² = (z² + s²)Φ(z/s) + z s φ(z/s), over z = relu of a Gaussian; the gradient's factors by the same integral."""
    q = 1.7
    s = math.sqrt(2.0 * 0.5 * q)  # the branch doubles E z² = q/2
    step = mf.Network("relu", BLOCK).propagate(q, 0.5)

    def second(z: float) -> float:
        return (z * z + s * s) * float(ndtr(z / s)) + z * s * normal(z / s)

    def mean(z: float) -> float:
        return z * float(ndtr(z / s)) + s * normal(z / s)

    assert step.q1[2] == pytest.approx(over_half_gaussian(second, q) + 0.5 * second(0.0), rel=1e-12)
    assert step.mean1[2] == pytest.approx(over_half_gaussian(mean, q) + 0.5 * mean(0.0), rel=1e-12)
    # P(h > 0 | z) = Φ(z/s). Skip: over z > 0 only, for relu'(g). Branch: χ_F = 2, spread evenly over all units.
    alive = over_half_gaussian(lambda z: float(ndtr(z / s)), q)
    assert step.gradient[1] == pytest.approx((alive + 0.25) * 3.0, rel=1e-12)
    assert step.gradient[0] == pytest.approx(alive + 0.5 * 2.0 * (alive + 0.25), rel=1e-12)


@pytest.mark.parametrize("phi", ["relu", "tanh", "gelu", "hardtanh"])
def test_behind_weights_it_is_an_activation_of_a_gaussian_sum(phi: str) -> None:
    """K11, mean and gradient to 1e-10; 1 − c within 5 of its stated errors."""
    block = L.PostActivation("tanh", L.Dense(1.3, 0.4), activation=phi, scale=0.7, skip=1.2)
    gaussian = L.Sequence(L.Residual("tanh", L.Dense(1.3, 0.4), scale=0.7, skip=1.2), phi)
    for q, c in (((1.4, 0.3), 0.4), (1.0, 0.999)):
        one, two = (mf.Network(layer).propagate(q, c) for layer in (block, gaussian))
        for name in ("q1", "q2", "mean1", "mean2"):
            assert getattr(one, name)[-1] == pytest.approx(getattr(two, name)[-1], rel=1e-10, abs=1e-13), name
        assert one.gradient[0] == pytest.approx(two.gradient[0], rel=1e-10)
        assert one.epsilon[-1] == pytest.approx(two.epsilon[-1], rel=0.01)


def test_equal_inputs_stay_equal() -> None:
    t = mf.Network("relu", L.Repeat(BLOCK, 3)).propagate(1.0, 1.0)
    assert t.epsilon.tolist() == [0.0] * 5
    assert np.array_equal(t.q1, t.q2)


def test_a_reflected_walk_is_a_maximum() -> None:
    """s = 1 at every step: z_l has the law of max(0, S₁, …, S_l) (Lindley 1952), whose moments are closed (Spitzer 1956):

    E = Σ_k E S_k⁺/k and E z² = Σ_k E(S_k⁺)²/k + Σ_{j+k≤l} E S_j⁺ E S_k⁺/(jk), with E S_k⁺ = √(k/2π) and E(S_k⁺)² = k/2.
    """
    depth = 20
    block = L.PostActivation(L.RMSNorm(), L.Dense(1.0))
    t = mf.Network(L.Dense(1.0), "relu", L.Repeat(block, depth - 1)).propagate(1.0)
    part = 1.0 / np.sqrt(2.0 * math.pi * np.arange(1, depth + 1))
    means = np.cumsum(part)
    squares = [0.5 * n + sum(part[j] * part[k] for j in range(n) for k in range(n) if j + k + 2 <= n) for n in range(1, depth + 1)]
    assert t.mean1[2:] == pytest.approx(means, rel=1e-11)
    assert t.q1[2:] == pytest.approx(squares, rel=1e-11)


def test_a_linear_walk_is_a_residual_network() -> None:
    """φ = x keeps every value Gaussian: variances and gradients of the plain sum, at every depth."""
    one = mf.Network(L.Repeat(L.PostActivation(L.Dense(1.1, 0.3), activation="linear", scale=0.6, skip=0.9), 5)).propagate((1.0, 2.0), 0.2)
    two = mf.Network(L.Repeat(L.Residual(L.Dense(1.1, 0.3), scale=0.6, skip=0.9), 5)).propagate((1.0, 2.0), 0.2)
    for name in ("q1", "q2", "gradient"):
        assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-11), name
    assert one.epsilon == pytest.approx(two.epsilon, rel=0.01)


def test_gradients_reach_the_activations_in_front() -> None:
    """Without an activation behind the sum it is a `Residual`, behind one function of a Gaussian variable or two."""
    for stem in (("tanh",), ("silu", "tanh")):
        one = mf.Network(*stem, L.PostActivation(L.Dense(1.1, 0.3), activation="linear", scale=0.6, skip=0.9)).propagate()
        two = mf.Network(*stem, L.Residual(L.Dense(1.1, 0.3), scale=0.6, skip=0.9)).propagate()
        assert one.gradient == pytest.approx(two.gradient, rel=1e-11)


def test_it_says_that_it_is_simulated() -> None:
    net = mf.Network("relu", BLOCK)
    place, kind, why = net.exactness[1]
    assert (place, kind) == ("2", "simulated")
    assert "0.2 % behind one block" in why
    assert why in str(net)
    assert [entry.place for entry in net.exactness] == ["1", "2", "2.1", "2.2", "2.3"]
    assert str(BLOCK) == "PostActivation(Dense(σ_w=1.41421, σ_b=0) >> relu >> Dense(σ_w=1.41421, σ_b=0), relu)"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: L.PostActivation("relu"), "no weights"),
        (lambda: L.PostActivation(L.Dense(1.0), scale=math.nan), "scale"),
        (lambda: mf.Network(BLOCK, "tanh"), r"layer 2 \(tanh\): its input is not Gaussian: sums have gone"),
        (lambda: mf.Network(L.PostActivation(L.Dense(1.0), "relu")), "doesn't end in weights"),
        (lambda: mf.Network("relu", L.LayerNorm(), BLOCK), r"layer 3 \(PostActivation.*law of its input"),
        (lambda: mf.Network(L.Concatenate("relu", "tanh"), BLOCK), "several kinds"),
        (lambda: mf.Network("relu", L.PostActivation(L.Dense(1e-4))), "too fine a grid"),
        (lambda: mf.Network("relu", L.PostActivation(L.Dense(0.0))), "too fine a grid"),
        (lambda: BLOCK.apply(State.of(1.0, 1.0, np.array([0.1, 0.2]))), "one pair"),
        (lambda: BLOCK.apply(State.of(1.0, 1.0, 0.1, 1.0)), "tangent kernel"),
    ],
)
def test_what_makes_no_sense(make: Any, word: str) -> None:
    with pytest.raises(mf.DomainError, match=word):
        make()
