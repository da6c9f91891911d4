"""Each problem once, asked of a layer whatever it is: limits, paths, fixed points, recursions.

Lives here: fixed points and limits of the variance, the root of the correlation map, paths, recursions, scans for roots.
Not here: what a layer does (meanfield.layers) and the questions of the papers (meanfield.theory).
"""
