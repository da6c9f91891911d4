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


def test_what_has_no_edge_has_a_row_that_says_so(found):
    row = found["softplus"]
    assert math.isnan(row.sigma_w)
    assert "no edge of chaos" in row.reason
    assert "softplus: activation = softplus has no edge of chaos" in str(found)


def test_it_is_a_table(found):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = found.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["activation"].tolist() == ["relu", "tanh", "softplus", "silu"]
    assert frame.loc[3, "sigma_w"] == found["silu"].sigma_w
    lines = str(found).splitlines()
    assert all(len(line) <= 80 for line in lines if not line.startswith("softplus:"))
    assert [line.split()[0] for line in lines[2:6]] == ["relu", "tanh", "softplus", "silu"]
    assert lines[5].endswith("yes/no")


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
    with pytest.raises(mf.DomainError, match="empty"):
        mf.compare([])
    with pytest.raises(mf.ActivationError, match="rleu"):
        mf.compare(["relu", "rleu"])
    with pytest.raises(mf.DomainError, match="'gelu' is not compared; there are relu"):
        mf.compare("relu", depth=2)["gelu"]
