"""Random networks of layers: every matrix drawn and multiplied, or its products alone; every layer's backward pass by its own formula.

Nothing here comes from the theory of layers: it is what that theory is compared with. Values have the shape (networks, units, columns),
columns being inputs times sites.

A Gaussian matrix W that meets a few vectors need not be drawn. With x = U R, U orthonormal, W x = Z R where Z = W U is standard normal;
and on the way back Wᵀδ = U Zᵀδ + (1 − U Uᵀ) Wᵀδ, whose second part is independent of the first and Gaussian: (1 − U Uᵀ) G T with δ = Q T
and G standard normal. That is exact in distribution, at O(width · columns²) in place of O(width² · columns).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.layers.activation import Activation
from meanfield.layers.attention import Attention
from meanfield.layers.concatenate import Concatenate, Mixture, sets_width
from meanfield.layers.dense import Convolution, Dense
from meanfield.layers.dropout import Dropout
from meanfield.layers.gate import Gate
from meanfield.layers.layer import Identity, Layer
from meanfield.layers.maxout import Maxout
from meanfield.layers.normalise import BatchNorm, LayerNorm, RMSNorm
from meanfield.layers.pool import AveragePool, GlobalAveragePool
from meanfield.layers.post_activation import PostActivation
from meanfield.layers.residual import Residual
from meanfield.layers.sequence import Repeat, Sequence
from meanfield.simulation.ensemble import SMALLEST, Samples
from meanfield.simulation.random_matrices import library

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.simulation.network_ensemble import NetworkEnsemble

Back = Callable[[Any], Any]
HEADS = 8  # of attention, each with logits as wide as the network: their mean does not depend on how many
KEPT = 4_000_000  # numbers of a matrix up to which the way back finds it kept; larger ones are drawn again from their seed


def sample(ensemble: NetworkEnsemble, block: int) -> Samples:
    """Draw the networks of one block."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _Block(ensemble, block).run()


