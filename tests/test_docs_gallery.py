"""The pictures that the documentation leans on show what their captions say."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def left_by(name: str) -> dict[str, object]:
    import matplotlib.pyplot as plt

    found = runpy.run_path(str(EXAMPLES / f"plot_{name}.py"), run_name="example")
    plt.close("all")
    return found


def test_there_are_at_least_twelve_each_with_a_title_and_a_text():
    scripts = sorted(EXAMPLES.glob("plot_*.py"))
    assert len(scripts) >= 12
    for script in scripts:
        lines = script.read_text(encoding="utf-8").splitlines()
        assert lines[0] == '"""'
        assert set(lines[2]) == {"="}, script.name
        assert len(lines[1]) <= len(lines[2]), script.name
        assert lines[4], script.name


def test_proposition_4_leads_to_the_identity_only_where_slopes_agree(capsys):
    found = left_by("proposition4")
    distance, verdicts = found["distance"], found["verdicts"]
    for name in ("tanh", "elu", "silu"):
        assert distance[name][0] < 2e-4
        assert verdicts[name].conclusion.holds
    # λ and β are the slopes on both sides of 0: SELU's scale 1.0507… and scale times alpha.
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    limit = (1 - alpha) ** 2 / (math.pi * (1 + alpha**2))
    assert verdicts["selu"].conclusion.evidence["limit"] == pytest.approx(limit, rel=1e-10)
    assert scale * alpha == pytest.approx(1.7580993, abs=1e-7)
    assert distance["selu"][0] == pytest.approx(limit, rel=0.05)
    assert distance["relu6"][0] == pytest.approx(1 / math.pi, rel=0.01)
    assert not verdicts["selu"].conclusion.holds
    assert not verdicts["relu6"].conclusion.holds


def test_default_initialisation_loses_the_gradient(capsys):
    found = left_by("pytorch_default")
    lost, depth = found["lost"], found["DEPTH"]
    # ReLU: χ₁ = σ_w²/2 = 1/6 at every variance.
    assert lost["relu", "0.55"] == pytest.approx(6.0**-depth, rel=1e-9)
    assert lost["tanh", "0.55"] < 1e-10 < 1e-1 < lost["tanh", "black"]
    assert lost["silu", "0.55"] < 1e-21
    assert lost["relu", "black"] == pytest.approx(1.0, rel=1e-9)
