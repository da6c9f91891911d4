"""Every example runs, ends in a picture, and shows the numbers that the papers print."""

from __future__ import annotations

import math
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def run():
    """Run an example once; what it leaves behind, by name."""
    import matplotlib.pyplot as plt

    found = {}

    def once(name):
        if name not in found:
            found[name] = runpy.run_path(str(EXAMPLES / f"plot_{name}.py"), run_name="example")
            plt.close("all")
        return found[name]

    return once


@pytest.mark.parametrize("name", sorted(path.stem.removeprefix("plot_") for path in EXAMPLES.glob("plot_*.py")))
def test_ends_in_a_picture(run, name, capsys):
    left = run(name)
    figure = left["figure"] if "figure" in left else left["ax"].figure
    figure.canvas.draw()
    assert all(axes.has_data() for axes in figure.axes)


@pytest.mark.parametrize("name", sorted(path.stem.removeprefix("plot_") for path in EXAMPLES.glob("plot_*.py")))
def test_a_picture_is_drawn_in_one_cell(name):
    """The gallery shows a figure as it is at the end of the cell that makes it; what is drawn later is not seen."""
    cells = (EXAMPLES / f"plot_{name}.py").read_text(encoding="utf-8").split("# %%")
    makes = [index for index, cell in enumerate(cells) if re.search(r"plt\.subplots|plt\.figure|\.plot\(ax=None", cell)]
    draws = [
        index
        for index, cell in enumerate(cells)
        if re.search(r"\b(left|middle|right|axis|axes|ax)\b[\w\[\], ]*\.(plot|semilogx|semilogy|loglog|set|legend)\(|\bax=", cell)
    ]
    assert all(index in makes for index in draws if makes and index > makes[0])


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("plot_*.py")))
def test_takes_the_name_of_a_file(name):
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert re.search(r"if len\(sys\.argv\) == 2:\n        \S*savefig\(sys\.argv\[1\]", text)


def test_as_a_script_it_writes_the_file_that_it_is_given(tmp_path):
    place = tmp_path / "edge.png"
    subprocess.run([sys.executable, str(EXAMPLES / "plot_edge_of_chaos.py"), str(place)], check=True, cwd=EXAMPLES.parent, timeout=120)
    assert place.read_bytes().startswith(b"\x89PNG")


def test_schoenholz_2017_depth_scale_diverges_at_the_critical_point(run):
    left = run("depth_scale")
    assert left["critical"] ** 2 == pytest.approx(1.7609546, abs=5e-8)
    for side in ("below", "above"):
        np.testing.assert_allclose(left[side] * left["distances"], left[side][-1] * left["distances"][-1], rtol=0.05)
        assert left[side][-1] > 1e5


def test_poole_2016_fixed_points(run):
    networks = run("poole_maps")["networks"]
    assert [network.q_star for network in networks] == pytest.approx([0.607047, 4.079124, 12.604149], abs=5e-7)
    assert [network.chi_1 for network in networks] == pytest.approx([0.939807, 1.585225, 2.367261], abs=5e-7)
    assert [network.c_star for network in networks] == pytest.approx([1.0, 0.1221037473, 0.0296959216], abs=5e-11)


def test_hayou_2018_exponents(run):
    left = run("decay_on_the_edge")
    assert {name: law.exponent for name, law in left["laws"].items()} == {"tanh": 1, "silu": 1, "relu": 2}
    assert left["laws"]["relu"].constant == pytest.approx(9 * math.pi**2 / 2, rel=1e-10)
    for name, law in left["laws"].items():
        assert left["slopes"][name] == pytest.approx(-law.exponent, abs=0.01)


def test_a_million_layers_reach_the_law(run):
    reached = run("million_layers")["reached"]
    assert (reached["relu"], reached["tanh"]) == pytest.approx((1.0, 1.0), abs=2e-4)
    # The second derivative of ELU jumps: the next term of its law falls with the root of the depth only.
    assert reached["elu"] == pytest.approx(1.0, abs=0.01)


def test_diagram_changes_phase_at_the_edge(run):
    left = run("phase_diagram")
    ahead = left["first_chaotic"] - left["edge"].sigma_w
    step = left["diagram"].sigma_w[1] - left["diagram"].sigma_w[0]
    assert np.all((ahead > 0) & (ahead <= step * (1 + 1e-9)))


def test_swish_edge_begins_to_attract_where_theory_says(run):
    left = run("unstable_edge")
    assert left["begins"] == pytest.approx(0.74508, abs=2e-6)
    assert (left["edge"].sigma_w, left["edge"].q, left["edge"].variance_slope) == pytest.approx((1.679532, 0.689453, 1.0987), abs=5e-5)
    assert [round(point.value, 4) for point in left["network"].variance_fixed_points()] == [0.1940, 0.6895]


def test_own_formula_is_critical_at_one_over_its_slope(run):
    assert run("own_formula")["edge"].sigma_w[0] == pytest.approx(1 / 1.2, rel=1e-12)


def test_deeper_networks_get_a_smaller_bias(run):
    left = run("sigma_b_by_depth")
    assert np.all(np.diff([item.sigma_b for item in left["advice"]]) <= 0)
    assert np.all(np.diff(left["layers"]) < 0)


