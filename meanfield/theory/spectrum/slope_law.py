"""The law of d = φ'(√q Z)², the squared slope of one unit: what a layer's diagonal matrix D brings to the Jacobian.

Stretches where φ' is constant (ReLU, hard tanh) become atoms. Everywhere else φ' is a Legendre series on short panels of Z, on
each of which d is monotone: the kernels can then come as near to the support of d as they like by cutting panels, without asking
the activation again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import legendre

from meanfield.activations.kept import Kept
from meanfield.errors import DomainError
from meanfield.expectation.moments import moment_table
from meanfield.expectation.panels import ORDER, gauss_legendre
from meanfield.layers.limits import slopes as limit_slopes

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Mask

REACH = 9.0  # standard deviations: 2·10⁻¹⁹ of the units lie beyond
FURTHEST = 60.0  # where d grows so fast that its mean lies further out
NEGLIGIBLE = 42.0  # e-folds below the heaviest place of d exp(−z²/2)
STEEPEST = 9.0  # e-folds of the Gaussian on one panel; 16 nodes bear 16
RESOLVED = 2e-14  # the last Legendre coefficients of φ' on a panel, relative to its largest |φ'|
NOISE = 1e-5  # a tail below this that halving a panel does not improve is noise of φ'
RATIO = 64.0  # largest over smallest |φ'| on a panel, so that d keeps its digits where it falls fast
FAINTEST = 1e-9  # of the mass: where φ' vanishes or underflows on less, that is no atom
FAINT = 1e-9  # of the mass: panels lighter than this may hold a zero of φ' of any order
GRADES = 15  # panels towards a simple zero of φ'
FLAT = 1e-15  # relative change of φ' on a panel that counts as none
TOUCHING = 1e-12  # of E d: a least d below it counts as 0
VANISHING = 1e-145  # |φ'| below this, relative to its root mean square, counts as 0: its square is no double any more
DEEPEST = 48  # bisections
MOST = 6000  # panels
LEVELS = 5  # of halving that are tabulated: panel, halves, quarters, …
HALVINGS = (1 << LEVELS) - 1
SQRT_2 = math.sqrt(2.0)
HELD = 32  # laws kept for each activation


@dataclass(frozen=True)
class SlopeLaw:
    """The law of d/μ₁, d = φ'(√q Z)² and μ₁ = E d.

    Attributes
    ----------
    mean : float
        μ₁.
    values, weights : ndarray of shape (16 panels,)
        d/μ₁ at the Gauss–Legendre nodes of the panels, and the probability each stands for.
    series : ndarray of shape (panels, 16)
        Legendre coefficients of φ'/√μ₁ on each panel.
    lower, upper : ndarray of shape (panels,)
        The panels' ends, in standard deviations.
    least, largest : ndarray of shape (panels,)
        Between which d/μ₁ lies on each panel.
    atoms, masses : ndarray
        Values that d/μ₁ takes with positive probability, ascending, and the probabilities.
    scale : float
        What brings the Gaussian's weights on the panels to total probability 1.
    zero_mass : float
        P(d = 0).
    unbounded, reaches_zero : bool
        Whether φ' grows without bound, and comes as near to 0 as one likes.
    """

    mean: float
    values: Array
    weights: Array
    series: Array
    lower: Array
    upper: Array
    least: Array
    largest: Array
    atoms: Array
    masses: Array
    scale: float
    unbounded: bool = False
    reaches_zero: bool = False
    zero_mass: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "zero_mass", float(self.masses[self.atoms == 0.0].sum()))

    @cached_property
    def packed(self) -> tuple[Array, ...]:
        """What the kernels take: values, weights, least and largest d of each panel, its halves, quarters, … (heap order), and the rest."""
        panels = self.lower.size
        t, weights, ends = _halvings()
        half, middle = 0.5 * (self.upper - self.lower), 0.5 * (self.upper + self.lower)
        z = middle[:, None] + half[:, None] * t
        masses = self.scale * half[:, None] * weights * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        inside = np.square(self.series @ legendre.legvander(t, ORDER - 1).T)
        at_ends = np.square(self.series @ legendre.legvander(ends, ORDER - 1).T).reshape(panels, HALVINGS, 2)
        nodes = inside.reshape(panels, HALVINGS, ORDER)
        least = np.minimum(at_ends.min(axis=2), nodes.min(axis=2)) if panels else np.zeros((0, HALVINGS))
        largest = np.maximum(at_ends.max(axis=2), nodes.max(axis=2)) if panels else np.zeros((0, HALVINGS))
        arrays = (inside, masses, least, largest, self.series, self.lower, self.upper)
        return (*(np.ascontiguousarray(a) for a in arrays), self.atoms, self.masses, np.array([self.scale]))

    @property
    def finite_valued(self) -> bool:
        """Whether d takes finitely many values."""
        return self.values.size == 0

    @property
    def constant(self) -> bool:
        """Whether d takes one value only."""
        return self.finite_valued and self.atoms.size == 1

    @cached_property
    def supports(self) -> Array:
        """The closed intervals on which d/μ₁ > 0 lies, ascending, of shape (n, 2); atoms are intervals of length 0."""
        positive = self.atoms > 0.0
        low = np.concatenate([self.least, self.atoms[positive]])
        high = np.concatenate([self.largest, self.atoms[positive]])
        order = np.argsort(low, kind="stable")
        merged: list[list[float]] = []
        for a, b in zip(low[order].tolist(), high[order].tolist(), strict=True):
            if merged and a <= merged[-1][1] * (1.0 + 1e-9):
                merged[-1][1] = max(merged[-1][1], b)
            else:
                merged.append([a, b])
        return np.array(merged)

    def moment(self, k: int) -> float:
        """E (d/μ₁)^k over the panels and atoms."""
        with np.errstate(over="ignore"):
            return float(np.sum(self.weights * self.values**k) + np.sum(self.masses * self.atoms**k))

    @property
    def spread(self) -> float:
        """E d²/μ₁² − 1, as E(d/μ₁ − 1)²: it keeps its digits where |φ'| is nearly constant."""
        with np.errstate(over="ignore"):
            return float(np.sum(self.weights * np.square(self.values - 1.0)) + np.sum(self.masses * np.square(self.atoms - 1.0)))

    @cached_property
    def mean_log(self) -> float:
        """E[log(d/μ₁); d > 0]."""
        positive = self.atoms > 0.0
        total = float(np.sum(self.masses[positive] * np.log(self.atoms[positive])))
        unit, unit_weights = gauss_legendre()
        touching = self.least <= self.largest * 1e-6
        plain = np.repeat(~touching, ORDER)
        total += float(np.sum(self.weights[plain] * np.log(self.values[plain])))
        for i in np.flatnonzero(touching):  # towards a zero of φ' by halves: the logarithm is singular there
            towards = -1.0 if abs(legendre.legval(-1.0, self.series[i])) < abs(legendre.legval(1.0, self.series[i])) else 1.0
            # Panels of t ∈ [−1, 1]: [1 − 2^(1−j), 1 − 2^−j] from the far end, and the last one up to the zero.
            start = np.concatenate([[0.0], 2.0 - np.ldexp(1.0, 1 - np.arange(1, 60))])
            stop = np.append(start[1:], 2.0)
            centre, size = -towards * (1.0 - 0.5 * (start + stop)), 0.5 * (stop - start)
            t = centre[:, None] + size[:, None] * unit
            width = 0.5 * (self.upper[i] - self.lower[i])
            z = 0.5 * (self.upper[i] + self.lower[i]) + width * t
            weight = self.scale * width * size[:, None] * unit_weights * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
            slope = np.abs(legendre.legval(t, self.series[i]))
            total += float(np.sum(weight * 2.0 * np.log(np.maximum(slope, 1e-300))))
        return total


