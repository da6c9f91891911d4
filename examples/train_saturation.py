"""
Saturation layer by layer, and gradients, over a long training
==============================================================

After figures 2 to 4 and 6 to 9 of Glorot & Bengio (2010): activations and gradients of each hidden layer while networks learn
Shapeset-3×2 for long. Sigmoid's top layer is driven to 0, stays there on a plateau, and comes back; layers of tanh saturate one
after another, from the input on; softsign's do not. At the start back-propagated gradients shrink towards the input with the standard
weights, and those by the weights are level. Some five minutes on one core::

    python examples/train_saturation.py
    python examples/train_saturation.py --full

The training page shows the figure and the numbers. The images, the networks and the monitors are in ``examples/training``.
"""

# sphinx_gallery_thumbnail_path = 'images/train_saturation.png'

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from train_glorot import WATCHED, Shapes, shapes
from train_glorot import Size as GlorotSize
from training import command
from training.checkpoint import Kept
from training.cores import side_by_side
from training.descent import Course, descend
from training.monitors import BINS, DECADES, RANGES, distributions, look
from training.networks import Networks, Start, networks
from training.shapeset import CLASSES, SIDE

import meanfield as mf

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Kind:
    """One network: an activation, a scheme and a step size."""

    activation: str
    scheme: str
    depth: int
    rate: float

    def __str__(self) -> str:
        return f"{self.activation}, {self.scheme}, step size {self.rate:g}"


# Side by side where activation and depth are the same. The step sizes of tanh are those that it chooses, and three times as much.
KINDS = (
    (Kind("sigmoid", "standard", 4, 1.0),),
    (Kind("tanh", "standard", 5, 0.03), Kind("tanh", "standard", 5, 0.1), Kind("tanh", "normalized", 5, 0.03)),
    (Kind("softsign", "standard", 5, 0.1),),
)
SHOWN = {"sigmoid": KINDS[0][0], "tanh": KINDS[1][0], "normalized": KINDS[1][2], "softsign": KINDS[2][0]}
QUANTITIES = ("activation", "gradient", "weight_gradient")


@dataclass(frozen=True)
class Size:
    """How much to train."""

    width: int
    steps: int
    batch: int
    pool: int  # images at most
    looks: int

    def images(self) -> GlorotSize:
        """For ``shapes``."""
        return GlorotSize((5,), self.width, self.steps, self.batch, (), 1, 1, 300, self.pool, self.looks)


SIZES = {
    "smoke": Size(8, 4, 4, 16, 2),
    "default": Size(64, 40_000, 20, 100_000, 40),
    "full": Size(1000, 2_000_000, 10, 2_000_000, 100),
}


def trained(data: Shapes, kinds: Sequence[Kind], size: Size, kept: Kept | None, device: torch.device) -> Course:
    """One network of each kind, from the same normal numbers where they are of one depth; all meet the same images."""
    starts = []
    for kind in kinds:
        below, hidden, above = (
            mf.scheme(kind.scheme, *fans) for fans in ((SIDE**2, size.width), (size.width, size.width), (size.width, len(CLASSES)))
        )
        starts.append(Start(hidden.sigma_w, 0.0, 0, below.sigma_w, above.sigma_w, "uniform"))
    nets = networks([SIDE**2, *[size.width] * kinds[0].depth, len(CLASSES)], kinds[0].activation, starts, device)
    ends = (0, size.steps)

    def watched(nets: Networks, step: int) -> dict[str, np.ndarray]:
        found = vars(look(nets, data.test, data.classes))
        return (
            {**found, **{f"of {name}": part for name, part in vars(distributions(nets, data.test, data.classes)).items()}}
            if step in ends
            else found
        )

    label = f"{kinds[0].depth} hidden layers of {kinds[0].activation}"
    with command.progress(label, size.steps) as tick:
        rates = [kind.rate for kind in kinds]
        draw = data.drawn([0] * len(kinds), size.batch)
        return descend(nets, draw, rates, size.steps, look=watched, when=when(size), kept=kept, key=kinds[0].activation, progress=tick)


def when(size: Size) -> list[int]:
    """The steps after which the layers are looked at."""
    found: list[int] = np.unique(np.linspace(0, size.steps, size.looks + 1).astype(int)).tolist()
    return found


@dataclass(frozen=True)
class Watched:
    """What was seen of one network."""

    kind: Kind
    looks: dict[str, np.ndarray]  # field of Layers: (looks, layers); "of " and a field of Distributions: (start and end, layers, bins)
    loss: np.ndarray  # before each step


