"""Where an activation varies on a scale of its own."""

from __future__ import annotations

from typing import NamedTuple


class Feature(NamedTuple):
    """A place where φ varies faster than about it.

    Attributes
    ----------
    centre : float
    scale : float
        Half the width of the place: what is narrow about φ lies within centre ± scale.
    """

    centre: float
    scale: float
