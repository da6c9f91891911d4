"""
What an initialisation is worth in training
===========================================

``meanfield.frameworks.torch.init_`` against PyTorch's default, Kaiming's and Xavier's, LSUV [Mishkin & Matas 2016] and, where there are
skips, Fixup [Zhang, Dauphin & Ma 2019]: plain and residual networks of 50 and 100 layers without normalisation, five activations,
scikit-learn's digits (or MNIST). Half an hour of one core::

    python examples/train_initialisations.py

The training page shows the figure and the numbers. ``examples/training/initialisations.py`` has the rivals, ``stacks.py`` the networks.

The plan, which was written down before the tested networks were trained:

- Everything but the initialisation is the same for all: architecture, images and their order, 220 steps with 16 images, Adam, and the
  step sizes to choose from. Adam because it undoes the size of gradients layer by layer, so that one short list of step sizes serves all:
  with momentum, in a trial on a seed that is not used here, the best step sizes of ways and architectures were four decades apart.
- Each cell (architecture, activation, way) has a step size of its own: the one with the best training accuracy of two networks whose
  seeds are seen no more; of equals the smallest. Then networks of seeds of their own are trained with it.
- What is compared is test accuracy after the last step; a network whose outputs overflow gets nothing right. Networks of one
  architecture, activation and seed are pairs; no seed is used in two architectures or for two activations.
- Five pairs of one cell can't decide anything after a correction. So comparisons pool: meanfield against each rival in each
  architecture, over the five activations (25 pairs); against each in each activation, over the three plain architectures (15); and
  two that ask why: orthogonal draws of ours against LSUV, which is orthogonal, in the shallower MLP, and ours scaled on the batch on
  which LSUV is, in the CNN. 39 in all, two-sided sign-flip tests, corrected after Holm; p < 0.01 decides, and for whom. The five
  networks of a cell share a step size: where a choice went badly it went so five times, and the p know nothing of that.
"""

# sphinx_gallery_thumbnail_path = 'images/train_initialisations.png'

from __future__ import annotations

import threading
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
from training.evidence import Comparison, comparison_rows, comparisons
from training.images import Images, images
from training.initialisations import initialise_
from training.rules import Adam
from training.stacks import Architecture, Stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("tanh", "gelu", "silu", "mish", "relu")
OURS = "meanfield"
RIVALS = ("torch", "Kaiming", "Xavier", "LSUV")
RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
BATCH_OF_LSUV = 256  # images that LSUV, and ours where it is measured, look at
CHOOSING = 10_000  # seeds from here on belong to networks that choose a step size and are seen no more


@dataclass(frozen=True)
class Size:
    """How much to train."""

    architectures: tuple[tuple[Architecture, str | None], ...]  # each with one more way to try on it
    steps: int
    batch: int
    seeds: int
    choosing: int  # networks for each step size, apart from those that are tested
    rates: tuple[float, ...] = RATES


def architectures(shallow: int, deep: int, width: int, channels: int) -> tuple[tuple[Architecture, str | None], ...]:
    """Two plain MLPs, a plain CNN, a residual MLP."""
    return (
        (Architecture("mlp", shallow, width), "meanfield, orthogonal"),
        (Architecture("mlp", deep, width), None),
        (Architecture("cnn", shallow, channels), "meanfield, measured"),
        (Architecture("residual", deep, width), "Fixup"),
    )


SIZES = {
    "smoke": Size(architectures(2, 4, 8, 4), 4, 8, 2, 1),
    "default": Size(architectures(50, 100, 64, 16), 220, 16, 5, 2),
    "full": Size(architectures(50, 100, 256, 64), 5000, 64, 10, 2),
}


@dataclass(frozen=True)
class Trained:
    """The networks of one cell, at the step size that trained others like them best."""

    architecture: Architecture
    activation: str
    way: str
    rate: float
    seeds: tuple[int, ...]
    train: np.ndarray  # accuracies, by seed
    test: np.ndarray
    loss: np.ndarray  # on the mini-batches of the last tenth of the steps, by seed


