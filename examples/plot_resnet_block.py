"""
What is Gaussian in a residual block, and what is not
=====================================================

Left: torchvision's residual block has its ReLU behind the sum, x ↦ relu(x + branch(x)), and no unit of the stream is Gaussian: its value is
a random walk that is kept above 0. Six blocks with He's weights multiply the mean square by 182.3, as networks do (dots; bars of two
standard errors). A Gaussian in the walk's place would say 1.5⁶ = 11.4. Right: with layer normalisation before φ the variance is 1 in every
layer, and the gradient's factor is V[φ']/(V[φ] + σ_b²/σ_w²) at 1, whatever σ_w is: networks are critical on a line of σ_b/σ_w (Doshi et al.
2023).
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield import layers as L

figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.0), layout="constrained")
block = L.PostActivation(L.Dense(2**0.5), "relu", L.Dense(2**0.5))
network = mf.Network(L.Dense(2**0.5), "relu", L.Repeat(block, 6))
theory = network.propagate(q=1.0, c=0.5)
sim = network.simulate(width=200, networks=60, seed=1, progress=False)
blocks = np.arange(7)
growth = theory.q1[2:] / theory.q1[2]
sampled, error = sim.q1.mean[2:] / theory.q1[2], 2 * sim.q1.standard_error[2:] / theory.q1[2]
left.semilogy(blocks, growth, color="black", label="the walk's density")
left.errorbar(blocks, sampled, error, color="black", linestyle="none", marker=".", capsize=2, label="60 networks")
left.semilogy(blocks, 1.5**blocks, color="0.6", linestyle=":", label="as if Gaussian")
left.set(xlabel="block", ylabel="mean square over that before")
left.legend(frameon=False, fontsize=7)

ratios = np.linspace(0.0, 0.5, 26)
lines = {}
for phi, style in (("tanh", "-"), ("erf", "--"), ("gelu", "-."), ("silu", ":")):
    second = mf.second_moment(phi, 1.0)
    slope = mf.second_moment(phi, 1.0, derivative=1)
    factors = [mf.MeanField(L.Sequence(L.LayerNorm(), phi, L.Dense(1.0, b))).chi_1 for b in ratios]
    lines[phi] = float(mf.edge_of_chaos(lambda w, b, phi=phi: L.Sequence(L.LayerNorm(), phi, L.Dense(w, b)), sigma_b=0.2).sigma_w)
    right.plot(ratios, factors, color="black", linestyle=style, label=phi)
    right.plot(np.sqrt(slope - second), 1.0, color="black", marker="o", markersize=3)
right.axhline(1.0, color="0.6", linewidth=0.8)
right.set(xlabel=r"$\sigma_b / \sigma_w$", ylabel="gradient's factor of a layer")
right.legend(frameon=False, fontsize=7)
print(f"six blocks: × {growth[-1]:.1f}, networks × {sampled[-1]:.0f} ± {error[-1] / 2:.0f}; as if Gaussian × {1.5**6:.1f}")
for phi, sigma_w in lines.items():
    print(f"{phi}: critical at σ_b²/σ_w² = {(0.2 / sigma_w) ** 2:.9f}")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
