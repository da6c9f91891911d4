"""Networks as plain data: there and back, and what is refused, by its place."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import sympy

import meanfield as mf
from meanfield import layers as L
from meanfield.layers import from_description, to_description

DENSE = {"type": "dense", "sigma_w": 1.0}


def every() -> L.Sequence:
    """Made anew: formulas are the same objects only for as long as they are kept."""
    return L.Sequence(
        L.Dense(1.4, 0.1),
        L.Repeat(L.Residual(L.LayerNorm(1e-6), L.Dense(1.0), "gelu", L.Dense(1.0), scale=0.3, skip=0.9), 4),
        L.Repeat(L.Residual(L.Repeat(L.Sequence(L.Dense(1.2, weights="orthogonal"), "tanh"), 2), L.Dense(1.0)), 3),
        L.Gate(L.Dense(1.0), L.Sequence(L.Dense(1.0), mf.activation("leaky_relu", negative_slope=0.3))),
        L.RMSNorm(),
        L.Convolution(1.0, 0.2, taps=5),
        L.Mixture({"relu": 0.5, mf.activation("gelu", approximate="tanh"): 0.25}),
        L.Dropout(0.1),
        L.Dense(1.0, weights="standardised"),
        L.Concatenate(L.Identity(), L.Sequence(L.Dense(1.0), "x*tanh(x)"), widths=(2, 1)),
        L.Dense(1.3),
        L.BatchNorm(16),
        mf.activation("x*sigmoid(b*x)", b=2),
        L.Dense(1.0),
    )


def test_there_and_back() -> None:
    whole = every()
    described = to_description(whole)
    again = from_description(described)
    assert to_description(again) == described
    assert again == whole  # layers compare by what they hold, activations by identity
    first, second = (mf.Network(layers).propagate(q=1.2, c=0.3) for layers in (whole, again))
    for name in ("q1", "c", "gradient", "mean1"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert to_description(mf.Network(whole)) == described


def test_every_other_kind_there_and_back() -> None:
    stack = L.Sequence(
        L.Dense(1.0),
        L.Maxout(2),
        L.Dense(1.2),
        L.PostActivation(L.Dense(1.0), activation="tanh", scale=0.5),
        L.Dense(1.0),
        L.Attention(0.3, 1.0, 8),
        L.Convolution(1.0),
        "relu",
        L.AveragePool(2),
        L.GlobalAveragePool(),
    )
    assert from_description(to_description(stack)) == stack


def test_what_is_written_is_plain_and_short() -> None:
    assert to_description(L.Sequence(L.Dense(2), "tanh", L.LayerNorm())) == {
        "layers": [{"type": "dense", "sigma_w": 2.0}, "tanh", {"type": "layer_norm"}]
    }
    assert to_description(L.Identity()) == {"layers": [{"type": "identity"}]}
    x = sympy.Symbol("x")
    (text,) = to_description(L.Activation(x * sympy.tanh(x) + 1))["layers"]
    assert from_description([text]).layers[0].activation(0.7) == pytest.approx(0.7 * np.tanh(0.7) + 1, rel=1e-15)
    with pytest.raises(mf.DomainError, match="neither in the catalogue nor a formula"):
        to_description(L.Activation(lambda x: x))


def test_shorter_spellings() -> None:
    assert from_description(["tanh"]) == from_description({"layers": [{"type": "activation", "activation": "tanh"}]})
    one = from_description([{"type": "gate", "left": DENSE, "right": ["tanh", DENSE]}])
    assert one == from_description([{"type": "gate", "left": [DENSE], "right": ["tanh", DENSE]}])
    table = from_description([{"type": "mixture", "shares": {"relu": 1, "tanh": 3}}])
    assert table == from_description([{"type": "mixture", "shares": [["relu", 1], [{"type": "activation", "activation": "tanh"}, 3]]}])
    assert table.layers[0] == L.Mixture({"relu": 1, "tanh": 3})


def nested(levels: int) -> Any:
    found: Any = DENSE
    for _ in range(levels):
        found = {"type": "residual", "branch": [found, DENSE]}
    return found


def test_nesting_up_to_32() -> None:
    from_description([nested(31)])
    with pytest.raises(mf.DomainError, match="more than 32 layers inside one another"):
        from_description([nested(32)])
    endless: dict[str, Any] = {"type": "repeat", "times": 1}
    endless["layers"] = [endless]
    with pytest.raises(mf.DomainError, match="more than 32"):
        from_description([endless])


def test_repetitions_inside_are_counted_and_those_outside_are_not() -> None:
    assert mf.Network(from_description([{"type": "repeat", "times": 10**6, "layers": [DENSE]}])).propagate().depth == 10**6
    inner = {"type": "repeat", "times": 10**6, "layers": [DENSE]}
    for outer in ({"type": "residual", "branch": [inner]}, {"type": "repeat", "times": 2, "layers": [inner]}):
        with pytest.raises(mf.DomainError, match="more than 100000 layers"):
            from_description([outer])
    with pytest.raises(mf.DomainError, match="more than 100000 layers"):
        from_description(["tanh"] * 100_001)


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ({"type": "foo"}, r"layers\[1\]: unknown type 'foo'; one of dense, convolution"),
        ({"type": ["dense"]}, r"layers\[1\]: unknown type a list of 1"),
        ({"sigma_w": 1}, r"layers\[1\]: the key 'type' is missing"),
        ({"type": "dense"}, r"layers\[1\]: the key 'sigma_w' is missing; dense needs it"),
        ({"type": "dense", "sigma_w": 1, "sigmab": 2}, r"layers\[1\]: unknown key 'sigmab'; the arguments of dense are sigma_w, sigma_b"),
        ({"type": "dense", "sigma_w": "1"}, r"layers\[1\].sigma_w = '1' has the wrong type: a number"),
        ({"type": "dense", "sigma_w": True}, r"layers\[1\].sigma_w = True has the wrong type"),
        ({"type": "dense", "sigma_w": None}, r"layers\[1\].sigma_w = None has the wrong type"),
        ({"type": "dense", "sigma_w": -1}, r"layers\[1\]: sigma_w = -1.0 is out of range"),
        ({"type": "dense", "sigma_w": float("nan")}, r"layers\[1\].sigma_w = nan is out of range"),
        ({"type": "dense", "sigma_w": 10**400}, r"layers\[1\].sigma_w = a whole number of 1329 bits is out of range"),
        ({"type": "dense", "sigma_w": 1, "weights": "magic"}, r"layers\[1\]: weights = 'magic' is out of range: one of 'gaussian'"),
        ({"type": "dense", "sigma_w": 1, "weights": 3}, r"layers\[1\].weights = 3 has the wrong type: a word"),
        ({"type": "convolution", "sigma_w": 1, "taps": 2.0}, r"layers\[1\].taps = 2.0 has the wrong type: a whole number"),
        ({"type": "identity", "x": 1}, r"layers\[1\]: unknown key 'x'; the arguments of identity are none"),
        ({"type": "dropout", "rate": 1}, r"layers\[1\]: .*rate = 1.0 leaves nothing"),
        ({"type": "batch_norm", "batch": 3}, r"layers\[1\]: batch = 3 is out of range"),
        ({"type": "residual", "branch": []}, r"layers\[1\].branch is empty"),
        ({"type": "residual", "branch": "tanh"}, r"layers\[1\].branch = 'tanh' has the wrong type: a list of layers"),
        ({"type": "residual", "branch": ["tanh"]}, r"layers\[1\]: .*its branch has no weights"),
        ({"type": "residual", "branch": [DENSE, {"type": "foo"}]}, r"layers\[1\].branch\[1\]: unknown type 'foo'"),
        ({"type": "concatenate", "branches": [[DENSE], [7]]}, r"layers\[1\].branches\[1\]\[0\] = 7 has the wrong type: a layer"),
        ({"type": "concatenate", "branches": []}, r"layers\[1\]: a concatenation needs"),
        ({"type": "concatenate", "branches": [DENSE], "widths": [1, 2]}, r"layers\[1\]: widths must hold a number for each"),
        ({"type": "concatenate", "branches": [DENSE], "widths": ["1"]}, r"layers\[1\].widths\[0\] = '1' has the wrong type"),
        ({"type": "mixture", "shares": {}}, r"layers\[1\]: shares must map"),
        ({"type": "mixture", "shares": {"tahn": 1}}, r"layers\[1\].shares\[0\]: unknown activation 'tahn'; did you mean"),
        ({"type": "mixture", "shares": [["tanh"]]}, r"layers\[1\].shares\[0\] = a list of 1 has the wrong type: a pair"),
        ({"type": "mixture", "shares": [[DENSE, 1]]}, r"layers\[1\].shares\[0\]: a mixture is one of activations, not of Dense"),
        ({"type": "gate", "left": DENSE}, r"layers\[1\]: the key 'right' is missing"),
        ({"type": "repeat", "times": 0, "layers": [DENSE]}, r"layers\[1\]: times = 0 is out of range"),
        ({"type": "repeat", "times": 10**9, "layers": [DENSE]}, r"layers\[1\].times = 1000000000 is out of range"),
        ({"type": "repeat", "times": 2.5, "layers": [DENSE]}, r"layers\[1\].times = 2.5 has the wrong type"),
        ("tahn", r"layers\[1\]: unknown activation 'tahn'"),
        ("__import__('os')", r"layers\[1\]: "),
        ({"type": "activation", "activation": "leaky_relu", "parameters": {"slope": 1}}, r"layers\[1\]: .*slope"),
        ({"type": "activation", "activation": "tanh", "parameters": {"name": "x"}}, r"layers\[1\].parameters: 'name' is no parameter"),
        ({"type": "activation", "activation": 3}, r"layers\[1\].activation = 3 has the wrong type"),
        (None, r"layers\[1\] = None has the wrong type"),
        ([DENSE], r"layers\[1\] = a list of 1 has the wrong type"),
    ],
)
def test_what_is_refused_names_its_place(layers: Any, told: str) -> None:
    with pytest.raises((mf.DomainError, mf.ActivationError), match=told):
        from_description([DENSE, layers])


@pytest.mark.parametrize("whole", [None, 3, "tanh", [], {}, {"layers": []}, {"layers": {}}, {"layers": [DENSE], "more": 1}, {1: 2}])
def test_what_is_no_list_of_layers(whole: Any) -> None:
    with pytest.raises(mf.DomainError, match=r"layers"):
        from_description(whole)


def test_too_many_different_activations() -> None:
    with pytest.raises(mf.DomainError, match="more than 200 different activations"):
        from_description([f"tanh({n}*x)" for n in range(1, 300)])


def test_activations_in_a_row() -> None:
    """Five as one function are refused, four of a growing formula and a constant are not, and none takes a minute."""
    for five in (["tanh"] * 5, ["x*tanh(x)"] * 1000):
        with pytest.raises(mf.DomainError, match=r"layer 5 .*more than 4 activations in a row"):
            mf.Network(from_description(five))
    began = time.perf_counter()
    found = mf.Network("x*tanh(x)", "x*tanh(x)", "x*tanh(x)").propagate()
    assert time.perf_counter() - began < 30.0  # minutes, by derivatives of callables
    phi = mf.activation("x*tanh(x)")
    whole = mf.activation("x*tanh(x)*tanh(x*tanh(x))*tanh(x*tanh(x)*tanh(x*tanh(x)))")
    assert found.q1[-1] == pytest.approx(float(mf.second_moment(whole, 1.0)), rel=1e-12)
    # δ at the input: V of the composition's derivative, at the first φ's output: E φ₂'(φ₁)² φ₃'(φ₂(φ₁))².
    between = mf.expectation(lambda z: (phi.derivative(phi(z)) * phi.derivative(phi(phi(z)))) ** 2)
    assert found.gradient[1] == pytest.approx(float(between), rel=1e-10)
    assert mf.Network("1", "tanh").propagate().q1[-1] == pytest.approx(np.tanh(1.0) ** 2, rel=1e-14)
