"""
Which initialisations train, over the phase diagram
===================================================

After Schoenholz, Gilmer, Ganguli & Sohl-Dickstein (2017): tanh networks at σ_b² = 0.05 learn real images at many σ_w and
depths. Theory says that information reaches some 6 ξ_c layers deep, ξ_c the depth scale of correlations; the line is drawn
over what trains. Minutes on one core::

    python examples/train_phase.py
    python examples/train_phase.py --full --mnist FOLDER

The training page shows the figure and the numbers. The data, the networks and the tests of significance are in ``examples/training``.
"""

# sphinx_gallery_thumbnail_path = 'images/train_phase.png'

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from training import command
from training.checkpoint import Kept
from training.cores import side_by_side
from training.descent import accuracies, descend, epochs
from training.evidence import permutation_p, stratified_p
from training.images import Images, images
from training.networks import Networks, Start, networks

import meanfield as mf

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGMA_B = math.sqrt(0.05)
RATE = 0.3  # times 1/depth; the same everywhere, as in the paper
GROUPS = 3  # of σ_w's, each trained by itself


@dataclass(frozen=True)
class Size:
    """How much to train."""

    variances: tuple[float, ...]  # σ_w²; the edge's own is added
    depths: tuple[int, ...]
    width: int
    batch: int
    looks: tuple[int, ...]  # steps after which accuracies are taken
    seeds: int


SIZES = {
    "smoke": Size((1.0, 4.0), (2, 4), 8, 8, (2, 4), 2),
    "default": Size((1.0, 1.2, 1.4, 1.6, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0), (5, 10, 20, 30, 40, 55, 75, 100), 80, 32, (100, 400), 5),
    "full": Size(tuple(np.arange(1.0, 4.01, 0.125)), tuple(range(10, 301, 10)), 300, 64, (500, 5_000, 50_000), 5),
}


@dataclass(frozen=True)
class Trained:
    """Training accuracies, (looks, depths, σ_w's, seeds), and where they were taken."""

    sigma_w: np.ndarray
    depths: np.ndarray
    looks: tuple[int, ...]
    accuracy: np.ndarray
    six_xi: np.ndarray  # 6 ξ_c at each σ_w
    edge: float  # the edge's σ_w


def trained(data: Images, size: Size, kept: Kept | None, device: torch.device, cores: int) -> Trained:
    """Some σ_w's of one depth, with all seeds, in one batch."""
    edge = float(mf.edge_of_chaos("tanh", sigma_b=SIGMA_B).sigma_w)
    sigma_w = np.sort(np.append(np.sqrt(size.variances), edge))
    points = [mf.MeanField("tanh", float(sigma), SIGMA_B) for sigma in sigma_w]
    # On the edge ξ_c is infinite; rounding of σ_w alone would make it some 10¹¹.
    six_xi = np.array([math.inf if sigma == edge else 6 * point.depth_scales.xi_c for sigma, point in zip(sigma_w, points, strict=True)])

    def look(nets: Networks, step: int) -> dict[str, np.ndarray]:
        return {"accuracy": accuracies(nets, data.inputs, data.labels)}

    # The first layer's σ_w puts inputs with |a|²/d = 1 on q* at once. No two networks of a depth share a seed.
    starts = [
        [Start(float(sigma), SIGMA_B, 1000 * column + seed, math.sqrt(max(point.q_star - SIGMA_B**2, 0.0))) for seed in range(size.seeds)]
        for column, (sigma, point) in enumerate(zip(sigma_w, points, strict=True))
    ]

    def accuracies_of(part: tuple[int, np.ndarray]) -> np.ndarray:
        row, columns = part
        depth, mine = size.depths[row], [start for column in columns for start in starts[column]]
        nets = networks([data.inputs.shape[1], *[size.width] * depth, int(data.labels.max()) + 1], "tanh", mine, device)
        draw = epochs(data, [start.seed for start in mine], size.batch)
        label, rates = f"{depth} layers, σ_w² from {sigma_w[columns[0]] ** 2:.3g}", [RATE / depth] * len(mine)
        with command.progress(label, size.looks[-1]) as tick:
            key = f"{depth} {columns[0]}"
            course = descend(nets, draw, rates, size.looks[-1], look=look, when=size.looks, kept=kept, key=key, progress=tick)
        found: np.ndarray = course.looks["accuracy"].reshape(len(size.looks), len(columns), size.seeds)
        return found

    # Deep ones first: they take longest, and a core that is done early would wait for them.
    parts = [(row, columns) for row in reversed(range(len(size.depths))) for columns in np.array_split(np.arange(len(points)), GROUPS)]
    accuracy = np.empty((len(size.looks), len(size.depths), len(points), size.seeds))
    for (row, columns), found in zip(parts, side_by_side(accuracies_of, parts, cores), strict=True):
        accuracy[:, row, columns] = found
        command.log.info("  %d layers: %s", size.depths[row], np.array2string(found[-1].mean(axis=1), precision=2))
    return Trained(sigma_w, np.array(size.depths), size.looks, accuracy, six_xi, edge)


def deepest(result: Trained, look: int = -1, level: float = 0.5) -> np.ndarray:
    """For each σ_w and seed the largest depth that reached the level, with all shallower ones; 0 if none did: (σ_w's, seeds)."""
    reached = np.logical_and.accumulate(result.accuracy[look] >= level, axis=0)
    found: np.ndarray = np.where(reached, result.depths[:, None, None], 0).max(axis=0)
    return found