def rows(results: Sequence[Watched], steps: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One for each layer and look."""
    for item in results:
        for index, step in enumerate(steps):
            for layer in range(item.kind.depth):
                numbers = {name: float(item.looks[key][index, layer]) for key, name in WATCHED.items()}
                yield {**_named(item.kind), "step": step, "layer": layer + 1, **numbers}


def histogram_rows(results: Sequence[Watched], steps: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One for each layer at the start and at the end: the shares of equal bins between two borders."""
    for item in results:
        for quantity in QUANTITIES:
            low, high = RANGES[item.kind.activation] if quantity == "activation" else DECADES
            for index, step in enumerate((steps[0], steps[-1])):
                for layer in range(item.kind.depth):
                    shares = {f"bin_{number}": float(share) for number, share in enumerate(item.looks[f"of {quantity}"][index, layer])}
                    name = quantity if quantity == "activation" else f"log10_{quantity}"
                    yield {**_named(item.kind), "quantity": name, "step": step, "layer": layer + 1, "from": low, "to": high, **shares}


def _named(kind: Kind) -> dict[str, Any]:
    return {"activation": kind.activation, "scheme": kind.scheme, "rate": kind.rate}


def drawn(results: Sequence[Watched], steps: Sequence[int]) -> Figure:
    """Figures 2, 3 and 3; 4, 4 and 6; 7, 8 and 9 of the paper."""
    from matplotlib.figure import Figure

    found = {item.kind: item for item in results}
    shown = {name: found[kind] for name, kind in SHOWN.items()}
    figure = Figure(figsize=(7.6, 7.2), layout="constrained")
    axes = figure.subplots(3, 3)
    _draw_bands(axes[0, 0], shown["sigmoid"], steps, ("mean", "deviation"))
    for place, name in zip(axes[0, 1:], ("tanh", "softsign"), strict=True):
        _draw_bands(place, shown[name], steps, ("last_percentile", None))
    for place, name in zip(axes[1, :2], ("tanh", "softsign"), strict=True):
        _draw_histogram(place, shown[name], "activation", -1, f"{name}, at the end")
    _draw_histogram(axes[1, 2], shown["tanh"], "activation", 0, "tanh, at the start", shown["normalized"])
    _draw_histogram(axes[2, 0], shown["tanh"], "gradient", 0, "∂E/∂h, tanh, start", shown["normalized"])
    _draw_histogram(axes[2, 1], shown["tanh"], "weight_gradient", 0, "∂E/∂W, tanh, start", shown["normalized"])
    for layer in range(shown["tanh"].kind.depth):
        axes[2, 2].semilogy(steps, shown["tanh"].looks["weight_gradient"][:, layer], color=_grey(layer, 5))
        axes[2, 2].semilogy(steps, shown["normalized"].looks["weight_gradient"][:, layer], color=_grey(layer, 5), linestyle="--")
    axes[2, 2].set(title="deviation of ∂E/∂W, tanh", xlabel="steps")
    for place in axes.ravel():
        place.tick_params(labelsize=6)
        place.xaxis.label.set_fontsize(7)
        place.title.set_fontsize(7)
    axes[0, 0].legend(fontsize=5, frameon=False)
    figure.supylabel("solid: standard; dashed: normalized; darker: nearer to the output", fontsize=7)
    return figure


def _grey(layer: int, depth: int) -> str:
    return str(0.78 * (1 - layer / max(1, depth - 1)))


def _draw_bands(axes: Axes, item: Watched, steps: Sequence[int], names: tuple[str, str | None]) -> None:
    """Sigmoid: the mean with a bar of one deviation either way. The others: 99th percentile as markers, deviation as lines."""
    for layer in range(item.kind.depth):
        colour = _grey(layer, item.kind.depth)
        first = item.looks[names[0]][:, layer]
        if names[1] is not None:
            axes.errorbar(
                steps, first, item.looks[names[1]][:, layer], color=colour, linewidth=1, elinewidth=0.4, label=f"layer {layer + 1}"
            )
        else:
            axes.plot(steps, first, color=colour, linestyle="", marker="o", markersize=1.6)
            axes.plot(steps, item.looks["deviation"][:, layer], color=colour, linewidth=1)
    axes.set(
        title=f"{item.kind.activation}: " + ("mean ± deviation" if names[1] else "99th percentile, deviation"),
        xlabel="steps",
        ylim=(0, 1.05),
    )


def _draw_histogram(axes: Axes, item: Watched, quantity: str, index: int, title: str, other: Watched | None = None) -> None:
    low, high = RANGES[item.kind.activation] if quantity == "activation" else DECADES
    middles = low + (np.arange(BINS) + 0.5) * (high - low) / BINS
    for shown, dashes in ((item, "-"), (other, "--")):
        for layer in range(shown.kind.depth if shown else 0):
            shares = shown.looks[f"of {quantity}"][index, layer]  # type: ignore[union-attr]
            axes.plot(middles, shares, color=_grey(layer, shown.kind.depth), linestyle=dashes, linewidth=0.8)  # type: ignore[union-attr]
    axes.set(title=title, xlabel="activation" if quantity == "activation" else "log₁₀ of the modulus")
    if quantity != "activation":
        axes.set_xlim(-7.0, DECADES[1])
    axes.set_yscale("log" if quantity == "activation" and index else "linear")


def main(words: Sequence[str] | None) -> None:
    """Train, watch, draw."""
    given = command.parser(__doc__).parse_args(words)
    size = SIZES[command.size_name(given)]
    device = command.device(given)
    data = shapes(size.images(), device)
    kept = command.kept(given, "train_saturation", size, device, "Shapeset")
    results, steps = [], when(size)
    courses = side_by_side(lambda kinds: trained(data, kinds, size, kept, device), KINDS, command.cores(given, device))
    for kinds, course in zip(KINDS, courses, strict=True):
        for number, kind in enumerate(kinds):
            item = Watched(kind, {name: values[:, number] for name, values in course.looks.items()}, course.loss[:, number])
            quantity = "mean" if kind.activation == "sigmoid" else "saturated"
            command.log.info(
                "  %s: %s at the end %s, loss %.3f",
                kind,
                quantity,
                item.looks[quantity][-1].round(2),
                item.loss[-size.steps // 10 :].mean(),
            )
            results.append(item)
    tables = {"train_saturation": list(rows(results, steps)), "train_saturation_histograms": list(histogram_rows(results, steps))}
    command.save(given, "train_saturation", drawn(results, steps), tables)
    kept.remove()


if __name__ == "__main__":
    command.run(main)
