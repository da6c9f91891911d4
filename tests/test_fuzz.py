"""A sample of the random formulas, and the fuzzer's own eyes."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from tests import fuzz, fuzz_cases, fuzz_tally
from tests.activations.random_formulas import random_activation

_BUDGET = 15.0  # seconds of processor time


def test_a_sample_of_random_formulas_has_no_findings() -> None:
    began, index, tally = time.process_time(), 0, fuzz.Tally()
    while index < 10 or (index < 150 and time.process_time() - began < _BUDGET):  # ten at least, however slow the machine
        rng = np.random.default_rng([1, index])
        fuzz.try_formula(tally, random_activation(rng), float(rng.uniform(-1, 1)), index % 4 == 0)
        index += 1
    # How long a call takes says more about the machine than about the package here.
    findings = [finding for finding in tally.findings if not finding[2].startswith(("took", "hangs"))]
    assert findings == []
    assert tally.counts["answer"] > 50


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: 1 / 0, "leaks ZeroDivisionError"),
        (lambda: warnings.warn("w", RuntimeWarning, stacklevel=1), "warns RuntimeWarning"),
        (lambda: time.sleep(30), "hangs"),
    ],
)
def test_the_fuzzer_sees_what_must_not_be(call: Any, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_tally, "SECONDS", 0.1)
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


def test_a_sample_of_cheap_cases_has_no_findings() -> None:
    began, index, tally = time.process_time(), 0, fuzz_tally.Tally()
    while index < 300 and time.process_time() - began < 6.0:
        fuzz_cases.try_case(tally, 5, index)
        index += 1
    assert [finding for finding in tally.findings if not finding[2].startswith(("took", "hangs"))] == []
    assert index >= 2 * len(fuzz_cases.KINDS)


@pytest.mark.parametrize("kind", ["moments", "network", "grid"])
def test_a_silent_nan_is_seen(kind: str) -> None:
    # Whatever is asked, the answer is replaced: a diagram's field, a point's, or the number itself.
    told, _, wrong = fuzz_cases.KINDS[kind](np.random.default_rng(2))
    if told.startswith("phase_diagram"):
        cell = mf.phase_diagram("tanh", 1.0, 0.1)
        assert wrong(cell) == ""
        assert "nan" in wrong(dataclasses.replace(cell, chi_1=np.full((1, 1), math.nan)))
    elif told.startswith("edge"):
        point = mf.edge_of_chaos("tanh", 0.1)
        assert wrong(point) == ""
        assert "nan" in wrong(dataclasses.replace(point, q=math.nan))
    else:
        asked_with_limit = not told.endswith(")")
        assert wrong((1.0, 1.0) if asked_with_limit else 1.0) == ""
        assert "nan" in wrong((math.nan, 1.0) if asked_with_limit else math.nan)


@pytest.mark.parametrize(
    "answer", [(1, "", "Traceback (most recent call last):"), (64, "", "unknown"), (64, "data", "meanfield: error: x"), (0, "", "")]
)
def test_a_wrong_ending_of_the_command_is_seen(answer: tuple[int, str, str]) -> None:
    drawn = (fuzz_cases.KINDS["command"](np.random.default_rng(seed)) for seed in range(100))
    wrong = next(wrong for told, _, wrong in drawn if told.startswith("meanfield eoc"))
    assert wrong(answer)


def test_broken_and_odd_arguments_end_in_errors_of_ours() -> None:
    # What the cheap cases found.
    for call in (
        lambda: mf.covariance("tanh", np.ones(2), np.ones(3), 0.5),
        lambda: mf.propagation_depth("tanh", sigma_b=np.ones(2), sigma_w=np.ones(3)),
        lambda: mf.activation("gelu", approximate=np.array([1.0, 2.0])),
        lambda: mf.activation("polynomial", coefficients=np.array([1.0, 1j])),
        lambda: mf.second_moment("tanh", np.full((3, 3), 1j)),
    ):
        with pytest.raises(mf.MeanFieldError) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert mf.second_moment(mf.activation("hardshrink", lambd=1e308), 203.0) == 0.0
    assert mf.decorrelation("leaky_relu", 1e-12, 5e-324) == 0.0


@pytest.mark.parametrize("zero", ["sin(pi)/clip(x, -1, 2.5)", "cos(pi/2)*x", "(exp(1) - e)*x", "x*(sqrt(2)**2 - 2)"])
def test_a_constant_that_rounding_keeps_from_zero_is_zero(zero: str) -> None:
    # It made sin(pi)/clip(…) a chaotic network at σ_w = 5·10¹³, after ten seconds of many digits at each x.
    assert not np.any(mf.activation(zero)(np.array([-3.0, 0.1, 1.0, 5.0])))
    assert mf.edge_of_chaos(zero, sigma_b=0.3).status == "none"


@pytest.mark.parametrize(
    ("formula", "at_one"), [("log(exp(-1000)) + x", -999.0), ("x*log(exp(-exp(9)))", -math.exp(9)), ("sin(1e-300)*x", 1e-300)]
)
def test_a_constant_that_is_only_small_is_kept(formula: str, at_one: float) -> None:
    assert mf.activation(formula)(1.0) == pytest.approx(at_one, rel=1e-15)
