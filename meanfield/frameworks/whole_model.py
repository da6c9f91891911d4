"""What the initialisers of whole models have in common, whatever framework the model is of."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.frameworks.initialisation import LayerInitialisation
from meanfield.frameworks.plan import PlannedLayer, Planner, longest_path
from meanfield.frameworks.zeros import zero_by_design
from meanfield.theory.arguments import one_standard_deviation
from meanfield.theory.trajectory import checked_depth

if TYPE_CHECKING:
    from meanfield.frameworks.architecture import Architecture
    from meanfield.frameworks.following import Followed

METHODS = ("theory", "measure")
MEASURED = "scaled on a batch: theory does not tell E[x²] before it"


@dataclass(frozen=True)
class Wishes:
    """What is asked of a whole model's initialisation, checked.

    Attributes
    ----------
    depth : int or None
        None: the number of layers on the longest way.
    sigma_w, sigma_b : float or None
    input_variance : float
    scale_ends : bool
    method : str
    """

    depth: Any
    sigma_w: float | None
    sigma_b: float | None
    input_variance: float
    scale_ends: bool
    method: str = "theory"

    @classmethod
    def checked(cls, depth: Any, sigma_w: Any, sigma_b: Any, input_variance: Any, scale_ends: Any, method: Any = "theory") -> Wishes:
        """From the arguments of an initialiser.

        Raises
        ------
        DomainError
            If one of them is out of its range.
        """
        weight = None if sigma_w is None else one_standard_deviation("sigma_w", sigma_w)
        bias = None if sigma_b is None else one_standard_deviation("sigma_b", sigma_b)
        variance = checked_input_variance(input_variance)
        if method not in METHODS:
            raise DomainError(f"method = {method!r} is out of range: it must be one of {', '.join(map(repr, METHODS))}")
        return cls(depth, weight, bias, variance, weight is None if scale_ends is None else bool(scale_ends), method)

    def layers(self, found: Followed) -> int:
        """The depth that recommendations are made for."""
        return layer_count(found, self.depth)

    def plan(
        self,
        found: Followed,
        kept: dict[str, float],
        *,
        scale_branches: bool = True,
        any_widths: bool = False,
        fixed: dict[str, float] | None = None,
    ) -> dict[str, PlannedLayer]:
        """σ_w and σ_b of every layer; see `Planner`."""
        depth, stretched = self.layers(found), self.depth is None
        return Planner(
            found,
            depth,
            self.sigma_w,
            self.sigma_b,
            self.input_variance,
            self.scale_ends,
            stretched,
            kept,
            scale_branches,
            any_widths,
            fixed,
        ).plan()

    def to_be_scaled(self, planned: Mapping[str, PlannedLayer], layers: Collection[str]) -> dict[str, float]:
        """The mean square of W x that each layer is to be scaled to on a batch: those of which theory does not tell E[x²], or all."""
        if self.sigma_w is not None:
            return {}
        wanted = ("guess", "theory", "convention") if self.method == "measure" else ("guess",)
        return {
            name: plan.q - plan.sigma_b**2
            for name, plan in planned.items()
            if plan.method in wanted and not plan.standardised and name in layers and 0.0 < plan.q - plan.sigma_b**2 < math.inf
        }

    def scaled(self, planned: dict[str, PlannedLayer], factors: Mapping[str, float]) -> dict[str, PlannedLayer]:
        """The plan after a batch has multiplied σ_w of some layers."""
        result = dict(planned)
        for name, factor in factors.items():
            plan = planned[name]
            said = [part for part in plan.note.split("; ") if part and "taken as unchanged" not in part]
            note = "; ".join([*said, MEASURED if self.method != "measure" else "scaled on a batch"])
            sigma_w, incoming = plan.sigma_w * factor, plan.incoming / factor**2
            result[name] = replace(plan, sigma_w=sigma_w, incoming=incoming, note=note, method="measured")
        return result


def checked_input_variance(value: Any) -> float:
    """A mean square in (0, 1e100]."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 < number <= 1e100:
        raise DomainError(f"input_variance = {value!r} is out of range: the inputs' mean square must lie in (0, 1e100]")
    return number


def layer_count(found: Followed, depth: Any) -> int:
    """The depth that was given, or the longest way through the model."""
    if depth is None:
        return max(longest_path(found.architecture.steps), 1)
    return checked_depth(depth, least=1)


def kept_at_zero(architecture: Architecture, empty: set[str], sigma_b: Callable[[str], float]) -> dict[str, float]:
    """Of the layers whose weights are all 0 those that are so by design, and the σ_b that they have."""
    kept = zero_by_design(architecture, list(architecture.layers), empty).layers if empty else {}
    return {name: sigma_b(name) for name in kept if name in empty}


def row(plan: PlannedLayer, kind: str, shape: tuple[int, ...], fan_in: float) -> LayerInitialisation:
    """The table's row of a planned layer."""
    shown = "" if plan.follows is None else plan.follows.name
    return LayerInitialisation(plan.name, kind, shape, fan_in, shown, plan.sigma_w, plan.sigma_b, plan.q, plan.note, plan.method)


def warn_of_missing_biases(planned: Mapping[str, PlannedLayer], stacklevel: int) -> None:
    """A warning where χ₁ of layers without bias multiplies to more than 100 or less than 1/100."""
    from meanfield.expectation.second_moment import second_moment

    total, names = 0.0, []
    for name, plan in planned.items():
        act = plan.preceded_by
        if "no bias (σ_b" in plan.note and act is not None and plan.q < math.inf:
            chi = plan.sigma_w**2 * float(second_moment(act, max(plan.q, 1e-250), 1))
            if 0.0 < chi < math.inf:
                total += math.log(chi)
                names.append(name)
    if abs(total) > math.log(100.0):
        warnings.warn(
            f"{len(names)} layers without bias ({names[0]}, …) can't be on the edge of chaos: gradients change by a factor of "
            f"{math.exp(max(min(total, 700.0), -700.0)):.2g} over them; give them biases",
            UserWarning,
            stacklevel=stacklevel + 1,
        )
