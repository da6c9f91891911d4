"""How many units each tensor brings to a concatenation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield.frameworks.torch import elementwise
from meanfield.frameworks.torch.installed import torch
from meanfield.frameworks.torch.weight_layers import is_weight_layer, units

if TYPE_CHECKING:
    from collections.abc import Callable

# Operations behind which a feature, or channel, is what it was.
KEEPING = elementwise.DROPOUTS | {"contiguous", "clone", "detach", "to", "type_as", "cpu", "cuda", "identity"}
KEEPING_MODULES = (*elementwise.NORM_MODULES, *elementwise.POOLING_MODULES, "Drop", "StochasticDepth", "Identity", "Upsample", "ZeroPad")


class Widths:
    """Widths of the tensors of a graph, from shapes on an example where there is one, else from the layers around them.

    Parameters
    ----------
    modules : dict
    name : callable
        What a node's operation is called.
    acts_alone : callable
        Whether a node acts on each number by itself.
    shapes : dict from nodes to shapes, or None
    """

    def __init__(
        self,
        modules: dict[str, Any],
        name: Callable[[Any], str],
        acts_alone: Callable[[Any], bool],
        shapes: dict[Any, tuple[int, ...]] | None,
    ) -> None:
        self.modules, self.name, self.acts_alone, self.shapes = modules, name, acts_alone, shapes
        self._known: dict[Any, float | None] = {}

    def of(self, join: Any, parts: list[Any]) -> tuple[float | None, ...]:
        """Of the parts of a concatenation or stack."""
        name = self.name(join)
        if name == "stack":
            return (1.0,) * len(parts)
        dim = join.kwargs.get(
            "dim", join.kwargs.get("axis", join.args[1] if len(join.args) > 1 else {"hstack": 1, "vstack": 0}.get(name, 0))
        )
        if self.shapes is not None:
            shapes = [self.shapes.get(part) for part in parts]
            return tuple(None if shape is None or not shape or not isinstance(dim, int) else float(shape[dim]) for shape in shapes)
        if dim not in (1, -1):
            return (None,) * len(parts)
        found = [self.width(part) for part in parts]
        total = self._read_by(join)
        missing = [i for i, width in enumerate(found) if width is None]
        known = sum(width for width in found if width is not None)
        if total is not None and len(missing) == 1 and total > known:
            found[missing[0]] = total - known
        elif total is not None and not missing and total != known:
            return (None,) * len(parts)  # it is not features that are put side by side
        return tuple(found)

    def width(self, node: Any) -> float | None:
        """Features or channels of a tensor; None where the modules around it don't tell."""
        if node not in self._known:
            self._known[node] = None
            found = self._made_by(node)
            self._known[node] = self._read_by(node) if found is None else found
        return self._known[node]

    def _made_by(self, node: Any) -> float | None:
        """From what makes it."""
        if node.op == "call_module":
            module = self.modules[node.target]
            if is_weight_layer(module):
                return float(units(module))
        if self._keeps(node):
            return next((width for source in node.all_input_nodes if (width := self.width(source)) is not None), None)
        if node.op == "call_function" and self.name(node) in ("cat", "concat", "concatenate"):
            parts = [part for part in (node.args[0] if node.args else node.kwargs["tensors"]) if hasattr(part, "all_input_nodes")]
            widths = [self.width(part) for part in parts]
            dim = node.kwargs.get("dim", node.kwargs.get("axis", node.args[1] if len(node.args) > 1 else 0))
            if dim in (1, -1) and all(width is not None for width in widths):
                return float(sum(width for width in widths if width is not None))
        return None

    def _keeps(self, node: Any) -> bool:
        if node.op == "call_module":
            words = [kind.__name__ for kind in type(self.modules[node.target]).__mro__]
            return self.acts_alone(node) or any(name in word for word in words for name in KEEPING_MODULES)
        if node.op not in ("call_function", "call_method"):
            return False
        return self.name(node).removesuffix("_") in KEEPING or self.acts_alone(node)

    def _read_by(self, node: Any) -> float | None:
        """From a layer that takes it, straight or behind elementwise functions."""
        waiting = list(node.users)
        seen: set[Any] = set()
        while waiting:
            user = waiting.pop(0)
            if user in seen:
                continue
            seen.add(user)
            if user.op == "call_module" and is_weight_layer(self.modules[user.target]):
                layer = self.modules[user.target]
                return float(layer.in_channels if hasattr(layer, "kernel_size") else layer.in_features)
            if self._keeps(user):
                waiting.extend(user.users)
        return None


def shapes_of(model: Any, graph: Any, example: Any) -> dict[Any, tuple[int, ...]]:
    """Shapes of all tensors of a graph on an example input."""
    t = torch()
    from torch.fx import GraphModule, Interpreter

    shapes: dict[Any, tuple[int, ...]] = {}

    def run_node(self: Any, n: Any) -> Any:
        result = Interpreter.run_node(self, n)
        if isinstance(result, t.Tensor):
            shapes[n] = tuple(result.shape)
        return result

    arguments = example if isinstance(example, tuple) else (example,)
    with t.no_grad():
        type("Shapes", (Interpreter,), {"run_node": run_node})(GraphModule(model, graph)).run(*arguments)
    return shapes
