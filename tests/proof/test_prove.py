"""Proofs: the catalogue's verdicts, near misses, tampered certificates, and the numerical checker beside them."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest

import meanfield as mf
from tests.proof.near_misses import NEAR_MISSES

SWISH_LIKE = {"bent_identity", "gelu", "gelu_tanh", "hardswish", "igelu", "logish", "mish", "quick_gelu", "silu", "snake", "swish"}
BOTH = {"arctan", "celu", "elu", "erf", "hardtanh", "isrlu", "isru", "lecun_tanh", "relu6", "selu", "sin", "softsign", "tanh", "telu"}


@pytest.mark.parametrize("name", mf.activations())
def test_the_whole_catalogue_is_decided(name: str) -> None:
    proof = mf.prove_proposition4(name, time_limit=60)
    expected = (True, True) if name in BOTH else (True, False) if name in SWISH_LIKE else (False, False)
    assert (proof.satisfied, proof.satisfied_strictly) == expected, str(proof)
    check = mf.check_proof(proof.to_json())
    assert check
    assert (check.satisfied, check.satisfied_strictly) == expected
    assert proof.undecided == ()
    for step in proof.steps:
        assert step.claim in " ".join(str(proof).split())
        assert step.evidence


@pytest.mark.parametrize("formula", NEAR_MISSES)
def test_no_near_miss_is_proved(formula: str) -> None:
    proof = mf.prove_proposition4(formula, time_limit=0.4)
    assert proof.satisfied is not True
    assert proof.satisfied_strictly is not True


@pytest.mark.parametrize("formula", NEAR_MISSES[::3])
def test_no_near_miss_is_called_true_by_the_samples(formula: str) -> None:
    assert mf.check_proposition4(formula).satisfied is not True


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("0.3*x + x*exp(-x**2/2)", (True, True)),  # k changes its sign: the grid of q
        ("x*exp(-x**2)", (False, False)),  # F' < 0 at a q
        ("arctan(x) + 1e-9*x**2", (False, False)),
        ("where(x > 1, 2*x - 1, x)", (True, False)),  # linear next to 0, where Theorem 7 sees nothing; E[φφ''] > 0 by Theorem 8
        ("where(x > 1, 2*x - 0.99, x)", (False, False)),
        ("max(x, 0.1*x)", (False, False)),
        ("tanh(x) + x**2/(1 + x**2)**2", (True, None)),  # a₂² + 3a₁a₃ is 0 at 0, to all digits that balls have
    ],
)
def test_formulas(formula: str, expected: tuple[bool | None, bool | None]) -> None:
    proof = mf.prove_proposition4(formula, time_limit=60)
    assert (proof.satisfied, proof.satisfied_strictly) == expected, str(proof)
    assert mf.check_proof(proof.to_json())


def test_undecided_says_why() -> None:
    for formula, why in (("x + sin(x)", "F'"), ("tanh(x) + sqrt(abs(x - 1)) - 1", "finite"), ("abs(sin(x))", "switches")):
        proof = mf.prove_proposition4(formula)
        assert proof.satisfied is None
        assert why in " ".join(proof.undecided)
        assert "Not settled" in str(proof)


def test_a_black_box_is_undecided() -> None:
    proof = mf.prove_proposition4(mf.activation(np.tanh, name="mine"))
    assert (proof.satisfied, proof.satisfied_strictly, proof.certificate) == (None, None, "")
    assert "no formula" in proof.undecided[0]
    assert not mf.check_proof(proof.to_json())


def tampered(text: str) -> dict[str, str]:
    """Certificates that claim more than they show."""
    made: dict[str, str] = {}

    def change(name: str, **changes: object) -> None:
        data = json.loads(text)
        for path, value in changes.items():
            part = data
            *inner, last = path.split("__")
            for key in inner:
                part = part[key]
            part[last] = value
        made[name] = json.dumps(data)

    change("strict verdict", satisfied_strictly=True)
    change("weak verdict", satisfied=False)
    change("other sign", claims__near_zero__stability=-1)
    change("another formula", formula=["sigmoid", ["x"]])
    change("a wave", formula=["*", ["x"], ["sin", ["x"]]])
    change(
        "a jump",
        formula=["+", ["*", ["x"], ["sigmoid", ["x"]]], ["where", [">", ["x"], ["number", "3"]], ["number", "1/1000000"], ["number", "0"]]],
    )
    change("cells left out", claims__rises__points=["1/16", "8"])
    change("no cells", claims__regular__points=[])
    change("tails too early", claims__tails__start=3)
    change("format", format="meanfield proof 0")
    change("unknown claim", claims__anything={})
    made["cut off"] = text[:-7]
    made["not a certificate"] = "[]"
    return made


def test_a_tampered_certificate_fails() -> None:
    text = mf.prove_proposition4("silu").to_json()
    assert mf.check_proof(text)
    for name, changed in tampered(text).items():
        check = mf.check_proof(changed)
        if name == "tails too early" and check:  # a claim that happens to be true from there on is no lie
            continue
        assert not check, name


def test_claims_dropped_are_verdicts_dropped() -> None:
    data = json.loads(mf.prove_proposition4("tanh").to_json())
    strict = {"near_zero", "fixed_points"}  # either shows the strict reading
    for dropped in [{name} for name in data["claims"].keys() - strict - {"stability", "chi_1"}] + [strict]:
        less = {**data, "claims": {key: claim for key, claim in data["claims"].items() if key not in dropped}}
        check = mf.check_proof(json.dumps(less))
        assert not check, dropped
        assert check.satisfied_strictly is not True


def test_documents() -> None:
    proof = mf.prove_proposition4("relu6")
    latex = proof.to_latex()
    assert latex.count(r"\item") == len(proof.steps) + len(proof.signs)
    assert "φ" not in latex
    assert "_" not in latex.replace(r"\_", "").replace("$_1$", "")
    assert str(proof).count("\n") > len(proof.steps)
    assert len(repr(proof)) < 2500


def test_the_numerical_checker_uses_theorems() -> None:
    result = mf.check_proposition4("silu")
    assert result.conditions["iii"].proof == "theorem"
    assert not any("Shown numerically" in note for note in result.caveats)
    assert mf.check_proposition4(mf.activation(np.tanh, name="mine")).conditions["iii"].proof == "numerical"


def test_random_formulas_do_not_contradict_the_samples() -> None:
    from tests.proof.random_formulas import contradictions

    found, decided = contradictions(count=6, seed=3, seconds=1.0)
    assert found == []
    assert decided >= 1


@pytest.mark.parametrize("limit", [0, -1, math.nan, math.inf, "1", True])
def test_the_time_limit_is_checked(limit: object) -> None:
    with pytest.raises(mf.DomainError, match="time_limit"):
        mf.prove_proposition4("tanh", time_limit=limit)  # type: ignore[arg-type]


def rising(formula: str, points: list[str], start: int) -> str:
    """A certificate that E[xφφ'] > 0 at every q, with a grid of q that suffices if nothing is lost."""
    data = json.loads(mf.prove_proposition4(formula, time_limit=60).to_json())
    kept = {name: claim for name, claim in data["claims"].items() if name in ("zero", "slopes", "not_two_lines")}
    grid = [str(2**n) if n >= 0 else f"1/{2**-n}" for n in range(-12, 24)]
    claims = {
        **kept,
        "regular": {"points": points, "cuts": []},
        "tails": {"start": start},
        "rises": {"points": points, "start": start, "q": grid},
    }
    return json.dumps({**data, "claims": claims, "satisfied": True, "satisfied_strictly": None})


def fine(start: int) -> list[str]:
    return [str(Fraction(n, 32)) for n in range(1, 32 * start + 1)]


@pytest.mark.parametrize(
    ("formula", "start"),
    [("x*exp(-x**2)", 8), ("x/(1+x**2/9)", 5)],
)
def test_what_falls_does_not_rise(formula: str, start: int) -> None:
    # The negative part of x(φφ' + ψψ') is inside the cells; in the second, most of it is beyond them.
    check = mf.check_proof(rising(formula, fine(start), start))
    assert not check
    assert "rises" not in check.confirmed
    assert "tails" in check.confirmed
    assert "regular" in check.confirmed
    assert check.satisfied is None
    told = next(reason for reason in check.reasons if "NOT" in reason)
    assert "settled" in told


def test_what_rises_by_the_same_cells_and_grid() -> None:
    check = mf.check_proof(rising("tanh(x)", fine(8), 8))
    assert "rises" in check.confirmed
    assert check.satisfied is True
