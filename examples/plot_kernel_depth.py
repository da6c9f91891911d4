"""
Kernels of deep networks
========================

What depth does to the NNGP kernel K and the tangent kernel Θ of 12 random inputs of one norm. Left: Θ(x, x')/Θ(x, x) on the edge of chaos
goes to 1/3 for a smooth activation and to 1/4 for one with a kink (dotted). Right: condition numbers. On the edge that of Θ stays near
(M + 2)/2 or (M + 3)/3 for M inputs, so that gradient descent fits all of them at like speeds; in the ordered phase it grows exponentially,
and that network can't be trained. The condition number of K grows on the edge too, like the depth (smooth) or its square (kinks).
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield import layers as L

M = 12
X = np.random.default_rng(0).standard_normal((M, 40))
X /= np.sqrt(np.mean(X * X, axis=1, keepdims=True))
DEPTH = 200
tanh = mf.edge_of_chaos("tanh", sigma_b=0.2)
NETWORKS = {
    "tanh, edge": ("tanh", tanh.sigma_w, 0.2, "-", "black"),
    "ReLU, edge": ("relu", 2**0.5, 0.0, "--", "black"),
    "tanh, ordered": ("tanh", 1.1, 0.2, "-", "0.6"),
}
depths = np.arange(1, DEPTH + 1)
figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.0), layout="constrained")
for name, (phi, sigma_w, sigma_b, style, colour) in NETWORKS.items():
    dense = L.Dense(float(sigma_w), sigma_b)
    net = mf.Network(dense, L.Repeat(L.Sequence(phi, dense), DEPTH))
    k, theta = net.nngp(X, per_layer=True)[2:], net.ntk(X, per_layer=True)[2:]
    if name.endswith("edge"):
        ratio = (theta.sum(axis=(1, 2)) / np.trace(theta, axis1=1, axis2=2) - 1) / (M - 1)
        left.semilogx(depths, ratio, linestyle=style, color=colour, label=name)
        print(f"{name}: Θ(x, x')/Θ(x, x) at {DEPTH} layers {ratio[-1]:.4f}, condition of Θ {np.linalg.cond(theta[-1]):.3f}")
    right.loglog(depths, [np.linalg.cond(each) for each in theta], linestyle=style, color=colour, label=f"Θ, {name}")
    if name.endswith("edge"):
        right.loglog(depths, [np.linalg.cond(each) for each in k], linestyle=style, color="tab:blue", label=f"K, {name}")
for limit in (1 / 3, 1 / 4):
    left.axhline(limit, color="0.6", linestyle=":")
left.set(xlabel="layers", ylabel=r"$\Theta(x, x')/\Theta(x, x)$")
right.set(xlabel="layers", ylabel="condition number", ylim=(1, 1e8))
for axis in (left, right):
    axis.legend(frameon=False, fontsize=7)

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
