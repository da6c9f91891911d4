"""Streams side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.arguments import real_array
from meanfield.layers.attention import Attention
from meanfield.layers.cotangent import Cotangents, added
from meanfield.layers.dense import Dense
from meanfield.layers.gate import Gate
from meanfield.layers.layer import Layer, MisplacedLayer, Step, as_layer
from meanfield.layers.sequence import Repeat, Sequence
from meanfield.layers.state import State


def sets_width(layer: Layer) -> bool:
    """Whether the layer can give its output another width than its input has."""
    if isinstance(layer, (Dense, Attention, Concatenate)):
        return True
    if isinstance(layer, Sequence):
        return any(map(sets_width, layer.layers))
    if isinstance(layer, Gate):
        return sets_width(layer.left) and sets_width(layer.right)
    return isinstance(layer, Repeat) and sets_width(layer.layer)


@dataclass(frozen=True, init=False)
class Concatenate(Layer):
    """What the branches make of the same input, side by side.

    Parameters
    ----------
    *branches : layers
        `Identity()` is the input itself.
    widths : sequence of float, optional
        Relative widths of the branches' outputs; all the same where not given.

    Notes
    -----
    K ↦ Σ a_k K^(k) with shares a_k = n_k/Σn. Each branch's units keep a law of their own, so that an activation behind sees each.

    Examples
    --------
    >>> from meanfield import layers as L
    >>> print(L.Concatenate(L.Identity(), L.Dense(1.0), widths=(2, 1)))
    Concatenate(Identity(), Dense(σ_w=1, σ_b=0), widths=(2, 1))
    """

    branches: tuple[Layer, ...]
    widths: tuple[float, ...]

    def __init__(self, *branches: Any, widths: Any = None) -> None:
        if not branches:
            raise DomainError("a concatenation needs at least one branch")
        object.__setattr__(self, "branches", tuple(as_layer(branch) for branch in branches))
        numbers = real_array("widths", [1.0] * len(branches) if widths is None else list(widths))
        if numbers.shape != (len(branches),):
            raise DomainError(f"widths must hold a number for each of {len(branches)} branches, not an array of shape {numbers.shape}")
        if not np.all((numbers > 0.0) & (numbers <= 1e100)):
            raise DomainError(f"widths = {tuple(numbers.tolist())} is out of range: each must lie in (0, 1e+100]")
        object.__setattr__(self, "widths", tuple(numbers.tolist()))
        self._check_widths()

    def _check_widths(self) -> None:
        kept = {width for width, branch in zip(self.widths, self.branches, strict=True) if not sets_width(branch)}
        if len(kept) > 1:
            raise DomainError(f"widths = {self.widths} is out of range: branches without weights are all as wide as their input")

    @property
    def shares(self) -> tuple[float, ...]:
        """a_k = n_k/Σn."""
        total = sum(self.widths)
        return tuple(width / total for width in self.widths)

    @property
    def inside(self) -> tuple[Layer, ...]:
        return self.branches

    @property
    def mixes(self) -> bool:
        return all(branch.mixes for branch in self.branches)

    @property
    def changes_width(self) -> bool:
        return True

    def apply(self, state: State) -> Step:
        steps = []
        for index, branch in enumerate(self.branches):
            try:
                steps.append(branch.apply(state))
            except MisplacedLayer as error:
                raise error.inside(index + 1) from None
        parts = tuple(
            replace(part, share=share * part.share) for share, step in zip(self.shares, steps, strict=True) for part in step.state.parts
        )
        ends = np.cumsum([0, *(len(step.state.parts) for step in steps)])

        def pull(cotangents: Cotangents) -> Cotangents:
            pulled = [step.pull(cotangents[low:high]) for step, low, high in zip(steps, ends[:-1], ends[1:], strict=True)]
            result = pulled[0]
            for each in pulled[1:]:
                result = added(result, each)
            return result

        return Step(State(parts), pull)

    def __str__(self) -> str:
        widths = "" if len(set(self.widths)) == 1 else f", widths=({', '.join(f'{w:g}' for w in self.widths)})"
        return f"Concatenate({', '.join(map(str, self.branches))}{widths})"


class _UnitsApart(Concatenate):
    """Activations of different units, in any proportions."""

    def _check_widths(self) -> None:
        pass


@dataclass(frozen=True, init=False)
class Mixture(Layer):
    """Units of one layer with different activations: shares of the width by activation.

    Parameters
    ----------
    shares : mapping or sequence of pairs
        From anything `meanfield.activation` accepts to its share of the units; the shares are brought to a sum of 1.

    Notes
    -----
    V = Σ a_k V[φ_k], and the same for C and the means.

    Examples
    --------
    >>> from meanfield import layers as L
    >>> print(L.Mixture({"relu": 0.5, "tanh": 0.5}))
    Mixture(0.5 relu, 0.5 tanh)
    """

    inner: Concatenate

    def __init__(self, shares: Any) -> None:
        pairs = list(shares.items()) if isinstance(shares, Mapping) else [tuple(pair) for pair in shares]
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise DomainError("shares must map activations to their share of the units, {'relu': 0.5, 'tanh': 0.5}")
        object.__setattr__(self, "inner", _UnitsApart(*(as_layer(act) for act, _ in pairs), widths=[share for _, share in pairs]))

    @property
    def inside(self) -> tuple[Layer, ...]:
        return self.inner.branches

    @property
    def mixes(self) -> bool:
        return self.inner.mixes

    def apply(self, state: State) -> Step:
        if len(state.parts) > 1:
            raise MisplacedLayer("its input is itself of several kinds of units; which unit gets which activation is not said", self)
        return self.inner.apply(state)

    def __str__(self) -> str:
        return f"Mixture({', '.join(f'{share:g} {branch}' for share, branch in zip(self.inner.shares, self.inner.branches, strict=True))})"
