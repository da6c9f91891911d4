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
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from training import command
from training.checkpoint import Kept
from training.cores import side_by_side
from training.descent import Course, accuracies, descend, epochs
from training.evidence import Claim, claim_rows, claims
from training.images import Images, images
from training.networks import ACTIVATIONS, Networks, Start, networks

import meanfield as mf
from meanfield.frameworks.torch import module

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("gelu", "silu", "softplus", "leaky_relu")
WAYS = ("TAT", "DKS", "He")
RATES = (0.01, 0.03)  # times 10/depth
CHOOSING = 10_000  # seeds from here on belong to networks that choose a step size and are seen no more


@dataclass(frozen=True)
class Size:
    """How much to train."""

    depth: int
    width: int
    steps: int
    batch: int
    seeds: int
    choosing: int  # networks for each step size, apart from those that are tested
    rates: tuple[float, ...] = RATES


SIZES = {
    "smoke": Size(8, 8, 4, 8, 2, 1),
    "default": Size(100, 64, 200, 32, 10, 2),
    "full": Size(100, 300, 20_000, 64, 10, 2),
}


@dataclass(frozen=True)
class Trained:
    """The networks of one activation and way, at the step size that trained others like them best."""

    activation: str
    way: str
    rate: float
    train: np.ndarray  # accuracies, by seed
    test: np.ndarray
    curves: np.ndarray  # loss before each step, (steps, seeds)


def course(
    data: Images,
    name: str,
    sigma_w: float,
    seeds: Sequence[int],
    rates: Sequence[float],
    size: Size,
    kept: Kept | None,
    device: torch.device,
) -> Course:
    """Networks with these seeds at each of these step sizes, side by side: rates first, then seeds."""
    starts = [Start(sigma_w, 0.0, seed, 1.0) for _ in rates for seed in seeds]
    widths = [data.inputs.shape[1], *[size.width] * size.depth, int(data.labels.max()) + 1]
    nets = networks(widths, name, starts, device)
    draw = epochs(data, [start.seed for start in starts], size.batch)

    def look(nets: Networks, step: int) -> dict[str, np.ndarray]:
        return {"train": accuracies(nets, data.inputs, data.labels), "test": accuracies(nets, data.test_inputs, data.test_labels)}

    with command.progress(name, size.steps) as tick:
        each = [10.0 * rate / size.depth for rate in rates for _ in seeds]
        return descend(nets, draw, each, size.steps, look=look, when=(size.steps,), kept=kept, key=f"{name} {seeds[0]}", progress=tick)


def prepared(activation: str, way: str, size: Size) -> tuple[str, float]:
    """The activation made ready under a name of its own, and σ_w. Shaped: σ_w = 1, σ_b = 0; He: σ_w = √2, σ_b = 0."""
    name = f"{activation}, {way}"
    if way == "He":
        ACTIVATIONS[name] = module(activation)
        return name, math.sqrt(2.0)
    ACTIVATIONS[name] = module(mf.shape_activation(activation, depth=size.depth, method=way.lower()))
    return name, 1.0


def trained(
    data: Images, activation: str, way: str, name: str, sigma_w: float, size: Size, kept: Kept | None, device: torch.device
) -> Trained:
    """Choose the step size on some networks, by training accuracy, and train others with it.

    Seeds are the same everywhere: the i-th networks of two ways start from the same normal numbers, see the same examples, and are a pair.
    """
    first = course(data, name, sigma_w, range(CHOOSING, CHOOSING + size.choosing), size.rates, size, kept, device)
    rate = size.rates[int(np.argmax(first.looks["train"].reshape(len(size.rates), size.choosing).mean(axis=1)))]
    second = course(data, name, sigma_w, range(size.seeds), (rate,), size, kept, device)
    return Trained(activation, way, rate, second.looks["train"][0], second.looks["test"][0], second.loss)


def sweep(data: Images, size: Size, kept: Kept | None, device: torch.device, cores: int) -> Iterator[Trained]:
    """Every activation in every way."""
    # All activations are made first: torch traces their graphs by a hook on every module, which is one for all threads.
    parts = [(activation, way, *prepared(activation, way, size)) for activation, way in product(NAMES, WAYS)]
    return side_by_side(lambda part: trained(data, *part, size, kept, device), parts, cores)


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


# Dark, light, dotted: told apart in a grey print too.
LINES = (("#14358a", "-"), ("#e6a117", (0, (5, 1.5))), ("#b2182b", ":"))


def drawn(results: Sequence[Trained], data: Images) -> Figure:
    """Learning curves, one panel an activation."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 2.6), layout="constrained")
    panels = figure.subplots(1, len(NAMES), sharey=True)
    chance = math.log(int(data.labels.max()) + 1)
    for axes, name in zip(panels, NAMES, strict=True):
        for item, (colour, line) in zip([i for i in results if i.activation == name], LINES, strict=True):
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
    given = command.image_parser(__doc__).parse_args(words)
    size = SIZES[command.size_name(given)]
    size = replace(size, seeds=given.seeds or size.seeds)
    device = command.device(given)
    data = images(given, device)
    kept = command.kept(given, "train_shaped", size, device, data.name)
    results = []
    for item in sweep(data, size, kept, device, command.cores(given, device)):
        results.append(item)
        numbers = (item.train.mean(), item.train.std(), item.test.mean(), item.rate)
        command.log.info("  %s, %s: train %.3f ± %.3f, test %.3f, rate %g", item.activation, item.way, *numbers)
    found_claims = tested(results)
    for claim in found_claims:
        command.log.info("%s", claim)
    command.save(
        given, "train_shaped", drawn(results, data), {"train_shaped": list(rows(results)), "train_shaped_claims": claim_rows(found_claims)}
    )
    kept.remove()


if __name__ == "__main__":
    command.run(main)
