"""Theory against explicit random networks: every kind of layer alone, and random stacks of twenty layers.

``python -m tests.random_stacks`` draws networks of width 2000, every matrix of them, of each kind of layer and of thirty stacks. One
false-alarm rate stands for the whole run, shared out evenly beforehand; docs/layers.md has what came out.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import numpy as np

import meanfield as mf
from meanfield import layers as L
from meanfield.layers.layer import every
from meanfield.simulation import network_sampler
from meanfield.simulation.comparison import normal_deviates
from meanfield.simulation.simulation import Simulation

DEPTH, STACKS = 20, 30
FALSE_ALARM = 1e-4  # of a whole run, stated before it
SMOOTH = ("tanh", "gelu", "silu", "erf", "softplus", "sin", "mish")
KINKED = ("relu", "elu", "hardtanh", "leaky_relu", "selu", "abs")
KINDS = ("plain", "batch", "tokens", "sites", "walk")  # a batch that is normalised, a sequence, sites, activations behind sums
NETWORKS = 24  # of each kind alone, judged with the package's own allowance for a bias of finite width
FEW, SPREAD = 8, 64  # of each stack, whose bias is then below the noise; and networks without matrices that tell the spread of one
HELD = 40_000_000  # numbers of a matrix that is kept for the way back here: memory for time
HEADS = 2  # of attention, where the package draws 8: the means don't depend on it, the time does

# Each kind of layer by itself, with the least that it needs before it: a dense layer where it wants a Gaussian.
ALONE: dict[str, mf.Network] = {
    "Dense": mf.Network(L.Dense(1.3, 0.4)),
    "Dense, standardised": mf.Network(L.Dense(1.2), "relu", L.Dense(1.7, 0.2, weights="standardised")),
    "Dense, orthogonal": mf.Network(L.Dense(1.3, 0.2, weights="orthogonal")),
    "Dense, normalised": mf.Network(L.Dense(1.1, 0.3, weights="normalised")),
    "Convolution": mf.Network(L.Convolution(1.4, 0.3, taps=3)),
    "Activation, smooth": mf.Network(L.Dense(1.5, 0.2), "tanh"),
    "Activation, with a kink": mf.Network(L.Dense(1.5, 0.2), "selu"),
    "Dropout": mf.Network(L.Dense(1.2), "relu", L.Dropout(0.3), L.Dense(1.3)),
    "Dropout before an activation": mf.Network(L.Dense(1.2), L.Dropout(0.3), "gelu", L.Dense(1.3)),
    "LayerNorm": mf.Network(L.Dense(1.7, 0.3), "softplus", L.LayerNorm(0.1)),
    "RMSNorm": mf.Network(L.Dense(1.7, 0.3), "relu", L.RMSNorm(0.1)),
    "BatchNorm": mf.Network(L.Dense(1.7, 0.3), L.BatchNorm(8), "relu", L.Dense(1.2)),
    "Residual": mf.Network(L.Residual("gelu", L.Dense(1.3, 0.1), scale=0.7, skip=0.9)),
    "Concatenate, Identity": mf.Network(
        L.Dense(1.2), L.Concatenate(L.Identity(), L.Sequence("tanh", L.Dense(1.4)), widths=(1, 2)), "relu", L.Dense(1.2)
    ),
    "Gate": mf.Network(L.Gate(L.Dense(1.1), L.Sequence(L.Dense(1.3, 0.4), "silu"))),
    "Sequence, Repeat": mf.Network(L.Repeat(L.Sequence(L.Dense(1.3, 0.2), "tanh"), 3)),
    "Attention": mf.Network(L.Dense(1.0), L.Attention(1.2, 1.4, tokens=6)),
    "Attention, linear": mf.Network(L.Dense(1.0), L.Attention(0.4, 0.7, tokens=5, kind="linear")),
    "AveragePool": mf.Network(L.Convolution(1.4, 0.5), "relu", L.AveragePool(2), L.Dense(1.2)),
    "GlobalAveragePool": mf.Network(L.Convolution(1.4, 0.5), "relu", L.GlobalAveragePool(6), L.Dense(1.2)),
    "Mixture": mf.Network(L.Dense(1.3), L.Mixture({"relu": 0.3, "tanh": 0.7}), L.Dense(1.2)),
    "Maxout of two": mf.Network(L.Dense(1.2, 0.2), L.Maxout(2)),
    "Maxout of five": mf.Network(L.Dense(1.2, 0.2), L.Maxout(5)),
    "PostActivation": mf.Network(L.Dense(1.4), "relu", L.PostActivation(L.Dense(2**0.5), "relu", L.Dense(1.0)), L.Dense(0.7)),
}
ALONE_IN_A_COMPANY = ("BatchNorm", "Attention")  # inputs of one variance: they are a batch or a sequence


def _step(rng: np.random.Generator, kind: str, inputs: int) -> L.Layer:
    """One layer of a stack: Gaussian in, Gaussian or normalised out."""
    act = str(rng.choice(SMOOTH + KINKED))
    dense = L.Dense(float(rng.uniform(0.7, 1.5)), float(rng.choice([0.0, rng.uniform(0.05, 0.5)])))
    norm = L.LayerNorm() if rng.random() < 0.5 else L.RMSNorm()
    scale, skip = float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.5, 1.0))
    rate = float(rng.uniform(0.02, 0.3))
    own = {
        "plain": [L.Sequence(act, L.Dropout(rate), dense), L.Sequence(L.Dropout(rate), act, dense)],
        "batch": [L.Sequence(L.BatchNorm(inputs), act, dense), L.Residual(L.BatchNorm(inputs), act, dense, scale=scale)],
        "tokens": [
            L.Residual(L.LayerNorm(), L.Attention(float(rng.uniform(0.0, 1.2)), 1.0, tokens=inputs), scale=scale),
            L.Residual(L.LayerNorm(), dense, "gelu", L.Dense(1.0), scale=scale),
        ],
        "sites": [L.Sequence(act, L.Convolution(1.2, 0.1, taps=3)), L.Residual(act, L.Convolution(1.0, taps=3), scale=scale, skip=skip)],
        "walk": [
            L.Sequence(L.PostActivation(L.RMSNorm(), dense, activation=act, skip=skip, scale=scale), L.Dense(1.0)),
            L.Repeat(L.Sequence(act, dense), 2),
        ],
    }[kind]
    common: list[L.Layer] = [
        L.Sequence(act, dense),
        L.Residual(act, dense, scale=scale, skip=skip),
        L.Residual(norm, dense, act, L.Dense(1.1), scale=scale),
        L.Residual(L.Gate(L.Dense(1.0), L.Sequence(L.Dense(1.0), "sigmoid")), L.Dense(1.0), scale=scale),
        L.Sequence(L.Concatenate(L.Identity(), L.Sequence(act, dense), widths=(1, 2)), L.Dense(1.1)),
        L.Sequence(L.Mixture({act: 0.4, "tanh": 0.6}), dense),
        L.Sequence(L.Maxout(int(rng.integers(2, 5))), dense),
        L.Sequence(norm, act, dense),
        L.Sequence(act, norm, dense),
    ]
    choices = own * 3 + common
    return choices[int(rng.integers(len(choices)))]


def random_stack(rng: np.random.Generator, kind: str) -> tuple[mf.Network, tuple[float, float], float]:
    """A network, and the inputs' variances and correlation."""
    inputs = int(rng.integers(4, 9))
    first = L.Convolution(1.2, 0.1, taps=3) if kind == "sites" else L.Dense(1.2, 0.1)
    steps = [_step(rng, kind, inputs) for _ in range(DEPTH - 2)]
    if kind == "sites":  # means over two sites half-way, over all that are left before the end
        steps[DEPTH // 2], steps[-1] = L.AveragePool(2), L.GlobalAveragePool(4)
    q, ratio = float(rng.uniform(0.3, 2.0)), float(rng.uniform(0.5, 2.0))
    second = q if kind in ("batch", "tokens") else ratio * q
    return mf.Network(first, *steps, L.Dense(1.0)), (q, second), float(rng.uniform(0.0, 0.9))


def questions(stacks: int, seed: int, explicit: bool) -> Iterator[tuple[str, mf.Network, object, float]]:
    """What a run asks: a name, a network, the inputs' variances and correlation."""
    for name, network in ALONE.items():
        gaussian = all(layer.weights == "gaussian" for layer in every(network.layers) if isinstance(layer, L.Dense))
        if explicit or gaussian:
            yield name, network, 1.3 if name.startswith(ALONE_IN_A_COMPANY) else (0.8, 1.3), 0.3
    for number in range(stacks):
        kind = KINDS[number % len(KINDS)]
        yield f"stack {number + 1}, {kind}", *random_stack(np.random.default_rng((seed, number)), kind)


def largest_deviate(sim: Simulation, verdict: mf.Comparison, spread: Simulation) -> float:
    """The largest |z| of means given their standard error alone, without a bias of finite width; one network's spread is `spread`'s."""
    largest = 0.0
    for name, mask in verdict.judged.items():
        key = "log_gradient" if name == "gradient" else name
        mean, value, error = getattr(sim, key).mean, verdict.predicted[name], getattr(spread, key).standard_deviation
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.hypot(error / sim.ensemble.networks**0.5, 1e-12 * np.maximum(np.abs(value), 1e-3))
            z = np.abs(normal_deviates((mean - value) / error, spread.ensemble.networks - 1))[mask]
        largest = max(largest, float(z[:-1].max(initial=0.0) if name == "gradient" else z.max(initial=0.0)))
    return largest


def main(arguments: list[str]) -> int:
    """Ask the run's questions, print each one's largest z-score, and fail where one is beyond its share of the false-alarm rate."""
    parser = argparse.ArgumentParser(prog="python -m tests.random_stacks")
    parser.add_argument("--stacks", type=int, default=STACKS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=2000)
    parser.add_argument("--networks", type=int, help="of each question, where not 24 of a kind alone and 8 of a stack")
    parser.add_argument("--method", choices=["weights", "conditional"], default="weights")
    parser.add_argument("--only", nargs="+", default=[""], help="questions whose names hold one of these; their share of the rate stays")
    given = parser.parse_args(arguments)
    network_sampler.KEPT, network_sampler.HEADS = HELD, HEADS
    asked = list(questions(given.stacks, given.seed, given.method == "weights"))
    rate = FALSE_ALARM / len(asked)
    print(f"{len(asked)} questions, networks of width {given.width}, {given.method}; false-alarm rate {FALSE_ALARM:g}")
    wrong = tests = 0
    largest = 0.0
    for number, (name, network, q, c) in enumerate(asked):
        if not any(part in name for part in given.only):
            continue
        begun, seed = time.perf_counter(), 1000 * given.seed + number
        few = given.method == "weights" and name.startswith("stack") and given.networks is None
        count = given.networks or (FEW if few else NETWORKS)
        sim = network.simulate(given.width, count, q, c, seed, progress=False, method=given.method)
        verdict = sim.compare(false_alarm=rate)
        spread = network.simulate(given.width, SPREAD, q, c, seed + 500, progress=False, method="conditional") if few else sim
        bare = largest_deviate(sim, verdict, spread)
        z = bare if few else verdict.max_abs_z
        values = sum(mask.size for mask in verdict.judged.values())
        wrong, tests, largest = wrong + (z > verdict.threshold), tests + verdict.tests, max(largest, z)
        told = "no allowance for bias" if few else f"{bare:.2f} without the allowance for bias"
        print(
            f"{name}: {count} networks, {verdict.tests} of {values} values judged, largest |z| {z:.2f} of {verdict.threshold:.2f} allowed, "
            f"{told}; {time.perf_counter() - begun:.0f} s",
            flush=True,
        )
        if z > verdict.threshold:
            print(network, verdict, sep="\n", flush=True)
    print(f"{tests} values, largest |z| {largest:.2f}; {wrong} questions inconsistent")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
