"""
Gradients at PyTorch's default initialisation
=============================================

``torch.nn.Linear`` draws weights and biases from U[−1/√n, 1/√n]. In the terms of the theory that is σ_w² = 1/3 and
σ_b² = 1/(3n): deep in the ordered phase of every common activation (left, for tanh). So gradients vanish on their way back (right,
grey: theory as lines, 20 networks of width 512 as markers). After twenty layers 10⁻¹⁰ of the squared gradient is left for tanh, less than
10⁻²¹ for SiLU. With the σ's of `recommend` 0.8 and 0.3 of it are (black).
"""

import math

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

WIDTH, DEPTH = 512, 20
figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.2), layout="constrained")
diagram = mf.phase_diagram("tanh", sigma_w=np.linspace(0.05, 2.5, 120), sigma_b=np.linspace(0.0, 0.5, 60))
mf.plot.phase_diagram(diagram, "xi_grad", ax=left)
names = ("pytorch_default", "lecun", "he")
schemes = {name: mf.scheme(name, fan_in=WIDTH, fan_out=WIDTH) for name in names}
box = {"facecolor": "black", "alpha": 0.5, "pad": 1.0, "linewidth": 0}
for (name, scheme), marker in zip(schemes.items(), "osD", strict=True):
    left.plot(scheme.sigma_w, scheme.sigma_b, marker, color="white", markeredgecolor="black", markersize=5, clip_on=False, zorder=5)
    left.annotate(name, (scheme.sigma_w, scheme.sigma_b + 0.025), fontsize=7, ha="center", color="white", bbox=box)

layers = np.arange(DEPTH + 1)
lost = {}
for activation, style, marker in (("tanh", "-", "o"), ("relu", "--", "s"), ("silu", ":", "^")):
    for start, shade in ((schemes["pytorch_default"], "0.55"), (mf.recommend(activation, depth=DEPTH), "black")):
        arguments = {"sigma_w": start.sigma_w, "sigma_b": start.sigma_b}
        theory = mf.MeanField(activation, **arguments).propagate(DEPTH, q=1.0)
        label = activation if shade == "black" else None
        right.semilogy(layers, theory.gradient, color=shade, linestyle=style, linewidth=1.2, label=label)
        sim = mf.simulate(activation, **arguments, width=WIDTH, depth=DEPTH, networks=20, seed=0, progress=False)
        right.semilogy(layers[::4], sim.gradient.mean[::4], marker, color=shade, markersize=3.5)
        lost[activation, shade] = theory.gradient[0]
right.set(
    xlabel=r"layer $\ell$",
    ylabel=r"$E|\partial E/\partial h^\ell|^2\,/\,|\partial E/\partial h^L|^2$",
    ylim=(1e-23, 1e2),
    xticks=range(0, DEPTH + 1, 5),
)
right.legend(frameon=False, fontsize=7, handlelength=3.2)

# %%
# The factors that are left of the squared gradient at the first layer.
for (activation, shade), factor in lost.items():
    print(f"{activation}, {'recommended' if shade == 'black' else 'default'}: {factor:.3g}")

# %%
# Where the default lies, in words.
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
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
