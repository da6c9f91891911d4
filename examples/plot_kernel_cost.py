"""
What kernels cost
=================

The Gram matrix of N inputs has N² entries. Where all inputs have one norm an entry costs the same at any depth: a network is then one
function of their correlation, tabulated once. With norms that differ the layers bring variances together, and an entry costs a few short
sums until they have met. What grows with the depth is that each of the N inputs goes through the layers by itself, some 0.6 ms a layer.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield import layers as L

sizes, depths = (250, 500, 1000), (1, 10, 100, 1000)
rng = np.random.default_rng(0)
inputs = rng.standard_normal((max(sizes), 10))
one_norm = inputs * np.sqrt(10.0) / np.linalg.norm(inputs, axis=1, keepdims=True)
norms = one_norm * rng.uniform(0.75, 1.4, (max(sizes), 1))


def network(depth):
    return mf.Network(L.Dense(1.3, 0.2), L.Repeat(L.Sequence("tanh", L.Dense(1.3, 0.2)), depth))


def seconds(kernel, rows):
    """Of a second run: the first makes the tables."""
    kernel(rows)
    started = time.perf_counter()
    kernel(rows)
    return time.perf_counter() - started


net = network(30)
by_size = {
    ("NNGP, one norm", "-o"): [seconds(net.nngp, one_norm[:n]) for n in sizes],
    ("NTK, one norm", "--s"): [seconds(net.ntk, one_norm[:n]) for n in sizes],
    ("NNGP, norms that differ", "-^"): [seconds(net.nngp, norms[:n]) for n in sizes],
    ("NTK, norms that differ", "--v"): [seconds(net.ntk, norms[:n]) for n in sizes],
}
by_depth = {
    ("NNGP, one norm", "-o"): [seconds(network(depth).nngp, one_norm[:250]) for depth in depths],
    ("NNGP, norms that differ", "-^"): [seconds(network(depth).nngp, norms[:250]) for depth in depths],
}

# %%
# Left: 30 layers of tanh, warm. Right: 250 inputs at growing depth. The matrix itself is the memory: 8 N² bytes, 8 MB at N = 1000.
figure, (left, right) = plt.subplots(1, 2, figsize=(7.0, 2.8), layout="constrained")
for (label, style), times in by_size.items():
    left.loglog(sizes, times, style, markersize=4, label=label)
left.set(xlabel="inputs $N$", ylabel="seconds", xticks=sizes, xticklabels=sizes)
left.minorticks_off()
left.legend(fontsize=7, frameon=False)
for (label, style), times in by_depth.items():
    right.loglog(depths, times, style, markersize=4, label=label)
right.set(xlabel="layers", ylabel="seconds")
right.legend(fontsize=7, frameon=False)

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