class _Block:
    def __init__(self, ensemble: NetworkEnsemble, block: int) -> None:
        self.ensemble, self.size = ensemble, ensemble.size_of(block)
        self.library = library(ensemble.backend, ensemble.device)
        self.xp: Any = self.library.xp
        start, backward, layers = ensemble.seeds(block, 3)
        self.start_seed, self.backward_seed, self._layers = start, backward, layers

    def generator(self) -> Any:
        """The next random stream."""
        return self._layers.spawn(1)[0]

    def run(self) -> Samples:
        ensemble = self.ensemble
        depth = ensemble.depth
        gram = np.empty((self.size, depth + 1, 2, 2))
        epsilon = np.empty((self.size, depth + 1, 2, 2))
        x = self._inputs()
        backs: list[Back] = []
        self._observe(x, gram[:, 0], epsilon[:, 0])
        wanted = _wanted(self, ensemble.turns, None)
        for index, layer in enumerate(ensemble.turns):
            x, back = forward(self, layer, x, wanted[index])
            self._observe(x, gram[:, index + 1], epsilon[:, index + 1])
            if ensemble.gradients:
                backs.append(back)
        return Samples(gram, epsilon, self._back(x, backs) if ensemble.gradients else None)

    def _inputs(self) -> Any:
        """N(0, q) components with correlation c between any two columns of one site; sites are independent."""
        ensemble = self.ensemble
        columns, c = ensemble.columns, ensemble.c
        generator = self.library.generator(self.start_seed)
        sites = ensemble.sites
        shape = (self.size, ensemble.width, columns * sites)
        normal = np.array(self.library.fetch(self.library.normal(generator, shape))).reshape(self.size, ensemble.width, columns, sites)
        if columns == 2:
            values = normal.copy()
            values[:, :, 1] = c * normal[:, :, 0] + math.sqrt((1 - c) * (1 + c)) * normal[:, :, 1]
            values[:, :, 0] *= math.sqrt(ensemble.q[0])
            values[:, :, 1] *= math.sqrt(ensemble.q[1])
        else:  # every pair alike: the square root of (1 − c) I + c 1 1ᵀ
            low, high = math.sqrt(max(1 - c, 0.0)), math.sqrt(max(1 + (columns - 1) * c, 0.0))
            mean = normal.mean(axis=2, keepdims=True)
            values = math.sqrt(ensemble.q[0]) * (low * (normal - mean) + high * mean)
        return self.library.put(np.ascontiguousarray(values.reshape(shape)))

    def _observe(self, x: Any, gram: Array, epsilon: Array) -> None:
        """Means over units and sites of the first two inputs' products."""
        values = np.asarray(self.library.fetch(x)).reshape(self.size, x.shape[1], self.ensemble.columns, -1)
        a, b = values[:, :, 0].reshape(self.size, -1), values[:, :, 1].reshape(self.size, -1)
        count = a.shape[1]
        for i, j, product in ((0, 0, a * a), (1, 1, b * b), (0, 1, a * b)):
            mean = product.sum(axis=1) / count
            gram[:, i, j] = gram[:, j, i] = np.where(np.isfinite(mean), mean, np.inf)
        size_a, size_b = np.sqrt(gram[:, 0, 0]), np.sqrt(gram[:, 1, 1])
        defined = (gram[:, 0, 0] >= SMALLEST) & (gram[:, 1, 1] >= SMALLEST) & np.isfinite(size_a) & np.isfinite(size_b)
        gap = a / size_a[:, None] - b / size_b[:, None]  # ½|x̂ − ŷ|² = 1 − x̂·ŷ, without the cancellation
        loss = np.where(defined, 0.5 * (gap * gap).sum(axis=1) / count, np.nan)
        epsilon[:, 0, 1] = epsilon[:, 1, 0] = loss
        epsilon[:, 0, 0] = np.where(np.isfinite(size_a) & (gram[:, 0, 0] >= SMALLEST), 0.0, np.nan)
        epsilon[:, 1, 1] = np.where(np.isfinite(size_b) & (gram[:, 1, 1] >= SMALLEST), 0.0, np.nan)

    def _back(self, x: Any, backs: list[Back]) -> Array:
        """log |δ^l|²/|δ^L|² with δ^L ~ N(0, I), of the first input.

        Where a normalisation couples a batch: of all of it, and δ^L sums to 0 over it, as a gradient does that has come through one.
        """
        result = np.zeros((self.size, len(backs) + 1))
        delta = self.library.normal(self.library.generator(self.backward_seed), tuple(x.shape))
        delta = self.library.owned(delta)
        if self.ensemble.normalises_batch:
            delta = delta - self.xp.mean(delta, axis=2, keepdims=True)
        before = self._norm(delta)
        for index in range(len(backs) - 1, -1, -1):
            delta = backs[index](delta)
            norm = self._norm(delta)
            died = (norm == 0.0) & (result[:, index + 1] < np.inf)  # and stays 0; one that overflowed is no longer known
            result[:, index] = np.where(died, -np.inf, result[:, index + 1] + np.log(norm / before))
            scale = np.where((norm > 0.0) & np.isfinite(norm), 1.0 / np.sqrt(norm), 0.0)
            delta = delta * self.library.put(np.ascontiguousarray(scale[:, None, None]))
            before = np.where(scale > 0.0, 1.0, np.nan)
        return result

    def _norm(self, delta: Any) -> Array:
        values = np.asarray(self.library.fetch(delta)).reshape(self.size, delta.shape[1], self.ensemble.columns, -1)
        seen = values if self.ensemble.columns > 2 else values[:, :, :1]
        result: Array = (seen * seen).reshape(self.size, -1).sum(axis=1)
        return result


def forward(block: _Block, layer: Layer, x: Any, out: int | None) -> tuple[Any, Back]:
    """What one layer makes of x, and the way back of a gradient; `out` is the width wanted behind it, where it may choose."""
    if isinstance(layer, Convolution):
        return _convolution(block, layer, x, out)
    if isinstance(layer, Dense):
        return _dense(block, layer, x, out)
    if isinstance(layer, Activation):
        return _activation(block, layer, x)
    if isinstance(layer, Sequence):
        return _sequence(block, layer.layers, x, out)
    if isinstance(layer, Repeat):
        return _sequence(block, (layer.layer,) * layer.times, x, out)
    if isinstance(layer, Residual):
        return _residual(block, layer, x)
    if isinstance(layer, PostActivation):
        return _sequence(block, (layer.sum, Activation(layer.activation)), x, None)
    if isinstance(layer, Identity):
        return x, lambda delta: delta
    if isinstance(layer, Dropout):
        return _dropout(block, layer, x)
    if isinstance(layer, (LayerNorm, RMSNorm)):
        return _normalised(block, x, 1, isinstance(layer, LayerNorm), layer.epsilon)
    if isinstance(layer, BatchNorm):
        return _normalised(block, x, 2, True, layer.epsilon)
    if isinstance(layer, Concatenate):
        return _concatenate(block, layer, x, out)
    if isinstance(layer, Mixture):
        return _mixture(block, layer, x)
    if isinstance(layer, (AveragePool, GlobalAveragePool)):
        return _pooled(block, x, layer.sites)
    if isinstance(layer, Maxout):
        return _maxout(block, layer, x)
    if isinstance(layer, Attention):
        return _attention(block, layer, x, out)
    if not isinstance(layer, Gate):
        raise DomainError(f"{layer} is no layer that random networks can be drawn of")
    return _gate(block, layer, x, out)


