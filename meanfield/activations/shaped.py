"""φ̂(x) = γ(φ(αx + β) + δ): an activation on other axes, itself an activation."""

from __future__ import annotations

import functools
import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations.activation import Activation, Array
from meanfield.activations.breakpoint import Breakpoint
from meanfield.activations.feature import Feature
from meanfield.result import Result, first_line, html_table, left_out, needed, paged

if TYPE_CHECKING:
    from meanfield.arrays import Mask


_PRINTED = 6  # solutions, of which there may be dozens
_SCALES = ("output_scale", "input_scale", "input_shift", "output_shift")


@dataclass(frozen=True, eq=False, repr=False)
class Shape(Result):
    """One solution: φ̂(x) = output_scale·(φ(input_scale·x + input_shift) + output_shift).

    Attributes
    ----------
    output_scale, input_scale, input_shift, output_shift : float
        γ > 0, α > 0, β, δ.
    residual : float
        The largest departure from a target (see `meanfield.shape_activation`).
    reached : mapping of str to float
        What the solution has where `targets` asks.
    reason : str
        Why it stands where it does among the solutions.
    parameters : mapping
        Parameters of φ that were solved for: the negative slope of a leaky ReLU. Empty else.
    fourth_moment, variance_curvature : float
        E φ̂⁴ and Q''(1): a network of L layers and width N has a variance with the relative spread √(L(E φ̂⁴ − 1)/N) about a mean that is off
        by ¼Q''(1) L²(E φ̂⁴ − 1)/N. nan where one solution is all there is.
    """

    output_scale: float
    input_scale: float
    input_shift: float
    output_shift: float
    residual: float = 0.0
    reached: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    parameters: Mapping[str, float] = field(default_factory=dict)
    fourth_moment: float = math.nan
    variance_curvature: float = math.nan

    def finite_width_error(self, depth: int) -> float:
        """√(E φ̂⁴ − 1 + (¼Q''(1) L(E φ̂⁴ − 1))²): spread and shift of the variance behind as many layers as they are wide."""
        spread = self.fourth_moment - 1.0
        return math.hypot(math.sqrt(spread), 0.25 * self.variance_curvature * depth * spread)

    @property
    def slope(self) -> float:
        """γα, what φ̂' is for φ' = 1."""
        return self.output_scale * self.input_scale

    def _columns(self) -> dict[str, Any]:
        columns = {name: [getattr(self, name)] for name in _SCALES} | {name: [value] for name, value in self.parameters.items()}
        return columns | {"residual": [self.residual], "reason": [self.reason]}

    def __str__(self) -> str:
        values = {name: getattr(self, name) for name in _SCALES} | dict(self.parameters)
        scales = ", ".join(f"{name}\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{value:.12g}" for name, value in values.items())
        text = paged(f"{scales}; residual {self.residual:.1g}" + (f"; {self.reason}" if self.reason else ""), hang=3)
        return text.replace("\N{NO-BREAK SPACE}", " ")


