"""
Variance and correlation maps
=============================

Poole et al. (2016) follow the variance q and the correlation c of two inputs from layer to layer by their maps. For tanh
with σ_b = 0.3 the variance has one fixed point (left), which attracts. At σ_w = 1.3 correlations go to 1: the network is
ordered. At 2.5 and 4 they leave 1, where the map is steeper than the identity, and settle at c* (markers, right).
"""

import matplotlib.pyplot as plt

import meanfield as mf

networks = [mf.MeanField("tanh", sigma_w=sigma_w, sigma_b=0.3) for sigma_w in (1.3, 2.5, 4.0)]
figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.0), layout="constrained")
mf.plot.variance_map(networks, ax=left)
mf.plot.correlation_map(networks, ax=right, legend=False)
for network in networks:
    print(f"σ_w = {network.sigma_w}: q* = {network.q_star:.6f}, χ₁ = {network.chi_1:.6f}, c* = {network.c_star:.10f}, {network.phase}")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
