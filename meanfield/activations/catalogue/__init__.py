"""The catalogue: activations known by name, their functions written by hand, and the lookup by name.

Lives here: one file per family of activations, the entry they share, and the search by name.
Not here: formulas and callables (the folder above).
"""
