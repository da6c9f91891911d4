"""
Draws of the output function
============================

Functions drawn from the prior of infinitely wide networks, along a circle of inputs. Upper row, tanh at 30 layers: in the ordered phase the
function is all but constant, in the chaotic phase it is noise (neighbouring points of the grid are already independent), on the edge of
chaos it keeps a shape. Lower row: on the edge of chaos at growing depth, ReLU against Swish (Hayou, Doucet & Rousseau 2018, whose figures
of the prior these are). The dots are explicit networks of width 500, drawn apart: their spread is that of the lines.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield import layers as L

angle = np.linspace(0, 2 * np.pi, 201)
circle = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)  # mean square 1


def network(phi, sigma_w, sigma_b, depth):
    """A plain network with a first layer that brings inputs to its own variance."""
    dense = L.Dense(float(sigma_w), float(sigma_b))
    return mf.Network(dense, L.Repeat(L.Sequence(phi, dense), depth))


figure, axes = plt.subplots(2, 3, figsize=(7.2, 4.2), sharex=True, layout="constrained")
for axis in axes.flat:  # black and grey, full and dashed: a grey print, and eyes that take red for green, tell four draws apart
    axis.set_prop_cycle(color=["0.0", "0.0", "0.55", "0.55"], linestyle=["-", "--", "-", "--"])
edge = mf.edge_of_chaos("tanh", sigma_b=0.2)
for axis, (title, sigma_w) in zip(
    axes[0], [("tanh, ordered, 30 layers", 1.0), ("tanh, edge, 30 layers", edge.sigma_w), ("tanh, chaotic, 30 layers", 2.5)], strict=True
):
    axis.plot(angle, network("tanh", sigma_w, 0.2, 30).sample_outputs(circle, samples=4, seed=1).T, linewidth=0.8)
    axis.set_title(title, fontsize=8)

swish = mf.recommend("silu", depth=30)
spread = {}
for axis, (phi, sigma_w, sigma_b, depth) in zip(
    axes[1],
    [("relu", 2**0.5, 0.0, 3), ("relu", 2**0.5, 0.0, 30), ("silu", swish.sigma_w, swish.sigma_b, 30)],
    strict=True,
):
    net = network(phi, sigma_w, sigma_b, depth)
    drawn = net.sample_outputs(circle, samples=400, seed=2)
    axis.plot(angle, drawn[:4].T, linewidth=0.8)
    axis.set_title(f"{phi}, edge, {depth} layers", fontsize=8)
    axis.set_xlabel("angle of the input", fontsize=8)
    # How much of a function's size is left to its shape: its standard deviation over the circle against its root mean square.
    spread[phi, depth] = float(np.mean(np.std(drawn, axis=1)) / np.sqrt(np.mean(drawn**2)))

# One explicit network beside the middle picture of the upper row: other weights, the same law.
rng = np.random.default_rng(3)
width = 500
h = circle @ rng.standard_normal((2, width)) * edge.sigma_w / np.sqrt(2) + 0.2 * rng.standard_normal(width)
for _ in range(30):
    h = np.tanh(h) @ rng.standard_normal((width, width)) * edge.sigma_w / np.sqrt(width) + 0.2 * rng.standard_normal(width)
axes[0, 1].plot(angle[::4], h[::4, :2], "o", color="0.3", markersize=1.6, markeredgewidth=0.0)
for axis in axes.ravel():
    axis.tick_params(labelsize=7)
for (phi, depth), value in spread.items():
    print(f"{phi} at {depth} layers: {value:.3f} of the output's size varies along the circle")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
