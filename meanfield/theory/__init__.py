"""Maps, fixed points, edge of chaos: what a random network with given σ_w and σ_b does to its signals.

Lives here: everything the mean-field papers define in terms of V, C and their derivatives.
Not here: quadrature (meanfield.expectation) and sampled networks (meanfield.simulation).
"""
