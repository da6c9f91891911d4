"""The pictures of the variance map and of the correlation map."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf


def curves(ax):
    return [line for line in ax.get_lines() if len(line.get_xdata()) > 1 and line.get_label() != "identity"]


def points(ax):
    return [line for line in ax.get_lines() if len(line.get_xdata()) == 1]


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.fixture(scope="module")
def poole():
    return [mf.MeanField("tanh", sigma_w=sigma_w, sigma_b=0.3) for sigma_w in (1.3, 2.5, 4.0)]


def test_correlation_maps_with_their_fixed_points(poole):
    ax = Figure().add_subplot()
    assert mf.plot.correlation_map(poole, ax=ax) is ax
    for network, line in zip(poole, curves(ax), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), network.correlation_map(line.get_xdata()))
    assert [point.get_xdata()[0] for point in points(ax)] == pytest.approx([1.0, 0.1221037473, 0.0296959216], abs=1e-9)
    assert all(point.get_xdata() == point.get_ydata() for point in points(ax))
    assert legend_of(ax) == ["identity", r"$\sigma_w = 1.3$", r"$\sigma_w = 2.5$", r"$\sigma_w = 4$"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$c$", "$f(c)$")
    assert plt.get_fignums() == []


def test_identity_is_drawn(poole):
    ax = mf.plot.correlation_map(poole[0], ax=Figure().add_subplot(), c=[-1.0, 0.0, 1.0])
    (line,) = [line for line in ax.get_lines() if line.get_label() == "identity"]
    assert line.get_xydata().tolist() == [[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]]


def test_activation_is_drawn_on_its_edge_of_chaos_even_where_that_repels():
    ax = mf.plot.correlation_map(["silu", "relu"], ax=Figure().add_subplot(), sigma_b=0.2)
    silu, relu = curves(ax)
    edge = mf.edge_of_chaos("silu", sigma_b=0.2)
    network = mf.MeanField("silu", sigma_w=edge.sigma_w, sigma_b=0.2)
    np.testing.assert_array_equal(silu.get_ydata(), network.correlation_map(silu.get_xdata(), q=edge.q))
    x = relu.get_xdata()
    closed = (np.sqrt(1 - x**2) + (np.pi - np.arccos(x)) * x) / np.pi
    np.testing.assert_allclose(relu.get_ydata(), closed, atol=1e-13)
    assert legend_of(ax) == ["identity", "silu", r"relu ($\sigma_b = 0$)"]


def test_another_variance_has_no_marker(poole):
    ax = mf.plot.correlation_map(poole[1], ax=Figure().add_subplot(), q=1.0)
    assert points(ax) == []
    np.testing.assert_array_equal(curves(ax)[0].get_ydata(), poole[1].correlation_map(curves(ax)[0].get_xdata(), q=1.0))


def test_variance_maps_with_their_fixed_points(poole):
    ax = Figure().add_subplot()
    assert mf.plot.variance_map(poole, ax=ax) is ax
    for network, line in zip(poole, curves(ax), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), network.variance_map(line.get_xdata()))
    assert [point.get_xdata()[0] for point in points(ax)] == pytest.approx([0.607047, 4.079124, 12.604149], abs=5e-7)


def test_unstable_fixed_points_are_open():
    ax = mf.plot.variance_map(mf.MeanField("silu", sigma_w=1.8, sigma_b=0.1), ax=Figure().add_subplot())
    stable, unstable = points(ax)
    assert str(stable.get_markerfacecolor()) != "white"
    assert str(unstable.get_markerfacecolor()) == "white"
    assert unstable.get_xdata()[0] == pytest.approx(0.3341, abs=1e-4)


def test_own_labels_and_column_width(poole):
    ax = mf.plot.correlation_map(poole, labels=["a", "b", "c"])
    assert legend_of(ax)[1:] == ["a", "b", "c"]
    assert ax.figure.get_figwidth() == pytest.approx(3.4)


def test_lines_stay_apart_in_grey(poole):
    ax = mf.plot.correlation_map(poole, ax=Figure().add_subplot())
    lightness = [np.dot(line.get_color()[:3], [0.2126, 0.7152, 0.0722]) for line in curves(ax)]
    assert np.all(np.diff(lightness) > 0.1)
    assert len({str(line._dash_pattern) for line in curves(ax)}) == 3


@pytest.mark.parametrize(
    ("keywords", "word"),
    [
        ({"networks": []}, "networks"),
        ({"networks": "softplus"}, "no edge of chaos"),
        ({"networks": "tanh", "q": 1.0}, "q = 1.0"),
        ({"networks": "tanh", "labels": ["a", "b"]}, "labels"),
        ({"networks": "tanh", "c": [0.5]}, "c of shape"),
        ({"networks": "tanh", "c": [0.5, 1.5]}, "c = 1.5"),
    ],
)
def test_bad_input(keywords, word):
    with pytest.raises(mf.DomainError, match=word):
        mf.plot.correlation_map(ax=Figure().add_subplot(), **keywords)


def test_bad_variances(poole):
    with pytest.raises(mf.DomainError, match="q of shape"):
        mf.plot.variance_map(poole, ax=Figure().add_subplot(), q=[2.0, 1.0])


def test_maps_that_nearly_are_the_identity_are_drawn_as_a_ratio():
    relu = mf.MeanField("relu", sigma_w=2**0.5, sigma_b=0.0)
    ax = mf.plot.variance_map([relu, mf.MeanField("relu", 1.5, 0.0)], ax=Figure().add_subplot())
    assert ax.get_ylabel() == "$F(q)/q$"
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    assert np.allclose(lines["identity"], 1.0)
    assert sorted(round(float(y[0]), 9) for label, y in lines.items() if "sigma_w" in label) == [1.0, 1.125]  # σ_w²/2
    assert mf.plot.variance_map(relu, ax=Figure().add_subplot(), ratio=False).get_ylabel() == "$F(q)$"
    assert mf.plot.variance_map(mf.MeanField("tanh", 4.0, 0.3), ax=Figure().add_subplot()).get_ylabel() == "$F(q)$"
