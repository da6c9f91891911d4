"""
Dropout takes the edge of chaos away
====================================

Schoenholz et al. (2017): with a dropout mask for each input, two runs of the same input differ. c = 1 is no fixed point any more, all
networks have c* < 1 (left), and the depth that a signal travels is finite everywhere. Along the line where gradients keep their size,
it falls like rate^(−1/2) for tanh, and like rate^(−1/3) for ReLU, whose kink makes another class (right; dotted: these powers).
"""

import math

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield import layers as L

figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.0), layout="constrained")
edge = mf.edge_of_chaos("tanh", sigma_b=0.2)
POINTS = {"tanh": (float(edge.sigma_w), 0.2), "relu": (2**0.5, 0.0)}
rates = np.geomspace(1e-5, 0.5, 24)


# With σ_w√(1 − rate) in the place of σ_w variance and gradient are those without dropout; only the correlation changes. The two inputs
# start at c = 0.9; the last steps towards c* shrink by f'(c*) each.
def resting(phi, rate):
    """1 − c*, and the depth scale of the approach."""
    sigma_w, sigma_b = POINTS[phi]
    layer = L.Sequence(phi, L.Dropout(rate), L.Dense(math.sqrt(1 - rate) * sigma_w, sigma_b))
    q = float(edge.q) if phi == "tanh" else 1.0
    epsilon = mf.Network(L.Repeat(layer, 6000)).propagate(q=q, c=0.9).epsilon
    slope = (1 - rate) * sigma_w**2 * mf.covariance(phi, q, q, 1 - epsilon[-1], derivative=1)
    return float(epsilon[-1]), -1 / math.log(float(slope))


found = {phi: np.array([resting(phi, rate) for rate in rates]) for phi in POINTS}
for phi, style in (("tanh", "-"), ("relu", "--")):
    left.semilogx(rates, 1 - found[phi][:, 0], color="black", linestyle=style, label=phi)
    right.loglog(rates, found[phi][:, 1], color="black", linestyle=style, label=phi)
left.set(xlabel="dropout rate", ylabel="$c^*$")
left.legend(frameon=False, fontsize=7)
for phi, power in (("tanh", 1 / 2), ("relu", 1 / 3)):
    right.loglog(rates, found[phi][0, 1] * (rates / rates[0]) ** -power, color="0.6", linestyle=":")
right.set(xlabel="dropout rate", ylabel=r"$\xi_c$")
right.legend(frameon=False, fontsize=7)
exponents = {phi: math.log(values[0, 1] / values[4, 1]) / math.log(rates[4] / rates[0]) for phi, values in found.items()}
print(f"ξ_c ~ rate^(−{exponents['tanh']:.3f}) for tanh, rate^(−{exponents['relu']:.3f}) for ReLU, at rates of 1e-5 to 1e-4")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
