"""What the gradients of two inputs of a batch share, E δ₁·δ₂/E|δ|², on its way back: each rule by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import gamma, jv

import meanfield as mf
from meanfield import layers as L
from meanfield.layers.cotangent import Cotangent, at_output, common
from meanfield.layers.dropout import masked_slopes
from meanfield.layers.law import Source
from meanfield.layers.sphere import batch_moments
from meanfield.layers.state import State

SHARED = -0.31


def _cosines(q1: float, q2: float, c: float) -> float:
    """E cos(u)cos(v) = exp(−(q1 + q2)/2) cosh(c √(q1 q2))."""
    return math.exp(-0.5 * (q1 + q2)) * math.cosh(c * math.sqrt(q1 * q2))


def _behind(layer: L.Layer, state: State) -> float:
    after, pull = layer.apply(state)
    found = common(pull(at_output(after, np.asarray(SHARED))))
    assert found is not None
    return float(found)


@pytest.mark.parametrize("shared", [-0.25, 0.0, 0.6, 1.0])
@pytest.mark.parametrize("name", ["sin", "relu"])
def test_batch_normalisation_against_samples(name: str, shared: float) -> None:
    """z-scores of 4 million batches of five; 3.9 is passed once in 10⁴, so once in 1250 by one of the eight."""
    batch = 5
    rng = np.random.default_rng(11)
    act = mf.activation(name)
    gram = (1.0 - shared) * np.eye(batch) + shared * np.ones((batch, batch))
    values, vectors = np.linalg.eigh(gram)
    square = vectors * np.sqrt(np.maximum(values, 0.0))
    means = []
    for _ in range(80):
        x = rng.standard_normal((50_000, batch))
        moved = x - x.mean(axis=1, keepdims=True)
        size = np.sqrt((moved**2).mean(axis=1, keepdims=True))
        y = moved / size
        delta = rng.standard_normal(x.shape) @ square.T * act.values(np.ascontiguousarray(y.ravel()), 1).reshape(y.shape)
        pulled = delta - delta.mean(axis=1, keepdims=True) - y * (delta * y).mean(axis=1, keepdims=True)
        means.append(float(((pulled / size) ** 2).mean()))
    exact = float(batch_moments(act, batch).gradient_of(np.asarray(shared)))
    error = float(np.std(means, ddof=1)) / math.sqrt(len(means))
    assert abs(np.mean(means) - exact) < 3.9 * error
    assert error < 0.01 * exact


def test_slopes_on_the_sphere() -> None:
    """E cos(y₁)cos(y₂) = ½E[cos(y₁ − y₂) + cos(y₁ + y₂)], each a projection of the sphere, whose mean cosine is a Bessel function."""
    batch = 6
    n = batch - 1
    order = n / 2.0 - 1.0

    def cosine(length: float) -> float:  # E cos of a projection of a vector on a sphere of that radius in n dimensions
        return float(gamma(n / 2.0) * (2.0 / length) ** order * jv(order, length))

    # |e₁ ± e₂| within {Σ = 0} is √(2(1 ∓ 1/n)(1 − 1/B)), and y has length √B.
    plus = math.sqrt(batch) * math.sqrt(2.0 * (1.0 - 1.0 / n) * (1.0 - 1.0 / batch))
    minus = math.sqrt(batch) * math.sqrt(2.0 * (1.0 + 1.0 / n) * (1.0 - 1.0 / batch))
    shared = 0.5 * (cosine(plus) + cosine(minus))
    assert batch_moments(mf.activation("sin"), batch).slopes == pytest.approx(shared, rel=1e-12)
    # A gradient that comes back through sin has E cos² y = ½(1 + E cos 2y) of its norm, and shares that part of it.
    normalised = L.BatchNorm(batch).apply(State.of(0.8, 0.8, 0.7)).state
    square = 0.5 * (1.0 + cosine(2.0 * math.sqrt(n)))
    assert _behind(L.Activation("sin"), normalised) == pytest.approx(SHARED * shared / square, rel=1e-12)


def test_activations() -> None:
    q, epsilon = 0.8, 0.7
    state = State.of(q, q, epsilon)
    once = _cosines(q, q, 1.0 - epsilon) / _cosines(q, q, 1.0)
    assert _behind(L.Activation("sin"), state) == pytest.approx(SHARED * once, rel=1e-12)
    # Behind another φ: E[cos|u| cos|v|], which is the same, as the cosine is even.
    assert _behind(L.Activation("sin"), L.Activation("abs").apply(state).state) == pytest.approx(SHARED * once, rel=1e-10)
    # Behind 2x: E cos 2u cos 2v.
    twice = _cosines(4.0 * q, 4.0 * q, 1.0 - epsilon) / _cosines(4.0 * q, 4.0 * q, 1.0)
    assert _behind(L.Activation("sin"), L.Activation("2*x").apply(state).state) == pytest.approx(SHARED * twice, rel=1e-10)


def test_maxout_and_gates() -> None:
    state = State.of(0.8, 0.8, 0.7)
    same = 0.5 + math.asin(0.3) / math.pi  # that the same one of two is the larger for both inputs
    assert _behind(L.Maxout(2), state) == pytest.approx(SHARED * same, rel=1e-12)
    gate = L.Gate(L.Dense(1.0), L.Dense(1.3, 0.9))
    k11, k12 = 1.3**2 * 0.8 + 0.9**2, 1.3**2 * 0.8 * 0.3 + 0.9**2
    left, right = SHARED * k12 / k11, SHARED * 0.3  # through the left side, through the right side
    norms = np.array([k11, 1.3**2 * 0.8])
    assert _behind(gate, state) == pytest.approx(float(norms @ [left, right]) / norms.sum(), rel=1e-12)


def test_masks() -> None:
    """Two inputs have masks of their own: both kept, one kept, none."""
    q1, c, keep = 0.8, 0.3, 0.6
    source = Source(np.array(q1), np.array(q1), np.array(1.0 - c))
    for passed in (1.0, 0.75):  # of which the gradient has come through some
        a, q = keep / passed, q1 / keep**2
        exact = a * a * _cosines(q, q, c) + 2 * a * (1 - a) * math.exp(-0.5 * q) + (1 - a) ** 2
        assert float(masked_slopes(mf.activation("sin"), source, keep, passed)) == pytest.approx(exact, rel=1e-12)
    state = State.of(0.8, 0.8, 0.7)
    assert _behind(L.Dropout(0.4), state) == pytest.approx(0.6 * SHARED, rel=1e-14)


def test_parts_that_meet() -> None:
    """A mean weighed by the norms; unknown where one is."""
    one, two = Cotangent(np.asarray(3.0), common=np.asarray(0.5)), Cotangent(np.asarray(1.0), common=np.asarray(-0.1))
    assert float(common((one, two))) == pytest.approx((3.0 * 0.5 - 0.1) / 4.0, rel=1e-15)  # type: ignore[arg-type]
    assert common((one, Cotangent(np.asarray(1.0)))) is None
