"""Random networks: samplers, the backward pass, estimates and their comparison with theory.

Lives here: everything that draws random numbers.
Not here: formulas of the theory (meanfield.theory) and pictures (meanfield.plot).
"""
