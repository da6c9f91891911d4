"""Where φ has too many features for exact integrals, samples tell where the variance goes, to some per cent."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.moments import moment_table
from meanfield.solve import variance
from meanfield.solve.reach import Cost, sampled_moments


@pytest.mark.parametrize("q", [1.0, 1e3, 1e6, 1e9])
def test_samples_see_what_is_narrow(q: float) -> None:
    """E[exp(−x²)²] = (1 + 4q)^(−½): at q = 10⁹ all of it lies within 10⁻⁴ standard deviations."""
    moment, slope = sampled_moments(mf.activation("exp(-x**2)"), np.array([q]))
    assert moment[0] == pytest.approx((1 + 4 * q) ** -0.5, rel=0.03)
    assert slope[0] == pytest.approx(-2 * q * (1 + 4 * q) ** -1.5, rel=0.05)


def test_samples_of_an_oscillation_far_out() -> None:
    moment, _ = sampled_moments(mf.activation("sin"), np.geomspace(1e4, 1e20, 40))
    assert np.mean(moment) == pytest.approx(0.5, rel=0.05)
    np.testing.assert_allclose(moment, 0.5, rtol=0.3)


def test_a_recursion_of_samples_that_goes_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples that make 20 of 90 and 90 of 20 must not be followed for ever, nor without a word."""
    act = mf.activation("sin")
    monkeypatch.setattr(Cost, "dear_from", lambda self, highest: 10.0)
    monkeypatch.setattr(variance, "sampled_moments", lambda act, q: (np.where(q < 50.0, 90.0, 20.0), np.zeros(q.size)))
    monkeypatch.setattr(variance, "_increasing", lambda *_: False)
    with pytest.warns(mf.AccuracyWarning, match="by samples their recursion does not settle"):
        found = variance.limit(act, moment_table(act), 1.0, 0.0, (), 20.0)
    assert found in (20.0, 90.0)
