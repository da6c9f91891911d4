"""Initialisation schemes by name, as σ_w and σ_b."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.result import Result

if TYPE_CHECKING:
    from meanfield.theory.mean_field import MeanField

# σ_w² from fan-in n and fan-out m, σ_b² from n, and the distribution that the plain name stands for.
_SCHEMES: dict[str, tuple[Any, Any, str]] = {
    "lecun": (lambda n, m: 1.0, lambda n: 0.0, "normal"),
    "he": (lambda n, m: 2.0, lambda n: 0.0, "normal"),
    "glorot": (lambda n, m: 2.0 * n / (n + m), lambda n: 0.0, "uniform"),
    # U[−1/√n, 1/√n] has variance 1/(3n).
    "standard": (lambda n, m: 1.0 / 3.0, lambda n: 0.0, "uniform"),
    "pytorch_default": (lambda n, m: 1.0 / 3.0, lambda n: 1.0 / (3.0 * n), "uniform"),
}
_ALIASES = {
    "kaiming": "he",
    "xavier": "glorot",
    "normalized": "glorot",
    "normalised": "glorot",
    "pytorch": "pytorch_default",
    "torch_default": "pytorch_default",
}
_DISTRIBUTIONS = ("normal", "uniform")


@dataclass(frozen=True, eq=False, repr=False)
class Scheme(Result):
    """An initialisation, in the terms of the theory.

    Attributes
    ----------
    sigma_w, sigma_b : float
        W_ij has standard deviation sigma_w/√fan_in, b_i has sigma_b.
    distribution : str
        "normal" or "uniform", of the weights and of the biases.
    name : str
        The scheme's own name, aliases resolved.
    fan_in, fan_out : int or None
        None where the scheme was asked for without.
    """

    sigma_w: float
    sigma_b: float
    distribution: str
    name: str
    fan_in: int | None = None
    fan_out: int | None = None

    def __str__(self) -> str:
        fans = "" if self.fan_in is None else f", fan_in {self.fan_in}, fan_out {self.fan_out}"
        return f"{self.name} ({self.distribution}): sigma_w = {self.sigma_w:.9g}, sigma_b = {self.sigma_b:.9g}{fans}"

    @property
    def weight_standard_deviation(self) -> float:
        """Of one weight: σ_w/√fan_in."""
        if self.fan_in is None:
            raise DomainError(f"the standard deviation of one weight needs fan_in: scheme({self.name!r}, fan_in=…)")
        return self.sigma_w / math.sqrt(self.fan_in)

    def network(self, activation: Any) -> MeanField:
        """The ensemble of networks with that activation whose layers are all initialised so."""
        from meanfield.theory.mean_field import MeanField

        return MeanField(activation, self.sigma_w, self.sigma_b)

    def place(self, activation: Any) -> str:
        """Where it lies in the phase diagram of an activation, in one sentence.

        Examples
        --------
        >>> import meanfield as mf
        >>> print(mf.scheme("he", 512).place("relu"))
        he (σ_w = 1.41421, σ_b = 0) with relu is critical: χ₁ = 1, gradients keep their size; the edge of chaos at this σ_b is σ_w = 1.41421
        """
        from meanfield.theory.edge_of_chaos import edge_of_chaos

        net = self.network(activation)
        chi = net.chi_1
        depth = 0.0 if chi == 0.0 or math.isinf(chi) else abs(net.depth_scales.xi_grad)
        behaviour = {
            "ordered": f"gradients shrink e-fold in {depth:.6g} layers",
            "chaotic": f"gradients grow e-fold in {depth:.6g} layers",
            "critical": "gradients keep their size",
        }[net.phase]
        edge = edge_of_chaos(net.activation, sigma_b=self.sigma_b)
        there = f"at this σ_b is σ_w = {float(edge.sigma_w):.6g}" if edge.status != "none" else "has no point at this σ_b"
        sigmas = f"σ_w = {self.sigma_w:.6g}, σ_b = {self.sigma_b:.6g}"
        return f"{self.name} ({sigmas}) with {net.activation.name} is {net.phase}: χ₁ = {chi:.6g}, {behaviour}; the edge of chaos {there}"


def scheme(name: str, fan_in: int | None = None, fan_out: int | None = None) -> Scheme:
    """An initialisation scheme by name.

    Parameters
    ----------
    name : str
        "lecun", "he" ("kaiming"), "glorot" ("xavier", "normalized") or "standard", with "_normal" or "_uniform" after it
        if wanted (lecun and he stand for normal weights, glorot and standard for uniform ones), or "pytorch_default", that
        of ``torch.nn.Linear``. Capitals, hyphens and spaces don't matter.
    fan_in, fan_out : int, optional
        Units below and above the layer; fan_out is fan_in where it is not given. Without both σ_w and σ_b are those of equal fans, and
        only "pytorch_default", whose σ_b depends on fan_in, needs it.

    Returns
    -------
    Scheme
        sigma_w, sigma_b, distribution, …

    Raises
    ------
    DomainError
        If the name is unknown, a fan is not a whole number of at least 1, or is missing where the answer depends on it.

    Notes
    -----
    With n = fan_in and m = fan_out: LeCun σ_w² = 1, He σ_w² = 2, Glorot σ_w² = 2n/(n + m), the "standard" U[−1/√n, 1/√n] of
    Glorot & Bengio (2010) σ_w² = 1/3, all with σ_b = 0; PyTorch draws weights and biases from U[−1/√n, 1/√n]: σ_w² = 1/3,
    σ_b² = 1/(3n).

    References
    ----------
    LeCun et al. (1998); Glorot & Bengio (2010), eqs. 1 and 16; He et al. (2015).

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.scheme("he_normal", fan_in=512, fan_out=512)
    >>> round(found.sigma_w, 6), found.sigma_b, found.distribution
    (1.414214, 0.0, 'normal')
    """
    base, distribution = _resolved(name)
    weight, bias, usual = _SCHEMES[base]
    if fan_in is None:
        if fan_out is not None or base == "pytorch_default":
            raise DomainError(f"fan_in is missing: {base} {'with fan_out ' if fan_out is not None else ''}needs it")
        return Scheme(math.sqrt(weight(1, 1)), math.sqrt(bias(1)), distribution or usual, base)
    n = _fan("fan_in", fan_in)
    m = n if fan_out is None else _fan("fan_out", fan_out)
    return Scheme(math.sqrt(weight(n, m)), math.sqrt(bias(n)), distribution or usual, base, n, m)


def _resolved(name: Any) -> tuple[str, str]:
    if isinstance(name, str):
        word = name.strip().lower().replace("-", "_").replace(" ", "_")
        base, distribution = word, ""
        for ending in _DISTRIBUTIONS:
            if word.endswith("_" + ending):
                base, distribution = word.removesuffix("_" + ending), ending
        base = _ALIASES.get(base, base)
        if base in _SCHEMES and not (base == "pytorch_default" and distribution):
            return base, distribution
    known = [f"{base}[_normal|_uniform]" if base != "pytorch_default" else base for base in _SCHEMES]
    raise DomainError(f"init = {name!r} is no initialisation scheme; give one of {', '.join(known)}, or kaiming, xavier, normalized")


def _fan(what: str, value: Any) -> int:
    import numpy as np

    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise DomainError(f"{what} = {value!r} is out of range: it must be a whole number of at least 1")
    return int(value)
