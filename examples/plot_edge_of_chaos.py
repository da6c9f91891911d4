"""
The edge of chaos of common activations
=======================================

On the edge of chaos (χ₁ = 1) gradients neither grow nor shrink with depth. Where the line is dashed, the variance at
which χ₁ = 1 repels: inputs leave it. ReLU has a single point, softplus none.
"""

import matplotlib.pyplot as plt

import meanfield as mf

ax = mf.plot.edge_of_chaos(["tanh", "elu", "silu", "gelu", "relu", "softplus"])
ax.set_ylim(0.9, 2.1)

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        ax.figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
