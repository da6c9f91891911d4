"""Enclosures against references of 30 digits, closed forms, and each other."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import flint
import mpmath
import pytest

import meanfield as mf
from meanfield.proof.balls import square
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
        if question.kind in ("C", "D1", "V1_ae", "fixed_point", "c_star", "edge_of_chaos"):
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
    from meanfield.proof.sides import side_of

    function, digits = function_of(mf.activation(name)), 4
    with precision(120):
        f, g = (side_of(function, derivative, ball(q), turned) for q, turned in ((Fraction(1), False), (Fraction(5, 2), True)))
        one, two = covariances.correlated(f, g, s, False, digits), covariances.by_panels(f, g, s, False, digits)
        assert one.overlaps(two)
        for found in (one, two):
            assert float(found.rad()) < 1e-4 * float(f.bound(f.q) * g.bound(g.q))


def test_a_ball_around_zero_has_a_square() -> None:
    """FLINT 3.6 gives nan for a ball whose middle is exactly 0 to the power 2; the mean of tanh is such a ball at some σ_w."""
    around = flint.arb(0, 0.5)
    assert square(around).contains(0)
    assert square(around) < 0.251
    for sigma_w in ("2", "2.4", "2.5", "2.6", "3"):
        network = {"sigma_w": sigma_w, "sigma_b": "0.3", "digits": 12}
        assert holds(mf.enclose("c_star", "tanh", **network), repr(mf.MeanField("tanh", float(sigma_w), 0.3).c_star), 1e-12)


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
        (("standardisation", "tanh", {"q": 0}), "q must be a number > 0"),
        (("standardisation", "0*x+1", {}), "more than a constant"),
        (("c_star", "tanh", {"sigma_w": 2}), "needs sigma_b"),
        (("c_star", "tanh", {"sigma_w": "0.9", "sigma_b": 0}), "no correlation"),
        (("c_star", "relu", {"sigma_w": 2, "sigma_b": "0.1"}), "no fixed point"),
        (("edge_of_chaos", "relu", {"sigma_b": "0.1"}), "no point on the edge of chaos was found"),
        (("second_moment", "tanh", {"q": "1e-4000"}), "fewer digits"),
        (("edge_of_chaos", "sign", {"sigma_b": "0.1"}), "jumps"),
        (("second_moment", "exp(x**2)", {"q": 1}), "grows"),
    ],
)
def test_bad_questions_are_named(arguments: tuple[str, str, dict[str, object]], said: str) -> None:
    what, activation, rest = arguments
    with pytest.raises(mf.MeanFieldError, match=said):
        mf.enclose(what, activation, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "sigma_w", "sigma_b"), [("erf", "1.8", "0.3"), ("hardtanh", "2", "0.1"), ("sigmoid", "20", "0.5")])
def test_c_star_is_the_root_of_the_correlation_map(name: str, sigma_w: str, sigma_b: str) -> None:
    """Between its ends f(c) − c changes its sign: with covariances at rational q beside q*, and the float engine."""
    found = mf.enclose("c_star", name, sigma_w=sigma_w, sigma_b=sigma_b, digits=15)
    q = mf.enclose("fixed_point", name, sigma_w=sigma_w, sigma_b=sigma_b, digits=40).q
    signs = []
    for c in (Fraction(found.lower) - Fraction(1, 10**14), Fraction(found.upper) + Fraction(1, 10**14)):
        covariance = mf.enclose("covariance", name, q1=q.lower, q2=q.lower, c=c)
        signs.append(Fraction(sigma_b) ** 2 + Fraction(sigma_w) ** 2 * Fraction(covariance.lower) - Fraction(q.lower) * c > 0)
    assert signs == [True, False]
    assert float(found) == pytest.approx(mf.MeanField(name, sigma_w=float(sigma_w), sigma_b=float(sigma_b)).c_star, rel=1e-11)


def test_c_star_where_the_map_has_no_root_below_one_or_is_odd() -> None:
    assert mf.enclose("c_star", "tanh", sigma_w="1.3", sigma_b="0.3") == mf.Enclosure("1", "1")
    cosine = mf.enclose("c_star", "cos", sigma_w=3, sigma_b=0, digits=10)  # f is that of −φ, whose mean is below 0
    assert mf.enclose("c_star", "-cos(x)", sigma_w=3, sigma_b=0, digits=10) == cosine
    odd = mf.enclose("c_star", "tanh", sigma_w=3, sigma_b=0, digits=10)
    assert odd.lower == "0"
    assert 0 < Fraction(odd.upper) < Fraction(2, 10**10)


def test_standardisation_with_closed_forms() -> None:
    """ReLU: mean √(q/2π), variance q(1/2 − 1/2π); an odd φ has mean 0, and SELU mean 0 and variance 1."""
    with mpmath.workdps(40):
        relu = mf.enclose("standardisation", "relu", q=3)
        assert holds(relu.mean, mpmath.nstr(mpmath.sqrt(3 / (2 * mpmath.pi)), 38), "1e-36")
        spread = mpmath.sqrt(3 * (mpmath.mpf(1) / 2 - 1 / (2 * mpmath.pi)))
        assert holds(relu.std, mpmath.nstr(spread, 38), "1e-36")
        assert holds(relu.gain, mpmath.nstr(1 / spread, 38), "1e-36")
        assert holds(relu.rms, mpmath.nstr(mpmath.sqrt(mpmath.mpf(3) / 2), 38), "1e-36")
    assert max(map(width, relu.values.values())) < 2.1e-29
    assert 0 in mf.enclose("standardisation", "tanh").mean
    selu = mf.enclose("standardisation", "selu", digits=20)
    assert 1 in selu.std
    assert abs(float(selu.mean)) < 1e-31  # its constants have 32 digits
    for name in ("silu", "gelu", "softplus"):
        assert float(mf.enclose("standardisation", name).gain) == pytest.approx(mf.standardisation(name).gain, rel=1e-13)


def test_a_logarithm_of_one_plus_exp_on_a_long_stretch() -> None:
    """Its ball is that of its ends: the ball of exp alone reaches below −1, and mish had no bound from q = 5000 on."""
    from meanfield.proof.balls import flint, precision
    from meanfield.proof.function import function_of
    from meanfield.proof.jets import real

    tree = function_of(mf.activation("softplus")).pieces.pieces[0].tree
    with precision(200):
        found = real(tree, flint.arb(-300).union(flint.arb(8000)), 0)[0]
        assert found.contains(8000)
        assert found.contains(flint.arb(-300).exp())
        assert found.abs_upper() < 8010
    found = mf.enclose("covariance", "softplus", q1="1e4", q2="1e4", c="0.5", digits=15)
    assert float(found) == pytest.approx(mf.covariance("softplus", 1e4, 1e4, 0.5), rel=1e-12)


def test_a_wave_packet_far_narrower_than_its_inputs() -> None:
    """φ = exp(−x²/2) cos 3x at q = 10⁴: values down to 10^−10⁷ in one sum, not done in half an hour. Closed form by λ± = q(1 ± c)."""
    found = mf.enclose("covariance", "exp(-x**2/2)*cos(3*x)", q1="1e4", q2="1e4", c="0.5", digits=15)
    with mpmath.workdps(40):
        high, low = mpmath.mpf(15000), mpmath.mpf(5000)
        waves = (mpmath.exp(-9 * low / (1 + low)) + mpmath.exp(-9 * high / (1 + high))) / 2
        assert holds(found, mpmath.nstr(waves / mpmath.sqrt((1 + high) * (1 + low)), 35), "1e-40")
    assert width(found) < 1e-13


def test_a_black_box_has_no_enclosure() -> None:
    with pytest.raises(mf.ActivationError, match="no formula"):
        mf.enclose("second_moment", lambda x: x, q=1)


@pytest.mark.parametrize(
    ("formula", "derivative"),
    [("1/x", 0), ("1/x", 1), ("1/(x-1)", 0), ("1/(3*x-1)**2", 1), ("sqrt(abs(x))", 1), ("log(abs(x))", 0), ("x*sin(1/x)", 0)],
)
def test_a_pole_is_refused_after_few_evaluations(formula: str, derivative: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The integration would halve towards it for millions of evaluations: 48 s for 1/x."""
    from meanfield.proof import integrals

    flint = integrals.flint
    monkeypatch.setattr(integrals, "flint", type("Flint", (), {"arb": flint.arb, "ctx": flint.ctx, "acb": _Acb(flint.acb)}))
    with pytest.raises(mf.MeanFieldError, match="did not come to a finite enclosure"):
        mf.enclose("second_moment", formula, q=1, derivative=derivative)


