"""Singular values of explicit networks against the law."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf
from tests.simulation.spectra_by_matrices import SETTINGS, Q, allowed, distance, sampled

FALSE_ALARM = 1e-3


@pytest.mark.parametrize(
    ("name", "weights", "depth"),
    [("tanh", "gaussian", 2), ("tanh", "orthogonal", 4), ("relu", "gaussian", 3), ("relu", "orthogonal", 2), ("gelu", "uniform", 2)],
)
def test_networks_agree_with_the_law(name, weights, depth):
    """False-alarm rate 0.001 each, and a remainder of the order of depth/width."""
    edge = mf.edge_of_chaos_curve(name, 1.0)
    sim = mf.simulate(
        name, edge.sigma_w, edge.sigma_b, 150, depth, 8, 1.0, method="weights", weights=weights, jacobian=True, progress=False
    )
    assert sim.singular_values.shape == (8, 150)
    assert np.all(np.diff(sim.singular_values, axis=1) <= 0.0)
    found = sim.compare(FALSE_ALARM).singular_values
    assert found.consistent
    assert "agree with the law" in str(found)


def test_the_comparison_can_fail():
    """Networks at another σ_w, and the law of other weights, are told apart."""
    from dataclasses import replace

    sim = mf.simulate("tanh", 1.5, 0.2, 150, 4, 8, method="weights", jacobian=True, progress=False)
    assert sim.compare().singular_values.consistent
    for other in ({"sigma_w": 1.25}, {"weights": "orthogonal"}):
        ensemble = replace(sim.ensemble, **other)
        assert replace(sim, ensemble=ensemble).compare().consistent is False


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("depth", [1, 4])
def test_products_of_explicit_matrices(depth, weights):
    """Kolmogorov's distance to the law at width 400, given the law of D: eigenvalues are rigid, so 6(depth + 1)/width bounds it.

    (Independent values would leave 1.36/√N at a rate of 5 %.)
    """
    width, q, rng = 400, 0.7, np.random.default_rng(3)
    product = np.eye(width)
    for _ in range(depth):
        matrix = rng.standard_normal((width, width)) / math.sqrt(width)
        if weights == "orthogonal":
            matrix, r = np.linalg.qr(matrix)
            matrix = matrix * np.sign(np.diag(r))
        product = (1.0 - np.tanh(math.sqrt(q) * rng.standard_normal(width)) ** 2)[:, None] * (matrix @ product)
    values = np.sort(np.linalg.svd(product)[1])
    law = mf.jacobian_spectrum("tanh", 1.0, 0.0, depth, weights, q)
    cdf = np.asarray(law.cdf(values))
    steps = np.arange(width + 1) / width
    distance = max(float(np.max(steps[1:] - cdf)), float(np.max(cdf - steps[:-1])))
    # One orthogonal layer is a sample of independent slopes.
    assert distance < (2.0 / math.sqrt(width) if (depth, weights) == (1, "orthogonal") else 6.0 * (depth + 1) / width)


@pytest.mark.parametrize(("name", "weights", "depth"), SETTINGS)
def test_twelve_products_of_explicit_matrices(name, weights, depth):
    """The check of spectra_by_matrices.py at width 150: false-alarm rate 1e-3 for all twelve, and what is allowed for finite width."""
    rng = np.random.default_rng([22, SETTINGS.index((name, weights, depth))])
    values = np.array([sampled(name, weights, depth, 150, rng) for _ in range(2)])
    law = mf.jacobian_spectrum(name, 1.0, 0.0, depth, weights, Q)
    assert distance(values, law) <= allowed(depth, 150, 2)


def test_what_is_asked_for_wrongly():
    with pytest.raises(mf.DomainError, match="method='weights'"):
        mf.simulate("tanh", 1.3, 0.2, 20, 2, 2, jacobian=True)
    with pytest.raises(mf.DomainError, match="jacobian = 1"):
        mf.simulate("tanh", 1.3, 0.2, 20, 2, 2, method="weights", jacobian=1)
    sim = mf.simulate("tanh", 1.3, 0.2, 20, 4, 4, method="weights", jacobian=True, progress=False)
    assert sim.compare().singular_values.consistent is None
    assert "depth/width" in str(sim.compare())
    assert mf.simulate("tanh", 1.3, 0.2, 20, 2, 2).singular_values is None