@lru_cache(maxsize=1)
def _halvings() -> tuple[Array, Array, Array]:
    """For [−1, 1], its halves, quarters, …: Gauss–Legendre nodes and weights, and the ends of each piece, one behind the other."""
    unit, unit_weights = gauss_legendre()
    nodes, weights, ends = [], [], []
    for level in range(LEVELS):
        size = math.ldexp(1.0, -level)
        for i in range(1 << level):
            centre = -1.0 + (2 * i + 1) * size
            nodes.append(centre + size * unit)
            weights.append(size * unit_weights)
            ends.append(np.array([centre - size, centre + size]))
    return np.concatenate(nodes), np.concatenate(weights), np.concatenate(ends)


_laws: Kept[dict[float, SlopeLaw]] = Kept("laws of the squared slope")


def slope_law(activation: Activation, q: float) -> SlopeLaw:
    """The law at one variance, kept for the next question.

    Examples
    --------
    >>> from meanfield import activation
    >>> law = slope_law(activation("relu"), 1.0)
    >>> law.atoms.tolist(), law.masses.tolist(), law.mean  # d is 0 or 1, and its mean ½
    ([0.0, 2.0], [0.5, 0.5], 0.5)
    """
    held = _laws.setdefault(activation, {})
    found = held.get(q)
    if found is None:
        found = _find(activation, q)
        while len(held) >= HELD:
            held.pop(next(iter(held)), None)
        held[q] = found
    return found


