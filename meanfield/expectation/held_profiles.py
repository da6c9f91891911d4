"""Angle profiles that were fitted, kept for the next question about the same network."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from meanfield.activations.kept import Kept
from meanfield.errors import DomainError
from meanfield.expectation.angle_profile import AngleProfile
from meanfield.expectation.angle_ratios import jumps
from meanfield.expectation.correlation_table import correlation_table
from meanfield.expectation.moments import V1, moment_table

if TYPE_CHECKING:
    from meanfield.activations import Activation

HELD = 32  # profiles kept per activation; a fit costs 10⁵ times as much as a look-up
_profiles: Kept[dict[float, AngleProfile]] = Kept("angle profiles")
_has: Kept[bool] = Kept("whether there are angle profiles")
_lock = threading.Lock()


def has_profile(activation: Activation) -> bool:
    """Whether h(θ), or g(θ) where φ jumps, is finite and smooth at θ = 0: not where φ or φ' has a pole.

    Beside |x|^a the ratio falls like θ^(2a − 1) where that is not whole, and no short series follows it.
    """
    if activation not in _has:
        poles = any(math.isinf(point.value_jump) or math.isinf(point.slope_jump) for point in activation.breakpoints)
        _has[activation] = not poles and (jumps(activation) or math.isfinite(moment_table(activation).at(V1, 1.0)))
    return _has[activation]


def angle_profile(activation: Activation, q: float) -> AngleProfile:
    """The profile of D(θ) at one variance, made when first asked for."""
    if not has_profile(activation):
        raise DomainError(f"φ or φ' of {activation.name} has a pole: 1 - f(c) has no short series at c = 1, and can't be followed for ever")
    with _lock:
        held = _profiles.setdefault(activation, {})
        if q in held:
            return held[q]
    made = profile_at(activation, q)
    with _lock:
        while len(held) >= HELD:
            held.pop(next(iter(held)), None)
        held[q] = made
    return made


def profile_at(activation: Activation, q: float) -> AngleProfile:
    """The same, not kept: a row of the correlation table, which costs little more to make than one profile and serves a range of q."""
    row = correlation_table(activation).row(q)
    return AngleProfile.fit(activation, q) if row is None else AngleProfile.of(activation, q, row)


def held_near(activation: Activation, q: float, within: float) -> float:
    """The variance nearest to q, relatively within a distance, whose profile is held; q itself where there is none.

    For a picture: which one is held depends on what was asked before.
    """
    with _lock:
        near = min(_profiles.get(activation, {}), key=lambda held: abs(held - q), default=q)
    return near if abs(near - q) <= within * q else q
