"""
Shaping the activation of a hundred plain layers
================================================

After Martens et al. (2021) and Zhang, Botev & Martens (2022): a fully connected network of 100 layers, without skips or normalisation,
learns real images (scikit-learn's digits, or MNIST) once its activation is shaped, and not with the same activation at He's initialisation.
Minutes on one core::

    python examples/train_shaped.py

The training page shows the figure and the numbers. The data, the networks and the tests of significance are in ``examples/training``.
"""

# sphinx_gallery_thumbnail_path = 'images/train_shaped.png'

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from training import command
from training.descent import accuracies, descend, epochs
from training.digits import Images, images
from training.evidence import Claim, claims
from training.networks import ACTIVATIONS, Start, networks

import meanfield as mf
from meanfield.frameworks.torch import module

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("gelu", "silu", "softplus", "leaky_relu")
WAYS = ("TAT", "DKS", "He")
RATES = (0.01, 0.03)  # times 10/depth


@dataclass(frozen=True)
class Size:
    """How much to train."""

    depth: int
    width: int
    steps: int
    batch: int
    seeds: int
    rates: tuple[float, ...] = RATES


SIZES = {
    "smoke": Size(8, 8, 4, 8, 2),
    "default": Size(100, 64, 200, 32, 6),
    "full": Size(100, 300, 20_000, 64, 6),
}


@dataclass(frozen=True)
class Trained:
    """The networks of one activation and way, at the step size that trained them best."""

    activation: str
    way: str
    rate: float
    train: np.ndarray  # accuracies, by seed
    test: np.ndarray
    curves: np.ndarray  # loss after each step, (steps, seeds)


def trained(data: Images, activation: str, way: str, number: int, size: Size, device: torch.device, tick: Any) -> Trained:
    """All seeds and step sizes side by side. Shaped: σ_w = 1, σ_b = 0; He: σ_w = √2, σ_b = 0."""
    name, sigma_w = f"{activation}, {way}", 1.0
    if way == "He":
        ACTIVATIONS[name], sigma_w = module(activation), math.sqrt(2.0)
    else:
        ACTIVATIONS[name] = module(mf.shape_activation(activation, depth=size.depth, method=way.lower()))
    # Seeds are the setting's own: groups that a permutation test compares must be independent.
    seeds = [1000 * number + seed for seed in range(size.seeds)]
    starts = [Start(sigma_w, 0.0, seed, 1.0) for _ in size.rates for seed in seeds]
    widths = [data.inputs.shape[1], *[size.width] * size.depth, int(data.labels.max()) + 1]
    nets = networks(widths, name, starts, device)
    rates = torch.tensor([10.0 * rate / size.depth for rate in size.rates for _ in seeds], device=device)
    draw = epochs(data, [start.seed for start in starts], size.batch)
    shape = (len(size.rates), size.seeds)
    curves = np.stack([loss.cpu().numpy() for _, loss in descend(nets, draw, rates, size.steps, tick)]).reshape(-1, *shape)
    train = accuracies(nets, data.inputs, data.labels).reshape(shape)
    test = accuracies(nets, data.test_inputs, data.test_labels).reshape(shape)
    best = int(np.argmax(train.mean(axis=1)))
    return Trained(activation, way, size.rates[best], train[best], test[best], curves[:, best])


def sweep(data: Images, size: Size, device: torch.device) -> Iterator[Trained]:
    """Every activation in every way."""
    for number, (activation, way) in enumerate((activation, way) for activation in NAMES for way in WAYS):
        with command.progress(f"{activation}, {way}", size.steps) as tick:
            found = trained(data, activation, way, number, size, device, tick)
        yield found


def tested(results: Sequence[Trained]) -> list[Claim]:
    """The claims, on training accuracies."""
    found = {(item.activation, item.way): item.train for item in results}
    return claims(
        {f"{name}: shaped ({way}) trains where He's does not": (found[name, way], found[name, "He"]) for name in NAMES for way in WAYS[:2]}
    )


def rows(results: Sequence[Trained]) -> Iterator[dict[str, Any]]:
    """One for each network."""
    for item in results:
        for seed, (train, test) in enumerate(zip(item.train, item.test, strict=True)):
            yield {
                "activation": item.activation,
                "way": item.way,
                "rate_times_depth": 10.0 * item.rate,
                "seed": seed,
                "train_accuracy": float(train),
                "test_accuracy": float(test),
            }


def drawn(results: Sequence[Trained], data: Images) -> Figure:
    """Learning curves, one panel an activation."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 2.6), layout="constrained")
    panels = figure.subplots(1, len(NAMES), sharey=True)
    chance = math.log(int(data.labels.max()) + 1)
    for axes, name in zip(panels, NAMES, strict=True):
        for item, (colour, line) in zip(
            [i for i in results if i.activation == name], (("C0", "-"), ("C2", "-"), ("C3", "--")), strict=True
        ):
            window = max(1, len(item.curves) // 20)
            smooth = np.stack([np.convolve(np.nan_to_num(c, nan=np.inf), np.ones(window) / window, "valid") for c in item.curves.T])
            steps = np.arange(smooth.shape[1]) + window
            for curve in smooth:
                axes.plot(steps, np.where(np.isfinite(curve), curve, np.nan), color=colour, linestyle=line, linewidth=0.8, alpha=0.6)
            axes.plot([], [], color=colour, linestyle=line, label=item.way)
        axes.axhline(chance, color="0.7", linewidth=0.8)
        axes.set(title=name, xlabel="steps", ylim=(0, 1.3 * chance))
        axes.title.set_fontsize(9)
        axes.tick_params(labelsize=8)
    panels[0].set_ylabel("training loss")
    panels[0].legend(fontsize=7, frameon=False)
    return figure


def main(words: Sequence[str] | None) -> None:
    """Train, test, draw."""
    parser = command.parser(__doc__)
    parser.add_argument("--mnist", type=command.Path, metavar="FOLDER", help="MNIST's four idx files instead of the digits")
    given = parser.parse_args(words)
    size = SIZES[command.size_name(given)]
    size = replace(size, seeds=given.seeds or size.seeds)
    device = command.device(given)
    data = images(given.mnist, device)
    results = []
    for item in sweep(data, size, device):
        results.append(item)
        command.log.info("  train %.3f ± %.3f, test %.3f, rate %g", item.train.mean(), item.train.std(), item.test.mean(), item.rate)
    for claim in tested(results):
        command.log.info("%s", claim)
    command.save(given, "train_shaped", drawn(results, data), {"train_shaped": list(rows(results))})


if __name__ == "__main__":
    command.run(main)
