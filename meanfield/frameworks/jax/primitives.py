"""Names of jax's primitives: elementwise ones, ones that only move numbers about, ones that add up."""

from __future__ import annotations

_ELEMENTWISE = """
abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp convert_element_type cos cosh digamma div eq erf erf_inv erfc
exp exp2 expm1 floor ge gt integer_pow is_finite le lgamma log log1p logistic lt max min mul ne neg nextafter not or pow rem round rsqrt
select_n sign sin sinh sqrt square sub tan tanh xor
"""
_MOVES = """
reshape transpose squeeze expand_dims broadcast_in_dim copy copy_p stop_gradient reduce_precision optimization_barrier
sharding_constraint pad _pad
"""
_REDUCTIONS = """
reduce_sum reduce_max reduce_min reduce_prod reduce_window reduce_window_sum reduce_window_max reduce_window_min reduce_and reduce_or
cumsum cummax cummin cumprod cumlogsumexp
"""
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
MOVES = frozenset(_MOVES.split())
REDUCTIONS = frozenset(_REDUCTIONS.split())
PARTS = frozenset({"slice", "dynamic_slice", "rev", "split", "gather"})
SUMS = {"add": 1.0, "add_any": 1.0, "sub": -1.0}
PRODUCTS = frozenset({"dot_general", "conv_general_dilated"})
_RANDOM = "random_bits threefry2x32 random_wrap random_seed random_fold_in random_split random_gamma rng_bit_generator"
RANDOM = frozenset(_RANDOM.split())
