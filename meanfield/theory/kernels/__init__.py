"""The kernels of infinitely wide networks on data: NNGP, NTK, and draws of the output function.

Inputs become pairs, pairs go through the layers of `meanfield.layers` as one state of arrays; no map is written here.
"""
