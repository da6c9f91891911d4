"""Means, standard deviations and gains of φ(√q Z)."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import meanfield as mf

REFERENCE = json.loads((Path(__file__).parent.parent / "reference" / "shaping.json").read_text())["exact"]["nfnet_gamma"]


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_gain_in_21_digits(name):
    assert mf.standardisation(name).gain == pytest.approx(float(REFERENCE[name]["value"]), rel=4e-16)


def test_relu_at_any_variance():
    q = np.array([0.0, 1e-6, 1.0, 300.0])
    found = mf.standardisation("relu", q=q)
    assert found.mean == pytest.approx(np.sqrt(q / (2 * math.pi)), rel=1e-14)
    assert found.rms == pytest.approx(np.sqrt(q / 2), rel=1e-14)
    assert found.std == pytest.approx(np.sqrt(q * (0.5 - 0.5 / math.pi)), rel=1e-14)
    assert found.gain[0] == math.inf


def test_spread_without_cancellation():
    """sigmoid at small q: Var = q/16, beside a mean of ½."""
    assert mf.standardisation("sigmoid", q=1e-14).std == pytest.approx(0.25e-7, rel=1e-8)


def test_jumps_and_divergence():
    assert mf.standardisation("sign").std == pytest.approx(1.0, rel=1e-15)
    assert mf.standardisation("exp(x**2/3)").std == math.inf
    with pytest.raises(mf.DomainError, match="q"):
        mf.standardisation("relu", q=-1.0)
