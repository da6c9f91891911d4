"""How correlations settle on the edge of chaos, from the activation alone: ε_l ~ constant/l^exponent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.result import Result, paged
from meanfield.theory.arguments import one_standard_deviation
from meanfield.theory.bend import law_at
from meanfield.theory.edge_of_chaos import edge_of_chaos


@dataclass(frozen=True, eq=False, repr=False)
class Asymptotics(Result):
    """ε_l ~ constant/l**exponent for the decorrelation ε = 1 − c at layer l on the edge of chaos.

    Attributes
    ----------
    exponent : float
        1 ("smooth"), 2 ("kinked"), or 0 ("linear": the correlation map is the identity, ε_l = ε_0).
    constant : float
        In units of ε; at exponent 0 it is 1, in units of ε_0.
    kind : str
        "smooth" (φ' continuous), "kinked" (φ' jumps) or "linear".
    sigma_w, sigma_b, q : float
        The point on the edge of chaos.
    """

    exponent: float
    constant: float
    kind: str
    sigma_w: float
    sigma_b: float
    q: float

    def __str__(self) -> str:
        law = {0.0: "1 - c_l = 1 - c_0", 1.0: f"1 - c_l ~ {self.constant:.6g}/l", 2.0: f"1 - c_l ~ {self.constant:.6g}/l^2"}[self.exponent]
        return paged(f"{law} ({self.kind}) at sigma_w = {self.sigma_w:.9g}, sigma_b = {self.sigma_b:.6g}, q = {self.q:.6g}")


def asymptotics(activation: Any, sigma_b: float) -> Asymptotics:
    """The law by which correlations approach 1 on the edge of chaos (Hayou et al. 2018, 2019).

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    sigma_b : float
        Standard deviation of the biases (σ, not σ²), in [0, 1e100].

    Returns
    -------
    Asymptotics
        At the edge point with the smallest q, variances held at q.

    Raises
    ------
    DomainError
        If there is no edge of chaos at sigma_b, or φ' is infinite somewhere.

    Notes
    -----
    φ' continuous: 1 − f = ε − ε²/β + …, β = 2 V[φ'](q)/(q V[φ''](q)), so ε_l ~ β/l. φ' with jumps J_k at t_k:
    1 − f = ε − κ ε^(3/2) + …, κ = (√2/(3π)) σ_w² Σ J_k² exp(−t_k²/(2q)), so ε_l ~ 4/(κ² l²). Corrections are of relative
    order log(l)/l, or 1/(√ε₀ κ l): with a small κ the law sets in late. At q = 0 (σ_b = 0) the map is that of the slopes
    φ'(0±): the identity where they agree ("linear"), kinked where not.

    Examples
    --------
    >>> import math, meanfield as mf
    >>> law = mf.asymptotics("relu", sigma_b=0.0)
    >>> law.exponent, round(law.constant / (4.5 * math.pi**2), 12)  # 9π²/2
    (2.0, 1.0)
    >>> print(mf.asymptotics("tanh", sigma_b=0.2))
    1 - c_l ~ 7.08374/l (smooth) at sigma_w = 1.30414584, sigma_b = 0.2, q = 0.512079
    """
    act = find_activation(activation)
    bias = one_standard_deviation("sigma_b", sigma_b)
    edge = edge_of_chaos(act, bias)
    if edge.status == "none":
        raise DomainError(f"{act.name} has no edge of chaos at sigma_b = {bias:g}: {edge.reason}")
    exponent, constant, kind = law_at(act, edge.sigma_w**2, edge.q)
    return Asymptotics(exponent, constant, kind, edge.sigma_w, bias, edge.q)
