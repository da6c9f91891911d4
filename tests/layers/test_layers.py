"""Each layer's maps against reference values, closed forms and each other."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L
from meanfield.layers.sphere import batch_moments
from meanfield.layers.state import State

FILE = Path(__file__).parents[1] / "reference" / "layers.json"
REFERENCE = {entry["id"]: entry for entry in json.loads(FILE.read_text(encoding="utf-8"))["entries"]}
SILU_V = 0.355775519817352
SWIGLU = L.Sequence(L.Gate(L.Dense(1.0), L.Sequence(L.Dense(1.0), "silu")), L.Dense(SILU_V**-0.5))


def end(layer: L.Layer, times: int, c: float, q: Any = 1.0) -> list[float]:
    """q1, q2, c and the gradient over `times` turns."""
    t = mf.Network(L.Repeat(layer, times)).propagate(q, c)
    return [float(t.q1[-1]), float(t.q2[-1]), float(t.c[-1]), float(t.gradient[0])]


@pytest.mark.parametrize(
    ("name", "layer", "times", "c"),
    [
        ("A1_net", L.Sequence("relu", L.Dropout(0.1), L.Dense(1.8**0.5)), 10, 0.95),
        ("B1_relu_b1", L.Residual("relu", L.Dense(2**0.5)), 8, 0.5),
        ("B2_tanh", L.Residual("tanh", L.Dense(1.0, 0.5)), 20, 0.5),
        ("B3_stable_relu", L.Residual("relu", L.Dense(2**0.5), scale=20**-0.5), 20, 0.5),
        ("C2_pre_tanh", L.Sequence(L.LayerNorm(), "tanh", L.Dense(1.3, 0.3)), 10, 0.7),
        ("C5_prenorm_relu", L.Residual(L.LayerNorm(), "relu", L.Dense(2**0.5)), 16, 0.2),
        ("E1", SWIGLU, 2, 0.6),
        ("E6", L.Residual(L.RMSNorm(), SWIGLU), 8, 0.6),
    ],
)
def test_networks_of_the_reference(name: str, layer: L.Layer, times: int, c: float) -> None:
    value = REFERENCE[name]["value"]
    value = value[0] if name == "E1" else value
    wanted = value if len(value) == 4 else [value[0], *value]
    assert end(layer, times, c) == pytest.approx(wanted, rel=1e-12)


def test_long_repetitions_are_what_single_steps_give() -> None:
    """The roads for many turns (tables, compiled recursions) against one layer at a time."""
    blocks = [
        L.Residual("tanh", L.Dense(1.0, 0.5)),
        L.Residual("gelu", L.Dropout(0.2), L.Dense(1.3, 0.1), skip=0.8, scale=0.7),
        L.Residual(L.LayerNorm(), "tanh", L.Dense(1.2), "gelu", L.Dense(1.0, 0.1), scale=0.6),
        L.Residual(L.RMSNorm(), "sign(x)", L.Dense(1.2)),
        L.Sequence(L.LayerNorm(), "hardtanh", L.Dense(1.3, 0.3)),
        L.Residual("tanh", L.Dense(1.2), "tanh", L.Dense(1.0, 0.1), skip=0.8, scale=0.6),
    ]
    for block in blocks:
        each = len(block.layers) if isinstance(block, L.Sequence) else 1
        for q, c in ((1.0, 0.3), ((0.5, 2.0), -0.4), (1.0, 1.0 - 1e-9)):
            many = mf.Network(L.Repeat(block, 60)).propagate(q, c)
            single = mf.Network(*[block] * (60)).propagate(q, c)
            for name in ("q1", "q2", "gradient"):
                assert getattr(many, name) == pytest.approx(getattr(single, name)[::each], rel=1e-12), str(block)
            absolute = 0.0 if not isinstance(q, tuple) else 1e-13
            assert many.epsilon == pytest.approx(single.epsilon[::each], rel=2e-11, abs=absolute), str(block)


def test_a_residual_layer_is_the_plain_one_at_a_larger_sigma() -> None:
    """skip² + scale² = 1: q* and c* of the plain layer at σ/√(1 − skip²), one step slower."""
    skip = 0.6
    block = L.Residual("tanh", L.Dense(2.0 * 0.8, 0.3 * 0.8), skip=skip)
    plain = mf.MeanField("tanh", 2.0, 0.3)
    t = mf.Network(L.Repeat(block, 4000)).propagate(1.0, 0.2)
    assert t.q1[-1] == pytest.approx(plain.q_star, rel=1e-13)
    assert t.c[-1] == pytest.approx(plain.c_star, rel=1e-13)


def test_batch_norm_over_the_sphere() -> None:
    """d, o and the gradient's factor: the reference for tanh and linear φ, closed forms for ReLU.

    For ReLU the length of y drops out: o is the arc-cosine kernel at c = −1/n, E φ'φ' = ¼ + arcsin(c)/2π. (The reference's own ReLU
    values are off by 1e-8 to 1e-5.)
    """
    for name, (diagonal, off, factor) in REFERENCE["C7"]["value"].items():
        phi, batch = name.split("_B")
        found = batch_moments(mf.activation(phi), int(batch))
        assert found.diagonal == pytest.approx(diagonal, rel=4e-13)
        if phi == "relu":
            n = int(batch) - 1
            c = -1.0 / n
            off = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / (2 * math.pi)
            both = 0.25 + math.asin(c) / (2 * math.pi)
            first = (n + 1) * (0.5 * (1 - 1 / (n + 1)) - 0.5 / (n + 1))
            second = ((n + 1) * 0.5 - (0.5 + n * both) - (0.5 + n * off)) / (n + 1)
            factor = (n + 1) / ((n - 2) * n) * (first - second) / (0.5 - off)
        assert found.off_diagonal == pytest.approx(off, rel=1e-12, abs=1e-12)
        assert found.gradient / (found.diagonal - found.off_diagonal) == pytest.approx(factor, rel=1e-11)


def test_batch_norm_networks() -> None:
    for batch in (5, 8, 64):
        linear = mf.Network(L.Repeat(L.Sequence(L.BatchNorm(batch), "linear", L.Dense(1.7, 0.3)), 3)).propagate()
        assert linear.gradient[1] / linear.gradient[2] == pytest.approx((batch - 2) / (batch - 3), rel=1e-12)
    residual = mf.Network(L.Repeat(L.Residual(L.BatchNorm(64), "relu", L.Dense(2**0.5)), 10)).propagate(1.0, 0.0)
    spread, gradient = REFERENCE["C8"]["value"]
    assert residual.q1[-1] * residual.epsilon[-1] == pytest.approx(spread, rel=1e-7)  # the reference's ReLU integrals
    assert residual.gradient[0] == pytest.approx(gradient, rel=2e-6)


@pytest.mark.parametrize("phi", ["tanh", "erf", "gelu", "silu", "selu", "relu"])
def test_layer_norm_before_and_after_an_activation(phi: str) -> None:
    second, slope, mean, line, before, after = REFERENCE[f"C1_{phi}"]["value"]
    weight = 1.0 / math.sqrt(second)
    # Before φ at σ_b = 0, unit variance: gradient V[φ']/V.
    assert end(L.Sequence(L.LayerNorm(), phi, L.Dense(weight)), 1, 0.5)[3] == pytest.approx(before, rel=1e-12)
    # After φ at σ_w = 1: V[φ']/(V − m²).
    assert end(L.Sequence(phi, L.LayerNorm(), L.Dense(1.0)), 1, 0.5)[3] == pytest.approx(after, rel=1e-12)
    # On the line σ_b²/σ_w² = V[φ'] − V the gradient's factor is 1.
    if line > 0.0:
        critical = L.Sequence(L.LayerNorm(), phi, L.Dense(1.0, math.sqrt(line)))
        assert end(critical, 1, 0.5)[3] == pytest.approx(slope, rel=1e-12)
        block = L.Sequence(L.LayerNorm(), phi, L.Dense(1.0, math.sqrt(line)))
        assert end(block, 2, 0.5, q=slope)[3] == pytest.approx(1.0, rel=1e-11)
    assert mean == pytest.approx(mf.expectation(phi, 1.0), rel=1e-12, abs=1e-15)


def test_layer_norm_after_relu_centres() -> None:
    value = [float(v) for v in REFERENCE["C3_map"]["value"]]
    block = L.Sequence("relu", L.LayerNorm(), L.Dense(1.0))
    assert end(block, 1, 0.5)[2] == pytest.approx(value[0], rel=1e-12)
    behind = block.apply(State.of(1.0, 1.0, np.array([1.0, 0.0]), np.ones(2))).state
    assert behind.whole.tangent == pytest.approx(value[1:], rel=1e-12)


@pytest.mark.parametrize(
    ("phi", "at_kink"), [("relu", 0.0), ("leaky_relu", 0.01), ("abs", 0.0), ("selu", 1.0507009873554805 * 1.6732632423543772)]
)
def test_masked_units_sit_on_a_kink(phi: str, at_kink: float) -> None:
    """They have φ'(0) as φ's own code has it (torch's), not the mean of both sides; in front of the mask nothing is left of it."""
    keep = 0.7
    t = mf.Network(L.Dense(1.2), L.Dropout(1.0 - keep), phi, L.Dense(1.0)).propagate(1.0, 0.3)
    slopes = float(mf.covariance(phi, 1.44 / keep**2, 1.44 / keep**2, 1.0, derivative=1))
    behind, mask, before = t.gradient[3], t.gradient[2], t.gradient[1]
    assert mask / behind == pytest.approx(keep * slopes + (1.0 - keep) * at_kink**2, rel=1e-13)
    assert before / behind == pytest.approx(slopes / keep, rel=1e-13)


def test_masked_units_sit_on_a_jump() -> None:
    """1 for x ≥ 0, else 0: ½ of the kept units and all masked ones are 1."""
    keep = 0.7
    t = mf.Network(L.Dense(1.2), L.Dropout(1.0 - keep), "where(x >= 0, 1, 0)", L.Dense(1.0)).propagate(1.0, 0.0)
    assert t.q1[3] == pytest.approx(0.5 * keep + (1.0 - keep), rel=1e-13)
    assert t.q1[3] * t.c[3] == pytest.approx((0.5 * keep + (1.0 - keep)) ** 2, rel=1e-13)


def test_gradient_is_the_slope_of_the_covariance() -> None:
    """For all but dropout and batch norm: ∂K12'/∂K12 at equal inputs is the gradient's factor."""
    for layer in (
        L.Sequence("tanh", L.Dense(1.3, 0.2)),
        L.Residual("gelu", L.Dense(1.1), scale=0.7, skip=1.2),
        L.Residual(L.LayerNorm(), SWIGLU),
        L.Sequence(L.Concatenate(L.Identity(), L.Sequence("relu", L.Dense(1.5)), widths=(2, 1)), "tanh", L.Dense(1.3)),
        L.Sequence("relu", "tanh", L.Dense(1.1)),
        L.Sequence("relu", L.Dense(1.4, weights="standardised")),
        L.Sequence(L.Mixture({"relu": 0.3, "tanh": 0.7}), L.Dense(1.0)),
    ):
        state = State.of(1.3, 1.3, 0.0, 1.0)
        step = layer.apply(state)
        assert step.state.whole.tangent is not None
        gradient = end(layer, 1, 1.0, q=1.3)[3]
        assert float(step.state.whole.tangent) == pytest.approx(gradient, rel=1e-12), str(layer)


def test_small_decorrelations_keep_their_digits() -> None:
    """ε' from ε = 1e-14 against the tangent, through sums, norms and gates."""
    for layer in (
        L.Residual("tanh", L.Dense(1.3, 0.4), scale=0.7),
        L.Sequence("relu", L.LayerNorm(), L.Dense(1.2, 0.3)),
        L.Residual(L.RMSNorm(), SWIGLU),
        L.Residual(L.Dense(1.0), "gelu"),
        L.Sequence(L.Concatenate(L.Identity(), "tanh"), L.Dense(1.0, 0.5)),
    ):
        q, loss = 1.3, 1e-14
        behind = layer.apply(State.of(q, q, loss, 1.0)).state.whole
        assert behind.tangent is not None
        slope = float(behind.tangent) * q / float(behind.q1)
        assert float(behind.epsilon) == pytest.approx(slope * loss, rel=1e-6, abs=0.0), str(layer)


def test_unequal_inputs_through_a_sum() -> None:
    """K12 of a sum is the sum of the K12."""
    layer = L.Residual("tanh", L.Dense(1.3, 0.4), scale=0.7, skip=1.1)
    q1, q2, c = 0.5, 3.0, 0.4
    behind = layer.apply(State.of(q1, q2, 1.0 - c)).state.whole
    direct = 1.1**2 * c * math.sqrt(q1 * q2) + 0.49 * (0.16 + 1.69 * mf.covariance("tanh", q1, q2, c))
    product = float(np.sqrt(behind.q1 * behind.q2) * (1.0 - behind.epsilon))
    assert product == pytest.approx(direct, rel=1e-13)


def test_dropout_fixed_points() -> None:
    q, c, _, factor, at_one = REFERENCE["A2"]["value"]
    block = L.Sequence("tanh", L.Dropout(0.1), L.Dense(1.5, 0.3))
    t = mf.Network(L.Repeat(block, 2000)).propagate()
    assert (t.q1[-1], t.c[-1]) == pytest.approx((q, c), rel=1e-11)
    assert t.gradient[-2] == pytest.approx(factor, rel=1e-11)
    assert end(block, 1, 1.0, q=float(t.q1[-1]))[2] == pytest.approx(at_one, rel=1e-11)


def test_pre_norm_correlations_move_with_the_logarithm_of_the_depth() -> None:
    t = mf.Network(L.Repeat(L.Residual(L.LayerNorm(), "relu", L.Dense(2**0.5)), 10**5)).propagate(1.0, epsilon=0.01)
    assert t.epsilon[-1] ** -0.5 - 10.0 == pytest.approx(REFERENCE["C9"]["value"][0], rel=1e-8)


def test_residual_relu_decorrelates_like_one_over_the_square() -> None:
    """ε_l l² at l = 10³ and 10⁵; the variance passes the doubles on the way, the correlation map is then that of its limit."""
    he = mf.Network(L.Repeat(L.Residual("relu", L.Dense(2**0.5)), 10**5)).propagate(1.0, 0.5)
    assert he.q1[900] == pytest.approx(2.0**900, rel=1e-11)
    for depth, value in ((10**3, REFERENCE["B1_rate"]["value"][0]), (10**5, REFERENCE["B1_rate"]["value"][1])):
        assert he.epsilon[depth] * depth**2 == pytest.approx(value, rel=1e-10)


def test_concatenated_features_keep_their_own_laws() -> None:
    """tanh of [x, Wφ(x)] sees two variances, not their mean."""
    layer = L.Sequence(L.Concatenate(L.Identity(), L.Dense(2.0), widths=(3, 1)), "tanh")
    behind = layer.apply(State.of(1.0, 1.0, 0.5)).state
    assert float(behind.q1) == pytest.approx(0.75 * mf.second_moment("tanh", 1.0) + 0.25 * mf.second_moment("tanh", 4.0), rel=1e-13)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: L.Dense(-1.0), "sigma_w"),
        (lambda: L.Dense(1.0, math.nan), "sigma_b"),
        (lambda: L.Dense(1.0, weights="cauchy"), "weights"),
        (lambda: L.Dropout(1.0), "rate"),
        (lambda: L.Dropout(1.5), "rate"),
        (lambda: L.LayerNorm(-1.0), "epsilon"),
        (lambda: L.BatchNorm(3), "batch"),
        (lambda: L.Repeat("tanh", 0), "times"),
        (lambda: L.Residual("tanh"), "no weights"),
        (lambda: L.Residual(L.Dense(1.0), L.Concatenate(L.Identity(), L.Dense(1.0))), "widths"),
        (lambda: L.Residual(L.Dense(1.0), scale=math.inf), "scale"),
        (lambda: L.Gate("tanh", L.Identity()), "weights"),
        (lambda: L.Concatenate("tanh", "relu", widths=(1,)), "widths"),
        (lambda: L.Concatenate("tanh", "relu", widths=(1, -1)), "widths"),
        (lambda: L.Mixture({}), "shares"),
        (lambda: mf.Network(), "at least one"),
    ],
)
def test_descriptions_that_make_no_sense(make: Any, word: str) -> None:
    with pytest.raises(mf.DomainError, match=word):
        make()


