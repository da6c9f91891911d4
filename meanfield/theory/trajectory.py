"""How two inputs travel: variances, correlation and gradient, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.arguments import correlation_argument, variance, within
from meanfield.result import Result, dataset
from meanfield.solve.pair_path import follow

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.theory.plain_field import PlainField

DEEPEST = 10**8


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(Result):
    """Two inputs through `depth` layers. Index 0 is the start; arrays of length depth + 1.

    Attributes
    ----------
    q1, q2 : ndarray
        Variances of the two inputs' pre-activations.
    c : ndarray
        Their correlation.
    epsilon : ndarray
        1 − c; relatively accurate where the variances are equal, to about 1e-15 absolutely where they differ.
    gradient : ndarray
        E|∂E/∂h^l|²/E|∂E/∂h^L|² of the first input, vector norms: Π σ_w² V[φ'](q1_k) for k = l … L−1; 1 at l = L.
    mean1, mean2 : ndarray or None
        Means over the units, where the trajectory is that of a `Network`.
    names : tuple of str
        What lies behind each entry, likewise.
    """

    q1: Array
    q2: Array
    c: Array
    epsilon: Array
    gradient: Array
    mean1: Array | None = None
    mean2: Array | None = None
    names: tuple[str, ...] = ()

    @property
    def depth(self) -> int:
        """L, the number of layers."""
        return int(self.c.size - 1)

    _pictured = True

    def _quantities(self) -> dict[str, Array]:
        names = ("q1", "q2", "c", "epsilon", "gradient", "mean1", "mean2")
        return {name: values for name in names if (values := getattr(self, name)) is not None}

    def _columns(self) -> dict[str, Any]:
        names = {"name": list(self.names)} if self.names else {}
        return {"layer": np.arange(self.depth + 1), **names, **self._quantities()}

    def to_xarray(self) -> Any:
        """The trajectory as an xarray.Dataset: every quantity over the layer.

        Raises
        ------
        MeanFieldError
            If xarray is not installed.
        """
        names = {"name": ("layer", list(self.names))} if self.names else {}
        values = {name: ("layer", values) for name, values in self._quantities().items()}
        return dataset(values, {"layer": np.arange(self.depth + 1), **names}, {})

    def plot(self, ax: Any = None, quantity: str = "epsilon") -> Any:
        """Draw "epsilon", "c", "q1", "q2" or "gradient" by layer: see `meanfield.plot.trajectory`; returns the Axes."""
        from meanfield.plot.trajectory import trajectory as draw

        return draw(self, ax, quantity=quantity)

    def __str__(self) -> str:
        shown = sorted({min(round(10.0 ** (0.5 * k)), self.depth) for k in range(18)} | {0, self.depth})
        lines = [f"{'layer':>9} {'q1':>12} {'q2':>12} {'c':>14} {'1 - c':>12} {'gradient':>12}"]
        lines += [
            f"{i:>9} {self.q1[i]:>12.6g} {self.q2[i]:>12.6g} {self.c[i]:>14.9g} {self.epsilon[i]:>12.6g} {self.gradient[i]:>12.6g}"
            for i in shown
        ]
        return "\n".join(lines)


def checked_depth(depth: Any, least: int = 0) -> int:
    """A number of layers in [least, 1e8]."""
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or not least <= depth <= DEEPEST:
        raise DomainError(f"depth = {depth!r} is out of range: it must be a whole number in [{least}, {DEEPEST}]")
    return int(depth)


def propagate(net: PlainField, depth: int, q: Any, c: float | None, epsilon: float | None, hold_variance: bool) -> Trajectory:
    """See `MeanField.propagate`."""
    layers = checked_depth(depth)
    first, second, loss = started(q, c, epsilon)
    rule = net.rule
    if rule.w == 0.0 and rule.b == 0.0 and rule.a == 0.0 and layers:
        raise DomainError("sigma_w = 0 and sigma_b = 0 leave every layer at 0: no correlation is defined")
    path = follow(rule, layers, first, second, loss, hold_variance)
    correlation = 1.0 - path.epsilon
    if c is not None:
        correlation[0] = float(c)
    return Trajectory(path.q1, path.q2, correlation, path.epsilon, path.gradient)


def started(q: Any, c: float | None, epsilon: float | None) -> tuple[float, float, float]:
    """(q1, q2, ε) at the start."""
    pair = variance("q", q)
    if pair.shape not in ((), (2,)):
        raise DomainError(f"q must be one variance or a pair (q1, q2), not an array of shape {pair.shape}")
    first, second = (float(pair), float(pair)) if pair.ndim == 0 else (float(pair[0]), float(pair[1]))
    if (c is None) == (epsilon is None):
        raise DomainError("give the start as c or as epsilon = 1 − c, one of the two")
    value = correlation_argument("c", c) if epsilon is None else within("epsilon", epsilon, 0.0, 2.0)
    if value.ndim:
        raise DomainError(f"{'c' if epsilon is None else 'epsilon'} must be one number, not an array of shape {value.shape}")
    return first, second, 1.0 - float(value) if epsilon is None else float(value)
