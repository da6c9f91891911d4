"""Pairs of inputs through a network's layers: covariances of its output, and its tangent kernel."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.crowd import in_a_crowd
from meanfield.layers.dense import Dense
from meanfield.layers.law import GAUSSIAN
from meanfield.layers.layer import Layer, MisplacedLayer, every
from meanfield.layers.sequence import Repeat, Sequence
from meanfield.layers.state import Part, State
from meanfield.layers.tangent import TangentKernel, started
from meanfield.progress_bar import progress_bar
from meanfield.theory.kernels.inputs import Inputs, losses
from meanfield.theory.kernels.norms_table import NormsTable
from meanfield.theory.kernels.one_variance import Table, tabulated
from meanfield.theory.kernels.stages import Place, stretches

if TYPE_CHECKING:
    from meanfield.arrays import Array, Indices
    from meanfield.theory.network import Network

BLOCK = 2**19  # pairs that go through the layers at once
DEEPEST = 100_000  # turns of layers
MET = 1e-13  # relative difference of variances that a table for one variance does not see
WORTH = 4000  # pairs from which on a table is made: it has some 1200 nodes

CROWD = 2000  # pairs times turns from which on they are looked up rather than integrated one by one
LEAST, MOST = 1e-12, 1e12  # variances that tables serve
STEPS = 16  # an interval of log q is widened to whole steps, so many or twice as many of them, that its table may serve again

HELD = 16  # tables of networks, some 60 kB each; up to a few MB where there are many variances

_tables: dict[tuple[object, ...], Table | NormsTable] = {}
_lock = threading.Lock()


class Tangents(NamedTuple):
    """Which tangent kernel is asked for."""

    parametrization: str  # "ntk" | "standard"
    width: float


class Block(NamedTuple):
    """Rows × columns of pairs behind the network."""

    rows: slice
    columns: slice
    epsilon: Array
    theta: Array | None


@dataclass(frozen=True)
class Stage:
    """A stretch of turns and how pairs go through it.

    Attributes
    ----------
    begin, end : int
        Turns.
    q1, q2 : ndarray
        Variances where it begins.
    fan_in : float
        Of the next layer with weights, for tangents in the standard parametrisation.
    table : Table, NormsTable or None
        For one variance, for any, or none: layer by layer. Function 0: ε behind it; with tangents also 1: Θ that it adds, 2: the factor of
        a Θ in front of it.
    basis1, basis2 : ndarray
        Of the two variances, for a `NormsTable`.
    """

    begin: int
    end: int
    q1: Array
    q2: Array
    fan_in: float
    table: Table | NormsTable | None
    basis1: Array | None = None
    basis2: Array | None = None


@dataclass(frozen=True)
class Gram:
    """What is known once each input has gone through by itself.

    Attributes
    ----------
    first, second : Inputs
    turns : tuple of (place, Layer)
    q1, q2 : ndarray
        Variances behind the network.
    theta : ndarray or None
        Θ of each of the first inputs with itself, in one pass.
    stages : tuple of Stage
        From the inputs to the output.
    symmetric : bool
        There are no second inputs but the first.
    tangents : Tangents or None
    diagonals : tuple of ndarray
        Each of the first inputs with itself: of the input, and behind every turn, where they are asked for.
    """

    first: Inputs
    second: Inputs
    turns: tuple[tuple[int, Layer], ...]
    q1: Array
    q2: Array
    theta: Array | None
    stages: tuple[Stage, ...]
    symmetric: bool
    tangents: Tangents | None
    diagonals: tuple[Array, ...]

    def _losses(self, rows: slice, columns: slice) -> Array:
        epsilon = losses(self.first.units[rows], self.second.units[columns])
        if self.symmetric:  # an input is as near to itself as can be, a row of zeros too
            both = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
            epsilon[both - rows.start, both - columns.start] = 0.0
        return epsilon

    def _state(self, rows: slice, columns: slice, epsilon: Array) -> State:
        one, two = self.first, self.second
        tangent = None
        if self.tangents is not None:
            tangent = started(epsilon.shape, self.tangents.parametrization, one.components, self.tangents.width)
        mean1, mean2 = one.mean[rows, None], two.mean[None, columns]
        if not _means_matter(self.turns):
            mean1, mean2 = np.zeros(mean1.shape), np.zeros(mean2.shape)
        return State((Part(1.0, one.q[rows, None], two.q[None, columns], epsilon, mean1, mean2, GAUSSIAN, tangent),))

    def each_layer(self, rows: slice, columns: slice) -> Iterator[Array]:
        """K12, or Θ where tangents are asked for, of the input and behind every turn."""
        epsilon = self._losses(rows, columns)
        state = self._state(rows, columns, epsilon)
        for place, layer in ((0, None), *self.turns):
            state = state if layer is None else _turn(place, layer, state)
            whole = state.whole
            if isinstance(whole.tangent, TangentKernel):
                yield np.broadcast_to(whole.tangent.values, epsilon.shape)
            else:
                yield _without_nothing(np.sqrt(whole.q1) * np.sqrt(whole.q2) * (1.0 - whole.epsilon), whole.q1, whole.q2)

    def block(self, rows: slice, columns: slice) -> Block:
        """ε (and Θ) behind the network for some pairs."""
        epsilon = self._losses(rows, columns)
        theta: Array | None = None
        for stage in self.stages:
            if stage.table is None:
                state = self._state(rows, columns, epsilon) if stage.begin == 0 else self._between(stage, rows, columns, epsilon, theta)
                epsilon, theta = self._through(stage, state, epsilon.shape)
            elif isinstance(stage.table, Table):
                if self.tangents is not None:
                    added = stage.table(epsilon, 1)
                    theta = added if theta is None else added + stage.table(epsilon, 2) * theta
                epsilon = stage.table(epsilon, 0)
            else:
                epsilon, theta = self._by_norms(stage, stage.table, rows, columns, epsilon, theta)
        return Block(rows, columns, epsilon, theta)

    def _by_norms(
        self, stage: Stage, table: NormsTable, rows: slice, columns: slice, epsilon: Array, theta: Array | None
    ) -> tuple[Array, Array | None]:
        assert stage.basis1 is not None
        assert stage.basis2 is not None
        own = rows.start - columns.start if self.symmetric else -1
        found = table(epsilon, stage.basis1[rows], stage.basis2[columns], own)
        behind = found[0]
        after = None
        if self.tangents is not None:
            after = found[1] if theta is None else found[1] + found[2] * theta
        left = np.nonzero(np.isnan(behind))
        if left[0].size:
            i, j = (np.arange(epsilon.shape[axis])[left[axis]] for axis in (0, 1))
            there = self._between(stage, rows, columns, epsilon[left], None if theta is None else theta[left], (i, j))
            behind[left], one = self._through(stage, there, left[0].shape)
            if after is not None:
                after[left] = one
        return behind, after

    def _between(
        self, stage: Stage, rows: slice, columns: slice, epsilon: Array, theta: Array | None, at: tuple[Indices, Indices] | None = None
    ) -> State:
        """The pairs where a stage begins; all of a block, or those of some rows and columns of it."""
        q1, q2 = stage.q1[rows], stage.q2[columns]
        first, second = (q1[:, None], q2[None, :]) if at is None else (q1[at[0]], q2[at[1]])
        tangent = None
        if self.tangents is not None:
            tangent = started(epsilon.shape, self.tangents.parametrization, stage.fan_in, self.tangents.width)
            if theta is not None:
                tangent = replace(tangent, values=theta)
        return State.of(first, second, epsilon, tangent)

    def _through(self, stage: Stage, state: State, shape: tuple[int, ...]) -> tuple[Array, Array | None]:
        with in_a_crowd(self.first.count * self.second.count * len(self.turns) > CROWD):
            whole = through(self.turns[stage.begin : stage.end], state).whole
        epsilon = np.array(np.broadcast_to(whole.epsilon, shape), order="C")  # writable, as the kernels want it
        tangent = whole.tangent
        return epsilon, np.broadcast_to(tangent.values, shape) if isinstance(tangent, TangentKernel) else None

    def products(self, block: Block) -> Array:
        """K12 = √(K11 K22)(1 − ε)."""
        result: Array = np.subtract(1.0, block.epsilon)
        result *= np.sqrt(self.q1[block.rows, None])
        result *= np.sqrt(self.q2[None, block.columns])
        return _without_nothing(result, self.q1[block.rows, None], self.q2[None, block.columns])

    def blocks(self) -> list[tuple[slice, slice]]:
        """The pairs to be gone through, the lower half left out where it mirrors the upper."""
        n, m = self.first.count, self.second.count
        found = []
        start = 0
        while start < n:
            across = m - start if self.symmetric else m
            stop = min(n, start + max(1, BLOCK // across))
            found.append((slice(start, stop), slice(start if self.symmetric else 0, m)))
            start = stop
        return found


def _without_nothing(products: Array, q1: Array, q2: Array) -> Array:
    """0 where one of the two is 0, whose correlation with anything is not defined."""
    if np.any(q1 == 0.0) or np.any(q2 == 0.0):
        return np.where((q1 == 0.0) | (q2 == 0.0), 0.0, products)
    return products


def turns_of(network: Network) -> tuple[tuple[int, Layer], ...]:
    """(place, layer) turn by turn."""
    count = sum(layer.times if isinstance(layer, Repeat) else 1 for layer in network.layers)
    if count > DEEPEST:
        raise DomainError(f"the network has {count} layers; kernels of data are followed through at most {DEEPEST:,}")
    for index, layer in enumerate(network.layers):
        for each in every((layer,)):
            if each.mixes_inputs:
                raise MisplacedLayer("it acts on more than two inputs at once: its kernel on data is not known", each, (index + 1,))
            if each.asks_for_sites:
                raise MisplacedLayer("inputs are rows of numbers, without sites to take a mean over", each, (index + 1,))
    return tuple(_unrolled(network.layers))


def _unrolled(layers: tuple[Layer, ...]) -> Iterator[tuple[int, Layer]]:
    for index, layer in enumerate(layers):
        if isinstance(layer, Repeat):
            yield from [(index + 1, layer.layer)] * layer.times
        else:
            yield index + 1, layer


def _taken_apart(turns: Iterable[tuple[int, Layer]]) -> Iterator[tuple[int, Layer]]:
    """Sequences layer by layer: variances can be looked at behind the weights inside."""
    for place, layer in turns:
        if isinstance(layer, Sequence):
            yield from _taken_apart((place, each) for each in layer.layers)
        else:
            yield place, layer


def through(turns: tuple[tuple[int, Layer], ...], state: State) -> State:
    """A state behind some turns."""
    for place, layer in turns:
        state = _turn(place, layer, state)
    return state


def _turn(place: int, layer: Layer, state: State) -> State:
    try:
        return layer.apply(state).state
    except MisplacedLayer as error:
        raise error.inside(place) from None


def _means_matter(turns: tuple[tuple[int, Layer], ...]) -> bool:
    """Whether the means of an input's components are seen: not where weights come first that take them as they are."""
    first = turns[0][1]
    return not (isinstance(first, Dense) and first.weights != "standardised")


