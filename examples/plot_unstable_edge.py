"""
Swish: an edge of chaos that inputs leave
=========================================

χ₁ = 1 makes gradients neither grow nor shrink *at one variance q*. Inputs stay there only if the variance map returns to
q, that is if F'(q) < 1. Along Swish's edge of chaos (left) F'(q) is above 1 until σ_b = 0.745: below that, inputs
leave q (right). Those that start a little lower fall to a smaller fixed point, where χ₁ < 1; those a little higher grow
without bound. tanh's edge attracts everywhere.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 2.8), layout="constrained")
sigma_b = np.linspace(0.0, 1.0, 401)
for name, style in (("silu", "-"), ("tanh", "--")):
    left.plot(sigma_b, mf.edge_of_chaos(name, sigma_b=sigma_b).variance_slope, color="black", linestyle=style, label=name)
left.axhline(1.0, color="0.6", linewidth=0.8)
left.set(xlabel=r"$\sigma_b$", ylabel=r"$F^\prime(q)$ on the edge of chaos")
left.legend(frameon=False, fontsize=8)

edge = mf.edge_of_chaos("silu", sigma_b=0.2)
network = mf.MeanField("silu", sigma_w=edge.sigma_w, sigma_b=0.2)
for share, style in ((0.9, "-"), (0.99, "--"), (1.01, "-."), (1.1, ":")):
    q = network.propagate(60, q=share * edge.q).q1
    right.plot(q, color="black", linestyle=style, label=f"{share:g} $q$")
right.axhline(edge.q, color="0.6", linewidth=0.8)
right.set(xlabel=r"layer $\ell$", ylabel=r"$q_\ell$ at $\sigma_b = 0.2$", yscale="log", ylim=(0.1, 10))
right.legend(frameon=False, fontsize=8, title="start", title_fontsize=8)

# %%
# Where the edge begins to attract, and where inputs go at σ_b = 0.2.
curve = mf.edge_of_chaos("silu", sigma_b=np.linspace(0.745, 0.7452, 201))
begins = float(curve.sigma_b[np.argmax(curve.stable)])
print(f"attracting from σ_b = {begins:.6f}")
print(f"at σ_b = 0.2: σ_w = {edge.sigma_w:.6f}, q = {edge.q:.6f}, F'(q) = {edge.variance_slope:.4f}")
for point in network.variance_fixed_points():
    print(f"fixed point q = {point.value:.4f}, F' = {point.slope:.4f}, {'attracting' if point.stable else 'repelling'}")

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
