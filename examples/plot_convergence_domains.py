"""
Domains of convergence, as bounded and exactly
==============================================

Hayou, Doucet & Rousseau (2018), Proposition 1: below a σ_w that depends on the activation alone, variances of all inputs converge to
one limit whatever σ_b is, and below another one correlations do, too. The bounds come from suprema and are safe, not sharp. Left: from 0 to
the bound (dark) and to the exact end of the domain (light), with an arrow where it has none. Right: why tanh's exact domain of variances
is all σ_w: F crosses the diagonal once for every σ_w, though its slope at 0 exceeds 1.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

NAMES = ("relu", "silu", "gelu", "elu", "tanh", "softsign", "erf")
domains = {name: mf.convergence_domains(name) for name in NAMES}
figure, (left, right) = plt.subplots(1, 2, figsize=(7.0, 3.0), layout="constrained", width_ratios=(3, 2))
for place, name in enumerate(NAMES):
    found = domains[name]
    for offset, bound, exact, colour in (
        (0.18, found.sigma_w_variance, found.exact_variance, "C0"),
        (-0.18, found.sigma_w_correlation, found.exact_correlation, "C1"),
    ):
        end = min(exact, 2.2)
        left.barh(place + offset, end, height=0.3, color=colour, alpha=0.35)
        left.barh(place + offset, bound, height=0.3, color=colour)
        if np.isinf(exact):
            left.annotate("", (2.38, place + offset), (end, place + offset), arrowprops={"arrowstyle": "->", "color": colour})
left.set(xlabel=r"$\sigma_w$", xlim=(0, 2.4))
left.set_yticks(range(len(NAMES)), NAMES, fontsize=8)
left.barh(np.nan, np.nan, color="C0", label="variances")
left.barh(np.nan, np.nan, color="C1", label="correlations")
left.legend(fontsize=7, frameon=False, loc="lower right")

q = np.linspace(0.0, 1.5, 151)
for sigma_w, style in ((0.8, ":"), (1.2, "--"), (2.0, "-")):
    right.plot(q, mf.MeanField("tanh", sigma_w, 0.1).variance_map(q), style, color="black", label=rf"$\sigma_w = {sigma_w:g}$")
right.plot(q, q, color="0.7", linewidth=0.8)
right.set(xlabel="$q$", ylabel=r"$F(q)$, tanh, $\sigma_b = 0.1$")
right.legend(fontsize=7, frameon=False)
for axes in (left, right):
    axes.tick_params(labelsize=8)

# %%
# The same as numbers: bound and exact end, for variances and for correlations.
for name, found in domains.items():
    print(
        f"{name}: {found.sigma_w_variance:.6f}, {found.exact_variance:.6f}; {found.sigma_w_correlation:.6f}, {found.exact_correlation:.6f}"
    )

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
