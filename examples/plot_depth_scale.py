"""
The depth scale diverges at the edge of chaos
=============================================

Schoenholz et al. (2017) measured how deep tanh networks could be trained and found that it follows ξ_c, the depth scale
of the correlation. Along σ_w at σ_b² = 0.05 it diverges at one point, σ_w² = 1.7609546; a few per cent to either side it
is down to tens of layers. ξ_q, the depth scale of the variance, is finite throughout.
"""

import math

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

sigma_b = math.sqrt(0.05)
ax = mf.plot.depth_scales("tanh", sigma_w=np.linspace(1.0, 2.0, 101), sigma_b=sigma_b)
critical = float(mf.edge_of_chaos("tanh", sigma_b=sigma_b).sigma_w)
print(f"critical point: σ_w² = {critical**2:.7f}")

# %%
# Near it ξ_c grows like 1/``|σ_w − σ_w,crit|``: ten times nearer, ten times deeper. The same on both sides.
distances = np.array([1e-2, 1e-3, 1e-4, 1e-5])
below = np.array([mf.MeanField("tanh", critical * (1 - d), sigma_b).depth_scales.xi_c for d in distances])
above = np.array([mf.MeanField("tanh", critical * (1 + d), sigma_b).depth_scales.xi_c for d in distances])
for d, low, high in zip(distances, below, above, strict=True):
    print(f"{d:.0e} from it: ξ_c = {low:.1f} below, {high:.1f} above")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        ax.figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
