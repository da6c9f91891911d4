"""The spectrum of L equal layers as a graph over |ζ|: one bracketed root a point, at any depth."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from meanfield.theory.spectrum.gaps import edge_levels, find_gaps

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.theory.spectrum.slope_law import SlopeLaw

POINTS = 80  # of the table of one band, from which Newton's method starts
LEFT = 1e-7  # of the mass: the table ends where no more is below
DEEP_LEFT = 2e-14  # the same for each layer, in a second table: few ask so deep
FAINT = 1e-11  # θ below which the mass above is as small
DOWNWARDS = (1e-6, 1e-4, 1e-3, 0.003, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)  # parts of a band, from its upper edge
DEEPEST = -690.0  # log|ζ|, near the smallest double


_Table: TypeAlias = "tuple[Array, Array, Array, Array]"


class EqualLayers:
    """The law of λ/χ^L for L layers with one law of squared slopes; λ = s², in logarithms.

    Parameters
    ----------
    law : SlopeLaw
    depth : int
    gaussian : bool
        Gaussian weights, or orthogonal ones.
    """

    def __init__(self, law: SlopeLaw, depth: int, gaussian: bool) -> None:
        self.law = law
        self.depth = depth
        self.gaussian = gaussian

    @cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """(log λ, mass) of isolated singular values, −inf for 0, ascending."""
        found = [(-math.inf, self.law.zero_mass)] if self.law.zero_mass > 0.0 else []
        if not self.gaussian:
            for value, mass in zip(self.law.atoms.tolist(), self.law.masses.tolist(), strict=True):
                left = 1.0 - self.depth * (1.0 - mass)
                if value > 0.0 and (left > 0.0 or self.law.constant):
                    found.append((self.depth * math.log(value), 1.0 if self.law.constant else left))
        return tuple(found)

    @cached_property
    def _stretches(self) -> tuple[tuple[float, float, float, float], ...]:
        """The stretches of |ζ| on which the spectrum lies, ascending, with the mass above the lower and the upper end of each."""
        if self.law.constant and not self.gaussian:
            return ()
        found: list[tuple[float, float, float, float]] = []
        low, above = 0.0, 1.0 - self.law.zero_mass
        for start, stop in find_gaps(self.law, self.depth, self.gaussian):
            if start > 0.0 and stop - start < 1e-11 * stop:
                continue  # rounding beside an atom that just fails to leave one
            over = self._above_gap(start, stop)
            if start > low * (1.0 + 1e-13):
                found.append((low, start, above, over))
            low, above = max(low, stop), over
        return tuple(found)

    def _above_gap(self, start: float, stop: float) -> float:
        """P(λ beyond a gap of |ζ|): Im G/π on the real axis, where arg(1 − d/ζ) is π for d > ζ and 0 otherwise."""
        if math.isinf(stop):
            return 0.0
        middle = 0.5 * (start + stop) if start > 0.0 else 0.5 * stop
        law = self.law
        larger = float(np.sum(law.weights[law.values > middle])) + float(np.sum(law.masses[law.atoms > middle]))
        left, right = law.weights * law.values, law.masses * law.atoms
        m = float(np.sum(left / (middle - law.values))) + float(np.sum(right / (middle - law.atoms)))
        if m > -1.0:  # arg(1 + m) = 0
            return self.depth * larger
        return self.depth * larger - (self.depth - 1.0) + self.depth * float(self.gaussian)  # arg(1 + m) = −π

    @cached_property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """(log λ, log λ) of the ends of each band, ascending.

        Where φ' comes as near to 0 as one likes so does λ; that the law ends above, with what the reach cuts off, is not told.
        """
        endless = self.law.reaches_zero and self.law.zero_mass == 0.0
        return tuple(
            (float(levels[0]) if low > 0.0 and not (endless and i == 0) else -math.inf, float(levels[-1]))
            for i, ((low, *_), levels) in enumerate(self._ends)
        )

    @cached_property
    def _ends(self) -> tuple[tuple[tuple[float, float, float, float], Array], ...]:
        return tuple(
            (stretch, edge_levels(self.law, self.depth, self.gaussian, np.array(stretch[:2] if stretch[0] > 0.0 else stretch[1:2])))
            for stretch in self._stretches
        )

    def _trace(self, log_r: Array, guess: float = 0.0) -> Array:
        from meanfield.theory.spectrum.kernels import trace

        rows = np.empty((log_r.size, 7))
        trace(np.ascontiguousarray(log_r), guess, float(self.depth), float(self.gaussian), self.law.packed, rows)
        return rows

    @cached_property
    def _tables(self) -> tuple[_Table, ...]:
        """For each band log|ζ|, θ, log λ and the mass above, ascending."""
        return self._found(LEFT)

    @cached_property
    def _deep_tables(self) -> tuple[_Table, ...]:
        return self._found(min(DEEP_LEFT * self.depth, LEFT))

    def _for(self, lowest: float) -> tuple[_Table, ...]:
        """The tables that reach down to this level, as far as any do."""
        return self._tables if not self._tables or lowest >= self._tables[0][2][0] else self._deep_tables

    def _found(self, left: float) -> tuple[_Table, ...]:
        tables: list[_Table] = []
        for (low, high, over_low, over_high), levels in self._ends:
            edge = math.log(high)
            top = self._visible(edge, low)
            bottom, ends = (math.log(low), True) if low > 0.0 else self._bottom(top, left)
            part = np.linspace(0.0, 1.0, POINTS)
            # Points crowd where θ goes to 0 like a square root.
            grid = (top - (top - bottom) * (0.5 * (1.0 - np.cos(math.pi * part)) if ends else part**2))[::-1]
            rows = self._trace(grid[::-1])[::-1]  # from the upper edge down
            angle, level, above = rows[:, 0].copy(), rows[:, 1].copy(), rows[:, 6].copy()
            if top < edge:
                grid, angle, above = np.append(grid, edge), np.append(angle, 0.0), np.append(above, over_high)
                level = np.append(level, levels[-1])
            there = angle > 0.0  # below the least slope within reach there is no more
            level[-1], angle[-1], above[-1], there[-1] = levels[-1], 0.0, over_high, True
            if low > 0.0:
                level[0], angle[0], above[0], there[0] = levels[0], 0.0, over_low, True
            elif ends:
                angle[0], there[0] = 0.0, True
            # From the top down for as long as log λ falls: deep in a tail that doubles no longer resolve it need not.
            fine = there[::-1] & np.concatenate([[True], np.diff(level[::-1]) < 0.0])
            count = int(np.argmin(fine)) if not fine.all() else fine.size
            kept = slice(grid.size - count, None)
            tables.append((np.ascontiguousarray(grid[kept]), angle[kept], level[kept], above[kept]))
        return tuple(tables)

    def _visible(self, edge: float, low: float) -> float:
        """log|ζ| from which on down θ is more than rounding; mostly that of the edge.

        Where d has a long thin tail (exp, softplus) the spectrum has too, of hardly any mass.
        """
        # A band without a lower end goes on to where the bulk of d is at least, which exp at q = 100 has 600 e-folds below its largest d.
        bulk = self.law.mean_log / (1.0 - self.law.zero_mass)
        whole = edge - math.log(low) if low > 0.0 else max(40.0, 1.25 * (edge - bulk))
        start = edge
        for part in DOWNWARDS:
            bottom = edge - part * whole
            if self._trace(np.array([bottom]))[0, 0] > FAINT:
                break
            start = bottom
        else:
            return edge
        if start == edge:
            return edge
        for _ in range(30):
            middle = 0.5 * (bottom + start)
            if self._trace(np.array([middle]))[0, 0] > FAINT:
                bottom = middle
            else:
                start = middle
        return bottom

    def _bottom(self, top: float, left: float) -> tuple[float, bool]:
        """log|ζ| down to which a band without a lower end goes, until the mass below is negligible; and whether it ends there.

        Of many layers the reach of Z shows: the curve then ends above the least slope within it, and with a square root.
        """
        before, fall = 0.0, 1.0
        everything = 1.0 - self.law.zero_mass
        while top - fall > DEEPEST:
            row = self._trace(np.array([top - fall]))[0]
            if not row[0] > 0.0:
                break
            if everything - row[6] < left:
                return top - fall, False
            before, fall = fall, 1.25 * fall
        else:
            return DEEPEST, False
        for _ in range(60):
            middle = 0.5 * (before + fall)
            if self._trace(np.array([top - middle]))[0, 0] > FAINT:
                before = middle
            else:
                fall = middle
        return top - before, True

    def density(self, levels: Array) -> Array:
        """The density of log λ at values of it."""
        return self._at(levels)[0]

    def above(self, levels: Array) -> Array:
        """P(log λ > level), atoms included."""
        return self._at(levels, True)[1]

    def _at(self, levels: Array, mass: bool = False) -> tuple[Array, Array]:
        from meanfield.theory.spectrum.kernels import at_levels

        density, above = np.zeros(levels.shape), np.zeros(levels.shape)
        everything = 1.0 - self.law.zero_mass
        outside = np.ones(levels.shape, dtype=np.bool_)
        tables = self._for(float(np.min(levels, initial=math.inf)))
        for (low, high), (grid, angle, level, _) in zip(self.bands, tables, strict=True):
            inside = (levels > max(low, level[0])) & (levels < high)
            if inside.any():
                there = np.ascontiguousarray(levels[inside])
                rows = np.empty((there.size, 2))
                at_levels(there, grid, angle, level, float(self.depth), float(self.gaussian), self.law.packed, mass, rows)
                density[inside], above[inside] = rows[:, 0], rows[:, 1]
                outside[inside] = False
        if mass:
            for i in np.flatnonzero(outside):
                above[i] = self._outside(float(levels[i]), everything)
        return density, np.clip(above, 0.0, 1.0)

    @cached_property
    def _weights(self) -> tuple[float, ...]:
        """The mass of each band."""
        return tuple(below - over for _, _, below, over in self._stretches)

    def _outside(self, level: float, everything: float) -> float:
        """P(log λ > level) where no band is: whole bands and atoms count."""
        if level == -math.inf:
            return everything
        total = sum(mass for where, mass in self.atoms if where > level)
        total += sum(weight for (_, high), weight in zip(self.bands, self._weights, strict=True) if high > level)
        return min(total, everything)

    def quantile(self, p: Array) -> Array:
        """log λ at which the distribution function reaches p, −inf in the atom at 0."""
        result = np.empty(p.shape)
        for i in np.ndindex(p.shape):
            result[i] = self._quantile(1.0 - float(p[i]))
        return result

    def _quantile(self, above: float) -> float:
        """The level with this mass above it."""
        everything = 1.0 - self.law.zero_mass
        if above >= everything:
            return -math.inf if self.law.zero_mass > 0.0 else self.bottom
        # Pieces from the top: atoms and bands by their place.
        pieces = [(where, mass, -1) for where, mass in self.atoms if where > -math.inf]
        pieces += [(high, weight, k) for k, ((_, high), weight) in enumerate(zip(self.bands, self._weights, strict=True))]
        seen = 0.0
        for where, mass, k in sorted(pieces, reverse=True):
            if above <= seen + mass or where == min(piece[0] for piece in pieces):
                return where if k < 0 else self._in_band(k, above)
            seen += mass
        return self.bottom

    @property
    def bottom(self) -> float:
        """The lower end of the spectrum above 0, or where the table of its lowest band ends."""
        ends = [level for level, _ in self.atoms if level > -math.inf]
        ends += [float(table[2][0]) for table in self._deep_tables]
        return min(ends)

    def top_edge(self) -> tuple[float, float] | None:
        """s and K at the upper edge: −Im m = s √(2(log λ_max − log λ)/K) just below; None where it is no square root.

        s = E[dζ/(ζ − d)²] and K = ∂²log z/∂(log ζ)² at the ζ where ∂log z/∂log ζ = 0.
        """
        from meanfield.theory.spectrum.kernels import on_the_axis, transforms_at

        if not self._stretches or (self.atoms and self.atoms[-1][0] >= self.bands[-1][1]):
            return None
        zeta = self._stretches[-1][1]
        gap = zeta - float(self.law.supports[-1, 1])
        rows, transforms = np.empty((3, 4)), np.zeros((1, 9))
        step = 1e-4 * gap
        if not step > 1e-12 * zeta:
            return None
        on_the_axis(np.array([zeta - step, zeta, zeta + step]), float(self.depth), float(self.gaussian), self.law.packed, rows)
        curvature = float(rows[2, 1] - rows[0, 1]) / (2.0 * step) * zeta
        if not curvature > 0.0 or abs(rows[1, 1]) > 1e-6:
            return None
        transforms_at(np.array([math.log(zeta)]), np.zeros(1), self.law.packed, transforms)
        return float(transforms[0, 6]), curvature

    def _in_band(self, k: int, above: float) -> float:
        table = self._tables[k]
        _, _, level, mass = table if above <= table[3][0] else self._deep_tables[k]
        if above <= mass[-1]:
            return float(level[-1])
        if above >= mass[0]:
            return float(level[0])
        i = int(np.searchsorted(-mass, -above)) - 1
        low, high = float(level[i]), float(level[i + 1])
        # Where |φ'| is nearly constant a whole band may be 1e-6 wide: down to what its table resolves, or to the rounding of log λ.
        finest = max(1e-13 * min(1.0, high - low), 1e-16 * max(1.0, abs(low)))
        at = low + (high - low) * float((mass[i] - above) / (mass[i] - mass[i + 1]))
        for _ in range(60):
            density, there = (float(x[0]) for x in self._at(np.array([at]), True))
            gap = there - above
            step = gap / density if density > 0.0 else math.inf
            if abs(step) <= finest or abs(gap) <= 1e-16 * self.depth:
                return at
            low, high = (at, high) if gap > 0.0 else (low, at)
            after = at + step
            if not low < after < high:
                after = 0.5 * (low + high)
            if high - low <= finest:
                return after
            at = after
        return at
