"""The largest relative errors over all reference values and closed forms, beside those of common rules."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from mpmath import mp, mpf

import meanfield as mf
from meanfield.expectation.moments import Q_DV, moment_table
from tests.benchmarks import peers
from tests.benchmarks.record import Measurement
from tests.closed_forms import CLOSED_FORMS
from tests.reference_activations import SPECS, Case, cases

SECTION = "Accuracy: relative errors against 30-digit values"
QUANTITIES = ("V", "V1", "V2", "mean", "dVdq", "C", "C1", "D")
WORDS = {
    "V": "E[φ²]",
    "V1": "E[φ'²]",
    "V2": "E[φ''²]",
    "mean": "E[φ]",
    "dVdq": "dV/dq",
    "C": "C = E[φ(u)φ(v)]",
    "C1": "E[φ'(u)φ'(v)]",
    "D": "D = ½E[(φ(u) − φ(v))²]",
}
VARIANCES = ("1e-8", "3e-5", "0.0025", "0.11", "1", "7.3", "80", "1e3", "4.4e4", "1e6")
PAIRS = (("1", "1"), ("1e-6", "1e-6"), ("0.3", "5"), ("1e-4", "40"), ("900", "900"))
CORRELATIONS = ("-0.999", "-0.5", "0.2", "0.77", "0.93", "0.9999", "0.9999999999")
LOSSES = ("1e-12", "1e-7", "0.01", "0.5")
EVERY_SLOW = 8  # quad takes one case in so many, dblquad about 24 in all


def activation(name: str) -> mf.Activation:
    """The activation that the references call by that name."""
    spec, parameters = SPECS[name]
    return mf.activation(spec, **parameters)


def defined(case: Case) -> bool:
    """Whether the number is one that the expectation has: φ'' with a delta has E[φ''²] = inf, as the tests check."""
    return case.quantity != "V2" or not any(b.slope_jump or b.value_jump for b in activation(case.name).breakpoints)


def closed_cases() -> Iterator[Case]:
    """A grid of the closed forms, far beyond the arguments of the files."""
    with mp.workdps(40):
        for name, form in CLOSED_FORMS.items():
            found: list[tuple[str, tuple[str, ...], Any, Any]] = []
            for q in VARIANCES:
                v = form.second_moment(mpf(float(q)), 0)
                slope = form.variance_slope(mpf(float(q)))
                for k in form.orders:
                    value = form.second_moment(mpf(float(q)), k)
                    found.append((("V", "V1", "V2")[k], (q,), value, value))
                found.append(("mean", (q,), form.mean(mpf(float(q))), mp.sqrt(v)))
                found.append(("dVdq", (q,), slope, max(abs(slope), v / mpf(float(q)))))
            if form.covariance_orders:
                for q1, q2 in PAIRS:
                    for k in set(form.covariance_orders) & set(form.orders):
                        scale = mp.sqrt(form.second_moment(mpf(float(q1)), k) * form.second_moment(mpf(float(q2)), k))
                        for c in CORRELATIONS:
                            value = form.covariance(mpf(float(q1)), mpf(float(q2)), mpf(float(c)), k)
                            found.append((("C", "C1")[k], (q1, q2, c), value, scale))
                for q in ("1e-4", "1", "60"):
                    for loss in LOSSES:
                        value = form.decorrelation(mpf(float(q)), mpf(float(loss)))
                        found.append(("D", (q, loss), value, abs(value)))
            for quantity, arguments, value, scale in found:
                if mpf("1e-280") < scale < mpf("1e120"):
                    yield Case(name, quantity, arguments, value, mpf(0), scale)


def ours(case: Case) -> float:
    """The package's answer."""
    act = activation(case.name)
    if case.quantity == "mean":
        return float(mf.expectation(act, case.floats[0]))
    if case.quantity == "dVdq":
        q = np.array(case.floats)
        return float(moment_table(act)(Q_DV, q)[0] / q[0])
    if case.quantity in ("C", "C1"):
        return float(mf.covariance(act, *case.floats, derivative=case.order))
    if case.quantity == "D":
        return float(mf.decorrelation(act, *case.floats))
    return float(mf.second_moment(act, case.floats[0], derivative=case.order))


