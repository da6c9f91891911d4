"""What a freshly initialised network shows layer by layer, by theory and by simulation: Glorot & Bengio's measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield._callable import make_callable
from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.expectation.arguments import real_array, variance
from meanfield.result import Result, left_out, paged, shortened
from meanfield.simulation.layer_statistics_sampling import Histograms, sampled
from meanfield.simulation.layer_statistics_theory import QUANTITIES, expected, steepest
from meanfield.simulation.streaming import Estimate
from meanfield.theory.arguments import one_standard_deviation
from meanfield.theory.recommend import Recommendation
from meanfield.theory.schemes import Scheme, scheme

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Integers

_HEADS = ("Var h", "mean φ", "Var φ", "saturated", "Var ∂E/∂h", "Var ∂E/∂W")
MOST_ROWS = 24  # of the table that a person is shown; `to_frame` has all


@dataclass(frozen=True, eq=False, repr=False)
class SampledLayers(Result):
    """What random networks showed: an Estimate for each quantity, arrays of length L, and histograms over all networks."""

    networks: int
    seed: int
    pre_activation_variance: Estimate
    activation_mean: Estimate
    activation_variance: Estimate
    saturated_fraction: Estimate
    gradient_variance: Estimate
    weight_gradient_variance: Estimate
    histograms: Histograms


@dataclass(frozen=True, eq=False, repr=False)
class LayerStatistics(Result):
    """Layers 1 … L of h^l = W^l x^(l−1) + b^l, x^l = φ(h^l), x⁰ the input; arrays of length L, entry 0 being layer 1.

    The last layer is linear, as before a softmax: its activation is h^L. Gradients are of a cost whose derivative by h^L
    has variance 1 in each component.

    Attributes
    ----------
    widths : ndarray of shape (L + 1,)
        Of the input and of layers 1 … L.
    sigma_w, sigma_b : ndarray
        Of each layer.
    distribution : str
        "normal" or "uniform".
    pre_activation_variance : ndarray
        q^l = E[h²].
    activation_mean, activation_variance : ndarray
        E[φ(h)] and Var[φ(h)] over units and networks.
    saturated_fraction : ndarray
        P(`|φ'(h)|` < threshold · max `|φ'|`).
    gradient_variance : ndarray
        E[(∂E/∂h)²] of one unit.
    weight_gradient_variance : ndarray
        E[(∂E/∂W)²] of one weight.
    threshold : float
    simulated : SampledLayers or None
        The same by sampling.
    """

    activation: Activation
    init: str
    widths: Integers
    sigma_w: Array
    sigma_b: Array
    distribution: str
    threshold: float
    pre_activation_variance: Array
    activation_mean: Array
    activation_variance: Array
    saturated_fraction: Array
    gradient_variance: Array
    weight_gradient_variance: Array
    simulated: SampledLayers | None

    @property
    def depth(self) -> int:
        """L, the number of layers."""
        return int(self.sigma_w.size)

    def _columns(self) -> dict[str, Any]:
        columns: dict[str, Any] = {"layer": np.arange(1, self.depth + 1), "units": self.widths[1:]}
        columns |= {name: getattr(self, name) for name in ("sigma_w", "sigma_b", *QUANTITIES)}
        if self.simulated is not None:
            for name in QUANTITIES:
                found: Estimate = getattr(self.simulated, name)
                columns |= {f"{name}_sampled": found.mean, f"{name}_standard_error": found.standard_error}
        return columns

    def plot(self, ax: Any = None, quantity: str | None = None) -> Any:
        """Draw histograms or a quantity by layer: see `meanfield.plot.layer_statistics`; returns the Axes.

        Without a quantity the histograms of activations, or the gradient's variance where nothing was sampled.
        """
        from meanfield.plot.layer_statistics import layer_statistics as draw

        usual = "gradient_variance" if self.simulated is None else "activations"
        return draw(self, ax, quantity=usual if quantity is None else quantity)

    def __str__(self) -> str:
        title = f"{self.activation.name}, {self.init}, {self.distribution} weights, widths "
        widths = shortened(" ".join(str(n) for n in self.widths), 120)
        lines = [
            paged(f"{title}{widths}; saturated: |φ'| < {self.threshold:g} of its maximum"),
            f"{'layer':>5} {'units':>6}" + "".join(f" {head:>10}" for head in _HEADS),
        ]
        rows = []
        for i in range(self.depth):
            cells = "".join(f" {self._digits(name, i):>10.4g}" for name in QUANTITIES)
            row = f"{i + 1:>5} {self.widths[i + 1]:>6}{cells}"
            if self.simulated is not None:
                found = [getattr(self.simulated, name)[i] for name in QUANTITIES]
                row += f"\n{'':>12}" + "".join(f" {float(e.mean):>10.4g}" for e in found)
                row += f"\n{'':>12}" + "".join(f" {'±' + format(float(e.standard_error), '.1e'):>10}" for e in found)
            rows.append(row)
        lines += left_out(rows, MOST_ROWS if self.simulated is None else MOST_ROWS // 3)
        if self.simulated is not None:
            lines.append(f"Below theory: mean of {self.simulated.networks} networks, seed {self.simulated.seed}, and its standard error.")
        return "\n".join(lines)

    def _digits(self, name: str, i: int) -> float:
        """A number of the theory; what is nothing but rounding beside the spread of φ is 0."""
        value = float(getattr(self, name)[i])
        return 0.0 if name == "activation_mean" and value * value < 1e-28 * float(self.activation_variance[i]) else value


def layer_statistics(
    activation: Any,
    widths: Sequence[int] = (1024, 1000, 1000, 1000, 10),
    init: Any = "pytorch_default",
    *,
    q0: float = 1.0,
    threshold: float = 0.1,
    networks: int = 20,
    seed: int = 0,
    progress: bool = True,
) -> LayerStatistics:
    """Pre-activations, activations, saturation and gradients of a network at initialisation, layer by layer.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    widths : sequence of int
        Units of the input and of layers 1 … L; the last layer is linear.
    init : str, pair of floats, Scheme or Recommendation
        A name that `scheme` knows, applied to each layer's fans; (sigma_w, sigma_b), normal weights; a `Scheme` or a `Recommendation`.
    q0 : float
        The inputs' mean square: x⁰ is uniform on the sphere `|x⁰|²` = q0·widths[0].
    threshold : float
        In (0, 1]: a unit is saturated where `|φ'(h)|` is below this part of the largest `|φ'|` that any layer can meet. For ReLU
        these are the units that are off.
    networks : int
        How many to sample, with explicit matrices; 0 for theory alone.
    seed : int
        Of the sampling.
    progress : bool
        Show a progress bar (in a terminal only).

    Returns
    -------
    LayerStatistics
        Theory in its own fields, sampling in `.simulated`; ``str`` is a table of both.

    Raises
    ------
    ActivationError, DomainError
        If an argument can't be understood or is out of range.

    Notes
    -----
    q^l = σ_b² + σ_w² V[φ](q^(l−1)); backwards Var ∂E/∂h^l = σ_w² (N_(l+1)/N_l) V[φ'](q^l) Var ∂E/∂h^(l+1), with σ_w of layer l + 1, and
    Var ∂E/∂W^l = Var ∂E/∂h^l · E[(x^(l−1))²]. The theory is that of infinite width.

    References
    ----------
    Glorot & Bengio (2010), figures 2 to 4, 6 and 7, and eqs. 5 to 7.

    Examples
    --------
    >>> import meanfield as mf
    >>> found = mf.layer_statistics("tanh", widths=[1024, 1000, 1000, 1000, 10], init="standard", networks=0)
    >>> found.gradient_variance[:-1].round(6)  # smaller in each layer further down
    array([0.00021 , 0.000946, 0.003204])
    """
    act = find_activation(activation)
    sizes = _widths(widths)
    schemes = _schemes(init, sizes)
    start = variance("q0", q0)
    if start.ndim or float(start) == 0.0:
        raise DomainError(f"q0 = {q0!r} is out of range: it must be one positive variance")
    limit = real_array("threshold", threshold)
    if limit.ndim or not 0.0 < float(limit) <= 1.0:
        raise DomainError(f"threshold = {threshold!r} is out of range: it must be one number in (0, 1]")
    for what, value, least in (("networks", networks, 0), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise DomainError(f"{what} = {value!r} is out of range: it must be a whole number of at least {least}")
    theory = expected(act, sizes, schemes, float(start), float(limit))
    found = None
    if networks:
        level = float(limit) * steepest(act, theory["pre_activation_variance"])
        estimates, histograms = sampled(act, sizes, schemes, float(start), level, theory, int(networks), int(seed), progress)
        found = SampledLayers(networks=int(networks), seed=int(seed), histograms=histograms, **estimates)
    return LayerStatistics(
        activation=act,
        init=_name(init),
        widths=np.array(sizes, dtype=np.int64),
        sigma_w=np.array([s.sigma_w for s in schemes]),
        sigma_b=np.array([s.sigma_b for s in schemes]),
        distribution=schemes[0].distribution,
        threshold=float(limit),
        simulated=found,
        **theory,
    )


def _widths(widths: Any) -> list[int]:
    given = real_array("widths", widths)
    if given.ndim != 1 or given.size < 2 or not np.all((given >= 1) & (given == np.round(given)) & (given <= 1e7)):
        raise DomainError(f"widths = {widths!r} is out of range: two or more whole numbers in [1, 10000000], the input's first")
    return [int(n) for n in given]


def _schemes(init: Any, sizes: list[int]) -> list[Scheme]:
    """The initialisation of each layer."""
    fans = list(pairwise(sizes))
    if isinstance(init, str):
        return [scheme(init, n, m) for n, m in fans]
    if isinstance(init, Recommendation):
        init = _as_pair(init)
    if isinstance(init, Scheme):
        return [Scheme(init.sigma_w, init.sigma_b, init.distribution, init.name, n, m) for n, m in fans]
    try:
        sigma_w, sigma_b = init
    except (TypeError, ValueError):
        raise DomainError(
            f"init = {init!r} is no initialisation: give a scheme's name, a Scheme, a Recommendation, or a pair (sigma_w, sigma_b)"
        ) from None
    pair = (one_standard_deviation("sigma_w", sigma_w), one_standard_deviation("sigma_b", sigma_b))
    return [Scheme(*pair, "normal", "(σ_w, σ_b)", n, m) for n, m in fans]


def _as_pair(found: Recommendation) -> tuple[float, float]:
    """Its σ's, where nothing lies between the layers that the statistics would not know of."""
    if found.dropout > 0.0:
        raise DomainError(f"init is a recommendation for dropout = {found.dropout:g}, and these layers have none; give one without")
    return found.sigma_w, found.sigma_b


def _name(init: Any) -> str:
    if isinstance(init, str):
        return init
    if isinstance(init, Scheme):
        return init.name
    if isinstance(init, Recommendation):
        return f"recommended for {init.depth} layers"
    sigma_w, sigma_b = init
    return f"σ_w = {float(sigma_w):g}, σ_b = {float(sigma_b):g}"


make_callable(__name__)
