"""NNGP and NTK against neural-tangents 0.6.5, for each φ that it has in closed form, in five architectures.

    python -m tests.benchmarks.peer_environment DIR
    python -m tests.theory.kernels_by_neural_tangents --peer-python DIR/bin/python

The largest difference of an entry, relative to the root of the product of its diagonal ones; the seconds of both for 2000 inputs and 50
layers; and the predictions of a Gaussian process on scikit-learn's diabetes data by both. Where neural-tangents is known to be off,
something else is compared, and said:

- its NTK of ReLU and its kin is 1e-8 off on the diagonal, where E[φ'²] is (a² + b²)/2: there ours is held against that;
- its Hermite polynomials take variances to be 1: they are compared behind normalisation only;
- its RectifiedMonomial is NaN on the diagonal, or everywhere, where entries are not NaN the NNGP is compared; its NTK is up to 1.6 times
  the right one: ours is held against the arc-cosine kernels of Cho & Saul (2009).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import meanfield as mf
from meanfield import layers as L

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "peer_programs" / "neural_tangents_kernels.py"
BAR = 1e-12

ACTIVATIONS: dict[str, Any] = {
    "relu": "relu",
    "leaky_relu": "max(x, 0) + 0.1*min(x, 0)",
    "abs": "abs",
    "ab_relu": "-0.3*min(x, 0) + 1.2*max(x, 0)",
    "erf": "erf",
    "erf_scaled": "0.7*erf(1.3*x) + 0.2",
    "sigmoid_like": "0.5*erf(x/2.4020563531719796) + 0.5",
    "gelu": "gelu",
    "sin": "1.1*sin(0.8*x + 0.3)",
    "cos": "0.9*cos(1.2*x + 0.1)",
    "rbf": "sqrt(2)*sin(sqrt(2*0.7)*x + pi/4)",
    "exp": "0.5*exp(0.4*x)",
    "gaussian": "1.2*exp(-0.8*x**2)",
    "gabor": "exp(-x**2)*sin(x)",
    "hermite": "(x**3 - 3*x)/sqrt(6)",
    "monomial": "x**2",
    "rectified_monomial": "max(x, 0)**2",
    "polynomial": "0.1 + 0.5*x + 0.3*x**2",
}


def network(architecture: str, phi: Any) -> mf.Network:
    """The same five as in the peer's program."""
    if architecture == "one_hidden":
        return mf.Network(L.Dense(1.3, 0.2), phi, L.Dense(0.9, 0.1))
    if architecture == "three_hidden":
        return mf.Network(*(layer for _ in range(3) for layer in (L.Dense(0.8, 0.3), phi)), L.Dense(1.0))
    if architecture == "residual":
        block = L.Residual(phi, L.Dense(0.6, 0.1))
        return mf.Network(L.Dense(0.9, 0.1), block, block, phi, L.Dense(1.0))
    if architecture == "normalised":
        return mf.Network(*(layer for _ in range(2) for layer in (L.Dense(1.2, 0.2), L.LayerNorm(), phi)), L.Dense(1.0))
    return mf.Network(L.Dense(1.0, 0.1), L.Gate(L.Sequence(L.Dense(1.1, 0.1), phi), L.Dense(0.7, 0.3)), L.Dense(1.0))


