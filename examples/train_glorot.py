"""
Sigmoid, tanh and softsign, standard and normalized
===================================================

After Glorot & Bengio (2010): networks of 1 to 5 hidden layers learn Shapeset-3×2, images of one or two shapes drawn on the
fly, from weights drawn by the "standard" and by the "normalized" scheme. Activations and gradients are watched layer by
layer during training. Minutes on one core::

    python examples/train_glorot.py
    python examples/train_glorot.py --full

and the other columns of the paper's table 1, from local files::

    python examples/train_glorot.py --full --mnist FOLDER
    python examples/train_glorot.py --full --cifar FOLDER
    python examples/train_glorot.py --full --folder SMALL_IMAGENET

The training page shows the figure and the numbers. The images, the networks and the tests of significance are in ``examples/training``.
"""

# sphinx_gallery_thumbnail_path = 'images/train_glorot.png'

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from training import command
from training.checkpoint import Kept
from training.cores import side_by_side
from training.descent import Course, Draw, accuracies, descend
from training.evidence import Claim, claim_rows, claims
from training.images import Parts, local_images
from training.monitors import look
from training.networks import Networks, Start, networks
from training.shapeset import CLASSES, NAMES, SIDE, shapeset

import meanfield as mf

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACTIVATIONS = ("sigmoid", "tanh", "softsign")
SCHEMES = ("standard", "normalized")
# Test error in % on Shapeset-3×2, table 1 of the paper: 5 hidden layers, sigmoid 4.
PUBLISHED = {
    ("sigmoid", "standard"): 82.61,
    ("tanh", "standard"): 27.15,
    ("tanh", "normalized"): 15.60,
    ("softsign", "standard"): 16.27,
    ("softsign", "normalized"): 16.06,
}
WATCHING, TESTING = 300, 1000  # test images for looks into the layers, and for errors during training
CHOOSING = 10_000  # seeds from here on belong to networks that choose a step size and are seen no more


@dataclass(frozen=True)
class Size:
    """How much to train."""

    depths: tuple[int, ...]
    width: int
    steps: int
    batch: int
    rates: tuple[float, ...]
    seeds: int  # at the largest depth, where the claims are tested
    seeds_above: int  # at the others
    test: int
    pool: int  # images at most
    looks: int  # into the layers, during training

    def choosing(self, depth: int) -> int:
        """Networks for each step size, apart from those that are tested."""
        return 2 if depth == max(self.depths) else 1

    def tested(self, depth: int) -> int:
        return self.seeds if depth == max(self.depths) else min(self.seeds, self.seeds_above)


# The same step sizes for all: every model is chosen from as many.
SIZES = {
    "smoke": Size((1, 3), 8, 4, 4, (0.1, 0.3), 2, 2, 50, 10, 2),
    "default": Size((1, 3, 5), 64, 3000, 20, (0.01, 0.03, 0.1, 0.3, 1.0), 10, 3, 4000, 100_000, 30),
    "full": Size((1, 2, 3, 4, 5), 1000, 500_000, 10, (0.003, 0.01, 0.03, 0.1, 0.3, 1.0), 10, 5, 20_000, 2_000_000, 100),
}


@dataclass(frozen=True)
class Trained:
    """The networks of one activation, scheme and depth, at the step size that trained others like them best."""

    activation: str
    scheme: str
    depth: int
    rate: float
    error: np.ndarray  # on all test images, by seed
    loss: np.ndarray  # mean over the last tenth of the steps, by seed
    curve: np.ndarray  # loss before each step, (steps, seeds)
    steps: tuple[int, ...]  # of the looks
    looks: dict[str, np.ndarray] = field(repr=False)  # field of Layers: (looks, seeds, hidden layers)
    errors: np.ndarray  # on some test images, during training: (looks, seeds)


