"""The member of a family of activations that suits a depth."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.activations.catalogue.names import find
from meanfield.errors import ActivationError, DomainError, MeanFieldError
from meanfield.expectation.arguments import real_array, within
from meanfield.expectation.moments import V1, V, moment_table
from meanfield.result import Result, paged
from meanfield.solve.angle_recursion import recursion_at
from meanfield.theory.mean_field import MeanField
from meanfield.theory.recommend import checked_layers

if TYPE_CHECKING:
    from collections.abc import Callable

    from meanfield.activations import Activation
    from meanfield.activations.catalogue.entry import Entry

DEEPEST = 10**7
SIZES = np.geomspace(1e-3, 1e2, 16)  # parameters looked at where no range is given, with both signs, and 0
BETWEEN = 25  # in a range that is given
NEUTRAL = 1e-9  # |F' − 1|: ReLU-like members keep any variance
CLOSE = 1e-9  # of c: the same value as the correlation that is asked


@dataclass(frozen=True, eq=False, repr=False)
class Choice(Result):
    """A member of a family, with the point on the edge of chaos at q = 1 that goes with it.

    Attributes
    ----------
    value : float
        Of the parameter.
    sigma_w, sigma_b : float
        Standard deviations with χ₁ = 1 and q = 1.
    variance_slope : float
        F'(1): below 1 variances near 1 return to it.
    stable : bool
        Whether they do.
    status : str
        "attracting", "repelling" or "neutral".
    correlation : float
        f^L(0) as reached.
    parameter : str
    activation : Activation
    others : tuple of Choice
        The other values of the parameter with that correlation, ascending.
    reason : str
        Why this one.
    """

    value: float
    sigma_w: float
    sigma_b: float
    variance_slope: float
    stable: bool
    status: str
    correlation: float
    parameter: str
    activation: Activation
    others: tuple[Choice, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        more = f"\nalso {', '.join(f'{other.value:.9g} ({other.status})' for other in self.others)}" if self.others else ""
        return paged(
            f"{self.parameter} = {self.value:.12g} with sigma_w = {self.sigma_w:.9g}, sigma_b = {self.sigma_b:.9g}: c = 0 goes to "
            f"{self.correlation:.9g}, F'(1) = {self.variance_slope:.6g} ({self.status})\n{self.reason}{more}"
        )


def choose_parameter(
    activation: Any,
    parameter: str,
    depth: int,
    correlation: float = 0.9,
    *,
    between: tuple[float, float] | None = None,
    stable: bool = False,
    **fixed: Any,
) -> Choice:
    """The value of a parameter with which L layers bring two orthogonal inputs to a given correlation, on the edge of chaos at q = 1.

    Parameters
    ----------
    activation : str
        A catalogue name with parameters, or a formula.
    parameter : str
        Which one.
    depth : int
        Number of layers L, in [1, 10⁷].
    correlation : float
        η = f^L(0), in (0, 1).
    between : pair of floats, optional
        Where to look. Otherwise at sizes of 10⁻³ to 100 with both signs, as far as the family allows them.
    stable : bool
        Ask for a point to which variances return (F' < 1).
    **fixed
        The family's other parameters.

    Returns
    -------
    Choice
        value, sigma_w, sigma_b, variance_slope, stable, and the other values that do it. Of several the one nearest to the parameter's
        default (1 in a formula) comes first, nearness counted in factors.

    Raises
    ------
    ActivationError
        If there is no such family, or it has no such parameter.
    DomainError
        If an argument is out of range, or no value was found; the message names the correlations that were.

    Notes
    -----
    σ_w² = 1/V[φ'](1) and σ_b² = 1 − V[φ](1)/V[φ'](1) make q = 1 a fixed point with χ₁ = 1; σ_b² ≥ 0 for every φ with φ(0) = 0. f^L(0) is
    monotone in the slope of a leaky ReLU, not in every parameter: the range is scanned, and every crossing is followed to its root.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.choose_parameter("leaky_relu", "negative_slope", depth=100, between=(0.0, 1.0))
    >>> round(found.value, 10), found.sigma_b, found.status
    (0.5704395311, 0.0, 'neutral')
    """
    layers = checked_layers(depth)
    if layers > DEEPEST:
        raise DomainError(f"depth = {depth!r} is out of range: at most {DEEPEST:.0e} layers are followed here")
    wanted = within("correlation", correlation, 0.0, 1.0)
    if wanted.ndim or not 0.0 < float(wanted) < 1.0:
        raise DomainError(f"correlation = {correlation!r} is out of range: one number strictly between 0 and 1")
    make, start, entry = _family(activation, parameter, fixed)
    target = 1.0 - float(wanted)
    values = _places(between, entry, parameter)

    _one_works(make, values)

    @functools.cache
    def height(value: float) -> float:
        left = _left(make, value, layers)
        return math.log(max(left, 1e-300) / target) if left == left else math.nan

    roots = _roots(height, values)
    choices = [_choice(make, parameter, value, layers) for value in roots]
    choices = [choice for choice in choices if abs(choice.correlation - float(wanted)) < CLOSE]
    if stable:
        choices = [choice for choice in choices if choice.stable]
    if not choices:
        reached = [1.0 - target * math.exp(h) for h in map(height, values) if h == h]
        least, most = (round(end, 12) + 0.0 for end in (min(reached, default=0.0), max(reached, default=0.0)))
        told = f"between {least:.6g} and {most:.6g}" if reached else "nowhere on an edge of chaos at q = 1"
        attracting = " at a point that attracts" if stable else ""
        where = f"{parameter} of {activation} in [{values[0]:g}, {values[-1]:g}]"
        raise DomainError(f"no {where} brings c = 0 to {float(wanted):g} after {layers} layers{attracting}: it comes out {told}")
    order = sorted(choices, key=lambda choice: _distance(choice.value, start))
    best, others = order[0], tuple(sorted(order[1:], key=lambda choice: choice.value))
    reason = f"of {len(order)} values that do it the one nearest to {start:g}" if others else "the only value that does it"
    if best.status == "repelling":
        reason += "; variances leave q = 1, so inputs must come with it"
    return Choice(**{**_fields(best), "others": others, "reason": reason})


def _fields(choice: Choice) -> dict[str, Any]:
    return {name: getattr(choice, name) for name in choice.__dataclass_fields__}


def _family(activation: Any, parameter: str, fixed: dict[str, Any]) -> tuple[Callable[[float], Activation], float, Entry | None]:
    """What makes a member from the parameter's value, where to start, and the catalogue's entry."""
    if not isinstance(activation, str):
        raise ActivationError(f"choose_parameter takes a catalogue name or a formula with a parameter, not {type(activation).__name__}")
    if not isinstance(parameter, str):
        raise DomainError(f"parameter = {parameter!r} must be the name of a parameter")
    entry = find(activation)
    start = 1.0
    if entry is not None:
        known = {each.name: each.default for each in entry.parameters}
        if parameter not in known or not isinstance(known[parameter], float):
            numbers = [name for name, default in known.items() if isinstance(default, float)]
            allowed = f"its parameters are {', '.join(numbers)}" if numbers else "it has none"
            raise ActivationError(f"{entry.name} has no parameter {parameter!r} that is a number: {allowed}")
        start = known[parameter]
        for name in fixed:
            if name not in known:
                raise ActivationError(f"{entry.name} has no parameter {name!r}: it takes {', '.join(known)}")
    if parameter in fixed:
        raise DomainError(f"{parameter} is what is looked for: leave {parameter}={fixed[parameter]!r} out")

    def make(value: float) -> Activation:
        return find_activation(activation, **{**fixed, parameter: value})

    if entry is None:
        make(start)  # a formula without that parameter says so
    return make, start, entry


def _places(between: Any, entry: Entry | None, parameter: str) -> list[float]:
    if between is None:
        places = np.concatenate([-SIZES[::-1], [0.0], SIZES])
    else:
        ends = real_array("between", between)
        if ends.shape != (2,) or not np.isfinite(ends).all() or not ends[0] < ends[1]:
            raise DomainError(f"between = {between!r} must be a pair of finite numbers, the smaller one first")
        places = np.linspace(ends[0], ends[1], BETWEEN)
    if entry is not None:
        accepts = next(each.accepts for each in entry.parameters if each.name == parameter)
        places = np.array([value for value in places if accepts(float(value))])
    if not places.size:
        raise DomainError(f"between = {between!r} holds no value that {parameter} may have")
    return [float(value) for value in places]


def _one_works(make: Callable[[float], Activation], values: list[float]) -> None:
    """Raise what is wrong with the other parameters where no value makes a member."""
    failed: ActivationError | None = None
    for value in values:
        try:
            make(value)
        except ActivationError as error:
            failed = error
        else:
            return
    if failed is not None:
        raise failed


def _left(make: Callable[[float], Activation], value: float, layers: int) -> float:
    """1 − f^L(0) on the edge of chaos at q = 1; nan where there is no such point."""
    try:
        act = make(value)
        table = moment_table(act)
        one = np.ones(1)
        slopes, square = float(table(V1, one)[0]), float(table(V, one)[0])
        if not (0.0 < slopes < math.inf and square <= slopes * (1.0 + 1e-12)):
            return math.nan
        x = recursion_at(act, 1.0, 1.0 / slopes).iterate(math.sqrt(0.5), layers)[-1]
    except (MeanFieldError, ArithmeticError):
        return math.nan
    return float(2.0 * x * x)


def _roots(height: Callable[[float], float], values: list[float]) -> list[float]:
    from scipy.optimize import brentq

    heights = [height(value) for value in values]
    found: list[float] = []
    for a, b, low, high in zip(values, values[1:], heights, heights[1:], strict=False):
        if low == 0.0:
            found.append(a)
        elif low * high < 0.0:
            try:
                found.append(float(brentq(lambda v: _number(height(v)), a, b, xtol=1e-300, rtol=4e-15)))
            except ValueError:  # a hole in the range: the members there have no edge of chaos at q = 1
                continue
    return found


def _number(height: float) -> float:
    if height != height:
        raise ValueError("no edge of chaos")
    return height


def _choice(make: Callable[[float], Activation], parameter: str, value: float, layers: int) -> Choice:
    act = make(value)
    table, one = moment_table(act), np.ones(1)
    slopes, square = float(table(V1, one)[0]), float(table(V, one)[0])
    bias = max(0.0, 1.0 - square / slopes)
    sigma_w, sigma_b = 1.0 / math.sqrt(slopes), 0.0 if bias < 1e-14 else math.sqrt(bias)
    slope = float(MeanField(act, sigma_w, sigma_b).variance_slope(1.0))
    status = "neutral" if abs(slope - 1.0) <= NEUTRAL else "attracting" if slope < 1.0 else "repelling"
    reached = 1.0 - _left(make, value, layers)
    return Choice(value, sigma_w, sigma_b, slope, status == "attracting", status, reached, parameter, act)


def _distance(value: float, start: float) -> float:
    """In factors where the signs agree; values of the other sign come behind."""
    if value * start > 0.0:
        return abs(math.log(value / start))
    return 1e3 + abs(value - start)
