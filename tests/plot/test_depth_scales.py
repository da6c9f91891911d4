"""The picture of the depth scales along σ_w."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf

SIGMA_W = np.linspace(1.0, 2.0, 21)


def curves(ax):
    return [line for line in ax.get_lines() if len(line.get_xdata()) > 2]


def test_draws_the_depth_scales_of_each_network():
    ax = Figure().add_subplot()
    assert mf.plot.depth_scales("tanh", sigma_w=SIGMA_W, sigma_b=0.2, ax=ax) is ax
    xi_c, xi_q = curves(ax)
    for sigma_w in SIGMA_W[[0, 5, 20]]:
        scales = mf.MeanField("tanh", sigma_w, 0.2).depth_scales
        (at,) = np.flatnonzero(np.asarray(xi_c.get_xdata()) == sigma_w)
        assert xi_c.get_ydata()[at] == pytest.approx(scales.xi_c, rel=1e-9)
        assert xi_q.get_ydata()[at] == pytest.approx(scales.xi_q, rel=1e-9)
    assert (ax.get_xlabel(), ax.get_yscale(), ax.get_xlim()) == (r"$\sigma_w$", "log", (1.0, 2.0))
    assert plt.get_fignums() == []


def test_divergence_shows_at_the_critical_point_whatever_the_grid():
    ax = mf.plot.depth_scales("tanh", sigma_w=SIGMA_W, ax=Figure().add_subplot())
    xi_c, _ = curves(ax)
    peak = xi_c.get_xdata()[np.nanargmax(xi_c.get_ydata())]
    assert peak**2 == pytest.approx(1.7609546, rel=1e-3)
    assert np.nanmax(xi_c.get_ydata()) > 5000
    (line,) = [line for line in ax.get_lines() if len(line.get_xdata()) == 2]
    assert line.get_xdata()[0] ** 2 == pytest.approx(1.7609546, abs=5e-8)


def test_repelling_point_is_not_marked():
    ax = mf.plot.depth_scales("silu", sigma_w=SIGMA_W, sigma_b=0.2, ax=Figure().add_subplot())
    assert [line for line in ax.get_lines() if len(line.get_xdata()) == 2] == []


def test_gradients_too():
    ax = mf.plot.depth_scales("tanh", sigma_w=SIGMA_W, sigma_b=0.2, ax=Figure().add_subplot(), quantities="xi_grad")
    (line,) = curves(ax)
    chi_1 = mf.MeanField("tanh", 2.0, 0.2).chi_1
    assert line.get_ydata()[-1] == pytest.approx(1 / math.log(chi_1), rel=1e-9)


@pytest.mark.parametrize(
    ("keywords", "word"),
    [({"quantities": ["q_star"]}, "quantities"), ({"quantities": []}, "quantities"), ({"sigma_w": [1.0]}, "sigma_w")],
)
def test_bad_input(keywords, word):
    with pytest.raises(mf.DomainError, match=word):
        mf.plot.depth_scales("tanh", ax=Figure().add_subplot(), **keywords)
