"""Networks of layers as a user sees them."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L

BLOCK = L.Residual(L.LayerNorm(), L.Dense(1.0), L.Activation("gelu"), L.Dense(1.0), scale=0.3)
NET = mf.Network(L.Dense(1.4, 0.1), L.Repeat(BLOCK, 48), L.LayerNorm(), L.Dense(1.0))


def test_one_entry_behind_every_layer_and_turn() -> None:
    t = NET.propagate(q=1.0, c=0.5)
    assert t.c.size == t.q1.size == t.gradient.size == len(t.names) == 1 + 1 + 48 + 1 + 1
    assert t.names[0] == "input"
    assert t.names[1].startswith("Dense")
    assert t.names[2] == t.names[49] == str(BLOCK)
    assert t.mean1 is not None
    assert np.all(t.mean1 == 0.0)
    assert t.gradient[-1] == 1.0
    assert t.c[0] == 0.5


def test_means_are_those_of_the_units() -> None:
    t = mf.Network(L.Dense(1.0), "relu", L.RMSNorm()).propagate(q=2.0)
    assert t.mean1 is not None
    assert t.mean1.tolist() == pytest.approx([0.0, 0.0, (1 / np.pi) ** 0.5, (1 / np.pi) ** 0.5], rel=1e-12)


def test_a_plain_network_is_mean_field() -> None:
    plain = mf.Network(L.Repeat(L.Sequence("tanh", L.Dense(1.3, 0.2)), 50)).propagate(0.7, 0.3)
    same = mf.MeanField("tanh", 1.3, 0.2).propagate(50, 0.7, 0.3)
    for name in ("q1", "q2", "c", "epsilon"):
        assert np.array_equal(getattr(plain, name), getattr(same, name)), name
    assert plain.gradient == pytest.approx(same.gradient, rel=1e-12)


def test_sugar() -> None:
    assert str((L.Dense(1.3, 0.2) >> "tanh") * 50) == "(Dense(σ_w=1.3, σ_b=0.2) >> tanh) * 50"
    assert str("tanh" >> L.Dense(1.0)) == "tanh >> Dense(σ_w=1, σ_b=0)"
    assert mf.Network(L.Dense(1.0) >> "relu" >> L.Dense(1.0)).layers == mf.Network(L.Dense(1.0), "relu", L.Dense(1.0)).layers


def test_the_table_names_layers_and_what_is_not_exact() -> None:
    text = str(mf.Network(L.Dense(1.0), L.Repeat(L.Sequence(L.BatchNorm(16), "relu", L.Dense(1.0)), 3)))
    assert "BatchNorm(16) >> relu" in text
    assert "2.1: approximate" in text
    assert str(NET).count("\n") < 12


@pytest.mark.parametrize(
    "block",
    [
        L.Residual(L.LayerNorm(), "relu", L.Dense(2**0.5)),
        L.Sequence(L.LayerNorm(), "tanh", L.Dense(1.3, 0.3)),
        L.Residual("tanh", L.Dense(1.0, 0.2), skip=0.9),
        L.Residual("tanh", L.Dense(1.2), "tanh", L.Dense(1.0, 0.1), skip=0.8, scale=0.6),
    ],
)
def test_a_million_equal_blocks(block: L.Layer) -> None:
    """Each is stepped through by a table: the count of evaluations, not the clock, is what is bounded."""
    calls = 0
    original = type(block).apply

    def counted(self: L.Layer, state: object) -> object:
        nonlocal calls
        calls += 1
        return original(self, state)  # type: ignore[arg-type]

    type(block).apply = counted  # type: ignore[method-assign, assignment]
    try:
        t = mf.Network(L.Repeat(block, 10**6)).propagate()
    finally:
        type(block).apply = original  # type: ignore[method-assign]
    assert t.q1.size == 10**6 + 1
    assert np.all(np.isfinite(t.epsilon))
    assert calls < 2000


@pytest.mark.parametrize(("q", "word"), [(0.0, "q"), (-1.0, "q"), ((1.0, 2.0, 3.0), "q"), ("a", "q")])
def test_bad_starts(q: object, word: str) -> None:
    with pytest.raises(mf.DomainError, match=word):
        NET.propagate(q=q)
    with pytest.raises(mf.DomainError, match="c = 2"):
        NET.propagate(c=2.0)
    with pytest.raises(mf.DomainError, match="one of the two"):
        NET.propagate(c=0.5, epsilon=0.5)
