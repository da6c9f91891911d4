"""Activations as torch modules: the catalogue's values and slopes, in double precision, scripted and not."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest

import meanfield as mf

torch = pytest.importorskip("torch", reason='torch is not installed: pip install ".[torch]"')

from meanfield.frameworks.torch import module  # noqa: E402

X = np.concatenate([np.linspace(-9.0, 9.0, 181) + 0.0137, [-60.0, -30.0, 30.0, 60.0]])


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _scripted(layer):
    with warnings.catch_warnings():  # torch tells that it will take scripts away
        warnings.simplefilter("ignore")  # and that a GraphModule is annotated
        return torch.jit.script(layer)


@pytest.mark.parametrize("name", [name for name in mf.activations() if name not in ("exp", "telu")])
def test_the_catalogue(name):
    act = mf.activation(name)
    layer = module(name)
    x = torch.from_numpy(X).requires_grad_(True)
    y = layer(x)
    size = np.maximum(np.abs(act(X)), 1e-3)
    tolerance = 3e-9 if name == "softplus" else 3e-12  # torch's own softplus is a line from 20 on, and so is the catalogue's
    assert np.max(np.abs(y.detach().numpy() - act(X)) / size) < tolerance
    if y.requires_grad:
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert slope.numpy() == pytest.approx(act.derivative(X), rel=1e-10, abs=1e-10 if name != "softplus" else 3e-9)
    assert np.array_equal(_scripted(layer)(x.detach()).numpy(), y.detach().numpy())


@pytest.mark.parametrize(
    ("name", "method"), [("gelu", "tat"), ("selu", "dks"), ("silu", "dks"), ("leaky_relu", "tat"), ("softplus", "standard")]
)
def test_shaped(name, method):
    a = mf.shape_activation(name, depth=100, method=method)
    layer = module(a)
    x = torch.from_numpy(X).requires_grad_(True)
    y = layer(x)
    assert y.detach().numpy() == pytest.approx(a(X), rel=1e-12, abs=1e-12 * a.output_scale)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert slope.numpy() == pytest.approx(a.derivative(X), rel=1e-10, abs=1e-12)
    single = layer(torch.from_numpy(X.astype(np.float32)))
    assert single.dtype == torch.float32
    scripted = _scripted(layer)
    assert np.array_equal(scripted(x.detach()).numpy(), y.detach().numpy())
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert np.array_equal(again(x.detach()).numpy(), y.detach().numpy())


def test_formulas_and_torch_functions():
    layer = module("where(x > 1, log(x), x - 1)")
    x = torch.tensor([-3.0, 0.5, 2.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(layer(x).sum(), x)
    assert slope.tolist() == [1.0, 1.0, 0.5]  # no nan from the logarithm that is not taken
    a = mf.shape_activation(torch.nn.SiLU(), depth=50)
    same = mf.shape_activation("silu", depth=50)
    y = module(a)(torch.from_numpy(X))
    assert y.numpy() == pytest.approx(same(X), rel=1e-9, abs=1e-9)
    assert isinstance(module(torch.nn.Tanh()), torch.nn.Tanh)
    with pytest.raises(mf.ActivationError, match="function of NumPy arrays"):
        module(mf.activation(np.tanh, name="mine"))


def test_the_wrong_side_of_an_elu_keeps_its_gradient():
    x = torch.tensor([800.0, -800.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(module("elu")(x).sum(), x)
    assert slope.tolist() == [1.0, 0.0]


def test_trains():
    layer = module(mf.shape_activation("tanh", depth=3))
    net = torch.nn.Sequential(torch.nn.Linear(2, 8), layer, torch.nn.Linear(8, 1)).double()
    net(torch.randn(5, 2, dtype=torch.float64)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
