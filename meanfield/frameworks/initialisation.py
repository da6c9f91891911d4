"""What was done to which layer, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.result import Result, folded, paged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.arrays import Array


@dataclass(frozen=True, eq=False, repr=False)
class LayerInitialisation(Result):
    """What one layer was given.

    Attributes
    ----------
    name : str
        Its qualified name in the model.
    kind : str
        "Linear", "Conv2d", …
    shape : tuple of int
        Of its weight.
    fan_in : float
        Products summed in one output.
    activation : str
        Of the activation that follows; "" for an output layer.
    sigma_w, sigma_b : float
        W has standard deviation sigma_w/√fan_in, b has sigma_b.
    q : float
        The pre-activation variance to expect, infinite width.
    note : str
    method : str
        "theory"; "convention" where a normalisation right behind undoes the scale; "measured" where theory does not tell E[x²] and a batch
        does; "guess" where there was no batch; "kept" where weights are 0 by design; "scheme" where one was asked for.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    fan_in: float
    activation: str
    sigma_w: float
    sigma_b: float
    q: float
    note: str
    method: str = "theory"


@dataclass(frozen=True, eq=False, repr=False)
class Initialisation(Result):
    """The layers that were initialised, in the order in which signals meet them; ``str`` is a table.

    Attributes
    ----------
    layers : tuple of LayerInitialisation
    depth : int
        For which the recommendation was made.
    orthogonal : bool
    left_alone : tuple of str
        Weight layers that were not touched, and why.
    notes : tuple of str
        About the model as a whole.
    scheme : str
    """

    layers: tuple[LayerInitialisation, ...]
    depth: int
    orthogonal: bool
    left_alone: tuple[str, ...]
    notes: tuple[str, ...] = ()
    scheme: str = ""

    @property
    def methods(self) -> dict[str, int]:
        """How many layers were initialised in which way."""
        return {word: sum(layer.method == word for layer in self.layers) for word in dict.fromkeys(layer.method for layer in self.layers)}

    @property
    def sigma_w(self) -> Array:
        """Of each layer."""
        return np.array([layer.sigma_w for layer in self.layers], dtype=np.float64)

    @property
    def sigma_b(self) -> Array:
        """Of each layer."""
        return np.array([layer.sigma_b for layer in self.layers], dtype=np.float64)

    @property
    def q(self) -> Array:
        """Expected pre-activation variance of each layer."""
        return np.array([layer.q for layer in self.layers], dtype=np.float64)

    def _columns(self) -> dict[str, Any]:
        names = ("name", "kind", "fan_in", "activation", "sigma_w", "sigma_b", "q", "method", "note")
        shapes = {"shape": ["×".join(map(str, layer.shape)) for layer in self.layers]}
        return {name: [getattr(layer, name) for layer in self.layers] for name in names} | shapes

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[LayerInitialisation]:
        return iter(self.layers)

    def __getitem__(self, name: str | int) -> LayerInitialisation:
        if isinstance(name, int):
            return self.layers[name]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise DomainError(f"{name!r} names no layer that was initialised; there are {', '.join(layer.name for layer in self.layers)}")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw it: see `meanfield.plot.initialisation`."""
        from meanfield.plot.initialisation import initialisation

        return initialisation(self, ax)

    def __str__(self) -> str:
        notes = list(dict.fromkeys(layer.note for layer in self.layers if layer.note))
        rows = folded([(layer.name, _row(layer, notes)) for layer in self.layers], ROWS)
        wide = min(max([5, *(len(name) for name, _ in rows)]), 24)
        lines = [
            f"{len(self.layers)} layers, {'orthogonal' if self.orthogonal else 'normal'} weights, for depth {self.depth}"
            + (f", {self.scheme}" if self.scheme else "")
            + ("" if set(self.methods) <= {"theory"} else ": " + ", ".join(f"{count} by {word}" for word, count in self.methods.items())),
            f"{'layer':<{wide}}  {'kind':<7} {'fan_in':>7} {'act.':<8} {'σ_w':>8} {'σ_b':>8} {'q':>8}",
        ]
        lines += [f"{name if len(name) <= wide else name[: wide - 1] + '…':<{wide}}  {text}" for name, text in rows]
        lines.extend(f"[{number}] {note}" for number, note in enumerate(notes, start=1))
        lines.extend(f"left alone: {text}" for text in self.left_alone)
        lines.extend(f"note: {text}" for text in self.notes)
        return paged("\n".join(lines), hang=2)


ROWS = 14  # of the table that a person is shown; `to_frame` has all


def _row(layer: LayerInitialisation, notes: list[str]) -> str:
    """What one layer was given."""
    mark = "" if layer.method == "theory" else f" {layer.method}"
    mark += f" [{notes.index(layer.note) + 1}]" if layer.note else ""
    act = layer.activation or "(output)"
    return (
        f"{layer.kind[:7]:<7} {layer.fan_in:>7.6g} {act if len(act) <= 8 else act[:7] + '…':<8} "
        f"{layer.sigma_w:>8.5g} {layer.sigma_b:>8.5g} {layer.q:>8.4g}{mark}"
    )
