"""Real images: scikit-learn's 8×8 digits, or MNIST from idx files in a local folder."""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HELD_OUT = 360  # of the 1797 digits
_IDX = {"images": ("train-images", "t10k-images"), "labels": ("train-labels", "t10k-labels")}


@dataclass(frozen=True)
class Images:
    """Inputs with |a|²/d = 1 and their classes.

    Attributes
    ----------
    inputs, labels : Tensor
        For training, (n, d) and (n,).
    test_inputs, test_labels : Tensor
        Held out.
    name : str
    """

    inputs: Tensor
    labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    name: str


def images(mnist: Path | None, device: torch.device) -> Images:
    """The digits, or MNIST if its folder is given.

    The training set's mean image is taken off each image, which is then scaled to |a|²/d = 1: so all inputs start at one variance.
    """
    if mnist is None:
        pixels, labels, name = *_scikit_digits(), "digits"
        order = np.random.default_rng(0).permutation(len(pixels))
        pixels, labels = pixels[order], labels[order]
        split = len(pixels) - HELD_OUT
        train, train_labels, test, test_labels = pixels[:split], labels[:split], pixels[split:], labels[split:]
    else:
        train, train_labels, test, test_labels = _mnist(mnist)
        name = "MNIST"
    centre = train.mean(axis=0)

    def tensor(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    return Images(
        tensor(_scaled(train - centre)),
        tensor(train_labels.astype(np.int64)),
        tensor(_scaled(test - centre)),
        tensor(test_labels.astype(np.int64)),
        name,
    )


def _scaled(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    size = np.sqrt(np.mean(pixels**2, axis=1, keepdims=True))
    scaled: NDArray[np.float32] = (pixels / np.maximum(size, 1e-6)).astype(np.float32)
    return scaled


def _scikit_digits() -> tuple[NDArray[np.float32], NDArray[Any]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise SystemExit("the default images come with scikit-learn: pip install scikit-learn, or give MNIST with --mnist FOLDER") from None
    pixels, labels = load_digits(return_X_y=True)
    return pixels.astype(np.float32), labels


def _mnist(folder: Path) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[np.float32], NDArray[Any]]:
    arrays = {what: [read_idx(_file(folder, stem)) for stem in stems] for what, stems in _IDX.items()}
    for pixels, labels in zip(arrays["images"], arrays["labels"], strict=True):
        if pixels.ndim != 3 or labels.shape != pixels.shape[:1] or not len(labels):
            raise SystemExit(f"{folder}: images of shape {pixels.shape} don't go with labels of shape {labels.shape}")
    train, test = (pixels.reshape(len(pixels), -1).astype(np.float32) for pixels in arrays["images"])
    return train, arrays["labels"][0], test, arrays["labels"][1]


def _file(folder: Path, stem: str) -> Path:
    """train-images-idx3-ubyte, with a dot before idx or not, packed or not."""
    found = sorted(path for path in folder.glob(f"{stem}*idx*ubyte*") if path.suffix in ("", ".gz") or "idx" in path.suffix)
    if not found:
        raise SystemExit(f"{folder} holds no {stem}-idx…-ubyte or {stem}-idx…-ubyte.gz, as MNIST's files are called")
    return found[0]


def read_idx(path: Path) -> NDArray[np.uint8]:
    """One idx file of unsigned bytes: 0, 0, 8, number of axes, their lengths, the numbers."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise SystemExit(f"{path} is no idx file of unsigned bytes")
    axes = data[3]
    head = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", data[4:head]) if len(data) >= head else (-1,)
    if int(np.prod(shape)) != len(data) - head:
        raise SystemExit(f"{path} is cut short: its header promises {shape}")
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)
