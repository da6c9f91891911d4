"""The law of one unit of a signal: sums of independent parts, their means, dropout."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import AccuracyWarning
from meanfield.expectation.estimate import expectation
from meanfield.expectation.second_moment import second_moment
from meanfield.frameworks.equality import POINTS

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array

SMALLEST, LARGEST = 1e-250, 1e250
DRAWS = 2**14  # of one unit, where its law is neither Gaussian nor a function of a Gaussian
ALPHA = -1.7580993408473766  # SELU's limit, to which alpha dropout sets what it drops


@dataclass(frozen=True, eq=False)
class Part:
    """A random number, independent of all other parts: a layer's output, an activation of it, the noise of a dropout."""

    mean: float
    variance: float
    gaussian: bool
    draw: Callable[[], Array] = field(repr=False)

    @cached_property
    def drawn(self) -> Array:
        """Draws of it, one per draw of every other part."""
        return self.draw()


@dataclass(frozen=True)
class Signal:
    """A step's result in training mode: Σ coefficient · part.

    Attributes
    ----------
    parts : dict from Part to float
    clean : float
        Its mean square if the dropouts since the last weight layer were off.
    activation : Activation or None
        The one it comes from.
    start : bool
        Whether the scale comes from data or a normalisation, not from a layer.
    notes : tuple of str
    kept, before : float
        Behind dropouts of a Gaussian: the probability that a unit is left, and the variance before.
    """

    parts: dict[Part, float]
    clean: float
    activation: Activation | None = None
    start: bool = False
    notes: tuple[str, ...] = ()
    kept: float = 1.0
    before: float = math.nan

    @property
    def mean(self) -> float:
        """E[x] over units."""
        return _finite_sum(c * part.mean for part, c in self.parts.items())

    @property
    def mean_square(self) -> float:
        """E[x²] over units: the square of the mean, and the variances of the parts."""
        return bounded(self.mean**2 + _finite_sum(c * c * part.variance for part, c in self.parts.items()))

    @property
    def gaussian(self) -> bool:
        """Whether a unit is Gaussian with mean 0."""
        return all(part.gaussian for part, c in self.parts.items() if c != 0.0) and self.mean == 0.0

    def drawn(self) -> Array:
        """Draws of one unit."""
        total = np.zeros(DRAWS)
        for part, c in self.parts.items():
            total += c * part.drawn
        return total


