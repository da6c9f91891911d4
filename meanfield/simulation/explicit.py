"""The sampler with explicit weight matrices: the independent check of the conditional one, and other distributions.

A Gaussian or uniform matrix is drawn in blocks of rows and multiplied at once, so that no whole matrix need be held; the
backward pass draws the same blocks again from the layer's own seed, or finds them kept where all of them are small.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.simulation.ensemble import SMALLEST, Samples
from meanfield.simulation.random_matrices import library

if TYPE_CHECKING:
    from meanfield.arrays import Array, Mask
    from meanfield.simulation.ensemble import Ensemble

ROWS_OF = 131_072  # numbers in a block of rows: 1 MiB, which stays in the processor's cache until it has been multiplied
ROWS_OF_ON_DEVICE = 33_554_432  # an accelerator wants larger pieces
KEPT = 16_777_216  # numbers: where all matrices of a block of networks have no more, the backward pass finds them kept


def sample(ensemble: Ensemble, block: int) -> Samples:
    """Draw the networks of one block."""
    return _Block(ensemble, block).run()


def jacobians(ensemble: Ensemble, block: int) -> Array:
    """Singular values of ∂h^L/∂h⁰ of the first input, descending, for the networks that `sample` draws."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return _Block(ensemble, block).jacobians()