KINKED = {"relu": (0.0, 1.0), "leaky_relu": (0.1, 1.0), "abs": (-1.0, 1.0), "ab_relu": (-0.3, 1.2)}  # slopes below and above 0


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest, relative to √(K_ii K_jj), of entries that are not NaN there."""
    scale = np.sqrt(np.outer(np.diag(ours), np.diag(ours)))
    off = np.abs(ours - theirs) / scale
    return float(np.max(off[~np.isnan(theirs)], initial=0.0))


def tangent_of_one_input(name: str, x: np.ndarray) -> np.ndarray:
    """Θ(x, x) of `one_hidden` for two lines: V[φ] = q(a² + b²)/2, E[φ'²] = (a² + b²)/2."""
    half = sum(slope**2 for slope in KINKED[name]) / 2.0
    below = (x**2).mean(axis=1)
    q = 1.3**2 * below + 0.2**2
    return 0.9**2 * (half * q) + 0.1**2 + 0.9**2 * half * q


def tangent_of_squares(x: np.ndarray) -> np.ndarray:
    """Θ of `one_hidden` for max(x, 0)², by J₁ and J₂ of Cho & Saul."""
    below = 1.3**2 * (x @ x.T) / x.shape[1] + 0.2**2
    lengths = np.sqrt(np.outer(np.diag(below), np.diag(below)))
    c = np.clip(below / lengths, -1.0, 1.0)
    angle, sine = np.arccos(c), np.sqrt((1.0 - c) * (1.0 + c))
    first = lengths / (2.0 * np.pi) * (sine + (np.pi - angle) * c)
    second = lengths**2 / (2.0 * np.pi) * (3.0 * sine * c + (np.pi - angle) * (1.0 + 2.0 * c * c))
    return 0.9**2 * second + 0.1**2 + 0.9**2 * 4.0 * first * below


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", type=Path, required=True)
    given = parser.parse_args(arguments)
    from sklearn.datasets import load_diabetes

    rng = np.random.default_rng(0)
    data = load_diabetes()
    rows = (data.data[:130] - data.data.mean(0)) / data.data.std(0)
    target = (data.target[:130] - data.target.mean()) / data.target.std()
    x = rng.standard_normal((12, 10)) * rng.uniform(0.5, 2.0, (12, 1))
    many = rng.standard_normal((2000, 10))
    many *= np.sqrt(10.0) / np.linalg.norm(many, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        asked, told = Path(folder, "inputs.npz"), Path(folder, "kernels.npz")
        np.savez(asked, x=x, many=many, train=rows[:100], test=rows[100:], target=target[:100])
        subprocess.run([given.peer_python, PROGRAM, asked, told], check=True)
        theirs = dict(np.load(told))
    worst, missing = 0.0, 0
    for name, phi in ACTIVATIONS.items():
        line = []
        for architecture in ("one_hidden", "three_hidden", "residual", "normalised", "gated"):
            net = network(architecture, phi)
            for kind in ("nngp", "ntk"):
                found = theirs[f"{name}|{architecture}|{kind}"]
                if found.dtype.kind == "U":
                    missing += 1
                    print(f"{name} {architecture} {kind}: not by neural-tangents: {str(found)[:100]}")
                    continue
                if name == "hermite" and architecture != "normalised":
                    line.append("-")
                    continue
                ours = getattr(net, kind)(x)
                if np.isnan(ours).any():
                    raise AssertionError(f"NaN in {name} {architecture} {kind}")
                if name == "rectified_monomial" and kind == "ntk":
                    if architecture == "one_hidden":
                        worst = max(worst, difference(ours, tangent_of_squares(x)))
                    line.append("-")
                    continue
                if name in KINKED and kind == "ntk":
                    np.fill_diagonal(found, np.diag(ours))
                    if architecture == "one_hidden":
                        worst = max(worst, float(np.max(np.abs(np.diag(ours) / tangent_of_one_input(name, x) - 1.0))))
                off = difference(ours, found)
                worst = max(worst, off)
                line.append(f"{off:.1e}")
        print(f"{name:<19}", *line, flush=True)
    print(f"largest difference {worst:.2g} (bar {BAR:g}), {missing} kernels are not in neural-tangents")
    for name in ("erf", "relu"):
        net = mf.Network(*(layer for _ in range(50) for layer in (L.Dense(1.2, 0.1), name)), L.Dense(1.0))
        net.nngp(many)
        started = time.perf_counter()
        net.nngp(many)
        ours = time.perf_counter() - started
        peer = float(theirs[f"seconds|{name}"])
        print(f"{name}: 2000 inputs of one norm, 50 layers: {ours:.3f} s, neural-tangents {peer:.3f} s: {peer / ours:.1f} times")
    net = mf.Network(*(layer for _ in range(3) for layer in (L.Dense(1.5, 0.2), "erf")), L.Dense(1.5, 0.2))
    gram, cross = net.nngp(rows[:100]), net.nngp(rows[100:], rows[:100])
    prediction = cross @ np.linalg.solve(gram + 1e-2 * np.eye(100), target[:100])
    apart = float(np.max(np.abs(prediction - theirs["prediction"])) / np.max(np.abs(prediction)))
    print(f"predictions on the diabetes data: {apart:.2g} apart (bar 1e-8)")
    return int(worst > BAR or apart > 1e-8)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
