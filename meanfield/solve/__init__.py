"""Each problem once, asked of a layer whatever it is: limits, paths, fixed points, recursions.

Lives here: variance paths, recursions of the correlation, scans for roots.
Not here: what a layer does (meanfield.layers) and the questions of the papers (meanfield.theory).
"""
