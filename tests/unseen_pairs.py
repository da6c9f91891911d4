"""E[φ(u)φ(v)] of functions and triples (q1, q2, c) that nobody has chosen, by tables and closed forms, against quadratures.

    python -m tests.unseen_pairs --functions 30 --triples 1000

prints, function by function, how many triples are off by more than 1e-12 of √(V(q1)V(q2)). The quadrature is Mehler's series where it has
ended, conditional smoothing elsewhere: neither reads a table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np

import meanfield as mf
from meanfield.expectation.covariance import covariances
from meanfield.expectation.crowd import in_a_crowd
from meanfield.expectation.moments import moment_table
from meanfield.expectation.smoothing import covariance_by_smoothing
from meanfield.expectation.two_inputs import covariances_by_series

BAR = 1e-12
TEMPLATES = (
    "{a}*tanh({b}*x + {c}) + {d}",
    "x*sigmoid({b}*x) + {c}*exp(-x**2)",
    "{a}*erf({b}*x) - {c}*x",
    "sin({a}*x + {c}) + {d}*x",
    "where(x > 0, {a}*x, {b}*(exp(x) - 1))",
    "max({a}*x, {c}*x) + {d}*tanh(x)",
    "clip({a}*x + {c}, -{b}, {d})",
    "max(0, x - {c}) - {a}*max(0, -x - {d})",
    "x*exp(-{a}*x**2) + {c}*abs(x)",
    "{a}*arctan({b}*x) + {d}*max(0, x)",
)


def functions(count: int, seed: int) -> list[str]:
    """Formulas with parameters drawn at random."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        a, b = rng.uniform(0.3, 2.0, 2)
        c, d = rng.uniform(0.05, 1.2, 2)
        found.append(TEMPLATES[k % len(TEMPLATES)].format(a=f"{a:.3f}", b=f"{b:.3f}", c=f"{c:.3f}", d=f"{d:.3f}"))
    return found


def triples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q from 0.01 to 100, a third of the pairs with nearly equal ones; c uniform, or near ±1."""
    rng = np.random.default_rng(seed)
    q1 = 10.0 ** rng.uniform(-2.0, 2.0, count)
    q2 = np.where(
        rng.uniform(size=count) < 1 / 3, q1 * (1.0 + 10.0 ** rng.uniform(-9.0, -1.0, count)), 10.0 ** rng.uniform(-2.0, 2.0, count)
    )
    c = rng.uniform(-1.0, 1.0, count)
    near = rng.uniform(size=count) < 1 / 3
    c[near] = np.sign(c[near]) * (1.0 - 2.0 ** rng.uniform(-40.0, -3.0, int(near.sum())))
    return q1, q2, c


def errors(formula: str, count: int, seed: int) -> np.ndarray:
    """Differences from each pair's own quadrature, relative to √(V(q1)V(q2))."""
    act = mf.activation(formula)
    q1, q2, c = triples(count, seed)
    with in_a_crowd():
        found = covariances(act, q1, q2, c, 0)
    partition = moment_table(act).partition
    alone = np.empty(count)
    for i, (a, b, r) in enumerate(zip(q1.tolist(), q2.tolist(), c.tolist(), strict=True)):
        value = float(covariances_by_series(act, a, b, np.array([r]), 0)[0])
        alone[i] = covariance_by_smoothing(act, partition, 0, a, b, r) if np.isnan(value) else value
    return np.abs(found - alone) / np.sqrt(mf.second_moment(act, q1) * mf.second_moment(act, q2))


def survey(count: int, each: int, seed: int) -> Iterator[str]:
    """A line for each function."""
    for k, formula in enumerate(functions(count, seed)):
        start = time.process_time()
        off = errors(formula, each, seed + k)
        spent = time.process_time() - start
        yield f"{formula:<60} worst {off.max():.1e}, off {int(np.sum(~(off <= BAR)))} of {each}, {spent:.0f} s"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--functions", type=int, default=30)
    parser.add_argument("--triples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20261129)
    arguments = parser.parse_args()
    for line in survey(arguments.functions, arguments.triples, arguments.seed):
        print(line, flush=True)
