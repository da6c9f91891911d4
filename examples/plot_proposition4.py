"""
Proposition 4: towards the identity, or not
===========================================

Hayou et al. (2018): if φ meets four conditions, the correlation map on the edge of chaos goes to the identity as σ_b → 0, so that
inputs stay apart for as many layers as one likes. The distance from the identity is f(0), the largest ``|f(c) − c|``. It
vanishes for tanh, ELU and Swish (left). SELU and ReLU6 meet the conditions too, but their slopes differ on both sides of 0, and
f(0) goes to (λ − β)²/(π(λ² + β²)) instead (dotted): ReLU6 ends like ReLU. Right: the maps of Swish as σ_b falls, and ReLU's, which stays.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

STYLES = {"tanh": "-", "elu": "--", "silu": (0, (1, 4)), "selu": (0, (1.2, 1.2)), "relu6": (0, (5, 1.5, 1, 1.5, 1, 1.5))}
figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.0), layout="constrained")
sigma_b = np.geomspace(1e-4, 1.0, 25)
distance = {}
for name, style in STYLES.items():
    edge = mf.edge_of_chaos(name, sigma_b=sigma_b)
    mean = np.array([mf.expectation(mf.activation(name), q=q) for q in edge.q])
    distance[name] = (sigma_b**2 + edge.sigma_w**2 * mean**2) / edge.q
    left.loglog(sigma_b, distance[name], color="black", linestyle=style, label=name)
verdicts = {name: mf.check_proposition4(name) for name in STYLES}
for name in ("selu", "relu6"):
    left.axhline(verdicts[name].conclusion.evidence["limit"], color="0.6", linestyle=":", linewidth=0.9)
left.set(xlabel=r"$\sigma_b$", ylabel=r"$f(0) = \sup\,|f(c) - c|$", ylim=(1e-5, 2))
left.legend(frameon=False, fontsize=7, handlelength=3.2, loc="lower right")

c = np.linspace(0.0, 1.0, 101)
right.plot(c, c, color="0.6", linewidth=0.8)
for value, style in ((0.5, "-"), (0.1, "--"), (0.02, ":")):
    edge = mf.edge_of_chaos("silu", sigma_b=value)
    network = mf.MeanField("silu", sigma_w=edge.sigma_w, sigma_b=value)
    right.plot(c, network.correlation_map(c, q=edge.q), color="black", linestyle=style, label=rf"silu, $\sigma_b = {value}$")
relu = mf.MeanField("relu", sigma_w=2**0.5, sigma_b=0.0)
right.plot(c, relu.correlation_map(c), color="0.4", linestyle="-.", label="relu")
right.set(xlabel="$c$", ylabel="$f(c)$")
right.legend(frameon=False, fontsize=7, handlelength=3.2)

# %%
# The verdicts: as stated, at the limit of the recursion (Swish's points repel), and whether the conclusion follows.
for name, verdict in verdicts.items():
    print(f"{name}: (i)–(iv) {verdict.satisfied}, strictly {verdict.satisfied_strictly}, conclusion {verdict.conclusion.holds}")
print(verdicts["selu"])

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
