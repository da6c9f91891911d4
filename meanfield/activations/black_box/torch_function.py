"""A torch module or function as an array function, with derivatives by automatic differentiation."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from meanfield.activations.activation import Array, shortened
from meanfield.activations.black_box.calling import ArrayFunction
from meanfield.errors import ActivationError


class TorchFunction(ArrayFunction):
    """Evaluates in double precision, on a copy where there is a module, in evaluation mode (no dropout, mean slopes)."""

    def __init__(self, function: Any, name: str) -> None:
        import torch

        if isinstance(function, type):
            try:
                function = function()
            except TypeError as error:
                raise ActivationError(f"{name} can't be made without arguments ({error}): pass an instance") from error
        if isinstance(function, torch.nn.Module):
            function = copy.deepcopy(function).cpu().double().eval()
        self.tensors = function
        super().__init__(self._through_tensors, name)
        if self.one_by_one:
            raise ActivationError(f"{name} takes no tensors of several numbers")

    def _through_tensors(self, x: Array) -> Any:
        import torch

        with torch.no_grad():
            y = self.tensors(torch.from_numpy(np.atleast_1d(np.asarray(x, dtype=np.float64)).copy()))
        return y.detach().numpy() if isinstance(y, torch.Tensor) else y

    def differentiated(self, x: Array, k: int) -> Array:
        """φ^(k) by automatic differentiation; NaN where that gives none."""
        import torch

        with torch.enable_grad():
            point = torch.from_numpy(x.copy()).requires_grad_(True)
            try:
                y = self.tensors(point)
                for order in range(k):
                    if not y.requires_grad:
                        return np.zeros_like(x)
                    (y,) = torch.autograd.grad(y.sum(), point, create_graph=order + 1 < k, allow_unused=True, materialize_grads=True)
            except RuntimeError as error:
                raise ActivationError(f"{self.name} can't be differentiated by torch: {shortened(str(error))}") from error
        return np.asarray(y.detach().numpy(), dtype=np.float64)
