"""
Smooth activations forget more slowly than ReLU
===============================================

On the edge of chaos two inputs become alike not exponentially but by a power of the depth: like β/ℓ for φ with a
continuous slope, like 9π²/(2ℓ²) for ReLU, whose slope jumps (Hayou et al. 2018, 2019). Thin lines: these laws. After a
thousand layers the smooth ones have kept a hundred times more of the difference.
"""

import math

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

ax = mf.plot.trajectory(["tanh", "silu", "relu"], sigma_b=0.2, depth=10_000, laws=True)

# %%
# The laws come from the activation alone; the exponents also from the exact recursion, as slopes on the logarithmic axes.
laws = {name: mf.asymptotics(name, sigma_b=0.0 if name == "relu" else 0.2) for name in ("tanh", "silu", "relu")}
slopes = {}
for name, law in laws.items():
    network = mf.MeanField(name, sigma_w=law.sigma_w, sigma_b=law.sigma_b)
    epsilon = network.propagate(10_000, q=law.q, c=0.5, hold_variance=True).epsilon
    slopes[name] = math.log(epsilon[10_000] / epsilon[5_000]) / math.log(2)
    print(f"{name}: ε ~ {law.constant:.6f} / l^{law.exponent:g}; measured slope {slopes[name]:.4f}")
print(f"9π²/2 = {9 * np.pi**2 / 2:.6f}")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        ax.figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
