"""Names of torch's operations: elementwise ones, ones that only move numbers about, pooling, normalisation."""

from __future__ import annotations

from meanfield.activations.catalogue.names import find

_ARITHMETIC = """
add sub mul div truediv true_divide divide multiply subtract rsub neg negative pow exp exp2 expm1 log log1p log2 sqrt rsqrt reciprocal abs
sign square sin cos tan asin acos atan arctan arcsin arccos sinh cosh tanh asinh acosh atanh arcsinh arctanh erf erfc sigmoid expit
clamp clip clamp_min clamp_max maximum minimum where heaviside lerp xlogy logaddexp gt lt ge le eq ne logical_and logical_or logical_not
float double iadd isub imul itruediv ipow nan_to_num relu6 hardtanh softplus
"""
_DROPOUTS = "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout stochastic_depth"
_MOVES = """
flatten view reshape permute transpose contiguous squeeze
unsqueeze clone detach to getitem expand t movedim swapaxes type_as cpu cuda identity unflatten chunk split unbind tensor_split
pixel_shuffle channel_shuffle requires_grad_ flip roll view_as reshape_as half bfloat16 upsample interpolate pad
"""
_POOLS = """
max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d lp_pool1d lp_pool2d mean sum amax amin fractional_max_pool2d
"""
ARITHMETIC = frozenset(_ARITHMETIC.split())
SUMS = frozenset({"add", "iadd", "sub", "isub", "subtract"})
PRODUCTS = frozenset({"mul", "imul", "multiply"})
DROPOUTS = frozenset(_DROPOUTS.split())
MOVES = DROPOUTS | frozenset(_MOVES.split())
JOINS = frozenset({"cat", "concat", "concatenate", "stack", "hstack", "vstack"})
POOLS = frozenset(_POOLS.split())
TUPLES = frozenset({"chunk", "split", "unbind", "tensor_split"})  # what they give is picked by getitem
DISPLACING = frozenset({"getitem", "flip", "roll"})  # what they give is other units than what they take
NORMS = frozenset({"layer_norm", "batch_norm", "group_norm", "instance_norm", "rms_norm", "normalize", "local_response_norm"})

MOVING_MODULES = (
    "Dropout",
    "Flatten",
    "Unflatten",
    "Identity",
    "PixelShuffle",
    "PixelUnshuffle",
    "ChannelShuffle",
    "Upsample",
    "ZeroPad",
    "DropPath",
    "StochasticDepth",
)
POOLING_MODULES = ("Pool",)
NORM_MODULES = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm", "LocalResponseNorm")


def is_elementwise_name(name: str) -> bool:
    """Whether an operation of that name, one trailing underscore aside, acts on each number by itself."""
    plain = name.removesuffix("_")
    return plain in ARITHMETIC or (find(plain) is not None and plain not in MOVES)