def prepared(network: Network, rows: Any, others: Any, tangents: Tangents | None, per_layer: bool = False) -> Gram:
    """Each input through the network by itself, and tables for the layers behind which all variances have met."""
    turns = turns_of(network)
    if not per_layer:
        turns = tuple(_taken_apart(turns))
    first = Inputs.of("X", rows)
    second = first if others is None else Inputs.of("Y", others)
    if second.components != first.components:
        raise DomainError(f"Y has {second.components} columns and X {first.components}: they must be inputs of one network")
    symmetric = others is None
    every_q = first.q if symmetric else np.concatenate([first.q, second.q])
    every_mean = first.mean if symmetric else np.concatenate([first.mean, second.mean])
    pairs = first.count * second.count // (2 if symmetric else 1)
    means = every_mean if _means_matter(turns) else np.zeros(every_q.shape)
    tangent = None
    if tangents is not None:
        tangent = started(every_q.shape, tangents.parametrization, first.components, tangents.width, one_pass=True)
    state = State((Part(1.0, every_q, every_q, np.zeros(every_q.shape), means, means, GAUSSIAN, tangent),))
    worth = pairs > WORTH and not per_layer
    met: Place | None = None
    places: list[Place] = []
    diagonals = [_diagonal(state, first.count)] if per_layer else []
    for index, (place, layer) in enumerate(turns):
        if worth and met is None and (here := _place(index, state)) is not None:
            if here.high - here.low <= MET:
                met = here
                state = _at_one_variance(state, float(np.median(here.q)))
            else:
                places.append(here)
        state = _turn(place, layer, state)
        if per_layer:
            diagonals.append(_diagonal(state, first.count))
    whole = state.whole
    q = np.broadcast_to(whole.q1, every_q.shape)
    if not np.all(np.isfinite(q)):
        raise DomainError("the variance passes 1e280 inside the network: its kernel is infinite")
    theta = None
    if isinstance(whole.tangent, TangentKernel):
        theta = np.broadcast_to(whole.tangent.values, every_q.shape)[: first.count]
        if not np.all(np.isfinite(theta)):
            raise DomainError("the tangent kernel is infinite on the diagonal: an activation of the network jumps, or is too steep")
    stages = _stages(turns, places, met, (first, second, symmetric), pairs if worth else 0, tangents)
    return Gram(
        first, second, turns, q[: first.count], q[0 if symmetric else first.count :], theta, stages, symmetric, tangents, tuple(diagonals)
    )


