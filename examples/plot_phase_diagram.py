"""
The phase diagram of tanh
=========================

Left of the critical line χ₁ = 1 two inputs become alike as they go deeper and gradients vanish; right of it they part and
gradients explode. How many layers either takes is the depth scale ξ_c (Schoenholz et al. 2017): infinite on the line,
a handful of layers away from it. The line is computed exactly, the colours cell by cell.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

diagram = mf.phase_diagram("tanh", sigma_w=np.linspace(0.5, 3.0, 201), sigma_b=np.linspace(0.0, 1.0, 101))
ax = diagram.plot("xi_c")

# %%
# The cells know the line too: in every row the phase changes where the edge of chaos lies.
edge = mf.edge_of_chaos("tanh", sigma_b=diagram.sigma_b)
first_chaotic = diagram.sigma_w[np.argmax(diagram.phase == 1, axis=1)]
print("largest distance of the boundary from the edge of chaos:", np.max(first_chaotic - edge.sigma_w))

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        ax.figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
