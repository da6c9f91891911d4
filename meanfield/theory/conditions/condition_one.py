"""Condition (i): φ(0) = 0, one-sided slopes at 0 that are not both 0, and |φ(x)/x| ≤ K."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import MeanFieldError
from meanfield.theory.conditions.at_zero import at_zero
from meanfield.theory.conditions.condition import Condition, all_of, weakest
from meanfield.theory.conditions.structure import ratio_bound

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array
    from meanfield.theory.conditions.samples import Samples
    from meanfield.theory.conditions.structure import Shape

STATEMENT = "φ(0) = 0; φ'(0+) and φ'(0−) exist and are not both 0; |φ(x)/x| ≤ K for some K"
GROWING = 1.02  # sup|φ/x| that grows by more than this when |x| is squared, far out, has no bound
SETTLED = 1e-9  # growth up to this is none
NEAR_ZERO = 1e-12  # a slope below this, relative to φ on [−1, 1], is only 0 if it is exactly 0


@dataclass(frozen=True)
class Ratio:
    """sup|φ(x)/x|: its value, where it is attained ("0+", "-inf" … for limits), and whether it is finite."""

    bounded: bool | None
    value: float
    at: float | str
    proof: str
    reason: str
    shown: str = "numerical"  # that the value is the supremum, not only the largest of the samples
    bound: float = math.inf  # that the formula shows


def condition_one(act: Activation, seen: Samples, shape: Shape | None) -> Condition:
    """The verdict on (i)."""
    zero = at_zero(act)
    right, left = slopes_at_zero(act)
    slopes, slope_reason = _slopes_verdict(act, right, left)
    ratio = _ratio(act, seen, shape, zero.vanishes, right, left)
    holds = all_of((zero.vanishes, slopes, ratio.bounded))
    evidence: dict[str, Any] = {
        "phi(0)": zero.value,
        "phi(0)_is_zero": zero.vanishes,
        "slope_right": right,
        "slope_left": left,
        "slopes_not_both_zero": slopes,
        "K": ratio.value,
        "K_at": ratio.at,
        "K_proof": ratio.shown,
        "K_bound": ratio.bound,
        "ratio_bounded": ratio.bounded,
    }
    failures: list[tuple[str, Any]] = []
    if zero.vanishes is False:
        failures.append((zero.reason, zero.value))
    if slopes is False:
        failures.append((slope_reason, 0.0))
    if ratio.bounded is False:
        failures.append((ratio.reason, ratio.at))
    if failures:
        evidence["failures"] = tuple(reason for reason, _ in failures)
        proof = "symbolic" if zero.vanishes is False and zero.proof == "symbolic" else "numerical"
        return Condition("i", STATEMENT, False, proof, evidence, failures[0][1], "; ".join(reason for reason, _ in failures))
    undecided = [r for r, v in ((zero.reason, zero.vanishes), (slope_reason, slopes), (ratio.reason, ratio.bounded)) if v is None]
    if undecided:
        return Condition("i", STATEMENT, None, "numerical", evidence, None, "; ".join(undecided))
    proof = weakest((zero.proof, ratio.proof))
    return Condition("i", STATEMENT, holds, proof, evidence, None, f"{zero.reason}; {slope_reason}; {ratio.reason}")


def slopes_at_zero(act: Activation) -> tuple[float, float]:
    """φ'(0+) and φ'(0−); nan where there is none."""
    found = []
    for side in (1, -1):
        try:
            found.append(act.one_sided(0.0, side, 1))
        except MeanFieldError:
            found.append(math.nan)
    return found[0], found[1]


def _slopes_verdict(act: Activation, right: float, left: float) -> tuple[bool | None, str]:
    if not (math.isfinite(right) and math.isfinite(left)):
        return False, f"the one-sided slopes at 0 are {left:.6g} and {right:.6g}, not both finite"
    text = f"φ'(0−) = {left:.6g}, φ'(0+) = {right:.6g}"
    if right == 0.0 and left == 0.0:
        return False, "both one-sided slopes at 0 are 0"
    try:
        size = float(np.max(np.abs(act.values(np.array([-1.0, -0.5, 0.5, 1.0]), 0))))
    except MeanFieldError:
        size = 1.0
    # Slopes of a formula are exact to rounding; those of a black box have the noise of a difference.
    if not act.has_formula and max(abs(right), abs(left)) <= max(NEAR_ZERO, 1e5 * act.relative_noise) * size:
        return None, f"{text}: can't be told from 0"
    return True, text


def _ratio(act: Activation, seen: Samples, shape: Shape | None, vanishes: bool | None, right: float, left: float) -> Ratio:
    pole = next((b.location for b in act.breakpoints if math.isinf(b.value_jump)), None)
    if pole is not None:
        return Ratio(False, math.inf, pole, "analytic", f"|φ(x)/x| has no bound: φ has a pole at x = {pole:.6g}")
    at_both = [abs(_one_sided(act, side)) for side in (1, -1)]
    if max(at_both) > 0.0 and (vanishes is False or any(b.location == 0.0 and b.value_jump for b in act.breakpoints)):
        side = "0+" if at_both[0] >= at_both[1] else "0-"
        return Ratio(False, math.inf, side, "analytic", f"|φ(x)/x| has no bound: φ({side[0]}{'+' if side == '0+' else '−'}) is not 0")
    if not (math.isfinite(right) and math.isfinite(left)):
        return Ratio(False, math.inf, 0.0, "analytic", "|φ(x)/x| has no bound as x → 0")
    if seen.x.size == 0:
        return Ratio(None, math.nan, math.nan, "numerical", f"φ can't be sampled: {seen.undefined}")
    with np.errstate(over="ignore", invalid="ignore"):
        ratios = {1.0: np.abs(seen.right) / seen.x, -1.0: np.abs(seen.left) / seen.x}
    if not act.has_formula:  # so near 0 the ratio is the rounding of φ; the limit there is the slope
        scale = max(float(np.max(np.abs(v[seen.x <= 1.0]), initial=0.0)) for v in (seen.right, seen.left))
        near = seen.x < act.relative_noise * scale / SETTLED
        for values in ratios.values():
            values[near] = 0.0
    largest, end = max((abs(right), "0+"), (abs(left), "0-"), key=lambda pair: pair[0])
    at: float | str = end
    for sign, values in ratios.items():
        i = int(np.argmax(values))
        if values[i] > largest * (1 + 1e-12):
            largest, at = float(values[i]), sign * float(seen.x[i])
    proven = shape is not None and shape.growth <= 1.0 and shape.growth < math.inf
    grows, tail_reason = (False, "") if proven else _tail(seen, ratios)
    if grows or math.isinf(largest):
        far: float | str = at if isinstance(at, str) else ("inf" if at > 0 else "-inf")
        return Ratio(False, math.inf, far, "numerical", f"|φ(x)/x| has no bound as x → {'∞' if far == 'inf' else '−∞'}{tail_reason}")
    if isinstance(at, float):
        largest, at = _sharpened(act, seen, at, largest)
    place = f"at x = {at:.6g}" if isinstance(at, float) else f"as x → {at.replace('inf', '∞')}"
    bound = ratio_bound(act)
    exact = bound <= largest * (1 + SETTLED)
    found = f"sup|φ(x)/x| = {largest:.6g}, {place}" if exact else f"|φ(x)/x| ≤ {largest:.6g} at all samples, largest {place}"
    if not exact and bound < math.inf:
        found += f"; its formula shows that it is at most {bound:.6g}"
    if grows is None or (seen.undefined and not proven):
        return Ratio(None, largest, at, "numerical", f"{found} as far as was looked; {tail_reason or seen.undefined}")
    proven = proven or bound < math.inf
    return Ratio(True, largest, at, "symbolic" if proven else "numerical", found, "symbolic" if exact else "numerical", bound)


def _one_sided(act: Activation, side: int) -> float:
    try:
        return act.one_sided(0.0, side, 0)
    except MeanFieldError:
        return math.nan


def _tail(seen: Samples, ratios: dict[float, Array]) -> tuple[bool | None, str]:
    """Whether |φ/x| still grows far out: its largest values on |x| up to X^½ and up to X are compared."""
    top = float(seen.x[-1])
    if top < 2.0**40:
        grown = any(not math.isfinite(float(np.max(v))) for v in ratios.values())
        return (True, "") if grown else (None, f"φ could be looked at up to |x| = {top:.3g} only")
    for side, values in ratios.items():
        if not np.isfinite(values).all():
            x = float(seen.x[int(np.argmax(~np.isfinite(values)))])
            return True, f": φ({side * x:.3g}) overflows"
        half = float(np.max(values[seen.x <= math.sqrt(top)], initial=0.0))
        whole = float(np.max(values))
        if whole > GROWING * half:
            return True, f": it grows from {half:.3g} at |x| ≤ {math.sqrt(top):.1g} to {whole:.3g} at |x| ≤ {top:.1g}"
        if whole > (1 + SETTLED) * half:
            return None, f"it still grows at |x| = {top:.1g}, by {whole / half - 1:.1g}"
    return False, ""


def _sharpened(act: Activation, seen: Samples, at: float, largest: float) -> tuple[float, float | str]:
    """The largest value between the neighbours of a sample by golden section; "inf" where it is approached far out."""
    i = int(np.searchsorted(seen.x, abs(at)))
    side = math.copysign(1.0, at)
    values = np.abs(seen.right if side > 0 else seen.left) / seen.x
    far = values[seen.x >= 2.0**60]
    if i >= seen.x.size - 1 or (far.size and float(far.min()) >= largest * (1 - 1e-13)):
        return float(values[-1]), "inf" if side > 0 else "-inf"
    near = values[seen.x <= 2.0**-40]
    if near.size and float(near.min()) >= largest * (1 - 1e-13):
        return largest, "0+" if side > 0 else "0-"
    low, high = float(seen.x[max(i - 1, 0)]), float(seen.x[min(i + 1, seen.x.size - 1)])
    for _ in range(6):
        x = np.linspace(low, high, 33)
        ratio = np.abs(act.values(np.ascontiguousarray(side * x), 0)) / x
        k = int(np.argmax(ratio))
        low, high = float(x[max(k - 1, 0)]), float(x[min(k + 1, 32)])
        if ratio[k] >= largest:
            largest, at = float(ratio[k]), side * float(x[k])
    return largest, at
