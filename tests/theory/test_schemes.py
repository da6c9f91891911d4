"""Schemes by name."""

from __future__ import annotations

import math

import numpy as np
import pytest

import meanfield as mf


@pytest.mark.parametrize(
    ("name", "weight", "bias", "distribution"),
    [
        ("lecun", 1.0, 0.0, "normal"),
        ("lecun_uniform", 1.0, 0.0, "uniform"),
        ("he_normal", 2.0, 0.0, "normal"),
        ("kaiming_uniform", 2.0, 0.0, "uniform"),
        ("glorot", 2.0 * 300 / 400, 0.0, "uniform"),
        ("Xavier-Normal", 2.0 * 300 / 400, 0.0, "normal"),
        ("normalized", 2.0 * 300 / 400, 0.0, "uniform"),
        ("standard", 1.0 / 3.0, 0.0, "uniform"),
        ("standard_normal", 1.0 / 3.0, 0.0, "normal"),
        ("pytorch_default", 1.0 / 3.0, 1.0 / 900.0, "uniform"),
    ],
)
def test_sigmas_are_those_of_the_papers(name, weight, bias, distribution):
    found = mf.scheme(name, fan_in=300, fan_out=100)
    assert (found.sigma_w**2, found.sigma_b**2) == pytest.approx((weight, bias), rel=1e-15)
    assert found.distribution == distribution
    assert found.weight_standard_deviation == pytest.approx(math.sqrt(weight / 300))


@pytest.mark.parametrize(
    ("name", "initialise"),
    [
        ("he_normal", lambda init, w: init.kaiming_normal_(w)),
        ("he_uniform", lambda init, w: init.kaiming_uniform_(w)),
        ("glorot_normal", lambda init, w: init.xavier_normal_(w)),
        ("glorot_uniform", lambda init, w: init.xavier_uniform_(w)),
        ("pytorch_default", None),
    ],
)
def test_torch_draws_the_same(name, initialise):
    """Variance of 600 × 400 weights: z < 4.5 against the scheme; and the largest weight of uniform ones."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.Linear(600, 400)
    if initialise is not None:
        initialise(torch.nn.init, layer.weight)
    found = mf.scheme(name, fan_in=600, fan_out=400)
    weights = layer.weight.detach().numpy().astype(np.float64)
    kurtosis = 3.0 if found.distribution == "normal" else 1.8
    expected = found.weight_standard_deviation**2
    assert abs(np.mean(weights**2) - expected) < 4.5 * expected * math.sqrt((kurtosis - 1) / weights.size)
    if found.distribution == "uniform":
        edge = math.sqrt(3.0) * found.weight_standard_deviation
        assert 0.999 * edge < np.abs(weights).max() <= edge * (1 + 1e-6)
    if name == "pytorch_default":
        bias = layer.bias.detach().numpy()
        assert abs(np.mean(bias**2) - found.sigma_b**2) < 4.5 * found.sigma_b**2 * math.sqrt(0.8 / bias.size)


def test_place_in_the_phase_diagram():
    default = mf.scheme("pytorch_default", 1000)
    for name in ("tanh", "relu", "silu"):
        net = default.network(name)
        assert (net.sigma_w, net.sigma_b) == (default.sigma_w, default.sigma_b)
        assert net.phase == "ordered"
        assert f"{net.chi_1:.6g}" in default.place(name)
    assert "critical" in mf.scheme("he", 10).place("relu")
    assert "chaotic" in mf.scheme("he", 10).place("tanh")
    assert "has no point" in default.place("relu")  # its only point is at σ_b = 0


@pytest.mark.parametrize(
    ("name", "fan_in", "fan_out", "word"),
    [
        ("orthogonal", 10, 10, "orthogonal"),
        (3, 10, 10, "init = 3"),
        ("pytorch_default_normal", 10, 10, "pytorch_default_normal"),
        ("he", 0, 10, "fan_in"),
        ("he", 10, 2.5, "fan_out"),
        ("he", True, 10, "fan_in"),
    ],
)
def test_bad_input(name, fan_in, fan_out, word):
    with pytest.raises(mf.DomainError, match=word):
        mf.scheme(name, fan_in, fan_out)