def half_depths(result: Trained, look: int = -1) -> np.ndarray:
    """For each σ_w the depth at which the mean accuracy falls through ½, between two depths on a straight line; NaN if it does not."""
    found = np.full(len(result.sigma_w), np.nan)
    for column, mean in enumerate(result.accuracy[look].mean(axis=2).T):
        below = np.flatnonzero(mean < 0.5)
        if below.size and below[0] > 0:
            last, first = below[0] - 1, below[0]
            share = (mean[last] - 0.5) / (mean[last] - mean[first])
            found[column] = result.depths[last] + share * (result.depths[first] - result.depths[last])
    return found


def findings(result: Trained, look: int = -1) -> dict[str, float]:
    """What the last look says: inside against outside 6 ξ_c at equal depth, the edge against the rest, and the rank correlation."""
    from scipy.stats import spearmanr

    inside = result.depths[:, None] < result.six_xi[None, :]
    mean = result.accuracy[look].mean(axis=2)
    mixed = [row for row in range(len(mean)) if 0 < inside[row].sum() < inside.shape[1]]
    column = int(np.argmin(abs(result.sigma_w - result.edge)))
    others = [k for k in range(len(result.sigma_w)) if result.six_xi[k] < result.depths[-1]]
    own = result.accuracy[look, -1, column]
    gaps = [permutation_p(own, result.accuracy[look, -1, k]) for k in others]
    off = np.isfinite(result.six_xi)
    limit = deepest(result, look)[off]
    rank = spearmanr(np.repeat(result.six_xi[off], limit.shape[1]), limit.ravel()) if np.ptp(limit) > 0 else None
    # Where 6 ξ_c is beyond the largest depth, width and steps set the limit, not ξ_c.
    half = 6 * half_depths(result, look)[others] / result.six_xi[others]
    half = half[np.isfinite(half)]
    return {
        "half_depth_over_xi_c": float(half.mean()) if half.size else math.nan,
        "half_depth_over_xi_c_deviation": float(half.std(ddof=1)) if half.size > 1 else math.nan,
        "inside": float(np.mean([mean[row][inside[row]].mean() for row in mixed])) if mixed else math.nan,
        "outside": float(np.mean([mean[row][~inside[row]].mean() for row in mixed])) if mixed else math.nan,
        "inside_p": stratified_p([mean[row] for row in mixed], [inside[row] for row in mixed]) if mixed else 1.0,
        "edge": float(own.mean()),
        "off_edge": float(mean[-1][others].mean()) if others else math.nan,
        "edge_p": max(gaps, default=1.0),  # the edge must beat each of them, so the largest p counts as it is
        "rank_correlation": float(rank.statistic) if rank else 0.0,
        "rank_p": float(rank.pvalue) if rank else 1.0,
    }


def rows(result: Trained) -> Iterator[dict[str, Any]]:
    """One for each σ_w, depth and look."""
    for k, sigma in enumerate(result.sigma_w):
        for row, depth in enumerate(result.depths):
            for look, steps in enumerate(result.looks):
                cell = result.accuracy[look, row, k]
                yield {
                    "sigma_w_squared": float(sigma**2),
                    "six_xi_c": float(result.six_xi[k]),
                    "depth": int(depth),
                    "steps": steps,
                    "train_accuracy": float(cell.mean()),
                    "standard_deviation": float(cell.std(ddof=1)) if cell.size > 1 else math.nan,
                    "networks": cell.size,
                }


def drawn(result: Trained) -> Figure:
    """Training accuracy as colour, one picture for each look, 6 ξ_c on top."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    pictures = figure.subplots(1, len(result.looks), sharey=True, squeeze=False)[0]
    fine = np.unique(np.append(np.linspace(result.sigma_w[0], result.sigma_w[-1], 400), result.edge + np.linspace(-0.02, 0.02, 200)))
    fine = fine[(fine >= result.sigma_w[0]) & (fine <= result.sigma_w[-1])]
    line = 6 * mf.phase_diagram("tanh", fine, SIGMA_B).xi_c[0]
    variances, depths = result.sigma_w**2, _borders(result.depths.astype(float))
    for axes, steps, accuracy in zip(pictures, result.looks, result.accuracy, strict=True):
        image = axes.pcolormesh(_borders(variances), depths, accuracy.mean(axis=2), cmap="viridis", vmin=0, vmax=1, rasterized=True)
        axes.plot(fine**2, line, color="white", linewidth=2.5)
        axes.plot(fine**2, line, color="black", linestyle="--", linewidth=1.2)
        axes.axvline(result.edge**2, color="white", linestyle=":", linewidth=1)
        axes.set(title=f"after {steps} steps", xlabel=r"$\sigma_w^2$", ylim=(depths[0], depths[-1]))
        axes.title.set_fontsize(9)
        axes.tick_params(labelsize=8)
    pictures[0].set_ylabel("hidden layers")
    figure.colorbar(image, ax=pictures, label=r"training accuracy;  dashed: $6\,\xi_c$").ax.tick_params(labelsize=8)
    return figure


def _borders(centres: np.ndarray) -> np.ndarray:
    """Cell borders half-way between the centres."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[centres[0] - (middle[0] - centres[0])], middle, [centres[-1] + (centres[-1] - middle[-1])]])


def main(words: Sequence[str] | None) -> None:
    """Train, test, draw."""
    given = command.image_parser(__doc__).parse_args(words)
    size = SIZES[command.size_name(given)]
    if given.seeds:
        size = replace(size, seeds=given.seeds)
    device = command.device(given)
    data = images(given, device)
    kept = command.kept(given, "train_phase", size, device, data.name)
    result = trained(data, size, kept, device, command.cores(given, device))
    for look, steps in enumerate(result.looks):
        for name, value in findings(result, look).items():
            command.log.info("after %d steps, %s: %.3g", steps, name, value)
    command.save(given, "train_phase", drawn(result), {"train_phase": list(rows(result))})
    kept.remove()


if __name__ == "__main__":
    command.run(main)
