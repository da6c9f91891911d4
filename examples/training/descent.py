"""Stochastic gradient descent on many networks at once, each with its own step size and its own order of examples."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from training.checkpoint import Kept
from training.images import Images
from training.rules import Plain


class SideBySide(Protocol):
    """K networks as one: what descent needs of ``Networks`` and of ``Stack``."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits (K, B, classes) of (K, B, d)."""

    def parameters(self) -> Iterator[Tensor]:
        """Each with K in front."""

    def __len__(self) -> int: ...


Draw = Callable[[int], tuple[Tensor, Tensor]]
Look = Callable[[Any, int], Mapping[str, np.ndarray]]

KEEP_EVERY = 20.0  # seconds
TRIAL = 50  # steps after which a long part says how long it takes
log = logging.getLogger("training")


@dataclass(frozen=True)
class Course:
    """What became of K networks.

    Attributes
    ----------
    loss : array
        Of each step's mini-batch, before the step: (steps, K).
    looks : dict
        What the look returned, name by name, stacked over the steps at which it was there: (looks, K, …).
    """

    loss: np.ndarray
    looks: dict[str, np.ndarray]


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood of each network, (K,), from (K, B, classes) and (K, B)."""
    each = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return each.view(labels.shape).mean(dim=1)


def descend(
    nets: SideBySide,
    draw: Draw,
    rates: Sequence[float],
    steps: int,
    *,
    rule: type[Plain] = Plain,
    look: Look | None = None,
    when: Collection[int] = (),
    kept: Kept | None = None,
    key: str = "",
    progress: Callable[[], None] | None = None,
) -> Course:
    """Gradient descent, plain or by another rule, in place, with a look after each of the steps ``when`` (0 is the start).

    The sum of the losses has the k-th network's gradient in the k-th block, so one network's overflow stays its own.
    With ``kept`` it begins where an earlier run with this ``key`` was interrupted. The result has the same bits as without
    the interruption: ``draw`` knows a step's examples from its number alone, and there is no other state than the weights and
    the rule's memory.
    """
    parameters = list(nets.parameters())
    descent = rule(parameters, rates)
    state = {"parameter": parameters, "memory": descent.memory}
    seen: dict[str, list[np.ndarray]] = {}
    curve = np.full((steps, len(nets)), np.nan, dtype=np.float32)
    done = -1  # the steps whose looks are taken, too
    saved = kept.load(key) if kept is not None else None
    if saved is not None:
        done, curve = int(saved["done"]), saved["loss"]
        seen = {name.removeprefix("look "): list(values) for name, values in saved.items() if name.startswith("look ")}
        with torch.no_grad():
            for kind, tensors in state.items():
                for number, tensor in enumerate(tensors if f"{kind} 0" in saved else ()):
                    tensor.copy_(torch.from_numpy(saved[f"{kind} {number}"]))
        for _ in range(done if progress else 0):
            progress()  # type: ignore[misc]
    if done < 0:
        _look(nets, 0, look, when, seen)
        done = 0
    begun = last = time.monotonic()
    for step in range(done, steps):
        inputs, labels = draw(step)
        loss = losses(nets(inputs), labels)
        gradients = torch.autograd.grad(loss.sum(), parameters)
        with torch.no_grad():
            descent(step, parameters, gradients)
        curve[step] = loss.detach().cpu().numpy()
        _look(nets, step + 1, look, when, seen)
        if kept is not None and step + 1 < steps and time.monotonic() - last >= KEEP_EVERY:
            numbers = {f"{kind} {k}": each.detach().cpu().numpy() for kind, tensors in state.items() for k, each in enumerate(tensors)}
            kept.save(key, {**_state(step + 1, curve, seen), **numbers})
            last = time.monotonic()
        if progress is not None:
            progress()
        if step + 1 == done + TRIAL and (left := (time.monotonic() - begun) / TRIAL * (steps - step - 1)) > 60:
            log.info("  about %.0f minutes for this part", left / 60)
    if kept is not None and done < steps:
        kept.save(key, _state(steps, curve, seen))  # what is finished needs its weights no longer
    return Course(curve, {name: np.stack(values) for name, values in seen.items()})


def _look(nets: SideBySide, step: int, look: Look | None, when: Collection[int], seen: dict[str, list[np.ndarray]]) -> None:
    if look is not None and step in when:
        for name, value in look(nets, step).items():
            seen.setdefault(name, []).append(value)


def _state(done: int, curve: np.ndarray, seen: Mapping[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    looks = {f"look {name}": np.stack(values) for name, values in seen.items()}
    return {"done": np.array(done), "loss": curve, **looks}


def epochs(data: Images, seeds: Sequence[int], batch: int) -> Draw:
    """Mini-batches from epochs in random order; networks with one seed see one order.

    The examples of a step depend on its number and the seed alone.
    """
    orders = {seed: _Order(seed, len(data.labels)) for seed in dict.fromkeys(seeds)}
    column = [list(orders).index(seed) for seed in seeds]

    def draw(step: int) -> tuple[Tensor, Tensor]:
        rows = np.stack([order.between(step * batch, (step + 1) * batch) for order in orders.values()])
        chosen = torch.from_numpy(rows[column]).to(data.inputs.device)
        return data.inputs[chosen], data.labels[chosen]

    return draw


class _Order:
    """0 … count − 1 in random order, then again in another one, without end."""

    def __init__(self, seed: int, count: int) -> None:
        self.seed, self.count = seed, count
        self._begin()

    def _begin(self) -> None:
        self._stream = np.random.default_rng([self.seed, 1])
        self._first, self._numbers = 0, np.empty(0, dtype=np.int64)  # numbers at places first, first + 1, …

    def between(self, start: int, stop: int) -> np.ndarray:
        if start < self._first:
            self._begin()
        while self._first + len(self._numbers) < stop:
            drop = min(max(start - self._first, 0), len(self._numbers))
            self._first, self._numbers = self._first + drop, np.append(self._numbers[drop:], self._stream.permutation(self.count))
        return self._numbers[start - self._first : stop - self._first]


def accuracies(nets: SideBySide, inputs: Tensor, labels: Tensor, rows: int = 512) -> np.ndarray:
    """The share that each network gets right, (K,); a network whose outputs are not finite gets nothing right."""
    right = torch.zeros(len(nets), device=inputs.device)
    with torch.no_grad():
        for start in range(0, len(labels), rows):
            logits = nets(inputs[start : start + rows].expand(len(nets), -1, -1))
            hits = (logits.argmax(dim=2) == labels[start : start + rows]) & torch.isfinite(logits).all(dim=2)
            right += hits.sum(dim=1)
    shares: np.ndarray = (right / len(labels)).cpu().numpy()
    return shares