def _drawn(block: _Block, seed: Any, shape: tuple[int, ...], kind: str) -> Any:
    """A matrix whose entries have variance 1 (orthogonal: times 1/fan_in when multiplied so)."""
    normal = block.library.normal(block.library.generator(seed), shape)
    if kind == "gaussian":
        return normal
    after, before = shape[-2:]
    if kind == "orthogonal":
        tall = normal if after >= before else block.xp.matrix_transpose(normal)
        q, r = block.xp.linalg.qr(tall)
        # Haar: the signs of R's diagonal put into Q (Mezzadri 2007).
        diagonal = block.xp.linalg.diagonal(r)
        q = q * block.xp.where(diagonal < 0, -block.xp.ones_like(diagonal), block.xp.ones_like(diagonal))[:, None, :]
        return (q if after >= before else block.xp.matrix_transpose(q)) * math.sqrt(max(after, before))
    if kind == "standardised":
        normal = normal - block.xp.mean(normal, axis=-1, keepdims=True)
    return normal / block.xp.sqrt(block.xp.mean(normal * normal, axis=-1, keepdims=True))


def _dense(block: _Block, layer: Dense, x: Any, out: int | None) -> tuple[Any, Back]:
    before, after = x.shape[1], out or block.ensemble.width
    if block.ensemble.method == "conditional":
        return _conditional(block, layer, x, after)
    seed, bias_seed = block.generator(), block.generator()
    shape = (block.size, after, before)
    scale = layer.sigma_w / math.sqrt(before)
    kept = math.prod(shape) <= KEPT and block.ensemble.gradients
    matrix = _drawn(block, seed, shape, layer.weights)
    if kept:
        matrix = block.library.owned(matrix)
    y = block.xp.matmul(matrix, x) * scale
    if layer.sigma_b > 0.0:
        y = y + layer.sigma_b * block.library.normal(block.library.generator(bias_seed), (block.size, after, 1))
    held = matrix if kept else None

    def back(delta: Any) -> Any:
        again = held if held is not None else _drawn(block, seed, shape, layer.weights)
        return block.xp.matmul(block.xp.matrix_transpose(again), delta) * scale

    return y, back


def _conditional(block: _Block, layer: Dense, x: Any, after: int) -> tuple[Any, Back]:
    """The same in distribution without the matrix: see the head of this file."""
    xp, turned = block.xp, block.xp.matrix_transpose
    before, scale = x.shape[1], layer.sigma_w / math.sqrt(x.shape[1])
    forward_seed, bias_seed, backward_seed = block.generator(), block.generator(), block.generator()
    finite = xp.isfinite(x)
    basis, triangle = xp.linalg.qr(xp.where(finite, x, xp.zeros_like(x)))
    normal = block.library.normal(block.library.generator(forward_seed), (block.size, after, basis.shape[2]))
    normal = block.library.owned(normal) if block.ensemble.gradients else normal
    y = xp.matmul(normal, triangle) * scale
    lost = xp.any(~finite, axis=1, keepdims=True)  # a column that has overflowed stays so
    y = xp.where(lost, xp.full_like(y, math.inf), y)
    if layer.sigma_b > 0.0:
        y = y + layer.sigma_b * block.library.normal(block.library.generator(bias_seed), (block.size, after, 1))

    def back(delta: Any) -> Any:
        spread = xp.linalg.qr(delta)[1]
        fresh = block.library.normal(block.library.generator(backward_seed), (block.size, before, spread.shape[1]))
        pulled = xp.matmul(fresh, spread)
        return (pulled + xp.matmul(basis, xp.matmul(turned(normal), delta) - xp.matmul(turned(basis), pulled))) * scale

    return y, back


