"""Each compiled kernel against its own Python source, on the arguments that public calls give it.

Line coverage cannot see into compiled code; here the same lines run as Python. NUMBA_DISABLE_JIT=1 would do that for a whole
process, but building one table of a correlation map then takes minutes. So a public call runs with the compiled kernels, and
each kernel call of moderate size is repeated, on copies of its arguments, by the function that was compiled.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L
from meanfield.expectation.pair_table import pair_table

pytestmark = pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT", "0") != "0", reason="without the compiler there is one road only")

MODULES = tuple(m.name for m in pkgutil.walk_packages(mf.__path__, "meanfield.") if m.name.endswith("kernels"))
LARGEST = 120_000  # numbers in the arguments of a call that is repeated; Python takes about a microsecond for each
MOST = 4  # calls of one kernel that are repeated
CANCELLING = {"convolve": 1e-15}  # an absolute difference that sums in another order leave: at the centre of an odd φ the sum is 0
MORE_OR_LESS = {"project": 1, "recursion_limit": 24, "fixed_point_between": 24}


class Repeated:
    """Calls a kernel, then the Python function it was compiled from, and keeps where the two differ."""

    def __init__(self, dispatcher: Any, calls: Counter[str], differences: list[str]) -> None:
        self.dispatcher, self.calls, self.differences = dispatcher, calls, differences

    def __call__(self, *arguments: Any) -> Any:
        name = self.dispatcher.py_func.__name__
        size = sum(a.size for a in arguments if isinstance(a, np.ndarray))
        if size > LARGEST or self.calls[name] >= MORE_OR_LESS.get(name, MOST):
            return self.dispatcher(*arguments)
        self.calls[name] += 1
        mine = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in arguments)
        result = self.dispatcher(*arguments)
        with np.errstate(all="ignore"):
            python = self.dispatcher.py_func(*mine)
        for got, want in zip((python, *mine), (result, *arguments), strict=True):
            if want is None or isinstance(want, tuple):
                continue
            if not np.allclose(got, want, rtol=1e-12, atol=CANCELLING.get(name, 1e-300), equal_nan=True):
                self.differences.append(f"{name}: {got!r} in Python, {want!r} compiled")
        return result


def network(formula: str, sigma_w: float, sigma_b: float) -> mf.MeanField:
    return mf.MeanField(mf.activation(formula), sigma_w, sigma_b)


# Formulas that no other test asks for: their tables are not there yet.
_ANGLES = np.linspace(0.0, 3.0, 100)
QUESTIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "second moments": (lambda: mf.second_moment("tanh(1.01*x)", np.geomspace(0.1, 10.0, 50)), "evaluate_octaves"),
    "edge of chaos": (lambda: mf.edge_of_chaos("tanh(1.01*x)", np.linspace(0.0, 1.0, 5)), "first_brackets solve"),
    "covariance": (lambda: mf.covariance("tanh(1.02*x)", 1.0, 2.0, 0.5), "project"),
    "covariance of a piecewise linear function": (
        lambda: mf.covariance("where(x > 1, 1.02*x + 0.5, max(0, 1.02*x))", 1.0, np.linspace(1.1, 2.0, 9), np.linspace(-0.99, 0.99, 9)),
        "piecewise_linear orthant upper density angles",
    ),
    "covariances of many pairs": (
        lambda: pair_table(mf.activation("tanh(1.07*x)")).covariances(
            np.array([1.0, 1.1, 1.2]), np.array([1.5, 1.5, 1.5]), np.array([0.3, -0.4, 0.95])
        ),
        "angles locate by_node evaluate _next_row convolve",
    ),
    "kernel of data": (
        lambda: mf.Network(L.Dense(1.2), "relu", L.Dense(1.0)).nngp(np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)),
        "losses_of_products look_up series",
    ),
    "kernel of data of different norms": (
        lambda: mf.Network(L.Repeat(L.Sequence(L.Dense(1.2, 0.3), "tanh(1.08*x)"), 6), L.Dense(1.0)).nngp(
            np.linspace(1.0, 1.00004, 100)[:, None] * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
        ),
        "count_octaves look_up_norms evaluate_piece",
    ),
    "covariances at one variance": (lambda: mf.covariance("tanh(1.07*x)", 1.0, 1.0, np.linspace(-0.5, 0.5, 21)), "power_series"),
    "decorrelation": (
        lambda: mf.decorrelation("clip(1.02*x, -1, 1)", 1.0, 1e-3),
        "thin window_variances weighted_variance gaussian_window",
    ),
    "c* of a kinked function": (
        lambda: network("clip(1.03*x, -1, 1)", 2.0, 0.2).c_star,
        "outer_ends shared_ends windows series_and_slope",
    ),
    "trajectory with a jump": (lambda: network("1.03*sign(x)", 1.3, 0.2).propagate(50, c=-0.3), "iterate_variance step look_up"),
    "trajectory": (
        lambda: network("tanh(1.04*x)", 1.3, 0.2).propagate(50, c=-0.3, hold_variance=True),
        "iterate panel_of place_nodes variances",
    ),
    "trajectory of a moving variance": (lambda: network("relu(1.05*x)", 1.1, 0.1).propagate(50, c=-0.3), "iterate_moving"),
    "recommendation": (lambda: mf.recommend("tanh(1.06*x)", 12), "iterate_decorrelation iterate_variance"),
    "depth": (lambda: mf.propagation_depth("tanh(1.04*x)", sigma_b=0.2, c0=-0.3), "first_within"),
    "depth in two phases": (lambda: [mf.propagation_depth("tanh(1.04*x)", sigma_b=0.2, sigma_w=w) for w in (1.0, 2.0)], "first_within"),
    "phase diagram": (
        lambda: mf.phase_diagram("tanh(1.04*x)", [0.5, 1.3, 2.0], [0.0, 0.5]),
        "fill_variances recursion_limit fill_correlations",
    ),
    "phase diagram with no weights": (lambda: mf.phase_diagram("tanh", [0.0, 2.0, 1.0], [0.3, 1.0]), "fill_variances fill_correlations"),
    "phase diagram of a map with several fixed points": (
        lambda: mf.phase_diagram("silu", np.linspace(1.4, 2.1, 8), [0.0, 0.2, 0.7]),
        "recursion_limit fixed_point_between moment",
    ),
    "phase diagram of a falling map": (lambda: mf.phase_diagram("gaussian", [0.5, 2.0, 30.0], [0.0, 1.0]), "recursion_limit"),
    "phase diagram with a jump": (lambda: mf.phase_diagram("sign", [0.5, 2.0], [0.0, 1.0]), "fill_correlations scale_of"),
    "phase diagram of a line and its half": (lambda: mf.phase_diagram("relu", [0.5, 1.5], [0.0, 1.0]), "fill_correlations"),
    "phase diagram of a steep function": (lambda: mf.phase_diagram("x**3", [0.1, 2.0], [0.1]), "fill_correlations"),
    "random networks": (
        lambda: mf.simulate("tanh", 1.3, 0.2, width=30, depth=5, networks=3, progress=False),
        "observe orthonormalise dot combine pull_back",
    ),
    "random networks that die": (lambda: mf.simulate("relu", 1.3, 0.0, width=2, depth=6, networks=20, progress=False), "observe pull_back"),
    "random networks that overflow": (
        lambda: mf.simulate("x**3", 30.0, 0.1, width=5, depth=7, networks=3, progress=False),
        "orthonormalise",
    ),
    "singular values of Jacobians": (
        lambda: mf.jacobian_spectrum("tanh(1.07*x)", 1.0, 0.0, 3, "orthogonal", 0.5).quantile(0.3),
        "on_the_axis trace at_levels",
    ),
    "the largest singular value": (lambda: mf.jacobian_spectrum("tanh(1.07*x)", 1.0, 0.0, 3, q=0.5).at_width(100), "transforms_at"),
    "shaped activations": (
        lambda: [mf.shape_activation("tanh(1.09*x)", 40), mf.shape_activation("elu", 40), mf.shape_activation("leaky_relu", 30, "tat")],
        "moments_by_rests moments_by_series rates_by_rests rates_by_series followed bend",
    ),
    "the same input twice, and its opposite": (
        lambda: mf.simulate("tanh", 1.3, 0.2, width=9, depth=3, networks=2, inputs=[[1.0, 2.0], [1.0, 2.0], [-1.0, -2.0]], progress=False),
        "orthonormalise observe",
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_python_and_compiled_agree(question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[str] = Counter()
    differences: list[str] = []
    for path in MODULES:
        module = importlib.import_module(path)
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, Repeated(value, calls, differences))
    ask, kernels = QUESTIONS[question]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.AccuracyWarning)  # of networks that overflow
        ask()
    assert not differences
    assert set(kernels.split()) <= set(calls)


SCRIPT = """
import numpy as np, meanfield as mf
from meanfield.expectation import kernels
assert hasattr(kernels.evaluate_octaves, "py_func") == {compiled}
edge = mf.edge_of_chaos("tanh", np.linspace(0.0, 1.0, 300))
sim = mf.simulate("tanh", 1.3, 0.2, width=20, depth=4, networks=3, seed=1, progress=False)
values = [edge.q, edge.sigma_w, sim.q1.mean, sim.c.mean, sim.gradient.mean]
print(np.concatenate(values).tobytes().hex())
"""


def test_a_process_without_the_compiler_gives_the_same_numbers() -> None:
    compiled, plain = (
        subprocess.run(
            [sys.executable, "-c", SCRIPT.format(compiled=not off)],
            env={**os.environ, "NUMBA_DISABLE_JIT": str(int(off))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for off in (False, True)
    )
    numbers = [np.frombuffer(bytes.fromhex(line.strip())) for line in (compiled, plain)]
    np.testing.assert_allclose(numbers[1], numbers[0], rtol=1e-13)
