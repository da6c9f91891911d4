"""
The edge of chaos of ten activations
====================================

On the edge of chaos (χ₁ = 1) gradients neither grow nor shrink with depth. Where the line is dashed, the variance at
which χ₁ = 1 repels: inputs leave it. ReLU has a single point, at σ_b = 0; softplus, not one of the ten, has none.
"""

import matplotlib.pyplot as plt

import meanfield as mf

NAMES = ("softsign", "tanh", "erf", "hardtanh", "elu", "selu", "silu", "gelu", "mish", "relu")
figure, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
mf.plot.edge_of_chaos([*NAMES, "softplus"], ax=ax, legend=False)
ax.set_ylim(0.6, 2.4)
figure.legend(loc="outside right upper", fontsize=7, handlelength=2.6, frameon=False)

# %%
# The same as numbers, at σ_b = 0, 0.2 and 0.8.
for name in NAMES:
    edge = mf.edge_of_chaos(name, sigma_b=[0.0, 0.2, 0.8])
    print(f"{name:9}", "  ".join(f"{sigma_w:.6f} {status}" for sigma_w, status in zip(edge.sigma_w, edge.status, strict=True)))

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
