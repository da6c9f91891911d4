"""
Training deep networks on and off the edge of chaos
===================================================

After Hayou, Doucet & Rousseau (2018): fully connected networks of growing depth learn real images (scikit-learn's digits,
or MNIST), tanh on the edge of chaos and on both sides of it, ReLU and Swish on theirs. Minutes on one core::

    python examples/train_depth.py
    python examples/train_depth.py --full --mnist FOLDER

The training page shows the figure and the numbers. The data, the networks and the tests of significance are in ``examples/training``.
"""

# sphinx_gallery_thumbnail_path = 'images/train_depth.png'

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from training import command
from training.checkpoint import Kept
from training.cores import side_by_side
from training.descent import Course, accuracies, descend, epochs
from training.evidence import Claim, claim_rows, claims
from training.images import Images, images
from training.networks import Networks, Start, networks

import meanfield as mf

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGMA_B = 0.2
RATES = (0.03, 0.1, 0.3, 1.0)  # times 1/depth: on the edge, the curvature of the loss grows with the depth
CHOOSING = 10_000  # seeds from here on belong to networks that choose a step size and are seen no more


@dataclass(frozen=True)
class Size:
    """How much to train."""

    depths: tuple[int, ...]
    width: int
    steps: int
    batch: int
    seeds: int
    choosing: int  # networks for each step size, apart from those that are tested
    rates: tuple[float, ...] = RATES


SIZES = {
    "smoke": Size((2, 4), 8, 4, 8, 2, 1),
    "default": Size((10, 30, 45), 50, 300, 32, 10, 1),
    "full": Size((10, 30, 60, 100, 200), 300, 20_000, 64, 10, 2),
}


@dataclass(frozen=True)
class Setting:
    """A point in the phase diagram of an activation."""

    name: str
    activation: str
    sigma_w: float
    sigma_b: float
    q: float

    @property
    def first(self) -> float:
        """σ_w of the first layer that puts inputs with |a|²/d = 1 on q at once: q = σ_b² + σ_w²."""
        return math.sqrt(max(self.q - self.sigma_b**2, 0.0))

    @property
    def reach(self) -> float:
        """6 ξ_c, as deep as Schoenholz et al. (2017) find networks to train; ∞ on the edge."""
        if self.name.endswith("edge") or "recommended" in self.name:
            return math.inf
        return 6 * mf.MeanField(self.activation, self.sigma_w, self.sigma_b).depth_scales.xi_c


def settings(depth: int) -> list[Setting]:
    """What is compared at a depth. A recommended point depends on it; the others don't."""
    found = []
    for activation, sigma_b, name in (("tanh", SIGMA_B, "tanh, edge"), ("silu", SIGMA_B, "Swish, edge"), ("relu", 0.0, "ReLU, edge")):
        edge = mf.edge_of_chaos(activation, sigma_b=sigma_b)
        found.append(Setting(name, activation, float(edge.sigma_w), sigma_b, float(edge.q)))
    for name, sigma_w in (("tanh, ordered", 1.0), ("tanh, chaotic", 2.0)):
        found.append(Setting(name, "tanh", sigma_w, SIGMA_B, mf.MeanField("tanh", sigma_w, SIGMA_B).q_star))
    found.append(Setting("ReLU, ordered", "relu", 1.0, 0.0, 1.0))  # q halves in each layer; inputs begin where the edge has them
    for activation, name in (("tanh", "tanh, recommended"), ("silu", "Swish, recommended")):
        best = mf.recommend(activation, depth)
        found.append(Setting(name, activation, best.sigma_w, best.sigma_b, best.q))
    return found


@dataclass(frozen=True)
class Trained:
    """The networks of one setting and depth, at the step size that trained others like them best."""

    setting: Setting
    depth: int
    rate: float
    train: np.ndarray  # accuracies, by seed
    test: np.ndarray
    curves: np.ndarray  # loss before each step, (steps, seeds)


