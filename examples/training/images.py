"""Real images to learn from: scikit-learn's 8×8 digits, or MNIST, CIFAR-10 or pictures of one's own from a local folder."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.image_files import Bytes, cifar10, mnist, picture_folder

Parts = tuple[Bytes, Bytes, Bytes, Bytes]  # pixels and labels to learn from, and held-out ones

HELD_OUT = 360  # of the 1797 digits
CIFAR_COUNT = 10_000  # images to learn from, as in section 2.2 of Glorot & Bengio (2010)


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


def local_images(given: argparse.Namespace) -> tuple[str, Parts] | None:
    """What ``--mnist``, ``--cifar`` or ``--folder`` name, as bytes, with a name; None if none of them is given."""
    if given.mnist is not None:
        return f"MNIST in {given.mnist}", mnist(given.mnist)
    if given.cifar is not None:
        pixels, labels, *held_out = cifar10(given.cifar)
        chosen = np.random.default_rng(0).permutation(len(pixels))[:CIFAR_COUNT]
        return f"CIFAR-10 in {given.cifar}", (pixels[chosen], labels[chosen], held_out[0], held_out[1])
    if given.folder is not None:
        return f"pictures in {given.folder}", picture_folder(given.folder)
    return None


def images(given: argparse.Namespace, device: torch.device) -> Images:
    """The digits, or what ``--mnist``, ``--cifar`` or ``--folder`` name.

    The training set's mean image is taken off each image, which is then scaled to |a|²/d = 1: so all inputs start at one variance.
    """
    name, parts = local_images(given) or ("digits", _scikit_digits())
    train, test = (part.astype(np.float32) for part in parts[::2])
    centre = train.mean(axis=0)
    scaled = [_scaled(train - centre), parts[1].astype(np.int64), _scaled(test - centre), parts[3].astype(np.int64)]
    return Images(*(torch.from_numpy(array).to(device) for array in scaled), name)


def _scaled(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    size = np.sqrt(np.mean(pixels**2, axis=1, keepdims=True))
    scaled: NDArray[np.float32] = (pixels / np.maximum(size, 1e-6)).astype(np.float32)
    return scaled


def _scikit_digits() -> Parts:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise SystemExit("the default images come with scikit-learn: pip install scikit-learn, or give MNIST with --mnist FOLDER") from None
    pixels, labels = (np.asarray(array).astype(np.uint8) for array in load_digits(return_X_y=True))
    order = np.random.default_rng(0).permutation(len(pixels))
    pixels, labels = pixels[order], labels[order]
    split = len(pixels) - HELD_OUT
    return pixels[:split], labels[:split], pixels[split:], labels[split:]
