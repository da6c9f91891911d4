"""Random networks of twenty layers from a seed, theory against simulation; ``python -m tests.random_stacks --width 2000`` asks thirty."""

from __future__ import annotations

import argparse
import sys

import numpy as np

import meanfield as mf
from meanfield import layers as L

DEPTH, STACKS = 20, 30
FALSE_ALARM = 1e-4  # of all the stacks of a run together, stated before it
SMOOTH = ("tanh", "gelu", "silu", "erf", "softplus", "sin", "mish")
KINKED = ("relu", "elu", "hardtanh", "leaky_relu", "selu", "abs")
KINDS = ("plain", "batch", "tokens", "sites")  # what the inputs are: a batch that is normalised, a sequence, sites of a convolution


def _step(rng: np.random.Generator, kind: str, inputs: int) -> L.Layer:
    """One layer of a stack: Gaussian in, Gaussian or normalised out."""
    act = str(rng.choice(SMOOTH + KINKED))
    dense = L.Dense(float(rng.uniform(0.7, 1.5)), float(rng.choice([0.0, rng.uniform(0.05, 0.5)])))
    norm = L.LayerNorm() if rng.random() < 0.5 else L.RMSNorm()
    scale, skip = float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.5, 1.0))
    own = {
        "plain": [L.Sequence(act, L.Dropout(float(rng.uniform(0.02, 0.3))), dense), L.Residual(norm, act, dense, scale=scale)],
        "batch": [L.Sequence(L.BatchNorm(inputs), act, dense), L.Residual(L.BatchNorm(inputs), act, dense, scale=scale)],
        "tokens": [
            L.Residual(L.LayerNorm(), L.Attention(float(rng.uniform(0.2, 1.2)), 1.0, tokens=inputs), scale=scale),
            L.Residual(L.LayerNorm(), dense, "gelu", L.Dense(1.0), scale=scale),
        ],
        "sites": [L.Sequence(act, L.Convolution(1.2, 0.1, taps=3)), L.Residual(act, L.Convolution(1.0, taps=3), scale=scale, skip=skip)],
    }[kind]
    common: list[L.Layer] = [
        L.Sequence(act, dense),
        L.Residual(act, dense, scale=scale, skip=skip),
        L.Residual(norm, dense, act, L.Dense(1.1), scale=scale),
        L.Residual(L.Gate(L.Dense(1.0), L.Sequence(L.Dense(1.0), "sigmoid")), L.Dense(1.0), scale=scale),
        L.Sequence(L.Concatenate(L.Identity(), L.Sequence(act, dense), widths=(1, 2)), L.Dense(1.1)),
        L.Sequence(L.Mixture({act: 0.4, "tanh": 0.6}), dense),
        L.Sequence(L.Maxout(2), dense),
        L.Sequence(norm, act, dense),
        L.Sequence(act, norm, dense),
    ]
    choices = own * 3 + common
    return choices[int(rng.integers(len(choices)))]


def random_stack(rng: np.random.Generator, kind: str) -> tuple[mf.Network, float, float]:
    """A network, and the inputs' variance and correlation."""
    inputs = int(rng.integers(4, 9))
    first = L.Convolution(1.2, 0.1, taps=3) if kind == "sites" else L.Dense(1.2, 0.1)
    steps = [_step(rng, kind, inputs) for _ in range(DEPTH - 2)]
    return mf.Network(first, *steps, L.Dense(1.0)), float(rng.uniform(0.3, 2.0)), float(rng.uniform(0.0, 0.9))


def main(arguments: list[str]) -> int:
    """Simulate each stack, print its largest z-score, and fail where one is out of its share of the false-alarm rate."""
    parser = argparse.ArgumentParser(prog="python -m tests.random_stacks")
    parser.add_argument("--stacks", type=int, default=STACKS)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=2000)
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--method", choices=["weights", "conditional"], default="conditional")
    given = parser.parse_args(arguments)
    wrong = 0
    for number in range(given.first, given.first + given.stacks):
        rng = np.random.default_rng((given.seed, number))
        kind = KINDS[number % len(KINDS)]
        network, q, c = random_stack(rng, kind)
        sim = network.simulate(given.width, given.networks, q, c, number, progress=False, method=given.method)
        verdict = sim.compare(false_alarm=FALSE_ALARM / given.stacks)
        wrong += not verdict.consistent
        print(
            f"{number} ({kind}): {verdict.tests} tests, largest |z| {verdict.max_abs_z:.2f}, consistent: {verdict.consistent}", flush=True
        )
        if not verdict.consistent:
            print(network, verdict, sep="\n", flush=True)
    what = f"{given.stacks} stacks of {DEPTH} layers, {given.networks} networks of width {given.width} each"
    print(f"{what}, {given.method}: {wrong} inconsistent")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
