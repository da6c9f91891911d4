"""What any layer does to ε at one variance, as the tables of a recursion: a turn of a long repetition then costs nanoseconds."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.layers.layer import MisplacedLayer
from meanfield.layers.state import State
from meanfield.solve.angle_recursion import AngleRecursion

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.layers.layer import Layer

TRUE_TO = 2e-11  # relative error of a table, against the layer itself, that is accepted
SCALES = (1.0, 16.0, 256.0, 65536.0)  # how much finer than √q the map may change near ε = 0
HELD = 16
SMALL = (1e-9, 1e-12)  # two ε whose ratios tell how ε' starts

_kept: dict[tuple[Layer, float], LayerRecursion | None] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class LayerRecursion:
    """ε' = loss + table(ε) of a layer at one variance.

    Attributes
    ----------
    table : AngleRecursion
    loss : float
        ε' at ε = 0: what independent masks take from two runs of one input.
    variance : float
        q' behind the layer.
    """

    table: AngleRecursion
    loss: float
    variance: float


@dataclass(frozen=True)
class _Profile:
    """Stands in for an angle profile: `decorrelation` is ε' less its value at ε = 0."""

    layer: Layer
    q: float
    loss: float
    jumping: bool
    at_zero: float

    def decorrelation(self, theta: Array) -> Array:
        flat = np.ravel(theta)
        behind = self.layer.apply(State.of(self.q, self.q, 2.0 * np.sin(0.5 * flat) ** 2)).state
        result: Array = (behind.epsilon - self.loss).reshape(theta.shape)
        return result


def layer_recursion(layer: Layer, q: float) -> LayerRecursion | None:
    """The tables at a variance; None where no short series follows the map. The last few are kept."""
    key = (layer, q)
    with _lock:
        if key in _kept:
            return _kept[key]
    try:
        made = _fitted(layer, q)
    except MisplacedLayer:  # it doesn't take every correlation, or tells no tangent
        made = None
    with _lock:
        while len(_kept) >= HELD:
            _kept.pop(next(iter(_kept)))
        _kept[key] = made
    return made


def _fitted(layer: Layer, q: float) -> LayerRecursion | None:
    try:
        start = layer.apply(State.of(q, q, np.zeros(1))).state
    except MisplacedLayer:  # a batch of equal inputs: 0/0
        return None
    loss, variance = float(start.epsilon[0]), float(np.ravel(start.q1)[0])
    near = layer.apply(State.of(q, q, np.array(SMALL))).state.epsilon - loss
    ratios = near / np.array(SMALL)
    jumping = False
    if loss == 0.0:
        power = math.log(ratios[1] / ratios[0]) / math.log(SMALL[0] / SMALL[1]) if ratios.min() > 0.0 else 0.0
        if abs(power - 0.5) < 0.01:
            jumping = True
        elif power > 0.01:
            return None  # φ' has a pole, or φ jumps behind another jump
    if jumping:
        at_zero = float(near[1] / math.sqrt(0.5 * SMALL[1]))
    else:
        at_zero = float(layer.apply(State.of(q, q, np.zeros(1), np.ones(1))).state.whole.slope[0]) * q / variance
        if not math.isfinite(at_zero):
            return None
    profile = _Profile(layer, q, loss, jumping, at_zero)
    x = np.concatenate([np.geomspace(1e-5, math.sqrt(0.5), 24) * 0.993, np.sqrt(1.0 - np.geomspace(1e-4, 0.49, 8))])
    exact = profile.decorrelation(2.0 * np.arcsin(x))
    for scale in SCALES:
        table = AngleRecursion.of(profile, 1.0, scale * (q + 1.0))
        if np.all(np.abs(_looked_up(table, x) - exact) <= TRUE_TO * exact + 1e-15):
            return LayerRecursion(table, loss, variance)
    return None


def _looked_up(table: AngleRecursion, x: Array) -> Array:
    from meanfield.solve.angle_recursion_kernels import step

    after = [step(float(v), table.base, table.exponent, table.profile.jumping, table.steps, table.far) for v in x]
    return 2.0 * np.square(after)
