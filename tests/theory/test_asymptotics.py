"""ε_l ~ constant/l^exponent against the exact recursion and closed forms."""

from __future__ import annotations

import math

import pytest

import meanfield as mf


@pytest.mark.parametrize("name", ["tanh", "erf", "arctan", "silu", "gelu", "mish", "elu", "softsign", "hardtanh", "selu", "sin"])
def test_a_million_layers(name: str) -> None:
    law = mf.asymptotics(name, sigma_b=0.2)
    path = mf.MeanField(name, law.sigma_w, 0.2).propagate(10**6, q=law.q, hold_variance=True)
    assert path.epsilon[-1] == pytest.approx(law.constant / 1e6**law.exponent, rel=0.01, abs=0.0)


def test_relu_family() -> None:
    law = mf.asymptotics("relu", sigma_b=0.0)
    assert (law.exponent, law.kind) == (2.0, "kinked")
    assert law.constant == pytest.approx(4.5 * math.pi**2, rel=1e-14)
    leaky = mf.asymptotics(mf.activation("leaky_relu", negative_slope=0.3), 0.0)
    kappa = math.sqrt(2) / (3 * math.pi) * 2 / 1.09 * 0.49
    assert leaky.constant == pytest.approx(4 / kappa**2, rel=1e-12)


def test_sine_in_closed_form() -> None:
    """sin: V[φ'] = (1 + e^(−2q))/2 and V[φ''] = (1 − e^(−2q))/2."""
    law = mf.asymptotics("sin", 0.2)
    beta = 2 * (1 + math.exp(-2 * law.q)) / (law.q * (1 - math.exp(-2 * law.q)))
    assert law.constant == pytest.approx(beta, rel=1e-12)


def test_without_bias() -> None:
    for name in ("tanh", "linear"):
        law = mf.asymptotics(name, 0.0)
        assert (law.exponent, law.constant, law.kind) == (0.0, 1.0, "linear")
    assert mf.asymptotics("selu", 0.0).kind == "kinked"  # slopes at 0± differ
    assert "1 - c_l = 1 - c_0" in str(mf.asymptotics("tanh", 0.0))


@pytest.mark.parametrize(
    ("name", "sigma_b", "why"), [("softplus", 0.1, "has no edge"), ("sign", 0.1, "jumps"), ("relu", 0.1, "single point")]
)
def test_no_edge(name: str, sigma_b: float, why: str) -> None:
    with pytest.raises(mf.DomainError, match=why):
        mf.asymptotics(name, sigma_b)