class _Acb:
    """Complex balls whose integration fails the test, where the answer is known to be infinite."""

    def __init__(self, acb: object) -> None:
        self.acb = acb

    def __call__(self, *given: object) -> object:
        return self.acb(*given)  # type: ignore[operator]

    def integral(self, *_: object, **__: object) -> object:
        raise AssertionError("the integration was begun")


def test_steep_and_singular_but_integrable_functions_are_still_integrated() -> None:
    """√|x| has no derivative at 0, its square has: V = √q √(2/π)."""
    with mpmath.workdps(30):
        assert holds(mf.enclose("second_moment", "sqrt(abs(x))", q=4, digits=20), mpmath.nstr(2 * mpmath.sqrt(2 / mpmath.pi), 25), "1e-22")
    rounded = mf.enclose("second_moment", "sqrt(x*x+1e-100)", q=1, digits=20)  # balls of x·x reach below 0 until they are 1e-50 wide
    assert 1 + Fraction(1, 10**100) in rounded or holds(rounded, "1", "1e-19")
    steep = mf.enclose("second_moment", "tanh(100000*(x-1))", q=1, digits=15)
    assert float(steep) == pytest.approx(mf.second_moment("tanh(100000*(x-1))", 1.0), rel=1e-12)


def test_on_the_edge_of_chaos_the_limit_is_zero() -> None:
    for name in ("tanh", "sin", "erf(sqrt(pi)*x/2)"):
        found = mf.enclose("fixed_point", name, sigma_w=1, sigma_b=0, digits=12)
        assert found.q == mf.Enclosure("0", "0")
        assert 1 in found.chi_1
    above = mf.enclose("fixed_point", "tanh", sigma_w="1.0000001", sigma_b=0, digits=12)
    assert float(above.q) == pytest.approx(1.00000013e-7, rel=1e-8)


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


def test_a_bound_where_one_ball_says_nothing_is_found_by_halving() -> None:
    """1/(1 + x²) on a cell around 0 so long that the ball of x·x reaches below −1."""
    from meanfield.proof.balls import ball
    from meanfield.proof.function import function_of
    from meanfield.proof.integrals import largest

    pieces = function_of(mf.activation("arctan")).pieces
    most = largest(pieces, lambda jet, _: jet[1], 1, ball(-(10**6)), ball(10**6))
    assert 1 <= most < 2
    with pytest.raises(mf.MeanFieldError, match="no bound"):
        largest(function_of(mf.activation("1/x")).pieces, lambda jet, _: jet[0], 0, ball(-1), ball(2))