def _find(act: Activation, q: float) -> SlopeLaw:
    steep = moment_table(act).steep
    if steep:
        raise DomainError(f"activation = {act.name} has no Jacobian at infinite width: {steep}")
    if q == 0.0 or math.isinf(q):
        left, right = limit_slopes(act, q)
        if not 0.0 < left * left + right * right < math.inf:
            raise DomainError(f"q = {q:g}: the slopes of {act.name} there are {left:g} and {right:g}; give a q between")
        return _of_atoms([left * left, right * right], [0.5, 0.5])
    root = math.sqrt(q)
    reach = _reach(act, root, 1)
    lower, upper, values, series = _resolve(act, root, _edges(act, root, reach))
    unit, unit_weights = gauss_legendre()
    size = np.max(np.abs(values), axis=1)
    half = 0.5 * (upper - lower)
    z = 0.5 * (upper + lower)[:, None] + half[:, None] * unit
    weights = half[:, None] * unit_weights * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    second = float(np.sum(weights * np.square(values)))
    if not 0.0 < second < math.inf:
        raise DomainError(f"q = {q:g}: the mean squared slope of {act.name} there is {second:g}, and its Jacobian has no spectrum")
    dead = size < VANISHING * math.sqrt(second)
    flat = dead | (np.ptp(values, axis=1) <= FLAT * size)
    levels, masses = _flat_stretches(lower[flat], upper[flat], np.where(dead, 0.0, np.square(values[:, 0]))[flat], reach)
    if not flat.all():  # what takes finitely many values does not underflow
        masses = np.where((levels == 0.0) & (masses < FAINTEST), 0.0, masses)
    rough = ~flat
    total = float(np.sum(masses)) + float(np.sum(weights[rough]))
    mean = (float(np.sum(masses * levels)) + float(np.sum(weights[rough] * np.square(values[rough])))) / total
    if not rough.any():
        return _of_atoms(levels.tolist(), (masses / total).tolist())
    lower, upper, values, weights, series, fold = _folded(lower[rough], upper[rough], values[rough], weights[rough], series[rough])
    scaled = series / math.sqrt(mean)
    ends = np.square(legendre.legval(np.array([-1.0, 1.0]), scaled.T))
    inside = np.square(values) / mean
    least = np.minimum(np.min(ends, axis=1), np.min(inside, axis=1))
    unbounded, reaches_zero = _extremes(act, math.sqrt(mean))
    # A zero that φ' touches without a change of sign (snake) is found on the panels, which end there.
    reaches_zero = reaches_zero or bool(np.min(least) <= TOUCHING)
    atoms, atom_masses = _merged(levels / mean, masses / total)
    return SlopeLaw(
        mean,
        np.ascontiguousarray(inside.ravel()),
        np.ascontiguousarray(weights.ravel() * (fold / total)),
        np.ascontiguousarray(scaled),
        np.ascontiguousarray(lower),
        np.ascontiguousarray(upper),
        least,
        np.maximum(np.max(ends, axis=1), np.max(inside, axis=1)),
        atoms,
        atom_masses,
        fold / total,
        unbounded,
        reaches_zero,
    )


