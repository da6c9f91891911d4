"""Random questions to the public functions and the command: a number with an honest error, our own error, or a true warning.

``python -m tests.fuzz --formulas 2000 --seed 0`` sends random formulas through all functions; some seconds for ten of them.
``python -m tests.fuzz --cases 100000 --seed 0`` asks cheap questions: broken formulas, parameters, numbers, grids, command lines.
Both print the findings and end with status 1 where there are any. Case i of a seed is the same however many are asked for, so a
long run may be done in parts: ``--first 5000 --cases 5000``. Beside each kind of case: its errors, warnings and slowest call.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import meanfield as mf
from tests.activations.random_formulas import random_activation
from tests.fuzz_cases import KINDS, try_case
from tests.fuzz_tally import Tally, attempt

VARIANCES = (1e-2, 1.0, 100.0)
_POINTS = 200_000


def brute_force(g: Callable[[Any], Any], q: float) -> tuple[float, float, float]:
    """E[g(√q Z)] by the composite midpoint rule over ±10 σ, how far rules of other step sizes are from it, and E|g|."""
    sums, size, jump = [], 0.0, 0.0
    for count in (_POINTS, 2 * _POINTS // 3 + 1, _POINTS // 2):
        step = 20.0 / count
        z = -10.0 + step * (np.arange(count) + 0.5)
        weights = np.exp(-0.5 * z * z) * (step / math.sqrt(2 * math.pi))
        values = np.asarray(g(math.sqrt(q) * z)) * weights
        sums.append(math.fsum(values))
        size = max(size, float(np.abs(values).sum()))
        jump = max(jump, float(np.max(np.abs(np.diff(values)))))
        if count == _POINTS:
            # Mass at the ends or in one single step: the rule does not see the whole.
            largest = float(np.max(np.abs(values)))
            if largest > 0.02 * size or max(abs(values[0]), abs(values[-1])) > 1e-14 * size:
                return sums[0], math.inf, size
    if size == 0.0:  # whatever mass there is lies further out
        return 0.0, math.inf, 0.0
    # A jump of the integrand costs up to its height.
    return sums[0], 4 * max(abs(sums[0] - other) for other in sums[1:]) + 2 * jump + 1e-12 * size, size


def _check_value(tally: Tally, formula: str, name: str, value: float, error: float, g: Callable[[Any], Any], q: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            independent, own, _ = brute_force(g, q)
        except mf.MeanFieldError:
            return
    tally.count("checked")
    if math.isfinite(own) and abs(value - independent) > error + own:
        tally.find(formula, name, f"{value!r} ± {error:.1g} against {independent!r} ± {own:.1g}")


def _square(act: Any, k: int) -> Callable[[Any], Any]:
    return lambda x: act.values(x, k) ** 2


def try_formula(tally: Tally, formula: str, c: float, check: bool) -> None:
    """All calls on one formula."""
    act, _ = attempt(tally, formula, "activation", lambda: mf.activation(formula))
    if act is None:
        return
    jumps = any(point.value_jump != 0.0 for point in act.breakpoints)
    for q in VARIANCES:
        found, warned = attempt(tally, formula, f"estimate q={q}", lambda q=q: mf.estimate(act, q))
        if found is not None:
            if math.isnan(found.value) or math.isnan(found.error) or found.error < 0:
                tally.find(formula, f"estimate q={q}", f"gives {found}")
            elif math.isinf(found.value) and not found.reason:
                tally.find(formula, f"estimate q={q}", "infinite without a reason")
            elif math.isfinite(found.value) and check and not warned:
                _check_value(tally, formula, f"estimate q={q}", found.value, found.error, lambda x: act.values(x, 0), q)
        moments = {}
        for k in (0, 1):
            name = f"second_moment q={q} k={k}"
            value, warned = attempt(tally, formula, name, lambda q=q, k=k: mf.second_moment(act, q, k))
            if value is None:
                continue
            moments[k] = value
            if math.isnan(value) or value < 0:
                tally.find(formula, name, f"gives {value!r}")
            elif math.isfinite(value) and check and not warned:
                _check_value(tally, formula, name, value, 1e-10 * value, _square(act, k), q)
        name = f"covariance q={q} c={c:.3f}"
        value, _ = attempt(tally, formula, name, lambda q=q: mf.covariance(act, q, q, c))
        if value is not None:
            bound = moments.get(0, math.inf)
            if math.isnan(value):
                tally.find(formula, name, "gives nan")
            elif not abs(value) <= bound * (1 + 1e-9):
                tally.find(formula, name, f"gives {value!r}, V is {bound!r}")
    point, _ = attempt(tally, formula, "edge_of_chaos", lambda: mf.edge_of_chaos(act, sigma_b=0.2))
    if point is not None:
        numbers = (point.sigma_w, point.q, point.variance_slope)
        if point.status == "none":
            if not point.reason or not all(map(math.isnan, numbers)):
                tally.find(formula, "edge_of_chaos", f"none, with {numbers} and reason {point.reason!r}")
        elif not all(map(math.isfinite, numbers)) or jumps:
            tally.find(formula, "edge_of_chaos", f"{point.status}, with {numbers}, jumps: {jumps}")
    net, _ = attempt(tally, formula, "MeanField", lambda: mf.MeanField(act, 1.2, 0.3))
    if net is not None:
        for what in ("q_star", "chi_1", "phase"):
            value, _ = attempt(tally, formula, f"MeanField.{what}", lambda what=what: getattr(net, what))
            if isinstance(value, float) and (math.isnan(value) or value < 0):
                tally.find(formula, f"MeanField.{what}", f"gives {value!r}")


def run(formulas: int, seed: int, check_every: int = 4, log: Callable[[str], None] | None = None, first: int = 0) -> Tally:
    """Try that many formulas; every check_every-th against brute force."""
    tally = Tally()
    for index in range(first, first + formulas):
        rng = np.random.default_rng([seed, index])
        formula = random_activation(rng)
        began, before = time.process_time(), len(tally.findings)
        try_formula(tally, formula, float(rng.uniform(-1, 1)), index % check_every == 0)
        if log is not None:
            for finding in tally.findings[before:]:
                log(json.dumps([index, *finding], ensure_ascii=False))
            if time.process_time() - began > 8:
                log(json.dumps([index, formula, "all", f"{time.process_time() - began:.1f} s in all"], ensure_ascii=False))
    return tally


def run_cases(cases: int, seed: int, log: Callable[[str], None] | None = None, first: int = 0) -> dict[str, Tally]:
    """Try that many cheap cases of all kinds in turn; a tally for each kind."""
    tallies = {kind: Tally() for kind in KINDS}
    for index in range(first, first + cases):
        tally = tallies[list(KINDS)[index % len(KINDS)]]
        before = len(tally.findings)
        tally.count("case")
        try_case(tally, seed, index)
        if log is not None:
            for finding in tally.findings[before:]:
                log(json.dumps([index, *finding], ensure_ascii=True))
    return tallies


def _warm_up() -> None:
    """Have the kernels compiled: what that takes the first time is no call's own time."""
    net = mf.MeanField("silu", 2.5, 0.3)
    net.propagate(50, q=2.0, c=0.5)
    net.correlation_map(np.linspace(-1, 1, 5))
    mf.MeanField("relu", 2.0, 0.3).propagate(50, q=(1.0, 2.0), c=0.5)
    mf.edge_of_chaos("gelu", sigma_b=[0.1, 0.5])
    for name in ("tanh", "sign", "relu", "sin"):
        mf.phase_diagram(name, [1.0, 2.0], [0.0, 0.3], n_jobs=1)
        mf.covariance(name, 400.0, 400.0, 0.999)
        mf.decorrelation(name, 1e6, [1e-9, 1e-3])
        mf.simulate(name, 1.0, 0.1, width=8, depth=2, networks=2, seed=0)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formulas", type=int, help="how many formulas; 2000 where no --cases are given")
    parser.add_argument("--cases", type=int, default=0, help=f"how many cheap cases: {', '.join(KINDS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="index of the first formula and case")
    parser.add_argument("--check-every", type=int, default=4, help="which formulas to hold against brute force")
    given = parser.parse_args(arguments)
    formulas = given.formulas if given.formulas is not None else 0 if given.cases else 2000

    def log(line: str) -> None:
        print(line, flush=True)

    _warm_up()
    found = 0
    for name, count, work in (
        ("formulas", formulas, lambda: {"formulas": run(formulas, given.seed, given.check_every, log, given.first)}),
        ("cases", given.cases, lambda: run_cases(given.cases, given.seed, log, given.first)),
    ):
        if not count:
            continue
        began = time.perf_counter()
        tally = Tally()
        for kind, part in work().items():
            tally.add(part)
            if kind != name:
                print(f"{kind}: {dict(sorted(part.counts.items()))}, slowest {part.slowest[0][0] if part.slowest else 0.0:.2f} s")
        print(f"{count} {name} from {given.first} on in {time.perf_counter() - began:.0f} s: {dict(sorted(tally.counts.items()))}")
        for seconds, what, call in tally.slowest[:12]:
            print(f"{seconds:6.2f} s  {call}  {what[:200]}")
        found += len(tally.findings)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