def _stages(
    turns: tuple[tuple[int, Layer], ...],
    places: list[Place],
    met: Place | None,
    inputs: tuple[Inputs, Inputs, bool],
    pairs: int,
    tangents: Tangents | None,
) -> tuple[Stage, ...]:
    """How pairs go through the network: as `stages.stretches` has it up to where the variances have met, by one table from there on."""
    first, second, symmetric = inputs
    start = 0 if symmetric else first.count
    found: list[Stage] = []
    end = len(turns) if met is None else met.index
    for part in stretches(places, end, pairs, 1 if tangents is None else 3) if end > 0 else ():
        if part.place is None:
            found.append(Stage(0, part.end, first.q, second.q, first.components, None))
            continue
        begin, q = part.place.index, part.place.q
        q1, q2 = q[: first.count], q[start:]
        stage = Stage(begin, part.end, q1, q2, part.place.fan_in, None)
        if part.tabulated:
            table = _norms_table(turns[begin : part.end], part.place, tangents, theta_in_front=begin > 0)
            basis1 = table.basis(q1)
            stage = replace(stage, table=table, basis1=basis1, basis2=basis1 if symmetric else table.basis(q2))
        found.append(stage)
    if met is not None:
        q = np.full(met.q.size, float(np.median(met.q)))
        table_of_one = _tail(turns, met.index, float(q[0]), met.fan_in, tangents)
        found.append(Stage(met.index, len(turns), q[: first.count], q[start:], met.fan_in, table_of_one))
    return tuple(found)