def course(
    data: Images,
    architecture: Architecture,
    activation: str,
    way: str,
    seeds: Sequence[int],
    rates: Sequence[float],
    size: Size,
    kept: Kept | None,
    device: torch.device,
    drawing: threading.Lock,
) -> Course:
    """Networks with these seeds at each of these step sizes, side by side: rates first, then seeds."""
    inputs, classes = data.inputs.shape[1], int(data.labels.max()) + 1
    batch = data.inputs[:BATCH_OF_LSUV].cpu()
    models = []
    for seed in seeds:
        with drawing:  # torch traces a model by a hook on every module, which is one for all threads
            model = architecture.model(activation, inputs, classes, fixup=way == "Fixup")
            initialise_(model, way, activation, seed, batch)
            models.append(model)
    stack = Stack(architecture, activation, [model for _ in rates for model in models], device)
    draw = epochs(data, [seed for _ in rates for seed in seeds], size.batch)

    def look(nets: Stack, step: int) -> dict[str, np.ndarray]:
        return {"train": accuracies(nets, data.inputs, data.labels), "test": accuracies(nets, data.test_inputs, data.test_labels)}

    name = f"{architecture}, {activation}, {way}"
    each = [rate for rate in rates for _ in seeds]
    with command.progress(name, size.steps) as tick:
        return descend(
            stack,
            draw,
            each,
            size.steps,
            rule=Adam,
            look=look,
            when=(size.steps,),
            kept=kept,
            key=f"{name} {seeds[0]}",
            progress=tick,
        )


