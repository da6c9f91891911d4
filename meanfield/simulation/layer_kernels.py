"""Compiled passes over one layer of random networks; arrays are (networks, inputs, units).

`observe` serves both samplers; the others are the conditional sampler's, which docs/simulation.md derives. They share `dot`, and so
a file: numba notices an edit of a helper only where it stands beside what calls it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.jit import kernel

if TYPE_CHECKING:
    from meanfield.arrays import Array, Mask

DROPPED = 1.6e-31  # squared: what is left of a vector after projection is rounding when 4e-16 of its length or less
ALIGNED = 0.9  # |c| above this: 1 − |c| comes from the difference of the two unit vectors
KEPT = 0.25  # squared: a projection that takes no more than half of the length leaves an orthogonal vector


@kernel("float64(float64[::1], float64[::1])")
def dot(x: Array, y: Array) -> float:
    """x·y in four running sums, which the processor adds side by side."""
    a = b = c = d = 0.0
    size = x.size
    whole = size - size % 4
    for i in range(0, whole, 4):
        a += x[i] * y[i]
        b += x[i + 1] * y[i + 1]
        c += x[i + 2] * y[i + 2]
        d += x[i + 3] * y[i + 3]
    for i in range(whole, size):
        a += x[i] * y[i]
    return (a + b) + (c + d)


@kernel("float64(float64[::1], float64[::1], float64, float64, float64)")
def loss_of(x: Array, y: Array, product: float, first: float, second: float) -> float:
    """1 − x·y/(|x||y|) from x·y/N, and N^½/|x| and N^½/|y|."""
    loss = 1.0 - product * first * second
    if abs(1.0 - loss) <= ALIGNED:
        return loss
    # ½|x̂ − ŷ|² = 1 − x̂·ŷ, without the cancellation.
    sign = 1.0 if loss < 1.0 else -1.0
    total = 0.0
    for i in range(x.size):
        gap = y[i] * second - sign * x[i] * first
        total += gap * gap
    total *= 0.5 / x.size
    return total if sign > 0.0 else 2.0 - total


@kernel("void(float64[:,:,::1], boolean[::1], float64, float64[:,:,::1], float64[:,:,::1])")
def observe(layer: Array, lost: Mask, smallest: float, gram: Array, epsilon: Array) -> None:
    """gram[n, a, b] = h_a·h_b/N and epsilon[n, a, b] = 1 − h_a·h_b/(|h_a||h_b|).

    epsilon is NaN, to be left out, where a mean square is below `smallest`. Networks that are lost have gram = inf.
    """
    networks, inputs, units = layer.shape
    for n in range(networks):
        for b in range(inputs):
            for a in range(b + 1):
                value = math.inf if lost[n] else dot(layer[n, a], layer[n, b]) / units
                gram[n, a, b] = value
                gram[n, b, a] = value
            own = gram[n, b, b]
            defined = smallest <= own < math.inf
            epsilon[n, b, b] = 0.0 if defined else math.nan
            for a in range(b):
                other = gram[n, a, a]
                loss = math.nan
                if defined and smallest <= other < math.inf:
                    loss = loss_of(layer[n, a], layer[n, b], gram[n, a, b], 1.0 / math.sqrt(other), 1.0 / math.sqrt(own))
                epsilon[n, a, b] = loss
                epsilon[n, b, a] = loss


@kernel("float64(float64[:,::1], float64[::1], int64, float64, float64[:,::1])")
def project_out(vectors: Array, last: Array, b: int, entry: float, upper: Array) -> float:
    """Take column b's parts along the columns before it out of it, and add them to R̄; its entry for the bias."""
    vector = vectors[b]
    for a in range(b):
        other = vectors[a]
        share = dot(other, vector) + last[a] * entry
        for i in range(vector.size):
            vector[i] -= share * other[i]
        entry -= share * last[a]
        upper[a, b] += share
    return entry


