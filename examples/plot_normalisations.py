"""
What normalisation does to gradients
====================================

Left: behind batch normalisation gradients grow by a factor λ > 1 with every layer, whatever σ_w and σ_b are (Yang et al. 2019): in a
linear network (B − 2)/(B − 3) for batches of B, and for other activations above a limit that no batch size undoes (dotted). Right: 1000
residual blocks. Where the branch's input is normalised ("pre-norm"), the variance grows like the depth and the gradient like a power of
it, L^(χ/s²): 1 for ReLU, 1.178 for tanh. Where the sum is normalised ("post-norm"), the same branch multiplies the gradient block by block.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield import layers as L

figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.0), layout="constrained")
batches = np.array([5, 6, 8, 12, 16, 24, 32, 64, 128, 256])
STYLES = {"linear": "-.", "relu": "--", "tanh": "-"}


def factor(phi, batch):
    """By how much gradients grow in one layer, once they have come through another."""
    gradient = mf.Network(L.Repeat(L.Sequence(L.Dense(1.0), L.BatchNorm(int(batch)), phi), 3)).propagate().gradient
    return gradient[1] / gradient[2]


growth = {phi: np.array([factor(phi, batch) for batch in batches]) for phi in STYLES}
limits = {}
for phi, style in STYLES.items():
    act = mf.activation(phi)
    mean = mf.expectation(act)
    limits[phi] = float(mf.second_moment(act, 1.0, derivative=1) / (mf.second_moment(act, 1.0) - mean**2))
    left.semilogx(batches, growth[phi], color="black", linestyle=style, label=phi)
    left.axhline(limits[phi], color="0.6", linestyle=":")
left.set(xlabel="batch $B$", ylabel=r"$\lambda$, a layer", ylim=(0.95, 2.4))
left.legend(frameon=False, fontsize=7)
print("B → ∞:", ", ".join(f"{phi} {limit:.4f}" for phi, limit in limits.items()))

# Pre-norm against post-norm, with the branch's variance at 1.
DEPTH = 1000
blocks = np.arange(DEPTH + 1)
exponent = {}
gradients = {}
for phi, style in (("relu", "--"), ("tanh", "-")):
    v = float(mf.second_moment(phi, 1.0))
    exponent[phi] = float(mf.second_moment(phi, 1.0, derivative=1)) / v
    weights = L.Dense(v**-0.5)
    pre = mf.Network(L.Repeat(L.Residual(L.LayerNorm(), phi, weights), DEPTH)).propagate()
    post = mf.Network(L.Repeat(L.Sequence(L.Residual(phi, weights), L.LayerNorm()), DEPTH)).propagate()
    gradients[phi, "pre"], gradients[phi, "post"] = pre.gradient, post.gradient
    # Growth seen from the input: the gradient there over that behind block l.
    right.loglog(blocks[1:], pre.gradient[0] / pre.gradient[1:], color="black", linestyle=style, label=f"pre-norm, {phi}")
    if phi == "tanh":  # for ReLU it is 1 for ever
        right.loglog(blocks[1:], post.gradient[0] / post.gradient[1:], color="0.5", linestyle=style, label=f"post-norm, {phi}")
right.set(xlabel=r"block $\ell$", ylabel="growth of the gradient", ylim=(0.8, 1e8))
right.legend(frameon=False, fontsize=7)
print(f"exponents: {exponent}; post-norm tanh grows by {(1 + exponent['tanh']) / 2:.4f} a block, {gradients['tanh', 'post'][0]:.1e} in all")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
