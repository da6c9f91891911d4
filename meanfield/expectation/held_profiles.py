"""Angle profiles that were fitted, kept for the next question about the same network."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.angle_profile import AngleProfile, jumps
from meanfield.expectation.moments import V1, moment_table

if TYPE_CHECKING:
    from meanfield.activations import Activation

HELD = 32  # profiles kept per activation; a fit costs 10⁵ times as much as a look-up
_profiles: weakref.WeakKeyDictionary[Activation, dict[float, AngleProfile]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def has_profile(activation: Activation) -> bool:
    """Whether h(θ), or g(θ) where φ jumps, is finite at θ = 0: not where φ' has a pole of order ½ or more."""
    return jumps(activation) or bool(np.isfinite(moment_table(activation)(V1, np.ones(1))[0]))


def angle_profile(activation: Activation, q: float) -> AngleProfile:
    """The profile of D(θ) at one variance, fitted when first asked for."""
    if not has_profile(activation):
        raise DomainError(f"φ' of {activation.name} is not square integrable: 1 - f(c) falls slower than 1 - c, and has no short series")
    with _lock:
        held = _profiles.setdefault(activation, {})
        if q in held:
            return held[q]
    made = AngleProfile.fit(activation, q)
    with _lock:
        while len(held) >= HELD:
            held.pop(next(iter(held)), None)
        held[q] = made
    return made