def _norms_table(rest: tuple[tuple[int, Layer], ...], place: Place, tangents: Tangents | None, theta_in_front: bool) -> NormsTable:
    """Some turns as functions of both variances and ε."""
    step = 2.0 ** math.floor(math.log2(place.spread)) / STEPS
    low, high = math.floor(place.low / step) * step, math.ceil(place.high / step) * step
    key = (tuple(layer for _, layer in rest), low, high, place.fan_in, tangents, theta_in_front)
    with _lock:
        kept = _tables.get(key)
    if isinstance(kept, NormsTable):
        return kept

    def functions(q1: Array, q2: Array, epsilon: Array) -> Array:
        shape = (q1.shape[0], epsilon.shape[1])
        loss = np.ascontiguousarray(np.broadcast_to(epsilon, shape))
        with in_a_crowd():
            if tangents is None:
                return np.broadcast_to(through(rest, State.of(q1, q2, loss)).whole.epsilon, shape)[None]
            zero = started(shape, tangents.parametrization, place.fan_in, tangents.width)
            whole = through(rest, State.of(q1, q2, loss, zero)).whole
            assert isinstance(whole.tangent, TangentKernel)
            found = [np.broadcast_to(whole.epsilon, shape), np.broadcast_to(whole.tangent.values, shape)]
            if theta_in_front:
                found.append(np.broadcast_to(through(rest, State.of(q1, q2, loss, np.ones(shape))).whole.slope, shape))
            return np.stack(found)

    made = NormsTable(functions, 1 if tangents is None else 2 + theta_in_front, low, high)
    _keep(key, made)
    return made


def _keep(key: tuple[object, ...], made: Table | NormsTable) -> None:
    with _lock:
        while len(_tables) >= HELD:
            _tables.pop(next(iter(_tables)))
        _tables[key] = made


def _diagonal(state: State, count: int) -> Array:
    tangent = state.whole.tangent
    return np.array((tangent.values if isinstance(tangent, TangentKernel) else state.whole.q1)[:count])


def _place(index: int, state: State) -> Place | None:
    """Where the inputs are Gaussian values of mean 0 as far as the layers that follow can see: their variances tell all."""
    part = state.whole
    if len(state.parts) > 1 or part.law != GAUSSIAN or np.any(part.mean1):
        return None
    low, high = float(np.min(part.q1)), float(np.max(part.q1))
    if not LEAST <= low <= high <= MOST:
        return None
    fan_in = part.tangent.fan_in if isinstance(part.tangent, TangentKernel) else 0.0
    spread = math.log1p((high - low) / low)
    return Place(index, np.array(part.q1), math.log(low), math.log(low) + spread, fan_in)