def _folded(lower: Array, upper: Array, values: Array, weights: Array, series: Array) -> tuple[Array, Array, Array, Array, Array, float]:
    """Where φ' is even or odd, the panels with Z > 0 alone, each standing for two; the last number says for how many."""
    order = np.argsort(lower)
    right, left = order[lower[order] >= 0.0], order[lower[order] < 0.0][::-1]
    everything = lower, upper, values, weights, series, 1.0
    if right.size != left.size or np.any(lower[right] != -upper[left]):
        return everything
    there, mirrored = np.abs(values[right]), np.abs(values[left][:, ::-1])
    if np.any(np.abs(there - mirrored) > 4e-15 * np.max(there, axis=1, keepdims=True)):
        return everything
    return lower[right], upper[right], values[right], weights[right], series[right], 2.0


def squared_slope_moment(act: Activation, q: float, k: int) -> float:
    """E (d/μ₁)^k, as far out as it lies; inf where it overflows."""
    law = slope_law(act, q)
    if law.finite_valued or math.isinf(q) or q == 0.0:
        return law.moment(k)
    root = math.sqrt(q)
    if _reach(act, root, k) <= _reach(act, root, 1):
        return law.moment(k)
    reach = _reach(act, root, k)
    lower, upper, values, _ = _resolve(act, root, _edges(act, root, reach))
    unit, unit_weights = gauss_legendre()
    half = 0.5 * (upper - lower)
    z = 0.5 * (upper + lower)[:, None] + half[:, None] * unit
    with np.errstate(divide="ignore", over="ignore"):
        logs = k * (2.0 * np.log(np.abs(values)) - math.log(law.mean)) - 0.5 * z * z - 0.5 * math.log(2.0 * math.pi)
        return float(np.sum(half[:, None] * unit_weights * np.exp(logs)))


def _of_atoms(levels: list[float], masses: list[float]) -> SlopeLaw:
    total = math.fsum(masses)
    mean = math.fsum(a * p for a, p in zip(levels, masses, strict=True)) / total
    atoms, merged = _merged(np.array(levels) / mean, np.array(masses) / total)
    nothing, none = np.zeros(0), np.zeros((0, ORDER))
    return SlopeLaw(mean, nothing, nothing, none, nothing, nothing, nothing, nothing, atoms, merged, 1.0, False, bool(atoms[0] == 0.0))


def _merged(levels: Array, masses: Array) -> tuple[Array, Array]:
    """Equal levels together, ascending."""
    levels, masses = levels[masses > 0.0], masses[masses > 0.0]
    values: list[float] = []
    sums: list[float] = []
    for i in np.argsort(levels, kind="stable"):
        if values and levels[i] - values[-1] <= 4e-15 * abs(values[-1]):
            sums[-1] += float(masses[i])
        else:
            values.append(float(levels[i]))
            sums.append(float(masses[i]))
    return np.array(values), np.array(sums)


def _flat_stretches(lower: Array, upper: Array, levels: Array, reach: float) -> tuple[Array, Array]:
    """Levels of d and their probabilities; neighbours of one level in one piece, and the end of the reach standing for infinity."""
    order = np.argsort(lower)
    found: list[list[float]] = []
    for a, b, level in zip(lower[order].tolist(), upper[order].tolist(), levels[order].tolist(), strict=True):
        if found and found[-1][1] == a and abs(level - found[-1][2]) <= 4.0 * FLAT * level:
            found[-1][1] = b
        else:
            found.append([a, b, level])
    masses = [_between(a if a > -reach else -math.inf, b if b < reach else math.inf) for a, b, _ in found]
    return np.array([level for *_, level in found]), np.array(masses)


def _between(a: float, b: float) -> float:
    """P(a < Z < b)."""
    # On the side where the tail is small, so that the difference keeps its digits.
    low, high = (a, b) if a < 0.0 else (-b, -a)
    return 0.5 * (math.erfc(-high / SQRT_2) - math.erfc(-low / SQRT_2))


