"""Which activation a torch module or function is: a catalogue entry where its values agree, else the function itself."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from meanfield.activations import Activation
from meanfield.activations import activation as find_activation
from meanfield.activations.catalogue.names import find
from meanfield.errors import ActivationError, MeanFieldError
from meanfield.frameworks.equality import AGREE, POINTS
from meanfield.frameworks.torch.installed import torch
from meanfield.frameworks.torch.weight_layers import is_weight_layer


def has_weight_layers(module: Any) -> bool:
    """Whether a module is or holds a Linear or convolution layer."""
    return any(is_weight_layer(inner) for inner in module.modules())


def is_elementwise(module: Any) -> bool:
    """Whether a module without weight layers acts on each number by itself, tried on a tensor and on its shuffle."""
    t = torch()
    if has_weight_layers(module):
        return False
    if isinstance(module, t.nn.PReLU):
        return True  # slopes of its own for every channel, all of one kind
    try:
        with t.random.fork_rng(devices=[]), t.no_grad():
            tried = copy.deepcopy(module).cpu().double().eval()
            order = t.randperm(48, generator=t.Generator().manual_seed(0))
            x = t.linspace(-3.0, 3.0, 48, dtype=t.float64)
            straight = tried(x.reshape(2, 3, 4, 2).clone())
            shuffled = tried(x[order].reshape(2, 3, 4, 2).clone())
    except Exception:  # whatever a user's module may raise: it does not take every tensor, so it is no activation
        return False
    if not (isinstance(straight, t.Tensor) and straight.shape == (2, 3, 4, 2) and not straight.is_complex()):
        return False
    return bool(t.allclose(straight.reshape(48)[order], shuffled.reshape(48), rtol=1e-12, atol=1e-14, equal_nan=True))


def is_random(module: Any) -> bool:
    """Whether an elementwise module does something else in training: dropout inside it."""
    t = torch()
    with t.random.fork_rng(devices=[]), t.no_grad():
        tried = copy.deepcopy(module).cpu().double()
        x = t.linspace(-3.0, 3.0, 48, dtype=t.float64).reshape(2, 3, 4, 2)
        return not bool(t.equal(tried.train()(x.clone()).nan_to_num(), tried.eval()(x.clone()).nan_to_num()))


def from_module(module: Any) -> Activation:
    """The activation that a module computes; of slopes that differ by channel the root mean square, which gives the same V and V'."""
    made_of = getattr(module, "meanfield_activation", None)
    if isinstance(made_of, Activation) and _agrees(made_of, module):
        return made_of
    given = {name: getattr(module, name) for name in _parameter_names(type(module).__name__) if _is_plain(getattr(module, name, None))}
    if isinstance(module, torch().nn.PReLU):
        slopes = module.weight
        values = [0.25] if slopes.is_meta else slopes.detach().double().cpu().unique().tolist()  # 0.25: torch's default
        slope = values[0] if len(values) == 1 else math.sqrt(math.fsum(float(a) ** 2 for a in slopes.detach().double()) / slopes.numel())
        return find_activation("prelu", init=slope)
    return from_function(module, type(module).__name__, given)


def from_function(function: Callable[..., Any], name: str, given: Mapping[str, Any], shown: str | None = None) -> Activation:
    """The activation of a function of tensors: the catalogue's of that name if its values agree."""
    entry = find(name)
    if entry is not None:
        known = {parameter.name for parameter in entry.parameters}
        try:
            named = find_activation(name, **{key: value for key, value in given.items() if key in known})
            if _agrees(named, function):
                return named
        except MeanFieldError:
            pass
    found = find_activation(function) if shown is None else find_activation(function, name=shown)
    if found.narrowest and not np.any(found.values(np.linspace(-3.0, 3.0, 61), 0)):
        found.narrowest = 0.0  # a product with a gate of 0, for certain, and no feature that was missed
    return found


def given_activation(spec: Any) -> Activation:
    """The activation that a user names: anything `meanfield.activation` accepts, torch modules and their classes included."""
    t = torch()
    if isinstance(spec, type) and issubclass(spec, t.nn.Module):
        try:
            spec = spec()
        except TypeError as error:
            raise ActivationError(f"{spec.__name__} can't be made without arguments ({error}): pass an instance") from error
    if isinstance(spec, t.nn.Identity):
        return find_activation("linear")
    if isinstance(spec, t.nn.Module):
        return from_module(spec)
    name = getattr(spec, "__name__", None)
    if callable(spec) and isinstance(name, str) and find(name.rstrip("_")) is not None:
        return from_function(spec, name.rstrip("_"), {})
    return find_activation(spec)


def _agrees(named: Activation, function: Callable[..., Any]) -> bool:
    t = torch()
    if isinstance(function, t.nn.Module):
        function = copy.deepcopy(function).cpu().double().eval()
    with t.no_grad():
        try:
            values = function(t.from_numpy(POINTS.copy()))
        except Exception:  # whatever a user's function may raise
            return False
    expected = named(POINTS)
    got = values.detach().double().cpu().numpy() if isinstance(values, t.Tensor) else np.asarray(values, dtype=np.float64)
    return got.shape == expected.shape and bool(np.all(np.abs(got - expected) <= AGREE * (np.abs(expected) + 1e-3)))


def _parameter_names(name: str) -> list[str]:
    entry = find(name)
    return [] if entry is None else [parameter.name for parameter in entry.parameters]


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)
