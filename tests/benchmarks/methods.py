"""The methods that were tried for the numerical heart, side by side: ``python -m tests.benchmarks.methods``.

Prints the tables of docs/design.md. Exact values come from tests/reference and tests/closed_forms.py.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from mpmath import mp, mpf

import meanfield as mf
from meanfield.expectation.hermite import MehlerPair, hermite_series, mehler_decorrelation
from meanfield.expectation.moments import DEFICIT, EXCESS, Q_DV, V1, V, moment_table
from meanfield.expectation.smoothing import covariance_by_smoothing, decorrelation_by_smoothing
from tests.benchmarks import peers
from tests.benchmarks.accuracy import activation
from tests.benchmarks.fresh import compile_kernels
from tests.benchmarks.record import Measurement, markdown
from tests.benchmarks.timing import seconds_once, seconds_per_call
from tests.closed_forms import CLOSED_FORMS
from tests.reference_activations import SPECS, Case, cases


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(2e-6)
    '2 µs'
    """
    return Measurement("", "", "", float(f"{seconds:.2g}"), "s").text


def kind(name: str) -> str:
    """Whether φ is smooth, has a kink or jumps."""
    points = activation(name).breakpoints
    if any(b.value_jump for b in points):
        return "jump"
    return "kink" if any(b.slope_jump for b in points) else "smooth"


# ---- one input ------------------------------------------------------------------------------------------------------


def one_input(quick: bool) -> str:
    """E[φ²] and E[φ'²] at the reference values, by eight methods."""
    slow = ("sin_5", "snake_2")  # formulas that oscillate fast: seconds each at large variances
    found = [c for c in cases(("V", "V1")) if c.scale != 0 and not (c.name in slow and c.floats[0] > 1e3)]
    found = found[:: 12 if quick else 1]
    kinds = {name: kind(name) for name in SPECS}

    def phi(case: Case) -> Callable[[Any], Any]:
        act = activation(case.name)
        return lambda x: act.values(np.ascontiguousarray(x).ravel(), case.order).reshape(np.shape(x))

    def breaks(case: Case) -> tuple[float, ...]:
        return tuple(b.location for b in activation(case.name).breakpoints)

    def series(case: Case) -> float:
        return float(moment_table(activation(case.name))(V1 if case.order else V, np.array(case.floats))[0])

    def direct(case: Case) -> float:
        return float(moment_table(activation(case.name)).direct(case.floats[0])[0][V1 if case.order else V])

    methods: dict[str, Callable[[Case], float]] = {
        "panels and series in q (kept)": series,
        "the same panels, integrated for each q": direct,
        **{f"Gauss–Hermite, {n}": lambda c, n=n: float(peers.hermite_moment(phi(c), c.floats[0], n)) for n in (50, 100, 200, 400)},
        "trapezoidal in z, 100": lambda c: peers.trapezoidal_moment(phi(c), c.floats[0], 100),
        "trapezoidal in z, 10⁴": lambda c: peers.trapezoidal_moment(phi(c), c.floats[0], 10_001),
        "tanh–sinh in z between kinks, 200 each": lambda c: peers.tanh_sinh_moment(phi(c), c.floats[0], breaks(c), 200),
        "scipy quad, default (one case in 20)": lambda c: peers.quad_moment(
            (activation(c.name), activation(c.name).derivative)[c.order], c.floats[0]
        ),
    }
    groups: dict[str, Callable[[Case], bool]] = {
        "smooth, q ≤ 10": lambda c: kinds[c.name] == "smooth" and c.floats[0] <= 10,
        "smooth, q > 10": lambda c: kinds[c.name] == "smooth" and c.floats[0] > 10,
        "kink": lambda c: kinds[c.name] == "kink",
        "jump": lambda c: kinds[c.name] == "jump",
    }
    rows = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name, method in methods.items():
            step = 20 if "quad" in name else 1
            worst, every = [], []
            for belongs in groups.values():
                errors = [c.relative_error(method(c)) for c in [c for c in found if belongs(c)][::step]]
                every += errors
                worst.append(max((e if math.isfinite(e) else math.inf for e in errors), default=math.nan))
            tanh = next(c for c in cases(("V",)) if c.name == "tanh" and c.arguments == ("1",))
            seconds = seconds_per_call(lambda m=method, c=tanh: m(c), repeats=3, at_least=0.005)
            if "kept" in name:
                q = np.geomspace(1e-3, 1e3, 100_000)
                table = moment_table(activation("tanh"))
                seconds = seconds_per_call(lambda t=table, q=q: t(V, q)) / q.size
            rows.append(
                [
                    name,
                    *("–" if math.isnan(w) else f"{w:.0e}" for w in worst),
                    f"{np.mean(np.array(every) <= 1e-12):.0%}",
                    duration(seconds),
                ]
            )
    return markdown(["method", *groups, "within 1e-12", "tanh, each q"], rows)


# ---- two inputs -----------------------------------------------------------------------------------------------------

PAIRS = (("erf", 1.0), ("erf", 100.0), ("erf", 1e4), ("gelu", 1.0), ("gelu", 1e4), ("relu", 1.0), ("relu", 1e4), ("sign", 1.0))
LOSSES = (0.7, 0.1, 0.01, 1e-6)
BUDGET = 100_000
PLAIN: dict[str, Callable[[float], float]] = {
    "erf": math.erf,
    "gelu": lambda x: 0.5 * x * math.erfc(-x / math.sqrt(2)),
    "relu": lambda x: max(x, 0.0),
    "sign": lambda x: math.copysign(1.0, x),
}