def _at_one_variance(state: State, q: float) -> State:
    """The same state of every input, with q for each; as one entry where the tangent kernels agree too."""
    (part,) = state.parts
    tangent = part.tangent
    size = 1
    if isinstance(tangent, TangentKernel):
        values = np.broadcast_to(tangent.values, np.shape(part.q1))
        size = 1 if np.ptp(values) == 0.0 else values.size
        tangent = replace(tangent, values=values[:size])
    filled = np.full(size, q)
    return State.of(filled, filled, np.zeros(size), tangent)


def _tail(turns: tuple[tuple[int, Layer], ...], begin: int, q: float, fan_in: float, tangents: Tangents | None) -> Table:
    """The turns from `begin` on as functions of ε at one variance."""
    rest = turns[begin:]
    key = (tuple(layer for _, layer in rest), q, fan_in, tangents, begin == 0)
    with _lock:
        kept = _tables.get(key)
    if isinstance(kept, Table):
        return kept

    def functions(epsilon: Array) -> Array:
        variance = np.full(epsilon.shape, q)
        if tangents is None:
            return through(rest, State.of(variance, variance, epsilon)).whole.epsilon[None]
        zero = started(epsilon.shape, tangents.parametrization, fan_in, tangents.width)
        whole = through(rest, State.of(variance, variance, epsilon, zero)).whole
        tangent = whole.tangent
        assert isinstance(tangent, TangentKernel)
        if begin == 0:
            return np.stack([whole.epsilon, tangent.values])
        factor = through(rest, State.of(variance, variance, epsilon, np.ones(epsilon.shape))).whole.slope
        return np.stack([whole.epsilon, tangent.values, factor])

    made = tabulated(functions)
    _keep(key, made)
    return made


def computed(
    network: Network,
    rows: Any,
    others: Any,
    tangents: Tangents | None,
    per_layer: bool,
    out: Array | None,
    progress: bool,
    n_jobs: int | None,
) -> Array:
    """The whole matrix, block by block: K12, or Θ where tangents are asked for."""
    gram = prepared(network, rows, others, tangents, per_layer)
    entries = (len(gram.turns) + 1,) if per_layer else ()
    result = _target(out, (*entries, gram.first.count, gram.second.count))
    blocks = gram.blocks()
    from joblib import Parallel, delayed

    def one(place: tuple[slice, slice]) -> tuple[slice, slice, Array]:
        if per_layer:
            return *place, np.stack(list(gram.each_layer(*place)))
        block = gram.block(*place)
        return *place, (gram.products(block) if block.theta is None else np.array(block.theta))

    with progress_bar(progress, len(blocks), "kernel") as step:
        for over, across, values in Parallel(n_jobs=n_jobs, return_as="generator", prefer="threads")(delayed(one)(p) for p in blocks):
            if gram.symmetric:
                result[..., across, over] = np.swapaxes(values, -1, -2)
                own = values[..., : over.stop - over.start]  # whose two halves differ in their last bits
                values[..., : over.stop - over.start] = np.triu(own) + np.swapaxes(np.triu(own, 1), -1, -2)
            result[..., over, across] = values
            step()
    if gram.symmetric:
        every = np.arange(gram.first.count)
        result[..., every, every] = np.stack(gram.diagonals) if per_layer else (gram.q1 if gram.theta is None else gram.theta)
    return result


def _target(out: Array | None, shape: tuple[int, ...]) -> Array:
    if out is None:
        return np.empty(shape)
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != np.float64:
        what = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise DomainError(f"out must be a float64 array of shape {shape}, not {what}")
    return out


def output_losses(network: Network, rows: Any) -> tuple[Array, Array]:
    """Variances (N,) and ε (N, N) behind the network."""
    gram = prepared(network, rows, None, None)
    epsilon = np.empty((gram.first.count, gram.first.count))
    for place in gram.blocks():
        block = gram.block(*place)
        epsilon[block.rows, block.columns] = block.epsilon
        epsilon[block.columns, block.rows] = block.epsilon.T
    np.fill_diagonal(epsilon, 0.0)
    return gram.q1, epsilon


def diagonal(network: Network, rows: Any, tangents: Tangents | None) -> Array:
    """Each input with itself: K11, or Θ where tangents are asked for."""
    gram = prepared(network, rows, None, tangents, per_layer=True)
    return gram.diagonals[-1]
