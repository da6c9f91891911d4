"""Many correlations at one variance, by half sines, against closed forms and one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.held_profiles import angle_profile

CLOSE = 1.0 - np.geomspace(1e-15, 0.1, 120)
C = np.concatenate([np.linspace(-0.999, 0.999, 400), CLOSE, -CLOSE])


@pytest.mark.parametrize("q", [0.013, 1.0, 3.3, 20.0, 63.0])
def test_closed_forms(q: float) -> None:
    theta = np.arccos(C)
    relu = q * (np.sin(theta) + (math.pi - theta) * C) / (2.0 * math.pi)
    np.testing.assert_allclose(mf.covariance("relu", q, q, C), relu, rtol=0.0, atol=2e-14 * q)
    np.testing.assert_allclose(mf.covariance("sign(x)", q, q, C), 2.0 / math.pi * np.arcsin(C), rtol=0.0, atol=4e-14)
    size = 2.0 / math.pi * math.asin(2.0 * q / (1.0 + 2.0 * q))
    erf = 2.0 / math.pi * np.arcsin(2.0 * q * C / (1.0 + 2.0 * q))
    np.testing.assert_allclose(mf.covariance("erf", q, q, C), erf, rtol=0.0, atol=5e-14 * size)


@pytest.mark.parametrize("formula", ["relu", "hardtanh", "tanh(4*x)", "sign(x)", "softshrink", "where(x > 0.3, 1, -x)"])
@pytest.mark.parametrize("q", [0.05, 1.3, 40.0])
def test_are_the_profile_itself(formula: str, q: float) -> None:
    profile = angle_profile(mf.activation(formula), q)
    theta = np.where(
        C > 0.0, 2.0 * np.arcsin(np.sqrt(0.5 * (1.0 - np.abs(C)))), math.pi - 2.0 * np.arcsin(np.sqrt(0.5 * (1.0 - np.abs(C))))
    )
    np.testing.assert_allclose(profile.decorrelations(C), profile.decorrelation(theta), rtol=2e-14)
    np.testing.assert_array_equal(profile.decorrelations(C[C > 0.0], obtuse=False), profile.decorrelations(C)[C > 0.0])


def test_far_out_by_angles() -> None:
    profile = angle_profile(mf.activation("tanh"), 100.0)
    np.testing.assert_array_equal(profile.decorrelations(C), profile.decorrelation(np.arccos(C)))


@pytest.mark.parametrize("formula", ["gelu", "hardtanh", "softsign"])
def test_an_array_is_what_its_elements_are(formula: str) -> None:
    act = mf.activation(formula)
    some = C[::40]
    alone = np.array([mf.covariance(act, 1.3, 1.3, float(c)) for c in some])
    np.testing.assert_allclose(mf.covariance(act, 1.3, 1.3, C)[::40], alone, rtol=0.0, atol=1e-13 * mf.second_moment(act, 1.3))


def test_ends_and_zero_among_many() -> None:
    c = np.concatenate([C, [0.0, 1.0, -1.0]])
    found = mf.covariance("relu", 2.0, 2.0, c)
    np.testing.assert_allclose(found[-3:], [1.0 / math.pi, 1.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(found[:-3], mf.covariance("relu", 2.0, 2.0, C), rtol=0.0, atol=1e-13)


def test_orthogonal_inputs_of_an_odd_function_among_many() -> None:
    assert mf.covariance("hardtanh", 2.0, 2.0, np.append(C, 0.0))[-1] == pytest.approx(0.0, abs=1e-25)