def two_inputs(quick: bool) -> str:
    """C(q, q, c), relative to V(q), by four methods; each cell: error, time."""
    rows = []
    for name, q in PAIRS[:: 4 if quick else 1]:
        act, form = activation(name), CLOSED_FORMS[name]
        partition = moment_table(act).partition
        plain = PLAIN[name]

        def phi(x: Any, act: mf.Activation = act) -> Any:
            return act.values(np.ascontiguousarray(x).ravel(), 0).reshape(np.shape(x))

        for loss in LOSSES:
            c = 1.0 - loss
            with mp.workdps(40):
                exact, scale = form.covariance(mpf(q), mpf(q), mpf(c)), form.second_moment(mpf(q))

            def cell(method: Callable[[], float], once: bool = False, exact: Any = exact, scale: Any = scale) -> str:
                try:
                    with mp.workdps(40):
                        error = float(abs(mpf(method()) - exact) / scale)
                except peers.Exhausted:
                    return f"over {BUDGET:,} values"
                seconds = seconds_once(method) if once else seconds_per_call(method, repeats=2, at_least=0.002)
                return f"{error:.0e}, {duration(seconds)}"

            def truncated(act: mf.Activation = act, partition: Any = partition, q: float = q, c: float = c) -> float:
                found = hermite_series(act, partition, 0, q)
                assert found is not None
                return float(np.polynomial.polynomial.polyval(c, found.coefficients**2))

            found = hermite_series(act, partition, 0, q)
            assert found is not None
            used = "Mehler" if abs(c) <= MehlerPair.of(found, found).reach else "smoothing"
            rows.append(
                [
                    name,
                    f"{q:g}",
                    f"1 − {loss:g}" if loss < 0.1 else f"{c:g}",
                    cell(truncated),
                    cell(lambda a=act, p=partition, q=q, c=c: covariance_by_smoothing(a, p, 0, q, q, c)),
                    cell(lambda f=phi, q=q, c=c: peers.hermite_covariance(f, q, q, c)),
                    cell(lambda f=plain, q=q, c=c: peers.dblquad_covariance(f, q, q, c, budget=BUDGET), once=True),
                    used,
                ]
            )
    return markdown(["φ", "q", "c", "Mehler, 128 terms", "smoothing", "Gauss–Hermite 100 × 100", "dblquad, default", "chosen"], rows)


def decorrelations() -> str:
    """D(q, ε), relative to itself: sums of positive terms against the difference V − C."""
    rows = []
    for name, q in (("erf", 0.1), ("erf", 100.0), ("relu", 1.0), ("gelu", 10.0)):
        act, form = activation(name), CLOSED_FORMS[name]
        partition = moment_table(act).partition
        found = hermite_series(act, partition, 0, q)
        assert found is not None
        for loss in (1e-3, 1e-6, 1e-9, 1e-12):
            with mp.workdps(40):
                exact = form.decorrelation(mpf(q), mpf(loss))

            def error(value: float | None, exact: Any = exact) -> str:
                if value is None:
                    return "not converged"
                with mp.workdps(40):
                    return f"{float(abs(mpf(value) / exact - 1)):.0e}"

            difference = mf.second_moment(act, q) - mf.covariance(act, q, q, 1 - loss)
            rows.append(
                [
                    name,
                    f"{q:g}",
                    f"{loss:g}",
                    error(mehler_decorrelation(found, loss)),
                    error(decorrelation_by_smoothing(act, partition, q, loss)),
                    error(mf.decorrelation(act, q, loss)),
                    error(difference),
                ]
            )
    return markdown(["φ", "q", "ε", "Σ aₙ²(1 − cⁿ)", "E[Var]", "`decorrelation`", "V − C"], rows)


# ---- edge of chaos --------------------------------------------------------------------------------------------------


def edge_of_chaos() -> str:
    """σ_b² and F' − 1 on the edge of chaos: the linear part taken out before the difference, or the naive difference."""
    rows = []
    for name in ("erf", "sin", "gelu"):
        act, form = activation(name), CLOSED_FORMS[name]
        table = moment_table(act)
        for q in (1.0, 1e-2, 1e-4, 1e-6, 1e-8):
            at = np.array([q])
            v, v1, q_dv, deficit, excess = (float(table(column, at)[0]) for column in (V, V1, Q_DV, DEFICIT, EXCESS))
            with mp.workdps(60):
                exact_v, exact_v1, exact_dv = form.second_moment(mpf(q)), form.second_moment(mpf(q), 1), form.variance_slope(mpf(q))
                square, slope = mpf(q) - exact_v / exact_v1, exact_dv / exact_v1 - 1
                squares = [float(abs(mpf(found) / square - 1)) for found in (deficit / v1, q - v / v1)]
                slopes = [float(abs(mpf(found) / slope - 1)) for found in (excess / (q * v1), q_dv / (q * v1) - 1)]
            rows.append([name, f"{q:g}", f"{float(square):.1e}", *(f"{e:.0e}" for e in squares + slopes)])
    return markdown(["φ", "q", "σ_b²", "σ_b², Stein", "σ_b², naive", "F' − 1, Stein", "F' − 1, naive"], rows)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.methods", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    quick = parser.parse_args().quick
    compile_kernels()
    for title, make in (
        ("One input: largest relative error over the reference values, time", lambda: one_input(quick)),
        ("Two inputs: error relative to V(q), time", lambda: two_inputs(quick)),
        ("Decorrelation: relative error", decorrelations),
        ("Edge of chaos: relative error", edge_of_chaos),
    ):
        print(f"\n{title}\n\n{make()}", flush=True)


if __name__ == "__main__":
    main()
