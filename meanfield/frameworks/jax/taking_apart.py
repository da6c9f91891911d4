"""What lies between two signals of a model, taken apart into activations, factors, normalisations, dropouts and poolings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import ActivationError, DomainError
from meanfield.frameworks.architecture import Step
from meanfield.frameworks.equality import same
from meanfield.frameworks.jax import primitives
from meanfield.frameworks.jax.pointwise import as_activation, is_one_number, line, pointwise
from meanfield.frameworks.jax.stretches import mask, probability, size_of_normalised

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.frameworks.jax.program import Operation
    from meanfield.frameworks.jax.reading import Reader


class Stretch:
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
        return self.reader.between(self.chain[start], self.chain[end])

    def _constants(self, operations: Iterable[Operation]) -> list[int]:
        """What else goes in."""
        return [number for operation in operations for number in operation.inputs if not self.reader.is_signal(number)]

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
            operation.name in words and len(self.reader.signals(operation)) == 1 for operation in operations
        )

    def _behind(self, place: int) -> int:
        """The last signal that is this one times a number."""
        while place + 1 < len(self.chain) and self._is_scaling(self._operations(place, place + 1)):
            place += 1
        return place

    def _add(self, start: int, end: int, kind: str, name: str, **more: Any) -> None:
        source = self.reader.settled[self.chain[start]]
        self.reader.new(self.chain[end], Step(kind, (source,), name, **more))

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
            reader.new(last, Step("shift", (reader.settled[last],), f"+ {shift:.4g}", size=abs(shift)))

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
            reader.new(last, Step("scale", (reader.settled[last],), f"× {factor * kept:.4g}", size=factor * kept))

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
                reader.new(last, Step("scale", (reader.settled[last],), f"× {size:.4g}", size=size, zero=size == 0.0))
        return here

    def _by_array(self, here: int) -> int:
        """Times an array, or plus one; the place behind it."""
        (operation, *more) = self._operations(here - 1, here)
        arrays = [number for number in operation.inputs if not self.reader.is_signal(number)]
        if more or len(arrays) != 1 or operation.name not in ("mul", "div", *primitives.SUMS):
            self._add(here - 1, here, "other", operation.shown)
            return here
        array = np.asarray(self.reader.values[arrays[0]], dtype=np.float64)
        if operation.name in primitives.SUMS:
            self._add(here - 1, here, "shift", operation.name, size=root_mean_square(array))
        else:
            over = operation.name == "div" and operation.inputs[1] == arrays[0]
            size = root_mean_square(1.0 / array) if over else root_mean_square(array)
            self._add(here - 1, here, "scale", operation.name, size=size, zero=size == 0.0)
        return here


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


def root_mean_square(array: Any) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(np.asarray(array, dtype=np.float64)))))
