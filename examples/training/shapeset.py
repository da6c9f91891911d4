"""Shapeset-3×2, drawn on the fly: 32×32 grey images of one or two of triangle, parallelogram, ellipse.

After section 2.1 of Glorot & Bengio (2010): shape, scale, rotation, translation and grey level are random, of two objects
the front one hides at most half of the other, and the class says which shapes are there: 3 single ones and 6 pairs. The
paper does not print the ranges of the random numbers; those below are ours, and narrow enough to be learnt in minutes.

The ground is black. Were objects as often darker as lighter than it, the classes would not change with the sign of the
contrast; but a tanh or softsign network without biases changes the sign of its outputs, and would learn nothing at first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 32
SHAPES = ("triangle", "parallelogram", "ellipse")
CLASSES = ((0,), (1,), (2,), (0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
NAMES = tuple(" + ".join(SHAPES[shape] for shape in members) for members in CLASSES)
RADIUS = (6.0, 9.0)  # an object covers π r² pixels, whatever its shape
STRETCH = (1.0, 1.4)  # the longer axis over the mean one
FREEDOM = 0.5  # share of the room around an object that its centre may use
HIDDEN = 0.5  # largest hidden share of the object behind
DARKEST = 0.3  # object, on a black ground
CONTRAST = 0.2  # smallest difference between the grey levels of two objects

Array = NDArray[Any]

# A triangle and a square of area π around the origin. Affine maps of them and of the disc are all triangles, parallelograms, ellipses.
_TRIANGLE = np.sqrt(4 * np.pi / (3 * np.sqrt(3))) * np.array([(np.cos(a), np.sin(a)) for a in np.pi / 2 + np.arange(3) * 2 * np.pi / 3])
_SQUARE = np.sqrt(np.pi) / 2 * np.array([(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)])
# Inside is n·p ≤ 1 for the three normals of the triangle, |n·p| ≤ 1 for the two of the square, and Σ (n·p)² ≤ 1 for the disc.
_NORMALS = (-2 * _TRIANGLE / np.sum(_TRIANGLE[0] ** 2), np.eye(2) / _SQUARE[0, 0], np.eye(2))
_PIXELS = np.arange(SIDE) + 0.5


def shapeset(count: int, stream: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images (count, 1024) with grey levels in [0, 1], and classes 0 … 8, all equally likely."""
    labels = stream.integers(0, len(CLASSES), count)
    back, front, _ = scenes(labels, stream)
    behind, before = _grey_levels(count, stream)
    levels = np.where(front, before[:, None], np.where(back, behind[:, None], np.float32(0.0)))
    return levels, labels


def scenes(labels: Array, stream: np.random.Generator) -> tuple[Array, Array, Array]:
    """Masks (n, 1024) of the object behind and of the one in front (empty in the first three classes), and the hidden share."""
    count = len(labels)
    pairs = labels >= len(SHAPES)
    members = np.array([(shapes[0], shapes[-1]) for shapes in CLASSES])[labels]
    swap = stream.random(count) < 0.5  # either may be in front
    members[swap] = members[swap, ::-1]
    back = _objects(members[:, 0], stream)
    front = np.zeros_like(back)
    hidden = np.zeros(count)
    waiting = np.flatnonzero(pairs)
    while len(waiting):  # each round keeps most of what it draws
        front[waiting] = _objects(members[waiting, 1], stream)
        hidden[waiting] = np.sum(back[waiting] & front[waiting], axis=1) / np.sum(back[waiting], axis=1)
        waiting = waiting[hidden[waiting] > HIDDEN]
    return back, front, hidden


def _objects(shapes: Array, stream: np.random.Generator) -> Array:
    """Masks of one object each, wholly inside the image."""
    count = len(shapes)
    radius = stream.uniform(*RADIUS, count)
    stretch = stream.uniform(*STRETCH, count)
    # An affine map of determinant r²: turn, stretch, turn again.
    maps = radius[:, None, None] * (_turns(count, stream) * np.stack([stretch, 1 / stretch], axis=1)[:, None, :]) @ _turns(count, stream)
    masks = np.empty((count, SIDE, SIDE), dtype=bool)
    for shape, corners in enumerate((_TRIANGLE, _SQUARE, None)):
        chosen = np.flatnonzero(shapes == shape)
        affine = maps[chosen]
        low, high = _reach(affine, corners)
        # One that is longer than the image is made smaller; most fit as they are.
        shrink = np.minimum(1.0, (SIDE - 1) / np.max(low + high, axis=1))[:, None]
        low, high, affine = low * shrink, high * shrink, affine * shrink[..., None]
        free = SIDE - high - low
        centre = low + free * (0.5 + FREEDOM * (stream.random((len(chosen), 2)) - 0.5))
        # Pixel centres in the coordinates of the undistorted shape, along its sides' normals: each is a row part plus a column part.
        normals = _NORMALS[shape] @ np.linalg.inv(affine)
        columns, rows = (normals[..., axis, None] * (_PIXELS - centre[:, axis, None])[:, None] for axis in (0, 1))
        along = rows.astype(np.float32)[..., :, None] + columns.astype(np.float32)[..., None, :]
        if shape == 0:
            masks[chosen] = np.all(along <= 1.0, axis=1)
        elif shape == 1:
            masks[chosen] = np.all(np.abs(along) <= 1.0, axis=1)
        else:
            masks[chosen] = np.sum(along**2, axis=1) <= 1.0
    return masks.reshape(count, -1)


def _reach(affine: Array, corners: Array | None) -> tuple[Array, Array]:
    """How far the object reaches from its centre to lower and to higher coordinates: (n, 2) each."""
    if corners is None:
        reach = np.sqrt(np.sum(affine**2, axis=2))
        return reach, reach
    spots = np.einsum("nij,kj->nki", affine, corners)
    return -spots.min(axis=1), spots.max(axis=1)


def _turns(count: int, stream: np.random.Generator) -> Array:
    angle = stream.uniform(0, 2 * np.pi, count)
    return np.stack([np.stack([np.cos(angle), -np.sin(angle)], axis=1), np.stack([np.sin(angle), np.cos(angle)], axis=1)], axis=1)


def _grey_levels(count: int, stream: np.random.Generator) -> tuple[Array, Array]:
    """Of the objects behind and in front, (n,) each."""
    first, second = stream.uniform(DARKEST, 1.0, (2, count))
    while True:
        close = np.flatnonzero(abs(first - second) < CONTRAST)
        if not len(close):
            return first.astype(np.float32), second.astype(np.float32)
        second[close] = stream.uniform(DARKEST, 1.0, len(close))
