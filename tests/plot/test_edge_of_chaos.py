"""The picture of the edge of chaos."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf


def lines(ax, style):
    """The drawn lines of a style: with points, without those that only feed the legend."""
    return [line for line in ax.get_lines() if line.get_linestyle() == style and len(line.get_xdata()) > 1 and line.get_marker() == "None"]


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_draws_the_numbers_on_the_given_axes_and_returns_them():
    ax = Figure().add_subplot()
    sigma_b = np.linspace(0.0, 1.0, 11)
    assert mf.plot.edge_of_chaos("tanh", ax=ax, sigma_b=sigma_b) is ax
    (line,) = lines(ax, "-")
    np.testing.assert_array_equal(line.get_xdata(), sigma_b)
    np.testing.assert_array_equal(line.get_ydata(), mf.edge_of_chaos("tanh", sigma_b=sigma_b).sigma_w)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"$\sigma_b$", r"$\sigma_w$")
    assert legend_of(ax) == ["tanh"]
    assert plt.get_fignums() == []


def test_without_axes_makes_a_figure_of_column_width_and_does_not_show_it(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("show() was called"))
    ax = mf.plot.edge_of_chaos("tanh")
    assert ax.figure.get_figwidth() == pytest.approx(3.4)
    assert plt.get_fignums() == [ax.figure.number]


def test_repelling_part_is_dashed_and_attracting_part_solid():
    ax = mf.plot.edge_of_chaos("silu", sigma_b=np.linspace(0.0, 1.0, 101))
    (solid,) = lines(ax, "-")
    (dashed,) = lines(ax, "--")
    assert solid.get_xdata()[0] == pytest.approx(0.75)  # attracting from 0.74508 on
    assert (dashed.get_xdata()[0], dashed.get_xdata()[-1]) == (0.0, pytest.approx(0.75))
    assert legend_of(ax) == ["silu", "attracting", "not attracting"]


def test_single_point_is_a_marker_and_absence_is_named():
    ax = mf.plot.edge_of_chaos(["relu", "softplus"], sigma_b=[0.0, 0.5])
    assert lines(ax, "-") == lines(ax, "--") == []
    (point,) = [line for line in ax.get_lines() if len(line.get_xdata()) == 1]
    assert point.get_xydata()[0] == pytest.approx([0.0, np.sqrt(2.0)])
    assert legend_of(ax) == ["relu", "softplus (none)"]


def test_result_is_drawn_as_it_is():
    curve = mf.edge_of_chaos("tanh", sigma_b=np.array([0.1, 0.2]))
    ax = mf.plot.edge_of_chaos([curve, mf.activation("erf")], sigma_b=np.array([0.0, 1.0]))
    first, second = lines(ax, "-")
    assert first.get_xdata().tolist() == [0.1, 0.2]
    assert second.get_xdata().tolist() == [0.0, 1.0]


def test_grey_print_tells_them_apart():
    ax = mf.plot.edge_of_chaos(["tanh", "erf", "elu"], sigma_b=[0.1, 0.2, 0.3])
    colours = [np.dot(line.get_color()[:3], [0.2126, 0.7152, 0.0722]) for line in lines(ax, "-")]
    assert np.all(np.diff(colours) > 0.1)
    markers = {line.get_marker() for line in ax.get_lines()} - {"None"}
    assert len(markers) == 3


def test_function_and_formula_are_named_safely():
    ax = mf.plot.edge_of_chaos([mf.activation(np.tanh, name="_$tanh$")], sigma_b=[0.1, 0.2])
    assert legend_of(ax) == [r" _\$tanh\$"]
    ax.figure.canvas.draw()  # an unescaped dollar would be read as mathematics


@pytest.mark.parametrize("sigma_b", [[], [0.2, 0.1], [[0.1, 0.2]]])
def test_grid_that_is_no_curve(sigma_b):
    with pytest.raises(mf.DomainError, match="sigma_b"):
        mf.plot.edge_of_chaos("tanh", sigma_b=sigma_b)


def test_no_activation_at_all():
    with pytest.raises(mf.DomainError, match="activations"):
        mf.plot.edge_of_chaos([])
