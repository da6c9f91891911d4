"""Conditions (i)–(iv): the verdicts that a hand derivation gives (docs/conditions.md), and activations that break exactly one."""

from __future__ import annotations

import math
import re
import time
import warnings

import numpy as np
import pytest

import meanfield as mf
from meanfield.theory.conditions.samples import moments
from meanfield.theory.conditions.structure import structure
from tests.theory import recheck_proposition4

Y, N = True, False

# name: (i), (ii), (iii), (iv), satisfied, strictly, conclusion
VERDICTS = {
    "tanh": (Y, Y, Y, Y, Y, Y, Y),
    "arctan": (Y, Y, Y, Y, Y, Y, Y),
    "erf": (Y, Y, Y, Y, Y, Y, Y),
    "softsign": (Y, Y, Y, Y, Y, Y, Y),
    "sin": (Y, Y, Y, Y, Y, Y, Y),
    "hardtanh": (Y, Y, Y, Y, Y, Y, Y),
    "elu": (Y, Y, Y, Y, Y, Y, Y),
    "selu": (Y, Y, Y, Y, Y, Y, N),
    "relu6": (Y, Y, Y, Y, Y, Y, N),
    "silu": (Y, Y, Y, Y, Y, N, Y),
    "swish": (Y, Y, Y, Y, Y, N, Y),
    "gelu": (Y, Y, Y, Y, Y, N, Y),
    "mish": (Y, Y, Y, Y, Y, N, Y),
    "relu": (Y, N, Y, Y, N, N, N),
    "leaky_relu": (Y, N, Y, Y, N, N, N),
    "linear": (Y, N, Y, Y, N, N, Y),
    "sigmoid": (N, Y, N, Y, N, N, N),
    "softplus": (N, N, Y, Y, N, N, N),
    "exp": (N, Y, N, Y, N, N, N),
    "monomial": (N, N, Y, Y, N, N, N),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts(name: str) -> None:
    result = mf.check_proposition4(name)
    found = (*(c.holds for c in result.conditions.values()), result.satisfied, result.satisfied_strictly, result.conclusion.holds)
    assert found == VERDICTS[name], str(result)
    for condition in (*result.conditions.values(), result.conclusion):
        assert condition.reason
        assert condition.proof in ("symbolic", "analytic", "theorem", "numerical")
        assert (condition.holds is not False) or condition.witness is not None
    for name_, condition in result.conditions.items():
        assert condition.name == name_
        assert f"({name_})" in str(result)


@pytest.mark.parametrize(
    ("name", "value"),
    [("sigmoid", 0.5), ("softplus", math.log(2.0)), ("exp", 1.0), ("cos", 1.0)],
)
def test_value_at_zero_is_the_witness(name: str, value: float) -> None:
    condition = mf.check_proposition4(name).conditions["i"]
    assert condition.witness == pytest.approx(value, rel=1e-15)
    assert condition.proof == "symbolic"


def test_cube_fails_the_first_condition_twice() -> None:
    failures = mf.check_proposition4("x**3").conditions["i"].evidence["failures"]
    assert len(failures) == 2
    assert "slopes" in failures[0]
    assert "no bound" in failures[1]


def test_relu_has_a_point_only_without_bias() -> None:
    condition = mf.check_proposition4("relu").conditions["ii"]
    assert mf.edge_of_chaos("relu", condition.witness).status == "none"
    assert condition.evidence["sigma_w"] == pytest.approx(math.sqrt(2.0), rel=1e-14)
    assert condition.proof == "analytic"


@pytest.mark.parametrize(
    ("formula", "K", "at"),
    [
        ("tanh(x)", 1.0, "0+"),
        ("silu", 1.0, "inf"),
        ("x/(1 + x**2)", 1.0, "0+"),
        ("x*exp(-(x - 1)**2)", 1.0, 1.0),  # |φ/x| = exp(−(x − 1)²)
        ("2*x - tanh(x)", 2.0, "inf"),
        ("snake", 1.0 + math.sin(1.1655611852) ** 2 / 1.1655611852, 1.1655611852),  # tan x = 2x
    ],
)
def test_largest_ratio_and_where_it_is(formula: str, K: float, at: float | str) -> None:
    evidence = mf.check_proposition4(formula).conditions["i"].evidence
    assert evidence["K"] == pytest.approx(K, rel=1e-9)
    assert evidence["K_at"] == at if isinstance(at, str) else evidence["K_at"] == pytest.approx(at, rel=1e-4)


# Each breaks exactly one condition; (iv) is a theorem for square-integrable φ, so it can only be broken with all the rest.
PERTURBED = [
    ("tanh(x) + 1e-12", "i", lambda w: w == pytest.approx(1e-12, rel=1e-12)),
    ("tanh(x) + 1e-9*x**3", "i", lambda w: w in ("inf", "-inf")),
    ("x*log(1 + x**2) + x", "i", lambda w: w in ("inf", "-inf")),
    ("where(x > 0, 1.1*x, x)", "ii", lambda w: mf.edge_of_chaos("where(x > 0, 1.1*x, x)", w).status == "none"),
    ("sin(x) + 0.1*x", "iii", lambda w: mf.MeanField("sin(x) + 0.1*x", 1.0, 0.1).variance_slope(w) < 0),
    ("x*exp(-x**2/100)", "iii", lambda w: mf.MeanField("x*exp(-x**2/100)", 1.0, 0.1).variance_slope(w) < 0),
]


@pytest.mark.parametrize(("formula", "broken", "right"), PERTURBED)
def test_one_broken_condition_is_caught(formula: str, broken: str, right) -> None:
    result = mf.check_proposition4(formula)
    failing = [name for name, condition in result.conditions.items() if condition.holds is not True]
    # A constant added to φ carries over to (iii): q no longer goes to 0.
    assert failing == ([broken, "iii"] if formula == "tanh(x) + 1e-12" else [broken])
    assert result.satisfied is False
    assert right(result.conditions[broken].witness)


def test_infinite_second_moment_leaves_no_correlation_map() -> None:
    result = mf.check_proposition4("1/x")
    assert result.conditions["iv"].holds is False
    assert result.satisfied is False


def test_gap_between_the_readings_of_swish() -> None:
    result = mf.check_proposition4("silu")
    evidence = result.conditions["ii"].evidence
    assert evidence["attracting"][0][0] == pytest.approx(0.74508, abs=1e-5)
    assert 1.09 < evidence["steepest_variance_slope"] < 1.11
    assert evidence["holds_at_fixed_point"] is True
    assert evidence["holds_at_limit"] is False
    assert any("repels" in caveat for caveat in result.caveats)
    assert any("1 + 0.01" in caveat for caveat in result.caveats)
    for sigma_b, sigma_w, q in zip(evidence["sigma_b"], evidence["sigma_w"], evidence["q"], strict=True):
        edge = mf.edge_of_chaos("silu", sigma_b)
        assert (sigma_w, q) == pytest.approx((edge.sigma_w, edge.q), rel=1e-9)


@pytest.mark.parametrize(("name", "begins"), [("gelu", 0.41584), ("mish", 0.307444)])
def test_where_attracting_points_begin(name: str, begins: float) -> None:
    evidence = mf.check_proposition4(name).conditions["ii"].evidence
    assert evidence["attracting"][0][0] == pytest.approx(begins, abs=1e-5)


def test_largest_bias_of_sin_is_exact() -> None:
    evidence = mf.check_proposition4("sin").conditions["ii"].evidence
    for sigma_b, sigma_w, q in zip(evidence["sigma_b"], evidence["sigma_w"], evidence["q"], strict=True):
        assert sigma_b**2 == pytest.approx(q - math.tanh(q), rel=1e-9)
        assert sigma_w**2 == pytest.approx(1 + math.tanh(q), rel=1e-12)


def test_second_moment_exceeds_that_of_the_slope_for_no_phi_through_zero() -> None:
    # The inequality behind (ii), on activations of every kind: V < q V[φ'] where φ(0) = 0 and φ is not two lines.
    q = np.logspace(-3, 3, 13)
    for name in ("tanh", "silu", "selu", "elu", "relu6", "mish", "bent_identity", "x*exp(-x**2)*where(x > 0, 1, 2)", "x - x**2/3"):
        act = mf.activation(name)
        value, slope = mf.second_moment(act, q), q * mf.second_moment(act, q, derivative=1)
        assert np.all(value[q > 2] < slope[q > 2])
        assert np.all(value <= slope * (1 + 1e-14))
    for name in ("relu", "leaky_relu", "abs"):
        assert mf.second_moment(name, q) == pytest.approx(q * mf.second_moment(name, q, derivative=1), rel=1e-13)


def test_shorter_roads() -> None:
    for name in ("tanh", "arctan", "erf", "softsign"):
        assert mf.check_proposition4(name).propositions["5"].holds is True
    assert mf.check_proposition4("sin").propositions["5"].holds is False
    assert mf.check_proposition4("tanh").propositions["7"].evidence["decay"] == pytest.approx(0.5, abs=1e-3)
    assert mf.check_proposition4("silu").propositions["7"].holds is False
    # V[φ'] of x exp(−x²) falls as q^(−½), and φ is bounded, but F falls too: (iii) is not covered.
    assert mf.check_proposition4("x*exp(-x**2)").propositions["7"].holds is True


def test_black_box_without_a_formula() -> None:
    def mine(x):
        return x * np.tanh(np.log1p(np.exp(np.minimum(x, 30.0))))

    result = mf.check_proposition4(mf.activation(mine, breakpoints=(), name="my mish"))
    assert result.satisfied is True
    assert result.satisfied_strictly is False
    assert result.conditions["i"].proof == "numerical"


def test_torch_module() -> None:
    torch = pytest.importorskip("torch")
    result = mf.check_proposition4(torch.nn.Mish())
    assert (result.satisfied, result.satisfied_strictly) == (True, False)
    assert result.conditions["ii"].evidence["attracting"][0][0] == pytest.approx(0.307444, abs=1e-5)


def test_a_value_within_the_noise_decides_nothing() -> None:
    def nearly(x):
        return np.tanh(x) + 1e-17

    def clearly(x):
        return np.tanh(x) + 1e-12

    assert mf.check_proposition4(mf.activation(nearly, breakpoints=(), name="a")).conditions["i"].holds is None
    assert mf.check_proposition4(mf.activation(clearly, breakpoints=(), name="b")).conditions["i"].holds is False


@pytest.mark.parametrize(
    ("formula", "low", "high", "growth", "rises", "odd"),
    [
        ("tanh(x)", -1.0, 1.0, 0.0, True, True),
        ("x*sigmoid(x)", -math.inf, math.inf, 1.0, False, False),
        ("log(1 + exp(x))", 0.0, math.inf, 1.0, True, False),
        ("where(x > 0, x, exp(x) - 1)", -1.0, math.inf, 1.0, True, False),
        ("x**3 + sinh(x)", -math.inf, math.inf, math.inf, True, True),
        ("exp(-x**2)", 0.0, 1.0, 0.0, False, False),
        ("x/(1 + abs(x))", -1.0, 1.0, 0.0, True, True),
        ("clip(x, -1, 2)", -1.0, 2.0, 0.0, True, False),
        ("-arctan(x)", -math.pi / 2, math.pi / 2, 0.0, False, True),
    ],
)
def test_what_a_formula_proves(formula: str, low: float, high: float, growth: float, rises: bool, odd: bool) -> None:
    shape = structure(mf.activation(formula))
    assert shape is not None
    assert (shape.low, shape.high) == pytest.approx((low, high))
    assert (shape.growth, shape.rises, shape.odd) == (growth, rises, odd)


@pytest.mark.parametrize("name", mf.activations())
def test_what_a_formula_proves_is_true_of_the_values(name: str) -> None:
    act = mf.activation(name)
    shape = structure(act)
    assert shape is not None
    x = np.linspace(-30.0, 30.0, 4001) + 0.00123
    values, slopes = act(x), act.derivative(x)
    tolerance = 1e-12 * (1 + np.abs(values))
    assert np.all(values >= shape.low - tolerance)
    assert np.all(values <= shape.high + tolerance)
    assert not shape.rises or np.all(slopes >= 0)
    assert not shape.falls or np.all(slopes <= 0)
    assert not shape.odd or np.allclose(act(-x), -values, rtol=1e-13, atol=1e-13)
    assert not shape.even or np.allclose(act(-x), values, rtol=1e-13, atol=1e-13)


def test_noise_is_no_sign() -> None:
    seen = moments(mf.activation("relu"))
    from meanfield.expectation.moments import DEFICIT, EXCESS
    from meanfield.theory.conditions.samples import clear_sign

    assert not np.any(clear_sign(seen[DEFICIT], seen.noise[DEFICIT]))
    assert not np.any(clear_sign(seen[EXCESS], seen.noise[EXCESS]))


def test_bad_input_is_named() -> None:
    with pytest.raises(mf.ActivationError, match="foo"):
        mf.check_proposition4("foo(x)")


def test_a_second_is_enough_for_a_built_in() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("exp", "sin", "snake", "softshrink", "gelu", "selu"):
            mf.check_proposition4(name)
            began = time.perf_counter()
            str(mf.check_proposition4(name))
            assert time.perf_counter() - began < 1.0, name


def test_a_sample_of_random_formulas_has_no_wrong_verdict() -> None:
    findings, counts = recheck_proposition4.run(formulas=40, seed=2, seconds=4.0)
    assert findings == []
    assert sum(counts.values()) >= 1


def test_the_recheck_sees_a_wrong_verdict() -> None:
    right = mf.check_proposition4("tanh")
    for formula in ("tanh(x) + 1e-12", "relu", "sin(x) + 0.1*x", "tanh(x) + 1e-9*x**3"):
        act = mf.activation(formula)
        claimed = mf.Proposition4(act, True, True, right.conditions, right.conclusion, (), {})
        assert recheck_proposition4.recheck(claimed), formula
    assert recheck_proposition4.recheck(right) == []


def test_exponential_begins_at_one() -> None:
    # V = V[φ'] = e^(2q), so s(q) = q − 1.
    result = mf.check_proposition4("exp")
    assert result.conditions["iii"].witness == pytest.approx(1.0, rel=1e-9)
    assert result.conditions["ii"].evidence["holds_at_limit"] is False


CALLABLES = {
    "tanh": np.tanh,
    "sin": np.sin,
    "identity": lambda x: np.asarray(x) * 1.0,
    "relu": lambda x: np.maximum(x, 0.0),
    "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "sign": np.sign,
    "cosine": np.cos,
    "cube": lambda x: np.asarray(x) ** 3,
    "square": lambda x: np.square(x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "selu": lambda x: np.where(x > 0, x, 1.5 * np.expm1(np.minimum(x, 0.0))),
    "scalar": math.atan,
}


@pytest.mark.parametrize("name", CALLABLES)
def test_no_verdict_on_a_callable_is_better_than_numerical(name: str) -> None:
    result = mf.check_proposition4(mf.activation(CALLABLES[name], name=f"my {name}"))
    verdicts = (*result.conditions.values(), result.conclusion, *result.propositions.values())
    assert {condition.proof for condition in verdicts} == {"numerical"}
    for word in ("analytic", "symbolic"):
        assert word not in str(result)


@pytest.mark.parametrize(
    ("formula", "at"),
    [
        ("x+sqrt(abs(x-1))-1", 1.0),
        ("tanh(x)+0.1*sqrt(abs(x**2-1))-0.1", 1.0),
        ("tanh(x)+where(x>1,sqrt(x-1),0)", 1.0),
        ("tanh(x)*abs(x-2)**0.4", 2.0),
        ("x*abs(x+3)**0.5", -3.0),
        ("sin(x)+abs(x-10)**0.3-10**0.3", 10.0),
        ("x+0.001*sqrt(abs(x-0.1))-0.001*sqrt(0.1)", 0.1),
    ],
)
def test_a_slope_that_is_not_square_integrable_leaves_no_edge(formula: str, at: float) -> None:
    # φ' ~ |x − t|^(−p) with p ≥ ½: E[φ'²] = ∞ at every q > 0, also where t is many standard deviations away.
    q = np.array([1e-6, 1e-3, 0.01, 0.1, 1.0, 100.0])
    assert np.all(np.isinf(mf.second_moment(formula, q, derivative=1)))
    assert np.all(np.isfinite(mf.second_moment(formula, q)))
    result = mf.check_proposition4(formula)
    assert result.conditions["ii"].holds is False
    assert f"not integrable at x = {abs(at):g}" in result.conditions["ii"].reason.replace("-", "")
    assert (result.satisfied, result.conclusion.holds) == (False, False)
    assert mf.edge_of_chaos(formula, [0.0, 0.1]).status.tolist() == ["none", "none"]
    quiet = mf.MeanField(formula, 0.01, 0.0)
    assert (quiet.chi_1, quiet.phase) == (math.inf, "chaotic")


@pytest.mark.filterwarnings("ignore::meanfield.AccuracyWarning")  # such a pole of φ' is integrated to fewer digits
@pytest.mark.parametrize("power", [0.6, 0.75, 0.9])
def test_a_steep_slope_that_is_square_integrable_has_an_edge(power: float) -> None:
    from scipy.integrate import quad

    formula = f"abs(x-1)**{power}-1"
    result = mf.check_proposition4(formula)
    assert result.conditions["ii"].holds is True

    def density(x: float) -> float:
        return power**2 * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    exponent = 2 * power - 2  # of |x − 1| in φ'², left to quad's own weight on both sides of 1
    near = sum(quad(density, a, b, weight="alg", wvar=w)[0] for a, b, w in ((0.0, 1.0, (0.0, exponent)), (1.0, 2.0, (exponent, 0.0))))
    far = sum(quad(lambda x: density(x) * abs(x - 1) ** exponent, a, b)[0] for a, b in ((-20.0, 0.0), (2.0, 20.0)))
    assert mf.second_moment(formula, 1.0, derivative=1) == pytest.approx(near + far, rel=2e-3)


def _jumping(x):
    return np.tanh(x) + 1e-9 * (np.abs(x) > 1e-7)


def _peaked(x):
    return np.tanh(x) + 1000 * np.exp(-(((x - 50.3) / 0.001) ** 2))


JUMPS = {
    "far below any scale": (_jumping, 1e-7),
    "one-sided": (lambda x: np.tanh(x) + 1e-9 * (x > 3e-6), 3e-6),
    "below 0": (lambda x: x - 1e-8 * (x < -2e-5), -2e-5),
    "at 1": (lambda x: x / (1 + np.abs(x)) + 1e-8 * (x >= 1.2345), 1.2345),
    "of a wave": (lambda x: np.sin(x) + 1e-7 * (np.abs(x) > 33.3), 33.3),
}


@pytest.mark.parametrize("name", JUMPS)
def test_a_small_jump_of_a_callable_is_found(name: str) -> None:
    function, at = JUMPS[name]
    result = mf.check_proposition4(mf.activation(function, name="mine"))
    assert (result.satisfied, result.satisfied_strictly, result.conclusion.holds) == (False, False, False)
    found = re.search(r"jumps at x = (\S+),", result.conditions["ii"].reason)  # χ₁ = ∞
    assert found is not None
    assert abs(float(found[1])) == pytest.approx(abs(at), rel=1e-5)


def test_a_narrow_peak_of_a_callable_is_found() -> None:
    result = mf.check_proposition4(mf.activation(_peaked, name="peaked"))
    evidence = result.conditions["i"].evidence
    assert evidence["K"] == pytest.approx((1000 + math.tanh(50.3)) / 50.3, rel=1e-6)
    assert (evidence["K_at"], evidence["K_proof"]) == (pytest.approx(50.3, rel=1e-6), "numerical")
    assert "samples" in result.conditions["i"].reason
    assert (result.satisfied, result.conditions["iii"].holds) == (False, False)
    assert result.conditions["iii"].witness > 50.3**2  # N(50.3; 0, q) falls from there on


@pytest.mark.parametrize(
    "function",
    [
        np.tanh,
        np.sin,
        np.arctan,
        lambda x: x / (1 + np.exp(-np.maximum(x, -700.0))),
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
        lambda x: np.clip(x, -1, 1),
        lambda x: np.tanh(x) + 0.2 * np.abs(x - 1.7) - 0.34,
        lambda x: np.logaddexp(0.0, x) - np.log(2),
    ],
)
def test_no_feature_is_invented(function) -> None:
    from meanfield.theory.conditions.closer_look import look_closer

    found = look_closer(mf.activation(function, name="mine"))
    assert (found.jumps, found.features) == ((), ())


def test_stairs_of_single_precision_are_no_jumps() -> None:
    from meanfield.theory.conditions.closer_look import look_closer

    assert look_closer(mf.activation(lambda x: np.tanh(np.float32(x)).astype(float), name="single")).jumps == ()


@pytest.mark.parametrize(
    ("formula", "K", "at"),
    [
        ("x*(1+5*exp(-((x-50.3)/0.001)**2))", 6.0, 50.3),
        ("x*(1+5*exp(-((x-50.3)/0.1)**2))", 6.0, 50.3),
        ("x*(1+5*exp(-((x+7.77)/0.002)**2))", 6.0, -7.77),
        ("x*(2-exp(-((x-3.3)/0.01)**2))", 2.0, "inf"),
        ("x*(1+exp(-x**2/2))", 2.0, "0+"),
        ("sin(x)", 1.0, "0+"),
        ("x/(1+x**2)", 1.0, "0+"),
    ],
)
def test_the_bound_of_the_ratio_is_the_formulas(formula: str, K: float, at: float | str) -> None:
    evidence = mf.check_proposition4(formula).conditions["i"].evidence
    assert evidence["K"] == pytest.approx(K, rel=1e-9)
    assert evidence["K_bound"] == pytest.approx(K, rel=1e-12)
    assert evidence["K_proof"] == "symbolic"
    assert evidence["K_at"] in ("inf", "-inf", "0+", "0-") if isinstance(at, str) else evidence["K_at"] == pytest.approx(at, rel=1e-6)


@pytest.mark.parametrize("width", ["0.1", "0.001"])
def test_two_lines_with_a_bump_far_out_are_not_two_lines(width: str) -> None:
    result = mf.check_proposition4(f"x*(1+5*exp(-((x-50.3)/{width})**2))")
    assert (result.conditions["ii"].holds, result.conditions["ii"].proof) == (True, "analytic")
    assert "not linear on both sides" in result.conditions["ii"].reason


@pytest.mark.parametrize(("formula", "proof"), [("relu", "analytic"), ("max(x, 0.1*x)", "analytic"), ("(x+sqrt(x**2))/2", "numerical")])
def test_two_lines_are_proven_where_the_formula_is_made_of_lines(formula: str, proof: str) -> None:
    condition = mf.check_proposition4(formula).conditions["ii"]
    assert (condition.holds, condition.proof) == (False, proof)


def test_a_jump_is_not_bounded_by_its_slope() -> None:
    evidence = mf.check_proposition4("where(x > 1, 1, 0) + x/4").conditions["i"].evidence
    assert (evidence["K"], evidence["K_proof"]) == (pytest.approx(1.25, rel=1e-6), "numerical")


@pytest.mark.parametrize(
    ("function", "K"),
    [
        (lambda x: np.logaddexp(0.0, x) - np.log(2), 1.0),
        (lambda x: np.exp(np.minimum(x, 0.0)) - 1.0 + np.maximum(x, 0.0), 1.0),
        (lambda x: (1.0 + np.tanh(x)) - 1.0, 1.0),
    ],
)
def test_rounding_near_zero_is_no_ratio(function, K: float) -> None:
    evidence = mf.check_proposition4(mf.activation(function, name="mine")).conditions["i"].evidence
    found = np.abs(function(np.array([1e-5, -1e-5, 1e6, -1e6])) / np.array([1e-5, -1e-5, 1e6, -1e6]))
    assert evidence["K"] >= found.max() - 1e-9
    assert evidence["K"] <= K * (1 + 2e-9)