def test_a_misplaced_layer_is_named_by_its_place() -> None:
    with pytest.raises(mf.DomainError, match=r"layer 3\.2 \(tanh\): its input is not Gaussian"):
        mf.Network(L.Dense(1.0), "relu", L.Residual(L.LayerNorm(), "tanh", L.Dense(1.0)))
    with pytest.raises(mf.DomainError, match=r"layer 2 \(BatchNorm\(8\)\)"):
        mf.Network("relu", L.BatchNorm(8))
    with pytest.raises(mf.DomainError, match="different variances"):
        mf.Network(L.Dense(1.0), L.BatchNorm(8)).propagate((1.0, 2.0))


def test_branches_without_weights_are_as_wide_as_their_input() -> None:
    with pytest.raises(mf.DomainError, match="as wide as their input"):
        L.Concatenate("relu", L.Identity(), widths=(2, 1))
    assert L.Concatenate("relu", L.Identity(), L.Dense(1.0), widths=(2, 2, 1)).shares == (0.4, 0.4, 0.2)


def test_what_outgrows_the_doubles_is_nan_with_a_warning() -> None:
    with pytest.warns(mf.AccuracyWarning, match="steeper than linear"):
        t = mf.Network(L.Repeat(L.Dense(2.0) >> L.Activation("x**3"), 5)).propagate()
    assert t.q1[-1] == math.inf
    assert math.isnan(t.c[-1])