def _reach(act: Activation, root: float, k: int) -> float:
    """How many standard deviations out d^k exp(−z²/2) has any weight; at least REACH."""
    z = np.linspace(0.0, FURTHEST, 1201)
    with np.errstate(divide="ignore"):
        size = np.maximum(np.log(np.abs(act.values(-root * z, 1))), np.log(np.abs(act.values(root * z, 1))))
    mass = np.where(np.isfinite(size), 2.0 * k * size - 0.5 * z * z, -math.inf)
    weighty = np.flatnonzero(mass > np.max(mass) - NEGLIGIBLE)
    return max(REACH, float(z[min(weighty[-1] + 1, z.size - 1)]) if weighty.size else REACH)


def _edges(act: Activation, root: float, reach: float) -> Array:
    """Ends of panels to begin with: breakpoints, features, and steps on which the Gaussian is smooth."""
    inner = np.arange(0.0, 9.0)
    outer = [9.0]
    while outer[-1] < reach:
        outer.append(min(outer[-1] + STEEPEST / outer[-1], reach))
    half = np.concatenate([inner, outer])
    places = [b.location for b in act.breakpoints]
    places += [x for f in act.features for x in (f.centre - f.scale, f.centre, f.centre + f.scale)]
    cuts = np.array(places, dtype=float) / root
    edges = np.unique(np.concatenate([-half, half, cuts[np.abs(cuts) < half[-1]]]))
    keep = np.concatenate([[True], np.diff(edges) > 1e-13 * np.maximum(np.abs(edges[1:]), 1e-300)])
    return np.asarray(edges[keep])


@lru_cache(maxsize=1)
def _to_series() -> Array:
    unit, weights = gauss_legendre()
    result: Array = (np.arange(ORDER) + 0.5)[:, None] * weights * legendre.legvander(unit, ORDER - 1).T
    return result


