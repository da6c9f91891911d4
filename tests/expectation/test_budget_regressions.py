"""Formulas that once took too long, came out wrong or failed: found by the fuzzer, kept here at their smallest."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.panels import MOST_OF_SHELL, SAMPLED, Partition
from meanfield.expectation.poles import divergent_sides


def test_what_oscillates_too_fast_is_sampled_at_once() -> None:
    # 3·10⁸ periods between 64 and 128: no budget resolves them.
    partition = Partition(mf.activation("cos(1000*x**3)"), (0, 1))
    assert partition.count(6) - partition.count(5) < 4 * SAMPLED
    # Twice as many panels as a shell may have, and as many as all shells may.
    assert Partition(mf.activation("cos(2000*x**3)"), (0, 1)).panels_in(1) < 8 * SAMPLED


def test_a_shell_is_resolved_alike_whatever_is_asked_for_beside_it() -> None:
    alone, beside = (Partition(mf.activation("cos(100*x**3)"), (0, 1)) for _ in range(2))
    beside.ensure(range(-4, 6), (-4,))
    assert alone.panels_in(1) == beside.panels_in(1) > 10 * SAMPLED


def test_hopeless_shells_take_nothing_from_the_others() -> None:
    # E[cos²(x³)] at q = 1: the shells beyond |x| = 16, which the same table needs for larger q, can't be resolved.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = mf.second_moment("cos(x**3)", 1.0)
    z = np.linspace(-9.0, 9.0, 800_001)  # the trapezoidal rule, 100 points for the shortest of the periods that weigh 10⁻¹²
    reference = math.fsum(np.cos(z**3) ** 2 * np.exp(-0.5 * z * z)) * (18.0 / 800_000) / math.sqrt(2 * math.pi)
    assert value == pytest.approx(reference, rel=1e-12)


@pytest.mark.parametrize("formula", ["sin(1000*x)", "exp(9*sin(100*x))"])
def test_within_the_budget_nothing_is_given_up(formula: str) -> None:
    partition = Partition(mf.activation(formula), (0, 1))
    partition.ensure(range(2, 3), ())
    panels = partition.within(2, 2)
    assert SAMPLED < len(panels) < MOST_OF_SHELL
    assert max(float(np.max(tail)) for tail in panels.tails) < 1e-9


def test_a_steep_step_is_no_oscillation() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = mf.expectation("tanh(1e7*(x - 0.3))", 1.0)
    # E[sign(Z − 0.3)], less the rounded corners, which cancel to first order in 10⁻⁷.
    assert value == pytest.approx(math.erf(-0.3 / math.sqrt(2)), abs=1e-13)


@pytest.mark.parametrize("q", [0.01, 1.0, 100.0])
def test_a_pole_on_one_side_of_a_kink_diverges(q: float) -> None:
    # max(1, …) hides the right side of the pole; the change of sign through it looked like a zero a few ulp off.
    found = mf.estimate("max(1, softplus(x)/(0.5 - x))", q)
    assert found.value == math.inf
    assert "x = 0.5" in found.reason
    assert mf.second_moment("max(1, softplus(x)/(0.5 - x))", q) == math.inf


def test_sides_on_which_a_pole_diverges() -> None:
    assert divergent_sides(mf.activation("1/(x - 2)")) == ((2.0, -1.0), (2.0, 1.0))
    assert divergent_sides(mf.activation("-1/abs(x)")) == ((0.0, -1.0), (0.0, -1.0))
    assert divergent_sides(mf.activation("max(0, 1/x)")) == ((0.0, 1.0),)
    assert divergent_sides(mf.activation("abs(x)**-0.3")) == ()
    with pytest.raises(mf.ActivationError, match="both signs"):
        mf.expectation("1/(x - 2)", 1.0)
