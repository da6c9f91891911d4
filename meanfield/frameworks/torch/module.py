"""An activation as a torch module."""

from __future__ import annotations

from typing import Any

from meanfield.activations.black_box.calling import is_torch
from meanfield.errors import ActivationError
from meanfield.frameworks.torch.installed import torch as torch_installed
from meanfield.frameworks.translation import Operations, Scales, translated


def module(activation: Any) -> Any:
    """The same function as a `torch.nn.Module`: differentiable, scriptable, for any dtype and device.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts, shaped activations above all. Of a torch module or function that module is used.

    Returns
    -------
    torch.nn.Module
        It holds no parameters. A formula becomes a `torch.fx.GraphModule`, which prints as code, is copied, pickled, compiled and scripted.

    Raises
    ------
    ActivationError
        If the activation is a function of NumPy arrays: torch can't differentiate that.
    MeanFieldError
        If torch is not installed.

    Examples
    --------
    >>> import torch
    >>> import meanfield as mf
    >>> from meanfield.frameworks.torch import module
    >>> shaped = mf.shape_activation("gelu", depth=100, method="tat")
    >>> layer = module(shaped)
    >>> x = torch.linspace(-3, 3, 7, dtype=torch.float64)
    >>> bool(torch.allclose(layer(x), torch.from_numpy(shaped(x.numpy())), atol=1e-13))
    True
    """
    torch = torch_installed()
    scales = Scales(activation)
    original = getattr(scales.base, "_original", None)
    if original is not None:
        return _known(_wrapped(torch, scales, original), activation)
    function = scales.around(translated(scales.tree("torch"), _operations(torch)))

    class Formula(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x):  # type: ignore[no-untyped-def]  # annotations would end up in the traced code
            return function(x)

    return _known(torch.fx.symbolic_trace(Formula()), activation)


def _known(made: Any, activation: Any) -> Any:
    """The module, with what it was made of: `init_` and the others need not search its values."""
    if isinstance(made, torch_installed().fx.GraphModule):
        type(made).meanfield_activation = activation  # each has a class of its own, and scripting asks what an instance holds
    return made


def _wrapped(torch: Any, scales: Scales, original: Any) -> Any:
    if isinstance(original, type):
        original = original()
    if not is_torch(original) and not hasattr(scales.base._call, "tensors"):  # type: ignore[attr-defined]
        raise ActivationError(f"{scales.base.name} is a function of NumPy arrays, and torch can't differentiate it: give it as a formula")
    gamma, alpha, beta, delta = scales.output_scale, scales.input_scale, scales.input_shift, scales.output_shift
    if isinstance(original, torch.nn.Module) and (gamma, alpha, beta, delta) == (1.0, 1.0, 0.0, 0.0):
        return original

    class Shaped(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = original

        def forward(self, x):  # type: ignore[no-untyped-def]  # annotations would end up in the traced code
            return gamma * (self.inner(alpha * x + beta) + delta)

    made = Shaped()
    # Traced through where its own code allows that, so that it can be scripted; a module that branches on its data stays as it is.
    try:
        return torch.fx.symbolic_trace(made)
    except Exception:  # whatever tracing a user's code may raise
        return made


def _operations(torch: Any) -> Operations:
    names = (
        *("exp", "expm1", "log", "log1p", "sqrt", "abs", "sign", "sin", "cos", "tan", "sinh", "cosh", "tanh", "erf", "erfc", "sigmoid"),
        *("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "relu", "where", "logical_and", "logical_or", "logical_not"),
    )
    table = {name: getattr(torch, name) for name in names}

    def full_like(x: Any, number: float) -> Any:
        return torch.full_like(x, number)

    def maximum(a: Any, b: Any) -> Any:
        return torch.clamp(a, min=b) if isinstance(b, float) else torch.maximum(a, b)

    def minimum(a: Any, b: Any) -> Any:
        return torch.clamp(a, max=b) if isinstance(b, float) else torch.minimum(a, b)

    def softplus(a: Any) -> Any:  # torch's own is a line from 20 on
        return torch.logaddexp(a, torch.zeros_like(a))

    def heaviside(a: Any) -> Any:
        return torch.where(a > 0, torch.ones_like(a), torch.zeros_like(a))

    return {**table, "full_like": full_like, "maximum": maximum, "minimum": minimum, "softplus": softplus, "heaviside": heaviside}
