"""
Back-propagated gradients, after Glorot and Bengio
==================================================

Glorot & Bengio (2010), figure 7: with the standard scheme the gradients of tanh networks shrink from layer to layer on
their way down (left), with the normalized scheme much less (middle). Theory has the factor (right): σ_w² V[φ'], which is
V[φ']/3 for the standard scheme and V[φ'] for the normalized one. For a linear φ, the case that the normalized scheme was
derived for, gradients stay level.
"""

import matplotlib.pyplot as plt

import meanfield as mf

WIDTHS = [1000, 1000, 1000, 1000, 1000, 1000]
standard, normalized = (mf.layer_statistics("tanh", WIDTHS, init, q0=0.2, networks=6) for init in ("standard", "normalized"))
linear = mf.layer_statistics("linear", WIDTHS, "normalized", q0=0.2, networks=6)
figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.9), layout="constrained")
for ax, statistics in zip(axes, (standard, normalized), strict=False):
    mf.plot.layer_statistics(statistics, ax=ax, quantity="gradients")
    ax.set_title(f"tanh, {statistics.init}", fontsize=8)
mf.plot.layer_statistics([standard, normalized, linear], ax=axes[2], quantity="gradient_variance")

# %%
# From one layer to the next.
factors = {
    name: item.gradient_variance[:-1] / item.gradient_variance[1:]
    for name, item in (("standard", standard), ("normalized", normalized), ("linear", linear))
}
for name, values in factors.items():
    print(f"{name}: {values.round(4)}")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
