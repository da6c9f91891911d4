"""Initialisers for torch, jax and keras, each imported only when asked for.

Lives here: a model as steps, the plan of its layers' σ's and its table, whatever the framework; in a folder for each framework how
its models are read and its weights drawn.
Not here: any choice of σ_w or σ_b (meanfield.theory).
"""
