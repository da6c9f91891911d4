"""The picture of a simulated ensemble over the theory."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf


@pytest.fixture(scope="module")
def sim():
    return mf.simulate("tanh", 1.5, 0.3, width=100, depth=8, networks=30, q=(1.0, 0.5), c=0.4, progress=False)


def named(ax, label):
    return next(line for line in ax.get_lines() if line.get_label() == label)


@pytest.mark.parametrize("quantity", ["q1", "q2", "c", "gradient"])
def test_what_is_drawn_is_theory_and_samples(sim, quantity):
    ax = Figure().add_subplot()
    assert mf.plot.comparison(sim, ax=ax, quantity=quantity) is ax
    theory = mf.finite_width("tanh", 1.5, 0.3, 8, q=(1.0, 0.5), c=0.4)
    key = "log_gradient" if quantity == "gradient" else quantity
    scale = np.exp if quantity == "gradient" else np.asarray
    band = theory.at(100)
    np.testing.assert_allclose(named(ax, "infinite width").get_ydata(), getattr(theory, quantity), rtol=1e-9)
    np.testing.assert_allclose(named(ax, "mean at this width").get_ydata(), scale(band.mean[key]), rtol=1e-9)
    (points,) = ax.containers
    np.testing.assert_allclose(points[0].get_ydata(), scale(getattr(sim, key).mean), rtol=1e-12)
    (segments,) = points[2]
    ends = np.array(segments.get_segments())[:, :, 1]
    error = 2 * getattr(sim, key).standard_error
    np.testing.assert_allclose(ends[:, 1], scale(getattr(sim, key).mean + error), rtol=1e-9)
    (shade,) = ax.collections[:1]
    heights = shade.get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose(heights.max(), scale(band.mean[key] + 2 * band.standard_deviation[key]).max(), rtol=1e-9)
    assert ax.get_yscale() == ("log" if quantity == "gradient" else "linear")
    ax.figure.canvas.draw()
    assert plt.get_fignums() == []


def test_many_layers_are_few_points():
    deep = mf.simulate("relu", 1.4, 0.1, width=20, depth=100, networks=3, gradients=False, progress=False)
    ax = mf.plot.comparison(deep, ax=Figure().add_subplot())
    assert len(ax.containers[0][0].get_xdata()) <= 40
    with pytest.raises(mf.DomainError, match="gradients=False"):
        mf.plot.comparison(deep, quantity="gradient")


def test_without_a_theory_the_samples_are_drawn():
    wild = mf.simulate("exp(x**2/7)", 0.5, 0.3, width=20, depth=2, networks=3, gradients=False, progress=False)
    ax = mf.plot.comparison(wild, ax=Figure().add_subplot())
    assert len(ax.containers) == 1


def test_a_single_network_has_no_error_bars():
    lone = mf.simulate("tanh", 1.5, 0.3, width=20, depth=2, networks=1, progress=False)
    ax = mf.plot.comparison(lone, ax=Figure().add_subplot())
    ax.figure.canvas.draw()


def test_bad_input(sim):
    with pytest.raises(mf.DomainError, match="quantity"):
        mf.plot.comparison(sim, quantity="q")
    with pytest.raises(mf.DomainError, match="simulation"):
        mf.plot.comparison("tanh")
