"""The names on the datasheet's phase diagram can be read: on a ground of their own, and no wider than their regions."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import meanfield as mf
from meanfield.plot.column_width import detached_axes
from meanfield.report.sections import plane
from meanfield.report.subject import make_subject

SIGMA_B = np.linspace(0.0, 1.0, 41)


def drawn(name, low, high):
    """The axes as they will be printed, laid out."""
    diagram = mf.phase_diagram(name, sigma_w=np.linspace(low, high, 81), sigma_b=SIGMA_B)
    ax = mf.plot.phase_diagram(diagram, ax=detached_axes())
    FigureCanvasAgg(ax.figure.figure).draw()
    return ax


@pytest.mark.parametrize(("name", "low", "high"), [("x**3", 0.05, 1.0), ("mish", 0.5, 3.0), ("tanh", 0.9, 3.0), ("relu", 1.2, 3.0)])
def test_names_stay_inside_the_frame_on_a_ground_of_their_own(name, low, high):
    ax = drawn(name, low, high)
    assert ax.texts
    frame = ax.get_window_extent()
    for text in ax.texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
        assert frame.y0 <= box.y0
        assert box.y1 <= frame.y1
        ground = text.get_bbox_patch()
        assert ground.get_facecolor()[:3] == (1.0, 1.0, 1.0)
        assert ground.get_alpha() >= 0.8


def test_narrow_regions_are_named_upright_or_not_at_all():
    # ReLU is ordered left of σ_w = √2 at every σ_b: a fifth, then a fortieth of the picture's width.
    rotations = {text.get_text(): text.get_rotation() for text in drawn("relu", 1.2, 2.27).texts}
    assert rotations["ordered"] == 90.0
    assert rotations[r"$q^* = \infty$"] == 0.0


@pytest.mark.parametrize(
    ("name", "holds", "below"),
    [("tanh", 1.7, 3.0), ("exp", 0.36, 0.7), ("exp(-x**2)*x**4", 3.0, 60.0), ("relu", 1.4142, 3.0), ("sign", 1.0, 3.0)],
)
def test_the_plane_shows_the_edge_and_little_else(name, holds, below):
    low, high = plane._reach(make_subject(name, 0))
    assert low < holds < high <= below


def test_a_single_point_is_called_one():
    assert "The disc is the edge of chaos" in plane.section(make_subject("relu", 0)).blocks[0].caption
    assert "dashed where not" in plane.section(make_subject("tanh", 0)).blocks[0].caption
