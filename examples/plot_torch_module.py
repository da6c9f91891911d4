"""
A PyTorch module of your own
============================

An activation that no catalogue knows, as a torch module. ``init_`` finds it in the model, takes it as it is, and draws the weights for its
edge of chaos. ``diagnose`` runs a batch through the model and sets each layer beside theory: torch's own initialisation, whose variances
die out within a few layers, against ours.

Without torch the example shows the edge of chaos of the same function, written with NumPy.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

try:
    import torch
except ImportError:
    torch = None
    print('torch is not installed, so there is no model to look at: pip install "meanfield-nets[torch]"')

DEPTH, WIDTH = 40, 100


def networks():
    """The same model, initialised by torch and by meanfield."""
    from meanfield.frameworks.torch import diagnose, init_

    class Shifted(torch.nn.Module):
        """x · tanh(eˣ), a smooth relative of ReLU."""

        def forward(self, x):
            return x * torch.tanh(torch.exp(x.clamp(max=20.0)))

    torch.manual_seed(0)
    model = torch.nn.Sequential(*[part for _ in range(DEPTH) for part in (torch.nn.Linear(WIDTH, WIDTH), Shifted())])
    x = torch.randn(32, WIDTH)
    before = diagnose(model, x)
    table = init_(model, seed=0)
    return before, table, diagnose(model, x)


# The table of what was given to which layer, and the verdict on both.
if torch is not None:
    before, table, after = networks()
    print("\n".join(str(table).splitlines()[:5]))
    print("before:", before.verdict, sep="\n")
    print("after:", after.verdict, sep="\n")
    ax = after.plot()
    layers = np.arange(1, DEPTH + 1)
    ax.plot(layers, before.column("variance"), color="black", linestyle=":", linewidth=1.1, label="torch's own")
    ax.set_yscale("log")
    ax.legend(fontsize=7, frameon=False)
else:
    ax = mf.plot.edge_of_chaos(mf.activation(lambda x: x * np.tanh(np.exp(np.minimum(x, 20.0))), name="x tanh(exp x)"))

# %%
# Run as a script with a file's name, it writes that file instead of showing a window.
if __name__ == "__main__":
    import sys

    if len(sys.argv) == 2:
        ax.figure.savefig(sys.argv[1], dpi=200)
    else:
        plt.show()
