"""
The largest singular value grows with depth, or does not
========================================================

At χ = 1 the mean of s² is 1 at any depth, but its largest value is about eL with Gaussian weights and linear layers (Fuss-Catalan), and
goes with L for tanh with orthogonal weights at fixed q too. At its point of isometry, where q shrinks as 1/√L, it stays bounded and tends
to the universal limit of Pennington, Schoenholz and Ganguli (2018), the grey line.
"""

import math

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield.theory.spectrum.limit_laws import smooth_limit_edges

depths = np.unique(np.geomspace(2, 10_000, 17).astype(int))
edge = mf.edge_of_chaos("tanh", sigma_b=0.2)


def largest(weights):
    return [mf.jacobian_spectrum("tanh", edge.sigma_w, 0.2, int(depth), weights).edges[1] ** 2 for depth in depths]


fig, ax = plt.subplots(figsize=(3.4, 2.6), layout="constrained")
ax.loglog(depths, largest("gaussian"), "-", label="tanh, Gaussian")
ax.loglog(depths, [(n + 1) * (1 + 1 / n) ** n for n in map(float, depths)], ":", color="0.5", label="linear, Gaussian")
ax.loglog(depths, largest("orthogonal"), "--", label="tanh, orthogonal")
ax.loglog(depths, [mf.isometry_point("tanh", int(n)).s_max ** 2 for n in depths], "-.", label="point of isometry")
ax.axhline(smooth_limit_edges(0.25)[1] ** 2, color="0.7", linewidth=0.8)
ax.set_xlabel("depth $L$", fontsize=9)
ax.set_ylabel(r"largest $s^2$", fontsize=9)
ax.tick_params(labelsize=8)
ax.legend(fontsize=7, frameon=False)
print(f"linear layers: {(1 + 1 / 10_000) ** 10_000:.6f} L, and e = {math.e:.6f}")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        fig.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
