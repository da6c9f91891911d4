"""f(array)[i] has the bits of f(array[i]), for every public function that takes arrays: in any order, after any history, from threads."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield.activations import lookup

Q = np.array([0.0, 1.0, 3e-8, 0.7, 300.0, 0.25, 1e-3, 1e-100, 40.0, 0.7])
# Mehler's short series serves some of these, its long one others, and none the rest.
C = np.array([0.0, 0.5, 1.0, -1.0, 1 - 1e-9, -0.93, 0.97, 1e-3, 0.7, -0.2, 0.85, 0.999, -0.7, 0.31, -0.999, 0.1, 0.65, 0.2, -0.5, 0.9])
EPSILON = np.array([0.0, 2.0, 1.0, 1e-12, 1e-3, 0.3, 1e-7, 0.05, 1.7, 0.7])
SIGMA_B = np.array([0.05, 0.0, 0.7, 1e-6, 0.01, 2.0, 0.2, 0.1])
SIGMA_W = np.array([1.3, 0.4, 3.0, 0.9])
X = np.array([0.0, -0.0, 0.5, -0.7, 0.7, 1e-300, -1e-300, 30.0, -30.0, 1e-5, 2.0, -1.0])
CELLS = ("q_star", "variance_slope", "epsilon_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_grad", "phase")
EDGE = ("sigma_b", "sigma_w", "q", "variance_slope", "stable", "status", "reason")


def _fields(result: Any, names: tuple[str, ...]) -> list[Any]:
    return [getattr(result, name) for name in names]


def _net(act: Any) -> mf.MeanField:
    return mf.MeanField(act, 1.3, 0.2)


# Each takes an activation and arrays that run together, and answers with arrays.
QUESTIONS: dict[str, tuple[Callable[..., list[Any]], tuple[np.ndarray, ...]]] = {
    "φ": (lambda act, x: [act(x), act.derivative(x), act.second_derivative(x)], (X,)),
    "expectation": (lambda act, q: [mf.expectation(act, q)], (Q[:7],)),
    "estimate": (lambda act, q: _fields(mf.estimate(act, q), ("value", "error")), (Q[:7],)),
    **{f"V{k}": (lambda act, q, k=k: [mf.second_moment(act, q, derivative=k)], (Q,)) for k in (0, 1, 2)},
    **{f"C{k}": (lambda act, c, k=k: [mf.covariance(act, 0.8, 0.8, c, derivative=k)], (C,)) for k in (0, 1)},
    "C2": (lambda act, c: [mf.covariance(act, 0.8, 0.8, c, derivative=2)], (C[[0, 1, 9, 15, 17]],)),
    "C of two variances": (lambda act, q1, q2, c: [mf.covariance(act, q1, q2, c)], (Q[:7], Q[[1, 1, 3, 5, 0, 5, 3]], C[3:10])),
    "D": (lambda act, epsilon: [mf.decorrelation(act, 0.8, epsilon)], (EPSILON,)),
    "D of some variances": (lambda act, q, epsilon: [mf.decorrelation(act, q, epsilon)], (Q[:6], EPSILON[4:])),
    "variance map": (lambda act, q: [_net(act).variance_map(q), _net(act).variance_slope(q)], (Q,)),
    "correlation map": (lambda act, c: [_net(act).correlation_map(c, q=0.6), _net(act).correlation_slope(c, q=0.6)], (C,)),
    "decorrelation map": (lambda act, epsilon: [_net(act).decorrelation_map(epsilon, q=0.6)], (EPSILON,)),
    "edge": (lambda act, b: _fields(mf.edge_of_chaos(act, b), EDGE), (SIGMA_B,)),
    "edge by q": (lambda act, q: _fields(mf.edge_of_chaos_curve(act, q), EDGE), (Q,)),
    "depth": (lambda act, w: [mf.propagation_depth(act, sigma_b=0.3, sigma_w=w)], (np.array([1.3, 0.4, 0.9]),)),
}
ACTIVATIONS = ("tanh", "clip(x, -1, 1)", "sin", "max(0, x)**2", "max(0, x-0.7)")
LEFT_OUT = {
    ("max(0, x)**2", "depth"),
    ("max(0, x-0.7)", "C2"),
    ("clip(x, -1, 1)", "C2"),
    ("max(0, x-0.7)", "C1"),
    ("max(0, x-0.7)", "depth"),
}


def _fresh(spec: str) -> Any:
    """The activation without its tables."""
    lookup._cache.clear()
    gc.collect()
    return mf.activation(spec)


def _same(one: Any, other: Any) -> bool:
    a, b = np.asarray(one), np.asarray(other)
    if a.dtype.kind == "U":
        return bool(a == b)
    return a.dtype == b.dtype and (a.tobytes() == b.tobytes() or bool(np.isnan(a) and np.isnan(b)))


@pytest.mark.filterwarnings("ignore::meanfield.errors.AccuracyWarning")
@pytest.mark.parametrize("spec", ACTIVATIONS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_an_element_has_the_bits_it_has_alone(question: str, spec: str) -> None:
    if (spec, question) in LEFT_OUT:
        pytest.skip("milliseconds for each node, or no answer: the variance diverges")
    function, arrays = QUESTIONS[question]
    together = function(_fresh(spec), *arrays)
    backwards = function(_fresh(spec), *(a[::-1] for a in arrays))
    act = _fresh(spec)
    count = arrays[0].size

    def alone(i: int) -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mf.AccuracyWarning)
            return function(act, *(float(a[i]) for a in arrays))

    with ThreadPoolExecutor(3) as pool:  # on tables that grow as they ask, in an order of its own
        lonely = dict(zip((order := [*range(0, count, 2), *range(1, count, 2)]), pool.map(alone, order), strict=True))
    for i in range(count):
        for first, second, one in zip(together, backwards, lonely[i], strict=True):
            assert _same(np.asarray(first)[i], one), (i, [a[i] for a in arrays])
            assert _same(np.asarray(second)[count - 1 - i], one), (i, [a[i] for a in arrays])


@pytest.mark.filterwarnings("ignore::meanfield.errors.AccuracyWarning")
@pytest.mark.parametrize("spec", [*ACTIVATIONS, "gaussian"])
def test_a_cell_has_the_bits_of_a_diagram_of_its_own(spec: str) -> None:
    biases = SIGMA_B[[0, 1, 2, 4]]
    act = _fresh(spec)
    together = mf.phase_diagram(act, SIGMA_W, biases)
    sorted_ = mf.phase_diagram(_fresh(spec), np.sort(SIGMA_W), np.sort(biases), n_jobs=2)
    weights_at, biases_at = np.searchsorted(np.sort(SIGMA_W), SIGMA_W), np.searchsorted(np.sort(biases), biases)
    for b, bias in enumerate(biases):
        for w, weight in enumerate(SIGMA_W):
            alone = mf.phase_diagram(act, weight, bias)
            for name in CELLS:
                value = getattr(together, name)[b, w]
                assert _same(value, getattr(alone, name)[0, 0]), (name, weight, bias)
                assert _same(value, getattr(sorted_, name)[biases_at[b], weights_at[w]]), (name, weight, bias)


@pytest.mark.parametrize("spec", ["gelu", "tanh", "clip(x, -1, 1)", "max(0, x-0.7)"])
@pytest.mark.parametrize("sigma_w", [1.7, 0.9])
def test_a_trajectory_has_the_same_bits_after_a_phase_diagram(spec: str, sigma_w: float) -> None:
    """A diagram makes pieces of the correlation table that the trajectory alone would not need."""
    fields = ("q1", "q2", "c", "epsilon", "gradient")
    _fresh(spec)  # or the activation has made its tables for another test
    before = _fields(mf.MeanField(spec, sigma_w, 0.3).propagate(40, 0.7, 0.2), fields)
    mf.phase_diagram(spec, sigma_w=np.linspace(0.5, 4.0, 8), sigma_b=np.linspace(0.0, 2.0, 8))
    after = _fields(mf.MeanField(spec, sigma_w, 0.3).propagate(40, 0.7, 0.2), fields)
    for mine, other in zip(before, after, strict=True):
        assert np.array_equal(mine, other)
