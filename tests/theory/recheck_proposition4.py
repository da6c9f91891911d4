"""Verdicts "satisfied" on random formulas, looked at again on finer grids and at ten times the range, by other means.

``python -m tests.theory.recheck_proposition4 --formulas 300 --seed 1`` prints what does not hold and ends with status 1 where anything is.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings

import numpy as np

import meanfield as mf
from tests.activations.random_formulas import random_activation

X = np.concatenate([np.geomspace(1e-12, 1e-2, 500), np.geomspace(1e-2, 1e4, 20_000), np.geomspace(1e4, 1e10, 2000)])
Q = np.geomspace(1e-8, 1e7, 101)  # the checker stops at 2²⁰ ≈ 1e6
TOLERANCE = 1e-9

# Random formulas rarely pass through 0, so half of them are moved there, and scaled so that a slope is 1.
_THROUGH_ZERO = (
    "{f} - ({c!r})",
    "x*sigmoid({f})",
    "x*(2 + tanh({f}))",
    "x/(1 + abs({f}))",
    "tanh(x) + 0.3*x*exp(-({f})**2)",
    "x + sin({f})*tanh(x)**2",
)


def formula_of(seed: int, index: int) -> str:
    """Formula number index, two thirds of them with φ(0) = 0."""
    rng = np.random.default_rng([seed, index])
    formula = random_activation(rng)
    if index % 3 == 0:
        return formula
    pattern = str(rng.choice(_THROUGH_ZERO))
    constant = 0.0
    if "{c" in pattern:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                constant = float(mf.activation(formula)(0.0))
        except mf.MeanFieldError:
            return formula
        if not math.isfinite(constant):
            return formula
    return pattern.format(f=formula, c=constant)


def _trapezoid(phi, q: float) -> float:
    """E[φ(√q Z)²] by the plain trapezoidal rule in Z: nothing of the package but φ itself."""
    z = np.linspace(-12.0, 12.0, 20_001)
    return float(np.sum(phi(math.sqrt(q) * z) ** 2 * np.exp(-0.5 * z * z)) * (z[1] - z[0]) / math.sqrt(2 * math.pi))


def recheck(result: mf.Proposition4) -> list[str]:
    """What of a verdict "satisfied" does not hold."""
    act = result.activation
    findings = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        # (i)
        if act(0.0) != 0.0:
            findings.append(f"φ(0) = {act(0.0)!r}")
        step = 1e-7
        if max(abs(act(step)), abs(act(-step))) / step < 1e-9:
            findings.append("no slope at 0")
        ratio = np.maximum(np.abs(act(X)), np.abs(act(-X))) / X
        claimed = float(result.conditions["i"].evidence["K"])
        # A formula such as (tanh(x) - 1) + 1 is rounded at the size of its parts, here taken to be at most 4.
        excess = ratio - claimed * (1 + 1e-6) - 4 * np.finfo(float).eps / X
        if not np.max(excess) <= 0:
            worst = int(np.argmax(excess))
            findings.append(f"|φ/x| = {ratio[worst]:.9g} at {X[worst]:.6g}, above {claimed:.9g}")
        # (iii): V does not fall, from differences of a plain trapezoidal rule
        values = np.array([_trapezoid(act, q) for q in Q])
        usable = np.isfinite(values)
        # where φ varies faster than the rule's steps, it proves nothing
        coarse = np.array([_coarse(act, q) for q in Q])
        usable &= np.abs(coarse - values) <= TOLERANCE * np.abs(values)
        pairs = usable[:-1] & usable[1:]
        falls = pairs & (values[1:] < values[:-1] * (1 - 10 * TOLERANCE))
        if falls.any():
            findings.append(f"V falls at q = {Q[int(np.argmax(falls))]:.6g}")
        # (ii): points for small σ_b, solved for one by one, each with F(q) = q and χ₁ = 1
        A = float(result.conditions["ii"].evidence["A"])
        for sigma_b in (0.5, 0.1, 0.01):
            if sigma_b > A:
                continue
            edge = mf.edge_of_chaos(act, sigma_b)
            if edge.status == "none":
                findings.append(f"no point at σ_b = {sigma_b}")
                continue
            net = mf.MeanField(act, edge.sigma_w, sigma_b)
            if abs(net.variance_map(edge.q) / edge.q - 1) > 1e-8:
                findings.append(f"F(q) ≠ q at σ_b = {sigma_b}")
            # (iv): f convex, by second differences on [0, 1]
            if sigma_b == 0.1:
                f = net.correlation_map(np.linspace(0.0, 1.0, 33), q=edge.q)
                if np.min(np.diff(f, 2)) < -1e-9:
                    findings.append("f is not convex")
    return findings


def _coarse(phi, q: float) -> float:
    z = np.linspace(-12.0, 12.0, 14_287)
    return float(np.sum(phi(math.sqrt(q) * z) ** 2 * np.exp(-0.5 * z * z)) * (z[1] - z[0]) / math.sqrt(2 * math.pi))


def run(formulas: int, seed: int, seconds: float = math.inf, log: bool = False) -> tuple[list[tuple[str, list[str]]], dict[str, int]]:
    """Findings, and how often each verdict came out; stops early after that many seconds."""
    findings: list[tuple[str, list[str]]] = []
    counts: dict[str, int] = {}
    began = time.monotonic()
    for index in range(formulas):
        if time.monotonic() - began > seconds:
            break
        formula = formula_of(seed, index)
        started = time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", mf.AccuracyWarning)
                result = mf.check_proposition4(formula)
        except mf.MeanFieldError:
            counts["error"] = counts.get("error", 0) + 1
            continue
        taken = time.monotonic() - started
        verdict = str(result.satisfied)
        counts[verdict] = counts.get(verdict, 0) + 1
        wrong = recheck(result) if result.satisfied is True else []
        if wrong:
            findings.append((formula, wrong))
        if log and (wrong or taken > 5 or result.satisfied is not False):
            print(f"{index} {taken:.1f} s {verdict} {formula} {wrong}", flush=True)
    return findings, counts


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formulas", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    began = time.monotonic()
    findings, counts = run(given.formulas, given.seed, log=True)
    print(f"{given.formulas} formulas in {time.monotonic() - began:.0f} s: {counts}; wrong: {len(findings)}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
