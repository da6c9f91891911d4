"""Any function of the user's as an activation: arrays, Python scalars, ufuncs, torch.

Lives here: calling such functions safely, differentiating them, and finding their kinks and jumps.
Not here: the catalogue and formulas (neighbouring folders).
"""
