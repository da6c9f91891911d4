"""From a model's operations to its steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import ActivationError, DomainError
from meanfield.frameworks.architecture import Architecture, Step, with_followers
from meanfield.frameworks.equality import same
from meanfield.frameworks.jax import primitives
from meanfield.frameworks.jax.parameters import NEW, Parameter, convolution, dot_product
from meanfield.frameworks.jax.pointwise import as_activation, is_one_number, line, pointwise
from meanfield.frameworks.jax.stretches import mask, probability, size_of_normalised
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
                self._new(number, Step("data", name="input"))
        for operation in self.program.operations:
            self._met(operation)
        for number in self.program.outputs:
            if self._is_signal(number):
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

    def _is_signal(self, number: int) -> bool:
        return number in self.settled or number in self.makers

    def _met(self, operation: Operation) -> None:
        signals = [number for number in operation.inputs if self._is_signal(number)]
        name = operation.name
        if not signals:
            self._constant(operation)
        elif name in primitives.PRODUCTS:
            self._product(operation, signals)
        elif name == "gather" and operation.inputs[0] in self.parameters:
            table = self.parameters[operation.inputs[0]].path
            self._new(operation.outputs[0], Step("data", name=table, size=_size(self.values[operation.inputs[0]]), embedded=True))
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
                self.parts[key] = self._new(output, Step("part", (step,), operation.shown))
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
        index = self._new(operation.outputs[0], Step(kind, sources, name or operation.shown, **more))
        self.settled.update(dict.fromkeys(operation.outputs, index))

    def _new(self, number: int, step: Step) -> int:
        self.steps.append(step)
        self.settled[number] = len(self.steps) - 1
        return len(self.steps) - 1

    def _open(self, operation: Operation, origin: int) -> None:
        for output in operation.outputs:
            self.makers[output], self.origins[output] = operation, origin
        # A layer's product is still that behind what only moves its numbers.
        source = next(number for number in operation.inputs if self._is_signal(number))
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
            for source in self._signals(self.makers[waiting.pop()]):
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

    def _signals(self, operation: Operation) -> list[int]:
        return [number for number in operation.inputs if self._is_signal(number)]

    def _between(self, start: int, end: int) -> list[Operation]:
        """The operations on all ways from one signal to another."""
        found: set[Operation] = set()
        waiting = [end]
        while waiting:
            number = waiting.pop()
            operation = self.makers.get(number) if number != start else None
            if operation is not None and operation not in found:
                found.add(operation)
                waiting.extend(self._signals(operation))
        return sorted(found, key=self.order.__getitem__)

    def _settle(self, number: int) -> int:
        """The step of a signal; what was left open is taken apart now."""
        if number not in self.settled:
            chain = self._passed(self._root(number), number)
            _Stretch(self, chain).settle()
        return self.settled[number]

    def _passed(self, start: int, end: int) -> tuple[int, ...]:
        """The signals that every way from start to end leads through."""
        passed: dict[int, tuple[int, ...]] = {start: (start,)}
        for operation in self._between(start, end):
            ways = [passed[number] for number in operation.inputs if number in passed]
            shared = ways[0]
            for way in ways[1:]:
                shared = tuple(a for a, b in zip(shared, way, strict=False) if a == b)
            passed.update({output: (*shared, output) for output in operation.outputs})
        return passed[end]


class _Stretch:
    """A chain of open signals, each a function of the one before, and the steps that it becomes."""

    def __init__(self, reader: Reader, chain: tuple[int, ...]) -> None:
        self.reader, self.chain = reader, chain

    def settle(self) -> None:
        """From the first signal, whose step is known, to the last."""
        chain, start = self.chain, 0
        here = 1
        while here < len(chain):
            operations = self._operations(here - 1, here)
            if self._is_plain(operations):
                here += 1
                continue
            if self._is_random(operations):
                # The factor that makes up for what is dropped may stand before or behind.
                first = here - 1
                while first > start and self._is_scaling(self._operations(first - 1, first)):
                    first -= 1
                end = self._behind(here)
                self._function(start, first)
                self._dropped(first, end, operations)
            else:
                self._function(start, here - 1)
                end = self._reduced(here, operations) if any(o.name in primitives.REDUCTIONS for o in operations) else self._by_array(here)
            start, here = end, end + 1
        self._function(start, len(chain) - 1)

    def _operations(self, start: int, end: int) -> list[Operation]:
        return self.reader._between(self.chain[start], self.chain[end])

    def _constants(self, operations: Iterable[Operation]) -> list[int]:
        """What else goes in."""
        return [number for operation in operations for number in operation.inputs if not self.reader._is_signal(number)]

    def _is_random(self, operations: Iterable[Operation]) -> bool:
        return any(number in self.reader.random for number in self._constants(operations))

    def _is_plain(self, operations: Sequence[Operation]) -> bool:
        """Whether it is a function of one number."""
        if any(operation.name in primitives.REDUCTIONS for operation in operations) or self._is_random(operations):
            return False
        numbers = [n for operation in operations if operation.name not in primitives.MOVES for n in self._constants([operation])]
        return all(is_one_number(self.reader.values[number]) for number in numbers)

    def _is_scaling(self, operations: Sequence[Operation]) -> bool:
        words = {"mul", "div", "convert_element_type", *primitives.MOVES}
        return self._is_plain(operations) and all(
            operation.name in words and len(self.reader._signals(operation)) == 1 for operation in operations
        )

    def _behind(self, place: int) -> int:
        """The last signal that is this one times a number."""
        while place + 1 < len(self.chain) and self._is_scaling(self._operations(place, place + 1)):
            place += 1
        return place

    def _add(self, start: int, end: int, kind: str, name: str, **more: Any) -> None:
        source = self.reader.settled[self.chain[start]]
        self.reader._new(self.chain[end], Step(kind, (source,), name, **more))

    def _function(self, start: int, end: int) -> None:
        """A function of one number: an activation, a factor, or nothing."""
        reader, first, last = self.reader, self.chain[start], self.chain[end]
        if last in reader.settled:
            return
        operations = self._operations(start, end)
        if all(operation.name in primitives.MOVES for operation in operations):
            reader.settled[last] = reader.settled[first]
            return
        key = _structure(operations, first, last, reader.values)
        if key not in reader.functions:
            values = pointwise(operations, first, last, reader.values)
            straight = line(values)
            reader.functions[key] = straight, None if straight else self._activation(values, operations, start)
        straight, act = reader.functions[key]
        if straight is None:
            self._acted(start, end, act, operations[-1].shown)
            return
        factor, shift = straight
        reader.settled[last] = reader.settled[first]
        if factor != 1.0 and not math.isclose(factor, 1.0, rel_tol=1e-6):
            self._add(start, end, "scale", f"× {factor:.4g}", size=factor, zero=factor == 0.0)
        if shift != 0.0:
            reader._new(last, Step("shift", (reader.settled[last],), f"+ {shift:.4g}", size=abs(shift)))

    def _activation(self, values: Any, operations: Sequence[Operation], start: int) -> Activation:
        inside = [operation.inside.strip("_") for operation in operations if operation.inside]
        name = inside[-1] if inside else f"f({', '.join(dict.fromkeys(operation.name for operation in operations))})"
        try:
            return as_activation(values, name)
        except ActivationError as error:
            before = self.reader.steps[self.reader.settled[self.chain[start]]].name
            raise ActivationError(f"the activation after {before!r}: {error}") from error

    def _acted(self, start: int, end: int, act: Activation, name: str) -> None:
        """The same function of the same signal, written twice, is one step."""
        reader, source = self.reader, self.reader.settled[self.chain[start]]
        known = next((index for other, index in reader.acted.setdefault(source, []) if same(other, act)), None)
        if known is None:
            self._add(start, end, "activation", name, activation=act)
            reader.acted[source].append((act, reader.settled[self.chain[end]]))
        else:
            reader.settled[self.chain[end]] = known

    def _dropped(self, start: int, end: int, operations: Sequence[Operation]) -> None:
        """Zeros with probability 1 − p, and a factor on what is left; or noise of another kind."""
        reader, every, last = self.reader, self._operations(start, end), self.chain[end]
        found = mask(every, self.chain[start], last, reader.values, reader.program.shapes)
        p = probability(reader.constant_makers, self._constants(operations), reader.random, reader.values)
        if found is None or p is None or not 0.0 < p < 1.0:
            self._add(start, end, "other", operations[-1].shown)
            return
        factor, share = found
        kept = min((p, 1.0 - p), key=lambda probability: abs(probability - share))
        if factor == 0.0:
            shape = reader.program.shapes[last]
            raise DomainError(f"x: a dropout leaves nothing of an array of shape {shape}, and its factor can't be told: give more examples")
        self._add(start, end, "dropout", f"dropout of {1.0 - kept:.6g}", rate=1.0 - kept)
        if not math.isclose(factor * kept, 1.0, rel_tol=1e-5):
            reader._new(last, Step("scale", (reader.settled[last],), f"× {factor * kept:.4g}", size=factor * kept))

    def _reduced(self, here: int, operations: Sequence[Operation]) -> int:
        """A pooling, a normalisation, or something else; the place behind it."""
        reader = self.reader
        if len(operations) == 1:
            end = self._behind(here)
            self._add(here - 1, end, "pool", "a pooling")
            return end
        first, last = self.chain[here - 1], self.chain[here]
        shapes, known = reader.program.shapes, all(is_one_number(reader.values[number]) for number in self._constants(operations))
        key = (_structure(operations, first, last, reader.values), shapes[first]) if known else None
        if key is None or key not in reader.normalised:
            reader.normalised[key] = size_of_normalised(operations, first, last, reader.values, shapes)
        size = reader.normalised[key]
        if size is None:  # what follows in one go is a part of it: the exponential of a softmax is no activation
            here = len(self.chain) - 1
            self._add(self.chain.index(first), here, "other", self._operations(0, here)[-1].shown)
        else:
            self._add(here - 1, here, "normalisation", "a normalisation", zero=size == 0.0)
            if not math.isclose(size, 1.0, rel_tol=1e-3):
                reader._new(last, Step("scale", (reader.settled[last],), f"× {size:.4g}", size=size, zero=size == 0.0))
        return here

    def _by_array(self, here: int) -> int:
        """Times an array, or plus one; the place behind it."""
        (operation, *more) = self._operations(here - 1, here)
        arrays = [number for number in operation.inputs if not self.reader._is_signal(number)]
        if more or len(arrays) != 1 or operation.name not in ("mul", "div", *primitives.SUMS):
            self._add(here - 1, here, "other", operation.shown)
            return here
        array = np.asarray(self.reader.values[arrays[0]], dtype=np.float64)
        if operation.name in primitives.SUMS:
            self._add(here - 1, here, "shift", operation.name, size=_size(array))
        else:
            over = operation.name == "div" and operation.inputs[1] == arrays[0]
            size = _size(1.0 / array) if over else _size(array)
            self._add(here - 1, here, "scale", operation.name, size=size, zero=size == 0.0)
        return here


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


def _structure(operations: Sequence[Operation], start: int, end: int, values: Mapping[int, Any]) -> Any:
    """What tells two functions apart: operations, their settings and numbers, in what order they are put together."""
    places = {start: 0}
    parts: list[Any] = []
    for operation in operations:
        moved = operation.name in primitives.MOVES
        inputs = operation.inputs[:1] if moved else operation.inputs
        words = [places[n] if n in places else repr(np.asarray(values[n]).ravel()[0]) for n in inputs]
        settings = "" if moved else repr(sorted(operation.parameters.items()))
        parts.append((operation.name if not moved else "move", settings, tuple(map(str, words))))
        places[operation.outputs[0]] = len(places)
    return (*parts, places[end])


def _size(array: Any) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(np.asarray(array, dtype=np.float64)))))
