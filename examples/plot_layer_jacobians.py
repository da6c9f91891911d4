"""
Singular values of a layer's Jacobian
=====================================

Glorot & Bengio (2010), section 4.2: the mean singular value of J = ∂z′/∂z = diag(φ′(h′)) W, from one hidden layer's activations to the
next one's, is around 0.5 with the standard weights and around 0.8 with the normalized ones; the nearer to 1, the more even a flow of
information. It needs no network to be drawn: the law of the singular values of one layer at the variance of its pre-activations has
a mean. The inputs' mean square is that of the training page's images as grey levels from 0 to 1. Dots: explicit networks of width 400.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

MEAN_SQUARE = 0.123  # of Shapeset-3×2's grey levels
LAYERS = 5
WIDTH = 400
PROBABILITIES = (np.arange(400) + 0.5) / 400

rng = np.random.default_rng(0)
theory, measured = {}, {}
for name in ("standard", "normalized"):
    sigma_w = mf.scheme(name, WIDTH, WIDTH).sigma_w
    q = mf.MeanField("tanh", sigma_w, 0.0).propagate(LAYERS - 1, q=sigma_w**2 * MEAN_SQUARE).q1
    # J^i has φ′ at the layer above: q of layers 2 to 5.
    spectra = [mf.jacobian_spectrum("tanh", sigma_w, 0.0, 1, "gaussian", q=float(value)) for value in q[1:]]
    theory[name] = np.array([np.mean(spectrum.quantile(PROBABILITIES)) for spectrum in spectra])
    z = np.full(WIDTH, MEAN_SQUARE**0.5)
    found = []
    for layer in range(LAYERS):
        weights = (2 * rng.random((WIDTH, WIDTH)) - 1) * np.sqrt(3.0) * sigma_w / np.sqrt(WIDTH)
        z = np.tanh(weights @ z)
        if layer:
            found.append(np.linalg.svd((1 - z**2)[:, None] * weights, compute_uv=False).mean())
    measured[name] = np.array(found)

ax = plt.figure(figsize=(3.4, 2.6), layout="constrained").add_subplot()
layers = np.arange(1, LAYERS)
for name, style in (("standard", "--"), ("normalized", "-")):
    ax.plot(layers, theory[name], style, color="black", label=f"tanh, {name}")
    ax.plot(layers, measured[name], "o", color="0.4", markersize=4)
for published in (0.5, 0.8):
    ax.axhline(published, color="0.7", linewidth=0.8, linestyle=":")
ax.set(xlabel="from hidden layer $i$ to $i + 1$", ylabel="mean singular value", xticks=layers, ylim=(0.4, 0.9))
ax.tick_params(labelsize=8)
ax.legend(fontsize=7, frameon=False)
for name, published in (("standard", 0.5), ("normalized", 0.8)):
    print(f"{name}: {theory[name].mean():.4f} by theory, {measured[name].mean():.4f} measured, {published} published")
print(f"a linear layer has 8/(3π) σ_w: {8 / (3 * np.pi) * 3**-0.5:.4f} and {8 / (3 * np.pi):.4f}")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        ax.figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