def hermite(case: Case) -> float:
    """Gauss–Hermite with 100 nodes, in each direction."""
    act = activation(case.name)

    def phi(x: Any) -> Any:
        return act.values(np.ascontiguousarray(x).ravel(), case.order).reshape(np.shape(x))

    z, w = peers.gauss_hermite(100)
    if case.quantity == "mean":
        return float(w @ phi(math.sqrt(case.floats[0]) * z))
    if case.quantity == "dVdq":
        q = case.floats[0]
        return float((w * (z * z - 1)) @ phi(math.sqrt(q) * z) ** 2 / (2 * q))
    if case.quantity in ("C", "C1"):
        return peers.hermite_covariance(phi, *case.floats)
    if case.quantity == "D":
        return peers.hermite_decorrelation(phi, *case.floats)
    return float(peers.hermite_moment(phi, case.floats[0]))


def scipy_default(case: Case) -> float:
    """scipy.integrate.quad or dblquad as they come."""
    act = activation(case.name)
    phi = (act, act.derivative, act.second_derivative)[case.order]
    if case.quantity == "C":
        return peers.dblquad_covariance(phi, *case.floats, budget=150_000)
    return peers.quad_moment(phi, case.floats[0])


def _by_quantity(found: list[Case], method: Callable[[Case], float]) -> dict[str, list[float]]:
    errors = defaultdict(list)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in found:
            try:
                errors[case.quantity].append(case.relative_error(method(case)))
            except peers.Exhausted:
                errors[case.quantity].append(math.nan)
    return errors


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Largest and median errors by quantity, for three methods."""
    known = [c for c in cases(QUANTITIES) if c.scale != 0 and defined(c)]
    grid = list(closed_cases())
    if quick:  # formulas that oscillate fast take seconds each at large variances
        known, grid = ([c for c in found if c.name not in ("sin_5", "snake_2")][::40] for found in (known, grid))
    everything = known + grid
    exact, rule = _by_quantity(everything, ours), _by_quantity(everything, hermite)
    for quantity in QUANTITIES:
        count = len(exact[quantity])
        for how, errors in (("meanfield", exact), ("Gauss–Hermite, 100 nodes", rule)):
            found = np.array(errors[quantity])
            found = np.where(np.isfinite(found), found, math.inf)
            yield Measurement(SECTION, WORDS[quantity], f"{how}, largest", float(found.max()), "", f"of {count}")
            yield Measurement(SECTION, WORDS[quantity], f"{how}, median", float(np.median(found)), "")
    if quick:
        return
    # The fast oscillating formulas would take quad a minute each at large variances.
    able = [c for c in everything if c.name not in ("sin_5", "snake_2")]
    slow = [c for quantity in ("V", "V1") for c in [c for c in able if c.quantity == quantity][::EVERY_SLOW]]
    pairs = [c for c in able if c.quantity == "C" and abs(c.floats[2]) < 1]
    slow += pairs[:: max(1, len(pairs) // 24)]
    errors = _by_quantity(slow, scipy_default)
    for quantity in ("V", "V1", "C"):
        found = np.array(errors[quantity])
        ended = found[np.isfinite(found)]
        if not ended.size:
            continue
        how = "scipy dblquad, default tolerance" if quantity == "C" else "scipy quad, default tolerance"
        note = f"of {found.size}"
        if ended.size < found.size:
            what = "did not end within 150,000 values" if quantity == "C" else "not finite"
            note += f"; {found.size - ended.size} {what}"
        yield Measurement(SECTION, WORDS[quantity], f"{how}, largest", float(ended.max()), "", note)
        yield Measurement(SECTION, WORDS[quantity], f"{how}, median", float(np.median(ended)), "")