@dataclass(frozen=True)
class Shapes:
    """Images to learn from, as bytes; and held-out ones, scaled, with their classes."""

    pixels: np.ndarray
    labels: np.ndarray
    test: Tensor
    classes: Tensor
    centre: float
    spread: float
    kinds: int = len(CLASSES)  # of classes
    name: str = "Shapeset"

    @property
    def inputs(self) -> int:
        """Numbers in an image."""
        return int(self.pixels.shape[1])

    def scaled(self, pixels: np.ndarray) -> Tensor:
        """Grey levels of mean 0 and variance 1, so |a|²/d is about 1."""
        return torch.from_numpy((pixels.astype(np.float32) - np.float32(self.centre)) / np.float32(self.spread))

    def drawn(self, seeds: Sequence[int], batch: int) -> Draw:
        """Mini-batches: each seed goes through the images in an order of its own, again and again; networks with that seed share it."""
        device = self.test.device
        orders = {seed: np.random.default_rng([seed, 2]).permutation(len(self.labels)) for seed in dict.fromkeys(seeds)}
        column = torch.tensor([list(orders).index(seed) for seed in seeds], device=device)

        def draw(step: int) -> tuple[Tensor, Tensor]:
            rows = np.arange(step * batch, (step + 1) * batch) % len(self.labels)
            chosen = np.stack([order[rows] for order in orders.values()])
            inputs, labels = self.scaled(self.pixels[chosen]).to(device), torch.from_numpy(self.labels[chosen]).to(device)
            return inputs[column], labels[column]

        return draw


def shapes(size: Size, device: torch.device) -> Shapes:
    """As many images as there are steps, up to the size's pool: then each is met once, as in the paper's online setting."""
    stream = np.random.default_rng(2010)
    count = min(size.pool, size.steps * size.batch)
    pixels, labels = np.empty((count, SIDE**2), dtype=np.uint8), np.empty(count, dtype=np.int64)
    with command.progress(f"{count} images", count) as tick:
        for start in range(0, count, 2000):
            levels, found = shapeset(min(2000, count - start), stream)
            pixels[start : start + 2000], labels[start : start + 2000] = np.round(255 * levels), found
            for _ in found:
                tick()
    levels, classes = shapeset(size.test, np.random.default_rng(99))
    sample = pixels[:5000].astype(float)
    shown = Shapes(pixels, labels, torch.empty(0), torch.from_numpy(classes).to(device), float(sample.mean()), float(sample.std()))
    return replace(shown, test=shown.scaled(np.round(255 * levels)).to(device))


def local_shapes(name: str, parts: Parts, device: torch.device) -> Shapes:
    """MNIST, CIFAR-10 or a folder of pictures."""
    pixels, labels, held_out, classes = (np.asarray(part) for part in parts)
    sample = pixels[:5000].astype(float)
    kinds = int(max(labels.max(), classes.max())) + 1
    known = torch.from_numpy(classes.astype(np.int64)).to(device)
    shown = Shapes(pixels, labels.astype(np.int64), torch.empty(0), known, float(sample.mean()), float(sample.std()), kinds, name)
    return replace(shown, test=shown.scaled(held_out).to(device))


def course(
    data: Shapes,
    activation: str,
    depth: int,
    seeds: Sequence[int],
    rates: Sequence[Sequence[float]],  # for each scheme
    size: Size,
    kept: Kept | None,
    device: torch.device,
) -> Course:
    """Both schemes at each of their step sizes with these seeds, side by side: schemes first, then rates, then seeds."""
    starts, each = [], []
    for scheme, choice in zip(SCHEMES, rates, strict=True):
        below, hidden, above = (
            mf.scheme(scheme, *fans) for fans in ((data.inputs, size.width), (size.width,) * 2, (size.width, data.kinds))
        )
        for rate in choice:
            starts += [Start(hidden.sigma_w, 0.0, seed, below.sigma_w, above.sigma_w, "uniform") for seed in seeds]
            each += [rate] * len(seeds)
    nets = networks([data.inputs, *[size.width] * depth, data.kinds], activation, starts, device)
    draw = data.drawn([start.seed for start in starts], size.batch)
    testing = min(seeds) < CHOOSING
    when = np.unique(np.linspace(0, size.steps, size.looks + 1).astype(int)) if testing else np.array([size.steps])

    def watched(nets: Networks, step: int) -> dict[str, np.ndarray]:
        found = {}
        if testing:
            found = {**vars(look(nets, data.test[:WATCHING], data.classes[:WATCHING]))}
            found["early error"] = 1 - accuracies(nets, data.test[:TESTING], data.classes[:TESTING])
        if step == size.steps:
            found["error"] = 1 - accuracies(nets, data.test, data.classes)
        return found

    label = f"{depth} hidden layers of {activation}"
    with command.progress(label, size.steps) as tick:
        key = f"{depth} {activation} {seeds[0]}"
        return descend(nets, draw, each, size.steps, look=watched, when=when.tolist(), kept=kept, key=key, progress=tick)


