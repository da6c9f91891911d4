"""The law of the singular values of a deep network's input-output Jacobian, by free probability.

Lives here: the law of the squared slope, the curve on which the spectrum lies, bands, atoms and moments, unequal layers, isometry.
Not here: sampled Jacobians (meanfield.simulation), and what is made of a model (meanfield.frameworks).
"""
