"""
Draws of infinite networks against explicit ones of 4000 units
==============================================================

The six pictures of ``plot_output_draws.py`` show functions drawn from the Gaussian process that infinitely wide networks are. Here explicit
networks of width 4000 are drawn for each of them, and increments of their output functions along the circle are held against the process's
by two-sample tests. How rich the prior stays with depth (Hayou, Doucet & Rousseau 2018, on Swish and ReLU) gets a number, too. A quarter
of an hour on one core; after Ctrl-C the same command goes on::

    python examples/compare_draws.py

The tests were fixed before the run. For each picture and for steps of 30°, 90° and 180°: (a) Kolmogorov–Smirnov on one increment of each
network against 2000 draws; (b) Welch's test on the mean square of 64 outputs' increments, network by network, against draws in groups of
64. Units of one network share its finite-width kernel, so networks and not units are what is counted. All 36 p are corrected after Holm;
the pictures agree if none is below 0.001.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from training.checkpoint import Kept
from training.files import whole_file

import meanfield as mf
from meanfield import layers as L

RESULTS = Path(__file__).resolve().parent / "results"
POINTS = 12  # on the circle
STEPS = (1, 3, 6)  # of 30° each
OUTPUTS = 64  # units of a network whose squares are averaged
LEVEL = 1e-3
SHALLOW, DEEP = 3, 30


@dataclass(frozen=True)
class Picture:
    """One of the six."""

    name: str
    activation: str
    sigma_w: float
    sigma_b: float
    depth: int

    def network(self) -> mf.Network:
        """As in the pictures: a first layer from the plane, then activation and layer ``depth`` times."""
        dense = L.Dense(self.sigma_w, self.sigma_b)
        return mf.Network(dense, L.Repeat(L.Sequence(self.activation, dense), self.depth))


def pictures() -> list[Picture]:
    """Tanh in its phases; ReLU at growing depth; Swish."""
    edge = float(mf.edge_of_chaos("tanh", sigma_b=0.2).sigma_w)
    swish = mf.recommend("silu", depth=DEEP)
    return [
        Picture("tanh, ordered", "tanh", 1.0, 0.2, DEEP),
        Picture("tanh, edge", "tanh", edge, 0.2, DEEP),
        Picture("tanh, chaotic", "tanh", 2.5, 0.2, DEEP),
        Picture(f"relu, {SHALLOW} layers", "relu", 2**0.5, 0.0, SHALLOW),
        Picture(f"relu, {DEEP} layers", "relu", 2**0.5, 0.0, DEEP),
        Picture(f"silu, {DEEP} layers", "silu", float(swish.sigma_w), float(swish.sigma_b), DEEP),
    ]


def circle(points: int) -> np.ndarray:
    """Inputs with mean square 1."""
    angle = 2 * np.pi * np.arange(points) / points
    return np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def explicit(shown: Sequence[Picture], width: int, seed: int) -> np.ndarray:
    """One network of each picture, with the same normal numbers: outputs (pictures, points, OUTPUTS).

    float32, as rounding is far below what 4000 units fluctuate. The test corrects for many pictures whether or not they are independent.
    """
    stream = np.random.default_rng([4000, seed])
    phis = {picture.activation: mf.activation(picture.activation) for picture in shown}
    signals = [circle(POINTS).astype(np.float32)] * len(shown)
    outputs = np.empty((len(shown), POINTS, OUTPUTS))
    for layer in range(max(picture.depth for picture in shown) + 1):
        fan_in = 2 if layer == 0 else width
        weights = stream.standard_normal((fan_in, width), dtype=np.float32)
        biases = stream.standard_normal(width, dtype=np.float32)
        active = [number for number, picture in enumerate(shown) if layer <= picture.depth]
        products = np.concatenate([signals[number] for number in active]) @ weights
        for place, number in enumerate(active):
            picture = shown[number]
            product = products[place * POINTS : (place + 1) * POINTS]
            h = product * np.float32(picture.sigma_w / np.sqrt(fan_in)) + biases * np.float32(picture.sigma_b)
            if layer == picture.depth:
                outputs[number] = h[:, :OUTPUTS]
            else:
                signals[number] = phis[picture.activation](h).astype(np.float32)
    return outputs


def tested(drawn: np.ndarray, found: np.ndarray) -> Iterator[tuple[str, int, float, float]]:
    """(test, step, raw p, ratio of mean squares) from draws (n, points) and networks (networks, points, OUTPUTS)."""
    from scipy.stats import ks_2samp, ttest_ind

    for step in STEPS:
        of_draws, of_networks = drawn[:, step] - drawn[:, 0], found[:, step] - found[:, 0]
        groups = np.mean(of_draws[: len(of_draws) // OUTPUTS * OUTPUTS].reshape(-1, OUTPUTS) ** 2, axis=1)
        means = np.mean(of_networks**2, axis=1)
        ratio = float(means.mean() / groups.mean())
        yield "shape", step, float(ks_2samp(of_networks[:, 0], of_draws[:2000]).pvalue), ratio
        yield "size", step, float(ttest_ind(means, groups, equal_var=False).pvalue), ratio


def holm(p: Sequence[float]) -> list[float]:
    """Corrected after Holm (1979), in the order given."""
    order = np.argsort(p)
    corrected = np.minimum(1.0, np.maximum.accumulate(np.array(p)[order] * (len(p) - np.arange(len(p)))))
    found = np.empty(len(p))
    found[order] = corrected
    return [float(value) for value in found]


def agreement(shown: Sequence[Picture], networks: np.ndarray) -> list[dict[str, Any]]:
    """All tests: networks (networks, pictures, points, OUTPUTS)."""
    rows: list[dict[str, Any]] = []
    for number, picture in enumerate(shown):
        drawn = picture.network().sample_outputs(circle(POINTS), samples=200 * OUTPUTS, seed=number)
        for test, step, p, ratio in tested(drawn, networks[:, number]):
            rows.append({"picture": picture.name, "test": test, "degrees": 30 * step, "networks": len(networks), "ratio": ratio, "p": p})
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def spreads(depths: Sequence[int] = (3, 10, 30, 100, 300), samples: int = 400) -> list[dict[str, Any]]:
    """How much of a function's size varies along the circle: of draws of the process, deviation over the circle / root mean square.

    p: one-sided Mann–Whitney, that Swish's draws vary more than ReLU's at this depth; corrected after Holm over the rows.
    """
    from scipy.stats import mannwhitneyu

    rows = []
    for depth in depths:
        best = mf.recommend("silu", depth=depth)
        kinds = {
            "relu, edge": Picture("", "relu", 2**0.5, 0.0, depth),
            "silu, recommended": Picture("", "silu", float(best.sigma_w), float(best.sigma_b), depth),
            "tanh, recommended": _recommended("tanh", depth),
        }
        each = {name: _spread(picture, samples) for name, picture in kinds.items()}
        for name, values in each.items():
            p = float(mannwhitneyu(values, each["relu, edge"], alternative="greater").pvalue)
            rows.append({"model": name, "depth": depth, "spread": float(np.mean(values)), "p": p if name != "relu, edge" else 1.0})
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def _recommended(name: str, depth: int) -> Picture:
    best = mf.recommend(name, depth=depth)
    return Picture("", name, float(best.sigma_w), float(best.sigma_b), depth)


def _spread(picture: Picture, samples: int) -> np.ndarray:
    drawn = picture.network().sample_outputs(circle(60), samples=samples, seed=2)
    found: np.ndarray = np.std(drawn, axis=1) / np.sqrt(np.mean(drawn**2))
    return found


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """As a whole or not at all."""
    with whole_file(path) as place, place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"{value:.5g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows)
    print(f"wrote {path}")


def main(words: Sequence[str] | None = None) -> None:
    """Draw, test, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=24, help="explicit networks for each picture")
    parser.add_argument("--width", type=int, default=4000, help="of their layers")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the tables")
    given = parser.parse_args(words)
    if given.networks < 3 or given.width < OUTPUTS:
        parser.error(f"at least 3 networks of width {OUTPUTS}")
    shown = pictures()
    kept = Kept(given.out, "compare_draws", {"width": given.width, "pictures": shown})
    found = []
    for seed in range(given.networks):
        saved = kept.load(str(seed)) or {"outputs": explicit(shown, given.width, seed)}
        kept.save(str(seed), saved)
        found.append(saved["outputs"])
        print(f"network {seed + 1} of {given.networks}", file=sys.stderr, flush=True)
    rows = agreement(shown, np.stack(found))
    for row in rows:
        print(f"{row['picture']}, {row['degrees']}°, {row['test']}: mean squares {row['ratio']:.3f}, p = {row['p_holm']:.3g}")
    smallest = min(row["p_holm"] for row in rows)
    print(f"smallest of {len(rows)} corrected p: {smallest:.3g}; {'all agree' if smallest >= LEVEL else 'NOT ALL AGREE'}")
    prior = spreads()
    for row in prior:
        print(f"{row['model']}, {row['depth']} layers: {row['spread']:.3f} of the size varies, p of more than ReLU {row['p_holm']:.2g}")
    write(given.out / "compare_draws.csv", rows)
    write(given.out / "compare_draws_spread.csv", prior)
    kept.remove()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