def _convolution(block: _Block, layer: Convolution, x: Any, out: int | None) -> tuple[Any, Back]:
    """On a ring of sites: taps shifted copies of x side by side, through one matrix."""
    columns, channels = block.ensemble.columns, x.shape[1]
    sites = x.shape[2] // columns
    offsets = [tap - layer.taps // 2 for tap in range(layer.taps)]
    parted = block.xp.reshape(x, (block.size, channels, columns, sites))
    shifted = block.xp.concat([block.xp.roll(parted, -offset, axis=3) for offset in offsets], axis=1)
    wide = block.xp.reshape(shifted, (block.size, channels * layer.taps, columns * sites))
    y, inner = _dense(block, layer, wide, out)

    def back(delta: Any) -> Any:
        pulled = block.xp.reshape(inner(delta), (block.size, layer.taps, channels, columns, sites))
        total = block.xp.roll(pulled[:, 0], offsets[0], axis=3)
        for index in range(1, layer.taps):
            total = total + block.xp.roll(pulled[:, index], offsets[index], axis=3)
        return block.xp.reshape(total, (block.size, channels, columns * sites))

    return y, back


def _activation(block: _Block, layer: Activation, x: Any) -> tuple[Any, Back]:
    values = np.ascontiguousarray(np.asarray(block.library.fetch(x)))
    act = layer.activation
    safe = np.where(np.isfinite(values), values, 0.0)
    y = np.where(np.isfinite(values), act.values(safe.ravel(), 0).reshape(values.shape), np.inf)

    def back(delta: Any) -> Any:
        slope = act.values(safe.ravel(), 1).reshape(values.shape)
        return delta * block.library.put(slope)

    return block.library.put(y), back


def _sequence(block: _Block, layers: tuple[Layer, ...], x: Any, out: int | None) -> tuple[Any, Back]:
    backs: list[Back] = []
    for layer, wanted in zip(layers, _wanted(block, layers, out), strict=True):
        x, back = forward(block, layer, x, wanted)
        backs.append(back)

    def through(delta: Any) -> Any:
        for back in reversed(backs):
            delta = back(delta)
        return delta

    return x, through


def _wanted(block: _Block, layers: tuple[Layer, ...], out: int | None) -> list[int | None]:
    """The width asked of each layer, so that `out` units come out at the end and maxouts find as many times more as they take together."""
    result: list[int | None] = [None] * len(layers)
    target, pieces = out, 1
    for index in range(len(layers) - 1, -1, -1):
        layer = layers[index]
        if isinstance(layer, Maxout):
            pieces *= layer.pieces
        elif sets_width(layer):
            if target or pieces > 1:
                result[index] = (target or block.ensemble.width) * pieces
            target, pieces = None, 1
    return result


def _residual(block: _Block, layer: Residual, x: Any) -> tuple[Any, Back]:
    y, inner = forward(block, layer.branch, x, x.shape[1])
    return layer.skip * x + layer.scale * y, lambda delta: layer.skip * delta + layer.scale * inner(delta)


def _dropout(block: _Block, layer: Dropout, x: Any) -> tuple[Any, Back]:
    uniform = block.library.uniform(block.library.generator(block.generator()), tuple(x.shape))
    keep = 1.0 - layer.rate
    mask = block.xp.where(uniform < keep, block.xp.full_like(uniform, 1.0 / keep), block.xp.zeros_like(uniform))
    return x * mask, lambda delta: delta * mask


def _normalised(block: _Block, x: Any, axis: int, centre: bool, epsilon: float) -> tuple[Any, Back]:
    """Over units (axis 1) or over the batch (axis 2; sites belong to it)."""
    xp = block.xp
    moved = x - xp.mean(x, axis=axis, keepdims=True) if centre else x
    size = xp.sqrt(xp.mean(moved * moved, axis=axis, keepdims=True) + epsilon)
    y = moved / size

    def back(delta: Any) -> Any:
        along = xp.mean(delta * y, axis=axis, keepdims=True)
        pulled = delta - y * along
        if centre:
            pulled = pulled - xp.mean(delta, axis=axis, keepdims=True)
        return pulled / size

    return y, back


def _parts(widths: tuple[float, ...], total: int) -> list[int]:
    """Whole numbers in given proportions that add up."""
    ends = np.rint(np.cumsum(widths) / sum(widths) * total).astype(int)
    return [int(size) for size in np.diff(np.concatenate([[0], ends]))]


def _concatenate(block: _Block, layer: Concatenate, x: Any, out: int | None) -> tuple[Any, Back]:
    fixed = [i for i, branch in enumerate(layer.branches) if not sets_width(branch)]
    if fixed:  # a branch that hands its input on sets the unit of the widths
        unit = x.shape[1] / layer.widths[fixed[0]]
        sizes = [max(1, round(unit * width)) for width in layer.widths]
    else:
        largest = max(layer.widths)
        sizes = _parts(layer.widths, out) if out else [max(1, round(block.ensemble.width * w / largest)) for w in layer.widths]
    made = [forward(block, branch, x, size) for branch, size in zip(layer.branches, sizes, strict=True)]
    ends = np.cumsum([0, *(y.shape[1] for y, _ in made)]).tolist()

    def back(delta: Any) -> Any:
        total = None
        for (_, inner), low, high in zip(made, ends[:-1], ends[1:], strict=True):
            part = inner(delta[:, low:high])
            total = part if total is None else total + part
        return total

    return block.xp.concat([y for y, _ in made], axis=1), back


def _mixture(block: _Block, layer: Mixture, x: Any) -> tuple[Any, Back]:
    sizes = _parts(layer.inner.shares, x.shape[1])
    ends = np.cumsum([0, *sizes]).tolist()
    bounds = list(pairwise(ends))
    made = [forward(block, branch, x[:, low:high], None) for branch, (low, high) in zip(layer.inner.branches, bounds, strict=True)]

    def back(delta: Any) -> Any:
        return block.xp.concat([inner(delta[:, low:high]) for (_, inner), (low, high) in zip(made, bounds, strict=True)], axis=1)

    return block.xp.concat([y for y, _ in made], axis=1), back


def _pooled(block: _Block, x: Any, window: int | None) -> tuple[Any, Back]:
    """Means over windows of sites that stand side by side."""
    xp, shape = block.xp, tuple(x.shape)
    assert window is not None
    y = xp.mean(xp.reshape(x, (*shape[:2], shape[2] // window, window)), axis=3)

    def back(delta: Any) -> Any:
        return xp.reshape(xp.repeat(delta[:, :, :, None] / window, window, axis=3), shape)

    return y, back


def _maxout(block: _Block, layer: Maxout, x: Any) -> tuple[Any, Back]:
    """The largest of units that stand side by side; units that are left over go unseen."""
    xp, pieces = block.xp, layer.pieces
    after = x.shape[1] // pieces
    if after == 0:
        raise DomainError(f"{layer} has {x.shape[1]} units in front of it; give the networks a larger width")
    grouped = xp.reshape(x[:, : after * pieces], (block.size, after, pieces, x.shape[2]))
    y = xp.max(grouped, axis=2)
    won = xp.where(grouped == y[:, :, None, :], xp.ones_like(grouped), xp.zeros_like(grouped))
    unseen = xp.zeros_like(x[:, after * pieces :])

    def back(delta: Any) -> Any:
        pulled = xp.reshape(won * delta[:, :, None, :], (block.size, after * pieces, x.shape[2]))
        return xp.concat([pulled, unseen], axis=1)

    return y, back


def _attention(block: _Block, layer: Attention, x: Any, out: int | None) -> tuple[Any, Back]:
    """Heads side by side, each with queries and keys as wide as the network, and one matrix over all their values."""
    width = block.ensemble.width
    sizes = [size for size in _parts((1.0,) * HEADS, width) if size]
    made = [_head(block, layer, x, size) for size in sizes]
    ends = np.cumsum([0, *sizes]).tolist()
    y, mixed = _dense(block, Dense(1.0), block.xp.concat([values for values, _ in made], axis=1), out)

    def back(delta: Any) -> Any:
        inner = mixed(delta)
        total = None
        for (_, pull), (low, high) in zip(made, pairwise(ends), strict=True):
            part = pull(inner[:, low:high])
            total = part if total is None else total + part
        return total

    return y, back


def _head(block: _Block, layer: Attention, x: Any, size: int) -> tuple[Any, Back]:
    xp, width, turned = block.xp, block.ensemble.width, block.xp.matrix_transpose
    q, back_q = _dense(block, Dense(1.0), x, width)
    k, back_k = _dense(block, Dense(1.0), x, width)
    v, back_v = _dense(block, Dense(layer.sigma_v), x, size)
    scale = layer.sigma_qk / math.sqrt(width)
    w = scale * xp.matmul(turned(q), k)  # rows are the tokens that ask
    if layer.kind == "softmax":
        w = xp.exp(w - xp.max(w, axis=2, keepdims=True))
        w = w / xp.sum(w, axis=2, keepdims=True)

    def back(delta: Any) -> Any:
        towards = xp.matmul(turned(delta), v)
        if layer.kind == "softmax":  # w_t (δ_t − Σ w δ) along each row
            towards = w * (towards - xp.sum(w * towards, axis=2, keepdims=True))
        towards = scale * towards
        return back_v(xp.matmul(delta, w)) + back_q(xp.matmul(k, turned(towards))) + back_k(xp.matmul(q, towards))

    return xp.matmul(v, turned(w)), back


def _gate(block: _Block, layer: Gate, x: Any, out: int | None) -> tuple[Any, Back]:
    width = out or block.ensemble.width if sets_width(layer.left) and sets_width(layer.right) else x.shape[1]
    left, back_left = forward(block, layer.left, x, width)
    right, back_right = forward(block, layer.right, x, width)
    return left * right, lambda delta: back_left(delta * right) + back_right(delta * left)
