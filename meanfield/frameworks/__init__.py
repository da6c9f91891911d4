"""Initialisers for torch, jax and keras, each imported only when asked for.

Lives here: what turns a (σ_w, σ_b) of the theory into a framework's own initialiser.
Not here: any choice of σ_w or σ_b (meanfield.theory).
"""
