"""Steep, narrow and shifted functions from a seed, with their exact moments; ``python -m tests.narrow_functions --cases 10000`` asks all.

The moments come from Gauss–Legendre panels graded about each feature, whose places and widths are known here. Points are held as
offsets from the nearest feature, so that widths of 10⁻⁶ at |x| = 1000 lose nothing to the rounding of x.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import warnings
from dataclasses import dataclass

import numpy as np

import meanfield as mf

_UNIT, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_GRADES = np.array([0.3, 0.6, 1.0, 1.5, 2.0, 2.6, 3.3, 4.0, 5.0, 6.0, 7.5, 9.0, 11.0, 13.0, 16.0, 20.0, 25.0, 31.0, 38.0])
_REACH = 38.0  # standard deviations


@dataclass(frozen=True)
class Term:
    """weight · g((x − centre)/width), times x where `times_x`."""

    kind: str  # bell, sigmoid, tanh, softplus or one (x itself, with times_x)
    centre: float
    width: float
    weight: float
    times_x: bool = False

    @property
    def text(self) -> str:
        shifted = f"(x-({self.centre!r}))" if self.centre else "x"
        inner = {
            "bell": f"exp(-({shifted}/{self.width!r})**2)",
            "sigmoid": f"sigmoid({shifted}/{self.width!r})",
            "tanh": f"tanh({shifted}/{self.width!r})",
            "softplus": f"softplus({shifted}/{self.width!r})",
            "one": "1",
        }[self.kind]
        return f"{self.weight!r}*{inner}" + ("*x" if self.times_x else "")

    def jet(self, offset: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The function and its first two derivatives, from x − centre and x."""
        v = offset / self.width
        if self.kind == "bell":
            e = np.exp(-v * v)
            g = [e, -2 * v * e, (4 * v * v - 2) * e]
        elif self.kind == "tanh":
            t, s = np.tanh(v), 1 / np.cosh(np.minimum(np.abs(v), 300.0)) ** 2
            g = [t, s, -2 * t * s]
        elif self.kind == "one":
            g = [np.ones_like(v), np.zeros_like(v), np.zeros_like(v)]
        else:
            t = np.exp(-np.abs(v))
            sigmoid, slope = np.where(v >= 0, 1.0, t) / (1 + t), t / (1 + t) ** 2
            g = [sigmoid, slope, -slope * np.tanh(v / 2)]
            if self.kind == "softplus":
                g = [np.maximum(v, 0) + np.log1p(t), sigmoid, slope]
        f, f1, f2 = (self.weight * part / self.width**k for k, part in enumerate(g))
        return np.array([x * f, x * f1 + f, x * f2 + 2 * f1] if self.times_x else [f, f1, f2])


