"""
ReLU against Swish as networks grow
===================================

The table of Hayou, Doucet & Rousseau (2018): networks of (width, depth) = (10, 5), (20, 10), (40, 30) and (60, 40), ReLU on the
edge of chaos and off it, and Swish. Here on scikit-learn's digits (or MNIST), after few steps and after ten times as many. The first
three shapes take six minutes on one core, all four, with ``--full``, 13; on two cores half of that::

    python examples/train_sizes.py
    python examples/train_sizes.py --full
    python examples/train_sizes.py --full --mnist FOLDER --steps 3000 100000

The training page shows the figure and the numbers of the second command. Settings and networks are those of ``examples/train_depth.py``.
"""

# sphinx_gallery_thumbnail_path = 'images/train_sizes_full.png'

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import train_depth
from train_depth import CHOOSING, LINES, RATES, Setting, course, settings
from training import command
from training.checkpoint import Kept
from training.cores import side_by_side
from training.evidence import Claim, claim_rows, claims
from training.images import Images, images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHAPES = ((10, 5), (20, 10), (40, 30), (60, 40))  # (width, depth), the paper's
COMPARED = ("ReLU, edge", "ReLU, ordered", "Swish, recommended", "Swish, edge")
DEEP = 30  # layers


@dataclass(frozen=True)
class Size:
    """How much to train."""

    shapes: tuple[tuple[int, int], ...]
    horizons: tuple[int, ...]  # numbers of steps after which networks are compared
    batch: int
    seeds: int
    choosing: int  # networks for each step size, apart from those that are tested
    rates: tuple[float, ...] = RATES

    def at(self, shape: tuple[int, int], steps: int) -> train_depth.Size:
        """One shape, trained for so many steps, in the terms of the depth sweep."""
        width, depth = shape
        return train_depth.Size((depth,), width, steps, self.batch, self.seeds, self.choosing, self.rates)


# 18 claims with all shapes: of 11 pairs the least p is 1/2048, times 18 below 0.01. Shapes do not meet: what both sizes have is the same.
SIZES = {
    "smoke": Size(((4, 2), (8, 3)), (2, 4), 8, 2, 1),
    "default": Size(SHAPES[:3], (300, 3000), 32, 11, 2),
    "full": Size(SHAPES, (300, 3000), 32, 11, 2),
}


@dataclass(frozen=True)
class Trained:
    """The networks of one setting and shape after so many steps, at the step size that had trained others like them best by then."""

    setting: Setting
    shape: tuple[int, int]
    steps: int
    rate: float  # times 1/depth
    train: np.ndarray  # accuracies, by seed
    test: np.ndarray


def trained(data: Images, setting: Setting, shape: tuple[int, int], size: Size, kept: Kept | None, device: torch.device) -> list[Trained]:
    """One for each horizon.

    Some networks go through all horizons at each step size, and for each horizon the one that has the best training accuracy
    there is taken (of equals the smallest). Others are then trained with it. What was chosen for a short time is not held
    against what was chosen for a long one: each horizon has its own choice.
    """
    depth = shape[1]
    apart = range(CHOOSING, CHOOSING + size.choosing)
    first = course(data, setting, depth, apart, size.rates, size.at(shape, max(size.horizons)), kept, device, when=size.horizons)
    scores = first.looks["train"].reshape(len(size.horizons), len(size.rates), size.choosing).mean(axis=2)
    chosen = [size.rates[index] for index in scores.argmax(axis=1)]
    found = {}
    for rate in dict.fromkeys(chosen):
        mine = [steps for steps, its_rate in zip(size.horizons, chosen, strict=True) if its_rate == rate]
        second = course(data, setting, depth, range(size.seeds), (rate,), size.at(shape, max(mine)), kept, device, when=mine)
        for number, steps in enumerate(mine):
            found[steps] = Trained(setting, shape, steps, rate, second.looks["train"][number], second.looks["test"][number])
    return [found[steps] for steps in size.horizons]


def sweep(data: Images, size: Size, kept: Kept | None, device: torch.device, cores: int) -> Iterator[Trained]:
    """Every setting at every shape."""
    points = {shape: {setting.name: setting for setting in settings(shape[1])} for shape in size.shapes}
    parts = [(points[shape][name], shape) for shape in size.shapes for name in COMPARED]
    for found in side_by_side(lambda part: trained(data, *part, size, kept, device), parts, cores):
        yield from found


