"""A callable that is 0 wherever it was looked at is not 0 ± 0."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield.activations.black_box.scan import SPACING
from meanfield.expectation import panels


def _box(x: Any) -> Any:
    return ((x > 1) & (x < 1.00003)) * 1.0


def _nothing(x: Any) -> Any:
    return 0.0 * x


def test_the_error_covers_what_may_be_missed() -> None:
    exact = 3e-5 * math.exp(-0.5) / math.sqrt(2 * math.pi)
    for function in (_box, _nothing):
        found = mf.estimate(function, 1.0)
        assert abs(found.value - exact) <= found.error <= 3 * SPACING
    for q in (1e-6, 1e-3, 100.0):
        error = mf.estimate(_nothing, q).error
        for z in (0.5, 1.0, 2.0):  # a box as wide as the samples there lie apart
            x = z * math.sqrt(q)
            width = SPACING * math.sqrt(1 + x * x) if x > 0.02 else min(SPACING, 0.004 * x)
            assert width * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi * q) <= 1.05 * error


@pytest.mark.parametrize("derivative", [0, 1])
def test_one_warning_says_so(derivative: int) -> None:
    with pytest.warns(mf.AccuracyWarning, match="0 wherever it was looked at") as caught:
        assert mf.second_moment(_nothing, 1.0, derivative=derivative) == 0.0
    assert len(caught) == 1
    with pytest.warns(mf.AccuracyWarning, match="relative error of about 1") as caught:
        mf.covariance(_nothing, [1.0, 2.0, 3.0], 1.0, [0.2, 0.3, 0.4], derivative=derivative)
    assert len(caught) == 1
    with pytest.warns(mf.AccuracyWarning, match="0 wherever it was looked at") as caught:
        mf.expectation(_nothing, [1.0, 2.0])
    assert len(caught) == 1


def test_what_is_0_in_part_is_trusted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for function in (lambda x: np.maximum(x - 0.7, 0.0), lambda x: ((x > 1) & (x < 1.0001)) * 1.0):
            assert mf.estimate(function, 1.0).error < 1e-15
            mf.second_moment(function, [0.01, 1.0, 4.0])
        assert mf.second_moment(lambda x: np.maximum(x, 0.0), 1.0) == pytest.approx(0.5, rel=1e-13)


def test_a_formula_that_is_0_at_every_node_of_a_search_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "MOST_SEARCHED", 8)
    bell = "exp(-((x-0.3)/1.23e-6)**2)"
    exact = 1.23e-6 * math.exp(-0.045) / math.sqrt(2)
    found = mf.estimate(bell)
    assert abs(found.value - exact) <= found.error
    for ask in (lambda: mf.second_moment(bell, 1.0), lambda: mf.expectation(bell, 1.0), lambda: mf.covariance(bell, 1.0, 1.0, 0.3)):
        with pytest.warns(mf.AccuracyWarning) as caught:
            ask()
        assert len(caught) == 1