@dataclass(frozen=True)
class Case:
    """A sum of terms and a variance."""

    terms: tuple[Term, ...]
    q: float

    @property
    def text(self) -> str:
        return " + ".join(term.text for term in self.terms)

    def _nodes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Nodes as (x, x − each centre), and weights of E, by panels graded about each feature."""
        root = math.sqrt(self.q)
        centres = [term.centre for term in self.terms]
        edges: list[tuple[float, int, float]] = [(z * root, -1, z * root) for z in np.arange(-_REACH, _REACH + 0.25, 0.5)]
        for i, term in enumerate(self.terms):
            grades = _GRADES
            while grades[-1] * term.width < root:
                grades = np.append(grades, grades[-1] * 1.35)
            for offset in np.concatenate([-grades[::-1], [0.0], grades]) * term.width:
                edges.append((term.centre + offset, i, offset))
        edges = sorted(edge for edge in edges if abs(edge[0]) <= _REACH * root)
        places = np.array([edge[0] for edge in edges])
        owners, offsets = np.array([edge[1] for edge in edges]), np.array([edge[2] for edge in edges])
        bases = np.array([*centres, 0.0])  # owner −1 is the origin
        middle = 0.5 * (places[1:] + places[:-1])
        nearest = np.argmin(np.abs(middle[:, None] - np.array(centres)), axis=1)

        def from_base(owner: np.ndarray, offset: np.ndarray) -> np.ndarray:
            return np.where(owner == nearest, offset, (bases[owner] - bases[nearest]) + offset)

        low, high = from_base(owners[:-1], offsets[:-1]), from_base(owners[1:], offsets[1:])
        wide = high > low
        low, high, nearest = low[wide], high[wide], nearest[wide]
        half = 0.5 * (high - low)
        offset = 0.5 * (high + low)[:, None] + half[:, None] * _UNIT
        base = bases[nearest][:, None]
        x = base + offset
        away = np.array([np.where(nearest[:, None] == i, offset, (base - c) + offset) for i, c in enumerate(centres)])
        weights = half[:, None] * _WEIGHTS * np.exp(-x * x / (2 * self.q)) / math.sqrt(2 * math.pi * self.q)
        return x.ravel(), away.reshape(len(centres), -1), weights.ravel(), offset

    def _values(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, away, weights, _ = self._nodes()
        return x, sum(term.jet(a, x) for term, a in zip(self.terms, away, strict=True)), weights

    def moments(self) -> tuple[float, float, float, float, float]:
        """E[φ], E|φ|, E[φ²], E[φ'²], E[φ''²]."""
        _, jet, weights = self._values()
        sums = [jet[0], np.abs(jet[0]), *(part**2 for part in jet)]
        mean, size, *squares = (math.fsum(weights * part) for part in sums)
        return mean, size, *squares

    def covariance(self, c: float) -> float:
        """E[φ(u)φ(v)] at correlation c, not near ±1: the product rule."""
        x, jet, weights = self._values()
        z = x / math.sqrt(self.q)
        kept = np.abs(z) < 12.0
        z, left = z[kept], (weights * jet[0])[kept]
        total = 0.0
        for start in range(0, z.size, 500):
            block = slice(start, start + 500)
            exponent = (2 * c * np.multiply.outer(z[block], z) - c * c * (z[block, None] ** 2 + z * z)) / (2 * (1 - c * c))
            total += float(left[block] @ np.exp(exponent) @ left)
        return total / math.sqrt(1 - c * c)


def random_case(rng: np.random.Generator) -> Case:
    """A function with features down to 10⁻⁶ and within 10 standard deviations, and q in [10⁻⁴, 10⁴]."""
    q = float(f"{10 ** rng.uniform(-4, 4):.4g}")
    root = math.sqrt(q)

    def narrow(*kinds: str) -> Term:
        centre = 0.0 if rng.random() < 0.15 else float(f"{rng.uniform(-10, 10) * root:.{int(rng.integers(2, 9))}g}")
        width = float(f"{10 ** rng.uniform(-6, 0):.3g}")
        return Term(str(rng.choice(kinds)), centre, width, float(f"{10 ** rng.uniform(-1, 1):.2g}"))

    tanh, line = Term("tanh", 0.0, 1.0, 1.0), Term("one", 0.0, 1.0, 1.0, times_x=True)
    kind = int(rng.integers(6))
    if kind == 0:
        return Case((narrow("sigmoid", "tanh"),), q)
    if kind == 1:
        return Case((narrow("bell"),), q)
    if kind == 2:
        return Case((tanh, narrow("bell")), q)
    if kind == 3:
        bell = narrow("bell")
        return Case((line, Term("bell", bell.centre, bell.width, 5.0, times_x=True)), q)
    if kind == 4:
        return Case((narrow("softplus"),), q)
    return Case((narrow("bell", "sigmoid", "tanh", "softplus"), narrow("bell", "sigmoid", "tanh", "softplus")), q)


@dataclass(frozen=True)
class Finding:
    """How an answer compares with the exact one: relative error, and the bound that came with it."""

    what: str
    error: float
    bound: float
    warnings: int


def findings(case: Case, c: float | None = None) -> list[Finding]:
    """What the package says of a case, beside what is right."""
    mean, size, *squares = case.moments()
    found = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimate = mf.estimate(case.text, case.q)
    scale = size or 1.0
    found.append(Finding("E[φ]", abs(estimate.value - mean) / scale, estimate.error / scale, len(caught)))
    for k, exact in enumerate(squares):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = mf.second_moment(case.text, case.q, derivative=k)
        found.append(_against(f"E[φ{chr(39) * k}²]", value, exact, exact, caught))
    if c is not None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = mf.covariance(case.text, case.q, case.q, c)
        found.append(_against("C", value, case.covariance(c), squares[0], caught))
    return found


def _against(what: str, value: float, exact: float, scale: float, caught: list[warnings.WarningMessage]) -> Finding:
    """A moment that comes without an error is good to 10⁻¹⁰, or to what its warning says."""
    told = [re.search(r"relative error (?:of )?about ([^,]+),", str(w.message)) for w in caught]
    return Finding(what, abs(value - exact) / (scale or 1.0), max([1e-10, *(float(t[1]) for t in told if t)]), len(caught))


def main(arguments: list[str]) -> int:
    """Ask random cases, print those whose bound does not hold, and how many there are."""
    parser = argparse.ArgumentParser(prog="python -m tests.narrow_functions")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--covariances", action="store_true", help="one correlation of each case too, half a second each")
    given = parser.parse_args(arguments)
    asked: dict[str, int] = {}
    broken: dict[str, int] = {}
    worst: dict[str, float] = {}
    warned: dict[str, int] = {}
    for number in range(given.first, given.first + given.cases):
        rng = np.random.default_rng((given.seed, number))
        case = random_case(rng)
        c = float(rng.uniform(-0.9, 0.9)) if given.covariances else None
        for found in findings(case, c):
            asked[found.what] = asked.get(found.what, 0) + 1
            worst[found.what] = max(worst.get(found.what, 0.0), found.error)
            warned[found.what] = warned.get(found.what, 0) + (found.warnings > 0)
            if found.error > found.bound + 4e-15 or found.warnings > 1:
                broken[found.what] = broken.get(found.what, 0) + 1
                told = f"off {found.error:.1e}, bound {found.bound:.1e}, {found.warnings} warnings"
                print(f"{number}: {found.what} {told}: {case.text}, q = {case.q}", flush=True)
    for what, count in asked.items():
        told = f"{broken.get(what, 0)} off by more than their bound, {warned[what]} warned"
        print(f"{what}: {count} asked, {told}, largest error {worst[what]:.1e}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
