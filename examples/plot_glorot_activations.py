"""
Activations at initialisation, after Glorot and Bengio
======================================================

Glorot & Bengio (2010), figures 2 to 4 and 6, followed the activations of four hidden layers of 1000 units. A random network
knows of initialisation only. There, with the standard scheme U[−1/√n, 1/√n], activations of tanh and softsign shrink from
layer to layer (top); with the normalized one they keep more of their size (middle). Sigmoid keeps a mean of ½ in every layer.

Call a unit saturated where its slope is below a tenth of the largest. Such units are rare with the standard scheme. With σ_w = 2.5
(bottom) they are many for tanh, in every layer; fewer for softsign, which bends later; and fewest for sigmoid behind layer 1. What
the paper saw during training, sigmoid's top layer pushed to 0 and tanh saturating layer after layer, starts from
here, and is beyond a theory of random networks.
"""

import matplotlib.pyplot as plt

import meanfield as mf

WIDTHS = [1024, 1000, 1000, 1000, 1000, 10]
found = {
    (name, init): mf.layer_statistics(name, WIDTHS, init, networks=6)
    for name in ("tanh", "softsign", "sigmoid")
    for init in ("standard", "normalized", (2.5, 0.0))
}
figure, axes = plt.subplots(3, 3, figsize=(9.6, 7.2), layout="constrained")
for ax, ((name, _), statistics) in zip(axes.T.ravel(), found.items(), strict=True):
    mf.plot.layer_statistics(statistics, ax=ax, legend=ax is axes[0, 0])
    ax.set_title(f"{name}, {statistics.init}", fontsize=8)

# %%
# The same as numbers: theory above, six sampled networks below.
for statistics in found.values():
    print(statistics, end="\n\n")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