class _Block:
    def __init__(self, ensemble: Ensemble, block: int) -> None:
        self.ensemble = ensemble
        self.size = ensemble.size_of(block)
        self.library = library(ensemble.backend, ensemble.device)
        self.xp = self.library.xp
        start, backward, *self.layer_seeds = ensemble.seeds(block, ensemble.depth + 2)
        self.start_seed, self.backward_seed = start, backward
        batch, depth = ensemble.batch, ensemble.depth
        self.gram = np.empty((self.size, depth + 1, batch, batch))
        self.epsilon = np.empty((self.size, depth + 1, batch, batch))
        self.lost: Mask = np.zeros(self.size, dtype=np.bool_)
        widths = ensemble.widths
        total = sum(n * m for n, m in pairwise(widths)) * self.size
        self.keep = ensemble.gradients and total <= KEPT
        self.kept: dict[int, list[tuple[slice, Any]]] = {}

    def run(self) -> Samples:
        """Forward, then back. What overflows is found by its value."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._run()

    def _run(self) -> Samples:
        from meanfield.simulation.layer_kernels import observe

        ensemble, size, batch = self.ensemble, self.size, self.ensemble.batch
        layer = self._first()
        slopes: list[Array] = []
        gram, epsilon = np.empty((2, size, batch, batch))
        for index in range(ensemble.depth + 1):
            inputs_first = np.ascontiguousarray(np.moveaxis(layer, 2, 1))
            self.lost |= ~np.isfinite(inputs_first).all(axis=(1, 2))
            if self.lost.any():
                inputs_first[self.lost] = 0.0
                layer = np.ascontiguousarray(np.moveaxis(inputs_first, 1, 2))
            observe(inputs_first, self.lost, SMALLEST, gram, epsilon)
            self.gram[:, index], self.epsilon[:, index] = gram, epsilon
            if index == ensemble.depth:
                break
            if ensemble.gradients:
                slopes.append(ensemble.activation.values(inputs_first[:, 0].reshape(-1), 1).reshape(size, -1))
            values = ensemble.activation.values(layer.reshape(-1), 0).reshape(layer.shape)
            layer = self._step(values, index)
        return Samples(self.gram, self.epsilon, self._back(slopes) if ensemble.gradients else None)

    def jacobians(self) -> Array:
        """J = Π σ_w W_l D_l, layer by layer; nan for a network that overflows."""
        ensemble, size = self.ensemble, self.size
        product: Any = None
        log_scale = np.zeros(size)
        layer = self._first()
        for index in range(ensemble.depth):
            first = np.ascontiguousarray(layer[:, :, 0])
            self.lost |= ~np.isfinite(first).all(axis=1)
            layer[self.lost] = 0.0
            first[self.lost] = 0.0
            slope = self.library.put(ensemble.activation.values(first.reshape(-1), 1).reshape(size, -1))
            before, after = ensemble.widths[index], ensemble.widths[index + 1]
            drawn = self._matrices(self.library.generator(self.layer_seeds[index]), after, before)
            scale = self._scale(before, after)
            parts = []
            for _, matrix in drawn:
                weighted = matrix * slope[:, None, :] * scale
                parts.append(weighted if product is None else self.xp.matmul(weighted, product))
            whole = parts[0] if len(parts) == 1 else self.xp.concat(parts, axis=1)
            product, log_scale = _scaled_product(self.xp, whole, log_scale)
            if index + 1 < ensemble.depth:
                layer = self._step(ensemble.activation.values(layer.reshape(-1), 0).reshape(layer.shape), index)
        values = np.array(self.library.fetch(self.xp.linalg.svdvals(product)))
        values *= np.exp(log_scale)[:, None]
        values[self.lost] = np.nan
        return values

    def _first(self) -> Array:
        """h⁰, units by inputs."""
        ensemble, size, units = self.ensemble, self.size, self.ensemble.widths[0]
        generator = self.library.generator(self.start_seed)
        if ensemble.inputs is None:
            rows = ensemble.start.shape[0]
            normals = self.library.normal(generator, (size, units, rows))
            return np.array(self.library.fetch(self.xp.matmul(normals, self.library.put(ensemble.start))))
        seen = np.broadcast_to(ensemble.inputs.T, (size, *ensemble.inputs.T.shape))
        return self._through(np.ascontiguousarray(seen), units, generator, None)

    def _step(self, values: Array, index: int) -> Array:
        """h of the next layer, from φ(h): (networks, units, inputs)."""
        generator = self.library.generator(self.layer_seeds[index])
        return self._through(values, self.ensemble.widths[index + 1], generator, index)

    def _through(self, values: Array, after: int, generator: Any, index: int | None) -> Array:
        here = self.library.put(values)
        parts = []
        for rows, matrix in self._matrices(generator, after, values.shape[1]):
            if self.keep and index is not None:
                self.kept.setdefault(index, []).append((rows, self.library.owned(matrix)))
            parts.append(self.xp.matmul(matrix, here))
        bias = self.library.normal(generator, (self.size, after, 1))
        whole = parts[0] if len(parts) == 1 else self.xp.concat(parts, axis=1)
        scale = self._scale(values.shape[1], after)
        return np.array(self.library.fetch(whole * scale + bias * self.ensemble.sigma_b))

    def _scale(self, before: int, after: int) -> float:
        """What brings the entries that `_matrices` draws to variance σ_w²/fan_in."""
        if self.ensemble.weights == "orthogonal":  # entries of Q have variance 1/max(n, m)
            return self.ensemble.sigma_w * math.sqrt(max(before, after) / before)
        return self.ensemble.sigma_w / math.sqrt(before)

    def _matrices(self, generator: Any, after: int, before: int) -> Iterator[tuple[slice, Any]]:
        """The weights of one layer without their scale, in blocks of rows: (networks, rows, before)."""
        kind = self.ensemble.weights
        if kind == "orthogonal":
            yield slice(0, after), self._orthogonal(generator, after, before)
            return
        piece = ROWS_OF if self.ensemble.backend == "numpy" else ROWS_OF_ON_DEVICE
        step = max(1, piece // (self.size * before))
        for row in range(0, after, step):
            shape = (self.size, min(step, after - row), before)
            if kind == "gaussian":
                yield slice(row, row + shape[1]), self.library.normal(generator, shape)
            else:  # uniform in ±√3: variance 1
                yield slice(row, row + shape[1]), self.library.uniform(generator, shape) * math.sqrt(12.0) - math.sqrt(3.0)

    def _orthogonal(self, generator: Any, after: int, before: int) -> Any:
        """Haar-distributed orthonormal columns, or rows: QR with the signs of R's diagonal put into Q (Mezzadri 2007)."""
        tall = self.library.normal(generator, (self.size, max(after, before), min(after, before)))
        q, r = self.xp.linalg.qr(tall)
        size = min(after, before)
        diagonal = self.xp.sum(r * self.xp.eye(size, dtype=r.dtype, device=getattr(r, "device", None)), axis=-1)
        q = q * self.xp.where(diagonal < 0, -self.xp.ones_like(diagonal), self.xp.ones_like(diagonal))[:, None, :]
        return q if after >= before else self.xp.matrix_transpose(q)

    def _back(self, slopes: list[Array]) -> Array:
        """log |δ^l|²/|δ^L|², δ^L ~ N(0, I); δ is brought to length 1 after each layer."""
        ensemble, size = self.ensemble, self.size
        result = np.zeros((size, ensemble.depth + 1))
        generator = self.library.generator(self.backward_seed)
        delta = np.array(self.library.fetch(self.library.normal(generator, (size, ensemble.widths[-1]))))
        delta /= np.linalg.norm(delta, axis=1, keepdims=True)
        for index in range(ensemble.depth - 1, -1, -1):
            before, after = ensemble.widths[index], ensemble.widths[index + 1]
            if index in self.kept:
                matrices: Any = self.kept.pop(index)
            else:
                matrices = self._matrices(self.library.generator(self.layer_seeds[index]), after, before)
            pulled: Any = None
            seen = self.library.put(delta[:, None, :])
            for rows, matrix in matrices:
                part = self.xp.matmul(seen[:, :, rows], matrix)
                pulled = part if pulled is None else pulled + part
            delta = slopes[index] * self._scale(before, after) * np.array(self.library.fetch(pulled))[:, 0, :]
            square = np.einsum("ni,ni->n", delta, delta)
            with np.errstate(divide="ignore"):
                result[:, index] = result[:, index + 1] + np.log(square)
                delta /= np.sqrt(square)[:, None]
            delta[~((square > 0.0) & (square < math.inf))] = 0.0
        result[self.lost] = np.nan
        return result


def _scaled_product(xp: Any, product: Any, log_scale: Array) -> tuple[Any, Array]:
    """A batch of matrices brought to a largest entry of about 1 by powers of 2, with the logarithms of what was taken out."""
    largest = np.asarray([float(xp.max(xp.abs(product[i]))) for i in range(product.shape[0])])
    exponent = np.where((largest > 0.0) & np.isfinite(largest), np.frexp(largest)[1], 0)
    factors = np.ldexp(1.0, -exponent)
    scaled = xp.stack([product[i] * float(factors[i]) for i in range(product.shape[0])])
    return scaled, log_scale + exponent * math.log(2.0)