def test_unequal_inputs_are_centred_as_their_covariance_says() -> None:
    """(K12 − m1 m2)/√(s1 s2) of GELU, whose means differ with the variances."""
    q1, q2, c = 0.5, 3.0, 0.4
    behind = L.Sequence("gelu", L.LayerNorm()).apply(State.of(q1, q2, 1.0 - c)).state.whole
    m1, m2 = mf.expectation("gelu", q1), mf.expectation("gelu", q2)
    spread = (mf.second_moment("gelu", q1) - m1**2) * (mf.second_moment("gelu", q2) - m2**2)
    assert 1.0 - float(behind.epsilon) == pytest.approx((mf.covariance("gelu", q1, q2, c) - m1 * m2) / math.sqrt(spread), rel=1e-12)


@pytest.mark.parametrize(("q1", "q2"), [(1.2, 1.2), (1.2, 0.4)])
def test_dropout_before_an_activation_is_a_mixture(q1: float, q2: float) -> None:
    """ρ²C + 2ρ(1 − ρ)φ(0)E[φ] + (1 − ρ)²φ(0)² over √(V'V'), with softplus(0) = log 2."""
    keep, c, zero = 0.7, 0.4, math.log(2.0)
    behind = L.Sequence(L.Dropout(1.0 - keep), "softplus").apply(State.of(q1, q2, 1.0 - c)).state.whole
    u1, u2 = q1 / keep**2, q2 / keep**2
    variances = [keep * mf.second_moment("softplus", u) + (1 - keep) * zero**2 for u in (u1, u2)]
    mixed = keep * (1 - keep) * zero * (mf.expectation("softplus", u1) + mf.expectation("softplus", u2))
    product = keep**2 * mf.covariance("softplus", u1, u2, c) + mixed + (1 - keep) ** 2 * zero**2
    assert 1.0 - float(behind.epsilon) == pytest.approx(product / math.sqrt(math.prod(variances)), rel=1e-12)


def test_dropout_where_the_variance_has_vanished() -> None:
    """φ is a line there: each layer's masks take the factor ρ from c."""
    t = mf.Network(L.Repeat(L.Sequence("tanh", L.Dropout(0.1), L.Dense(0.5)), 40)).propagate(1e-279, 0.6)
    assert t.q1[-1] == 0.0
    assert t.c == pytest.approx(0.6 * 0.9 ** np.arange(41.0), rel=1e-11)


@pytest.mark.parametrize("bad", [1e101, -1e-3, math.inf, math.nan])
def test_numbers_of_layers_are_checked(bad: float) -> None:
    with pytest.raises(mf.DomainError, match="sigma_w"):
        L.Dense(bad, 0.1)
    with pytest.raises(mf.DomainError, match="skip"):
        L.Residual(L.Dense(1.0), "tanh", L.Dense(1.0), skip=bad * 1e200 if bad == -1e-3 else bad)
