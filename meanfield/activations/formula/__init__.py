"""Formulas in x: text to tree, tree to accurate values, derivatives and breakpoints.

Lives here: the grammar, our own expression tree, its rewriting and evaluation, and the bridge to SymPy.
Not here: the catalogue and callables (neighbouring folders). User text is parsed, never run.
"""
