"""σ_w alone, as one number to fill in."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from meanfield.activations import activation as find_activation
from meanfield.theory.edge_of_chaos import edge_of_chaos
from meanfield.theory.mean_field import MeanField
from meanfield.theory.recommend import checked_bias, checked_law, checked_layers, checked_rate, checked_residual, factor, recommend
from meanfield.theory.signal_changes import SignalChanges

if TYPE_CHECKING:
    from meanfield.activations import Activation

TOLD = math.log(10.0)  # nats of change over the depth from which on a warning is due


def gain(
    activation: Any,
    depth: int = 100,
    bias: bool = True,
    dropout: float = 0.0,
    weights: str = "gaussian",
    residual: bool = False,
) -> float:
    """σ_w for weights of standard deviation σ_w/√fan_in: the counterpart of torch.nn.init.calculate_gain for any activation.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    depth : int
        Number of layers, in [1, 10⁸]. It matters where biases are needed or there are none, and decides whether there is a warning.
    bias : bool
        Whether the layers have biases to set. Without, the answer is the σ_w that serves σ_b = 0 best at that depth.
    dropout, weights, residual
        As in `recommend`: the gain behind dropout is smaller by √(1 − p), that of residual branches by 1/√depth, and that of orthogonal
        or uniform weights the same.

    Returns
    -------
    float
        σ_w on the edge of chaos at σ_b = 0 where the variance recursion from q = 1 stays bounded there; otherwise
        recommend(activation, depth).sigma_w. With bias=False or residual=True: recommend's with the same.

    Raises
    ------
    DomainError
        If the activation has no edge of chaos, or, with bias=False, no σ_w keeps a signal that far.

    Warns
    -----
    UserWarning
        Where the answer needs biases; the warning names their σ_b. And where, with σ_b = 0, the variance or the mean squared gradient
        changes by more than a factor of 10 over the depth; the warning names both.

    Notes
    -----
    bias=False gives the σ_w with the smallest max(|log q_L/q₀|, |log of the squared gradient|) over the depth L from q₀ = 1.
    tanh gives 1 on the edge of chaos, where torch's table has 5/3: χ₁ = 1 at the origin against a figure chosen by experience.

    Examples
    --------
    >>> import meanfield as mf
    >>> round(mf.gain("relu"), 12), mf.gain("tanh", depth=5), mf.gain("linear")
    (1.414213562373, 1.0, 1.0)
    >>> round(mf.gain("elu", depth=20, bias=False), 4)
    1.2211
    >>> round(mf.gain("relu", depth=50, residual=True), 6), round(mf.gain("relu", dropout=0.5), 12)  # √(2/50), √(2·½)
    (0.2, 1.0)
    """
    act = find_activation(activation)
    layers = checked_layers(depth)
    rate, _ = checked_rate(dropout), checked_law(weights)
    kept = math.sqrt(1.0 - rate)
    if checked_residual(residual):
        return recommend(act, layers, dropout=rate, residual=True).sigma_w
    if not checked_bias(bias):
        best = recommend(act, layers, bias=False)
        _tell_losses(act, best.sigma_w, layers, "no sigma_w does better at sigma_b = 0")
        return best.sigma_w * kept
    edge = edge_of_chaos(act, 0.0)
    if edge.status != "none" and math.isfinite(MeanField(act, edge.sigma_w, 0.0).variance_limit(1.0)):
        if edge.status == "repelling":
            warnings.warn(
                f"the gain {edge.sigma_w:.6g} of {act.name} holds a variance of {edge.q:.6g} that repels, F' = {edge.variance_slope:.6g}: "
                "any other one leaves it",
                UserWarning,
                stacklevel=2,
            )
        _tell_losses(
            act, float(edge.sigma_w), layers, f"gain(..., depth={layers}, bias=False) gives a better sigma_w, recommend one with biases"
        )
        return float(edge.sigma_w) * kept
    best = recommend(act, layers)
    if edge.status == "none":
        why = "there is no edge of chaos at sigma_b = 0"
    else:
        why = f"at sigma_b = 0, sigma_w = {edge.sigma_w:.6g} the variance grows without bound"
    warnings.warn(
        f"the gain {best.sigma_w:.6g} of {act.name} for {layers} layers needs biases with sigma_b = {best.sigma_b:.6g}: {why}",
        UserWarning,
        stacklevel=2,
    )
    return best.sigma_w * kept


def _tell_losses(act: Activation, sigma_w: float, layers: int, advice: str) -> None:
    """Warn where σ_b = 0 costs much at that depth."""
    variance, gradient = SignalChanges(act, (1.0,), (layers,)).sizes(layers, sigma_w, 0.0)[0]
    if max(abs(variance), abs(gradient)) > TOLD:
        warnings.warn(
            f"the gain {sigma_w:.6g} of {act.name} without biases: over {layers} layers a variance of 1 becomes {factor(variance)}, and "
            f"the mean squared gradient {factor(gradient)} times what it was at the last layer; {advice}",
            UserWarning,
            stacklevel=3,
        )
