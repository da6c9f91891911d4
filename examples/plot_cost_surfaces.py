"""
Two costs, and where they are flat
==================================

Glorot & Bengio (2010), figure 5: the cost of a network of two layers over one weight of each, for the quadratic cost (left) and for the
log-likelihood (middle). Inputs and targets are random. The quadratic cost has plateaus: where answers are wrong and certain its slope
vanishes, as the output's own slope multiplies it. The log-likelihood keeps its slope there. Right: of the upper half of either surface,
where there is much to gain, the share whose gradient is below a given part of its root mean square over the square.
"""

import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(5)
inputs = rng.standard_normal(40)
targets = rng.integers(0, 2, 40).astype(float)
SIDE = np.linspace(-6.0, 6.0, 181)
first, second = np.meshgrid(SIDE, SIDE, indexing="ij")

# One hidden tanh unit, one sigmoid output y = σ(w₂ tanh(w₁ x)); the log-likelihood by log(1 + e^a), which does not overflow.
hidden = np.tanh(first[..., None] * inputs)
logit = second[..., None] * hidden
output = 1 / (1 + np.exp(-logit))
costs = {
    "quadratic": np.mean((output - targets) ** 2, axis=-1),
    "log-likelihood": np.mean(np.logaddexp(0.0, logit) - targets * logit, axis=-1),
}
# ∂cost/∂logit of each example, then by the chain to both weights.
slopes = {"quadratic": 2 * (output - targets) * output * (1 - output), "log-likelihood": output - targets}
sizes, high, plateau = {}, {}, {}
for name, slope in slopes.items():
    by_first = np.mean(slope * second[..., None] * (1 - hidden**2) * inputs, axis=-1)
    by_second = np.mean(slope * hidden, axis=-1)
    size = np.hypot(by_first, by_second)
    sizes[name] = size / np.sqrt(np.mean(size**2))
    cost = costs[name]
    high[name] = cost > (cost.min() + cost.max()) / 2
    plateau[name] = float(np.mean(sizes[name][high[name]] < 0.25))

figure = plt.figure(figsize=(7.4, 2.7), layout="constrained")
for place, (name, cost) in enumerate(costs.items()):
    axes = figure.add_subplot(1, 3, place + 1, projection="3d")
    axes.plot_surface(first, second, cost, cmap="viridis", rcount=60, ccount=60, linewidth=0)
    axes.set_title(name, fontsize=8)
    axes.set_xlabel("$w_1$", fontsize=7, labelpad=-8)
    axes.set_ylabel("$w_2$", fontsize=7, labelpad=-8)
    axes.tick_params(labelsize=5, pad=-3)
axes = figure.add_subplot(1, 3, 3)
levels = np.geomspace(1e-2, 2.0, 60)
for name, style in (("quadratic", "-"), ("log-likelihood", "--")):
    axes.semilogx(levels, [np.mean(sizes[name][high[name]] < level) for level in levels], style, color="black", label=name)
axes.set_xlabel("part of the gradient's root mean square", fontsize=7)
axes.set_ylabel("share of the upper half below", fontsize=7)
axes.tick_params(labelsize=6)
axes.legend(fontsize=6, frameon=False)
for name, share in plateau.items():
    print(f"{name}: of the upper half {100 * share:.1f}% have a gradient below a quarter of its root mean square")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
