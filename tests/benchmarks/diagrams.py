"""The phase diagram: 512 × 512 cells, and cells of the 64 × 64 grid by a plain quad and dblquad solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.integrate import dblquad, quad
from scipy.optimize import brentq

import meanfield as mf
from tests.benchmarks.fresh import compile_kernels, fresh
from tests.benchmarks.record import Measurement
from tests.benchmarks.timing import seconds_once, seconds_per_call

SECTION = "Phase diagram, all quantities"
NAMES = ("tanh", "relu", "hardtanh", "selu")
CELLS = ((10, 40), (30, 20), (50, 55))  # rows and columns of the 64 × 64 grid that the plain solver does
END = 8.0  # standard deviations


def gaussian(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def plain_cell(
    phi: Callable[[float], float], slope: Callable[[float], float], sigma_w: float, sigma_b: float
) -> tuple[float, float, float]:
    """q*, χ₁ and 1 − c* as a first script would: iterate the variance with quad, root-find the correlation with dblquad."""
    weight, bias = sigma_w**2, sigma_b**2
    q = 1.0
    for _ in range(500):
        after = bias + weight * quad(lambda z, q=q: phi(math.sqrt(q) * z) ** 2 * gaussian(z), -END, END, epsabs=1e-12)[0]
        if abs(after - q) <= 1e-11 * after:
            q = after
            break
        q = after
    chi = weight * quad(lambda z: slope(math.sqrt(q) * z) ** 2 * gaussian(z), -END, END, epsabs=1e-12)[0]
    if chi <= 1:
        return q, chi, 0.0

    def excess(c: float) -> float:
        s = math.sqrt(1 - c * c)
        value = dblquad(
            lambda y, x: phi(math.sqrt(q) * x) * phi(math.sqrt(q) * (c * x + s * y)) * gaussian(x) * gaussian(y),
            -END,
            END,
            -END,
            END,
            epsabs=1e-9,
        )[0]
        return (bias + weight * value) / q - c

    return q, chi, 1.0 - brentq(excess, 0.0, 1 - 1e-3, xtol=1e-9)


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Times of whole diagrams, and the plain solver's beside ours on the same cells."""
    compile_kernels()
    side = 64 if quick else 512
    sigma_w, sigma_b = np.linspace(0.5, 3, side), np.linspace(0, 1, side)
    warm_up = fresh("tanh")
    mf.phase_diagram(warm_up, sigma_w[::16], sigma_b[::16])
    for name in NAMES[: 1 if quick else None]:
        act = fresh(name)
        first = seconds_once(lambda act=act: mf.phase_diagram(act, sigma_w, sigma_b))
        warm = seconds_per_call(lambda act=act: mf.phase_diagram(act, sigma_w, sigma_b), repeats=3, at_least=0.0)
        yield Measurement(SECTION, name, f"{side}×{side}, warm", warm, "s", "bar 0.15 s for 512×512")
        yield Measurement(SECTION, name, f"{side}×{side}, first time for an activation", first, "s", "bar 0.4 s for 512×512")
    grid_w, grid_b = np.linspace(0.5, 3, 64), np.linspace(0, 1, 64)
    tanh = fresh("tanh")
    ours = seconds_once(lambda: mf.phase_diagram(tanh, grid_w, grid_b))
    diagram = mf.phase_diagram(tanh, grid_w, grid_b)
    spent, largest = 0.0, 0.0
    cells = CELLS[: 1 if quick else None]
    for b, w in cells:
        found: list[tuple[float, float, float]] = []
        spent += seconds_once(
            lambda b=b, w=w, found=found: found.append(plain_cell(math.tanh, lambda x: 1 / math.cosh(x) ** 2, grid_w[w], grid_b[b]))
        )
        q, chi, epsilon = found[0]
        cell = diagram.q_star[b, w], diagram.chi_1[b, w], diagram.epsilon_star[b, w]
        for ours_here, theirs in zip(cell, (q, chi, epsilon), strict=True):
            largest = max(largest, abs(ours_here - theirs) / max(abs(ours_here), 1e-9))
    yield Measurement(SECTION, "tanh", "64×64, first time for an activation", ours, "s")
    yield Measurement(
        SECTION, "tanh", "one cell by quad and dblquad, mean", spent / len(cells), "s", f"largest relative difference {largest:.1e}"
    )
    yield Measurement(SECTION, "tanh", "4096 such cells, over meanfield's 64×64", spent / len(cells) * 4096 / ours, "x")
