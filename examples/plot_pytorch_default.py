"""
Where PyTorch's default initialisation lies
===========================================

``torch.nn.Linear`` draws weights and biases from U[−1/√n, 1/√n]. In the terms of the theory that is σ_w² = 1/3 and
σ_b² = 1/(3n): deep in the ordered phase of every common activation. For tanh χ₁ is about 1/3 at any width, so gradients
fall by a factor e in less than one layer. The edge of chaos, the line in the diagram, is where deep networks keep them.
"""

import math

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

diagram = mf.phase_diagram("tanh", sigma_w=np.linspace(0.05, 2.5, 120), sigma_b=np.linspace(0.0, 0.5, 60))
ax = mf.plot.phase_diagram(diagram, "xi_grad")
names = ("pytorch_default", "standard", "lecun", "he")
schemes = {name: mf.scheme(name, fan_in=100, fan_out=100) for name in names}
box = {"facecolor": "black", "alpha": 0.5, "pad": 1.0, "linewidth": 0}
for (name, scheme), marker, height in zip(schemes.items(), "o^sD", (0.03, 0.015, 0.03, 0.03), strict=True):
    ax.plot(scheme.sigma_w, scheme.sigma_b, marker, color="white", markeredgecolor="black", markersize=5, clip_on=False, zorder=5)
    place = (scheme.sigma_w - (0.3 if name == "standard" else 0.0), scheme.sigma_b + height)
    ax.annotate(name, place, fontsize=7, ha="center", color="white", bbox=box)

# %%
# The same in words, for three activations.
for activation in ("tanh", "relu", "silu"):
    print(schemes["pytorch_default"].place(activation))

# %%
# How wide the layer is makes no difference to χ₁: the bias only gets smaller.
chi = {n: mf.scheme("pytorch_default", n).network("tanh").chi_1 for n in (10, 100, 1000, 10_000)}
print({n: round(value, 6) for n, value in chi.items()}, "→ 1/3; layers for a factor e:", round(-1 / math.log(1 / 3), 3))

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        ax.figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
