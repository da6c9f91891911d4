"""Enclosures against references of 30 digits, closed forms, and each other."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import mpmath
import pytest

import meanfield as mf
from tests.proof.all_references import Question, questions

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "enclosures.json").read_text(encoding="utf-8"))


def holds(found: mf.Enclosure, value: str, error: float | str = 0) -> bool:
    reference, slack = Fraction(value), Fraction(str(error))
    return Fraction(found.lower) - slack <= reference <= Fraction(found.upper) + slack


def width(found: mf.Enclosure) -> float:
    low, high = Fraction(found.lower), Fraction(found.upper)
    return float((high - low) / abs(high)) if high else float(high - low)


@pytest.mark.parametrize(
    "case", REFERENCE["cases"], ids=lambda case: "-".join(map(str, (case["what"], case["activation"], *case["arguments"].values())))
)
def test_thirty_digits(case: dict[str, object]) -> None:
    found = mf.enclose(case["what"], case["activation"], **case["arguments"])  # type: ignore[arg-type]
    if case["name"]:
        found = found[case["name"]]  # type: ignore[index]
    assert holds(found, case["value"], case["error"])  # type: ignore[arg-type]
    assert width(found) < 2.1e-29
    value, error = Fraction(case["value"]), Fraction(str(case["error"]))  # type: ignore[arg-type]
    for off in (value - abs(value) / 10**28 - 2 * error, value + abs(value) / 10**28 + 2 * error):
        assert not holds(found, str(off), str(error)) or value == 0


def sample() -> list[Question]:
    """Of each activation and quantity the seventh reference."""
    strata: dict[tuple[str, str], list[Question]] = {}
    for question in questions():
        if question.kind in ("C", "D1", "V1_ae", "fixed_point", "edge_of_chaos"):
            strata.setdefault((question.activation, question.kind), []).append(question)
    slow = {"softsign", "telu", "sin_5", "snake_2", "wavelet", "logish", "mish"}  # in all_references only
    return [asked[6 % len(asked)] for (name, _), asked in strata.items() if name not in slow]


@pytest.mark.parametrize("question", sample(), ids=lambda question: question.label)
def test_references_are_enclosed(question: Question) -> None:
    assert question.wrong() == ""


@pytest.mark.parametrize("name", ["erf", "relu"])
@pytest.mark.parametrize(("q1", "q2"), [(1, 1), ("0.5", 3), (100, "0.01")])
@pytest.mark.parametrize("c", ["-1", "-0.999999", "0", "0.03", "0.9", "0.99999", "1"])
def test_covariances_with_closed_forms(name: str, q1: str, q2: str, c: str) -> None:
    mpmath.mp.dps = 60
    a, b, r = mpmath.mpf(q1), mpmath.mpf(q2), mpmath.mpf(c)
    if name == "erf":
        exact = 2 / mpmath.pi * mpmath.asin(2 * r * mpmath.sqrt(a * b) / mpmath.sqrt((1 + 2 * a) * (1 + 2 * b)))
    else:
        exact = mpmath.sqrt(a * b) * (mpmath.sqrt(1 - r * r) + r * (mpmath.pi - mpmath.acos(r))) / (2 * mpmath.pi)
    found = mf.enclose("covariance", name, q1=q1, q2=q2, c=c)
    assert holds(found, mpmath.nstr(exact, 55), "1e-50")
    assert float(Fraction(found.upper) - Fraction(found.lower)) <= 3e-29 * float(mpmath.sqrt(a * b))


@pytest.mark.parametrize(
    ("name", "derivative", "s"), [("tanh", 0, Fraction(1, 3)), ("tanh", 1, Fraction(999_995, 1_000_000)), ("hardswish", 1, Fraction(1, 3))]
)
def test_lattices_and_panels_agree(name: str, derivative: int, s: Fraction) -> None:
    from meanfield.proof import covariances
    from meanfield.proof.balls import ball, precision
    from meanfield.proof.function import function_of

    function, digits = function_of(mf.activation(name)), 4
    with precision(120):
        f, g = (covariances.side_of(function, derivative, ball(q), turned) for q, turned in ((Fraction(1), False), (Fraction(5, 2), True)))
        one, two = covariances.correlated(f, g, s, False, digits), covariances.by_panels(f, g, s, False, digits)
        assert one.overlaps(two)
        for found in (one, two):
            assert float(found.rad()) < 1e-4 * float(f.bound(f.q) * g.bound(g.q))


def test_half_stable_point_of_swish() -> None:
    found = mf.enclose("half_stable", "silu")
    assert holds(found.q, "14.320173618025798816587304223690", "5e-30")
    assert holds(found.sigma_w2, "1.98800467826949200527128930669613")
    assert holds(found.sigma_b2, "0.55514317072153039620123131943298")
    assert all(width(found[name]) < 2e-29 for name in found)


@pytest.mark.parametrize(
    ("name", "q", "sigma_w2", "sigma_b"),
    [
        ("gelu", "3.5615528128088302749107049279870", "1.98305825743754712520547798583", "0.415839380958642915001047930208"),
        ("mish", "1.67016913247807775130075087656", "2.01352406971953029361002401487", "0.30744395809751295141731853079"),
    ],
)
def test_other_half_stable_points(name: str, q: str, sigma_w2: str, sigma_b: str) -> None:
    found = mf.enclose("half_stable", name)
    assert holds(found.q, q, "1e-29")
    assert holds(found.sigma_w2, sigma_w2, "1e-29")
    assert holds(found.sigma_b, sigma_b, "1e-29")


def test_the_paper_on_swish_is_disproved_by_an_enclosure() -> None:
    # Hayou et al. (2018): F'(q) ≈ 1.01 on the edge of Swish.
    slope = mf.enclose("edge_of_chaos", "silu", sigma_b="0.2").variance_slope
    assert Fraction(slope.lower) > Fraction("1.0987")


def test_closed_forms_to_sixty_digits() -> None:
    mpmath.mp.dps = 75
    two = mf.enclose("second_moment", "sin", q="1/3", digits=60)
    assert holds(two, mpmath.nstr((1 - mpmath.exp(mpmath.mpf(-2) / 3)) / 2, 70))
    assert width(two) < 1e-58
    pair = mf.enclose("covariance", "relu", q1=1, q2=4, c="0.3", digits=40)
    c = mpmath.mpf("0.3")
    exact = 2 * (mpmath.sqrt(1 - c * c) + c * (mpmath.pi - mpmath.acos(c))) / (2 * mpmath.pi)
    assert holds(pair, mpmath.nstr(exact, 60))
    assert width(pair) < 1e-38
    steps = mf.enclose("covariance", "relu", q1=1, q2=4, c="-0.3", derivative=1)
    assert holds(steps, mpmath.nstr((mpmath.pi - mpmath.acos(-c)) / (2 * mpmath.pi), 50))


def test_kinks_are_split_exactly() -> None:
    mpmath.mp.dps = 50
    t = mpmath.mpf(7) / 10
    q = mpmath.mpf("0.0025")
    z = t / mpmath.sqrt(q)
    exact = (q + t * t) * mpmath.ncdf(-z) - t * mpmath.sqrt(q) * mpmath.npdf(z)
    found = mf.enclose("second_moment", "max(0, x - 0.7)", q="0.0025")
    assert holds(found, mpmath.nstr(exact, 45))
    assert width(found) < 1e-29


def test_floats_are_exact_and_strings_mean_what_they_say() -> None:
    decimal, binary = (mf.enclose("second_moment", "linear", q=q, digits=25) for q in ("0.1", 0.1))
    assert "0.1" in decimal
    assert "0.1" not in binary
    assert Fraction(0.1) in binary
    assert float(decimal) == 0.1


def test_infinite_moments() -> None:
    assert mf.enclose("second_moment", "sign", q=1, derivative=1) == mf.Enclosure("inf", "inf")
    assert float(mf.enclose("second_moment", "relu", q=1, derivative=2)) == float("inf")
    assert mf.enclose("second_moment", "elu", q=1, derivative=2).lower != "inf"  # φ' is continuous


def test_limits_at_zero() -> None:
    edge = mf.enclose("edge_of_chaos", "silu", sigma_b=0)
    assert (float(edge.sigma_w), float(edge.q)) == (2.0, 0.0)
    assert float(mf.enclose("fixed_point", "tanh", sigma_w="0.9", sigma_b=0).chi_1) == pytest.approx(0.81)
    assert float(mf.enclose("decorrelation", "tanh", q=1, epsilon=0)) == 0.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense", "tanh", {}), "what must be one of"),
        (("second_moment", "tanh", {}), "needs q"),
        (("second_moment", "tanh", {"q": -1}), "q must be a number >= 0"),
        (("second_moment", "tanh", {"q": "x"}), "q must be"),
        (("second_moment", "tanh", {"q": "1e999999999"}), "q must be"),
        (("second_moment", "tanh", {"q": 1, "sigma": 2}), "does not take sigma"),
        (("second_moment", "tanh", {"q": 1, "digits": 0}), "digits must be"),
        (("covariance", "tanh", {"q1": 1, "q2": 1, "c": "1.5"}), "c must be"),
        (("half_stable", "tanh", {}), "keeps its sign"),
        (("edge_of_chaos", "sign", {"sigma_b": "0.1"}), "jumps"),
        (("second_moment", "exp(x**2)", {"q": 1}), "grows"),
    ],
)
def test_bad_questions_are_named(arguments: tuple[str, str, dict[str, object]], said: str) -> None:
    what, activation, rest = arguments
    with pytest.raises(mf.MeanFieldError, match=said):
        mf.enclose(what, activation, **rest)  # type: ignore[arg-type]


def test_a_black_box_has_no_enclosure() -> None:
    with pytest.raises(mf.ActivationError, match="no formula"):
        mf.enclose("second_moment", lambda x: x, q=1)


def test_a_bound_on_a_part_of_the_line_leaves_out_a_pole_beyond_a_piece() -> None:
    """softsign is x/(1 + x) for x > 0 only: its pole at −1, in the same cell as 0, is no pole of softsign."""
    from fractions import Fraction

    from meanfield.proof.balls import ball
    from meanfield.proof.function import function_of
    from meanfield.proof.integrals import largest

    pieces = function_of(mf.activation("softsign")).pieces
    for low, high in ((-40, 40), (-100, 2)):
        most = largest(pieces, lambda jet, _: jet[0], 0, ball(Fraction(low)), ball(Fraction(high)))
        assert max(-low, high) / (1 + max(-low, high)) <= most < 1.5
