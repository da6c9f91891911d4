"""
Sigmoid after unsupervised pre-training
=======================================

Glorot & Bengio (2010), section 3.1: the top hidden layer of a sigmoid network that starts from random weights is driven to 0 and
stays there for long; one that starts from unsupervised pre-training is not. Here: networks of 4 hidden layers on Shapeset-3×2, from
the standard weights, and from denoising autoencoders, trained layer by layer on the layer below with no label. The first steps of
supervised training are watched. A minute on one core::

    python examples/train_pretrained.py

The training page has the numbers. The images, the networks and the tests of significance are in ``examples/training``.
"""

# sphinx_gallery_thumbnail_path = 'images/train_pretrained.png'

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from train_glorot import Shapes, shapes
from train_glorot import Size as GlorotSize
from training import command
from training.checkpoint import Kept
from training.cores import side_by_side
from training.descent import Course, descend
from training.evidence import Claim, claim_rows, claims
from training.monitors import look
from training.networks import Networks, Start, networks
from training.shapeset import CLASSES, SIDE

import meanfield as mf

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTH = 4
HIDDEN_SHARE = 0.25  # of what an autoencoder sees, put to 0
STARTS = ("random", "pre-trained")


@dataclass(frozen=True)
class Size:
    """How much to train."""

    width: int
    steps: int
    batch: int
    seeds: int
    pretraining: int  # steps for each layer
    pretraining_rate: float
    rate: float
    pool: int
    looks: int

    def images(self) -> GlorotSize:
        """For ``shapes``."""
        return GlorotSize((DEPTH,), self.width, self.steps, self.batch, (), 1, 1, 300, self.pool, self.looks)


SIZES = {
    "smoke": Size(8, 4, 4, 2, 3, 0.1, 1.0, 16, 2),
    "default": Size(64, 2000, 20, 10, 1500, 0.3, 1.0, 40_000, 20),
    "full": Size(1000, 200_000, 10, 10, 50_000, 0.1, 0.3, 1_000_000, 100),
}


def pretrain(nets: Networks, data: Shapes, size: Size, seeds: Sequence[int], tick: Any) -> None:
    """Denoising autoencoders with tied weights, layer by layer, in place.

    A layer's code σ(x̃W + b) of a damaged input x̃ is read out as x̂ = σ(code Wᵀ + c), and gradient descent lowers the cross-entropy
    between x̂ and the undamaged x, summed over the inputs and divided by the root of their number. Grey levels go in as they are there.
    """
    draw = data.drawn(seeds, size.batch)
    for layer in range(DEPTH):
        weight, bias = nets.weights[layer], nets.biases[layer]
        back = torch.zeros(len(nets), 1, weight.shape[1], device=weight.device, requires_grad=True)
        noise = torch.Generator(device=weight.device).manual_seed(1000 + layer)
        for step in range(size.pretraining):
            signal, _ = draw(step)
            with torch.no_grad():
                for below in range(layer):
                    signal = torch.sigmoid(torch.baddbmm(nets.biases[below], signal, nets.weights[below]))
            # The first layer's inputs are standardised grey levels: as targets they go to [0, 1] again.
            target = (signal * data.spread + data.centre) / 255 if layer == 0 else signal
            if step == 0:
                # The read-out begins at the inputs' means, so that the weights need not learn them: they would saturate all codes.
                mean = target.mean(dim=(0, 1)).clamp(0.02, 0.98)
                back = torch.logit(mean).expand(len(nets), 1, -1).clone().requires_grad_()
            damaged = signal * (torch.rand(signal.shape, generator=noise, device=signal.device) >= HIDDEN_SHARE)
            code = torch.sigmoid(torch.baddbmm(bias, damaged, weight))
            rebuilt = torch.baddbmm(back, code, weight.transpose(1, 2))
            cost = torch.nn.functional.binary_cross_entropy_with_logits(rebuilt, target, reduction="none")
            loss = cost.sum(dim=2).mean(dim=1).sum() / weight.shape[1] ** 0.5
            parameters = (weight, bias, back)
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.sub_(size.pretraining_rate * gradient / weight.shape[1] ** 0.5)
            tick()


def when(size: Size) -> list[int]:
    """The steps after which the layers are looked at."""
    found: list[int] = np.unique(np.linspace(0, size.steps, size.looks + 1).astype(int)).tolist()
    return found


