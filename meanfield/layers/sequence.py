"""Layers one behind the other, and the same one many times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meanfield.errors import DomainError
from meanfield.layers.activation import Activation
from meanfield.layers.arguments import whole
from meanfield.layers.cotangent import Cotangents, Pullback
from meanfield.layers.dense import Dense
from meanfield.layers.dropout import Dropout
from meanfield.layers.layer import Affine, Layer, MisplacedLayer, Step, as_layer
from meanfield.layers.sites import step
from meanfield.layers.state import State

MOST_TURNS = 10**8


def _through(pulls: list[Pullback]) -> Pullback:
    """The way back through layers one behind the other."""

    def back(cotangents: Cotangents) -> Cotangents:
        for pull in reversed(pulls):
            cotangents = pull(cotangents)
        return cotangents

    return back


@dataclass(frozen=True, init=False)
class Sequence(Layer):
    """Layers one behind the other: ``Sequence(a, b)`` is ``a >> b``. Sequences inside are taken apart.

    Examples
    --------
    >>> from meanfield import layers as L
    >>> print(L.Dense(1.3, 0.2) >> "tanh")
    Dense(σ_w=1.3, σ_b=0.2) >> tanh
    """

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Any) -> None:
        found: list[Layer] = []
        for each in layers:
            layer = as_layer(each)
            found.extend(layer.layers if isinstance(layer, Sequence) else (layer,))
        if not found:
            raise DomainError("a sequence needs at least one layer")
        object.__setattr__(self, "layers", tuple(found))

    @property
    def inside(self) -> tuple[Layer, ...]:
        return self.layers

    @property
    def carries_sites(self) -> bool:
        return True

    @property
    def mixes(self) -> bool:
        return any(layer.mixes for layer in self.layers)

    @property
    def changes_width(self) -> bool:
        changed = False
        for layer in self.layers:
            changed = layer.changes_width or (changed and not layer.mixes)
        return changed

    def apply(self, state: State) -> Step:
        pulls: list[Pullback] = []
        for index, layer in enumerate(self.layers):
            try:
                state, pull = step(layer, state)
            except MisplacedLayer as error:
                raise error.inside(index + 1) from None
            pulls.append(pull)

        return Step(state, _through(pulls))

    def affine(self) -> Affine | None:
        if len(self.layers) == 1:
            return self.layers[0].affine()
        keep = 1.0
        first, *between, last = self.layers
        for layer in between:
            if not isinstance(layer, Dropout):
                return None
            keep *= 1.0 - layer.rate
        if not isinstance(first, Activation) or not isinstance(last, Dense) or last.weights == "standardised":
            return None
        return Affine(0.0, last.sigma_b**2, last.sigma_w**2, 1.0 / keep, first.activation)

    def __str__(self) -> str:
        return " >> ".join(map(str, self.layers))


@dataclass(frozen=True, init=False)
class Repeat(Layer):
    """The same layer `times` times, each with weights of its own: ``layer * times``.

    Parameters
    ----------
    layer : Layer
    times : int
        In [1, 10⁸].
    """

    layer: Layer
    times: int

    def __init__(self, layer: Any, times: int) -> None:
        object.__setattr__(self, "layer", as_layer(layer))
        object.__setattr__(self, "times", whole("times", times, 1, MOST_TURNS))

    @property
    def inside(self) -> tuple[Layer, ...]:
        return (self.layer,)

    @property
    def carries_sites(self) -> bool:
        return True

    @property
    def mixes(self) -> bool:
        return self.layer.mixes

    @property
    def changes_width(self) -> bool:
        return self.layer.changes_width

    def apply(self, state: State) -> Step:
        pulls: list[Pullback] = []
        for _ in range(self.times):
            state, pull = step(self.layer, state)
            pulls.append(pull)

        return Step(state, _through(pulls))

    def __str__(self) -> str:
        text = str(self.layer)
        return f"({text}) * {self.times}" if isinstance(self.layer, Sequence) else f"{text} * {self.times}"
