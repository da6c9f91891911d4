"""This package: public functions only, each question with an activation that holds no tables yet."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

import answering
import numpy as np
from answering import Array

import meanfield as mf
from tests.benchmarks.fresh import compile_kernels, fresh


class MeanField(answering.ByArrays):
    """What a user would write."""

    name = "meanfield"

    def versions(self) -> dict[str, str]:
        return {"meanfield": mf.__version__, **{package: metadata.version(package) for package in ("numpy", "scipy", "numba")}}

    def how(self, activation: str, kind: str) -> str:
        return "any φ"

    def moment_of(self, activation: str, order: int) -> answering.Moment:
        act = fresh(activation)
        return lambda q: mf.second_moment(act, q, derivative=order)

    def covariance_of(self, activation: str) -> answering.Covariance:
        act = fresh(activation)
        return lambda q, c: mf.covariance(act, q, q, c)

    def trajectory_of(self, activation: str, *, sigma_w: float, sigma_b: float, q: float, c: float, depth: int) -> Callable[[], Array]:
        act = fresh(activation)
        return lambda: mf.MeanField(act, sigma_w, sigma_b).propagate(depth, q=q, c=c, hold_variance=True).epsilon

    def edge_of(self, activation: str) -> Callable[[Array], Array]:
        act = fresh(activation)
        return lambda sigma_b: mf.edge_of_chaos(act, sigma_b=sigma_b).sigma_w

    def diagram_of(self, activation: str) -> Callable[[Array, Array], answering.Cells]:
        act = fresh(activation)

        def run(sigma_w: Array, sigma_b: Array) -> answering.Cells:
            diagram = mf.phase_diagram(act, sigma_w, sigma_b)
            return diagram.q_star, diagram.chi_1, diagram.c_star

        return run


if __name__ == "__main__":
    compile_kernels()  # what is compiled once for an installation does not count
    warm = fresh("selu")
    mf.phase_diagram(warm, np.linspace(0.5, 3, 4), np.linspace(0.05, 1, 4))
    mf.MeanField(warm, 1.0, 0.1).propagate(10)
    answering.main(MeanField())
