"""dks: the quadratures behind its Q and C maps, Gauss–Legendre with 100,000 nodes on ±10 standard deviations and dblquad.

The maps are defined at q = 1; φ(√q x) in place of φ gives any other q.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import metadata
from typing import Any

import answering
from autograd import elementwise_grad
from dks.base import activation_transform
from dks.base.activation_getter import get_activation_function

NAMES = {"tanh": "tanh", "erf": "erf", "relu": "relu", "gelu": "gelu_exact"}


class DeepKernelShaping(answering.ByScalars):
    """Its NumPy code, which every backend of it uses."""

    name = "dks"

    def versions(self) -> dict[str, str]:
        return {package: metadata.version(package) for package in ("dks", "autograd", "numpy", "scipy")}

    def how(self, activation: str, kind: str) -> str:
        if kind in ("moment", "slope_moment", "edge"):
            return "100,000 nodes"
        return "closed form" if activation == "relu" else "dblquad" if kind != "diagram" else "100,000 nodes, dblquad"

    def phi(self, activation: str) -> Callable[[Any], Any]:
        return get_activation_function(NAMES[activation])

    def second_moment(self, activation: str, q: float, order: int) -> float:
        phi, root = self.phi(activation), math.sqrt(q)
        function = elementwise_grad(phi) if order else phi
        return float(activation_transform._estimate_gaussian_mean(lambda x: function(root * x) ** 2))

    def mixed_moment(self, activation: str, q: float, c: float) -> float:
        if activation == "relu":  # its local C map of leaky ReLU, times Q(q)
            return float(activation_transform._leaky_relu_cmap(c, 0.0)) * q / 2
        phi, root = self.phi(activation), math.sqrt(q)
        return float(activation_transform._calc_c_map(lambda x: phi(root * x), 0, c, 1.0))


if __name__ == "__main__":
    answering.main(DeepKernelShaping())
