"""Random steep, narrow and shifted functions from a seed, as callables with the exact E[φ(√q Z)]."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
from scipy import special


@dataclass(frozen=True)
class Term:
    """One summand of a random function, and its Gaussian mean (mpmath)."""

    text: str
    function: Callable[[Any], Any]
    mean: Callable[[Any], Any]


def _mean_ramp(t: Any, q: Any) -> Any:
    """E[max(0, √q Z − t)]."""
    return mp.sqrt(q / (2 * mp.pi)) * mp.exp(-t * t / (2 * q)) - t * mp.erfc(t / mp.sqrt(2 * q)) / 2


def bell(a: float, c: float, s: float) -> Term:
    def mean(q: Any) -> Any:
        total = mp.mpf(s) ** 2 + 2 * q
        return a * s / mp.sqrt(total) * mp.exp(-(mp.mpf(c) ** 2) / total)

    return Term(f"{a!r}*exp(-((x-{c!r})/{s!r})**2)", lambda x: a * np.exp(-(((x - c) / s) ** 2)), mean)


def step(a: float, c: float, s: float) -> Term:
    """A steep rise."""
    return Term(
        f"{a!r}*erf((x-{c!r})/{s!r})",
        lambda x: a * special.erf((x - c) / s),
        lambda q: -a * mp.erf(c / mp.sqrt(mp.mpf(s) ** 2 + 2 * q)),
    )


def box(a: float, c: float, s: float) -> Term:
    d = c + s
    return Term(
        f"{a!r}*(x>{c!r})*(x<{d!r})",
        lambda x: a * ((x > c) & (x < d)),
        lambda q: a * (mp.erfc(c / mp.sqrt(2 * q)) - mp.erfc(d / mp.sqrt(2 * q))) / 2,
    )


def ramp(a: float, c: float, s: float) -> Term:
    """From 0 to a over a width s, with two kinks."""
    return Term(
        f"{a!r}*clip((x-{c!r})/{s!r}, 0, 1)",
        lambda x: a * np.clip((x - c) / s, 0.0, 1.0),
        lambda q: a * (_mean_ramp(mp.mpf(c), q) - _mean_ramp(mp.mpf(c) + s, q)) / s,
    )


def wave(a: float, c: float, s: float) -> Term:
    s = max(s, 0.01)
    return Term(
        f"{a!r}*sin((x-{c!r})/{s!r})",
        lambda x: a * np.sin((x - c) / s),
        lambda q: -a * mp.sin(mp.mpf(c) / s) * mp.exp(-q / (2 * mp.mpf(s) ** 2)),
    )


KINDS = (bell, bell, step, step, box, ramp, wave)


def random_callable(rng: np.random.Generator, narrowest: float) -> tuple[str, Callable[[Any], Any], Callable[[float], float], float, float]:
    """A text, the function, its exact mean at a variance, its height, and a variance at which to ask."""
    q = float(10.0 ** rng.uniform(-2, 3))
    terms, size = [], 0.0
    for _ in range(int(rng.integers(1, 4))):
        centre = float(rng.normal()) * 2.0 * math.sqrt(q) * (rng.random() < 0.8)
        width = float(10.0 ** rng.uniform(math.log10(narrowest * math.sqrt(1 + centre**2)), 0.3))
        height = float(rng.choice([-1.0, 1.0]) * 10.0 ** rng.uniform(-2, 2))
        size += abs(height)
        terms.append(KINDS[int(rng.integers(len(KINDS)))](height, centre, width))

    def mean(variance: float) -> float:
        with mp.workdps(40):
            return float(sum(t.mean(mp.mpf(variance)) for t in terms))

    return " + ".join(t.text for t in terms), lambda x: sum(t.function(x) for t in terms), mean, size, q
