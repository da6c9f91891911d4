"""Pictures of layers at initialisation."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf

WIDTHS = [60, 50, 50, 50, 10]


@pytest.fixture(scope="module")
def two():
    return [mf.layer_statistics("tanh", WIDTHS, init, networks=5, progress=False) for init in ("standard", "normalized")]


@pytest.mark.parametrize(("quantity", "field"), [("activations", "activation"), ("gradients", "gradient")])
def test_a_histogram_for_each_hidden_layer(two, quantity, field):
    ax = Figure().add_subplot()
    assert mf.plot.layer_statistics(two[0], ax=ax, quantity=quantity) is ax
    kept = two[0].simulated.histograms
    lines = ax.get_lines()
    assert len(lines) == 3
    for line, density in zip(lines, getattr(kept, f"{field}_density"), strict=False):
        np.testing.assert_array_equal(line.get_ydata(), density)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["layer 1", "layer 2", "layer 3"]
    assert plt.get_fignums() == []


@pytest.mark.parametrize("quantity", ["saturated_fraction", "gradient_variance", "activation_mean"])
def test_theory_as_lines_and_samples_as_points(two, quantity):
    ax = mf.plot.layer_statistics(two, ax=Figure().add_subplot(), quantity=quantity, labels=["a", "b"])
    lines = [line for line in ax.get_lines() if line.get_label() in ("a", "b")]
    for line, points, found in zip(lines, ax.containers, two, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), getattr(found, quantity)[:-1])
        np.testing.assert_array_equal(points[0].get_ydata(), getattr(found.simulated, quantity).mean[:-1])
    assert ax.get_yscale() == ("log" if quantity == "gradient_variance" else "linear")
    ax.figure.canvas.draw()


def test_theory_alone_can_be_drawn():
    found = mf.layer_statistics("relu", WIDTHS, "he", networks=0)
    ax = mf.plot.layer_statistics(found, ax=Figure().add_subplot(), quantity="gradient_variance", legend=False)
    assert (len(ax.get_lines()), ax.get_legend()) == (1, None)


def test_bad_input(two):
    plain = mf.layer_statistics("relu", WIDTHS, "he", networks=0)
    flat = mf.layer_statistics("relu", [10, 10], "he", networks=0)
    for what, keywords, word in (
        (two, {}, "2 results"),
        (plain, {}, "networks=0"),
        (flat, {"quantity": "gradient_variance"}, "no hidden layer"),
        (two, {"quantity": "variance"}, "quantity"),
        ("tanh", {}, "statistics"),
    ):
        with pytest.raises(mf.DomainError, match=word):
            mf.plot.layer_statistics(what, ax=Figure().add_subplot(), **keywords)