def test_residual_networks_grow_as_published(run):
    left = run("residual_growth")
    depth, tanh, relu = left["DEPTH"], left["tanh"], left["relu"]
    np.testing.assert_allclose(relu.q1, 2.0 ** np.arange(depth + 1), rtol=1e-12)
    assert left["slope"] == pytest.approx(2 * (4 / 3) / math.sqrt(2 * math.pi), rel=1e-15)
    # The next terms: √l beside l, log l beside √l.
    assert tanh.q1[-1] / depth == pytest.approx(1.0, abs=2 / math.sqrt(depth))
    assert left["last"] == pytest.approx(left["slope"], rel=1 / math.sqrt(depth))
    ends = {int(size): (c, g) for size, c, g in zip(left["depths"], left["correlation"], left["gradient"], strict=True)}
    assert ends[1000][0] == pytest.approx(0.593229671432484, abs=1e-4)
    assert ends[1000][1] == pytest.approx(math.e, abs=2e-3)


def test_dropout_has_two_universality_classes(run):
    left = run("dropout_depth")
    assert (left["exponents"]["tanh"], left["exponents"]["relu"]) == pytest.approx((1 / 2, 1 / 3), abs=0.01)
    for values in left["found"].values():
        assert np.all(np.diff(values[:, 0]) > 0)
        assert np.all(values[:, 0] > 0)


def test_normalisations_as_published(run):
    left = run("normalisations")
    batches, growth = left["batches"], left["growth"]
    np.testing.assert_allclose(growth["linear"], (batches - 2) / (batches - 3), rtol=1e-11)
    assert left["limits"]["relu"] == pytest.approx(math.pi / (math.pi - 1), rel=1e-12)
    for phi, limit in left["limits"].items():
        assert np.all(growth[phi] > limit)
    assert left["exponent"]["tanh"] == pytest.approx(1.178, abs=5e-4)
    for phi, exponent in left["exponent"].items():
        gradient = left["gradients"][phi, "pre"]
        assert math.log(gradient[100] / gradient[1000]) / math.log(10) == pytest.approx(exponent, rel=0.02)
    post = left["gradients"]["tanh", "post"]
    assert math.log(post[0]) / 1000 == pytest.approx(math.log((1 + left["exponent"]["tanh"]) / 2), rel=1e-10)
    np.testing.assert_allclose(left["gradients"]["relu", "post"], 1.0, rtol=1e-10)


def test_a_relu_behind_the_sum_is_not_gaussian_and_layer_norm_has_a_line(run):
    """182.3 over six blocks (networks of width 1000: 183.4 ± 4.4), and Doshi et al.'s line at its published form V[φ'](1) − V(1)."""
    left = run("resnet_block")
    assert left["growth"][-1] == pytest.approx(182.3, abs=0.05)
    assert np.all(np.abs(left["sampled"] - left["growth"]) <= 2.5 * left["error"])  # of two standard errors each
    wanted = {"tanh": 0.0701084120504, "erf": 0.104851, "gelu": 0.0306294, "silu": 0.0237068}
    assert {phi: (0.2 / sigma_w) ** 2 for phi, sigma_w in left["lines"].items()} == pytest.approx(wanted, rel=1e-5)


def test_layer_jacobians_as_published(run):
    """Around 0.5 and 0.8. By theory: the mean of the law of diag(φ′) W. 400 units fluctuate by 0.01."""
    left = run("layer_jacobians")
    for name, published in (("standard", 0.5), ("normalized", 0.8)):
        assert left["theory"][name].mean() == pytest.approx(published, abs=0.015)
        np.testing.assert_allclose(left["measured"][name], left["theory"][name], atol=0.015)
    # Where signals vanish the layer is linear, and the quarter-circle law has the mean 8/(3π) σ_w.
    assert left["theory"]["standard"][-1] == pytest.approx(8 / (3 * math.pi) / math.sqrt(3), rel=2e-3)


def test_domains_of_convergence_contain_the_published_ones(run):
    for found in run("convergence_domains")["domains"].values():
        assert found.exact_variance >= found.sigma_w_variance * (1 - 1e-12)
        assert found.exact_correlation >= found.sigma_w_correlation * (1 - 1e-12)
        assert found.exact_correlation <= found.exact_variance


def test_only_the_quadratic_cost_has_plateaus(run):
    """And the slopes that the picture rests on are those of its surfaces."""
    left = run("cost_surfaces")
    assert left["plateau"]["quadratic"] > 0.2
    assert left["plateau"]["log-likelihood"] == 0.0
    step = left["SIDE"][1] - left["SIDE"][0]
    for name, cost in left["costs"].items():
        by_first, by_second = np.gradient(cost, step)
        size = left["sizes"][name][5:-5, 5:-5]
        ratio = (np.hypot(by_first, by_second)[5:-5, 5:-5] / np.maximum(size, 1e-9))[size > 1e-3]
        assert np.quantile(ratio, 0.9) < 1.01 * np.quantile(ratio, 0.1)  # one factor, the root mean square