class Laws:
    """Makes signals out of signals; a given order of questions has the same draws in every run."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._moments: dict[tuple[int, float], tuple[float, float]] = {}
        self._slopes: dict[int, float | None] = {}
        self._kept: list[Any] = []  # activations known by id

    def gaussian(self, variance: float, **about: Any) -> Signal:
        """A Gaussian of mean 0 that nothing else depends on."""
        seed = int(self._rng.integers(2**63))

        def draw() -> Array:
            z = np.random.default_rng(seed).standard_normal(DRAWS)
            z -= z.mean()
            drawn: Array = z * math.sqrt(min(variance, LARGEST) / float(np.mean(z * z)))
            return drawn

        return Signal({Part(0.0, variance, True, draw): 1.0}, variance, **about)

    def summed(self, signals: Sequence[Signal], coefficients: Sequence[float]) -> Signal:
        """Σ coefficient · signal: variances of different parts add, coefficients of the same part, and means."""
        parts: dict[Part, float] = {}
        for signal, coefficient in zip(signals, coefficients, strict=True):
            for part, c in signal.parts.items():
                parts[part] = parts.get(part, 0.0) + coefficient * c
        # E[x²] of a stream x + φ is E[φ²] of nothing: as behind no activation.
        act = signals[0].activation
        if any(signal.activation is not act for signal in signals):
            act = None
        total = Signal(parts, math.nan, act, all(signal.start for signal in signals))
        noise = math.fsum(
            c * c * (s.mean_square - s.clean)
            for s, c in zip(signals, coefficients, strict=True)
            if s.mean_square < math.inf and s.clean < math.inf
        )
        return replace(total, clean=bounded(max(total.mean_square - noise, 0.0)))

    def joined(self, signals: Sequence[Signal], shares: Sequence[float]) -> Signal:
        """Units side by side: each of the signals is a share of them."""
        mean = math.fsum(share * s.mean for s, share in zip(signals, shares, strict=True))
        square = math.fsum(share * s.mean_square for s, share in zip(signals, shares, strict=True))
        clean = math.fsum(share * s.clean for s, share in zip(signals, shares, strict=True))
        label = np.random.default_rng(int(self._rng.integers(2**63))).choice(len(signals), DRAWS, p=np.asarray(shares) / math.fsum(shares))

        def draw() -> Array:
            return np.choose(label, [signal.drawn() for signal in signals])

        same = all(s.gaussian for s in signals) and all(math.isclose(s.mean_square, square, rel_tol=1e-12) for s in signals)
        part = Part(mean, bounded(max(square - mean * mean, 0.0)), same, draw)
        act = next((signal.activation for signal in signals if signal.activation is not None), None)
        return Signal({part: 1.0}, bounded(clean), act, all(signal.start for signal in signals))

    def other_units(self, signal: Signal) -> Signal:
        """The same law on other units, as halves of a layer have it: independent."""
        seed = int(self._rng.integers(2**63))

        def draw() -> Array:
            drawn: Array = np.random.default_rng(seed).permutation(signal.drawn())
            return drawn

        part = Part(signal.mean, bounded(max(signal.mean_square - signal.mean**2, 0.0)), signal.gaussian, draw)
        return replace(signal, parts={part: 1.0})

    def dropped(self, signal: Signal, rate: float) -> Signal:
        """x · mask/(1 − rate) = x + noise, noise uncorrelated with x: E[x²] → E[x²]/(1 − rate), the mean stays."""
        keep = 1.0 - rate
        noise = self._noise(signal, signal.mean_square * rate / keep, lambda x, mask: x * (mask / keep - 1.0), keep)
        before = signal.mean_square if signal.gaussian else signal.before
        return replace(signal, parts={**signal.parts, noise: 1.0}, kept=signal.kept * keep, before=before)

    def alpha_dropped(self, signal: Signal, rate: float) -> Signal:
        """Alpha dropout [Klambauer et al. 2017]: a (x · mask + α'(1 − mask)) + b, which keeps mean 0 and variance 1."""
        keep = 1.0 - rate
        a = 1.0 / math.sqrt(keep * (1.0 + rate * ALPHA**2))
        b = -a * rate * ALPHA
        m, square = signal.mean, signal.mean_square
        # E[x'] = a keep m; E[x'²] = a² keep (E[x²] + rate α'²) + 2 a b keep m.
        total = a * a * keep * (square + rate * ALPHA**2) + 2.0 * a * b * keep * m
        # It was made for SELU, whose E[φ] = 0 and E[φ²] = 1 at q = 1 it keeps: no σ_w is to make up for it there.
        act = signal.activation
        kept = act is not None and math.dist(self.moments(act, 1.0), (0.0, 1.0)) < 1e-3
        variance = max(total - (a * keep) ** 2 * square, 0.0)
        noise = self._noise(signal, variance, lambda x, mask: a * (x * mask + ALPHA * (1.0 - mask)) + b - a * keep * x, keep)
        parts = {**{part: a * keep * c for part, c in signal.parts.items()}, noise: 1.0}
        return replace(signal, parts=parts, before=math.nan, clean=bounded(total) if kept else signal.clean)

    def _noise(self, signal: Signal, variance: float, formula: Callable[[Array, Array], Array], keep: float) -> Part:
        seed = int(self._rng.integers(2**63))

        def draw() -> Array:
            return formula(signal.drawn(), (np.random.default_rng(seed).random(DRAWS) < keep).astype(np.float64))

        return Part(0.0, bounded(variance), False, draw)

    def normalised(self, signal: Signal) -> Signal:
        """Mean 0 and variance 1."""

        def draw() -> Array:
            x = signal.drawn()
            drawn: Array = (x - x.mean()) / max(float(x.std()), SMALLEST)
            return drawn

        return Signal({Part(0.0, 1.0, signal.gaussian, draw): 1.0}, 1.0, signal.activation, True)

    def activated(self, act: Activation, signal: Signal) -> Signal:
        """φ of a signal: from moments of a Gaussian where it is one, from draws where it is not."""
        slope = self.slope(act)
        if slope is not None:
            parts = {part: slope * c for part, c in signal.parts.items()}
            return replace(signal, parts=parts, clean=bounded(slope * slope * signal.clean), before=slope * slope * signal.before)

        def draw() -> Array:
            return np.asarray(act(signal.drawn()), dtype=np.float64)

        if signal.gaussian:
            mean, square = self.moments(act, signal.mean_square)
            clean = square if signal.clean == signal.mean_square else self.moments(act, signal.clean)[1]
        elif 0.0 < signal.before < math.inf and signal.kept < 1.0:
            # Dropout before φ: h/ρ with probability ρ, else 0.
            zero = float(act(0.0))
            kept, (mean, square) = signal.kept, self.moments(act, signal.before / signal.kept**2)
            mean, square = kept * mean + (1.0 - kept) * zero, kept * square + (1.0 - kept) * zero**2
            clean = self.moments(act, signal.before)[1]
        elif SMALLEST < signal.mean_square < LARGEST:
            y = draw()
            mean, square = float(y.mean()), float(np.mean(y * y))
            ratio = signal.clean / signal.mean_square
            clean = square if ratio == 1.0 else float(np.mean(np.asarray(act(math.sqrt(ratio) * signal.drawn())) ** 2))
        else:
            mean, square = self.moments(act, signal.mean_square)
            clean = square
        return Signal({Part(mean, bounded(max(square - mean * mean, 0.0)), False, draw): 1.0}, bounded(clean), act)

    def moments(self, act: Activation, q: float) -> tuple[float, float]:
        """E[φ] and E[φ²] of a Gaussian of variance q."""
        if not SMALLEST <= q <= LARGEST:
            q = 0.0 if q < 1.0 else LARGEST
        key = (id(act), q)
        if key not in self._moments:
            import warnings

            self._kept.append(act)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AccuracyWarning)  # a mean of 0 has no relative accuracy
                mean = float(expectation(act, q))
            square = bounded(float(second_moment(act, q)))
            self._moments[key] = (mean if abs(mean) > 1e-12 * math.sqrt(square) else 0.0, square)
        return self._moments[key]

    def slope(self, act: Activation) -> float | None:
        """k where φ(x) = k x, else None."""
        if id(act) not in self._slopes:
            self._kept.append(act)
            self._slopes[id(act)] = slope_of(act)
        return self._slopes[id(act)]


def slope_of(act: Activation) -> float | None:
    """k where φ(x) = k x to single precision, else None."""
    ratios = np.asarray(act(POINTS), dtype=np.float64) / POINTS
    k = float(np.median(ratios))
    return k if bool(np.all(np.abs(ratios - k) <= 1e-6 * abs(k))) else None


def bounded(value: float) -> float:
    """0 and inf where the theory's range ends."""
    return value if SMALLEST <= value <= LARGEST else (0.0 if value < 1.0 else math.inf)


def _finite_sum(terms: Any) -> float:
    values = [term for term in terms if term != 0.0]
    return math.fsum(values) if all(map(math.isfinite, values)) else math.inf
