"""Every catalogue entry against its own formula in 60 digits or more."""

from __future__ import annotations

import math
import pickle
import weakref

import numpy as np
import pytest

import meanfield as mf
from meanfield.activations import Activation
from tests.activations.exact import derivative

POINTS = [
    *np.linspace(-50.0, 50.0, 29).tolist(),
    0.25,
    -0.25,
    1.1,
    -1.3,
    2.7,
    -2.9,
    -0.9,
    5.1,
    -6.3,
    1e-8,
    -1e-8,
    1e-3,
    -1e-3,
    30.5,
    -700.5,
    650.25,
    800.0,
    -800.0,
    1e5,
    -1e5,
]
VARIANTS = [
    *[(name, {}) for name in mf.activations()],
    ("gelu", {"approximate": "tanh"}),
    ("elu", {"alpha": 0.4}),
    ("celu", {"alpha": 2.5}),
    ("swish", {"beta": 1.6}),
    ("softplus", {"beta": 3.0}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("hardtanh", {"min_val": -0.75, "max_val": 2.0}),
    ("hardshrink", {"lambd": 0.25}),
    ("isru", {"alpha": 0.2}),
    ("isrlu", {"alpha": 3.0}),
    ("squareplus", {"b": 0.1}),
    ("snake", {"a": 0.3}),
    ("monomial", {"power": 4}),
    ("polynomial", {"coefficients": (1.0, -2.0, 0.0, 0.5)}),
    ("threshold", {"threshold": -0.5, "value": 0.875}),
]
# Beside the value itself, errors are measured against the terms that meet in it: φ' = gate + x gate' has a zero.
GATED = {
    "silu",
    "swish",
    "gelu",
    "gelu_tanh",
    "quick_gelu",
    "igelu",
    "mish",
    "telu",
    "logish",
    "hardswish",
    "quad_gelu",
    "polynomial",
    "snake",
}


def _numbers(act: Activation) -> dict[str, float]:
    return {name: value for name, value in act.parameters.items() if isinstance(value, float)}


@pytest.mark.parametrize(("name", "parameters"), VARIANTS, ids=lambda part: str(part))
def test_values_and_derivatives_against_60_digits(name: str, parameters: dict[str, object]) -> None:
    act = mf.activation(name, **parameters)
    cuts = [point.location for point in act.breakpoints]
    for k, tolerance in ((0, 1e-13), (1, 2e-13), (2, 1e-12)):
        for x in POINTS:
            if any(abs(x - cut) < 1e-9 for cut in cuts):
                continue
            exact = derivative(act.text, x, k, _numbers(act))
            got = float(act.values(np.array([x]), k)[0])
            if abs(exact) > 1.7e308:
                assert got == math.copysign(math.inf, exact)
                continue
            scale = abs(float(exact))
            if name in GATED and -8.0 < x < 8.0:
                scale = max(scale, 1e-2)
            assert abs(got - float(exact)) <= tolerance * scale + (1e-80 if k else 1e-300), (x, k, got, float(exact))


@pytest.mark.parametrize(("name", "parameters"), VARIANTS, ids=lambda part: str(part))
def test_jumps_and_one_sided_limits(name: str, parameters: dict[str, object]) -> None:
    act = mf.activation(name, **parameters)
    if name == "igelu":
        pytest.skip("its cuts are irrational: see test_igelu_pieces")
    for point in act.breakpoints:
        limits = {}
        for side in (-1, 1):
            for k in (0, 1, 2):
                limits[side, k] = float(derivative(act.text, point.location, k, _numbers(act), side=side))
                assert act.one_sided(point.location, side, k) == pytest.approx(limits[side, k], rel=1e-14, abs=1e-15), (point, side, k)
        assert point.value_jump == pytest.approx(limits[1, 0] - limits[-1, 0], rel=1e-14, abs=1e-15)
        assert point.slope_jump == pytest.approx(limits[1, 1] - limits[-1, 1], rel=1e-14, abs=1e-15)


def test_igelu_pieces() -> None:
    cut = mf.activation("igelu").breakpoints[2].location
    assert cut == pytest.approx(1.769 * math.sqrt(2.0), rel=1e-15)
    assert mf.activation("igelu").one_sided(cut, -1, 2) == pytest.approx(-0.2888 * cut / 2.0, rel=1e-13)
    assert mf.activation("igelu").one_sided(cut, +1, 2) == 0.0


def test_no_breakpoint_is_missing() -> None:
    """What the formula's own search finds is what the catalogue declares."""
    for name in mf.activations():
        act = mf.activation(name)
        text = act.text if name != "polynomial" else "x + x**2 / 2"
        found = mf.activation(text, **{key: value for key, value in _numbers(act).items() if key in text.replace("threshold *", "")})
        locations = [point.location for point in found.breakpoints]
        assert locations == pytest.approx([point.location for point in act.breakpoints], rel=1e-15), name
        for ours, theirs in zip(act.breakpoints, found.breakpoints, strict=True):
            assert theirs.value_jump == pytest.approx(ours.value_jump, abs=1e-14), name
            assert theirs.slope_jump == pytest.approx(ours.slope_jump, abs=1e-14), name


def test_at_least_35_in_order() -> None:
    names = mf.activations()
    assert len(names) >= 35
    assert list(names) == sorted(names)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("LeakyReLU", "leaky_relu"),
        ("torch.nn.Hardswish", "hardswish"),
        ("F.hardtanh", "hardtanh"),
        ("hard_tanh", "hardtanh"),
        ("log_sigmoid", "logsigmoid"),
        ("soft_sign", "softsign"),
        ("hard_silu", "hardswish"),
        ("GELU", "gelu"),
        ("tanh_shrink", "tanhshrink"),
        ("Exponential", "exp"),
        ("identity", "linear"),
        ("ReLU6", "relu6"),
        ("jax.nn.squareplus", "squareplus"),
        ("hard sigmoid", "hardsigmoid"),
    ],
)
def test_spellings(spelling: str, name: str) -> None:
    assert mf.activation(spelling) is mf.activation(name)


