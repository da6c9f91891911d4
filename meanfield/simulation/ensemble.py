"""What is simulated: networks of one kind, and how they are split into blocks with random numbers of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.result import Result

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

SMALLEST = 1e-290  # mean squares below this have lost digits to underflow: correlations are left out there


@dataclass(frozen=True, eq=False, repr=False)
class Ensemble(Result):
    """Random networks of one kind.

    Attributes
    ----------
    activation : Activation
    sigma_w, sigma_b : float
    widths : tuple of int
        Units of h⁰ … h^L.
    networks, seed : int
    method : {"conditional", "weights"}
    weights : {"gaussian", "orthogonal", "uniform"}
    gradients : bool
    start : ndarray of shape (R, B), R ≤ B
        Rows of h⁰ are N(0, startᵀ start).
    inputs : ndarray of shape (B, d) or None
        Where given, h⁰ = W a + b.
    backend : str
    device : str or None
    """

    activation: Activation
    sigma_w: float
    sigma_b: float
    widths: tuple[int, ...]
    networks: int
    seed: int
    method: str
    weights: str
    gradients: bool
    start: Array
    inputs: Array | None = None
    backend: str = "numpy"
    device: str | None = None

    @property
    def depth(self) -> int:
        """L."""
        return len(self.widths) - 1

    @property
    def batch(self) -> int:
        """B, the number of inputs."""
        return int(self.start.shape[1])

    @property
    def label(self) -> str:
        """What was simulated, in words."""
        shape = f"width {self.widths[0]}" if len(set(self.widths)) == 1 else f"widths {self.widths[0]} … {self.widths[-1]}"
        networks = f"{self.networks} network{'s' * (self.networks > 1)}"
        return f"{networks}, {self.activation.name}, σ_w = {self.sigma_w:g}, σ_b = {self.sigma_b:g}, {shape}, depth {self.depth}"

    @property
    def block_size(self) -> int:
        """Networks that are drawn together: from the shapes alone, so that no number depends on who draws them."""
        widest = max(self.widths)
        statistics = (self.depth + 1) * (2 * self.batch * self.batch + 1)
        if self.method == "conditional":
            per_network = widest * self.batch
        else:
            before = self.widths[:-1] if self.inputs is None else (self.inputs.shape[1], *self.widths[:-1])
            after = self.widths[1:] if self.inputs is None else self.widths
            per_network = max((n * m for n, m in zip(before, after, strict=True)), default=widest * self.batch) // 8 + 1
        return max(1, min(1024, 16_384 // per_network, 1_000_000 // statistics))

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.networks // self.block_size)

    def size_of(self, block: int) -> int:
        """Networks in a block: the last may be smaller."""
        return min(self.block_size, self.networks - block * self.block_size)

    def seeds(self, block: int, count: int) -> list[Any]:
        """Independent seeds for one block."""
        return np.random.SeedSequence(self.seed, spawn_key=(block,)).spawn(count)


@dataclass(frozen=True)
class Samples:
    """What each network of a block did; index 0 of the first axis is the network, of the second the layer.

    Attributes
    ----------
    gram : ndarray of shape (networks, depth + 1, B, B)
        Layer averages of h_a h_b.
    epsilon : ndarray of shape (networks, depth + 1, B, B)
        1 − c of the network's own ratio; NaN for 0/0.
    log_gradient : ndarray of shape (networks, depth + 1) or None
        log |δ^l|²/|δ^L|² of the first input; −inf for 0, NaN where the forward pass overflowed.
    """

    gram: Array
    epsilon: Array
    log_gradient: Array | None
