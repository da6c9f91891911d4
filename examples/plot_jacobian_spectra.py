"""
ReLU can't be an isometry, hard tanh and erf can
================================================

Pennington, Schoenholz and Ganguli (2017, 2018) asked for which networks all singular values of the input-output Jacobian
stay near 1 at any depth. With Gaussian weights none does; with orthogonal ones the variance of s² is L(μ₂/μ₁² − 1), which
ReLU keeps at L whatever one does, while hard tanh and erf can make it as small as one likes by the variance q of their
pre-activations.
"""

import matplotlib.pyplot as plt

import meanfield as mf

depth = 64
figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 2.8), layout="constrained")

# On the edge of chaos, Gaussian against orthogonal: most of 64 layers' singular values are far below 1 all the same.
edge = mf.edge_of_chaos("tanh", sigma_b=0.2)
networks = [mf.jacobian_spectrum("tanh", edge.sigma_w, 0.2, depth, weights) for weights in ("gaussian", "orthogonal")]
networks.append(mf.jacobian_spectrum("relu", 2**0.5, 0.0, depth, "orthogonal"))
mf.plot.spectrum(networks, ax=left, log=True, labels=["tanh, Gaussian", "tanh, orthogonal", "ReLU, orthogonal"])
left.set_title("on the edge of chaos", fontsize=9)

# At their points of isometry, Var s² = 1/4. hard tanh has three quarters of all singular values in one atom.
isometric = []
for name in ("erf", "hardtanh"):
    point = mf.isometry_point(name, depth=depth, variance=0.25)
    print(f"{name}: {point}")
    isometric.append(mf.jacobian_spectrum(name, point.sigma_w, point.sigma_b, depth, "orthogonal", point.q))
mf.plot.spectrum(isometric, ax=right, log=False, labels=["erf", "hard tanh"])
right.set_title("at the point of isometry", fontsize=9)
for s in (*networks, *isometric):
    print(s)

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
