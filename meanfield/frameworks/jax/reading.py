"""From a model's operations to its steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.frameworks.architecture import Architecture, Step, with_followers
from meanfield.frameworks.jax import primitives
from meanfield.frameworks.jax.parameters import NEW, Parameter, convolution, dot_product
from meanfield.frameworks.jax.taking_apart import Stretch, root_mean_square
from meanfield.frameworks.weight_layer import WeightLayer

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.frameworks.jax.program import Operation, Program


class Reader:
    """Reads a program into steps.

    Numbers of the program are constants, known by their values, or signals. What an elementwise operation, a move or a reduction
    makes of a signal is left open until something asks for it: what lies between it and the last known step is then taken apart at
    the values that every way leads through, into activations, normalisations, dropouts and poolings.

    Parameters
    ----------
    program : Program
    parameters : dict from int to str
        The inputs that are weights and biases, and their places in the model.
    values : dict from int to array
        All inputs that are known: parameters, and what else the model holds.
    kind : callable
        The class of the module that a parameter of that place belongs to.
    """

    def __init__(self, program: Program, parameters: Mapping[int, str], values: Mapping[int, Any], kind: Callable[[str], str]) -> None:
        self.program, self.kind = program, kind
        self.values: dict[int, Any] = {**program.constants, **values}
        self.parameters = {number: Parameter(path, tuple(range(len(program.shapes[number])))) for number, path in parameters.items()}
        self.own_shapes = {path: program.shapes[number] for number, path in parameters.items()}
        self.computed: dict[int, tuple[str, ...]] = {}  # constants that are made from parameters
        self.constant_makers: dict[int, Operation] = {}
        self.random: set[int] = set()
        self.steps: list[Step] = []
        self.settled: dict[int, int] = {}  # the step whose result a signal is
        self.makers: dict[int, Operation] = {}  # of open signals
        self.origins: dict[int, int] = {}  # what an open signal was a function of when it was met
        self.layers: dict[str, WeightLayer] = {}
        # The layer whose product, with no bias yet, a signal is, and its axes that hold the layer's units.
        self.products: dict[int, tuple[str, frozenset[int] | None]] = {}
        self.units: dict[str, int] = {}
        self.weights: dict[Operation, str] = {}  # the parameter that a product takes
        self.parts: dict[tuple[int, str], int] = {}
        self.functions: dict[Any, tuple[Any, Any]] = {}
        self.normalised: dict[Any, float | None] = {}
        self.acted: dict[int, list[tuple[Activation, int]]] = {}
        self.order = {operation: place for place, operation in enumerate(program.operations)}
        self.consumers = _counted(program)

    def read(self) -> Architecture:
        """All operations in order; then which weights were not met."""
        for number in self.program.inputs:
            if number not in self.values:
                self.new(number, Step("data", name="input"))
        for operation in self.program.operations:
            self._met(operation)
        for number in self.program.outputs:
            if self.is_signal(number):
                self._settle(number)
        if not self.layers:
            raise DomainError("model: no weight is multiplied with what comes from x: nothing to initialise")
        met = {*self.weights.values(), *(step.name for step in self.steps if step.embedded)}
        met |= {layer.bias for layer in self.layers.values() if layer.bias is not None}
        self._rename()
        missed = [path for path, shape in self.own_shapes.items() if len(shape) > 1 and path not in met]
        left = tuple(f"{path}: no product with it was met" for path in missed)
        return with_followers(Architecture(tuple(self.steps), self.layers, "", left))

    def _rename(self) -> None:
        """Layers have been called by their weights' places so far."""
        names = layer_names(list(self.layers))
        self.steps = [replace(step, name=names[step.name]) if step.kind == "layer" else step for step in self.steps]
        self.layers = {names[path]: replace(layer, name=names[path]) for path, layer in self.layers.items()}

    def is_signal(self, number: int) -> bool:
        """Whether a number depends on x."""
        return number in self.settled or number in self.makers

    def _met(self, operation: Operation) -> None:
        signals = [number for number in operation.inputs if self.is_signal(number)]
        name = operation.name
        if not signals:
            self._constant(operation)
        elif name in primitives.PRODUCTS:
            self._product(operation, signals)
        elif name == "gather" and operation.inputs[0] in self.parameters:
            table = self.parameters[operation.inputs[0]].path
            self.new(operation.outputs[0], Step("data", name=table, size=root_mean_square(self.values[operation.inputs[0]]), embedded=True))
        elif name in primitives.PARTS:
            self._part(operation, signals[0])
        elif name == "concatenate":
            place = operation.parameters["dimension"]
            widths = tuple(float(self.program.shapes[number][place]) for number in signals)
            self._step(operation, "join", signals, widths=widths)
        elif name in primitives.MOVES or name in primitives.REDUCTIONS:
            self._open(operation, self._root(signals[0]))
        elif name in primitives.ELEMENTWISE:
            self._elementwise(operation, signals)
        else:
            self._other(operation, signals)

    def _constant(self, operation: Operation) -> None:
        """What is made of no signal is computed."""
        made = operation(*(self.values[number] for number in operation.inputs))
        self.values.update(zip(operation.outputs, made, strict=True))
        self.constant_makers.update(dict.fromkeys(operation.outputs, operation))
        if operation.name in primitives.RANDOM or any(number in self.random for number in operation.inputs):
            self.random.update(operation.outputs)
        sources = [self.parameters[number] for number in operation.inputs if number in self.parameters]
        before = [path for number in operation.inputs for path in self.computed.get(number, ())]
        kept = operation.name in primitives.MOVES or (operation.name == "convert_element_type" and len(operation.inputs) == 1)
        if kept and len(sources) == 1 and not before:
            shapes = self.program.shapes[operation.inputs[0]], self.program.shapes[operation.outputs[0]]
            self.parameters[operation.outputs[0]] = sources[0].moved(operation, *shapes)
        elif sources or before:
            found = tuple(dict.fromkeys([*(source.path for source in sources), *before]))
            self.computed.update(dict.fromkeys(operation.outputs, found))

    def _product(self, operation: Operation, signals: list[int]) -> None:
        """A weight layer, if one side is a weight."""
        if len(signals) == 2 and signals[0] != signals[1]:
            self._other(operation, signals)
            return
        side = 1 if operation.inputs[0] == signals[0] else 0
        weight = operation.inputs[side]
        if weight in self.computed:
            raise DomainError(
                f"model: a layer multiplies with what is computed from {', '.join(self.computed[weight])}, so that drawing the parameter "
                f"sets no σ_w: initialise it before that"
            )
        if weight not in self.parameters:
            self._other(operation, signals)
            return
        parameter, shape = self.parameters[weight], self.program.shapes[weight]
        if operation.name == "dot_general":
            product = dot_product(operation, side, parameter, shape, len(self.program.shapes[operation.outputs[0]]))
        elif side == 1:
            product = convolution(operation, parameter, shape)
        else:
            raise DomainError(f"model: {parameter.path} is what is convolved, not the kernel: that is no layer we know")
        name = parameter.path
        kind = self.kind(parameter.path) or ("Dense" if operation.name == "dot_general" else "Conv")
        layer = WeightLayer(name, kind, self.own_shapes[parameter.path], product.fan_in, product.axes, parameter.path)
        known = self.layers.setdefault(name, layer)
        if known.fan_in != product.fan_in:
            raise DomainError(
                f"model: {parameter.path} is used with fan_in {known.fan_in:g} and {product.fan_in:g} (a weight and its transpose): "
                "no σ_w serves both"
            )
        self.weights[operation] = parameter.path
        self.units[name] = product.units
        self._step(operation, "layer", signals[:1], name=name)
        self.products[operation.outputs[0]] = name, product.places

    def _elementwise(self, operation: Operation, signals: list[int]) -> None:
        if len(signals) == 1 and len(operation.inputs) == 2 and operation.name in primitives.SUMS:
            other = next(number for number in operation.inputs if number != signals[0])
            if self._is_bias(signals[0], other):
                name, _ = self.products[signals[0]]
                self.layers[name] = replace(self.layers[name], bias=self.parameters[other].path)
                self.settled[operation.outputs[0]] = self.settled[signals[0]]
                return
        roots = list(dict.fromkeys(self._root(number) for number in signals))
        common = self._common(roots)
        if common is not None:
            self._open(operation, common)
        elif operation.name in primitives.SUMS:
            self._step(operation, "sum", signals, signs=(1.0, primitives.SUMS[operation.name]))
        else:
            self._other(operation, signals)

    def _is_bias(self, signal: int, other: int) -> bool:
        """Whether a parameter that is added is the bias of the layer right before."""
        if signal not in self.products or other not in self.parameters or self.consumers[signal] != 1:
            return False
        (name, places), parameter, shape = self.products[signal], self.parameters[other], self.program.shapes[other]
        own = {place for place, axis in enumerate(parameter.axes or ()) if axis != NEW and shape[place] > 1}
        size = math.prod(self.own_shapes[parameter.path])
        known = self.layers[name].bias
        return size == self.units[name] and (places is None or own <= places) and known in (None, parameter.path)

    def _part(self, operation: Operation, signal: int) -> None:
        """Some units of a signal; one step where the same ones are taken twice."""
        step = self._settle(signal)
        shapes = self.program.shapes
        for place, output in enumerate(operation.outputs):
            if operation.name == "slice" and shapes[output] == shapes[signal]:
                self.settled[output] = step
                continue
            constants = [str(self.values[number]) for number in operation.inputs if number != signal and number in self.values]
            key = (step, f"{operation.name} {place} {operation.parameters} {constants} {shapes[signal]}")
            if key not in self.parts:
                self.parts[key] = self.new(output, Step("part", (step,), operation.shown))
            self.settled[output] = self.parts[key]

    def _other(self, operation: Operation, signals: list[int]) -> None:
        """Something of unknown kind; it may not have weights of its own."""
        inside = [self.parameters[number].path for number in operation.inputs if number in self.parameters]
        inside = [path for path in inside if len(self.own_shapes[path]) > 1]
        if inside:
            raise DomainError(
                f"model: {operation.shown} takes the weights {', '.join(inside)}, and what it does with them is not understood"
                + (" (write the loop out, layer by layer)" if operation.name == "scan" else "")
            )
        self._step(operation, "other", signals)

    def _step(self, operation: Operation, kind: str, signals: Sequence[int], name: str = "", **more: Any) -> None:
        sources = tuple(self._settle(number) for number in signals)
        index = self.new(operation.outputs[0], Step(kind, sources, name or operation.shown, **more))
        self.settled.update(dict.fromkeys(operation.outputs, index))

    def new(self, number: int, step: Step) -> int:
        """A step, and the signal that is its result."""
        self.steps.append(step)
        self.settled[number] = len(self.steps) - 1
        return len(self.steps) - 1

    def _open(self, operation: Operation, origin: int) -> None:
        for output in operation.outputs:
            self.makers[output], self.origins[output] = operation, origin
        # A layer's product is still that behind what only moves its numbers.
        source = next(number for number in operation.inputs if self.is_signal(number))
        if operation.name in primitives.MOVES and source in self.products and self.consumers[source] == 1:
            self.products[operation.outputs[0]] = self.products[source][0], None  # which axes its units are now is not followed
            self.settled[operation.outputs[0]] = self.settled[source]

    def _root(self, number: int) -> int:
        """The settled signal that a signal is a function of: the nearest, if all ways lead through it."""
        if number in self.settled:
            return number
        found: set[int] = set()
        waiting, seen = [number], {number}
        while waiting:
            for source in self.signals(self.makers[waiting.pop()]):
                if source in self.settled:
                    found.add(source)
                elif source not in seen:
                    seen.add(source)
                    waiting.append(source)
        return found.pop() if len(found) == 1 else self.origins[number]

    def _common(self, roots: list[int]) -> int | None:
        """A signal that all of these are, or were when they were met, functions of."""
        chains = []
        for root in roots:
            chain = [root]
            while chain[-1] in self.origins and self.origins[chain[-1]] != chain[-1]:
                chain.append(self.origins[chain[-1]])
            chains.append(chain)
        return next((number for number in chains[0] if all(number in chain for chain in chains)), None)

    def signals(self, operation: Operation) -> list[int]:
        """What of an operation's inputs depends on x."""
        return [number for number in operation.inputs if self.is_signal(number)]

    def between(self, start: int, end: int) -> list[Operation]:
        """The operations on all ways from one signal to another."""
        found: set[Operation] = set()
        waiting = [end]
        while waiting:
            number = waiting.pop()
            operation = self.makers.get(number) if number != start else None
            if operation is not None and operation not in found:
                found.add(operation)
                waiting.extend(self.signals(operation))
        return sorted(found, key=self.order.__getitem__)

    def _settle(self, number: int) -> int:
        """The step of a signal; what was left open is taken apart now."""
        if number not in self.settled:
            chain = self._passed(self._root(number), number)
            Stretch(self, chain).settle()
        return self.settled[number]

    def _passed(self, start: int, end: int) -> tuple[int, ...]:
        """The signals that every way from start to end leads through."""
        passed: dict[int, tuple[int, ...]] = {start: (start,)}
        for operation in self.between(start, end):
            ways = [passed[number] for number in operation.inputs if number in passed]
            shared = ways[0]
            for way in ways[1:]:
                shared = tuple(a for a, b in zip(shared, way, strict=False) if a == b)
            passed.update({output: (*shared, output) for output in operation.outputs})
        return passed[end]


def layer_names(weights: Sequence[str]) -> dict[str, str]:
    """For each weight the name of its layer: the module's place, or the weight's own where a module has several or is the model.

    Examples
    --------
    >>> layer_names(["layers.0.kernel", "mixer.left", "mixer.right", "w"])
    {'layers.0.kernel': 'layers.0', 'mixer.left': 'mixer.left', 'mixer.right': 'mixer.right', 'w': 'w'}
    """
    owners = [path.rpartition(".")[0] for path in weights]
    return {path: owner if owner and owners.count(owner) == 1 else path for path, owner in zip(weights, owners, strict=True)}


def _counted(program: Program) -> dict[int, int]:
    """How often each number is used."""
    counts = dict.fromkeys(program.shapes, 0)
    for operation in program.operations:
        for number in operation.inputs:
            counts[number] += 1
    for number in program.outputs:
        counts[number] += 1
    return counts
