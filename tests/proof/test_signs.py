"""Signs of kernels for every q: the catalogue's, what they say of measured points, formulas made to mislead, and tampered claims."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield.proof import check_claims, check_signs
from meanfield.proof.balls import flint, precision
from meanfield.proof.document import meaning, most_fixed_points

FALLING = ("arctan", "celu", "elu", "erf", "hardtanh", "isrlu", "isru", "lecun_tanh", "relu6", "selu", "sin", "softsign", "tanh")
ONE_CHANGE = ("gelu", "hardswish", "quick_gelu", "silu")


def proof_of(activation: str) -> mf.Proof:
    return mf.prove_proposition4(activation, time_limit=60)


@pytest.mark.parametrize("name", FALLING)
def test_those_with_one_attracting_point_at_most(name: str) -> None:
    proof = proof_of(name)
    assert proof.signs == {"stability": "-", "fixed_points": "-", "chi_1": "-"}
    assert (proof.half_stable_points, proof.most_fixed_points) == (0, 1)
    assert proof.open_signs == ()
    found = mf.check_proof(proof.to_json())
    assert found
    assert found.signs == proof.signs
    assert "every point of the edge attracts" in str(proof)
    curve = mf.edge_of_chaos_curve(name, q=np.geomspace(1.5, 8, 21))
    assert np.all(curve.variance_slope < 1)
    slope_moment = mf.second_moment(name, np.geomspace(1.5, 8, 21), derivative=1)
    assert np.all(np.diff(slope_moment) < 0)


@pytest.mark.parametrize("name", ONE_CHANGE)
def test_those_with_one_half_stable_point(name: str) -> None:
    proof = proof_of(name)
    assert proof.signs == {"stability": "+-", "fixed_points": "+-", "chi_1": "+-"}
    assert (proof.half_stable_points, proof.most_fixed_points) == (1, 3)
    assert proof.exact == ("stability",)
    assert "one half-stable point" in proof.to_latex()
    at = float(mf.enclose("half_stable", name, digits=6))
    curve = mf.edge_of_chaos_curve(name, q=at * np.array([1e-3, 0.1, 0.5, 0.98, 1.02, 2, 10, 1e3]))
    assert list(curve.variance_slope > 1) == [True] * 4 + [False] * 4


def test_three_fixed_points_of_swish_occur() -> None:
    network = mf.MeanField("silu", sigma_w=1.99995**0.5, sigma_b=0.4221**0.5)
    assert len(network.variance_fixed_points()) == 3 == proof_of("silu").most_fixed_points


def test_every_point_repels() -> None:
    proof = proof_of("bent_identity")
    assert proof.signs["stability"] == "+"
    assert proof.satisfied_strictly is False
    assert "every point of the edge repels" in str(proof)


# Formula, stability, fixed_points, chi_1; None: not shown.
SHAPES = [
    ("x/(1+abs(x)) + x/4", "-", "-", "-"),
    ("where(x > 1, 2*x - 1, x)", "+", "+", "+"),  # a kink upwards
    ("where(x > 1, x/2 + 1/2, x)", "-", "-", "-"),
    ("where(x > 2, x/2 + 2, where(x > 1, 2*x - 1, x))", "+-", "+-", "+-"),
    ("where(x < -1, 2*x + 1, x)", "+", "+", "+"),  # the same on the left
    ("where(x > 3, x/4 + 13/4, where(x > 2, 2*x - 2, where(x > 1, x/2 + 1, 3*x/2)))", "-+-", "-+-", "-+-"),
    ("arctan(x) + x**2/(1 + x**2)/8", None, None, None),
]


@pytest.mark.parametrize(("formula", "stability", "fixed_points", "chi_1"), SHAPES)
def test_shapes(formula: str, stability: str | None, fixed_points: str | None, chi_1: str | None) -> None:
    proof = proof_of(formula)
    assert proof.satisfied is True
    for name, expected in (("stability", stability), ("fixed_points", fixed_points), ("chi_1", chi_1)):
        if expected is not None:
            assert proof.signs.get(name) == expected, (name, proof.open_signs)
    assert mf.check_proof(proof.to_json())
    agrees_with_samples(formula, proof.signs)


def agrees_with_samples(formula: str, signs: dict[str, str]) -> None:
    """The measured signs along q are no more than those shown, and begin with the first."""
    act = mf.activation(formula)
    q = np.geomspace(1e-4, 1e5, 200)
    v, slope = mf.second_moment(act, q), mf.second_moment(act, q, derivative=1)
    rise = np.gradient(v, q, edge_order=2)
    measured = {
        "stability": mf.edge_of_chaos_curve(act, q=q).variance_slope - 1,
        "fixed_points": np.gradient(rise, q, edge_order=2)[2:-2],
        "chi_1": np.diff(slope),
    }
    for name, found in signs.items():
        values = measured[name]
        seen = "".join(s for s, _ in itertools.groupby("+" if v > 0 else "-" for v in values if abs(v) > 1e-5 * np.max(np.abs(values))))
        assert len(seen) <= len(found)
        assert seen in found


@pytest.mark.parametrize(
    "formula",
    [
        "tanh(x) + 1e-9*x*exp(-(x-50)**2)",  # a wiggle far out
        "tanh(x) + 1e-6*sin(x)",
        "erf(x) + 1e-7*x*exp(-(x-6)**2)",
        "arctan(x) + 1e-8*tanh(x - 30) + 1e-8*tanh(30)",
        "x*sigmoid(x) + 1e-9*max(x - 40, 0) - 1e-9*max(x - 41, 0)",
        "tanh(x) + 1e-12*max(x - 20, 0) - 1e-12*max(x - 21, 0)",
    ],
)
def test_what_wiggles_far_out_is_not_said_to_keep_its_sign(formula: str) -> None:
    proof = proof_of(formula)
    for name, found in proof.signs.items():
        assert len(found) > (2 if "sigmoid" in formula else 1), name


def tampered(text: str) -> dict[str, str]:
    made = {}

    def change(name: str, claim: str, **values: object) -> None:
        data = json.loads(text)
        data["claims"][claim].update(values)
        made[name] = json.dumps(data)

    points = json.loads(text)["claims"]["stability"]["points"]
    for claim in ("stability", "fixed_points", "chi_1"):
        change(f"{claim}: other signs", claim, signs="-")
        change(f"{claim}: the signs the other way", claim, signs="-+")
        change(f"{claim}: one sign more", claim, signs="+-+")
        change(f"{claim}: a higher order", claim, order=6)
        change(f"{claim}: a lower order", claim, order=1)
        change(f"{claim}: no order", claim, order=None)
        change(f"{claim}: an order that is no number", claim, order="2")
        change(f"{claim}: few cells", claim, points=["1/16", "8"])
        change(f"{claim}: no cells", claim, points=[])
        change(f"{claim}: cells that end too early", claim, points=points[:-1])
        change(f"{claim}: cells in disorder", claim, points=points[::-1])
        change(f"{claim}: tails from 4 on, cells to 8", claim, start=4)
        change(f"{claim}: a mean that is not negative", claim, q="1/1000")
    return made


def test_tampered_signs_fail() -> None:
    text = proof_of("silu").to_json()
    assert mf.check_proof(text)
    for name, changed in tampered(text).items():
        found = mf.check_proof(changed)
        assert not found, name
        assert name.partition(":")[0] not in found.confirmed, name


def test_another_formula_has_other_signs() -> None:
    data = json.loads(proof_of("tanh").to_json())
    data["formula"] = ["*", ["x"], ["sigmoid", ["x"]]]
    found = mf.check_proof(json.dumps(data))
    assert not found
    assert found.signs == {}
    assert found.satisfied_strictly is not True


def test_signs_need_what_they_rest_on() -> None:
    data = json.loads(proof_of("tanh").to_json())
    for name in ("zero", "regular", "tails"):
        less = {**data, "claims": {key: claim for key, claim in data["claims"].items() if key != name}}
        found = mf.check_proof(json.dumps(less))
        assert not found
        assert found.signs == {}


FORMULAS = [
    "exp(x/3)",
    "expm1(x/2)",
    "log(3+x**2)",
    "log1p(x**2/2)",
    "sqrt(2+x**2)",
    "sin(2*x)",
    "cos(x)",
    "tan(x/2)",
    "sinh(x)",
    "cosh(x/2)",
    "tanh(3*x)",
    "arcsin(x/(2+x**2))",
    "arccos(x/(2+x**2))",
    "arctan(2*x)",
    "asinh(x)",
    "acosh(3+x**2)",
    "atanh(x/(2+x**2))",
    "erf(x)",
    "erfc(x)",
    "sigmoid(2*x)",
    "softplus(x)",
    "x**3 - 2*x",
    "(2+x**2)**(3/2)",
    "(3+x**2)**(1/3)",
    "(3+x**2)**x",
    "x/(2+x**2)",
    "abs(x)*x",
    "relu(x)**2 - x",
    "max(x, x**2)",
    "min(x, 3*x)",
    "where(x > 0, x**2, sin(x))",
    "x*tanh(softplus(x))",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("at", [Fraction(7, 8), Fraction(-5, 8)])
def test_formulas_of_derivatives(formula: str, at: Fraction) -> None:
    # Against power series, which the prover uses: two ways that share no line.
    from meanfield.proof.function import function_of
    from meanfield.proof.proposition4 import _listed
    from meanfield.proof.taylor import taylor

    with precision(200):
        function = function_of(mf.activation(formula))
        piece = next(p for p in function.pieces.pieces if p.high is None or p.high.ball() > check_claims._arb(at))
        a = taylor(piece.tree, 3, check_claims._arb(at))
        kernel = check_signs._Kernel("stability", check_claims._read(_listed(function.tree)))
        found = kernel.side(at, at, 1) if at > 0 else kernel.side(-at, -at, -1)
        turned = [1, 1, 1, 1] if at > 0 else [1, -1, 1, -1]
        for f, sign, expected in zip(found, turned, (a[0], a[1], 2 * a[2], 6 * a[3]), strict=True):
            assert f.overlaps(sign * expected)
            assert float(f.rad()) < 1e-40 * (1 + abs(float(f.mid())))


X = flint.arb(2)
F = [flint.arb(v) for v in (3, 5, 7, 11)]


@pytest.mark.parametrize(
    ("name", "value", "slope"),
    [  # φ = 3, φ' = 5, φ'' = 7, φ''' = 11 at x = 2
        ("stability", 3 * 7, 5 * 7 + 3 * 11),
        ("fixed_points", 2 * (25 + 21) - 15, 2 * (3 * 35 + 33)),
        ("chi_1", 2 * 5 * 7, 35 + 2 * (49 + 55)),
    ],
)
def test_kernels_and_their_slopes(name: str, value: int, slope: int) -> None:
    from meanfield.proof import patterns

    found = check_signs._KERNELS[name](X, F)
    assert (float(found[0]), float(found[1])) == (value, slope)
    assert float(patterns.kernel(name, X, F[:3])) == value
    assert float(patterns._slope(name, X, F)) == slope


def part(kind: str) -> Any:
    return check_signs._Part(kind, flint.arb(0))


SMOOTH, TURNED, UP, DOWN = (flint.arb(0), True), (flint.arb(0), False), (flint.arb(1), False), (flint.arb(-1), False)


@pytest.mark.parametrize(
    ("kinds", "kinks", "last", "expected"),
    [
        (["+", "falling", "falling", "-"], [SMOOTH] * 4, "-", "+-"),
        (["+", "falling", "falling", "-"], [SMOOTH, TURNED, SMOOTH, SMOOTH], "-", "+-+-"),  # φ'' may jump between the two
        (["+", "falling", "rising", "+"], [SMOOTH] * 4, "+", "+-+"),
        (["0", "0"], [DOWN, SMOOTH], "0", "-"),
        (["+", "+"], [SMOOTH, DOWN], "+", "+-+"),
        (["-", "rising", "+"], [SMOOTH, UP, SMOOTH], "0", "-+"),
        (["-", "rising", "rising"], [SMOOTH, DOWN, SMOOTH], "+", "-+-+"),
    ],
)
def test_the_order_of_signs(kinds: list[str], kinks: list[Any], last: str, expected: str) -> None:
    assert check_signs._in_order([part(kind) for kind in kinds], kinks, last) == expected


@pytest.mark.parametrize(("kinds", "last"), [(["0", "rising"], "+"), (["0", "0"], "0")])
def test_no_first_sign_is_no_order(kinds: list[str], last: str) -> None:
    with pytest.raises(check_claims._Refused):
        check_signs._in_order([part(kind) for kind in kinds], [SMOOTH] * 2, last)


def test_most_fixed_points() -> None:
    # From f(0) > 0: concave 1; convex 2; convex, concave 3; concave, convex 2.
    assert [most_fixed_points(signs) for signs in ("-", "+", "+-", "-+", "+-+", "-+-")] == [1, 2, 3, 2, 4, 3]


def test_words() -> None:
    assert meaning("stability", "+-", False).startswith("the edge has at most one half-stable point")
    assert meaning("stability", "-+-", False) == "at most 2 half-stable points; for small q points attract"
    assert meaning("fixed_points", "-", True) == "V is concave: at every σ_w and σ_b > 0 F has at most 1 fixed point"
    assert meaning("chi_1", "+", True) == "E[φ'²], and χ₁ at a given σ_w, rises with q"
    assert meaning("chi_1", "+-+", False).endswith("first rises with q and turns at most 2 times")
