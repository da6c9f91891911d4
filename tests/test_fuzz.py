"""A sample of the random formulas, and the fuzzer's own eyes."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from tests import fuzz
from tests.activations.random_formulas import random_activation

_BUDGET = 15.0  # seconds of processor time


def test_a_sample_of_random_formulas_has_no_findings() -> None:
    began, index, tally = time.process_time(), 0, fuzz.Tally()
    while index < 150 and time.process_time() - began < _BUDGET:
        rng = np.random.default_rng([1, index])
        fuzz.try_formula(tally, random_activation(rng), float(rng.uniform(-1, 1)), index % 4 == 0)
        index += 1
    # How long a call takes says more about the machine than about the package here.
    findings = [finding for finding in tally.findings if not finding[2].startswith(("took", "hangs"))]
    assert findings == []
    assert index >= 10
    assert tally.counts["answer"] > 50


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: 1 / 0, "leaks ZeroDivisionError"),
        (lambda: warnings.warn("w", RuntimeWarning, stacklevel=1), "warns RuntimeWarning"),
        (lambda: time.sleep(1), "hangs"),
    ],
)
def test_the_fuzzer_sees_what_must_not_be(call: Any, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "SECONDS", 0.1)
    tally = fuzz.Tally()
    fuzz.attempt(tally, "x", "call", call)
    assert tally.findings[0][2].startswith(what)


def test_the_fuzzer_sees_a_wrong_value(monkeypatch: pytest.MonkeyPatch) -> None:
    right = mf.estimate
    monkeypatch.setattr(mf, "estimate", lambda g, q: mf.Expectation(right(g, q).value * (1 + 1e-6), 1e-14))
    tally = fuzz.Tally()
    fuzz.try_formula(tally, "x*x", 0.5, True)
    assert {name for _, name, _ in tally.findings} == {f"estimate q={q}" for q in fuzz.VARIANCES}


def test_brute_force_on_a_closed_form() -> None:
    value, own, _ = fuzz.brute_force(np.cos, 2.0)
    assert abs(value - math.exp(-1.0)) <= own < 1e-3
