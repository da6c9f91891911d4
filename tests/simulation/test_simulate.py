"""The public function: arguments, results, reproducibility."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import meanfield as mf
from meanfield.simulation.streaming import Moments


def same(first: mf.Simulation, second: mf.Simulation) -> None:
    for name in ("gram", "epsilon_matrix", "gradient", "log_gradient"):
        ours, theirs = getattr(first, name), getattr(second, name)
        for part in ("mean", "standard_error", "count"):
            np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))


def test_the_result_is_indexed_as_a_trajectory():
    sim = mf.simulate("tanh", sigma_w=1.3, sigma_b=0.2, width=100, depth=5, networks=30, q=(1.0, 2.0), c=-0.4, seed=3)
    assert sim.depth == 5
    for estimate in (sim.q1, sim.q2, sim.c, sim.gradient, sim.epsilon, sim.log_gradient):
        assert isinstance(estimate, mf.Estimate)
        assert estimate.mean.shape == estimate.standard_error.shape == (6,)
    assert sim.gradient.mean[5] == 1.0
    assert abs(sim.q2.mean[0] - 2.0) < 6 * sim.q2.standard_error[0]
    assert abs(sim.c.mean[0] + 0.4) < 6 * sim.c.standard_error[0]
    assert sim.gram.mean.shape == (6, 2, 2)
    np.testing.assert_array_equal(sim.c.mean, 1 - sim.epsilon.mean)
    assert str(sim).count("±") == 4 * 4  # layers 0, 1, 3, 5, four columns each
    assert mf.simulate("tanh", 1.3, 0.2, 10, 2, 4, gradients=False).gradient is None


@pytest.mark.parametrize("method", ["conditional", "weights"])
def test_the_same_numbers_whatever_the_number_of_workers(method):
    first, second = (mf.simulate("silu", 1.3, 0.2, 40, 6, 230, seed=5, method=method, n_jobs=n) for n in (1, 2))
    same(first, second)
    other = mf.simulate("silu", 1.3, 0.2, 40, 6, 230, seed=6, method=method)
    assert not np.array_equal(first.q1.mean, other.q1.mean)


def test_a_fresh_seed_is_kept_in_the_result():
    sim = mf.simulate("tanh", 1.3, 0.2, 10, 2, 8, seed=None)
    same(sim, mf.simulate("tanh", 1.3, 0.2, 10, 2, 8, seed=sim.ensemble.seed))
    assert sim.ensemble.seed != mf.simulate("tanh", 1.3, 0.2, 10, 2, 8, seed=None).ensemble.seed


def test_streaming_moments_are_those_of_all_samples():
    samples = np.random.default_rng(0).normal(3.0, 2.0, size=(1000, 4))
    samples[::7, 2] = np.nan
    samples[:, 3] = np.nan
    merged = Moments.of(samples[:1])
    for block in np.split(samples[1:], [10, 11, 500]):
        merged = merged.merged(Moments.of(block))
    estimate = merged.estimate()
    count = (~np.isnan(samples)).sum(axis=0)
    np.testing.assert_array_equal(estimate.count, count)
    np.testing.assert_allclose(estimate.mean[:3], np.nanmean(samples[:, :3], axis=0), rtol=1e-13)
    np.testing.assert_allclose(estimate.standard_error[:3], np.nanstd(samples[:, :3], axis=0, ddof=1) / np.sqrt(count[:3]), rtol=1e-12)
    assert np.isnan(estimate.mean[3])


def test_one_network_has_no_standard_error():
    sim = mf.simulate("tanh", 1.3, 0.2, 10, 2, 1)
    assert np.all(sim.q1.standard_error == np.inf)


def test_memory_does_not_grow_with_the_number_of_networks():
    mf.simulate("tanh", 1.3, 0.2, 20, 4, 400)
    peaks = []
    for networks in (2000, 20_000):
        tracemalloc.start()
        mf.simulate("tanh", 1.3, 0.2, 20, 4, networks)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_depth_0_is_the_start():
    sim = mf.simulate("tanh", 1.3, 0.2, 1000, 0, 50)
    assert sim.q1.mean.shape == (1,)
    np.testing.assert_array_equal(sim.gradient.mean, [1.0])


def test_a_lone_input_stands_for_both():
    sim = mf.simulate("tanh", 1.3, 0.2, 50, 3, 20, inputs=np.ones((1, 4)))
    np.testing.assert_array_equal(sim.q1.mean, sim.q2.mean)
    np.testing.assert_array_equal(sim.c.mean, np.ones(4))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"width": 0}, "width = 0"),
        ({"width": 2.5}, "width = 2.5"),
        ({"width": None}, "width and depth"),
        ({"depth": -1}, "depth = -1"),
        ({"networks": 0}, "networks = 0"),
        ({"networks": True}, "networks = True"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": "x"}, "seed = 'x'"),
        ({"q": -1.0}, "q = -1.0"),
        ({"q": (1.0, 2.0, 3.0)}, "q must be"),
        ({"c": 1.5}, "c = 1.5"),
        ({"sigma_w": -1.0}, "sigma_w = -1.0"),
        ({"method": "exact"}, "method = 'exact'"),
        ({"weights": "cauchy"}, "weights = 'cauchy'"),
        ({"weights": "uniform"}, "method='weights'"),
        ({"backend": "torch"}, "method='weights'"),
        ({"backend": "fortran", "method": "weights"}, "backend = 'fortran'"),
        ({"device": "cuda:99", "backend": "torch", "method": "weights"}, "device = 'cuda:99'"),
        ({"device": "tpu", "method": "weights"}, "device = 'tpu'"),
        ({"widths": [10, 0]}, "widths = 0"),
        ({"widths": []}, "widths is empty"),
        ({"widths": [10, 10], "width": None}, "depth = 3 contradicts"),
        ({"inputs": np.ones(3)}, "inputs must be"),
        ({"inputs": [[np.inf]]}, "inputs must be finite"),
        ({"n_jobs": 0}, "n_jobs = 0"),
    ],
)
def test_bad_arguments_are_named(change, told):
    arguments = {"sigma_w": 1.3, "sigma_b": 0.2, "width": 10, "depth": 3, "networks": 5} | change
    if "torch" in str(change.get("backend")):
        pytest.importorskip("torch")
    with pytest.raises(mf.DomainError) as error:
        mf.simulate("tanh", **arguments)
    assert told in str(error.value)


def test_a_library_that_is_missing_is_named():
    try:
        import cupy  # noqa: F401
    except ImportError:
        with pytest.raises(mf.MeanFieldError, match="needs the package cupy"):
            mf.simulate("tanh", 1.3, 0.2, 10, 3, 5, method="weights", backend="cupy")
