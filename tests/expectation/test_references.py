"""Every expectation against the 30-digit references, at the accuracy that the design promises.

One-input values relative to themselves, covariances relative to √(V(q1)V(q2)), means relative to √V.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.hermite import MehlerPair
from meanfield.expectation.moments import Q_DV, moment_table
from meanfield.expectation.smoothing import covariance_by_smoothing, decorrelation_by_smoothing
from meanfield.expectation.two_inputs import series
from tests.reference_activations import SPECS, Case, cases

MOMENT_BAR = 1e-12
COVARIANCE_BAR = 1e-12
DECORRELATION_BAR = 1e-10

ONE_INPUT = sorted({case.name for case in cases(("V",))})
TWO_INPUTS = sorted({case.name for case in cases(("C",))})


def of(name: str, *quantities: str) -> list[Case]:
    found = [case for case in cases(quantities) if case.name == name]
    assert found
    return found


def activation(name: str) -> mf.Activation:
    spec, parameters = SPECS[name]
    return mf.activation(spec, **parameters)


@pytest.mark.parametrize("name", ONE_INPUT)
def test_second_moments(name: str) -> None:
    act = activation(name)
    for case in of(name, "V", "V1", "V2"):
        computed = mf.second_moment(act, case.floats[0], derivative=case.order)
        if case.quantity == "V2" and any(b.slope_jump or b.value_jump for b in act.breakpoints):
            assert computed == math.inf, case.label
        else:
            assert case.relative_error(computed) <= MOMENT_BAR, case.label


@pytest.mark.parametrize("name", ONE_INPUT)
def test_means_and_variance_slopes(name: str) -> None:
    act = activation(name)
    for case in of(name, "mean"):
        assert case.relative_error(mf.expectation(act, case.floats[0])) <= MOMENT_BAR, case.label
    for case in of(name, "dVdq"):
        q = np.array(case.floats)
        assert case.relative_error(float(moment_table(act)(Q_DV, q)[0] / q[0])) <= MOMENT_BAR, case.label


@pytest.mark.parametrize("name", TWO_INPUTS)
def test_covariances(name: str) -> None:
    act = activation(name)
    for case in of(name, "C", "C1"):
        computed = mf.covariance(act, *case.floats, derivative=case.order)
        assert case.relative_error(computed) <= COVARIANCE_BAR, case.label


@pytest.mark.parametrize("name", TWO_INPUTS)
def test_decorrelations(name: str) -> None:
    act = activation(name)
    for case in of(name, "D"):
        assert case.relative_error(mf.decorrelation(act, *case.floats)) <= DECORRELATION_BAR, case.label


@pytest.mark.parametrize("name", TWO_INPUTS)
def test_both_methods_agree_wherever_both_apply(name: str) -> None:
    act = activation(name)
    partition = moment_table(act).partition
    for case in of(name, "C", "C1"):
        q1, q2, c = case.floats
        if not 0 < abs(c) < 1:
            continue
        smoothed = covariance_by_smoothing(act, partition, case.order, q1, q2, c)
        assert case.relative_error(smoothed) <= COVARIANCE_BAR, case.label
        first, second = series(act, case.order, q1), series(act, case.order, q2)
        if first is not None and second is not None and not math.isnan(summed := MehlerPair.of(first, second)(np.array([c]))[0]):
            assert case.relative_error(summed) <= COVARIANCE_BAR, case.label
    for case in of(name, "D"):
        q, epsilon = case.floats
        assert case.relative_error(decorrelation_by_smoothing(act, partition, q, epsilon)) <= DECORRELATION_BAR, case.label


def test_estimates_cover_their_errors() -> None:
    for case in cases(("mean",)):
        found = mf.estimate(activation(case.name), case.floats[0])
        assert abs(found.value - float(case.value)) <= found.error + 2e-16 * abs(found.value), case.label
