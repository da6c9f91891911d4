"""The mean and the spread of φ at Gaussian input, and the gains that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.expectation.arguments import unwrap, variance
from meanfield.expectation.spread import mean_and_variance
from meanfield.result import Result, left_out


@dataclass(frozen=True, eq=False, repr=False)
class Standardisation(Result):
    """Mean and spread of φ(√q Z), floats or arrays shaped like q.

    Attributes
    ----------
    mean : E φ
    std : √Var φ
    rms : √E φ²
    gain : 1/std, the factor that keeps a variance of 1 behind standardised weights (Brock et al. 2021)
    """

    mean: Any
    std: Any
    rms: Any
    gain: Any

    def _columns(self) -> dict[str, Any]:
        return {name: np.ravel(getattr(self, name)) for name in ("mean", "std", "rms", "gain")}

    def __str__(self) -> str:
        if np.ndim(self.mean):
            heads = "".join(f"{name:>19}" for name in ("mean", "std", "rms", "gain"))
            rows = zip(*self._columns().values(), strict=True)
            return "\n".join([heads, *left_out(["".join(f"{value:>19.12g}" for value in row) for row in rows], 24)])
        return f"mean = {self.mean:.12g}, std = {self.std:.12g}\nrms = {self.rms:.12g}, gain = {self.gain:.12g}"


def standardisation(activation: Any, q: Any = 1.0) -> Standardisation:
    """Mean, standard deviation and root mean square of φ(√q Z), and gain = 1/std.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    q : float or array
        Variance: 0, or in [1e-280, 1e280].

    Returns
    -------
    Standardisation
        Shaped like q; gain is inf where std is 0.

    Raises
    ------
    ActivationError, DomainError
        If the activation can't be understood or evaluated, or q is out of range.

    Notes
    -----
    The gains that NFNets and their descendants carry are Monte-Carlo estimates, off by 2·10⁻⁴ to 10⁻³: relu 1.71396 in place of
    √2/√(1 − 1/π) = 1.71286, some 10% of the variance after 100 layers.

    References
    ----------
    Brock et al. (2021), arXiv 2101.08692.

    Examples
    --------
    >>> import meanfield as mf
    >>> round(mf.standardisation("silu").gain, 12), round(mf.standardisation("relu").gain, 12)
    (1.7871872221, 1.71285855045)
    """
    act = find_activation(activation)
    variances = variance("q", q)
    means, spreads = np.empty(variances.shape), np.empty(variances.shape)
    for index in np.ndindex(variances.shape):
        means[index], spreads[index] = mean_and_variance(act, float(variances[index]))
    std = np.sqrt(spreads)
    with np.errstate(divide="ignore", over="ignore"):
        gain = 1.0 / std
        rms = np.hypot(means, std)
    return Standardisation(unwrap(means), unwrap(std), unwrap(rms), unwrap(gain))
