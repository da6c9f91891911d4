"""The picture of two inputs, layer by layer."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf


def is_black(line):
    return isinstance(line.get_color(), str) and line.get_color() == "black"


def drawn(ax):
    return [line for line in ax.get_lines() if len(line.get_xdata()) > 1 and not is_black(line)]


def laws_in(ax):
    return [line for line in ax.get_lines() if len(line.get_xdata()) > 1 and is_black(line)]


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_trajectory_is_drawn_as_it_is():
    found = mf.MeanField("tanh", 1.3, 0.3).propagate(20, q=2.0, c=0.1)
    for quantity in ("epsilon", "c", "q1", "gradient"):
        ax = Figure().add_subplot()
        assert mf.plot.trajectory(found, ax=ax, quantity=quantity) is ax
        (line,) = drawn(ax)
        layers = np.asarray(line.get_xdata())
        assert layers.tolist() == list(range(1 if quantity == "epsilon" else 0, 21))
        np.testing.assert_array_equal(line.get_ydata(), getattr(found, quantity)[layers])
    assert plt.get_fignums() == []


def test_networks_are_followed_from_one_and_activations_on_the_edge():
    network = mf.MeanField("tanh", 2.5, 0.3)
    ax = mf.plot.trajectory([network, "silu"], ax=Figure().add_subplot(), depth=30, c0=0.3)
    first, second = drawn(ax)
    np.testing.assert_array_equal(first.get_ydata(), network.propagate(30, c=0.3).epsilon[1:])
    edge = mf.edge_of_chaos("silu", sigma_b=0.2)
    held = mf.MeanField("silu", edge.sigma_w, 0.2).propagate(30, q=edge.q, c=0.3, hold_variance=True)
    np.testing.assert_array_equal(second.get_ydata(), held.epsilon[1:])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == r"layer $\ell$"


def test_variance_is_held_on_the_edge_and_free_in_a_network(monkeypatch):
    held = []
    propagate = mf.MeanField.propagate
    monkeypatch.setattr(
        mf.MeanField, "propagate", lambda *words, **named: held.append(named.get("hold_variance", False)) or propagate(*words, **named)
    )
    mf.plot.trajectory(["silu", mf.MeanField("tanh", 2.5, 0.3)], ax=Figure().add_subplot(), depth=3)
    assert held == [True, False]


def test_laws_are_laid_over_and_meet_the_curves():
    ax = mf.plot.trajectory(["tanh", "relu"], ax=Figure().add_subplot(), depth=10_000, laws=True)
    tanh, relu = laws_in(ax)
    assert relu.get_ydata()[-1] == pytest.approx(9 * np.pi**2 / 2 / 10_000**2, rel=1e-9)
    for law, line in zip((tanh, relu), drawn(ax), strict=True):
        assert law.get_ydata()[-1] == pytest.approx(line.get_ydata()[-1], rel=0.02)
    assert legend_of(ax) == ["tanh", r"relu ($\sigma_b = 0$)", "asymptotic law"]
    given = mf.plot.trajectory("tanh", ax=Figure().add_subplot(), depth=100, laws=mf.asymptotics("tanh", sigma_b=0.2))
    assert len(laws_in(given)) == 1


def test_a_million_layers_are_few_strokes_but_reach_the_end():
    ax = mf.plot.trajectory("relu", ax=Figure().add_subplot(), depth=200_000, sigma_b=0.0)
    (line,) = drawn(ax)
    assert len(line.get_xdata()) <= 1000
    assert (line.get_xdata()[0], line.get_xdata()[-1]) == (1, 200_000)


def test_exponential_decay_does_not_squeeze_the_picture():
    ax = mf.plot.trajectory([mf.MeanField("tanh", 0.5, 0.3), "tanh"], ax=Figure().add_subplot(), depth=200)
    assert ax.get_ylim()[0] == pytest.approx(1e-12)
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("keywords", "word"),
    [
        ({"quantity": "q"}, "quantity"),
        ({"quantity": "c", "laws": True}, "laws"),
        ({"laws": "all"}, "laws"),
        ({"trajectories": []}, "trajectories"),
        ({"trajectories": "softplus"}, "no edge of chaos"),
        ({"depth": -1}, "depth"),
        ({"c0": 2.0}, "c"),
    ],
)
def test_bad_input(keywords, word):
    with pytest.raises(mf.DomainError, match=word):
        mf.plot.trajectory(**{"trajectories": "tanh", "ax": Figure().add_subplot()} | keywords)
