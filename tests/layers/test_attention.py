"""Attention between tokens that are alike, against published values, closed forms, and samples of logits."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L
from meanfield.layers.softmax import attended
from meanfield.layers.state import State

FILE = Path(__file__).parents[1] / "reference" / "layers.json"
REFERENCE = {entry["id"]: entry for entry in json.loads(FILE.read_text(encoding="utf-8"))["entries"]}


@pytest.mark.parametrize(("name", "sigma"), [("E4_s1.0", 1.0), ("E4_s2.0", 2.0), ("E4_s1e-09", 1e-9)])
def test_softmax_reference(name: str, sigma: float) -> None:
    """The reference is a Monte Carlo of 4000 draws: within 4 of its standard errors (two-sided false alarm 6e-5 each)."""
    entry = REFERENCE[name]
    errors = json.loads(entry["method_1"].split("se ")[1])
    t = mf.Network(L.Attention(sigma, 1.0, tokens=32)).propagate(1.0, 0.3)
    found = [t.q1[-1], t.q1[-1] * t.c[-1]]
    for mine, value, error in zip(found, entry["value"], errors, strict=True):
        assert abs(mine - value) <= 4.0 * error + 1e-13


def test_uniform_attention_with_a_skip() -> None:
    """p − P is conserved, 1 − c = (p₀ − P₀)/p: rank collapse."""
    t = mf.Network(L.Repeat(L.Residual(L.Attention(0.0, 1.0, tokens=32), scale=0.5), 6)).propagate(1.0, 0.3)
    assert [t.q1[-1], t.q1[-1] * t.c[-1]] == pytest.approx(REFERENCE["E5"]["value"], rel=1e-13)
    assert t.q1 * t.epsilon == pytest.approx(0.7, rel=1e-13)


def test_linear_attention() -> None:
    t = mf.Network(L.Attention(0.4, 1.0, tokens=8, kind="linear")).propagate(1.0, 0.3)
    assert [t.q1[-1], t.q1[-1] * t.c[-1]] == pytest.approx(REFERENCE["E7"]["value"], rel=1e-14)


@pytest.mark.parametrize(("spread", "c"), [(0.05, 0.3), (0.5, 0.9), (1.0, -0.6), (2.0, 0.5), (5.0, -0.2)])
def test_two_tokens_against_a_direct_integral(spread: float, c: float) -> None:
    """For T = 2 a weight is the logistic function of one Gaussian variable, and two rows are two of them."""
    step = 0.02
    g = np.arange(-9.0, 9.0 + step / 2, step)
    weight = np.exp(-0.5 * g * g) * step / math.sqrt(2 * math.pi)
    logistic = 1.0 / (1.0 + np.exp(-math.sqrt(2.0) * spread * g))
    other = 1.0 / (1.0 + np.exp(-math.sqrt(2.0) * spread * (c * g[:, None] + math.sqrt(1 - c * c) * g[None, :])))
    same = 2.0 * float(weight @ logistic**2)
    apart = 2.0 * float((weight * logistic) @ (other @ weight))
    assert attended(2, spread, c) == pytest.approx((same, apart), rel=1e-12)


@pytest.mark.parametrize(("tokens", "spread"), [(2, 0.3), (8, 5.0), (32, 1.5), (1000, 3.0), (10**6, 2.0)])
def test_rows_at_the_ends(tokens: int, spread: float) -> None:
    """Independent rows: Σ (E w)² = 1/T; equal rows: E Σw²; and E Σw² = (1 + (T − 1)τ²/T)/T + … for small τ."""
    assert attended(tokens, spread, 0.0)[1] == pytest.approx(1.0 / tokens, rel=1e-12)
    alike, near = attended(tokens, spread, 1.0 - 1e-13)
    assert near == pytest.approx(alike, rel=1e-10)
    small = attended(tokens, 1e-3, 0.5)
    assert small[0] * tokens - 1.0 == pytest.approx(1e-6 * (1 - 1 / tokens), rel=1e-4)
    assert small[1] * tokens - 1.0 == pytest.approx(0.5e-6 * (1 - 1 / tokens), rel=1e-4)


def test_against_samples_of_logits() -> None:
    """T = 5 with c < 0 and c > 0: 4·10⁵ draws, within 5 standard errors (false alarm 2e-6 for all four)."""
    rng = np.random.default_rng(1)
    for spread, c in ((1.7, 0.6), (0.9, -0.2)):
        a = rng.standard_normal((400_000, 5))
        b = c * a + math.sqrt(1 - c * c) * rng.standard_normal(a.shape)
        w, v = (np.exp(spread * x) / np.exp(spread * x).sum(axis=1, keepdims=True) for x in (a, b))
        for mine, draws in zip(attended(5, spread, c), ((w * w).sum(axis=1), (w * v).sum(axis=1)), strict=True):
            assert abs(mine - draws.mean()) <= 5.0 * draws.std() / math.sqrt(draws.size)


def test_the_gradient_is_said_to_be_unknown() -> None:
    net = mf.Network(L.Dense(1.0), L.Attention(1.0, 1.0, tokens=4), L.Dense(1.5))
    gradient = net.propagate(1.0, 0.2).gradient
    assert np.isnan(gradient[:2]).all()
    assert gradient[2:].tolist() == pytest.approx([2.25, 1.0])
    place, kind, why = net.exactness[1]
    assert (place, kind) == ("2", "approximate")
    assert "gradient through it is not known: nan" in why
    assert why in str(net)


def test_each_element_alone() -> None:
    epsilon = np.array([0.0, 1e-12, 0.3, 1.0, 1.1])
    layer = L.Attention(1.3, 0.8, tokens=8)
    together = layer.apply(State.of(1.2, 1.2, epsilon)).state
    for index, each in enumerate(epsilon):
        alone = layer.apply(State.of(1.2, 1.2, each)).state
        assert float(together.q1[index]) == float(alone.q1)
        assert float(together.epsilon[index]) == float(alone.epsilon)


def test_a_deep_stack_is_followed() -> None:
    """Post-norm: the variance stands still, and no table is asked for at correlations that T tokens can't have."""
    net = mf.Network(L.Repeat(L.Residual(L.Attention(1.0, 1.0, tokens=16), scale=0.5) >> L.LayerNorm(), 60))
    t = net.propagate(1.0, 0.2)
    assert np.all(np.diff(t.epsilon) < 0.0)
    assert t.q1[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: L.Attention(-1.0, 1.0, 4), "sigma_qk"),
        (lambda: L.Attention(1.0, math.nan, 4), "sigma_v"),
        (lambda: L.Attention(1.0, 1.0, 1), "tokens"),
        (lambda: L.Attention(1.0, 1.0, 4, kind="hard"), "kind"),
        (lambda: mf.Network(L.Attention(1.0, 1.0, 4)).propagate((1.0, 2.0)), r"layer 1 \(Attention.*different variances"),
        (lambda: mf.Network(L.Attention(1.0, 1.0, 4)).propagate(1.0, -0.5), "correlation of at least -0.333333"),
        (lambda: mf.Network(L.Attention(1.0, 1.0, 4)).propagate(1e4, 0.5), "standard deviation"),
        (lambda: mf.Network(L.Repeat(L.Residual(L.Attention(1.0, 1.0, 4)), 10**6)).propagate(1.0, 0.5), "at most 2,000"),
        (lambda: L.Attention(1.0, 1.0, 4).apply(State.of(1.0, 1.0, 0.5, 1.0)), "tangent kernel"),
        (lambda: mf.Network(L.Attention(1.0, 1.0, 4), L.BatchNorm(8)).simulate(progress=False), "different sizes"),
        (lambda: mf.Network(L.Attention(1.0, 1.0, 8), L.BatchNorm(8)).simulate(progress=False), "at once"),
        (lambda: mf.Network(L.Convolution(1.0), L.Attention(1.0, 1.0, 8)).simulate(progress=False), "sites"),
    ],
)
def test_what_makes_no_sense(make: Any, word: str) -> None:
    with pytest.raises(mf.DomainError, match=word):
        make()
