"""
A new activation from its formula
=================================

Type a formula, get its phase diagram: derivatives, kinks and jumps are found from the formula, and the expectations are
computed to the same accuracy as for tanh. Here tanh with a slope that never dies, as a leaky ReLU has.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

activation = mf.activation("tanh(x) + 0.2*x")
ax = mf.plot.phase_diagram(activation, sigma_w=np.linspace(0.5, 3.0, 151), sigma_b=np.linspace(0.0, 1.0, 76))

# %%
# Its initialisation, and what its slope at 0 says must come out: σ_w = 1/φ'(0) = 1/1.2 at σ_b = 0.
edge = mf.edge_of_chaos(activation, sigma_b=np.array([0.0, 0.2, 0.5]))
print(edge)

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        ax.figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