@kernel("boolean(float64[:,::1], float64[::1], int64, float64, float64, float64[:,::1], boolean)")
def orthonormalise_column(vectors: Array, last: Array, b: int, scale: float, bias: float, upper: Array, lost: bool) -> bool:
    """One column of one network; whether the network is lost."""
    vector = vectors[b]
    for i in range(vector.size):
        vector[i] *= scale
    entry = bias
    whole = dot(vector, vector) + entry * entry
    if not math.isfinite(whole):
        lost = True
    before = whole
    left = whole
    for a in range(upper.shape[0]):
        upper[a, b] = 0.0
    for sweep in range(0 if b == 0 or lost else 4):
        entry = project_out(vectors, last, b, entry, upper)
        left = dot(vector, vector) + entry * entry
        if left <= DROPPED * whole:
            if sweep > 0:
                left = 0.0
                break
        elif left > KEPT * before:
            break
        elif sweep == 3:
            left = 0.0  # still shrinking: nothing but rounding
        before = left
    length = math.sqrt(left)
    if left < 1e-290 or lost:  # zero, or too close to the end of the range for its direction to be known
        length = 0.0
    upper[b, b] = length
    inverse = 1.0 / length if length > 0.0 else 0.0
    for i in range(vector.size):
        vector[i] *= inverse
    last[b] = entry * inverse
    return lost


@kernel("void(float64[:,:,::1], float64[:,::1], float64, float64, float64[:,:,::1], boolean[::1])")
def orthonormalise(vectors: Array, last: Array, scale: float, bias: float, upper: Array, lost: Mask) -> None:
    """Replace the columns Ā = (scale·φ(h), bias) by Ū with orthonormal columns, Ā = Ū R̄: Gram–Schmidt, repeated until orthogonal.

    vectors[n, a] are the first N entries of a column and last[n, a] its entry for the bias. A column in the span of those before
    becomes 0, with R̄[a, a] = 0. Networks whose column overflows are marked lost and zeroed.
    """
    networks, inputs, _ = vectors.shape
    for n in range(networks):
        for b in range(inputs):
            lost[n] = orthonormalise_column(vectors[n], last[n], b, scale, bias, upper[n], lost[n])
        if lost[n]:
            last[n] = 0.0
            vectors[n] = 0.0
            upper[n] = 0.0


@kernel("void(float64[:,:,::1], float64[:,:,::1], float64[:,:,::1])")
def combine(normals: Array, upper: Array, out: Array) -> None:
    """h = X R̄ row by row: out_b = Σ_{a ≤ b} R̄[a, b] X_a. out may be normals itself."""
    networks, inputs, units = out.shape
    for n in range(networks):
        for b in range(inputs - 1, -1, -1):
            own = upper[n, b, b]
            for i in range(units):
                out[n, b, i] = own * normals[n, b, i]
            for a in range(b):
                share = upper[n, a, b]
                for i in range(units):
                    out[n, b, i] += share * normals[n, a, i]


@kernel(
    "void(float64[:,::1], float64[:,:,::1], float64[:,:,::1], float64[:,::1], float64[::1], float64[:,::1], float64, "
    "float64[:,::1], float64[::1])"
)
def pull_back(
    delta: Array, normals: Array, basis: Array, last: Array, fresh_last: Array, slopes: Array, scale: float, out: Array, growth: Array
) -> None:
    """δ^l = φ'(h) ∘ scale·(Ū Xᵀδ + |δ| (1 − Ū Ūᵀ) z), in the units of layer l; then δ^l is brought to length 1.

    out holds z on entry and δ^l/|δ^l| on exit; fresh_last is z's entry for the bias; growth = |δ^l|²/|δ^(l+1)|². delta has length 1 or 0.
    """
    networks, inputs, units = basis.shape
    for n in range(networks):
        vector = out[n]
        length = math.sqrt(dot(delta[n], delta[n]))
        if length == 0.0:
            growth[n] = 0.0
            for i in range(units):
                vector[i] = 0.0
            continue
        for i in range(units):
            vector[i] *= length
        end = fresh_last[n] * length
        for a in range(inputs):  # orthonormal: one column after the other is all at once; a column of zeros adds nothing
            column = basis[n, a]
            share = dot(normals[n, a], delta[n]) - (dot(column, vector) + last[n, a] * end)
            for i in range(units):
                vector[i] += share * column[i]
            end += share * last[n, a]
        for i in range(units):
            vector[i] *= scale * slopes[n, i]
        square = dot(vector, vector)
        growth[n] = square / (length * length)
        inverse = 1.0 / math.sqrt(square) if 0.0 < square < math.inf else 0.0
        for i in range(units):
            vector[i] *= inverse