def trained(data: Shapes, activation: str, depth: int, size: Size, kept: Kept | None, device: torch.device) -> list[Trained]:
    """Both schemes. The step size is chosen on some networks, by the loss over the last tenth of the steps, and others are trained with it.

    Seeds are the same everywhere: the i-th networks of two models of one depth start from the same normal numbers, meet the
    same images in the same order, and are a pair.
    """

    def last(loss: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.nan_to_num(loss[-max(1, size.steps // 10) :], nan=np.inf).mean(axis=0)
        return found

    seeds = range(CHOOSING, CHOOSING + size.choosing(depth))
    first = course(data, activation, depth, seeds, [size.rates] * len(SCHEMES), size, kept, device)
    scores = last(first.loss).reshape(len(SCHEMES), len(size.rates), -1).mean(axis=2)
    chosen = [size.rates[index] for index in scores.argmin(axis=1)]
    count = size.tested(depth)
    second = course(data, activation, depth, range(count), [(rate,) for rate in chosen], size, kept, device)
    when = tuple(int(step) for step in np.unique(np.linspace(0, size.steps, size.looks + 1).astype(int)))
    found = []
    for number, (scheme, rate) in enumerate(zip(SCHEMES, chosen, strict=True)):
        mine = slice(number * count, (number + 1) * count)
        found.append(
            Trained(
                activation,
                scheme,
                depth,
                rate,
                second.looks["error"][0, mine],
                last(second.loss)[mine],
                second.loss[:, mine],
                when,
                {key: second.looks[key][:, mine] for key in WATCHED},
                second.looks["early error"][:, mine],
            )
        )
    return found


WATCHED = {
    "mean": "activation_mean",
    "deviation": "activation_deviation",
    "saturated": "saturated_share",
    "low_end": "low_end_share",
    "first_percentile": "first_percentile",
    "last_percentile": "last_percentile",
    "gradient": "gradient_deviation",
    "weight_gradient": "weight_gradient_deviation",
}


def tested(results: Sequence[Trained]) -> list[Claim]:
    """The claims, by test accuracies of the deepest networks."""
    deepest = max(item.depth for item in results)

    def right(activation: str, scheme: str) -> np.ndarray:
        return next(1 - item.error for item in results if (item.activation, item.scheme, item.depth) == (activation, scheme, deepest))

    return claims(
        {
            "normalized beats standard for tanh": (right("tanh", "normalized"), right("tanh", "standard")),
            "normalized beats standard for softsign": (right("softsign", "normalized"), right("softsign", "standard")),
            "tanh, standard, beats sigmoid, standard": (right("tanh", "standard"), right("sigmoid", "standard")),
            "softsign, standard, beats tanh, standard": (right("softsign", "standard"), right("tanh", "standard")),
        }
    )


def rows(results: Sequence[Trained], name: str) -> Iterator[dict[str, Any]]:
    """One for each network."""
    for item in results:
        like = name == "Shapeset" and item.depth == (4 if item.activation == "sigmoid" else 5)
        published = PUBLISHED.get((item.activation, item.scheme), "") if like else ""
        for seed, (error, loss) in enumerate(zip(item.error, item.loss, strict=True)):
            yield {
                "activation": item.activation,
                "scheme": item.scheme,
                "hidden_layers": item.depth,
                "rate": item.rate,
                "seed": seed,
                "test_error_percent": 100 * float(error),
                "training_loss": float(loss),
                "published_percent": published,
            }


def layer_rows(results: Sequence[Trained]) -> Iterator[dict[str, Any]]:
    """What was watched in the deepest networks at the start, half-way and at the end: means over the seeds."""
    deepest = max(item.depth for item in results)
    for item in results:
        if item.depth != deepest:
            continue
        for index in sorted({0, len(item.steps) // 2, len(item.steps) - 1}):
            for layer in range(item.depth):
                yield {
                    "activation": item.activation,
                    "scheme": item.scheme,
                    "step": item.steps[index],
                    "layer": layer + 1,
                    **{name: float(item.looks[key][index, :, layer].mean()) for key, name in WATCHED.items()},
                }


def error_rows(results: Sequence[Trained]) -> Iterator[dict[str, Any]]:
    """Test errors of the deepest networks during training, over the seeds."""
    deepest = max(item.depth for item in results)
    for item in results:
        for step, errors in zip(item.steps, 100 * item.errors if item.depth == deepest else (), strict=False):
            yield {
                "activation": item.activation,
                "scheme": item.scheme,
                "step": step,
                "test_error_percent": float(errors.mean()),
                "deviation": float(errors.std(ddof=1)) if len(errors) > 1 else 0.0,
            }


LINES = {"sigmoid": ("C1", "v"), "tanh": ("#14358a", "o"), "softsign": ("#58c2a5", "D")}
DASHES = {"standard": "--", "normalized": "-"}


def drawn(results: Sequence[Trained], data: Shapes, width: int) -> Figure:
    """Samples; error by depth and during training; gradients at the start; the layers during training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 5.6), layout="constrained")
    strip, body = np.ravel(figure.subfigures(2, 1, height_ratios=(1, 4)))
    _draw_samples(strip, data)
    axes = body.subplots(2, 3)
    deepest = max(item.depth for item in results)
    chosen = {(item.activation, item.scheme): item for item in results if item.depth == deepest}
    _draw_errors(axes[0, 0], results)
    _draw_curves(axes[0, 1], chosen, data.kinds)
    _draw_gradients(axes[0, 2], chosen, data.inputs, width)
    for place, activation in zip(axes[1], ACTIVATIONS, strict=True):
        _draw_layers(place, chosen[activation, "standard"])
    for place in axes.ravel():
        place.tick_params(labelsize=7)
        place.xaxis.label.set_fontsize(8)
        place.yaxis.label.set_fontsize(8)
        place.title.set_fontsize(8)
    return figure


def _draw_samples(strip: Any, data: Shapes) -> None:
    """One image of each class, of ten classes at most."""
    if data.name == "Shapeset":
        pixels, labels = shapeset(400, np.random.default_rng(3))
        names = [name.replace(" + ", "\n") for name in NAMES]
    else:
        pixels, labels, names = data.pixels / 255, data.labels, [str(number) for number in range(data.kinds)]
    present = np.unique(labels)[:10]
    for number, place in zip(present, strip.subplots(1, len(present), squeeze=False)[0], strict=True):
        place.imshow(_picture(pixels[np.flatnonzero(labels == number)[0]]), cmap="gray", vmin=0, vmax=1)
        place.set_axis_off()
        place.set_title(names[number], fontsize=6)


def _picture(numbers: np.ndarray) -> np.ndarray:
    """A square of grey levels, or three of them: red, green and blue."""
    side = math.isqrt(len(numbers))
    if side**2 == len(numbers):
        return numbers.reshape(side, side)
    side = math.isqrt(len(numbers) // 3)
    return numbers.reshape(3, side, side).transpose(1, 2, 0)


def _draw_errors(axes: Axes, results: Sequence[Trained]) -> None:
    for activation in ACTIVATIONS:
        for scheme in SCHEMES:
            mine = [item for item in results if (item.activation, item.scheme) == (activation, scheme)]
            colour, marker = LINES[activation]
            spread = [100 * item.error.std(ddof=1) if item.error.size > 1 else 0.0 for item in mine]
            middle = [100 * item.error.mean() for item in mine]
            axes.errorbar(
                [item.depth for item in mine],
                middle,
                spread,
                color=colour,
                linestyle=DASHES[scheme],
                marker=marker,
                markersize=3,
                capsize=2,
                label=f"{activation}, {scheme}",
            )
    axes.set(xlabel="hidden layers", ylabel="test error, %", ylim=(0, 100), title="error by depth")
    axes.set_xticks(sorted({item.depth for item in results}))
    axes.legend(fontsize=5, frameon=False)


def _draw_curves(axes: Axes, chosen: dict[tuple[str, str], Trained], kinds: int) -> None:
    for (activation, scheme), item in chosen.items():
        colour, marker = LINES[activation]
        style = {"color": colour, "linestyle": DASHES[scheme], "linewidth": 1, "marker": marker, "markersize": 2, "markevery": 5}
        axes.plot(item.steps, 100 * item.errors.mean(axis=1), **style)
    axes.axhline(100 * (1 - 1 / kinds), color="0.7", linewidth=0.8)
    title = f"during training, {next(iter(chosen.values())).depth} hidden layers"
    axes.set(xlabel="steps", ylabel="test error, %", ylim=(0, 100), title=title)


def expected_gradients(activation: str, scheme: str, depth: int, width: int, inputs: int = SIDE**2) -> np.ndarray:
    """By theory, the standard deviation of ∂E/∂h at the start in each hidden layer over that in the last one.

    Layers are equally wide, so |∂E/∂h^l|² falls by σ_w² V[φ'](q^l) from layer to layer downwards; q¹ = σ_w² |a|²/d with
    the first layer's own σ_w.
    """
    hidden, first = mf.scheme(scheme, width, width), mf.scheme(scheme, inputs, width)
    path = mf.MeanField(activation, hidden.sigma_w, 0.0).propagate(depth - 1, q=first.sigma_w**2)
    found: np.ndarray = np.sqrt(path.gradient)
    return found


def _draw_gradients(axes: Axes, chosen: dict[tuple[str, str], Trained], inputs: int, width: int) -> None:
    for scheme in SCHEMES:
        for activation in ("tanh", "softsign"):
            item = chosen[activation, scheme]
            colour, marker = LINES[activation]
            values = item.looks["gradient"][0].mean(axis=0)
            layers = np.arange(item.depth) + 1
            axes.semilogy(layers, values / values[-1], color=colour, linestyle="", marker=marker, markersize=3.5)
            theory = expected_gradients(activation, scheme, item.depth, width, inputs)
            axes.semilogy(layers, theory, color=colour, linestyle=DASHES[scheme], linewidth=1)
    axes.set(xlabel="layer", ylabel="gradient, relative", title="at the start; lines: theory", xticks=layers)


def _draw_layers(axes: Axes, item: Trained) -> None:
    """Saturation; for the sigmoid mean activations, which is where its trouble shows."""
    quantity, factor, label = ("mean", 1, "mean activation") if item.activation == "sigmoid" else ("saturated", 100, "saturated, %")
    for layer in range(item.depth):
        colour = str(0.75 * (1 - layer / max(1, item.depth - 1)))
        axes.plot(item.steps, factor * item.looks[quantity][:, :, layer].mean(axis=1), color=colour, label=f"layer {layer + 1}")
    axes.set(xlabel="steps", ylabel=label, title=f"{item.activation}, {item.scheme}")
    axes.set_ylim((0, 1) if item.activation == "sigmoid" else (0, 100))
    axes.legend(fontsize=5, frameon=False)


def main(words: Sequence[str] | None) -> None:
    """Train, test, draw."""
    given = command.image_parser(__doc__).parse_args(words)
    size = SIZES[command.size_name(given)]
    if given.seeds:
        size = replace(size, seeds=given.seeds, seeds_above=given.seeds)
    device = command.device(given)
    local = local_images(given)
    data = local_shapes(*local, device) if local else shapes(size, device)
    kept = command.kept(given, "train_glorot", size, device, data.name)
    results: list[Trained] = []
    parts = [(activation, depth) for depth in reversed(size.depths) for activation in ACTIVATIONS]
    for found in side_by_side(lambda part: trained(data, *part, size, kept, device), parts, command.cores(given, device)):
        for item in found:
            error = 100 * item.error
            command.log.info(
                "  %s, %s, %d: test error %.1f ± %.1f %%, rate %g",
                item.activation,
                item.scheme,
                item.depth,
                error.mean(),
                error.std(),
                item.rate,
            )
        results.extend(found)
    results.sort(key=lambda item: item.depth)
    found_claims = tested(results)
    for claim in found_claims:
        command.log.info("%s", claim)
    tables = {
        "train_glorot": list(rows(results, data.name)),
        "train_glorot_layers": list(layer_rows(results)),
        "train_glorot_errors": list(error_rows(results)),
        "train_glorot_claims": claim_rows(found_claims),
    }
    command.save(given, "train_glorot", drawn(results, data, size.width), tables)
    kept.remove()


if __name__ == "__main__":
    command.run(main)