def course(
    data: Images,
    setting: Setting,
    depth: int,
    seeds: Sequence[int],
    rates: Sequence[float],
    size: Size,
    kept: Kept | None,
    device: torch.device,
    *,
    when: Collection[int] | None = None,
) -> Course:
    """Networks with these seeds at each of these step sizes, side by side: rates first, then seeds.

    Accuracies are taken after the steps ``when``, at the end if there are none.
    """
    starts = [Start(setting.sigma_w, setting.sigma_b, seed, setting.first) for _ in rates for seed in seeds]
    widths = [data.inputs.shape[1], *[size.width] * depth, int(data.labels.max()) + 1]
    nets = networks(widths, setting.activation, starts, device)
    draw = epochs(data, [start.seed for start in starts], size.batch)

    def look(nets: Networks, step: int) -> dict[str, np.ndarray]:
        return {"train": accuracies(nets, data.inputs, data.labels), "test": accuracies(nets, data.test_inputs, data.test_labels)}

    each = [rate / depth for rate in rates for _ in seeds]
    watched = (size.steps,) if when is None else when
    key = f"{size.width} {depth} {setting.name} {seeds[0]} {size.steps}"
    with command.progress(f"{depth} layers of {size.width}: {setting.name}", size.steps) as tick:
        return descend(nets, draw, each, size.steps, look=look, when=watched, kept=kept, key=key, progress=tick)


def trained(data: Images, setting: Setting, depth: int, size: Size, kept: Kept | None, device: torch.device) -> Trained:
    """Choose the step size on some networks, by training accuracy, and train others with it.

    Seeds are the same in all settings: the i-th networks of two settings start from the same normal numbers, see the same
    examples, and are a pair.
    """
    first = course(data, setting, depth, range(CHOOSING, CHOOSING + size.choosing), size.rates, size, kept, device)
    rate = size.rates[int(np.argmax(first.looks["train"].reshape(len(size.rates), size.choosing).mean(axis=1)))]
    second = course(data, setting, depth, range(size.seeds), (rate,), size, kept, device)
    return Trained(setting, depth, rate, second.looks["train"][0], second.looks["test"][0], second.loss)


def sweep(data: Images, size: Size, kept: Kept | None, device: torch.device, cores: int) -> Iterator[Trained]:
    """Every setting at every depth."""
    parts = [(setting, depth) for depth in size.depths for setting in settings(depth)]
    return side_by_side(lambda part: trained(data, *part, size, kept, device), parts, cores)


def tested(results: Sequence[Trained]) -> list[Claim]:
    """The claims. Each network's number is its training accuracy, averaged over the depths at which the claim is made."""
    depths = sorted({item.depth for item in results})
    ordered, chaotic = (_find(results, name, depths[0]).setting.reach for name in ("tanh, ordered", "tanh, chaotic"))
    deep = [depth for depth in depths if depth >= 30] or depths
    pairs = {
        f"tanh: the edge trains deeper than order (beyond {ordered:.0f} layers)": ("tanh, edge", "tanh, ordered", ordered),
        f"tanh: the edge trains deeper than chaos (beyond {chaotic:.0f} layers)": ("tanh, edge", "tanh, chaotic", chaotic),
        f"tanh on the edge trains better than ReLU on the edge (from {deep[0]} layers)": ("tanh, edge", "ReLU, edge", 0),
        f"ReLU: the edge trains better than order (from {deep[0]} layers)": ("ReLU, edge", "ReLU, ordered", 0),
        f"Swish, recommended, trains better than ReLU on the edge (from {deep[0]} layers)": ("Swish, recommended", "ReLU, edge", 0),
        f"Swish, recommended, trains better than Swish at σ_b = 0.2 (from {deep[0]} layers)": ("Swish, recommended", "Swish, edge", 0),
    }
    groups = {}
    for statement, (better, worse, beyond) in pairs.items():
        there = [depth for depth in depths if depth > beyond and depth in deep] or depths
        groups[statement] = tuple(np.mean([_find(results, name, depth).train for depth in there], axis=0) for name in (better, worse))
    return claims(groups)


def _find(results: Sequence[Trained], name: str, depth: int) -> Trained:
    return next(item for item in results if item.setting.name == name and item.depth == depth)


def rows(results: Sequence[Trained]) -> Iterator[dict[str, Any]]:
    """One for each network."""
    for item in results:
        point = item.setting
        for seed, (train, test) in enumerate(zip(item.train, item.test, strict=True)):
            yield {
                "setting": point.name,
                "depth": item.depth,
                "sigma_w": point.sigma_w,
                "sigma_b": point.sigma_b,
                "q": point.q,
                "six_xi_c": point.reach,
                "rate_times_depth": item.rate,
                "seed": seed,
                "train_accuracy": float(train),
                "test_accuracy": float(test),
            }


