"""Activations side by side say what each would say alone."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

import meanfield as mf


@pytest.fixture(scope="module")
def found():
    return mf.compare(["relu", mf.activation("tanh"), "softplus", "silu"], depth=30)


def test_rows_are_what_each_says_alone(found):
    for name in ("relu", "tanh", "silu"):
        row, best = found[name], mf.recommend(name, 30)
        assert (row.sigma_w, row.sigma_b, row.q, row.status) == (best.sigma_w, best.sigma_b, best.q, best.status)
        path = mf.MeanField(name, best.sigma_w, best.sigma_b).propagate(30)
        assert row.gradient == path.gradient[0]
        assert row.variance == path.q1[30]
        assert row.difference == path.epsilon[30] / 0.5
        assert row.layers == mf.propagation_depth(name, sigma_b=best.sigma_b)
        assert row.edge_sigma_w == mf.edge_of_chaos(name, sigma_b=0.0).sigma_w
        verdict = mf.check_proposition4(name)
        assert (row.satisfied, row.satisfied_strictly) == (verdict.satisfied, verdict.satisfied_strictly)
    # Closed forms: ReLU keeps variance and gradient at σ_w² = 2; Swish has its edge at σ_w = 2 for σ_b = 0.
    assert found["relu"].gradient == pytest.approx(1.0, rel=1e-12)
    assert found["silu"].edge_sigma_w == pytest.approx(2.0, rel=1e-12)


def test_spreads_by_a_second_way(found):
    """The Jacobian's by its spectrum, the gradient's by the theory of finite width, where no variance fluctuates."""
    for name in ("relu", "tanh", "silu"):
        row = found[name]
        spectrum = mf.jacobian_spectrum(name, row.sigma_w, row.sigma_b, 30, "orthogonal", row.q)
        assert row.jacobian_spread == pytest.approx(spectrum.variance / spectrum.mean**2, rel=1e-10)
    finite = mf.finite_width("relu", found["relu"].sigma_w, 0.0, depth=30)
    assert row_spread(finite, 1000) == pytest.approx(found["relu"].gradient_spread, rel=1e-10)
    assert mf.compare("relu", depth=30, width=100)[0].gradient_spread == pytest.approx(row_spread(finite, 100), rel=1e-10)
    assert math.isnan(found["softplus"].jacobian_spread)
    assert math.isnan(found["softplus"].gradient_spread)


def row_spread(finite, width):
    return math.sqrt(finite.log_gradient_spread[0] / width)


def test_spreads_where_variances_vanish_are_those_of_the_slopes_on_both_sides():
    from meanfield.theory.spreads import spreads

    at_zero = spreads(mf.activation("elu", alpha=2.0), 0.0, depth=100, width=1000)
    excess = 8.5 / 2.5**2 - 1.0  # slopes 1 and 2
    assert at_zero.jacobian == pytest.approx(100 * excess, rel=1e-12)
    assert at_zero.gradient == pytest.approx(math.sqrt(100 * (3 * (1 + excess) - 1) / 1000), rel=1e-12)


def test_what_has_no_edge_has_a_row_that_says_so(found):
    row = found["softplus"]
    assert math.isnan(row.sigma_w)
    assert "no edge of chaos" in row.reason
    assert "softplus: activation = softplus has no edge of chaos" in " ".join(str(found).split())


def test_it_is_a_table(found):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = found.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["activation"].tolist() == ["relu", "tanh", "softplus", "silu"]
    assert frame.loc[3, "sigma_w"] == found["silu"].sigma_w
    lines = str(found).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert [line.split()[0] for line in lines[2:6]] == ["relu", "tanh", "softplus", "silu"]
    assert [line.split()[0] for line in lines[8:12]] == ["relu", "tanh", "softplus", "silu"]
    assert lines[5].endswith("yes/no")
    assert lines[8].split()[4:] == ["0.387", "30"]  # √(5·30/1000) and 30


def test_it_is_a_result(found):
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert other == found
        assert hash(other) == hash(found)
    assert len(repr(found)) < 2500
    assert len(found) == 4
    assert "data:image/png" in found._repr_html_()


def test_picture(found):
    from meanfield.plot.column_width import detached_axes

    ax = detached_axes()
    assert found.plot(ax=ax) is ax
    drawn = {line.get_label(): line.get_xdata() for line in ax.get_lines()}
    assert np.allclose(drawn["gradient, first layer over last"], [found[name].gradient for name in ("relu", "tanh", "silu")])


def test_bad_input():
    with pytest.raises(mf.DomainError, match="depth = 0"):
        mf.compare(["relu"], depth=0)
    with pytest.raises(mf.DomainError, match=r"width = 1\.5"):
        mf.compare(["relu"], width=1.5)
    with pytest.raises(mf.DomainError, match="empty"):
        mf.compare([])
    with pytest.raises(mf.ActivationError, match="rleu"):
        mf.compare(["relu", "rleu"])
    with pytest.raises(mf.DomainError, match="'gelu' is not compared; there are relu"):
        mf.compare("relu", depth=2)["gelu"]
