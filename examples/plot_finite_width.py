"""
What a finite width changes
===========================

Infinite width gives one number for each layer; a network of width N scatters around it. To first order in 1/N the theory gives
both the shift of the mean and the spread: here for chaotic tanh networks of width 200, layer by layer. The gradient's
logarithm drifts and spreads with depth/N, which is why depth/N, not 1/N, measures how far a network is from its
infinite-width theory.
"""

import matplotlib.pyplot as plt

import meanfield as mf

sim = mf.simulate("tanh", sigma_w=1.5, sigma_b=0.3, width=200, depth=30, networks=200)
figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.9), layout="constrained")
for ax, quantity in zip(axes, ("q1", "c", "gradient"), strict=True):
    mf.plot.comparison(sim, ax=ax, quantity=quantity, legend=ax is axes[0])
axes[0].set_ylim(bottom=0.55)  # room for the legend
verdict = sim.compare()
print(verdict)

# %%
# The coefficients of 1/N themselves.
theory = mf.finite_width("tanh", sigma_w=1.5, sigma_b=0.3, depth=30)
print(theory)

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
