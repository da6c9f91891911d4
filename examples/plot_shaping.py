"""
Shaping an activation
=====================

Deep kernel shaping (Martens et al. 2021) and tailored activation transforms (Zhang et al. 2022) scale and shift an activation so that
a plain network of a given depth has a gentle correlation map. GELU for 100 layers: the activations, and what 100 layers make of the
correlation of two inputs, beside the same network at He's initialisation.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

depth = 100
networks = {
    "He, σ_w = √2": mf.MeanField("gelu", 2**0.5, 0.0),
    "DKS": mf.MeanField(mf.shape_activation("gelu", depth=depth, method="dks"), 1.0, 0.0),
    "TAT": mf.MeanField(mf.shape_activation("gelu", depth=depth, method="tat"), 1.0, 0.0),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
x = np.linspace(-3.0, 3.0, 301)
c = np.linspace(-1.0, 1.0, 41)
for (name, network), line in zip(networks.items(), ("--", "-", "-."), strict=True):
    left.plot(x, network.activation(x), line, label=name)
    behind = [network.propagate(depth, q=1.0, c=start, hold_variance=name != "He, σ_w = √2").c[-1] for start in c]
    right.plot(c, behind, line, label=name)
left.plot(x, x, color="0.8", linewidth=0.8)
right.plot(c, c, color="0.8", linewidth=0.8)
left.set(xlabel="$x$", ylabel=r"$\varphi(x)$")
right.set(xlabel="correlation of two inputs", ylabel=f"behind {depth} layers")
left.legend(frameon=False)
plt.show()

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
