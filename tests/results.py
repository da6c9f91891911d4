"""One of every result, made once, for the tests of what all of them can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L


def bump(x: Any) -> Any:
    """A function that pickles by its name."""
    return np.tanh(x) + 0.1 * x


def build(sigma_w: float, sigma_b: float) -> L.Layer:
    return L.Residual("tanh", L.Dense(sigma_w, sigma_b), scale=0.5)


def _simulation(**more: Any) -> Any:
    return mf.simulate("tanh", 1.3, 0.2, width=50, depth=4, networks=8, progress=False, **more)


def _network() -> mf.Network:
    block = L.Residual(L.LayerNorm(), L.Dense(1.0), "gelu", L.Dense(1.0), scale=0.3)
    return mf.Network(L.Dense(1.4, 0.1), L.Repeat(block, 20), L.Dropout(0.1), L.Dense(1.0))


def _proof(name: str) -> mf.Proof:
    pytest.importorskip("flint", reason="python-flint is not installed")
    return mf.prove_proposition4(name)


def _enclosed(what: str, name: str, **more: Any) -> mf.Enclosure:
    pytest.importorskip("flint", reason="python-flint is not installed")
    return mf.enclose(what, name, **more)


MADE: dict[str, Callable[[], Any]] = {
    "EdgeOfChaos": lambda: mf.edge_of_chaos("relu", sigma_b=np.linspace(0, 1, 101)),  # nan in all but one point
    "EdgeOfChaos, one point": lambda: mf.edge_of_chaos("tanh", sigma_b=0.2),
    "EdgeOfChaos, callable": lambda: mf.edge_of_chaos(mf.activation(bump, name="bump"), sigma_b=[0.1, 0.2]),
    "EdgeOfChaos, built": lambda: mf.edge_of_chaos(build, sigma_b=[0.1, 0.2]),
    "EdgePoint": lambda: mf.edge_of_chaos("tanh", sigma_b=0.2).all_points()[0],
    "PhaseDiagram": lambda: mf.phase_diagram("tanh", sigma_w=np.linspace(0.5, 3, 20), sigma_b=np.linspace(0, 1, 10)),
    "Trajectory": lambda: mf.MeanField("tanh", 1.3, 0.2).propagate(100),
    "Trajectory of layers": lambda: _network().propagate(),
    "Simulation": _simulation,
    "Simulation without gradients": lambda: _simulation(gradients=False),
    "Simulation of layers": lambda: _network().simulate(width=20, networks=3, progress=False),
    "Estimate": lambda: _simulation().gram,
    "Comparison": lambda: _simulation().compare(),
    "LayerStatistics": lambda: mf.layer_statistics("tanh", widths=[32, 30, 30, 10], networks=3, progress=False),
    "LayerStatistics, theory": lambda: mf.layer_statistics("tanh", widths=[32, 30, 30, 10], networks=0),
    "Proposition4": lambda: mf.check_proposition4("silu"),
    "Condition": lambda: mf.check_proposition4("silu").conditions["ii"],
    "ConvergenceDomains": lambda: mf.convergence_domains("tanh"),
    "ExistenceConditions": lambda: mf.existence_conditions("tanh"),
    "Recommendation": lambda: mf.recommend("tanh", depth=50),
    "Asymptotics": lambda: mf.asymptotics("silu", sigma_b=0.2),
    "DepthScales": lambda: mf.MeanField("tanh", 0.8, 0.0).depth_scales,
    "DepthLaw": lambda: mf.MeanField("tanh", 1.3, 0.2).depth_law.correlation,
    "DepthLaws": lambda: mf.MeanField("relu", 1.0, 0.0).depth_law,  # nan among the constants
    "FixedPoint": lambda: mf.MeanField("silu", 1.8, 0.1).variance_fixed_points()[0],
    "FiniteWidth": lambda: mf.finite_width("tanh", 1.5, 0.3, depth=10),
    "Band": lambda: mf.finite_width("tanh", 1.5, 0.3, depth=10).at(500),
    "ActivationComparison": lambda: mf.compare(["relu", "softplus"], depth=5),
    "ActivationRow": lambda: mf.compare(["relu"], depth=5)[0],
    "ActivationRanking": lambda: mf.choose_activation(20, ["relu", "tanh", "sign"]),
    "Candidate": lambda: mf.choose_activation(20, ["tanh"]).best,
    "Choice": lambda: mf.choose_parameter("leaky_relu", "negative_slope", depth=20, between=(0.0, 4.0)),
    "JacobianSpectrum": lambda: mf.jacobian_spectrum("tanh", sigma_w=1.1, sigma_b=0.1, depth=16),
    "JacobianSpectrum, atoms": lambda: mf.jacobian_spectrum("hardtanh", 1.05, 0.02, 4, "orthogonal"),
    "WidthEstimate": lambda: mf.jacobian_spectrum("tanh", sigma_w=1.1, sigma_b=0.1, depth=16).at_width(600),
    "IsometryPoint": lambda: mf.isometry_point("tanh", depth=64, variance=0.25),
    "Standardisation": lambda: mf.standardisation("silu"),
    "Standardisation, array": lambda: mf.standardisation("silu", q=np.linspace(0.1, 3, 40)),
    "Recommendation, dropout": lambda: mf.recommend("gelu", depth=50, dropout=0.1, weights="orthogonal"),
    "EdgeOfChaos, long": lambda: mf.edge_of_chaos("tanh", sigma_b=np.linspace(0, 1, 101)),
    "LayerStatistics, deep": lambda: mf.layer_statistics("tanh", widths=[32] * 101, networks=0),
    "Scheme": lambda: mf.scheme("he", 512),
    "Expectation": lambda: mf.estimate("tanh", q=np.linspace(0.5, 2, 30)),
    "Proof": lambda: _proof("tanh"),
    "Proof, disproved": lambda: _proof("relu"),
    "Check": lambda: mf.check_proof(_proof("tanh").to_json()),
    "Enclosure": lambda: _enclosed("second_moment", "tanh", q="1"),
    "Enclosures": lambda: _enclosed("standardisation", "silu"),
    "Shape": lambda: mf.shape_activation("gelu", 100, "tat").solutions[0],
    "Shape, leaky": lambda: mf.shape_activation("leaky_relu", 100, "tat").solutions[0],
}
