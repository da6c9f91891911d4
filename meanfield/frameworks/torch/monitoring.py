"""What Glorot & Bengio watched, through training: variance, correlation, gradient and saturation of each layer, every few steps."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.frameworks.torch.installed import checked_model, torch
from meanfield.frameworks.torch.weight_layers import is_weight_layer

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from matplotlib.axes import Axes

COLUMNS = ("step", "layer", "variance", "mean", "correlation", "gradient", "weight", "update")
QUANTITIES = COLUMNS[2:]


class Monitor:
    """Follows a model's weight layers while it trains; see `monitor`.

    Attributes
    ----------
    rows : list of dict
        One for each layer and step that was looked at: "step", "layer", "variance", "mean" and "correlation" (over neighbouring inputs) of
        its output, "gradient" (mean square of ∂E/∂h), "weight" (root mean square), "update" (that of its change since the last look, over
        "weight").
    """

    def __init__(self, model: Any, every: int, path: Path | None, writer: Any) -> None:
        self.rows: list[dict[str, Any]] = []
        self.every, self.path, self.writer = every, path, writer
        self.step = -1
        self._layers = {name: module for name, module in model.named_modules() if is_weight_layer(module)}
        self._now: dict[str, dict[str, Any]] = {}
        self._before: dict[str, Any] = {}
        self._written = 0
        self._handles = [model.register_forward_pre_hook(self._begin)]
        for name, layer in self._layers.items():
            self._handles.append(layer.register_forward_hook(self._of(name)))

    def _begin(self, model: Any, inputs: Any) -> None:
        """A training step begins: what the last one showed is complete."""
        if not (model.training and torch().is_grad_enabled()):
            return
        self._end()
        self.step += 1

    def _of(self, name: str) -> Any:
        def seen(layer: Any, inputs: Any, output: Any) -> None:
            t = torch()
            looked = self.step >= 0 and self.step % self.every == 0 and name not in self._now
            if not (looked and layer.training and t.is_grad_enabled() and output.is_floating_point() and output.numel()):
                return
            h = output.detach().float()
            square = float(h.square().mean())
            pair = float((h * h.roll(1, 0)).mean()) if h.dim() > 1 and h.shape[0] > 1 else math.nan
            size = float(layer.weight.detach().float().square().mean().sqrt())
            weight = layer.weight.detach().reshape(-1)[:4096].float().clone()
            change = math.nan
            if name in self._before and size > 0.0:
                change = float((weight - self._before[name]).square().mean().sqrt()) / size
            self._before[name] = weight
            row = {
                "step": self.step,
                "layer": name,
                "variance": square,
                "mean": float(h.mean()),
                "correlation": pair / square if square > 0.0 else math.nan,
                "gradient": math.nan,
                "weight": size,
                "update": change,
            }
            self._now[name] = row
            if output.requires_grad:

                def keep(gradient: Any) -> None:
                    row["gradient"] = float(gradient.detach().float().square().mean())

                output.register_hook(keep)

        return seen

    def _end(self) -> None:
        self.rows.extend(self._now.values())
        self._now = {}
        new = self.rows[self._written :]
        if self.path is not None and new:
            fresh = self._written == 0
            with self.path.open("w" if fresh else "a", newline="", encoding="utf-8") as file:
                table = csv.DictWriter(file, COLUMNS)
                if fresh:
                    table.writeheader()
                table.writerows(new)
        if self.writer is not None:
            for row in new:
                for word in QUANTITIES:
                    if math.isfinite(row[word]):
                        self.writer.add_scalar(f"{word}/{row['layer'] or 'layer'}", row[word], row["step"])
        self._written = len(self.rows)

    def close(self) -> None:
        """Take the hooks off, and write what is left; the rows stay."""
        self._end()
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def column(self, quantity: str, layer: str) -> tuple[Any, Any]:
        """Steps, and a quantity of one layer at them, as arrays."""
        if quantity not in QUANTITIES:
            raise DomainError(f"quantity = {quantity!r} is unknown; give one of {', '.join(QUANTITIES)}")
        if layer not in self._layers:
            raise DomainError(f"layer = {layer!r} is no weight layer of the model; they are {', '.join(self._layers)}")
        rows = [row for row in (*self.rows, *self._now.values()) if row["layer"] == layer]
        return np.array([row["step"] for row in rows], dtype=np.int64), np.array([row[quantity] for row in rows], dtype=np.float64)

    def plot(self, ax: Axes | None = None, quantity: str = "gradient") -> Axes:
        """Draw a quantity of all layers against the step: see `meanfield.plot.training`."""
        from meanfield.plot.training import training

        return training(self, ax, quantity=quantity)

    def __repr__(self) -> str:
        return f"Monitor({len(self._layers)} layers, {len(self.rows) + len(self._now)} rows, every {self.every} steps)"


def monitor(model: Any, every: int = 100, path: Any = None, writer: Any = None) -> Monitor:
    """Watch a model's weight layers while it trains.

    Parameters
    ----------
    model : torch.nn.Module
        Hooks are put on it; nothing that it computes changes. Call ``close()``, or use it in a ``with``, to take them off.
    every : int
        Look at every so many training steps: forward passes in training mode with gradients on.
    path : str or path, optional
        A CSV file, written as training goes on.
    writer : optional
        With a method ``add_scalar(tag, value, step)``, as ``torch.utils.tensorboard.SummaryWriter`` has.

    Returns
    -------
    Monitor
        ``.rows``, ``.column(quantity, layer)``, ``.plot(quantity=…)``.

    Raises
    ------
    DomainError
        If `every` is not a whole number from 1 on, or the model has no Linear or convolution layer.

    Notes
    -----
    A look costs a few sums over each layer's output. The gradient is known after ``backward()``, so that the rows of a step are written
    when the next one begins. In Lightning: ``on_fit_start`` makes it, ``on_fit_end`` closes it.

    References
    ----------
    Glorot & Bengio (2010), figures 2, 3, 6 and 7.

    Examples
    --------
    >>> import torch
    >>> from meanfield.frameworks.torch import monitor
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with monitor(model, every=10) as watched:
    ...     for _ in range(21):
    ...         optimizer.zero_grad()
    ...         model(torch.ones(2, 4)).square().mean().backward()
    ...         _ = optimizer.step()
    >>> watched.column("gradient", "2")[0].tolist()
    [0, 10, 20]
    """
    plain = checked_model(model)
    if isinstance(every, bool) or not hasattr(every, "__index__") or int(every) < 1:
        raise DomainError(f"every = {every!r} is out of range: a whole number of steps from 1 on")
    if writer is not None and not hasattr(writer, "add_scalar"):
        raise DomainError("writer has no add_scalar(tag, value, step)")
    if not any(is_weight_layer(module) for module in plain.modules()):
        raise DomainError(f"model = {type(plain).__name__} holds no Linear or convolution layer")
    return Monitor(plain, int(every), None if path is None else Path(path), writer)
