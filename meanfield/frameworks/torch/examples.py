"""An input that a model takes, guessed from its first layer where none was given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meanfield.errors import DomainError
from meanfield.frameworks.torch.installed import torch
from meanfield.frameworks.torch.recording import Recording, recorded

SIDES = (64, 32, 224, 299, 128, 28)
FEW = 2  # inputs


def guessed(model: Any) -> tuple[Any, Recording] | None:
    """The first input that the model runs on, and the run; None where none of those tried is taken."""
    if any(p.is_meta for p in model.parameters()):
        return None
    for x in _tried(model):
        try:
            return x, recorded(model, x, backward=False)
        except DomainError:
            continue
    return None


def _tried(model: Any) -> Iterator[Any]:
    t = torch()
    nn = t.nn
    first = next(
        (m for m in model.modules() if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding, nn.RNNBase, nn.RNNCellBase))), None
    )
    if first is None:
        return
    generator = t.Generator().manual_seed(0)
    weight = next(first.parameters(), None)
    like = {"device": getattr(weight, "device", "cpu"), "dtype": getattr(weight, "dtype", t.float32)}

    def normal(*shape: int) -> Any:
        return t.randn(shape, generator=generator).to(**like)

    if isinstance(first, nn.Embedding):
        yield t.randint(0, first.num_embeddings, (FEW, 16), generator=generator).to(like["device"])
    elif isinstance(first, nn.modules.conv._ConvNd):
        axes = len(first.kernel_size)
        sides = _own_sides(model) + tuple(64 if axes == 1 else 16 for _ in range(1) if axes != 2) + (SIDES if axes == 2 else (32, 256))
        for side in dict.fromkeys(sides):
            yield normal(FEW, first.in_channels, *(side,) * axes)
    else:
        width = getattr(first, "in_features", None) or first.input_size
        yield normal(FEW, width)
        yield normal(FEW, 16, width)


def _own_sides(model: Any) -> tuple[int, ...]:
    """Sizes of images that a model names itself."""
    found = []
    for name in ("img_size", "image_size", "input_size"):
        value = getattr(model, name, None)
        value = value[-1] if isinstance(value, (tuple, list)) and value else value
        if isinstance(value, int) and 4 <= value <= 512:
            found.append(value)
    given = getattr(model, "default_cfg", None)
    size = given.get("input_size") if isinstance(given, dict) else None
    if isinstance(size, (tuple, list)) and getattr(getattr(model, "patch_embed", None), "strict_img_size", False):
        found.append(int(size[-1]))
    return tuple(found)
