"""How often `diagnose` reports a model that `init_` has just drawn: python -m tests.frameworks.false_alarms --seeds 1"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from itertools import product

import torch
from torch import nn

from meanfield.frameworks.torch import diagnose, init_

ACTIVATIONS = (
    nn.Tanh,
    nn.ReLU,
    nn.Sigmoid,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.ELU,
    nn.SELU,
    nn.LeakyReLU,
    nn.Hardtanh,
    nn.Softsign,
    nn.CELU,
)


def dense(act: type[nn.Module], depth: int, width: int, rate: float = 0.0) -> nn.Module:
    """Fully connected, with dropout behind each activation where its rate is above 0."""
    drop = [nn.Dropout] if rate else []
    sizes = [30, *[width] * (depth - 1)]
    hidden = [part for n in sizes[:-1] for part in (nn.Linear(n, width), act(), *(kind(rate) for kind in drop))]
    return nn.Sequential(*hidden, nn.Linear(width, 10))


def convolutional(act: type[nn.Module], depth: int, channels: int) -> nn.Module:
    """3 × 3 kernels, circular."""
    sizes = [3, *[channels] * (depth - 1)]
    hidden = [part for n in sizes[:-1] for part in (nn.Conv2d(n, channels, 3, padding=1, padding_mode="circular"), act())]
    return nn.Sequential(*hidden, nn.Flatten(), nn.Linear(36 * channels, 10))


class Residual(nn.Module):
    """x + W₂ φ(W₁ x), without normalisation."""

    def __init__(self, act: type[nn.Module], blocks: int, width: int) -> None:
        super().__init__()
        self.act, self.stem, self.head = act(), nn.Linear(30, width), nn.Linear(width, 10)
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(self.act(first(x)))
        answer: torch.Tensor = self.head(x)
        return answer


MODELS = {
    "dense, depth 4, width 20": lambda act: (dense(act, 4, 20), (16, 30)),
    "dense, depth 50, width 100": lambda act: (dense(act, 50, 100), (16, 30)),
    "dense, depth 12, width 60, dropout 0.3": lambda act: (dense(act, 12, 60, 0.3), (16, 30)),
    "convolutional, depth 8, 24 channels": lambda act: (convolutional(act, 8, 24), (8, 3, 6, 6)),
    "residual, 6 blocks, width 50": lambda act: (Residual(act, 6, 50), (16, 30)),
}


def healthy_models(seeds: int) -> Iterator[tuple[str, nn.Module, torch.Tensor]]:
    """Every model, normal and orthogonal, drawn by `init_`, and a batch of inputs for it."""
    for seed, (name, make), act, orthogonal in product(range(seeds), MODELS.items(), ACTIVATIONS, (False, True)):
        model, shape = make(act)
        init_(model, seed=seed, orthogonal=orthogonal)
        yield f"{name}, {act.__name__}{', orthogonal' if orthogonal else ''}, seed {seed}", model, torch.randn(shape)


def main() -> None:
    """Print what was reported, and how many models there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    seeds = parser.parse_args().seeds
    torch.manual_seed(0)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    models = reported = 0
    try:
        for name, model, x in healthy_models(seeds):
            found = diagnose(model, x, seed=models)
            models += 1
            if not found.healthy:
                reported += 1
                print(f"{name}: {found.verdict}", flush=True)
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        print(f"{reported} of {models} healthy models reported", flush=True)


if __name__ == "__main__":
    main()