def tested(results: Sequence[Trained]) -> list[Claim]:
    """The claims, by test accuracies, which the paper's table has."""
    right = {(item.setting.name, item.shape, item.steps): item.test for item in results}
    shapes = list(dict.fromkeys(item.shape for item in results))
    deep = [shape for shape in shapes if shape[1] >= DEEP] or shapes
    groups = {}
    for steps in dict.fromkeys(item.steps for item in results):
        for shape in shapes:
            width, depth = shape
            relu = right["ReLU, edge", shape, steps]
            groups[f"ReLU: the edge beats order, {depth} layers of {width}, {steps} steps"] = (relu, right["ReLU, ordered", shape, steps])
            groups[f"Swish beats ReLU, {depth} layers of {width}, {steps} steps"] = (right["Swish, recommended", shape, steps], relu)
        pair = [np.mean([right[name, shape, steps] for shape in deep], axis=0) for name in ("Swish, recommended", "Swish, edge")]
        groups[f"Swish, recommended, beats Swish at σ_b = 0.2, from {deep[0][1]} layers, {steps} steps"] = (pair[0], pair[1])
    return claims(groups)


def rows(results: Sequence[Trained]) -> Iterator[dict[str, Any]]:
    """One for each network and horizon."""
    for item in results:
        point = item.setting
        for seed, (train, test) in enumerate(zip(item.train, item.test, strict=True)):
            yield {
                "setting": point.name,
                "width": item.shape[0],
                "depth": item.shape[1],
                "steps": item.steps,
                "sigma_w": point.sigma_w,
                "sigma_b": point.sigma_b,
                "q": point.q,
                "rate_times_depth": item.rate,
                "seed": seed,
                "train_accuracy": float(train),
                "test_accuracy": float(test),
            }


def drawn(results: Sequence[Trained], data: Images) -> Figure:
    """Test accuracy over the shapes, one panel for each horizon: means, and a dot for each network."""
    from matplotlib.figure import Figure

    horizons = list(dict.fromkeys(item.steps for item in results))
    shapes = list(dict.fromkeys(item.shape for item in results))
    figure = Figure(figsize=(7.2, 3.1), layout="constrained")
    panels = figure.subplots(1, len(horizons), sharey=True, squeeze=False)[0]
    for axes, steps in zip(panels, horizons, strict=True):
        for shift, name in zip(np.linspace(-0.15, 0.15, len(COMPARED)), COMPARED, strict=True):
            colour, line, marker = LINES[name]
            mine = [item for item in results if (item.setting.name, item.steps) == (name, steps)]
            places = np.arange(len(shapes)) + shift
            for place, item in zip(places, mine, strict=True):
                axes.plot(np.full(len(item.test), place), item.test, color=colour, linestyle="", marker=".", markersize=3, alpha=0.5)
            axes.plot(places, [item.test.mean() for item in mine], color=colour, linestyle=line, marker=marker, markersize=4, label=name)
        axes.axhline(1 / (int(data.labels.max()) + 1), color="0.7", linewidth=0.8)
        axes.set_xticks(range(len(shapes)), [f"{depth} layers\nof {width}" for width, depth in shapes])
        axes.set_title(f"{steps} steps", fontsize=9)
        axes.set_ylim(-0.02, 1.02)
        axes.tick_params(labelsize=8)
    panels[0].set_ylabel("test accuracy")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=7, frameon=False, handlelength=3.2)
    return figure


def main(words: Sequence[str] | None) -> None:
    """Train, test, draw."""
    parser = command.image_parser(__doc__)
    parser.add_argument("--steps", type=int, nargs="+", help="numbers of steps after which to compare, instead of 300 and 3000")
    given = parser.parse_args(words)
    if min(given.steps or [1]) < 1:
        parser.error("steps must be positive")
    size = SIZES[command.size_name(given)]
    size = replace(size, seeds=given.seeds or size.seeds, horizons=tuple(sorted(set(given.steps or size.horizons))))
    device = command.device(given)
    data = images(given, device)
    kept = command.kept(given, "train_sizes", size, device, data.name)
    results = []
    for item in sweep(data, size, kept, device, command.cores(given, device)):
        results.append(item)
        numbers = (item.steps, item.rate, item.test.mean(), item.test.std())
        command.log.info("  %s, %s: %d steps, rate %g: test %.3f ± %.3f", item.setting.name, item.shape, *numbers)
    found_claims = tested(results)
    for claim in found_claims:
        command.log.info("%s", claim)
    command.save(
        given,
        "train_sizes",
        drawn(results, data),
        {"train_sizes": list(rows(results)), "train_sizes_claims": claim_rows(found_claims)},
    )
    kept.remove()


if __name__ == "__main__":
    command.run(main)
