"""The arguments that initialisers of several frameworks share, in words: said once, and filled into each docstring."""

from __future__ import annotations

import re
from typing import Any, TypeVar

T = TypeVar("T")

# Of one layer's initialiser.
LAYER = {
    "depth": """
depth : int, optional
    Number of layers: σ_w and σ_b are those of `recommend`. Needed where neither σ is given.
""",
    "sigmas": """
sigma_w, sigma_b : float, optional
    Standard deviations (σ, not σ²) of weights times √fan_in, and of biases; in [0, 1e100]. sigma_w alone: no biases.
    sigma_b alone: σ_w on the edge of chaos there.
""",
    "input_variance": """
input_variance : float, optional
    For the first layer, which sees data instead of φ(h): the mean square of an input's components, |a|²/d. Its σ_w
    is chosen so that the first pre-activations have the variance q of the others.
""",
    "distribution": """
distribution : {"normal", "truncated_normal", "uniform", "orthogonal"}
    Of variance σ_w²/fan_in all of them. Orthogonal matrices are fan_in × units, receptive field included.
""",
    "bias_distribution": """
distribution : {"normal", "truncated_normal", "uniform"}
""",
    "layer_errors": """
ActivationError
    If the activation is missing or can't be understood.
DomainError
    If an argument is out of its range, or there is no edge of chaos to start at.
""",
    "layer_references": """
Poole et al. (2016), eq. 3; Hayou et al. (2018), section 3.
""",
}
# Of a whole model's.
MODEL = {
    "model_activation": """
activation : optional
    Where that can't tell: anything `meanfield.activation` accepts, and the framework's own, for the whole model, or a
    dictionary from layer names to activations. Where it can tell, what is said is checked.
""",
    "model_depth": """
depth : int, optional
    For `meanfield.recommend`; by default the number of layers on the longest way through the model.
""",
    "model_sigmas": """
sigma_w, sigma_b : float, optional
    Standard deviations, the same for all layers, instead of the recommended ones: W has standard deviation
    σ_w/√fan_in, b has σ_b. sigma_w alone: no biases. sigma_b alone: σ_w on the edge of chaos at that σ_b.
""",
    "orthogonal": """
orthogonal : bool
    Orthogonal weights of the same size (convolutions: as a matrix, outputs × inputs · kernel) instead of normal ones.
""",
    "model_input_variance": """
input_variance : float
    Mean square of the numbers that the model is fed, in (0, 1e100].
""",
    "scale_ends": """
scale_ends : bool, optional
    Scale the first layer so that its variance is the fixed point q, and output layers, which no activation follows, to
    variance 1 with no bias. By default where sigma_w is not given.
""",
    "method": """
method : {"theory", "measure"}
    "measure": every layer is scaled on the example, one after the other, to the variance that theory plans for it.
""",
    "model_missing_biases": """
UserWarning
    Where layers without biases can't be on the edge of chaos, and variances or gradients change a hundredfold.
""",
    "model_references": """
Hayou et al. (2018), section 3; Hayou et al. (2021), for 1/√L; Schoenholz et al. (2017), for dropout.
""",
}
TEXTS = {name: text.strip("\n").splitlines() for name, text in {**LAYER, **MODEL}.items()}
PLACE = re.compile(r"^( *)<(\w+)>$", re.MULTILINE)


def documented(target: T) -> T:
    """Fill in the docstring of a function or class: a line ``<depth>`` becomes what this file says about depth.

    Examples
    --------
    >>> @documented
    ... def f(depth):
    ...     '''Parameters:
    ...
    ...     <depth>
    ...     '''
    >>> print(f.__doc__)
    Parameters:
    <BLANKLINE>
        depth : int, optional
            Number of layers: σ_w and σ_b are those of `recommend`. Needed where neither σ is given.
    <BLANKLINE>
    """

    def said(match: re.Match[str]) -> str:
        return "\n".join(match[1] + line for line in TEXTS[match[2]])

    documented: Any = target
    if documented.__doc__ is not None:  # python -OO leaves none
        documented.__doc__ = PLACE.sub(said, documented.__doc__)
    return target