class ShapedActivation(Activation):
    """φ̂(x) = output_scale·(φ(input_scale·x + input_shift) + output_shift), to be used with σ_w = 1, σ_b = 0.

    Made by `meanfield.shape_activation`; an `Activation` like any other.

    Attributes
    ----------
    base : Activation
        φ.
    output_scale, input_scale, input_shift, output_shift : float
    solutions : tuple of Shape
        Every solution found, best first; the first is this one.
    targets : mapping of str to float
        What was asked, by name: Q(1), Q'(1), C(0), C'(1), …
    residual : float
        The largest departure of this solution from a target.
    method : str
        "dks", "tat", "standard" or "scale".
    """

    def __init__(self, base: Activation, solutions: tuple[Shape, ...], targets: Mapping[str, float], method: str, name: str) -> None:
        best = solutions[0]
        self.base = base
        self.output_scale, self.input_scale = best.output_scale, best.input_scale
        self.input_shift, self.output_shift = best.input_shift, best.output_shift
        self.solutions = solutions
        self.targets = MappingProxyType(dict(targets))
        self.residual = best.residual
        self.method = method
        alpha, beta, gamma = self.input_scale, self.input_shift, self.output_scale
        breakpoints = tuple(
            Breakpoint((b.location - beta) / alpha + 0.0, gamma * b.value_jump, gamma * alpha * b.slope_jump) for b in base.breakpoints
        )
        # φ(αx + β) + δ is a difference of two numbers that may be much larger.
        lost = gamma * (abs(float(base(beta))) + abs(self.output_shift))
        super().__init__(name, breakpoints, dict(base.parameters), base.relative_noise * max(1.0, lost))
        self.costly = base.costly
        self.features = tuple(Feature((f.centre - beta) / alpha, f.scale / alpha) for f in base.features)

    @property
    def reached(self) -> Mapping[str, float]:
        """What this solution has where `targets` asks."""
        return self.solutions[0].reached

    @property
    def has_formula(self) -> bool:  # type: ignore[override]
        """Whether `formula` is one, known without SymPy."""
        return self.base.has_formula

    @functools.cached_property
    def formula(self) -> Any:
        """γ(φ(αx + β) + δ) as a SymPy expression in x, or None where φ has none."""
        inner = self.base.formula
        if inner is None:
            return None
        import sympy

        (x,) = inner.free_symbols or {sympy.Symbol("x", real=True)}
        # Seventeen digits, which a double has at most: printed and read again it is the same function.
        gamma, alpha, beta, delta = (
            sympy.Float(repr(value), 17) for value in (self.output_scale, self.input_scale, self.input_shift, self.output_shift)
        )
        return gamma * (inner.subs(x, alpha * x + beta) + delta)

    def _inner(self, x: Array) -> Array:
        result: Array = self.input_scale * x + self.input_shift
        return result

    def _outer(self, y: Array, k: int) -> Array:
        if k == 0:
            return self.output_scale * (y + self.output_shift)
        return self.output_scale * self.input_scale**k * y

    def _raw(self, x: Array, k: int) -> Array:
        return self._outer(self.base.values(self._inner(x), k), k)

    def several(self, x: Array, orders: tuple[int, ...]) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            found = self.base.several(self._inner(x), orders)
            return tuple(self._outer(y, k) for y, k in zip(found, orders, strict=True))

    def hides(self, points: Array) -> Mask:
        return self.base.hides(self._inner(points))

    def noise(self, x: Array, k: int) -> Array:
        return self.output_scale * self.input_scale**k * self.base.noise(self._inner(x), k)

    def _limit(self, x: float, side: int, k: int) -> float:
        index = min(range(len(self.breakpoints)), key=lambda i: abs(self.breakpoints[i].location - x))
        value = self.base.one_sided(self.base.breakpoints[index].location, side, k)
        return float(self._outer(np.array(value), k))

    def __reduce__(self) -> Any:
        return ShapedActivation, (self.base, self.solutions, dict(self.targets), self.method, self.name)

    def __str__(self) -> str:
        lines = [paged(f"{self.name}: x ↦ γ(φ(αx + β) + δ), φ = {self.base.name}, for σ_w = 1, σ_b = 0", hang=2)]
        lines += [f"  {name} = {value:.12g} asked, {self.reached.get(name, math.nan):.12g} reached" for name, value in self.targets.items()]
        lines += left_out([paged(f"{index + 1}. {shape}", hang=3) for index, shape in enumerate(self.solutions)], _PRINTED)
        return "\n".join(lines)

    def _columns(self) -> dict[str, list[Any]]:
        rows = [shape._columns() for shape in self.solutions]
        return {name: [row[name][0] for row in rows] for name in rows[0]}

    def to_frame(self) -> Any:
        """The solutions as a table of pandas, best first.

        Returns
        -------
        pandas.DataFrame
            A row for each solution, a column for each of its scales, shifts and parameters, its residual and the reason for its place.

        Raises
        ------
        MeanFieldError
            If pandas is not installed.
        """
        return needed("pandas", "to_frame()").DataFrame(self._columns())

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x: auto"><strong>{html.escape(first_line(self))}</strong>{html_table(self._columns())}</div>'
