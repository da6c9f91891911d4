"""The picture of a phase diagram."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import meanfield as mf

SIGMA_W, SIGMA_B = np.linspace(0.5, 3.0, 26), np.linspace(0.0, 1.0, 11)


@pytest.fixture(scope="module")
def diagrams():
    return {name: mf.phase_diagram(name, sigma_w=SIGMA_W, sigma_b=SIGMA_B) for name in ("tanh", "silu", "relu", "sign")}


def mesh_of(ax):
    (mesh,) = [item for item in ax.collections if type(item).__name__ == "QuadMesh"]
    return mesh


def critical_lines(ax, style=None):
    return [line for line in ax.get_lines() if line.get_gid() == "critical" and style in (None, line.get_linestyle())]


def words_in(ax):
    return {text.get_text() for text in ax.texts}


def test_draws_the_numbers_on_the_given_axes(diagrams):
    ax = Figure().add_subplot()
    assert mf.plot.phase_diagram(diagrams["tanh"], "q_star", ax=ax) is ax
    values = mesh_of(ax).get_array()
    assert values.shape == (11, 26)
    low, high = mesh_of(ax).get_clim()
    np.testing.assert_allclose(values, np.clip(diagrams["tanh"].q_star, low, high), rtol=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"$\sigma_w$", r"$\sigma_b$")
    assert (ax.get_xlim(), ax.get_ylim()) == ((0.5, 3.0), (0.0, 1.0))
    assert plt.get_fignums() == []


def test_the_method_of_the_result_draws_the_same(diagrams):
    ax = diagrams["tanh"].plot("xi_q", ax=Figure().add_subplot())
    other = mf.plot.phase_diagram(diagrams["tanh"], "xi_q", ax=Figure().add_subplot())
    np.testing.assert_array_equal(mesh_of(ax).get_array(), mesh_of(other).get_array())


def test_activation_is_computed_on_the_grid_given_and_nothing_is_shown(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("show() was called"))
    ax = mf.plot.phase_diagram("tanh", sigma_w=[1.0, 2.0, 3.0], sigma_b=[0.1, 0.2])
    assert mesh_of(ax).get_array().shape == (2, 3)
    assert ax.figure.get_figwidth() == pytest.approx(3.4)


def test_critical_line_is_the_edge_of_chaos(diagrams):
    ax = diagrams["tanh"].plot("chi_1", ax=Figure().add_subplot())
    (line,) = critical_lines(ax)
    assert line.get_linestyle() == "-"
    sigma_w, sigma_b = line.get_data()
    inside = (sigma_b > 0.01) & (sigma_b <= 1)
    chi_1 = [mf.MeanField("tanh", *point).chi_1 for point in line.get_xydata()[inside][::20]]
    np.testing.assert_allclose(chi_1, 1.0, atol=1e-11)
    assert sigma_b.min() == 0.0
    assert np.diff(sigma_b[inside]).max() < 0.02
    # Cells to its left are ordered, to its right chaotic.
    for row, value in enumerate(SIGMA_B):
        expected = np.where(np.interp(value, sigma_b, sigma_w) > SIGMA_W, -1, 1)
        at_line = np.isclose(SIGMA_W, np.interp(value, sigma_b, sigma_w), atol=1e-6)
        np.testing.assert_array_equal(diagrams["tanh"].phase[row][~at_line], expected[~at_line])


def test_repelling_part_is_dashed_and_divergence_hatched_and_named(diagrams):
    ax = diagrams["silu"].plot("q_star", ax=Figure().add_subplot())
    (dashed,) = critical_lines(ax, "--")
    (solid,) = critical_lines(ax, "-")
    assert dashed.get_ydata().max() == pytest.approx(0.745, abs=0.01)
    assert solid.get_ydata().min() == pytest.approx(0.745, abs=0.01)
    assert words_in(ax) == {"ordered", r"$q^* = \infty$"}
    assert any("////" in (getattr(item, "hatches", None) or []) for item in ax.collections)


def test_single_point_is_a_disc(diagrams):
    ax = diagrams["relu"].plot(ax=Figure().add_subplot())
    (point,) = critical_lines(ax)
    assert point.get_marker() == "o"
    assert point.get_xydata() == pytest.approx(np.array([[np.sqrt(2.0), 0.0]]))


def test_phases_are_named_inside_their_own_cells(diagrams):
    ax = diagrams["tanh"].plot(ax=Figure().add_subplot())
    assert words_in(ax) == {"ordered", "chaotic"}
    for text in ax.texts:
        x, y = text.get_position()
        cell = diagrams["tanh"].phase[np.argmin(np.abs(SIGMA_B - y)), np.argmin(np.abs(SIGMA_W - x))]
        assert cell == {"ordered": -1, "chaotic": 1}[text.get_text()]


def test_depths_are_logarithmic_and_the_colour_bar_says_what_is_clipped(diagrams):
    figure = Figure()
    ax = diagrams["tanh"].plot("xi_c", ax=figure.add_subplot())
    assert isinstance(mesh_of(ax).norm, LogNorm)
    identity = np.isnan(diagrams["tanh"].c_star)  # σ_b = 0, σ_w ≤ 1: grey, and no yellow strip of infinite depths
    assert identity.sum() == 6
    assert (np.ma.getmaskarray(mesh_of(ax).get_array()).reshape(identity.shape) == identity).all()
    label = figure.axes[1].get_ylabel()
    low, high = mesh_of(ax).get_clim()
    assert np.isinf(diagrams["tanh"].xi_c[~identity]).any() == (", ∞ too" in label)
    assert label.startswith(r"$\xi_c$ (layers)")
    assert f"clipped to {low:g} – {high:g}" in label


def test_nothing_clipped_is_nothing_said(diagrams):
    figure = Figure()
    diagrams["tanh"].plot("c_star", ax=figure.add_subplot())
    assert figure.axes[1].get_ylabel() == "$c^*$"


@pytest.mark.parametrize("quantity", ["xi_c", "xi_q", "xi_grad", "chi_1", "q_star", "c_star", "epsilon_star", "variance_slope"])
@pytest.mark.parametrize("name", ["tanh", "silu", "relu", "sign"])
def test_every_quantity_draws(diagrams, name, quantity):
    figure = Figure()
    diagrams[name].plot(quantity, ax=figure.add_subplot())
    drawn = np.isnan(np.ma.filled(mesh_of(figure.axes[0]).get_array(), np.nan))
    missing = diagrams[name].c_star if quantity == "xi_c" else getattr(diagrams[name], quantity)
    assert drawn.sum() == np.isnan(missing).sum() < drawn.size / 4  # c* at σ_b = 0, where f is the identity


def test_colours_of_chi_1_part_at_1(diagrams):
    figure = Figure()
    mesh = mesh_of(diagrams["tanh"].plot("chi_1", ax=figure.add_subplot()))
    assert mesh.norm(1.0) == pytest.approx(0.5, abs=1e-12)
    assert mesh.get_cmap().name == "PuOr"
    ordered, chaotic = mesh.to_rgba(0.3), mesh.to_rgba(3.0)
    assert ordered[0] > ordered[2]
    assert chaotic[2] > chaotic[0]
    figure.canvas.draw()


def test_legible_in_grey(diagrams):
    mesh = mesh_of(diagrams["tanh"].plot(ax=Figure().add_subplot()))
    lightness = mesh.cmap(np.linspace(0, 1, 32))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(lightness) > 0)


@pytest.mark.parametrize(
    ("keywords", "word"),
    [
        ({"quantity": "xi"}, "quantity"),
        ({"limits": (0.0, 1.0)}, "limits"),
        ({"limits": (2.0, 1.0)}, "limits"),
        ({"limits": (1.0, np.inf)}, "limits"),
        ({"sigma_w": [1.0]}, "sigma_w"),
        ({"sigma_b": [0.2]}, "sigma_b"),
    ],
)
def test_bad_input(keywords, word):
    with pytest.raises(mf.DomainError, match=word):
        mf.plot.phase_diagram("tanh", **{"sigma_w": [1.0, 2.0], "sigma_b": [0.0, 1.0]} | keywords)
