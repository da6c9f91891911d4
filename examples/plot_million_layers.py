"""
A million layers
================

Iterating 1 − c as 1 minus a number near 1 loses all its digits within some thousand layers. Carried as an angle, it keeps
full relative accuracy at any depth. Here the two constants of the laws, ℓ(1 − c) for smooth φ and ℓ²(1 − c) for
ReLU, settle at their limits within a million layers: 2V[φ']/(q V[φ'']) and 9π²/2 (dotted).
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

DEPTH = 1_000_000
fig, ax = plt.subplots(figsize=(3.4, 2.6), layout="constrained")
layers = np.unique(np.geomspace(1, DEPTH, 300).round().astype(int))
reached = {}
for (name, sigma_b), style in zip((("relu", 0.0), ("elu", 0.2), ("tanh", 0.2)), ("-", "--", "-."), strict=True):
    law = mf.asymptotics(name, sigma_b=sigma_b)
    network = mf.MeanField(name, sigma_w=law.sigma_w, sigma_b=sigma_b)
    epsilon = network.propagate(DEPTH, q=law.q, c=0.5, hold_variance=True).epsilon
    power = "" if law.exponent == 1 else f"^{law.exponent:g}"
    ax.loglog(layers, layers**law.exponent * epsilon[layers], color="black", linestyle=style, label=rf"{name}: $\ell{power}(1 - c_\ell)$")
    ax.axhline(law.constant, color="0.5", linestyle=":", linewidth=0.9)
    reached[name] = DEPTH**law.exponent * epsilon[DEPTH] / law.constant
    print(f"{name}: {reached[name]:.6f} of the limit {law.constant:.6f}")
ax.set(xlabel=r"layer $\ell$", ylabel=r"$1 - c_\ell$, times its power of $\ell$")
ax.legend(frameon=False, fontsize=7)

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        ax.figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
