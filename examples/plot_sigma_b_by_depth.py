"""
Choosing σ_b by depth
=====================

On the edge of chaos every σ_b has its σ_w. A small σ_b keeps the correlation map near the identity, so that inputs stay
apart for more layers (left). With σ_b = 0 the variance itself would vanish, like 1/(2ℓ). `mf.recommend` weighs the two for
a given depth (right): the deeper the network, the smaller σ_b.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 2.8), layout="constrained")
sigma_b = np.geomspace(0.01, 1.0, 13)
layers = np.array([mf.propagation_depth("tanh", sigma_b=float(value), threshold=0.1) for value in sigma_b])
left.loglog(sigma_b, layers, color="black", marker="o", markersize=3)
left.set(xlabel=r"$\sigma_b$", ylabel=r"layers until $1 - c < 0.1$")

depths = np.array([3, 10, 30, 100, 300, 1000])
advice = [mf.recommend("tanh", depth=int(depth)) for depth in depths]
right.semilogx(depths, [item.sigma_w for item in advice], color="black", marker="s", markersize=3, label=r"$\sigma_w$")
right.semilogx(depths, [item.sigma_b for item in advice], color="black", marker="o", markersize=3, linestyle="--", label=r"$\sigma_b$")
right.set(xlabel="depth of the network", ylabel="recommended", ylim=(0, None))
right.legend(frameon=False, fontsize=8)

# %%
# The recommendation explains itself.
print(advice[3].reason)

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
