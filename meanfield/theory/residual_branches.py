"""The σ_w of branches in a residual network x ↦ x + W φ(x), and what becomes of signals there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.errors import DomainError
from meanfield.expectation.second_moment import second_moment
from meanfield.layers.dense import Dense
from meanfield.layers.dropout import Dropout
from meanfield.layers.residual import Residual
from meanfield.theory.mean_field import MeanField
from meanfield.theory.signal_changes import START, Changes

if TYPE_CHECKING:
    from meanfield.activations import Activation

FOLLOWED = 1_000_000  # blocks; more of them, each weaker, do the same to seven digits


def branch_weight(act: Activation, depth: int, start: float) -> float:
    """σ_w with which each of L branches adds 1/L of the input's variance q₀ at first: σ_w² = q₀/(L V[φ](q₀)).

    Where V[φ] grows no faster than q the variance then grows by (1 + 1/L)^L < e at most.

    Raises
    ------
    DomainError
        If the second moment is 0 or infinite at that variance.

    References
    ----------
    Zhang, Dauphin, Ma (2019), Fixup; Hayou et al. (2021), Stable ResNet.

    Examples
    --------
    >>> from meanfield.activations import activation
    >>> round(branch_weight(activation("relu"), 50, 1.0) ** 2, 12)  # He's 2, over 50
    0.04
    """
    moment = float(second_moment(act, start))
    if not 0.0 < moment < math.inf:
        raise DomainError(f"activation = {act.name}: E[phi^2] is {moment:g} at a variance of {start:g}, and no sigma_w adds a part of that")
    return math.sqrt(start / (depth * moment))


def changes_along(act: Activation, depth: int, sigma_w: float, rate: float, starts: tuple[float, ...]) -> list[Changes]:
    """From each variance through L blocks, with dropout of that rate between φ and the weights of each."""
    blocks = min(depth, FOLLOWED)
    weights = Dense(sigma_w * math.sqrt(depth / blocks), 0.0)
    block = Residual(act, Dropout(rate), weights) if rate > 0.0 else Residual(act, weights)
    field, found = MeanField(block), []
    for start in starts:
        path = field.propagate(blocks, q=start, c=1.0 - START)
        parts = (path.q1[-1] / start, path.gradient[0], path.epsilon[-1] / START)
        found.append(Changes(start, *(math.log(part) if 0.0 < part < math.inf else math.copysign(math.inf, part - 1.0) for part in parts)))
    return found
