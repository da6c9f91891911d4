"""Random formulas: every proof checked again, and held against the numerical checker.

`python -m tests.proof.random_formulas 200` runs many.
"""

from __future__ import annotations

import random
import sys

import meanfield as mf

_BOUNDED = ("tanh({s})", "arctan({s})", "erf({s})", "sin({s})", "({s})/(1+abs({s}))", "clip({s},-1,1)", "({s})*exp(-({s})**2)")
_LINEAR = (
    "({s})*sigmoid({s})",
    "max({s},0)",
    "({s})/2*erfc(-({s}))",
    "softplus({s})-log(2)",
    "where({s}>0,{s},expm1({s}))",
    "({s})*tanh(softplus({s}))",
)
_OTHER = ("({s})**2", "exp(-({s})**2)", "cos({s})", "abs({s})", "({s})**3", "where({s}>1,1,0)", "1")


def formula(source: random.Random) -> str:
    """A sum of one to three terms of the shapes that activations have."""
    terms = []
    for _ in range(source.choice((1, 2, 2, 3))):
        family = source.choices((_BOUNDED, _LINEAR, _OTHER), (5, 4, 1))[0]
        inner = source.choice(("x", "x", "x", "2*x", "x/3", "-x", "x-1/2"))
        weight = source.choice(("1", "1", "0.5", "-0.3", "2", "0.1"))
        terms.append(f"{weight}*{source.choice(family).format(s=inner)}")
    return "+".join(terms)


def contradictions(count: int, seed: int, seconds: float) -> tuple[list[str], int]:
    """What went wrong, and how many formulas were decided."""
    source, found, decided = random.Random(seed), [], 0
    for _ in range(count):
        text = formula(source)
        proof = mf.prove_proposition4(text, time_limit=seconds)
        if proof.certificate:
            check = mf.check_proof(proof.to_json())
            if not check or (check.satisfied, check.satisfied_strictly) != (proof.satisfied, proof.satisfied_strictly):
                found.append(f"{text}: the check says {check.satisfied}, {check.satisfied_strictly}")
        if proof.satisfied is None:
            continue
        decided += 1
        measured = _without_proof(text)
        for mine, theirs in ((proof.satisfied, measured[0]), (proof.satisfied_strictly, measured[1])):
            if mine is not None and theirs is not None and mine is not theirs:
                found.append(f"{text}: proved {proof.satisfied}, {proof.satisfied_strictly}; measured {measured}")
                break
    return found, decided


def _without_proof(text: str) -> tuple[bool | None, bool | None]:
    """The numerical checker by itself."""
    from meanfield.theory.conditions import proven

    kept = proven.proof_of
    proven.proof_of = lambda act: None  # type: ignore[assignment]
    try:
        result = mf.check_proposition4(text)
    finally:
        proven.proof_of = kept
    return result.satisfied, result.satisfied_strictly


if __name__ == "__main__":
    wrong, known = contradictions(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1, 5.0)
    print(f"{known} decided")
    print("\n".join(wrong) or "no contradiction")