@pytest.mark.parametrize(
    ("spec", "parameters", "message"),
    [
        ("rleu", {}, "relu"),
        ("leaky_relu", {"slope": 0.1}, "negative_slope"),
        ("leaky_relu", {"negative_slope": "a"}, "finite number"),
        ("leaky_relu", {"negative_slope": float("nan")}, "finite number"),
        ("celu", {"alpha": 0.0}, "> 0"),
        ("hardtanh", {"min_val": 1.0, "max_val": 0.0}, "below max_val"),
        ("rrelu", {"lower": 0.5, "upper": 0.1}, "at most upper"),
        ("gelu", {"approximate": "erf"}, "'tanh'"),
        ("monomial", {"power": 2.5}, "integer"),
        ("polynomial", {"coefficients": "abc"}, "finite numbers"),
        ("hardshrink", {"lambd": -1.0}, ">= 0"),
        ("tanh", {"beta": 1.0}, "takes none"),
    ],
)
def test_bad_names_and_parameters(spec: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(mf.ActivationError, match=message):
        mf.activation(spec, **parameters)


@pytest.mark.parametrize("spec", [3, None, [1], b"relu"])
def test_what_is_no_activation(spec: object) -> None:
    with pytest.raises(mf.ActivationError, match="catalogue name, a formula"):
        mf.activation(spec)


def test_shapes_and_scalars() -> None:
    act = mf.activation("tanh")
    assert type(act(0.5)) is float
    assert type(act(1)) is float
    assert act(np.zeros((2, 3))).shape == (2, 3)
    assert act.derivative([0.0, 1.0]).tolist() == [1.0, pytest.approx(0.41997434161402606)]
    assert act(np.zeros((0, 4))).shape == (0, 4)
    assert act(np.float32(0.5)) == math.tanh(0.5)
    for bad in (float("nan"), np.array([0.0, np.nan]), "a", 1j, None):
        with pytest.raises(mf.DomainError):
            act(bad)


def test_at_a_kink_as_torch_does() -> None:
    assert mf.activation("relu").derivative(0.0) == 0.0
    assert mf.activation("relu6").derivative([0.0, 6.0]).tolist() == [0.0, 0.0]
    assert mf.activation("abs").derivative(0.0) == 0.0
    assert mf.activation("hardshrink")([-0.5, 0.5]).tolist() == [0.0, 0.0]


def test_same_object_again_pickle_and_weak_references() -> None:
    act = mf.activation("leaky_relu", negative_slope=0.3)
    assert mf.activation("LeakyReLU", negative_slope=0.3) is act
    assert mf.activation("leaky_relu") is not act
    assert mf.activation(act) is act
    assert pickle.loads(pickle.dumps(act)) is act
    assert weakref.ref(act)() is act
    assert repr(act) == "activation('leaky_relu', negative_slope=0.3)"


@pytest.mark.parametrize("name", mf.activations())
def test_formula_agrees_in_sympy(name: str) -> None:
    import sympy

    act = mf.activation(name)
    for x in (-1.7, 0.4, 2.3):
        assert float(act.formula.subs(sympy.Symbol("x"), sympy.Rational(str(x))).evalf(30)) == pytest.approx(act(x), rel=1e-14)
