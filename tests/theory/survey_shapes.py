"""Random φ, depths and targets from a seed, each shape checked by other means; ``python -m tests.theory.survey_shapes --cases 200``.

A shape is checked by Gauss–Legendre panels of φ̂ itself, narrower than those it was found with, Q'(1) from values alone. Where
`shape_activation` says that there is none, a search from random places of its own, with those panels, must find none either.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

import meanfield as mf

BAR = 1e-11  # of every target, absolute
REACH = 12.0
PANELS, NODES = 400, 12


@dataclass(frozen=True)
class Case:
    """One question."""

    seed: int
    spec: Any
    told: str
    method: str
    depth: int
    options: dict[str, float]

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.seed}: shape_activation({self.told}, depth={self.depth}, method={self.method!r}, {options})"


FORMULAS = (
    "tanh({a}*x) + {b}*x",
    "x*sigmoid({a}*x) + {b}*x",
    "{b}*atan({a}*x)",
    "log(1 + exp({a}*x))/{a}",
    "asinh({a}*x + {b})",
    "erf({a}*x) + {b}*x",
    "x/(1 + {a}*abs(x))",
    "x/sqrt(1 + {a}*x**2) + {b}*x",
    "sin({a}*x) + {c}*x",
    "x*exp(-{a}*x**2) + {b}*x",
    "x*tanh(log(1 + exp({a}*x)))",
    "x + {a}*x**2",
    "x**3 + {a}*x",
    "exp({a}*x)",
    "exp(-{a}*x**2)",
    "max(x, {b}*x) + tanh({a}*x)",
    "where(x > {b}, x, {b} + tanh({a}*(x - {b})))",
    "abs(x - {b}) + {a}*x",
    "max({b}*x, min(x, {a}))",
    "relu(x) - relu(-{b}*x - {a})",
)
ENTRIES = (
    ("elu", "alpha"),
    ("celu", "alpha"),
    ("swish", "beta"),
    ("softplus", "beta"),
    ("leaky_relu", "negative_slope"),
    ("gelu", None),
    ("mish", None),
    ("selu", None),
    ("softsign", None),
    ("hardswish", None),
    ("hardsigmoid", None),
    ("logsigmoid", None),
    ("tanhshrink", None),
    ("relu", None),
    ("relu6", None),
    ("softshrink", "lambd"),
)
BOXES: tuple[Callable[[float, float], Callable[[Any], Any]], ...] = (
    lambda a, b: lambda x: np.tanh(a * x) + b * x,
    lambda a, b: lambda x: x / (1.0 + np.exp(-a * x)) + b,
    lambda a, b: lambda x: np.arctan(a * x + b),
    lambda a, b: lambda x: np.logaddexp(0.0, a * x) / a,
    lambda a, b: lambda x: np.where(x > 0.0, x, b * x),
    lambda a, b: lambda x: np.where(x > 0.0, x, a * np.expm1(np.minimum(x, 0.0))),
)


def case(seed: int) -> Case:
    """The question that belongs to a seed."""
    draw = np.random.default_rng(seed)
    a, b, c = (float(f"{v:.4g}") for v in (10.0 ** draw.uniform(-1.0, 1.0), draw.uniform(0.05, 0.9), draw.uniform(1.5, 4.0) * 10.0))
    kind = draw.choice(["formula", "entry", "box"], p=[0.6, 0.25, 0.15])
    spec: Any
    if kind == "formula":
        spec = FORMULAS[draw.integers(len(FORMULAS))].format(a=a, b=b, c=c)
        told = repr(spec)
    elif kind == "entry":
        name, parameter = ENTRIES[draw.integers(len(ENTRIES))]
        spec = mf.activation(name, **({parameter: a} if parameter else {}))
        told = f"activation({name!r}, {parameter}={a})" if parameter else repr(name)
    else:
        index = int(draw.integers(len(BOXES)))
        spec = mf.activation(BOXES[index](a, b), name=f"box{index}")
        told = f"BOXES[{index}]({a}, {b})"
    method = str(draw.choice(["dks", "tat"]))
    depth = round(10.0 ** draw.uniform(0.0, 6.0))
    options = {"zeta": 1.0 + 10.0 ** draw.uniform(-2.0, 1.0)} if method == "dks" else {"tau": 10.0 ** draw.uniform(-2.0, 1.0)}
    if method == "tat":
        options["eta"] = float(draw.uniform(0.1, 0.99))
    return Case(seed, spec, told, method, depth, options)


def panels(kinks: list[float], count: int = PANELS) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of E over |Z| ≤ 12, cut at the kinks."""
    ends = np.unique(np.concatenate([np.linspace(-REACH, REACH, count + 1), [k for k in kinks if abs(k) < REACH]]))
    x, w = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * np.diff(ends)
    z = (0.5 * (ends[1:] + ends[:-1]))[:, None] + half[:, None] * x
    weights = half[:, None] * w * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return z.ravel(), weights.ravel()


