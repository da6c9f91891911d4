"""Which stretches of a network's layers become tables: the cheapest way from the data's many variances to the output.

Behind each turn of layers the variances of all inputs are known. A table over a spread of variances (norms_table.py) costs the more the
wider they are apart, one for one variance (one_variance.py) next to nothing; and each stretch costs every entry of the matrix a look-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meanfield.theory.kernels.norms_table import WIDEST, orders_needed

if TYPE_CHECKING:
    from meanfield.arrays import Array

# Seconds, roughly: only their ratios matter.
PAIR = 5e-7  # a pair through one turn of layers
NODES = 150  # in ε, of the octaves that entries fall into
LOOKED_UP, EACH_ORDER = 2e-8, 2e-9  # an entry of a stretch
LONG = 2.5  # spread of log q up to which a table may hold many layers
NARROWER = 0.6  # of the last place's spread: only there may a stretch begin


@dataclass(frozen=True)
class Place:
    """Before turn `index` all inputs are Gaussian values with variances q, log q between low and high."""

    index: int
    q: Array
    low: float
    high: float
    fan_in: float

    @property
    def spread(self) -> float:
        return self.high - self.low


@dataclass(frozen=True)
class Stretch:
    """From a place, None being the data themselves, up to turn `end`: by a table of norms or pair by pair."""

    place: Place | None
    end: int
    tabulated: bool


def stretches(places: Sequence[Place], end: int, entries: float, functions: int) -> tuple[Stretch, ...]:
    """The cheapest way from turn 0 to turn `end`: the last place before each is looked for, for all places in turn."""
    chosen: list[Place] = []
    for place in places:
        if place.index < end and (not chosen or chosen[-1].spread > LONG or place.spread <= NARROWER * chosen[-1].spread):
            chosen.append(place)
    if not chosen:
        return (Stretch(None, end, False),)
    before = () if chosen[0].index == 0 else (Stretch(None, chosen[0].index, False),)
    stops = [place.index for place in chosen] + [end]
    best = [0.0] + [float("inf")] * len(chosen)
    through: list[tuple[int, bool]] = [(0, False)] * (len(chosen) + 1)
    for i, place in enumerate(chosen):
        orders = orders_needed(place.spread)
        for j in range(i + 1, len(stops)):
            turns = stops[j] - stops[i]
            table = 0.5 * orders * (orders + 1) * NODES * turns * PAIR + functions * entries * (LOOKED_UP + EACH_ORDER * orders)
            for tabulated, cost in ((True, table), (False, entries * turns * PAIR)):
                short = place.spread <= LONG or j == i + 1  # functions of functions ask for more orders
                if (not tabulated or (short and place.spread <= WIDEST)) and best[i] + cost < best[j]:
                    best[j], through[j] = best[i] + cost, (i, tabulated)
    way: list[Stretch] = []
    at = len(chosen)
    while at > 0:
        i, tabulated = through[at]
        way.append(Stretch(chosen[i], stops[at], tabulated))
        at = i
    return before + tuple(reversed(way))
