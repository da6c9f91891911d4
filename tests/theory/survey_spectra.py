"""Every activation of the catalogue through `jacobian_spectrum`, at every weight, depth and variance: nothing may fail.

    python -m tests.theory.survey_spectra [--depths 1,2,8] [--variances 0.1,1]

Each case must have finite ends or say that they are not, total mass 1, a distribution function that its quantiles invert, and a density
that the distribution function's differences confirm. Activations that jump must be refused.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings

import numpy as np

import meanfield as mf
from meanfield.theory.spectrum.slope_law import slope_law

DEPTHS = (1, 2, 8, 64, 1000, 100_000)
VARIANCES = (1e-6, 0.1, 1.0, 100.0)
WEIGHTS = ("gaussian", "orthogonal")


def complaints(name: str, weights: str, depth: int, q: float) -> list[str]:
    """What is wrong with one case."""
    act = mf.activation(name)
    s = mf.jacobian_spectrum(act, 1.0 / math.sqrt(float(mf.second_moment(act, q, 1))), 0.0, depth, weights, q)
    told = []
    if not 0.0 <= s.edges[0] <= s.edges[1] or math.isnan(s.edges[1]):
        told.append(f"edges {s.edges}")
    if not abs(s.mean - 1.0) < 1e-13 * depth + 1e-12:
        told.append(f"mean {s.mean}")
    if not math.isfinite(s.mean_log) and not any(atom.value == 0.0 for atom in s.atoms):
        told.append(f"mean_log {s.mean_log}")
    zero = sum(atom.mass for atom in s.atoms if atom.value == 0.0)
    p = zero + (1.0 - zero) * np.array([0.01, 0.25, 0.5, 0.75, 0.99])
    levels = np.asarray(s.log_quantile(p))
    if np.isnan(levels).any() or np.any(np.diff(levels) < -1e-9 * np.abs(levels[1:]) - 1e-12):
        told.append(f"quantiles {levels}")
    # Where |φ'| is nearly constant its differences are what counts, and they have fewer digits.
    lost = 1e-13 / max(math.sqrt(slope_law(act, q).spread), 1e-12)
    placed = [2.0 * math.log(atom.value) for atom in s.atoms if atom.value > 0.0]
    for part, level in zip(p.tolist(), levels.tolist(), strict=True):
        above = float(s._curve.above(np.array([level - s.log_mean]))[0])
        beside = any(abs(level - at) <= 1e-9 * max(1.0, abs(at)) for at in placed)
        if abs(1.0 - above - part) > 1e-8 + lost and not beside:
            told.append(f"cdf(quantile({part:.3g})) = {1.0 - above:.9g}")
    # The density is the slope of the distribution function.
    middle = float(levels[2])
    step = 1e-4 * max(levels[3] - levels[1], 1e-12)
    if not any(abs(middle - at) < 3.0 * step for at in placed) and levels[3] > levels[1]:
        at = np.array([middle - step, middle, middle + step]) - s.log_mean
        above = s._curve.above(at)
        density = float(s._curve.density(at)[1])
        slope = float(above[0] - above[2]) / (2.0 * step)
        noise = 1e-15 * max(depth, 10) / step
        # A median in a gap between bands has no density; its place the distribution function has told.
        if density > 0.0 and not abs(density - slope) <= (1e-3 + lost) * abs(slope) + noise:
            told.append(f"density {density:.6g} against {slope:.6g}")
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depths", default=",".join(map(str, DEPTHS)))
    parser.add_argument("--variances", default=",".join(map(str, VARIANCES)))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    warnings.simplefilter("error")
    cases, bad, refused, start, slowest = 0, 0, [], time.perf_counter(), (0.0, "")
    for name in options.only.split(",") if options.only else mf.activations():
        if any(b.value_jump for b in mf.activation(name).breakpoints):
            try:
                mf.jacobian_spectrum(name, 1.0, 0.0, 2, q=1.0)
            except mf.DomainError:
                refused.append(name)
                continue
        for q in map(float, options.variances.split(",")):
            for depth in map(int, options.depths.split(",")):
                for weights in WEIGHTS:
                    cases += 1
                    began = time.perf_counter()
                    try:
                        told = complaints(name, weights, depth, q)
                    except Exception as error:
                        told = [f"{type(error).__name__}: {error}"]
                    taken = time.perf_counter() - began
                    slowest = max(slowest, (taken, f"{name} {weights} {depth} {q:g}"))
                    for line in told:
                        print(f"{name} {weights} depth {depth} q {q:g}: {line}")
                    bad += bool(told)
    print(f"{cases} cases, {bad} with complaints, {time.perf_counter() - start:.0f} s; slowest {slowest[0]:.2f} s: {slowest[1]}")
    print(f"refused, as they jump: {', '.join(refused)}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
