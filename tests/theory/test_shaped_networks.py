"""Random networks of a hundred shaped layers against the theory at finite width."""

from __future__ import annotations

import pytest

import meanfield as mf


@pytest.mark.parametrize(("name", "method"), [("gelu", "tat"), ("silu", "dks"), ("softplus", "tat"), ("leaky_relu", "tat")])
def test_a_hundred_layers_within_the_band(name, method):
    """z of variances, correlations and gradients; the largest of some 400 exceeds 5.5 by chance less than once in 10⁵ runs."""
    a = mf.shape_activation(name, depth=100, method=method)
    sim = mf.simulate(a, sigma_w=1.0, sigma_b=0.0, width=400, depth=100, networks=30, q=1.0, c=0.5, seed=3, gradients=True, progress=False)
    found = sim.compare()
    assert found.consistent
    assert found.max_abs_z < 5.5
    theory = mf.MeanField(a, 1.0, 0.0).propagate(100, q=1.0, c=0.5)
    assert theory.q1[-1] == pytest.approx(1.0, abs=1e-9)
    assert theory.gradient[0] == pytest.approx(1.5 if method == "dks" else 1.0, rel=1e-8)
