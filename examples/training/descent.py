"""Stochastic gradient descent on many networks at once, each with its own step size and its own order of examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from training.digits import Images
from training.networks import Networks

Draw = Callable[[int], tuple[Tensor, Tensor]]


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood of each network, (K,), from (K, B, classes) and (K, B)."""
    each = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return each.view(labels.shape).mean(dim=1)


def descend(
    nets: Networks, draw: Draw, rates: Tensor, steps: int, progress: Callable[[], None] | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Plain gradient descent; after each step it hands out (steps done, losses before that step).

    The sum of the losses has the k-th network's gradient in the k-th block, so one network's overflow stays its own.
    """
    parameters = list(nets.parameters())
    factor = -rates.view(-1, 1, 1)
    for step in range(steps):
        inputs, labels = draw(step)
        loss = losses(nets(inputs), labels)
        gradients = torch.autograd.grad(loss.sum(), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.addcmul_(gradient, factor)
        if progress is not None:
            progress()
        yield step + 1, loss.detach()


def epochs(data: Images, seeds: Sequence[int], batch: int) -> Draw:
    """Mini-batches from epochs in random order; networks with one seed see one order."""
    count = len(data.labels)
    own = {seed: np.random.default_rng([seed, 1]) for seed in dict.fromkeys(seeds)}
    queues = {seed: np.empty(0, dtype=np.int64) for seed in own}
    column = [list(own).index(seed) for seed in seeds]

    def draw(step: int) -> tuple[Tensor, Tensor]:
        for seed, stream in own.items():
            while len(queues[seed]) < batch:
                queues[seed] = np.concatenate([queues[seed], stream.permutation(count)])
        rows = np.stack([queues[seed][:batch] for seed in own])
        for seed in own:
            queues[seed] = queues[seed][batch:]
        chosen = torch.from_numpy(rows[column]).to(data.inputs.device)
        return data.inputs[chosen], data.labels[chosen]

    return draw


def accuracies(nets: Networks, inputs: Tensor, labels: Tensor, rows: int = 512) -> np.ndarray:
    """The share that each network gets right, (K,); a network whose outputs are not finite gets nothing right."""
    right = torch.zeros(len(nets), device=inputs.device)
    with torch.no_grad():
        for start in range(0, len(labels), rows):
            logits = nets(inputs[start : start + rows].expand(len(nets), -1, -1))
            hits = (logits.argmax(dim=2) == labels[start : start + rows]) & torch.isfinite(logits).all(dim=2)
            right += hits.sum(dim=1)
    shares: np.ndarray = (right / len(labels)).cpu().numpy()
    return shares