def trained(
    data: Images,
    cell: int,
    architecture: Architecture,
    activation: str,
    way: str,
    size: Size,
    kept: Kept | None,
    device: torch.device,
    drawing: threading.Lock,
) -> Trained:
    """Choose the step size on some networks, by training accuracy, and train others with it; seeds count from 100 times the cell."""
    begin = 100 * cell
    apart = range(CHOOSING + begin, CHOOSING + begin + size.choosing)
    first = course(data, architecture, activation, way, apart, size.rates, size, kept, device, drawing)
    rate = size.rates[int(np.argmax(first.looks["train"].reshape(len(size.rates), size.choosing).mean(axis=1)))]
    own = range(begin, begin + size.seeds)
    second = course(data, architecture, activation, way, own, (rate,), size, kept, device, drawing)
    loss = second.loss[-max(1, size.steps // 10) :].mean(axis=0)
    return Trained(architecture, activation, way, rate, tuple(own), second.looks["train"][0], second.looks["test"][0], loss)


def sweep(data: Images, size: Size, kept: Kept | None, device: torch.device, cores: int) -> Iterator[Trained]:
    """Every cell."""
    drawing = threading.Lock()
    cells = enumerate(product(size.architectures, NAMES))
    parts = [
        (cell, architecture, activation, way)
        for cell, ((architecture, further), activation) in cells
        for way in (OURS, *RIVALS, *([further] if further else []))
    ]
    return side_by_side(lambda part: trained(data, *part, size, kept, device, drawing), parts, cores)


def tested(results: Sequence[Trained]) -> list[Comparison]:
    """The comparisons of the plan, by test accuracies."""
    right = {(item.architecture, item.activation, item.way): item.test for item in results}
    shapes = list(dict.fromkeys(item.architecture for item in results))
    plain = [shape for shape in shapes if shape.kind != "residual"]

    def pairs(way: str, where: Sequence[Architecture], names: Sequence[str]) -> np.ndarray:
        return np.concatenate([right[shape, name, way] for shape in where for name in names])

    groups = {}
    for shape in shapes:
        for rival in (*RIVALS, *(["Fixup"] if shape.kind == "residual" else [])):
            groups[f"{shape}: {OURS}, {rival}"] = (pairs(OURS, [shape], NAMES), pairs(rival, [shape], NAMES))
    for name, rival in product(NAMES, RIVALS):
        groups[f"{name}, plain: {OURS}, {rival}"] = (pairs(OURS, plain, [name]), pairs(rival, plain, [name]))
    for shape, further in dict.fromkeys((item.architecture, item.way) for item in results):
        if further.startswith(f"{OURS}, "):
            groups[f"{shape}: {further}, LSUV"] = (pairs(further, [shape], NAMES), pairs("LSUV", [shape], NAMES))
    return comparisons(groups)


def rows(results: Sequence[Trained]) -> Iterator[dict[str, Any]]:
    """One for each network."""
    for item in results:
        for seed, train, test, loss in zip(item.seeds, item.train, item.test, item.loss, strict=True):
            yield {
                "architecture": str(item.architecture),
                "activation": item.activation,
                "way": item.way,
                "rate": item.rate,
                "seed": seed,
                "train_accuracy": float(train),
                "test_accuracy": float(test),
                "train_loss": float(loss),
            }


# Shapes and shades: told apart in a grey print too.
MARKS = {
    "meanfield": ("#14358a", "o"),
    "meanfield, orthogonal": ("#6f8fd8", "p"),
    "meanfield, measured": ("#6f8fd8", "p"),
    "torch": ("0.6", "v"),
    "Kaiming": ("#e6a117", "s"),
    "Xavier": ("#2a8c5a", "^"),
    "LSUV": ("#b2182b", "D"),
    "Fixup": ("#7b3294", "P"),
}


def drawn(results: Sequence[Trained], data: Images) -> Figure:
    """Test accuracies, a panel for each architecture: a dot for each network, a larger mark for their mean."""
    from matplotlib.figure import Figure

    shapes = list(dict.fromkeys(item.architecture for item in results))
    figure = Figure(figsize=(7.2, 5.2), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True).ravel()
    handles = {}
    for axes, shape in zip(panels, shapes, strict=True):
        mine = [item for item in results if item.architecture == shape]
        ways = list(dict.fromkeys(item.way for item in mine))
        for shift, way in zip(np.linspace(-0.32, 0.32, len(ways)), ways, strict=True):
            colour, marker = MARKS[way]
            cells = [next(item for item in mine if (item.activation, item.way) == (name, way)) for name in NAMES]
            places = np.arange(len(NAMES)) + shift
            for place, item in zip(places, cells, strict=True):
                axes.plot(np.full(len(item.test), place), item.test, color=colour, linestyle="", marker=".", markersize=3, alpha=0.5)
            means = [item.test.mean() for item in cells]
            (handles[way],) = axes.plot(places, means, color=colour, linestyle="", marker=marker, markersize=5, label=way)
        axes.axhline(1 / (int(data.labels.max()) + 1), color="0.7", linewidth=0.8)
        for border in np.arange(len(NAMES) - 1) + 0.5:
            axes.axvline(border, color="0.9", linewidth=0.8)
        axes.set_xticks(range(len(NAMES)), NAMES)
        axes.set_title(str(shape), fontsize=9)
        axes.set_ylim(-0.02, 1.02)
        axes.tick_params(labelsize=8)
    for axes in panels[::2]:
        axes.set_ylabel("test accuracy")
    named = [handles[way] for way in MARKS if way in handles]
    figure.legend(handles=named, loc="outside upper center", ncols=4, fontsize=7, frameon=False)
    return figure


def main(words: Sequence[str] | None) -> None:
    """Train, test, draw."""
    given = command.image_parser(__doc__).parse_args(words)
    size = SIZES[command.size_name(given)]
    size = replace(size, seeds=given.seeds or size.seeds)
    device = command.device(given)
    data = images(given, device)
    kept = command.kept(given, "train_initialisations", size, device, data.name)
    results = []
    for item in sweep(data, size, kept, device, command.cores(given, device)):
        results.append(item)
        where = (item.architecture, item.activation, item.way)
        command.log.info("  %s, %s, %s: test %.3f ± %.3f, rate %g", *where, item.test.mean(), item.test.std(), item.rate)
    found = tested(results)
    for comparison in found:
        command.log.info("%s", comparison)
    command.save(
        given,
        "train_initialisations",
        drawn(results, data),
        {"train_initialisations": list(rows(results)), "train_initialisations_comparisons": comparison_rows(found)},
    )
    kept.remove()


if __name__ == "__main__":
    command.run(main)