def trained(data: Shapes, start: str, size: Size, kept: Kept | None, device: torch.device) -> Course:
    """All seeds side by side. The i-th networks of both starts begin from the same normal numbers and meet the same images: a pair."""
    below, hidden, above = (
        mf.scheme("standard", *fans) for fans in ((SIDE**2, size.width), (size.width, size.width), (size.width, len(CLASSES)))
    )
    seeds = range(size.seeds)
    starts = [Start(hidden.sigma_w, 0.0, seed, below.sigma_w, above.sigma_w, "uniform") for seed in seeds]
    nets = networks([SIDE**2, *[size.width] * DEPTH, len(CLASSES)], "sigmoid", starts, device)
    if start == "pre-trained" and (kept is None or kept.load(start) is None):
        with command.progress("autoencoders", DEPTH * size.pretraining) as tick:
            pretrain(nets, data, size, seeds, tick)

    def watched(nets: Networks, step: int) -> dict[str, np.ndarray]:
        return vars(look(nets, data.test, data.classes))

    with command.progress(f"sigmoid, {start}", size.steps) as tick:
        rates = [size.rate] * size.seeds
        return descend(
            nets, data.drawn(seeds, size.batch), rates, size.steps, look=watched, when=when(size), kept=kept, key=start, progress=tick
        )


def tested(courses: dict[str, Course]) -> list[Claim]:
    """At the look at which the random starts' top layer is lowest on average, and for the loss over the last tenth of the steps."""
    means = {start: course.looks["mean"][:, :, -1] for start, course in courses.items()}
    lowest = int(np.argmin(means["random"].mean(axis=1)))
    low = {start: course.looks["low_end"][lowest, :, -1] for start, course in courses.items()}
    last = {start: course.loss[-max(1, len(course.loss) // 10) :].mean(axis=0) for start, course in courses.items()}
    return claims(
        {
            "share of the top layer near 0, random start above pre-trained": (low["random"], low["pre-trained"]),
            "loss over the last tenth of the steps, random start above pre-trained": (last["random"], last["pre-trained"]),
        }
    )


def rows(courses: dict[str, Course], steps: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One for each start, look and layer: means over the seeds."""
    for start, course in courses.items():
        for index, step in enumerate(steps):
            for layer in range(DEPTH):
                numbers = {
                    name: float(course.looks[name][index, :, layer].mean()) for name in ("mean", "deviation", "low_end", "saturated")
                }
                window = course.loss[max(0, step - 100) : max(1, step)]
                yield {"start": start, "step": step, "layer": layer + 1, **numbers, "loss": float(window.mean())}


def drawn(courses: dict[str, Course], steps: Sequence[int]) -> Figure:
    """Mean activations of each layer, and the loss."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 2.5), layout="constrained")
    axes = figure.subplots(1, 3)
    for place, (start, course) in zip(axes, courses.items(), strict=False):
        for layer in range(DEPTH):
            values = course.looks["mean"][:, :, layer]
            colour = str(0.75 * (1 - layer / (DEPTH - 1)))
            place.errorbar(
                steps, values.mean(axis=1), values.std(axis=1), color=colour, linewidth=1, elinewidth=0.5, label=f"layer {layer + 1}"
            )
        place.set(title=f"sigmoid, {start}", xlabel="steps", ylabel="mean activation", ylim=(0, 1))
    for (start, course), style in zip(courses.items(), ("--", "-"), strict=True):
        window = max(1, len(course.loss) // 40)
        smooth = np.convolve(course.loss.mean(axis=1), np.ones(window) / window, "valid")
        axes[2].plot(np.arange(len(smooth)) + window, smooth, style, color="black", label=start)
    axes[2].axhline(np.log(len(CLASSES)), color="0.7", linewidth=0.8)
    axes[2].set(title="training loss", xlabel="steps")
    for place in axes:
        place.tick_params(labelsize=7)
        place.xaxis.label.set_fontsize(8)
        place.yaxis.label.set_fontsize(8)
        place.title.set_fontsize(8)
        place.legend(fontsize=6, frameon=False)
    return figure


def main(words: Sequence[str] | None) -> None:
    """Pre-train, train, watch, draw."""
    given = command.parser(__doc__).parse_args(words)
    size = SIZES[command.size_name(given)]
    size = replace(size, seeds=given.seeds or size.seeds)
    device = command.device(given)
    data = shapes(size.images(), device)
    kept = command.kept(given, "train_pretrained", size, device, "Shapeset")
    found_courses = side_by_side(lambda start: trained(data, start, size, kept, device), STARTS, command.cores(given, device))
    courses = dict(zip(STARTS, found_courses, strict=True))
    found = tested(courses)
    for claim in found:
        command.log.info("%s", claim)
    steps = when(size)
    tables = {"train_pretrained": list(rows(courses, steps)), "train_pretrained_claims": claim_rows(found)}
    command.save(given, "train_pretrained", drawn(courses, steps), tables)
    kept.remove()


if __name__ == "__main__":
    command.run(main)
