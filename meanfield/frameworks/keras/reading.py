"""From a Keras model's calls to its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import ActivationError, DomainError
from meanfield.frameworks.architecture import Architecture, Step, with_followers
from meanfield.frameworks.equality import POINTS, same
from meanfield.frameworks.keras.installed import keras
from meanfield.frameworks.keras.recognition import is_elementwise, recognised, values_of
from meanfield.frameworks.keras.roles import SUMS, role
from meanfield.frameworks.keras.weight_layers import kernels
from meanfield.frameworks.same_function import SINGLE, same_values
from meanfield.frameworks.signal import slope_of

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.frameworks.keras.graph import Call, Graph
    from meanfield.frameworks.weight_layer import WeightLayer

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class _Value:
    """A tensor: the result of a step, or an elementwise function of it that may become an activation."""

    step: int
    anchor: int  # the number of the tensor that is the step's result
    function: Function | None = None
    source: Any = None  # the one layer or operation that it is, if it is one


class Reader:
    """Reads a graph into steps.

    Parameters
    ----------
    graph : Graph
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps: list[Step] = []
        self.values: dict[int, _Value] = {}
        self.made: dict[int, int] = {}  # steps of tensors that were open
        self.acted: dict[int, list[tuple[Activation, int]]] = {}
        self.parts: dict[tuple[int, str], int] = {}
        self.layers: dict[str, WeightLayer] = {}
        self.products: dict[Call, tuple[str, ...]] = {}  # the layers of a call
        self.left: list[str] = []
        self.elementwise: dict[Any, bool] = {}
        self.activations: dict[Any, Activation] = {}

    def read(self) -> Architecture:
        """All calls in order."""
        for number in self.graph.inputs:
            self._new(number, Step("data", name="input"))
        for call in self.graph.calls:
            self._met(call)
        for number in self.graph.outputs:
            self._settle(number)
        if not self.layers:
            raise DomainError("model holds no Dense or convolution layer: nothing to initialise")
        return with_followers(Architecture(tuple(self.steps), self.layers, "", tuple(self.left)))

    def _met(self, call: Call) -> None:
        operation = call.operation
        found = tuple(kernels(operation, call.name)) if hasattr(operation, "built") else ()
        if found:
            self._layer(call, found)
            return
        kind = role(operation)
        own = type(operation).__name__
        anchors = {self.values[number].anchor for number in call.inputs}
        if own == "Embedding":
            self._new(call.outputs[0], Step("data", name=call.name, size=_size(operation.embeddings), embedded=True))
        elif own == "PReLU":
            self._step(call, "activation", activation=find_activation("prelu", init=_size(operation.alpha)))
        elif own == "GaussianNoise":
            self._step(call, "shift", size=float(operation.stddev))
        elif kind == "normalisation":
            self._normalised(call)
        elif kind == "dropout":
            self._dropped(call)
        elif kind == "move" and len(call.inputs) == 1:
            self.values[call.outputs[0]] = self.values[call.inputs[0]]
        elif kind == "sum" and len(anchors) > 1:
            sign = SUMS[own]
            self._step(call, "sum", signs=(1.0, *(sign,) * (len(call.inputs) - 1)))
        elif kind == "mean":
            self._step(call, "sum", signs=(1.0 / len(call.inputs),) * len(call.inputs))
        elif kind == "join":
            self._joined(call)
        elif kind == "pool":
            self._step(call, "pool")
        elif kind == "part" and len(call.inputs) == 1:
            self._part(call)
        elif len(anchors) == 1 and not getattr(operation, "weights", ()) and self._is_function(call):
            self._open(call)
        else:
            if getattr(operation, "weights", ()):
                self.left.append(f"{call.name}: {own} is not looked into")
            self._step(call, "other", name=f"{call.name} ({own})")

    def _layer(self, call: Call, found: Sequence[WeightLayer]) -> None:
        first = self._settle(call.inputs[0])
        for layer in found:
            known = self.layers.setdefault(layer.name, layer)
            zero = not np.any(_array(known.weight))
            first = self._new(call.outputs[0], Step("layer", (first,), layer.name, zero=zero))
        self.products[call] = tuple(layer.name for layer in found)
        function = getattr(call.operation, "activation", None)
        if function is None or function is keras.activations.linear:
            return
        key = (_settings(function), "")
        if key not in self.elementwise:
            self.elementwise[key] = is_elementwise(function)
        if self.elementwise[key]:
            self.values[call.outputs[0]] = _Value(first, call.outputs[0], function, function)
            self._settle_as(call.outputs[0])
        else:
            self._new(call.outputs[0], Step("other", (first,), getattr(function, "__name__", type(function).__name__)))

    def _normalised(self, call: Call) -> None:
        gains = [_array(gain) for name in ("gamma", "scale") if hasattr(gain := getattr(call.operation, name, None), "shape")]
        zero = bool(gains) and not np.any(gains[0])
        self._step(call, "normalisation", name=type(call.operation).__name__, zero=zero)

    def _dropped(self, call: Call) -> None:
        rate, alpha = float(call.operation.rate), type(call.operation).__name__ == "AlphaDropout"
        if rate == 0.0:
            self.values[call.outputs[0]] = self.values[call.inputs[0]]
            return
        self._step(call, "dropout", name=f"{'alpha ' if alpha else ''}dropout of {rate:g}", rate=rate, alpha=alpha)

    def _joined(self, call: Call) -> None:
        axis = int(getattr(call.operation, "axis", -1))
        stacked = type(call.operation).__name__ == "Stack"
        sizes = [1 if stacked else shape[axis] for shape in call.shapes]
        self._step(call, "join", widths=tuple(None if size is None else float(size) for size in sizes))

    def _part(self, call: Call) -> None:
        """Some units of a tensor; one step where the same ones are taken twice."""
        source = self._settle(call.inputs[0])
        arguments, keywords = call.given(*(None for _ in call.inputs))
        for place, number in enumerate(call.outputs):
            key = (source, f"{place} {arguments} {keywords} {_settings(call.operation)}")
            if key not in self.parts:
                self.parts[key] = self._new(number, Step("part", (source,), call.name))
            self.values[number] = _Value(self.parts[key], number)

    def _is_function(self, call: Call) -> bool:
        """Whether a call acts on each number by itself, the same tensor in all its places."""
        if len(call.outputs) != 1:
            return False
        key = (_settings(call.operation), str(call.given(*(None for _ in call.inputs))))
        if key not in self.elementwise:
            self.elementwise[key] = is_elementwise(lambda x: call(*(x for _ in call.inputs)))
        return self.elementwise[key]

    def _open(self, call: Call) -> None:
        """A function of one tensor, put together."""
        before = [self.values[number] for number in call.inputs]
        functions = [value.function or _itself for value in before]
        alone = len(before) == 1 and before[0].function is None

        def function(x: Any) -> Any:
            return call(*(inner(x) for inner in functions))

        self.values[call.outputs[0]] = _Value(before[0].step, before[0].anchor, function, call.operation if alone else None)

    def _step(self, call: Call, kind: str, name: str = "", **more: Any) -> None:
        sources = tuple(self._settle(number) for number in call.inputs)
        index = self._new(call.outputs[0], Step(kind, sources, name or call.name, **more))
        for number in call.outputs[1:]:
            self.values[number] = _Value(index, call.outputs[0])

    def _new(self, number: int, step: Step) -> int:
        self.steps.append(step)
        self.values[number] = _Value(len(self.steps) - 1, number)
        return len(self.steps) - 1

    def _settle(self, number: int) -> int:
        """The step of a tensor; an elementwise function becomes an activation now, if it was not one before."""
        value = self.values[number]
        if value.function is None:
            return value.step
        if number not in self.made:
            before = self.steps[value.step].name
            try:
                act = self._activation(value)
            except ActivationError as error:
                raise ActivationError(f"the activation after {before!r}: {error}") from error
            self.made[number] = self._acted(value.step, act)
        return self.made[number]

    def _settle_as(self, number: int) -> None:
        """The same of a layer's own activation: the tensor is its result from then on."""
        self.values[number] = _Value(self._settle(number), number)

    def _acted(self, source: int, act: Activation) -> int:
        """The same function of the same tensor, written twice, is one step; a factor is none."""
        known = next((index for other, index in self.acted.setdefault(source, []) if same(other, act)), None)
        if known is not None:
            return known
        slope = slope_of(act)
        if slope is None:
            self.steps.append(Step("activation", (source,), act.name, act))
        elif slope == 1.0:
            return source
        else:
            self.steps.append(Step("scale", (source,), f"× {slope:.4g}", size=slope, zero=slope == 0.0))
        self.acted[source].append((act, len(self.steps) - 1))
        return len(self.steps) - 1

    def _activation(self, value: _Value) -> Activation:
        """Of a layer or function by itself, each kind looked at once; else of what is put together."""
        source = value.source
        if type(source).__name__ == "Activation":
            source = source.activation
        if source is None or (isinstance(source, keras.Operation) and not isinstance(source, keras.layers.Layer)):
            function = values_of(value.function)
            found = self._met_before(function) or same_values(function, SINGLE)
            return self.activations.setdefault(value, found or find_activation(function, name="a function in the model"))
        key = _settings(source)
        if key not in self.activations:
            self.activations[key] = self._met_before(values_of(source)) or find_activation(recognised(source))
        return self.activations[key]

    def _met_before(self, values: Callable[[Any], Any]) -> Activation | None:
        """The activation with these values that is known already: to look at a new one costs seconds."""
        wanted = values(POINTS)
        return next((act for act in self.activations.values() if same(act, lambda x: wanted)), None)


def _itself(x: Any) -> Any:
    return x


def _settings(source: Any) -> Any:
    """What makes two layers or operations the same function; a function, or a layer that can't be described, is known by itself."""
    if not isinstance(source, keras.Operation):
        return source
    if type(source).__name__ in ("Activation", "Lambda"):
        return type(source), getattr(source, "activation", None) or source.function
    try:
        settings = source.get_config()
    except Exception:  # a user's class that describes itself by other than plain arguments
        return source
    return type(source), str(sorted((name, str(value)) for name, value in settings.items() if name != "name"))


def _array(variable: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float64)


def _size(variable: Any) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(_array(variable)))))
