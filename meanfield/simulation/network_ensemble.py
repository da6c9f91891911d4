"""Random networks of layers: what is drawn, and how it is split into blocks with random numbers of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.layers.attention import Attention
from meanfield.layers.dense import Convolution
from meanfield.layers.layer import Layer, every
from meanfield.layers.normalise import BatchNorm
from meanfield.layers.pool import AveragePool, GlobalAveragePool
from meanfield.layers.sequence import Repeat, Sequence
from meanfield.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meanfield.theory.network import Network

NUMBERS = 4_000_000  # entries of the matrices of one layer that a block of networks may hold


@dataclass(frozen=True, eq=False, repr=False)
class NetworkEnsemble(Result):
    """Random networks of one description.

    Attributes
    ----------
    network : Network
    width, networks, seed : int
    q : tuple of two floats
        Mean squares of the inputs' components.
    c : float
    gradients : bool
    backend : str
    device : str or None
    """

    network: Network
    width: int
    networks: int
    seed: int
    q: tuple[float, float]
    c: float
    gradients: bool = True
    backend: str = "numpy"
    device: str | None = None
    method: str = "weights"

    weights = "gaussian"

    @property
    def turns(self) -> tuple[Layer, ...]:
        """The layers, repetitions written out: one entry of the result behind each."""
        return tuple(turn for layer in self.network.layers for turn in _turns(layer))

    @property
    def depth(self) -> int:
        """Entries behind the input."""
        return len(self.turns)

    @property
    def batch(self) -> int:
        """Inputs that are looked at."""
        return 2

    @property
    def columns(self) -> int:
        """Inputs that run through a network together: more than two where a batch is normalised or tokens attend to each other."""
        return max([2, *companies(self.network)])

    @property
    def normalises_batch(self) -> bool:
        """Whether a layer normalises over the inputs."""
        return any(isinstance(layer, BatchNorm) for layer in every(self.network.layers))

    @property
    def sites(self) -> int:
        """Sites of the input, on a ring; 1 without convolutions and means over sites."""
        layers = list(every(self.network.layers))
        taps = [layer.taps for layer in layers if isinstance(layer, Convolution)]
        pools = [layer.sites or 1 for layer in layers if isinstance(layer, GlobalAveragePool)]
        left = pools[0] if pools else (max(2 * max(taps), 8) if taps else 1)
        return left * math.prod(map(_window, self.network.layers))

    @property
    def block_size(self) -> int:
        """Networks that are drawn together: from the shapes alone."""
        each = self.width * (self.width if self.method == "weights" else self.columns * self.sites * self.depth)
        return max(1, min(64, NUMBERS // each))

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.networks // self.block_size)

    @property
    def label(self) -> str:
        """What was simulated, in words."""
        return f"{self.networks} networks of {self.depth} layers, width {self.width}, seed {self.seed}"

    def size_of(self, block: int) -> int:
        """Networks in a block: the last may be smaller."""
        return min(self.block_size, self.networks - block * self.block_size)

    def seeds(self, block: int, count: int) -> list[Any]:
        """Independent seeds for one block."""
        return np.random.SeedSequence(self.seed, spawn_key=(block,)).spawn(count)


def companies(network: Network) -> set[int]:
    """How many inputs the layers want that mix inputs: batches and sequences."""
    layers = every(network.layers)
    return {layer.batch if isinstance(layer, BatchNorm) else layer.tokens for layer in layers if isinstance(layer, (BatchNorm, Attention))}


def _turns(layer: Layer) -> Iterator[Layer]:
    if isinstance(layer, Repeat):
        for _ in range(layer.times):
            yield layer.layer
    else:
        yield layer


def _window(layer: Layer) -> int:
    """How many sites become one in it."""
    if isinstance(layer, AveragePool):
        return layer.sites
    if isinstance(layer, Repeat):
        return int(_window(layer.layer) ** layer.times)
    return math.prod(map(_window, layer.layers)) if isinstance(layer, Sequence) else 1