LINES = {
    "tanh, edge": ("#14358a", "-", "o"),
    "tanh, recommended": ("#14358a", ":", "s"),
    "tanh, ordered": ("#e6a117", (0, (5, 1.5, 1, 1.5)), "v"),
    "tanh, chaotic": ("#b2182b", (0, (1.2, 1.2)), "^"),
    "Swish, edge": ("#58c2a5", (0, (5, 1.5)), "x"),
    "Swish, recommended": ("#58c2a5", "-", "D"),
    "ReLU, edge": ("0.4", "-", "P"),
    "ReLU, ordered": ("0.6", ":", "<"),
}


def drawn(results: Sequence[Trained], data: Images, size: Size) -> Figure:
    """Accuracy against depth, and learning curves at one depth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, (colour, line, marker) in LINES.items():
        mine = [item for item in results if item.setting.name == name]
        middle = [item.test.mean() for item in mine]
        spread = [item.test.std(ddof=1) if len(item.test) > 1 else 0.0 for item in mine]
        left.errorbar(
            [item.depth for item in mine], middle, spread, color=colour, linestyle=line, marker=marker, markersize=4, capsize=2, label=name
        )
        shown = _find(results, name, size.depths[len(size.depths) // 2])
        window = max(1, len(shown.curves) // 25)
        kernel = np.ones(window) / window
        smooth = np.stack([np.convolve(np.nan_to_num(curve, nan=np.inf), kernel, "valid") for curve in shown.curves.T])
        middle_curve = np.median(smooth, axis=0)
        steps = np.arange(len(middle_curve)) + window
        right.plot(steps, np.where(np.isfinite(middle_curve), middle_curve, np.nan), color=colour, linestyle=line)
    classes = int(data.labels.max()) + 1
    left.axhline(1 / classes, color="0.7", linewidth=0.8)
    right.axhline(math.log(classes), color="0.7", linewidth=0.8)
    left.set(xlabel="hidden layers", ylabel="test accuracy", ylim=(0, 1), xscale="log", xticks=size.depths)
    left.set_xticks(size.depths, [str(depth) for depth in size.depths])
    left.minorticks_off()
    right.set(xlabel="steps", ylabel=f"training loss, {size.depths[len(size.depths) // 2]} layers", ylim=(0, 1.2 * math.log(classes)))
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=7, frameon=False, handlelength=3.2)
    for axes in (left, right):
        axes.tick_params(labelsize=8)
    return figure


def main(words: Sequence[str] | None) -> None:
    """Train, test, draw."""
    parser = command.image_parser(__doc__)
    parser.add_argument("--rates", type=float, nargs="+", help="step sizes times depth to choose from, instead of 0.03, 0.1, 0.3 and 1")
    parser.add_argument("--depths", type=int, nargs="+", help="numbers of hidden layers")
    given = parser.parse_args(words)
    if min(given.rates or [1.0]) <= 0 or min(given.depths or [1]) < 1:
        parser.error("rates and depths must be positive")
    size = SIZES[command.size_name(given)]
    own: dict[str, Any] = {"rates": given.rates, "depths": given.depths, "seeds": given.seeds}
    size = replace(size, **{name: tuple(sorted(value)) if isinstance(value, list) else value for name, value in own.items() if value})
    device = command.device(given)
    data = images(given, device)
    kept = command.kept(given, "train_depth", size, device, data.name)
    results = []
    for item in sweep(data, size, kept, device, command.cores(given, device)):
        results.append(item)
        numbers = (item.train.mean(), item.train.std(), item.test.mean())
        command.log.info("  %s, %d layers: train %.3f ± %.3f, test %.3f", item.setting.name, item.depth, *numbers)
    found_claims = tested(results)
    for claim in found_claims:
        command.log.info("%s", claim)
    command.save(
        given,
        "train_depth",
        drawn(results, data, size),
        {"train_depth": list(rows(results)), "train_depth_claims": claim_rows(found_claims)},
    )
    kept.remove()


if __name__ == "__main__":
    command.run(main)
