"""Faults planted in public models, and whether `diagnose` finds and names them: python -m tests.frameworks.planted_faults

Each model has its published weights but for one thing. A fault counts as found if a finding of severity "fault" names the part that was
changed, and nothing else is called a fault.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tests.frameworks.real_models import started


@dataclass(frozen=True)
class Planted:
    """A change of one part of a model.

    Attributes
    ----------
    library, model, side
        As in `public_models`.
    part : str
        The module that is changed.
    what : str
        In words.
    plant : callable
        Changes the module in place.
    """

    library: str
    model: str
    side: int
    part: str
    what: str
    plant: Callable[[Any], None]


def times(factor: float) -> Callable[[Any], None]:
    """All weights times a factor."""
    return lambda module: module.weight.data.mul_(factor)


def set_to(value: float) -> Callable[[Any], None]:
    """All weights one number."""
    return lambda module: module.weight.data.fill_(value)


def shifted(by: float) -> Callable[[Any], None]:
    """All biases shifted."""
    return lambda module: module.bias.data.add_(by)


def alike(module: Any) -> None:
    """Every unit the first one's weights."""
    module.weight.data[:] = module.weight.data[:1].clone()


FAULTS = (
    Planted("torchvision", "resnet18", 64, "layer2.1.bn1", "γ × 30", times(30.0)),
    Planted("torchvision", "resnet18", 64, "layer3.0.bn1", "β − 8", shifted(-8.0)),
    Planted("torchvision", "resnet50", 64, "layer3.2.conv2", "all weights 0", set_to(0.0)),
    Planted("torchvision", "resnet50", 64, "layer2.1.conv1", "all channels the same", alike),
    Planted("torchvision", "vgg11", 64, "features.8", "weights × 6", times(6.0)),
    Planted("torchvision", "vgg11", 64, "features.11", "weights / 100", times(0.01)),
    Planted("torchvision", "mobilenet_v2", 64, "features.7.conv.1.0", "all weights 0", set_to(0.0)),
    Planted("torchvision", "mobilenet_v2", 64, "features.9.conv.3", "γ × 40", times(40.0)),
    Planted("torchvision", "efficientnet_b0", 64, "features.4.1.block.3.1", "γ × 25", times(25.0)),
    Planted("torchvision", "swin_t", 64, "features.3.1.mlp.0", "weights × 5", times(5.0)),
    Planted("torchvision", "swin_t", 64, "features.5.2.attn.qkv", "weights × 10", times(10.0)),
    Planted("torchvision", "vit_b_32", 224, "encoder.layers.encoder_layer_4.mlp.3", "weights × 20", times(20.0)),
    Planted("torchvision", "convnext_tiny", 64, "features.5.3.block.3", "weights × 8", times(8.0)),
    Planted("torchvision", "convnext_tiny", 64, "features.5.5.block.2", "γ × 30", times(30.0)),
    Planted("timm", "vit_tiny_patch16_224", 224, "blocks.5.mlp.fc1", "weights × 6", times(6.0)),
    Planted("timm", "vit_tiny_patch16_224", 224, "blocks.7.attn.proj", "all weights 0.02", set_to(0.02)),
    Planted("timm", "mixer_s32_224", 224, "blocks.3.mlp_channels.fc2", "weights × 10", times(10.0)),
    Planted("timm", "resnet26d", 64, "layer2.1.bn2", "β − 10", shifted(-10.0)),
    Planted("timm", "nfnet_l0", 64, "stages.2.1.conv2", "all channels the same", alike),
    Planted("own", "GPT", 0, "blocks.2.linear1", "weights × 8", times(8.0)),
    Planted("own", "GPT", 0, "blocks.1.norm2", "γ × 30", times(30.0)),
    Planted("own", "residual MLP", 0, "blocks.3.1", "weights × 4", times(4.0)),
    Planted("own", "PINN", 0, "6", "weights × 5", times(5.0)),
    Planted("own", "U-Net", 0, "bottom.0", "biases + 5", shifted(5.0)),
)


def named(fault: Planted) -> tuple[bool, list[str]]:
    """Whether a fault that names the part is found, and what else is called a fault."""
    from meanfield.frameworks.torch import diagnose

    model, x = started(fault.library, fault.model, fault.side, 0)
    module: nn.Module = dict(model.named_modules())[fault.part]
    with torch.no_grad():
        fault.plant(module)
    said = [(name, finding.reason) for name, finding in diagnose(model, x).faults]
    right = [name == fault.part or fault.part in reason for name, reason in said]
    return any(right), [f"{name}: {reason}" for (name, reason), own in zip(said, right, strict=True) if not own]


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    found = 0
    for fault in FAULTS:
        right, others = named(fault)
        found += right
        also = f"; also {'; '.join(others)[:150]}" if others else ""
        print(f"{'found' if right else 'MISSED':7} {fault.model} {fault.part}: {fault.what}{also}", flush=True)
    print(f"{found} of {len(FAULTS)} found")


if __name__ == "__main__":
    main()
