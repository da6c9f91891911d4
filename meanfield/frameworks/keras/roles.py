"""What a layer or operation of Keras does that is no activation, by its class and its ancestors' names."""

from __future__ import annotations

from typing import Any

NORMS = ("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization")
DROPOUTS = ("Dropout", "BaseSpatialDropout", "GaussianDropout", "AlphaDropout")
_MOVES = """
Flatten Reshape Permute RepeatVector ZeroPadding Cropping UpSampling Identity ActivityRegularization Masking Transpose Squeeze ExpandDims
Cast Copy StopGradient BroadcastTo Pad MoveAxis Swapaxes Ravel Resizing
"""
MOVES = tuple(_MOVES.split())
POOLS = ("Pool", "Mean", "Max", "Min", "Sum", "Amax", "Amin")
SUMS = {"Add": 1.0, "Subtract": -1.0}
PARTS = ("GetItem", "Split", "Take", "Roll", "Flip")
JOINS = ("Concatenate", "Stack", "Hstack", "Vstack")


def role(operation: Any) -> str:
    """ "normalisation", "dropout", "move", "pool", "sum", "mean", "part" or "join"; "" where the class doesn't tell."""
    words = [kind.__name__ for kind in type(operation).__mro__ if kind.__module__.startswith("keras.")]
    own = words[0] if words else ""
    if any(word in NORMS for word in words):
        return "normalisation"
    if any(word in DROPOUTS for word in words):
        return "dropout"
    if own in SUMS:
        return "sum"
    if own == "Average" and hasattr(operation, "call"):
        return "mean"
    if own in PARTS:
        return "part"
    if own in JOINS:
        return "join"
    if any(word.startswith(MOVES) for word in words):
        return "move"
    if own in POOLS or "Pooling" in own:
        return "pool"
    return ""
