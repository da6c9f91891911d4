"""Self-attention between tokens that are all alike in pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meanfield.layers.arguments import one_of, sigma, whole
from meanfield.layers.cotangent import Cotangent, Cotangents
from meanfield.layers.layer import Layer, MisplacedLayer, Step
from meanfield.layers.normalise import EQUAL
from meanfield.layers.softmax import WIDEST, attended
from meanfield.layers.state import State

KINDS = ("softmax", "linear")


@dataclass(frozen=True)
class Attention(Layer):
    """Many heads of self-attention, y_s = Σ_t w_st V x_t with w = softmax of the logits; the two inputs are two tokens of one sequence.

    Parameters
    ----------
    sigma_qk : float
        Logits are sigma_qk q·k/√d with q and k of the size of x and matrices of their own: Cov(A_st, A_s't') = sigma_qk² K_ss' K_tt'.
    sigma_v : float
        Of the values' and the heads' common output matrix together, as σ_w of a dense layer.
    tokens : int
        T, in [2, 10⁶]; every pair of the T tokens is taken to be alike.
    kind : {"softmax", "linear"}
        "linear": w is the logits themselves.

    Notes
    -----
    K_ss' ↦ sigma_v² Σ E[w_st w_s't'] K_tt'. Where all tokens have K11 = p and all pairs c, what tokens share drops out of the softmax,
    the rest are logits of variance sigma_qk² p² (1 − c), and two rows of them have correlation c: K11 ↦ sigma_v² p (c + (1 − c) E Σw²) and
    K12 ↦ sigma_v² p (c + (1 − c) E Σ w_t w'_t), both integrals without sampling. sigma_qk = 0 is the mean over the tokens. 1 − c behind
    it is good to 1e-15 of 1 − c before it. Linear: K_ss' ↦ (sigma_v sigma_qk)² K_ss' Σ K_tt'².

    The gradient through attention mixes the tokens' gradients, whose correlations aren't followed: it is nan in front of this layer.

    References
    ----------
    Hron et al. (2020); Noci et al. (2022) for what uniform attention does to correlations.

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield import layers as L
    >>> t = mf.Network(L.Attention(1.0, 1.0, tokens=32)).propagate(1.0, 0.3)
    >>> round(float(t.q1[-1]), 6), round(float(t.q1[-1] * t.c[-1]), 6)
    (0.340793, 0.326471)
    """

    sigma_qk: float
    sigma_v: float
    tokens: int
    kind: str = "softmax"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma_qk", sigma("sigma_qk", self.sigma_qk))
        object.__setattr__(self, "sigma_v", sigma("sigma_v", self.sigma_v))
        object.__setattr__(self, "tokens", whole("tokens", self.tokens, 2, 10**6))
        object.__setattr__(self, "kind", one_of("kind", self.kind, KINDS))

    @property
    def mixes(self) -> bool:
        return True

    @property
    def mixes_inputs(self) -> bool:
        return True

    @property
    def is_costly(self) -> bool:
        return self.kind == "softmax" and self.sigma_qk > 0.0

    def exactness(self) -> tuple[str, str]:
        return "approximate", "exact for many wide heads where every pair of tokens is alike; the gradient through it is not known: nan"

    def apply(self, state: State) -> Step:
        seen = state.whole
        if seen.tangent is not None:
            raise MisplacedLayer("the tangent kernel of attention is not known", self)
        if np.any(np.abs(seen.q1 - seen.q2) > EQUAL * np.maximum(seen.q1, seen.q2)):
            raise MisplacedLayer("the two tokens have different variances; the theory is that of tokens that are alike", self)
        if not np.all(np.isfinite(seen.q1)):
            raise MisplacedLayer("an infinite variance has no logits", self)
        smallest = -1.0 / (self.tokens - 1)
        if np.any(1.0 - seen.epsilon < smallest - 1e-12):
            raise MisplacedLayer(f"{self.tokens} tokens that are alike have a correlation of at least {smallest:.6g}", self)
        q, epsilon = np.broadcast_arrays(seen.q1, seen.epsilon)
        made = [self._pair(float(p), float(e)) for p, e in zip(np.ravel(q), np.ravel(epsilon), strict=True)]
        after, loss = (np.array(column).reshape(q.shape) for column in zip(*made, strict=True))
        unknown = tuple(Cotangent(np.asarray(math.nan)) for _ in state.parts)

        def pull(cotangents: Cotangents) -> Cotangents:
            return unknown

        return Step(State.of(after, after, loss), pull)

    def _pair(self, p: float, epsilon: float) -> tuple[float, float]:
        """(K11', ε') from K11 = p and ε."""
        c = 1.0 - epsilon
        if self.kind == "linear":
            squares = self.tokens * p * p * (1.0 + (self.tokens - 1) * c * c)
            return self.sigma_v**2 * self.sigma_qk**2 * p * squares, epsilon
        spread = self.sigma_qk * p * math.sqrt(epsilon)
        if spread > WIDEST:
            raise MisplacedLayer(
                f"its logits have standard deviation {spread:.4g}, past {WIDEST:g} the softmax is all but a maximum, which is not followed",
                self,
            )
        alike, other = attended(self.tokens, spread, c)
        share = c + epsilon * alike  # of p that a mean with these weights keeps
        if share <= 0.0:
            return 0.0, 0.0
        return self.sigma_v**2 * p * share, epsilon * max(alike - other, 0.0) / share

    def __str__(self) -> str:
        kind = "" if self.kind == "softmax" else f", {self.kind}"
        return f"Attention(σ_qk={self.sigma_qk:g}, σ_v={self.sigma_v:g}, tokens={self.tokens}{kind})"
