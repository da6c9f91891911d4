"""Every activation of the catalogue through `jacobian_spectrum`, at every weight, depth and variance: nothing may fail.

    python -m tests.theory.survey_spectra [--depths 1,2,8] [--variances 0.1,1] [--mass]

Each case must have finite ends or say that they are not, a distribution function that its quantiles invert within 1e-8, a density
that is its slope within 1e-6 of it, and with --mass integrates, with the atoms, to 1 within 1e-8. Activations that jump must be refused.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings

import numpy as np

import meanfield as mf

DEPTHS = (1, 2, 8, 64, 1000, 100_000)
VARIANCES = (1e-6, 0.1, 1.0, 100.0)
WEIGHTS = ("gaussian", "orthogonal")


def complaints(name: str, weights: str, depth: int, q: float, whole: bool = False) -> list[str]:
    """What is wrong with one case; whole integrates the density too."""
    act = mf.activation(name)
    slope = float(mf.second_moment(act, q, 1))
    # Where φ' is 0 at all but 1e-300 of the units (softshrink at q = 1e-6) there is no law, and a DomainError says so.
    s = mf.jacobian_spectrum(act, 1.0 / math.sqrt(slope) if slope > 0.0 else 1.0, 0.0, depth, weights, q)
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
    placed = [2.0 * math.log(atom.value) for atom in s.atoms if atom.value > 0.0]
    for part, level in zip(p.tolist(), levels.tolist(), strict=True):
        at = np.array([level - s.log_mean])
        above = float(s._curve.above(at)[0])
        # log s² is a double: where |φ'| is nearly constant all of them are within 1e-6 of 1, and the density by log s² times the spacing
        # of doubles is what no distribution function of s can tell apart. It exceeds 1e-8 from densities of 1e7 on only.
        blurred = 4e-16 * max(1.0, abs(level)) * float(s._curve.density(at)[0])
        beside = any(abs(level - at) <= 1e-9 * max(1.0, abs(at)) for at in placed)
        if abs(1.0 - above - part) > 1e-8 + blurred and not beside:
            told.append(f"cdf(quantile({part:.3g})) = {1.0 - above:.9g}")
    # The density is the slope of the distribution function: central differences of sixth order.
    for k in (1, 2, 3):
        middle, step = float(levels[k]), 0.01 * min(levels[k] - levels[k - 1], levels[k + 1] - levels[k])
        if not step > 1e-9 or any(abs(middle - at) < 4.0 * step for at in placed):
            continue
        at = middle - s.log_mean + step * np.arange(-3.0, 4.0)
        above, density = s._curve.above(at), s._curve.density(at)
        # A quantile in a gap between bands, or at its end, has no slope; its place the distribution function has told.
        if density.all():
            rise = float(above @ np.array([1.0, -9.0, 45.0, 0.0, -45.0, 9.0, -1.0])) / (60.0 * step)
            finer = s._curve.above(middle - s.log_mean + 0.5 * step * np.arange(-3.0, 4.0))
            again = float(finer @ np.array([1.0, -9.0, 45.0, 0.0, -45.0, 9.0, -1.0])) / (30.0 * step)
            noise = 1e-15 * max(depth, 10) / step
            # Where half the step says something else, a jump or a pole of the density is nearby (φ'' = 0, or φ'' jumps).
            told_by_differences = abs(rise - again) <= 1e-6 * abs(rise) + noise
            if told_by_differences and not abs(density[3] - rise) <= 1e-6 * abs(rise) + noise:
                told.append(f"density {density[3]:.9g} against {rise:.9g}")
    if not whole or (depth == 1 and weights == "orthogonal"):
        return told  # the slopes themselves: nothing is solved for, and the density is infinite where φ'' = 0
    # Two orthogonal layers of which half the slopes are 1 have a pole of power -3/4 there: neighbouring doubles of log s² are 1e-4 of the
    # mass apart, and in a panel 1e-13 wide the rounding of the nodes is 1e-3 of it. There a wider stretch is told by the distribution.
    for narrowest, most in ((1e-13, 1e-3), (1e-11, 0.06)):
        integral, trusted = mass_of_bands(s, narrowest)
        mass = integral + trusted + sum(atom.mass for atom in s.atoms)
        if abs(mass - 1.0) <= 1e-8 and trusted <= most:
            return told
    return [*told, f"mass {mass:.12g}, {trusted:.3g} of it beside poles"]


def mass_of_bands(s: mf.JacobianSpectrum, narrowest: float = 1e-13) -> tuple[float, float]:
    """∫ density over the bands, in log s² between quantiles that crowd towards both ends of each band; they only place the panels.

    The second number is the part that the distribution function told: of panels some spacings of doubles wide, beside a pole.
    """
    nodes, weights = np.polynomial.legendre.leggauss(16)
    part = np.concatenate([np.geomspace(1e-11, 1e-2, 10), np.linspace(0.05, 0.95, 13), 1.0 - np.geomspace(1e-2, 1e-11, 10)])
    total, told = 0.0, 0.0
    for low, high in s._curve.bands:
        below, over = (1.0 - float(s._curve.above(np.array([end]))[0]) for end in (low, high))
        cuts = np.clip(s._curve.quantile(below + (over - below) * part), low, high)
        cuts = np.unique(np.concatenate([cuts, [high], [low] if math.isfinite(low) else []]))
        a, b = cuts[:-1], cuts[1:]
        # All panels at once, then the halves of those that the distribution function does not confirm.
        while a.size:
            rise = s._curve.above(a) - s._curve.above(b)
            z = 0.5 * (a + b)[:, None] + 0.5 * (b - a)[:, None] * nodes
            mass = 0.5 * (b - a) * (s._curve.density(z.ravel()).reshape(z.shape) @ weights)
            narrow = b - a < narrowest * np.maximum(np.maximum(np.abs(a), np.abs(b)), max(1.0, abs(s.log_mean)))
            told += float(np.sum(rise[narrow]))
            fine = ~narrow & (np.abs(mass - rise) <= 1e-11 + 1e-15 * s.depth)
            off = float(np.sum(np.abs(mass - rise)[~narrow & ~fine]))
            if off < 1e-9 or a.size > 300:  # what is left is rounding of the distribution function
                fine = ~narrow
            total += float(np.sum(mass[fine]))
            again = ~narrow & ~fine
            middle = 0.5 * (a + b)[again]
            a, b = np.concatenate([a[again], middle]), np.concatenate([middle, b[again]])
    return total, told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depths", default=",".join(map(str, DEPTHS)))
    parser.add_argument("--variances", default=",".join(map(str, VARIANCES)))
    parser.add_argument("--only", default="")
    parser.add_argument("--mass", action="store_true", help="integrate each density too")
    options = parser.parse_args()
    warnings.simplefilter("error")
    cases, bad, refused, start, slowest = 0, 0, [], time.perf_counter(), (0.0, "")
    for name in options.only.split(",") if options.only else mf.activations():
        print(f"{time.perf_counter() - start:8.1f} s, {cases} cases: {name}", file=sys.stderr, flush=True)
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
                        told = complaints(name, weights, depth, q, options.mass)
                    except mf.DomainError as error:
                        told = [] if float(mf.second_moment(name, q, 1)) == 0.0 else [f"DomainError: {error}"]
                    except Exception as error:
                        told = [f"{type(error).__name__}: {error}"]
                    taken = time.perf_counter() - began
                    slowest = max(slowest, (taken, f"{name} {weights} {depth} {q:g}"))
                    for line in told:
                        print(f"{name} {weights} depth {depth} q {q:g}: {line}", flush=True)
                    bad += bool(told)
    print(f"{cases} cases, {bad} with complaints, {time.perf_counter() - start:.0f} s; slowest {slowest[0]:.2f} s: {slowest[1]}")
    print(f"refused, as they jump: {', '.join(refused)}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
