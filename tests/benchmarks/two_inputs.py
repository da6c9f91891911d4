"""C(q, q, c) = E[φ(u)φ(v)]: one value and 1000 values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

import meanfield as mf
from tests.benchmarks import peers
from tests.benchmarks.fresh import compile_kernels, counted, fresh
from tests.benchmarks.record import Measurement
from tests.benchmarks.timing import seconds_once, seconds_per_call

SECTION = "C(1, 1, c)"
TOLERANCE = 1e-12
PLAIN: dict[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "relu": lambda x: x if x > 0 else 0.0,
    "hardtanh": lambda x: max(-1.0, min(1.0, x)),
}


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Times of one C and of 1000, against dblquad and against φ alone."""
    many = np.linspace(-0.999, 0.999, 1000)
    compile_kernels()
    for name, plain in (("relu", PLAIN["relu"]),) if quick else PLAIN.items():
        act = fresh(name)
        mf.covariance(act, 1.0, 1.0, 0.95)
        steps = iter(np.linspace(1.0, 1.2, 100_000))
        fresh_q = seconds_per_call(lambda act=act, s=steps: mf.covariance(act, v := float(next(s)), v, 0.9), at_least=0.01)
        with counted(act) as total:
            mf.covariance(act, 1.3, 1.3, 0.9)
        one, values = fresh_q, total.values
        x = np.random.default_rng(1).standard_normal(max(values, 1))
        bare = seconds_per_call(lambda act=act, x=x: act.values(x, 0))
        again = seconds_per_call(lambda act=act: mf.covariance(act, 1.3, 1.3, 0.9))
        yield Measurement(SECTION, name, "meanfield, one C at a new q (c = 0.9)", one, "s", f"{values} values of φ")
        yield Measurement(SECTION, name, "bare φ at as many nodes", bare, "s")
        yield Measurement(SECTION, name, "meanfield, over bare φ", one / bare, "x")
        yield Measurement(SECTION, name, "meanfield, one C at a known q", again, "s")
        first = fresh(name)
        with counted(first) as total:
            array = seconds_once(lambda act=first: mf.covariance(act, 1.0, 1.0, many))
        x = np.random.default_rng(1).standard_normal(total.values)
        bare = seconds_per_call(lambda act=act, x=x: act.values(x, 0), repeats=2)
        warm = seconds_per_call(lambda act=first: mf.covariance(act, 1.0, 1.0, many), repeats=2, at_least=0.0)
        yield Measurement(SECTION, name, "meanfield, 1000 C's, first time", array, "s", f"{total.values} values of φ")
        yield Measurement(SECTION, name, "1000 C's, over bare φ", array / bare, "x")
        yield Measurement(SECTION, name, "meanfield, 1000 C's, again", warm, "s")
        try:
            budget = 30_000 if quick else 3_000_000
            slow = seconds_once(lambda p=plain, b=budget: peers.dblquad_covariance(p, 1.0, 1.0, 0.9, TOLERANCE, b))
            yield Measurement(SECTION, name, "scipy dblquad, tolerance 1e-12, one C", slow, "s")
            yield Measurement(SECTION, name, "scipy dblquad, over meanfield at a new q", slow / one, "x")
            yield Measurement(SECTION, name, "scipy dblquad, over meanfield in 1000", slow / (array / 1000), "x")
        except peers.Exhausted:
            how = "scipy dblquad, tolerance 1e-12, one C"
            yield Measurement(SECTION, name, how, math.inf, "s", "did not end within its budget of values")
