"""
Residual networks grow by powers, not exponents
===============================================

Yang & Schoenholz (2017): in a residual network of ReLU branches variance and gradient double with every block. With tanh branches the
variance grows like s l, s = σ_w² + σ_b², and the gradient like exp(A√l), A = (8/3)σ_w²/√(2πs): there is no edge of chaos to be tuned to.
Left: the variance; middle: the logarithm of the gradient against the root of the depth, both with their laws, dotted. Right: Hayou et al.
(2021) scale each branch by 1/√L. As L grows, the correlation of two inputs then has a limit, 0.59323 for ReLU from ½, and so has the
gradient, e.
"""

import math

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield import layers as L

DEPTH = 250
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9.6, 3.0), layout="constrained")
layers = np.arange(DEPTH + 1)
relu = mf.Network(L.Repeat(L.Residual("relu", L.Dense(2**0.5)), DEPTH)).propagate()
tanh = mf.Network(L.Repeat(L.Residual("tanh", L.Dense(1.0)), DEPTH)).propagate()

left.loglog(layers[1:], relu.q1[1:], color="black", linestyle="--", label="relu")
left.loglog(layers[1:], tanh.q1[1:], color="black", label="tanh")
left.loglog(layers[1:], layers[1:], color="0.6", linestyle=":", label=r"$s\,\ell$")
left.set(xlabel=r"block $\ell$", ylabel=r"$q_\ell$", ylim=(1, 1e6))
left.legend(frameon=False, fontsize=7)

# The gradient at block l relative to the input's: √l for tanh, l for ReLU. The law of tanh has a logarithm beside it, so that it is
# the slopes that agree.
slope = 8 / 3 / math.sqrt(2 * math.pi)
root = np.sqrt(layers)
growth = {name: math.log(t.gradient[0]) - np.log(t.gradient) for name, t in (("relu", relu), ("tanh", tanh))}
middle.plot(root, growth["tanh"], color="black", label="tanh")
middle.plot(root, growth["relu"], color="black", linestyle="--", label="relu")
middle.plot(root, slope * root, color="0.6", linestyle=":", label=r"$A\sqrt{\ell}$")
middle.set(xlabel=r"$\sqrt{\ell}$", ylabel="log of the gradient's growth", ylim=(0, 22))
middle.legend(frameon=False, fontsize=7)
last = (growth["tanh"][-1] - growth["tanh"][DEPTH // 4]) / (root[-1] - root[DEPTH // 4])
print(
    f"tanh: slope {last:.4f} against √l over the last three quarters, the law has {slope:.4f}; q = {tanh.q1[-1]:.1f} after {DEPTH} blocks"
)

# Branches scaled by 1/√L.
depths = np.unique(np.geomspace(2, 1000, 15).round().astype(int))
scaled = {depth: mf.Network(L.Repeat(L.Residual("relu", L.Dense(2**0.5), scale=depth**-0.5), int(depth))).propagate() for depth in depths}
correlation = np.array([t.c[-1] for t in scaled.values()])
gradient = np.array([t.gradient[0] for t in scaled.values()])
limit = 0.593229671432484
right.loglog(depths, limit - correlation, "o-", color="black", markersize=3, label=r"$c_\infty - c_L$")
right.loglog(depths, math.e - gradient, "s--", color="0.45", markersize=3, label="e − gradient")
right.loglog(depths, 1 / depths, color="0.6", linestyle=":", label="$1/L$")
right.set(xlabel="blocks $L$", ylabel="distance from the limit")
right.legend(frameon=False, fontsize=7)
print(f"1/√L: c = {correlation[-1]:.6f} at L = {depths[-1]}, {limit:.6f} in the limit; gradient {gradient[-1]:.5f}")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
