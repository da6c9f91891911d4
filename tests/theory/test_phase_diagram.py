"""The phase diagram against one ensemble at a time, the edge of chaos, published values, and itself in pieces."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import meanfield as mf
from meanfield.theory.phase_diagram import phase_diagram as module_function

QUANTITIES = ("q_star", "variance_slope", "epsilon_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_grad")


def same(name: str, got: float, want: float, tolerance: float) -> bool:
    if got == want or (np.isnan(want) and np.isnan(got)):
        return True
    return bool(np.isfinite(got) and np.isfinite(want) and abs(got - want) <= tolerance * max(abs(want), 1e-3 if name == "c_star" else 0.0))


@pytest.mark.parametrize("name", ["tanh", "relu", "silu", "hardtanh", "selu", "sign", "sin", "sigmoid", "gaussian", "relu6"])
def test_every_quantity_of_random_cells(name: str) -> None:
    sigma_w, sigma_b = np.linspace(0.4, 3.2, 29), np.linspace(0.0, 1.2, 13)
    diagram = mf.phase_diagram(name, sigma_w, sigma_b)
    rng = np.random.default_rng(3)
    for b, w in zip(rng.integers(0, 13, 25), rng.integers(0, 29, 25), strict=True):
        net = mf.MeanField(name, sigma_w[w], sigma_b[b])
        scales = net.depth_scales
        cell = {quantity: float(getattr(diagram, quantity)[b, w]) for quantity in QUANTITIES}
        where = (name, sigma_w[w], sigma_b[b], cell)
        slope = float(net.variance_slope(net.q_star)) if math.isfinite(net.q_star) else net.chi_1
        # Conditioning: 1/(1 − F') for q*, 1/|χ₁ − 1| for what follows from it.
        condition = 1 / max(abs(1 - slope), 1e-6) + 1 / max(abs(net.chi_1 - 1), 1e-6)
        tolerance = 1e-11 * (1 + condition)
        assert same("q_star", cell["q_star"], net.q_star, tolerance), where
        assert {-1: "ordered", 0: "critical", 1: "chaotic"}[int(diagram.phase[b, w])] == net.phase, where
        for quantity, want in (
            ("chi_1", net.chi_1),
            ("epsilon_star", net.epsilon_star),
            ("c_star", net.c_star),
            ("variance_slope", slope),
            ("xi_q", scales.xi_q),
            ("xi_c", scales.xi_c),
            ("xi_grad", scales.xi_grad),
        ):
            allowed = tolerance * (1 + abs(want) if quantity.startswith("xi") else 1)
            assert same(quantity, cell[quantity], want, allowed), (quantity, want, where)


def test_poole_2016() -> None:
    diagram = mf.phase_diagram("tanh", [1.3, 2.5, 4.0], 0.3)
    assert diagram.q_star[0] == pytest.approx([0.607047, 4.079124, 12.604149], abs=6e-7)
    assert diagram.c_star[0] == pytest.approx([1.0, 0.1221037473, 0.0296959216], abs=6e-11)
    assert diagram.phase.tolist() == [[-1, 1, 1]]
    assert diagram.phase.dtype == np.int8


@pytest.mark.parametrize("name", ["tanh", "erf", "hardtanh", "elu"])
def test_the_boundary_is_the_edge_of_chaos_cell_by_cell(name: str) -> None:
    sigma_w, sigma_b = np.linspace(0.8, 2.2, 141), np.linspace(0.05, 1.0, 20)
    diagram = mf.phase_diagram(name, sigma_w, sigma_b)
    edge = mf.edge_of_chaos(name, sigma_b)
    assert edge.stable.all()
    assert ((diagram.phase == 1) == (sigma_w[None, :] > edge.sigma_w[:, None])).all()


def test_just_above_the_edge() -> None:
    edge = mf.edge_of_chaos("tanh", 0.2)
    for excess in (1e-2, 1e-4, 1e-6):
        cell = mf.phase_diagram("tanh", edge.sigma_w * (1 + excess), 0.2)
        net = mf.MeanField("tanh", edge.sigma_w * (1 + excess), 0.2)
        assert cell.phase[0, 0] == 1
        assert cell.epsilon_star[0, 0] == pytest.approx(net.epsilon_star, rel=1e-12 / excess, abs=0.0)
        assert net.decorrelation_map(net.epsilon_star) == pytest.approx(net.epsilon_star, rel=1e-11, abs=0.0)


def test_limits() -> None:
    tanh = mf.phase_diagram("tanh", [0.5, 0.9], 0.0)
    assert tanh.q_star.tolist() == [[0.0, 0.0]]
    assert tanh.chi_1[0] == pytest.approx([0.25, 0.81])
    assert np.isinf(tanh.xi_c).all()
    relu = mf.phase_diagram("relu", [1.0, math.sqrt(2), 2.0], [0.0])
    assert relu.q_star.tolist() == [[0.0, 1.0, math.inf]]
    assert relu.phase.tolist() == [[-1, 0, 1]]
    assert np.isfinite(mf.phase_diagram("silu", np.linspace(0, 4, 30), np.linspace(0, 2, 30)).chi_1).all()
    for diagram in (tanh, relu, mf.phase_diagram("sign", [0.0, 1.0], [0.0, 0.5])):
        for quantity in QUANTITIES:
            # tanh: the identity at q* = 0, of which no c* is singled out
            everywhere = diagram is tanh and quantity in ("c_star", "epsilon_star")
            assert set(np.isnan(getattr(diagram, quantity)).ravel()) == {everywhere}, quantity


def test_functions_without_short_series_go_cell_by_cell() -> None:
    # E[φ'²] is infinite: chaotic everywhere, and no series in the angle.
    diagram = mf.phase_diagram("sqrt(abs(x))", [0.5, 1.5], [0.2])
    for w, sigma_w in enumerate((0.5, 1.5)):
        net = mf.MeanField("sqrt(abs(x))", sigma_w, 0.2)
        assert diagram.q_star[0, w] == net.q_star
        assert diagram.chi_1[0, w] == net.chi_1 == math.inf
        epsilon = diagram.epsilon_star[0, w]
        assert net.decorrelation_map(epsilon) == pytest.approx(epsilon, rel=1e-9, abs=0.0)


def test_fixed_points_past_the_grid() -> None:
    for below in (1e-4, 1e-9):
        sigma_w = math.sqrt(2 * (1 - below))
        cell = mf.phase_diagram("relu", sigma_w, 1.0)
        assert cell.q_star[0, 0] == pytest.approx(1 / below, rel=1e-14 / below)  # conditioning 1/(1 − F')
        assert cell.phase.tolist() == [[-1]]


@pytest.mark.parametrize("name", ["silu", "gelu", "mish"])
def test_two_fixed_points_between_samples(name: str) -> None:
    # F touches q at 2.3 for σ_b² = bias; a little less and the recursion from 1 ends just below, a little more and it goes on.
    unit = mf.MeanField(name, 1.0, 0.0)
    weight = 1.0 / unit.variance_slope(2.3)
    bias = 2.3 - weight * unit.variance_map(2.3)
    sigma_w = math.sqrt(weight)
    below, beyond = mf.phase_diagram(name, sigma_w, [math.sqrt(bias * (1 - 1e-5)), math.sqrt(bias * (1 + 1e-5))]).q_star[:, 0]
    assert 2.25 < below < 2.3
    assert mf.MeanField(name, sigma_w, math.sqrt(bias * (1 - 1e-5))).variance_map(below) == pytest.approx(below, rel=1e-13)
    assert beyond > 4.0


@pytest.mark.parametrize("name", ["elu", "tanh"])
def test_blocks_and_threads_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    sigma_w, sigma_b = np.linspace(0.5, 3, 40), np.linspace(0, 1, 30)
    whole = mf.phase_diagram(name, sigma_w, sigma_b, n_jobs=1)
    monkeypatch.setattr(sys.modules[module_function.__module__], "BLOCK", 100)
    pieces = mf.phase_diagram(name, sigma_w, sigma_b, n_jobs=3, progress=True)
    for quantity in (*QUANTITIES, "phase"):
        assert np.array_equal(getattr(whole, quantity), getattr(pieces, quantity), equal_nan=True), quantity


def test_many_activations_through_joblib_and_dask() -> None:
    names = ["tanh", "relu", "x*tanh(exp(x))"]
    grid = (np.linspace(0.5, 2.5, 9), np.linspace(0, 1, 5))
    alone = [mf.phase_diagram(name, *grid) for name in names]
    together = mf.phase_diagrams(names, *grid, n_jobs=2)
    for one, two in zip(alone, together, strict=True):
        assert np.array_equal(one.q_star, two.q_star)
        assert np.array_equal(one.epsilon_star, two.epsilon_star, equal_nan=True)
    distributed = pytest.importorskip("distributed")
    import joblib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
            distributed.Client(cluster),
            joblib.parallel_config(backend="dask"),
        ):
            spread = mf.phase_diagrams(names, *grid)
    for one, two in zip(alone, spread, strict=True):
        assert np.array_equal(one.q_star, two.q_star)


def test_shapes_and_errors() -> None:
    diagram = mf.phase_diagram("tanh", [1.0, 2.0], 0.5)
    assert diagram.q_star.shape == (1, 2)
    assert "2 × 1 cells" in str(diagram)
    assert mf.phase_diagram("tanh", [], [0.1]).q_star.shape == (1, 0)
    with pytest.raises(mf.DomainError, match="sigma_w"):
        mf.phase_diagram("tanh", [-1.0], [0.1])
    with pytest.raises(mf.DomainError, match="one-dimensional"):
        mf.phase_diagram("tanh", np.ones((2, 2)), [0.1])


@pytest.mark.parametrize("name", ["x**2", "x**3"])
def test_no_limit_at_infinite_variance_is_nan_on_purpose(name: str) -> None:
    diagram = mf.phase_diagram(name, [0.1, 2.0], 0.1)
    assert np.isinf(diagram.q_star[0, 1])
    assert diagram.phase[0].tolist() == [-1, 1]
    for quantity in (diagram.epsilon_star, diagram.c_star, diagram.xi_c):
        assert np.isfinite(quantity[0, 0])
        assert np.isnan(quantity[0, 1])


def test_an_infinite_second_moment_everywhere() -> None:
    diagram = mf.phase_diagram("1/x", [0.0, 1.0], [0.0, 0.5])
    assert diagram.q_star.tolist() == [[0.0, np.inf], [0.25, np.inf]]


@pytest.mark.parametrize("name", ["hardtanh", "tanh"])
def test_rounding_at_the_critical_point_is_no_crossing(name: str) -> None:
    # At σ_w = 1, σ_b = 0 the recursion of hard-tanh falls to 0 more slowly than any power: V(q) − q is rounding long before.
    diagram, net = mf.phase_diagram(name, [1.0], [0.0]), mf.MeanField(name, 1.0, 0.0)
    assert diagram.q_star[0, 0] == pytest.approx(net.q_star, abs=1e-15)
    if net.q_star == 0.0 == diagram.q_star[0, 0]:
        assert diagram.xi_q[0, 0] == net.depth_scales.xi_q


@pytest.mark.parametrize(
    "formula",
    [
        "max(0, x-0.7)",
        "where(abs(x)>0.5, x, 0)",
        "where(abs(x)>0.5, x - 0.5*sign(x), 0)",
        "max(0,x)**2",
        "x**5*exp(-x**2)",
        "log(1+x**2)",
        "sqrt(1+x**2)-1",
        "x*erf(x)",
    ],
)
def test_a_cell_without_a_correlation_map_is_nan_and_spoils_no_other(formula: str) -> None:
    # At σ_b = 0 variances fall to 0, where φ' = 0: the map has no limit q → 0.
    diagram = mf.phase_diagram(formula, sigma_w=[0.0, 0.4], sigma_b=[0.0, 0.3])
    assert diagram.q_star[0].tolist() == [0.0, 0.0]
    for quantity in (diagram.c_star, diagram.epsilon_star, diagram.xi_c):
        assert np.isnan(quantity).tolist() == [[False, True], [False, False]]
    vanishing = mf.MeanField(formula, 0.4, 0.0)
    assert np.isnan(vanishing.epsilon_star)
    assert "no limit" in vanishing.c_star_reason
    alone = mf.MeanField(formula, 0.4, 0.3)
    assert diagram.epsilon_star[1, 1] == pytest.approx(alone.epsilon_star, rel=1e-9, abs=0.0)
    assert diagram.q_star[1, 1] == pytest.approx(alone.q_star, rel=1e-11)


def test_a_cell_beside_a_pole_does_not_end_the_diagram() -> None:
    # D(ε) ~ ε log(1/ε) for √|x|, so at small σ_w²/q the root of (σ_w²/q) D/ε = 1 is at an ε that no float64 correlation follows.
    with pytest.raises(mf.DomainError, match="1e-30"):
        _ = mf.MeanField("sqrt(abs(x))", 0.1, 1.0).c_star
    with pytest.warns(mf.AccuracyWarning, match="pole of φ or φ' and 1 − c\\* is below 1e-30.* at 1 of 2 points"):
        diagram = mf.phase_diagram("sqrt(abs(x))", [0.1, 2.0], [1.0])
    assert np.isnan(diagram.c_star[0, 0])
    assert np.isnan(diagram.xi_c[0, 0])
    assert diagram.chi_1[0].tolist() == [np.inf, np.inf]
    net = mf.MeanField("sqrt(abs(x))", 2.0, 1.0)
    assert (diagram.q_star[0, 1], diagram.c_star[0, 1]) == (net.q_star, net.c_star)
    assert diagram.q_star[0, 0] == pytest.approx(1.0, abs=0.01)


def test_a_slope_that_is_next_to_nothing_keeps_its_digits() -> None:
    """f'(c*) = 4σ_w² exp(−4q) = 5e-11 of sin(2x) without biases: less than the correlation table knows."""
    diagram = mf.phase_diagram("sin(2*x)", sigma_w=[3.7293, 4.0], sigma_b=[0.0, 0.1])
    for i, sigma_b in enumerate((0.0, 0.1)):
        for j, sigma_w in enumerate((3.7293, 4.0)):
            net = mf.MeanField("sin(2*x)", sigma_w, sigma_b)
            assert diagram.xi_c[i, j] == pytest.approx(net.depth_scales.xi_c, rel=1e-9)
            if sigma_b == 0.0:
                assert net.depth_scales.xi_c == pytest.approx(-1.0 / math.log(4 * sigma_w**2 * math.exp(-4 * net.q_star)), rel=1e-9)


@pytest.mark.parametrize("spec", ["x*tanh(x)", "x**3/(1+x**2)", "max(0, x-0.7)"])
def test_no_limit_of_the_correlation_map_is_nan_with_a_reason(spec: str) -> None:
    net = mf.MeanField(spec, 0.5, 0.0)
    assert net.q_star == 0.0
    assert math.isnan(net.c_star)
    assert math.isnan(net.depth_scales.xi_c)
    assert net.c_star_reason.startswith("q → 0: the correlation map has no limit there")
    assert math.isnan(mf.phase_diagram(spec, 0.5, 0.0).c_star[0, 0])