def _sample(act: Activation, root: float, lower: Array, upper: Array) -> tuple[Array, Array]:
    """φ' at the nodes of each panel, and its Legendre series."""
    unit, _ = gauss_legendre()
    z = 0.5 * (upper + lower)[:, None] + 0.5 * (upper - lower)[:, None] * unit
    values = act.values(np.ascontiguousarray((root * z).ravel()), 1).reshape(z.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        return values, values @ _to_series().T


def _resolve(act: Activation, root: float, edges: Array) -> tuple[Array, Array, Array, Array]:
    """Bisect until φ' is its Legendre series, within a factor of RATIO, and monotone in square: (lower, upper, values, series)."""
    lower, upper = edges[:-1], edges[1:]
    before = np.full(lower.size, math.inf)
    done: list[tuple[Array, Array, Array, Array]] = []
    count = 0
    for level in range(DEEPEST + 1):
        values, series = _sample(act, root, lower, upper)
        size = np.abs(values)
        largest, smallest = np.max(size, axis=1), np.min(size, axis=1)
        if not np.isfinite(values).all():
            raise DomainError(f"activation = {act.name}: φ' overflows within reach of the variance {root * root:g}")
        tail = np.max(np.abs(series[:, -2:]), axis=1) / np.where(largest > 0.0, largest, 1.0)
        resolved = (tail <= max(RESOLVED, 64.0 * act.relative_noise)) | ((tail <= NOISE) & (tail > 0.25 * before))
        signs = (np.min(values, axis=1) < 0.0) & (np.max(values, axis=1) > 0.0)
        light = (upper - lower) * np.exp(-0.5 * np.minimum(np.abs(lower), np.abs(upper)) ** 2) < FAINT
        even = (largest <= RATIO * smallest) | signs | light | (largest < 1e-150)
        fine = (resolved & even) | (largest == 0.0) | (upper - lower <= 1e-11 * np.maximum(np.abs(lower), 1e-3))
        count += lower.size
        if level == DEEPEST or count > MOST:
            fine[:] = True
        done.append((lower[fine], upper[fine], values[fine], series[fine]))
        if fine.all():
            break
        lower, upper, before = lower[~fine], upper[~fine], tail[~fine]
        middle = 0.5 * (lower + upper)
        lower, upper, before = np.concatenate([lower, middle]), np.concatenate([middle, upper]), np.tile(before, 2)
    lower, upper, values, series = (np.concatenate(part) for part in zip(*done, strict=True))
    return _monotone(act, root, lower, upper, values, series)


def _monotone(act: Activation, root: float, lower: Array, upper: Array, values: Array, series: Array) -> tuple[Array, Array, Array, Array]:
    """Cut panels at the zeros of φ' and of φ''."""
    slopes = legendre.legder(series, axis=1)
    grid = np.concatenate([[-1.0], gauss_legendre()[0], [1.0]])
    size = np.max(np.abs(values), axis=1)
    rough = np.ptp(values, axis=1) > 1e-13 * size
    turning = rough & _changes(legendre.legval(grid, slopes.T))
    crossing = rough & _changes(legendre.legval(grid, series.T))
    marked = turning | crossing
    if not marked.any():
        return lower, upper, values, series
    starts, stops = [], []
    for i in np.flatnonzero(marked):
        roots: list[float] = []
        for wanted, coefficients in ((turning[i], slopes[i]), (crossing[i], series[i])):
            if wanted:
                found = legendre.legroots(coefficients)
                real = found[np.abs(found.imag) < 1e-7].real
                roots += real[np.abs(real) < 1.0 - 1e-12].tolist()
        cuts = np.unique(0.5 * (upper[i] + lower[i]) + 0.5 * (upper[i] - lower[i]) * np.array([-1.0, *roots, 1.0]))
        cuts[0], cuts[-1] = lower[i], upper[i]
        if crossing[i]:
            cuts = _graded(cuts, series[i], lower[i], upper[i])
        starts.append(cuts[:-1])
        stops.append(cuts[1:])
    more_lower, more_upper = np.concatenate(starts), np.concatenate(stops)
    more_values, more_series = _sample(act, root, more_lower, more_upper)
    keep = ~marked
    return (
        np.concatenate([lower[keep], more_lower]),
        np.concatenate([upper[keep], more_upper]),
        np.concatenate([values[keep], more_values]),
        np.concatenate([series[keep], more_series]),
    )


def _graded(cuts: Array, series: Array, lower: float, upper: float) -> Array:
    """Cuts towards the zeros of φ' among these, each four times nearer than the last."""
    at = np.abs(legendre.legval((2.0 * cuts - (lower + upper)) / (upper - lower), series))
    zeros = cuts[at <= 1e-9 * np.max(at)]
    sizes = np.exp2(-2.0 * np.arange(1, GRADES))
    more = [
        zero + side * abs(end - zero) * sizes
        for zero in zeros.tolist()
        for side, beyond in ((-1.0, cuts[cuts < zero]), (1.0, cuts[cuts > zero]))
        for end in (beyond[-1:] if side < 0.0 else beyond[:1]).tolist()
    ]
    return np.unique(np.concatenate([cuts, *more]))


def _changes(values: Array) -> Mask:
    signs = np.sign(values)
    result: Mask = np.any(signs[:, :-1] * signs[:, 1:] < 0.0, axis=1)
    return result


def _extremes(act: Activation, size: float) -> tuple[bool, bool]:
    """Whether |φ'| grows without bound, and comes as near to 0 as one likes, on the whole line."""
    x = np.concatenate([np.geomspace(1e-3, 1e12, 200), np.linspace(0.0, 60.0, 601)])
    with np.errstate(over="ignore"):
        slope = np.abs(np.concatenate([act.values(-x, 1), act.values(x, 1)]))
    far = np.abs(act.values(np.array([-1e12, 1e12, -1e6, 1e6]), 1))
    grows = bool(np.any(far[:2] > 8.0 * far[2:])) and float(np.max(far)) > 8.0 * size
    changes = np.concatenate([act.values(-x[::-1], 1), act.values(x, 1)])
    ordered = np.concatenate([-x[::-1], x])
    signs = np.sign(changes[np.argsort(ordered, kind="stable")])
    return grows, bool(np.min(slope) <= 1e-6 * size or np.any(signs[:-1] * signs[1:] < 0.0))