def departures(a: Any) -> dict[str, float]:
    """Of the shaped activation from its targets, absolute; C^L(0) by the map of its own correlations, layer by layer."""
    bend = -a.input_shift / a.input_scale  # where x = 0 is: narrow where α is large
    narrow = np.exp2(-np.arange(0.0, 40.0))
    z, w = panels([*(b.location for b in a.breakpoints), bend, *(bend + narrow), *(bend - narrow)])
    value, slope = a(z), a.derivative(z)
    q = math.fsum(w * value**2)
    found = {
        "Q(1)": q,
        "Q'(1)": 0.5 * math.fsum(w * value**2 * (z * z - 1.0)),  # Stein: no derivative
        "C(0)": math.fsum(w * value) ** 2 / q,
        "C'(1)": math.fsum(w * slope**2) / q,
    }
    if "C''(1)" in a.targets:
        found["C''(1)"] = math.fsum(w * a.second_derivative(z) ** 2) / q
    return {name: abs(found[name] - value) for name, value in a.targets.items() if name in found}


def another_search(act: Any, method: str, target: float, seed: int) -> tuple[float, float, float]:
    """The smallest residual, relative to the target, from random places, and where: what a claim that there is none is held against."""
    draw = np.random.default_rng(seed)
    kinks = [b.location for b in act.breakpoints]

    def residuals(place: np.ndarray, sign: float) -> np.ndarray:
        alpha, beta = math.exp(place[0]), place[1] * math.exp(place[0])
        z, w = panels([(k - beta) / alpha for k in kinks], 60)
        x = alpha * z + beta
        psi, first = act(x), alpha * act.derivative(x)
        mean, slope = np.sum(w * psi), np.sum(w * first)
        rest, steep = psi - mean - slope * z, first - slope
        excess = np.sum(w * steep**2) - np.sum(w * rest**2)
        variance, slopes = slope**2 + np.sum(w * rest**2), slope**2 + np.sum(w * steep**2)
        coupling = slope * np.sum(w * (z * z - 1.0) * steep) + np.sum(w * z * rest * steep) - np.sum(w * steep**2)
        if method == "dks":
            return np.array([excess / variance / target - 1.0, (excess + coupling) / variance / target])
        bends = alpha**4 * np.sum(w * act.second_derivative(x) ** 2)
        balance = coupling + sign * math.sqrt(max(excess, 0.0)) * np.sum(w * z * steep)
        return np.array([bends / slopes / target - 1.0, balance / slopes / target])

    best = (math.inf, math.nan, math.nan)
    for attempt in range(16):
        start = np.array([math.log(10.0 ** draw.uniform(-2.5, 1.0)), draw.uniform(-4.0, 4.0) * 10.0 ** draw.uniform(-1.0, 1.0)])
        try:
            with np.errstate(all="ignore"):
                done = least_squares(
                    residuals, start, args=(1.0 if attempt % 2 else -1.0,), xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=40
                )
        except (ValueError, mf.MeanFieldError, OverflowError):
            continue
        size = float(np.max(np.abs(done.fun)))
        if size < best[0]:
            best = size, math.exp(done.x[0]), float(done.x[1] * math.exp(done.x[0]))
    return best


def verdict(question: Case, search: bool = True) -> tuple[str, str]:
    """("met", "none", "beyond" where it was not looked for, "refused" or "WRONG") and what there is to say."""
    try:
        a = mf.shape_activation(question.spec, depth=question.depth, method=question.method, **question.options)
    except mf.DomainError as error:
        message = str(error)
        if "no input_scale and input_shift" not in message:
            return "refused", message
        if not search:
            return "none", message
        target = math.expm1(math.log(question.options["zeta"]) / question.depth) if question.method == "dks" else 0.0
        target = target or question.options["tau"] / question.depth
        size, alpha, beta = another_search(mf.activation(question.spec), question.method, target, question.seed)
        most = float(message.rpartition("input_scale up to ")[2].partition(" ")[0])
        kind = "none" if size >= 1e-7 else "WRONG" if alpha < most else "beyond"
        return kind, f"{message[:140]} | another search: {size:.1e} at {alpha:.4g}, {beta:.4g}"
    worst = max(departures(a).items(), key=lambda item: item[1])
    place = f"α = {a.input_scale:.4g}, β = {a.input_shift:.4g}"
    told = f"{len(a.solutions)} solutions, residual {a.residual:.0e}, {worst[0]} off by {worst[1]:.1e}; {place}"
    return ("met" if worst[1] <= BAR else "WRONG"), told


def main() -> None:
    """Ask all, print what is wrong and a tally."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="print every case")
    given = parser.parse_args()
    tally: dict[str, int] = {}
    for seed in range(given.first, given.first + given.cases):
        question, begun = case(seed), time.perf_counter()
        kind, told = verdict(question)
        tally[kind] = tally.get(kind, 0) + 1
        if kind in ("WRONG", "beyond") or given.all:
            print(f"{kind:<8}{question} ({time.perf_counter() - begun:.2f} s)\n        {told}", flush=True)
    print(tally)


if __name__ == "__main__":
    main()
