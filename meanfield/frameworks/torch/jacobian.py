"""The Jacobians of a real model, layer by layer and as a whole, beside their law at infinite width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError, MeanFieldError
from meanfield.frameworks.torch.installed import torch as import_torch
from meanfield.result import Result, left_out, shortened

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum

MOST_ROWS = 24  # of the table that a person is shown; `to_frame` has all
_NODES = 200  # of the quantile function, for the mean singular value of a law


@dataclass(frozen=True, eq=False, repr=False)
class LayerJacobian(Result):
    """∂h^(l+1)/∂h^l of one layer, from its pre-activations to the next one's, averaged over inputs.

    Attributes
    ----------
    name : str
        The weight layer, by its place in the model.
    activation : str
        What lies before it.
    sigma_w : float
        Standard deviation of its weights times √fan_in (σ, not σ²).
    q : float
        Mean square of the pre-activations h^l.
    singular_values : ndarray of shape (inputs, k)
        Descending, for each input.
    predicted : JacobianSpectrum or None
        The law at infinite width of independent weights with this σ_w; None where the layer is not square or the activation has none.
    """

    name: str
    activation: str
    sigma_w: float
    q: float
    singular_values: Array
    predicted: JacobianSpectrum | None

    @property
    def mean(self) -> float:
        """The mean singular value, what Glorot and Bengio (2010) follow through training."""
        return float(np.mean(self.singular_values))

    @property
    def predicted_mean(self) -> float:
        """The same of the law; nan where there is none."""
        if self.predicted is None:
            return math.nan
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        angle = 0.25 * math.pi * (1.0 + nodes)  # p = sin² angle: the quantile function is steep at both ends
        values = np.asarray(self.predicted.quantile(np.sin(angle) ** 2))
        return float(np.sum(0.25 * math.pi * weights * np.sin(2.0 * angle) * values))


@dataclass(frozen=True, eq=False, repr=False)
class ModelJacobian(Result):
    """The Jacobian of a model at some inputs.

    Attributes
    ----------
    singular_values : ndarray of shape (inputs, k)
        Of ∂output/∂input, descending, for each input.
    layers : tuple of LayerJacobian
        One for each weight layer but the first.
    """

    singular_values: Array
    layers: tuple[LayerJacobian, ...]

    def _columns(self) -> dict[str, Any]:
        given = {name: [getattr(layer, name) for layer in self.layers] for name in ("name", "activation", "sigma_w", "q", "mean")}
        largest = [float(np.mean(layer.singular_values[:, 0])) for layer in self.layers]
        edges = [math.nan if layer.predicted is None else layer.predicted.edges[1] for layer in self.layers]
        means = [layer.predicted_mean for layer in self.layers]
        return given | {"predicted_mean": means, "largest": largest, "predicted_largest": edges}

    def __str__(self) -> str:
        rows = []
        for layer in self.layers:
            edge = math.nan if layer.predicted is None else layer.predicted.edges[1]
            largest = float(np.mean(layer.singular_values[:, 0]))
            numbers = (layer.mean, layer.predicted_mean, largest, edge)
            names = f"{shortened(layer.name, 14):<14} {shortened(layer.activation, 10):<10}"
            rows.append(f"{names} {layer.sigma_w:>8.4f} {layer.q:>8.4g}" + "".join(f" {v:>8.4f}" for v in numbers))
        s = self.singular_values
        mean, largest, smallest = (float(np.mean(part)) for part in (s, s[:, 0], s[:, -1]))
        heads = f"{'layer':<14} {'activation':<10} {'sigma_w':>8} {'q':>8} {'mean s':>8} {'law':>8} {'largest':>8} {'law':>8}"
        lines = [heads, *left_out(rows, MOST_ROWS)]
        lines.append(f"input to output: mean {mean:.4g}, largest {largest:.4g}, smallest {smallest:.4g}")
        return "\n".join(lines)


def jacobian(model: Any, x: Any) -> ModelJacobian:
    """The singular values of a model's Jacobians, measured by automatic differentiation, beside their law.

    Parameters
    ----------
    model : torch.nn.Sequential
        Of `Linear` layers with activations between them; nested ones, `Flatten`, `Identity` and dropout (left out) may be among them.
    x : tensor of shape (d,) or (B, d)
        Inputs; each takes its own Jacobians, of which the layers' laws know the mean q.

    Returns
    -------
    ModelJacobian
        singular_values of the whole, and .layers, each measured and predicted; str() is a table.

    Raises
    ------
    DomainError
        If the model is something else, or has fewer than two `Linear` layers.

    References
    ----------
    Glorot, Bengio (2010), section 4: mean singular values of tanh layers about 0.5 at 1/√n-uniform weights and 0.8 at normalised ones.

    Examples
    --------
    >>> import torch
    >>> from meanfield.frameworks.torch import init_, jacobian
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(300, 300), torch.nn.Tanh(), torch.nn.Linear(300, 300))
    >>> layer = jacobian(model, torch.randn(300)).layers[0]
    >>> abs(layer.mean - layer.predicted_mean) < 0.02
    True
    """
    torch = import_torch()
    idle = (torch.nn.Identity, torch.nn.modules.dropout._DropoutNd)
    parts = [(name, part) for name, part in _flattened(model, torch) if not isinstance(part, idle)]
    linear = [i for i, (_, part) in enumerate(parts) if isinstance(part, torch.nn.Linear)]
    if len(linear) < 2:
        raise DomainError("model has fewer than two Linear layers: there is no Jacobian from one's pre-activations to the next one's")
    if not isinstance(x, torch.Tensor) or x.ndim not in (1, 2):
        raise DomainError("x must be a tensor of shape (d,) or (B, d)")
    batch = (x if x.ndim == 2 else x[None]).detach()
    whole: list[Array] = []
    inner: list[list[Array]] = [[] for _ in linear[1:]]
    squares: list[list[float]] = [[] for _ in linear[1:]]
    for one in batch:
        here = before = one
        for position, (_, part) in enumerate(parts):
            if position in linear[1:]:
                k = linear.index(position) - 1
                stretch = [p for _, p in parts[linear[k] + 1 : position + 1]]
                inner[k].append(_singular_values(torch, stretch, before))
                squares[k].append(float(torch.mean(before.double() ** 2)))
            with torch.no_grad():
                here = part(here[None])[0] if isinstance(part, torch.nn.Flatten) else part(here)
            if position in linear:
                before = here
        whole.append(_singular_values(torch, [p for _, p in parts], one))
    layers = []
    for k, position in enumerate(linear[1:]):
        name, part = parts[position]
        weight = part.weight.detach().double().cpu().numpy()
        sigma_w = math.sqrt(float(np.mean(np.square(weight))) * weight.shape[1])
        between = [p for _, p in parts[linear[k] + 1 : position]]
        q = float(np.mean(squares[k]))
        label = " ".join(type(p).__name__ for p in between) or "linear"
        law = _law(between, sigma_w, q) if weight.shape[0] == weight.shape[1] and q > 0.0 and sigma_w > 0.0 else None
        layers.append(LayerJacobian(name, label, sigma_w, q, np.array(inner[k]), law))
    return ModelJacobian(np.array(whole), tuple(layers))


def _flattened(model: Any, torch: Any, path: str = "") -> list[tuple[str, Any]]:
    if not isinstance(model, torch.nn.Sequential):
        raise DomainError(f"model must be a torch.nn.Sequential, not {type(model).__name__}")
    parts: list[tuple[str, Any]] = []
    for name, part in model.named_children():
        place = f"{path}{name}"
        parts += _flattened(part, torch, f"{place}.") if isinstance(part, torch.nn.Sequential) else [(place, part)]
    return parts


def _singular_values(torch: Any, stretch: list[Any], at: Any) -> Array:
    """Of the Jacobian of some modules in a row at one input, in double precision."""

    def through(value: Any) -> Any:
        value = value[None]
        for part in stretch:
            value = part(value)
        return value[0]

    matrix = torch.autograd.functional.jacobian(through, at, vectorize=True)
    values: Array = torch.linalg.svdvals(matrix.reshape(matrix.shape[0], -1).detach().double().cpu()).numpy()
    return values


def _law(between: list[Any], sigma_w: float, q: float) -> JacobianSpectrum | None:
    from meanfield.theory.spectrum.jacobian import jacobian_spectrum

    if len(between) > 1:
        return None
    try:
        return jacobian_spectrum(between[0] if between else "linear", sigma_w, 0.0, 1, "gaussian", q)
    except MeanFieldError:
        return None
