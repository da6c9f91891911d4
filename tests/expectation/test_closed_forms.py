"""Expectations against closed forms, far beyond the arguments of the reference files."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import mp, mpf

import meanfield as mf
from tests.closed_forms import CLOSED_FORMS
from tests.reference_activations import SPECS

VARIANCES = [1e-8, 3e-5, 0.0025, 0.11, 0.5, 1.0, 2.0, 7.3, 80.0, 1e3, 4.4e4, 1e6]
PAIRS = [(1.0, 1.0), (1e-6, 1e-6), (0.3, 5.0), (1e-4, 40.0), (900.0, 900.0)]
CORRELATIONS = [-1.0, -0.999, -0.5, 0.0, 1e-5, 0.2, 0.77, 0.93, 0.9999, 1 - 1e-10, 1.0]


def representable(value: object) -> bool:
    return value == 0 or bool(mpf("1e-280") < abs(value) < mpf("1e280"))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(CLOSED_FORMS))
def test_second_moments(name: str) -> None:
    form = CLOSED_FORMS[name]
    spec, parameters = SPECS[name]
    act = mf.activation(spec, **parameters)
    with mp.workdps(40):
        for q in VARIANCES:
            for k in form.orders:
                exact = form.second_moment(mpf(q), k)
                computed = mf.second_moment(act, q, derivative=k)
                if exact > mpf("1e250"):
                    assert computed == math.inf or abs(computed / exact - 1) < 1e-12, (q, k)
                elif representable(exact):
                    assert abs(computed - exact) <= 1e-12 * abs(exact), (q, k)


@pytest.mark.parametrize("name", [n for n, f in CLOSED_FORMS.items() if f.covariance_orders])
def test_covariances(name: str) -> None:
    form = CLOSED_FORMS[name]
    spec, parameters = SPECS[name]
    act = mf.activation(spec, **parameters)
    with mp.workdps(40):
        for q1, q2 in PAIRS:
            for k in form.covariance_orders:
                if k not in form.orders:
                    continue
                scale = mp.sqrt(form.second_moment(mpf(q1), k) * form.second_moment(mpf(q2), k))
                if not representable(scale) or scale > mpf("1e120"):
                    continue
                for c in CORRELATIONS:
                    exact = form.covariance(mpf(q1), mpf(q2), mpf(c), k)
                    computed = mf.covariance(act, q1, q2, c, derivative=k)
                    assert abs(computed - exact) <= 1e-12 * scale, (q1, q2, c, k)


@pytest.mark.parametrize("name", [n for n, f in CLOSED_FORMS.items() if f.covariance_orders])
def test_decorrelations(name: str) -> None:
    form = CLOSED_FORMS[name]
    spec, parameters = SPECS[name]
    act = mf.activation(spec, **parameters)
    with mp.workdps(40):
        for q in (1e-4, 1.0, 60.0):
            for epsilon in (1e-12, 1e-7, 0.01, 0.5, 1.5, 2.0):
                exact = form.decorrelation(mpf(q), mpf(epsilon))
                if representable(exact) and abs(exact) < mpf("1e120"):
                    computed = mf.decorrelation(act, q, epsilon)
                    # Past c = 0 an even φ brings D back to 0: there relative to V.
                    scale = abs(exact) if epsilon < 1 else form.second_moment(mpf(q))
                    assert abs(computed - exact) <= 1e-10 * scale, (q, epsilon)


def test_arrays_interpolated_in_the_angle_agree_with_single_values() -> None:
    correlations = np.cos(np.linspace(0, np.pi, 301))
    grid = mf.covariance("relu", 1.0, 1.0, correlations)
    angle = np.arccos(np.clip(correlations, -1, 1))
    exact = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    assert np.max(np.abs(grid - exact)) <= 0.5 * 1e-12
    epsilon = np.geomspace(1e-12, 1.9, 150)
    losses = mf.decorrelation("hardtanh", 3.0, epsilon)
    single = np.array([mf.decorrelation("hardtanh", 3.0, e) for e in epsilon[::13]])
    assert np.max(np.abs(losses[::13] / single - 1)) <= 1e-10
