"""A weight layer of a model whose framework has no class of its own for it, or many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meanfield.frameworks.kernel_axes import KernelAxes


@dataclass(frozen=True)
class WeightLayer:
    """What a plan and a draw need to know.

    Attributes
    ----------
    name : str
    kind : str
        The class of the module that it belongs to.
    shape : tuple of int
        Of its weight.
    fan_in : float
        Products summed in one output; of a transposed convolution with a stride, on average.
    axes : KernelAxes or None
        Which axes of the weight are inputs and outputs; None where a reshaping hides that.
    weight : Any
        Where the weight is to be found in the model.
    bias : Any
        The same of its bias; None if it has none.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    fan_in: float
    axes: KernelAxes | None
    weight: Any
    bias: Any = None
