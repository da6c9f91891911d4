"""Two inputs of φ with poles: E|u|ᵖ|v|ᵖ is a hypergeometric function of c²."""

from __future__ import annotations

import re

import mpmath
import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.moments import moment_table

EPSILON = [2.0**-1, 2.0**-4, 2.0**-7, 2.0**-20]  # 1 − ε is exact


def exact(power: float, q: float, epsilon: float) -> tuple[float, float]:
    """E|u|ᵖ|v|ᵖ = qᵖ 2ᵖ/π Γ((p + 1)/2)² ₂F₁(−p/2, −p/2; ½; c²) at c = 1 − ε, and what it falls short of E|u|²ᵖ."""
    with mpmath.workdps(30):
        p, c = mpmath.mpf(power), 1 - mpmath.mpf(epsilon)
        size = mpmath.mpf(q) ** p * 2**p
        product = size / mpmath.pi * mpmath.gamma((p + 1) / 2) ** 2 * mpmath.hyp2f1(-p / 2, -p / 2, 0.5, c * c)
        return float(product), float(size / mpmath.sqrt(mpmath.pi) * mpmath.gamma(p + 0.5) - product)


@pytest.mark.parametrize("power", [-0.4, -0.3, -0.1, 0.3, 0.5, 0.6])
@pytest.mark.parametrize("q", [1e-3, 1.0, 5.0, 1e6])
def test_powers(power: float, q: float) -> None:
    for epsilon in EPSILON:
        covariance, decorrelation = exact(power, q, epsilon)
        assert mf.covariance(f"abs(x)**({power})", q, q, 1 - epsilon) == pytest.approx(covariance, rel=1e-11)
        assert mf.decorrelation(f"abs(x)**({power})", q, epsilon) == pytest.approx(decorrelation, rel=1e-11, abs=0)


def test_a_pole_that_is_hardly_integrable_draws_a_warning() -> None:
    _, decorrelation = exact(-0.45, 1.0, 0.25)
    with pytest.warns(mf.AccuracyWarning, match="relative error of about"):
        assert mf.decorrelation("abs(x)**(-0.45)", 1.0, 0.25) == pytest.approx(decorrelation, rel=1e-5)


@pytest.mark.parametrize("power", [-0.4, -0.2, 0.5])
def test_fixed_point(power: float) -> None:
    net = mf.MeanField(f"abs(x)**({power})", 1.5, 0.5)
    q, c = net.q_star, net.c_star
    assert (0.25 + 2.25 * exact(power, q, 1 - c)[0]) / q == pytest.approx(c, rel=1e-10)
    assert net.propagate(400, q=q, c=0.3, hold_variance=True).c[-1] == pytest.approx(c, rel=1e-9)
    with mpmath.workdps(30):
        p = mpmath.mpf(power)  # d/dz ₂F₁(a, b; c; z) = (ab/c) ₂F₁(a + 1, b + 1; c + 1; z)
        steepness = p * p / 2 * mpmath.hyp2f1(1 - p / 2, 1 - p / 2, 1.5, mpmath.mpf(c) ** 2) * 2 * c
        slope = 2.25 / q * float(mpmath.mpf(q) ** p * 2**p / mpmath.pi * mpmath.gamma((p + 1) / 2) ** 2 * steepness)
    assert net.depth_scales.xi_c == pytest.approx(-1 / np.log(abs(slope)), rel=1e-8)
    diagram = mf.phase_diagram(f"abs(x)**({power})", [1.5], [0.5])
    assert diagram.c_star[0, 0] == c


def test_panels_beside_a_pole_are_not_joined_with_those_far_from_it() -> None:
    edges = moment_table(mf.activation("abs(x)**(-0.4)")).partition.coarse_edges(-4, 3)
    positive = edges[edges > 0]
    assert np.max(positive[1:] / positive[:-1]) < 100


@pytest.mark.parametrize("name", ["sin(1e-3/x)", "sin(1/x)", "x*sin(1/x)", "sign(x)*log(abs(x))"])
@pytest.mark.filterwarnings("ignore::meanfield.errors.AccuracyWarning")
def test_singularities_are_followed_by_quadrature(name: str) -> None:
    net = mf.MeanField(name, 1.5, 0.5)
    assert net.propagate(300, q=net.q_star, c=0.3, hold_variance=True).c[-1] == pytest.approx(net.c_star, rel=1e-6)


def test_a_diagram_through_the_edge_of_chaos() -> None:
    """|x|^0.6 at χ₁ just above 1: 1 − c* ~ (χ₁ − 1)^10 is a number or too small for one, and no error."""
    diagram = mf.phase_diagram("abs(x)**0.6", [1.0, 1.2, 2.0], [0.5, 1.0])
    assert np.isfinite(diagram.c_star).all()
    assert (diagram.c_star[diagram.phase == 1] > 0.9).all()


@pytest.mark.parametrize(("power", "centre"), [(0.49, 0.0), (0.45, 0.0), (0.49, 1.0), (0.45, 1.0), (0.4, 2.0), (0.3, 0.3)])
def test_an_error_covers_what_lies_between_a_pole_and_the_nearest_node(power: float, centre: float) -> None:
    """E|z − a|^(−2p) = 2^(−p) Γ(½ − p) 1F1(p; ½; −a²/2)/√π: of p = 0.49 half of it lies within one unit in the last place of a = 1."""
    with mpmath.workdps(30):
        half = mpmath.mpf(1) / 2
        exact = float(
            mpmath.power(2, -power)
            * mpmath.gamma(half - power)
            / mpmath.sqrt(mpmath.pi)
            * mpmath.hyp1f1(power, half, -(mpmath.mpf(centre) ** 2) / 2)
        )
    spec = f"abs(x-{centre!r})**(-{power!r})"
    found = mf.estimate(f"({spec})**2", 1.0)
    assert abs(found.value - exact) <= found.error
    with pytest.warns(mf.AccuracyWarning) as caught:
        value = mf.second_moment(spec, 1.0)
    told = re.search(r"relative error about ([^,]+),", str(caught[0].message))
    assert told is not None
    assert abs(value - exact) <= float(told[1]) * exact
