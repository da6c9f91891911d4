"""A few of the random shapes of survey_shapes.py."""

from __future__ import annotations

import pytest

import meanfield as mf
from tests.theory.survey_shapes import case, departures, verdict


@pytest.mark.parametrize("seed", [0, 1, 2, 8, 12, 22, 32, 50, 76, 104, 171, 201])
def test_targets_are_met_or_refused(seed):
    """Formulas, members of families, callables, kinks; Q'(1) from values alone."""
    kind, told = verdict(case(seed), search=False)
    assert kind != "WRONG", told


def test_the_check_can_fail():
    a = mf.shape_activation("tanh", depth=30)
    assert max(departures(a).values()) < 1e-13
    a.input_shift *= 1.0 + 1e-7
    assert max(departures(a).values()) > 1e-11
