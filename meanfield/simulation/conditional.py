"""The conditional sampler: networks with Gaussian weights, exact in distribution, without their matrices.

docs/simulation.md derives it. Ā is the matrix of one layer's activations, scaled, with a row for the bias; Ā = Ū R̄.
Forward h = X R̄ with X standard normal; backward Wᵀδ is Ū Xᵀδ plus a fresh Gaussian off the span of Ū.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.simulation.ensemble import SMALLEST, Samples

if TYPE_CHECKING:
    from meanfield.arrays import Array, Mask
    from meanfield.simulation.ensemble import Ensemble

HELD = 32_000_000  # numbers that a backward pass may keep of its forward pass; beyond that it is computed in stretches, twice


class _Layer:
    """What the backward pass needs of the step from layer l to l + 1."""

    def __init__(self, preactivation: Array, basis: Array, last: Array, normals: Array) -> None:
        self.preactivation, self.basis, self.last, self.normals = preactivation, basis, last, normals


class _Memory:
    """Arrays cut one after the other from one piece of memory."""

    def __init__(self, numbers: int) -> None:
        self.numbers = np.empty(numbers)
        self.used = 0

    def take(self, shape: tuple[int, ...]) -> Array:
        """The next array of that shape."""
        size = math.prod(shape)
        self.used += size
        return self.numbers[self.used - size : self.used].reshape(shape)


def sample(ensemble: Ensemble, block: int) -> Samples:
    """Draw the networks of one block."""
    return _Block(ensemble, block).run()


class _Block:
    def __init__(self, ensemble: Ensemble, block: int) -> None:
        self.ensemble = ensemble
        self.size = ensemble.size_of(block)
        forward, backward = ensemble.seeds(block, 2)
        self.forward = np.random.Generator(np.random.SFC64(forward))
        self.backward = np.random.Generator(np.random.SFC64(backward))
        batch, depth = ensemble.batch, ensemble.depth
        self.gram = np.empty((self.size, depth + 1, batch, batch))
        self.epsilon = np.empty((self.size, depth + 1, batch, batch))
        self.lost: Mask = np.zeros(self.size, dtype=np.bool_)

    def run(self) -> Samples:
        """Forward, then back in stretches of layers."""
        ensemble = self.ensemble
        if not ensemble.gradients:
            self._advance(self._start(), 0, ensemble.depth, keep=False)
            return Samples(self.gram, self.epsilon, None)
        per_layer = self.size * max(ensemble.widths) * (3 * ensemble.batch + 1)
        stretch = max(1, HELD // per_layer)
        if stretch < ensemble.depth:  # then the starts of the stretches are kept too: as many of those as layers in one
            stretch = max(stretch, math.isqrt(ensemble.depth))
        marks = []
        layer = self._start()
        kept: list[_Layer] = []
        for first in range(0, ensemble.depth, stretch):
            last = min(first + stretch, ensemble.depth)
            marks.append((first, last, layer, self.forward.bit_generator.state, self.lost.copy()))
            layer, kept = self._advance(layer.copy(), first, last, keep=last == ensemble.depth)
        return Samples(self.gram, self.epsilon, self._back(marks, kept))

    def _start(self) -> Array:
        start = self.ensemble.start
        layer = np.zeros((self.size, self.ensemble.batch, self.ensemble.widths[0]))
        normals = self.forward.standard_normal((self.size, start.shape[0], self.ensemble.widths[0]))
        for a in range(start.shape[0]):
            for b in range(self.ensemble.batch):
                layer[:, b] += start[a, b] * normals[:, a]
        self._observe(layer, 0)
        return layer

    def _observe(self, layer: Array, index: int) -> None:
        from meanfield.simulation.layer_kernels import observe

        gram, epsilon = np.empty((2, *self.gram.shape[:1], *self.gram.shape[2:]))
        observe(layer, self.lost, SMALLEST, gram, epsilon)
        self.gram[:, index], self.epsilon[:, index] = gram, epsilon

    def _advance(self, layer: Array, first: int, last: int, keep: bool) -> tuple[Array, list[_Layer]]:
        """From h^first to h^last; what the backward pass needs where it is to be kept. `layer` is used up."""
        from meanfield.simulation.layer_kernels import combine, orthonormalise

        ensemble, size, batch = self.ensemble, self.size, self.ensemble.batch
        upper, end = np.empty((size, batch, batch)), np.empty((size, batch))
        kept: list[_Layer] = []
        widths = ensemble.widths[first : last + 1]
        # One piece of memory for all that is kept: the allocator hands it back block after block, without new pages.
        memory = _Memory(size * ((batch + 1) * sum(widths[:-1]) + batch * sum(widths[1:])) if keep else 0)
        for index in range(first, last):
            units, after = ensemble.widths[index], ensemble.widths[index + 1]
            # φ at all networks, inputs and units in one call.
            values = ensemble.activation.values(layer.reshape(-1), 0)
            if keep:
                basis = memory.take((size, batch, units))
                basis[:] = values.reshape(basis.shape)
            else:
                if np.may_share_memory(values, layer):  # the identity may hand back what it was given
                    values = values.copy()
                basis = values.reshape(size, batch, units)
            orthonormalise(basis, end, ensemble.sigma_w / math.sqrt(units), ensemble.sigma_b, upper, self.lost)
            reuse = layer if after == units else np.empty((size, batch, after))
            if keep:
                normals = self.forward.standard_normal(out=memory.take((size, batch, after)))
                preactivation = memory.take((size, units))
                preactivation[:] = layer[:, 0]
                kept.append(_Layer(preactivation, basis, end.copy(), normals))
            else:
                normals = self.forward.standard_normal(out=reuse)
            layer = reuse
            combine(normals, upper, layer)
            self._observe(layer, index + 1)
        return layer, kept

    def _back(self, marks: list[Any], kept: list[_Layer]) -> Array:
        """log |δ^l|²/|δ^L|², δ^L ~ N(0, I)."""
        from meanfield.simulation.layer_kernels import pull_back

        ensemble, size = self.ensemble, self.size
        result = np.zeros((size, ensemble.depth + 1))
        if not marks:
            return result
        lost_in_the_end = self.lost.copy()
        delta = self.backward.standard_normal((size, ensemble.widths[-1]))
        growth = np.empty(size)
        for number, (first, last, layer, state, lost) in enumerate(reversed(marks)):
            if number:  # the last stretch was kept on the way
                self.forward.bit_generator.state = state
                self.lost = lost
                kept = self._advance(layer, first, last, keep=True)[1]
            for index in range(last - 1, first - 1, -1):
                step = kept.pop()
                slopes = ensemble.activation.values(step.preactivation.reshape(-1), 1).reshape(step.preactivation.shape)
                fresh = self.backward.standard_normal((size, ensemble.widths[index]))
                scale = ensemble.sigma_w / math.sqrt(ensemble.widths[index])
                pull_back(delta, step.normals, step.basis, step.last, self.backward.standard_normal(size), slopes, scale, fresh, growth)
                delta = fresh
                with np.errstate(divide="ignore", invalid="ignore"):
                    result[:, index] = result[:, index + 1] + np.log(growth)
        result[lost_in_the_end] = np.nan
        return result
