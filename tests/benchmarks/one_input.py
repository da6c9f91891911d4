"""V(q) = E[φ(√q Z)²] at 10⁵ values of q, for each value."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import meanfield as mf
from meanfield.expectation.moments import moment_table
from meanfield.expectation.rule import build_rule
from tests.benchmarks import peers
from tests.benchmarks.fresh import compile_kernels, counted, fresh
from tests.benchmarks.record import Measurement
from tests.benchmarks.timing import seconds_once, seconds_per_call

SECTION = "V(q) at 10⁵ values of q in [1e-8, 1e6], each"
COUNT = 100_000
TOLERANCE = 1e-13


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Times for each value, and their ratios."""
    compile_kernels()
    q = np.random.default_rng(0).permutation(np.geomspace(1e-8, 1e6, COUNT))
    for name in ("tanh",) if quick else ("tanh", "relu", "gelu", "formula"):
        act = fresh(name)
        with counted(act) as total:
            first = seconds_once(lambda act=act: mf.second_moment(act, q)) / COUNT
        ours = seconds_per_call(lambda act=act: mf.second_moment(act, q)) / COUNT
        yield Measurement(SECTION, name, "meanfield, warm", ours, "s", "bar 0.02 µs")
        yield Measurement(SECTION, name, "meanfield, tables built on the way", first, "s", f"{total.values} values of φ and φ' in all")
        partition = moment_table(act).partition
        rules = [build_rule(partition, v, v) for v in np.geomspace(1e-8, 1e6, 29)]
        nodes = [rule.x for rule in rules]
        mean = sum(x.size for x in nodes) / len(nodes)
        bare = sum(seconds_per_call(lambda x=x, act=act: act.values(x, 0), repeats=2, at_least=0.002) for x in nodes) / len(nodes)
        how = "bare φ at the nodes of the rule for that q"
        yield Measurement(SECTION, name, how, bare, "s", f"{mean:.0f} nodes on average")
        yield Measurement(SECTION, name, "meanfield, over bare φ", ours / bare, "x")
        chunk = q[:2000]
        hermite = seconds_per_call(lambda act=act, c=chunk: peers.hermite_moment(act, c), repeats=3) / chunk.size
        yield Measurement(SECTION, name, "Gauss–Hermite 100, in NumPy", hermite, "s", "inexact: see Accuracy")
        yield Measurement(SECTION, name, "Gauss–Hermite 100, over meanfield", hermite / ours, "x")
        few = q[:: COUNT // (5 if quick else 60)]
        slow = seconds_once(lambda act=act, few=few: [peers.quad_moment(act, float(v), TOLERANCE) for v in few]) / few.size
        yield Measurement(SECTION, name, "scipy quad, tolerance 1e-13", slow, "s")
        yield Measurement(SECTION, name, "scipy quad, over meanfield", slow / ours, "x")
