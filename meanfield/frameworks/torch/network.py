"""The network of layers that a real model is: its graph on a batch, with the σ's of its own weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError, MeanFieldError
from meanfield.frameworks.signal import slope_of
from meanfield.frameworks.torch.installed import checked_model, torch
from meanfield.frameworks.torch.recording import Effective, Recording, Seen, factors_of_an_operation, recorded
from meanfield.frameworks.torch.tracing import architecture_of
from meanfield.frameworks.torch.weight_layers import is_depthwise
from meanfield.layers.activation import Activation
from meanfield.layers.concatenate import Concatenate
from meanfield.layers.dense import Convolution, Dense
from meanfield.layers.dropout import Dropout
from meanfield.layers.gate import Gate
from meanfield.layers.given import Centred, ChannelNorm, Given, Scale, Weighed
from meanfield.layers.graph import INPUT, Graph, Node, Product, Several, SideBySide, Sum, through
from meanfield.layers.law import Unknown
from meanfield.layers.layer import Identity, Layer
from meanfield.layers.normalise import LayerNorm, RMSNorm
from meanfield.layers.residual import Residual
from meanfield.layers.state import Part, State
from meanfield.theory.network import Network

if TYPE_CHECKING:
    from meanfield.frameworks.architecture import Architecture, Step

LARGEST = 1e90
EVENLY = math.log(2.0)  # of a gradient's parts over their widths: the channels of two layers differ by less
SAME = 0.01  # relative: what moving numbers about changes of their mean square
EVEN = 0.5  # relative: a gradient that unequal norms change by less is taken as that of one norm; twenty random numbers give 0.3


class ModelNetwork(Network):
    """A `Network` whose layers have the names of a model's modules and operations."""

    def __init__(self, layers: tuple[Layer, ...], names: tuple[str, ...]) -> None:
        self._own_names = names
        super().__init__(*layers)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the layers, in order."""
        return self._own_names

    def _names(self) -> Iterator[str]:
        yield "input"
        yield from self._own_names


@dataclass(frozen=True)
class Built:
    """A model's graph of layers beside what was recorded of it.

    Attributes
    ----------
    graph : Graph
    start : State
        The model's input on the batch.
    architecture : Architecture
        graph's node i belongs to its step i + 1: step 0 is the input.
    recording : Recording
    why : tuple of str
        For each node why its moments are measured, "" where they are theory's.
    outputs : dict from int to float
        Nodes whose output the model gives, and the number of its values.
    uneven : dict from int to float
        Nodes whose channels differ in size and are normalised: what that multiplies |δ|² by there and nowhere before. Behind a depthwise
        convolution the variance of a channel is that of its own weights, by which a gradient is multiplied on its way on.
    """

    graph: Graph
    start: State
    architecture: Architecture
    recording: Recording
    why: tuple[str, ...]
    outputs: dict[int, float]
    uneven: dict[int, float]


def network(model: Any, x: Any, *, seed: int = 0) -> ModelNetwork:
    """The `meanfield.Network` that a model is.

    Parameters
    ----------
    model : torch.nn.Module
        Compiled and data-parallel ones too. It is run once, in training mode, and is afterwards as it was.
    x : tensor, or tuple of tensors
        A batch, the first axis counting inputs; a tuple holds several arguments.
    seed : int
        Of dropout's masks.

    Returns
    -------
    Network
        Layers have σ_w and σ_b as the weights are; ``.names`` are the model's names for them. Stretches that are neither a chain nor
        a residual sum, a concatenation or a gate are a `layers.Graph`. What no theory covers (softmax, pooling, a recurrent layer,
        φ of what is not Gaussian) is a `layers.Given` with the moments measured on the batch; ``.exactness`` says which layers these are.

    Raises
    ------
    DomainError
        If the model fails on x, or a module of it is lazy.

    Notes
    -----
    Zero padding counts to first order: σ_w² is multiplied by the part of the taps that lies inside the image. Batch normalisation takes
    the share of the channels' means as measured.

    Examples
    --------
    >>> import torch
    >>> from meanfield.frameworks.torch import network
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 500), torch.nn.Tanh(), torch.nn.Linear(500, 500), torch.nn.Tanh())
    >>> net = network(model, torch.randn(16, 8))
    >>> net.names
    ('0', '1', '2', '3')
    >>> t = net.propagate(q=1.0, c=0.5)
    """
    built = build(checked_model(model), x, seed, backward=True)
    layers, names = _pieces(built)
    return ModelNetwork(tuple(layers), tuple(names))


def build(model: Any, x: Any, seed: int, backward: bool) -> Built:
    """Run a model on a batch and make its graph."""
    from torch.nn.parameter import is_lazy

    t = torch()
    parts = x if isinstance(x, tuple) else (x,)
    if not parts or not all(isinstance(part, t.Tensor) for part in parts):
        raise DomainError(f"x must be a torch.Tensor or a tuple of them, not {type(x).__name__}")
    if parts[0].dim() == 0 or parts[0].shape[0] == 0:
        raise DomainError(f"x has shape {tuple(parts[0].shape)}: a batch of at least one input is needed")
    if t.is_inference_mode_enabled():
        raise DomainError("gradients are looked at, which torch.inference_mode() forbids: ask outside of it")
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise DomainError(f"layer {name.rpartition('.')[0]!r} is lazy and has no shape yet: call the model on a batch first")
    recording = recorded(model, x, seed, backward=backward)
    architecture = architecture_of(model, recording=recording)
    builder = _Builder(model, architecture, recording)
    return builder.built()


class _Builder:
    """Makes a node of each step; where the theory can't take what arrives there, one whose moments are given."""

    def __init__(self, model: Any, architecture: Architecture, recording: Recording) -> None:
        self.architecture, self.recording = architecture, recording
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.weights: dict[str, Effective] = {}
        for node, effective in recording.weights.items():
            if node.op == "call_module":
                self.weights.setdefault(str(node.target), effective)
        self.states: list[State] = []
        self.fresh: list[frozenset[str]] = []
        self.nodes: list[Node] = []
        self.why: list[str] = []
        self.uneven: dict[int, float] = {}

    def built(self) -> Built:
        steps = self.architecture.steps
        first = self.recording.seen.get(steps[0].node) if steps[0].kind == "data" else None
        start = _measured_state(first, "data") if first is not None else State.of(1.0, 1.0, 0.5)
        for index, step in enumerate(steps):
            if index == 0:
                self.states.append(start)
                self.fresh.append(frozenset({step.name}))
                continue
            self._add(index, step)
        outputs: dict[int, float] = {}
        by_node = {step.node: index for index, step in enumerate(steps) if step.node is not None}
        for node in self.recording.outputs:
            while node not in by_node and node.all_input_nodes:
                node = next((n for n in node.all_input_nodes if n in by_node or n.op != "get_attr"), node.all_input_nodes[0])
            if by_node.get(node, 0) > 0:
                outputs[by_node[node] - 1] = outputs.get(by_node[node] - 1, 0.0) + float(self.recording.seen[node].count)
        nodes = tuple(self.nodes) or (Node(Identity(), (INPUT,), "input"),)
        ends = outputs or {len(nodes) - 1: 1.0}
        return Built(Graph(nodes), start, self.architecture, self.recording, tuple(self.why), ends, self.uneven)

    def _add(self, index: int, step: Step) -> None:
        arriving = tuple(self.states[source] for source in step.sources)
        sources = tuple(source - 1 for source in step.sources) or (INPUT,)  # node i is step i + 1
        name = _label(step, index)
        what, why = None, ""
        try:
            what = self._what(step, arriving)
        except _Outside as error:
            why = str(error)
        if what is not None:
            try:
                after, _ = through(what, arriving)
                whole = after.whole
                if not (np.all(np.isfinite(whole.q1)) and float(whole.q1) < LARGEST):
                    why = "its variance is out of the theory's range"
            except MeanFieldError as error:
                why = str(error).partition(": ")[2] or str(error)
            if why:
                what = None
        if what is None:
            what = self._given(step, why)
            after = what.given.state() if isinstance(what, Several) else what.state()
        self.nodes.append(Node(what, sources, name))
        self.states.append(after)
        self.why.append(why)
        called = self.modules.get(step.node.target) if step.node is not None and step.node.op == "call_module" else None
        mixing = step.kind == "other" and called is not None and next(called.parameters(), None) is not None
        own = frozenset({step.name}) if step.kind in ("layer", "data") or mixing else None
        self.fresh.append(own if own is not None else frozenset().union(*(self.fresh[source] for source in step.sources)))

    def _what(self, step: Step, arriving: tuple[State, ...]) -> Layer | Sum | SideBySide | Product | Given | Several:
        if step.kind == "layer":
            return self._weights(self.weights.get(step.name), step)
        if step.kind == "activation" and step.activation is not None:
            slope = slope_of(step.activation)
            return Activation(step.activation) if slope is None else Scale(abs(slope))
        if step.kind == "normalisation":
            return self._norm(step, arriving[0])
        if step.kind == "dropout" and not step.alpha:
            drawn = self._drawn(step)
            return Dropout(step.rate) if drawn is None else Scale(drawn)
        if step.kind == "scale":
            return Scale(step.size)
        if step.kind == "shift":
            return Scale(1.0, step.size)
        if step.kind == "sum" and self._independent(step):
            return Sum(tuple(step.signs) or (1.0,) * len(step.sources))
        if step.kind == "join":
            counts = [self._seen(self.architecture.steps[s]) for s in step.sources]
            if all(seen is not None for seen in counts):
                return SideBySide(tuple(float(seen.count) for seen in counts if seen is not None), self._pulls(step))
            raise _Outside("the widths of what is put side by side are not known")
        if step.kind == "other":
            effective = self.recording.weights.get(step.node)
            if effective is not None and len(step.sources) == 1:
                return self._weights(effective, step)
            if step.name.strip("_") in ("mul", "multiply", "imul") and len(step.sources) == 2 and self._independent(step):
                return Product()
        raise _Outside(_REASONS.get(step.kind, f"{step.name}: no theory of it"))

    def _weights(self, effective: Effective | None, step: Step) -> Layer:
        if effective is None:
            raise _Outside("what it multiplies with was not seen")
        if not math.isfinite(effective.sigma_w) or not math.isfinite(effective.sigma_b):
            raise DomainError(f"model: the weights of {step.name!r} are not finite numbers")
        sigma_w, sigma_b = effective.sigma_w * math.sqrt(effective.inside * self._padded(step)), effective.sigma_b
        module = self.architecture.layers.get(step.name)
        map_ = Convolution(sigma_w, sigma_b) if hasattr(module, "kernel_size") else Dense(sigma_w, sigma_b)
        return Centred() >> map_ if effective.centred else map_

    def _padded(self, step: Step) -> float:
        """E[x²] of what a layer is given over that of the step before: zeros put around windows, images made smaller."""
        arguments = step.node.args if step.node is not None else ()
        given = self.recording.seen.get(arguments[0]) if arguments and hasattr(arguments[0], "all_input_nodes") else None
        before = self._seen(self.architecture.steps[step.sources[0]]) if step.sources else None
        if given is None or before is None or not (0.0 < before.square < math.inf and 0.0 < given.square < math.inf):
            return 1.0
        ratio = given.square / before.square
        return ratio if abs(ratio - 1.0) > SAME else 1.0

    def _independent(self, step: Step) -> bool:
        """Whether the terms share no weights that they end in."""
        seen: set[str] = set()
        for source in step.sources:
            if seen & self.fresh[source]:
                raise _Outside("its terms come from the same weights")
            seen |= self.fresh[source]
        return True

    def _norm(self, step: Step, state: State) -> Layer:
        module = self.modules.get(step.node.target) if step.node.op == "call_module" else None
        name = type(module).__name__ if module is not None else step.name
        _function, arguments, keywords, _ = self.recording.calls[step.node]
        weight = getattr(module, "weight", None) if module is not None else keywords.get("weight")
        bias = getattr(module, "bias", None) if module is not None else keywords.get("bias")
        if module is None and len(arguments) > 2 and weight is None:
            place = 3 if "batch_norm" in name else 2
            weight, bias = (arguments[i] if len(arguments) > i else None for i in (place, place + 1))
        epsilon = getattr(module, "eps", keywords.get("eps", 1e-5))
        epsilon = float(epsilon) if isinstance(epsilon, (int, float)) else float(torch().finfo(torch().float32).eps)
        channels = self.recording.channels.get(step.node)
        lowered = name.lower().replace("_", "")
        inner: Layer
        if "rms" in lowered:
            inner = RMSNorm(epsilon)
        elif "layernorm" in lowered:
            inner = LayerNorm(epsilon)
        elif channels is not None:
            uneven = min(channels.uneven, LARGEST)
            entering = self._depthwise(step.sources[0])
            if entering is not None:
                # The channel's own weights cancel on the way on: what is left is how unequal channels were before them.
                self.uneven[step.sources[0] - 1] = uneven / entering
                uneven = entering
            inner = ChannelNorm(min(channels.share, 1.0 - 1e-9), channels.count, epsilon, uneven)
        else:
            raise _Outside(f"{name}: no theory of it")
        size, shift = _rms(weight, 1.0), _rms(bias, 0.0)
        weighed = self.recording.weighed.get(step.node, 1.0)
        if abs(weighed - 1.0) > EVEN and math.isfinite(weighed):
            inner = inner >> Weighed(min(weighed, LARGEST))
        return inner if (size, shift) == (1.0, 0.0) else inner >> Scale(size, shift)

    def _drawn(self, step: Step) -> float | None:
        """What stochastic depth multiplied a whole batch by: masks of a few inputs are no mean over many."""
        module = self.modules.get(step.node.target) if step.node.op == "call_module" else None
        words = f"{type(module).__name__ if module is not None else ''} {step.node.target}".lower()
        before, after = self._seen(self.architecture.steps[step.sources[0]]), self._seen(step)
        if not any(word in words for word in ("droppath", "stochasticdepth", "stochastic_depth", "drop_path")):
            return None
        if before is None or after is None or not 0.0 < before.square < math.inf:
            return None
        return math.sqrt(after.square / before.square)

    def _pulls(self, step: Step) -> tuple[float, ...]:
        """How unequally a gradient is spread over tensors side by side; () where it is spread evenly."""
        parts = self.recording.pulls.get(step.node, ())
        counts = [seen.count for source in step.sources if (seen := self._seen(self.architecture.steps[source])) is not None]
        if len(counts) != len(step.sources) or len(step.places) != len(counts) or not sum(parts) > 0.0 or max(step.places) >= len(parts):
            return ()
        pulls = [parts[place] / sum(parts) / (count / sum(counts)) for place, count in zip(step.places, counts, strict=True)]
        return () if all(abs(math.log(max(pull, 1e-300))) <= EVENLY for pull in pulls) else tuple(min(pull, LARGEST) for pull in pulls)

    def _depthwise(self, index: int) -> float | None:
        """How unequal channels are before weights of their own, x + w x included; None where a step is no such multiple of each channel."""
        step = self.architecture.steps[index]
        if step.kind == "sum":
            return next((found for source in step.sources if (found := self._depthwise(source)) is not None), None)
        if step.kind != "layer" or not is_depthwise(self.architecture.layers[step.name]):
            return None
        return min(self.recording.entering.get(step.node, 1.0), LARGEST)

    def _seen(self, step: Step) -> Seen | None:
        return self.recording.seen.get(step.node)

    def _given(self, step: Step, why: str) -> Given | Several:
        seen = self._seen(step)
        if seen is None:
            seen = Seen(0.0, 0.0, 0.0, 0)
        q = min(seen.square, LARGEST)
        ratio = seen.pair / seen.square if seen.square != 0.0 else math.nan
        c = max(min(ratio, 1.0), -1.0) if math.isfinite(ratio) else 1.0  # a mask of −∞, too
        if not math.isfinite(q):
            raise DomainError(f"x: {step.name} gives numbers that are not finite")
        factors = self._factors(step)
        first = factors[0] if factors else 0.0
        given = Given(q, c, max(min(seen.mean, LARGEST), -LARGEST), min(first, LARGEST), False, f"{_label(step, 0)} measured: {why}")
        return Several(given, tuple(min(f, LARGEST) for f in factors)) if len(step.sources) > 1 else given

    def _factors(self, step: Step) -> list[float]:
        count = len(step.sources)
        if step.kind == "activation" and step.activation is not None:
            before = self._seen(self.architecture.steps[step.sources[0]])
            if before is None:
                return [1.0]
            return [float(np.mean(step.activation.derivative(before.sample) ** 2))]
        if step.kind in ("sum", "join"):
            return [sign * sign for sign in step.signs] or [1.0] * count
        if step.kind == "part" or step.node not in self.recording.calls:
            return [1.0] * count
        found = factors_of_an_operation(self.recording, step.node)
        return (found + [0.0] * count)[:count] if found else [1.0] * count


class _Outside(Exception):
    """No theory of a step: the message says why."""


_REASONS = {
    "pool": "a pooling",
    "part": "some units of a tensor",
    "dropout": "alpha dropout",
    "data": "another input",
}


def _rms(parameter: Any, default: float) -> float:
    """Root mean square of a parameter."""
    if parameter is None or not hasattr(parameter, "detach"):
        return default
    return float(parameter.detach().double().square().mean().sqrt())


def _label(step: Step, index: int) -> str:
    """What a step is called: the module's name, or the operation's and where it is."""
    if step.kind == "layer":
        return step.name
    node = step.node
    if node is not None and node.op == "call_module":
        return str(node.target)
    return step.activation.name if step.activation is not None else step.name


def _measured_state(seen: Seen, what: str) -> State:
    q = np.asarray(max(seen.square, 1e-250))
    c = 0.0 if math.isnan(seen.pair) or seen.square == 0.0 else max(min(seen.pair / seen.square, 1.0), -1.0)
    mean = np.asarray(seen.mean)
    return State((Part(1.0, q, q, np.asarray(1.0 - c), mean, mean, Unknown(what)),))


def _pieces(built: Built) -> tuple[list[Layer], list[str]]:
    """The graph as layers one behind the other: chains, residual sums, concatenations and gates; what is left is a `Graph`."""
    nodes = built.graph.nodes
    last = max(built.outputs)
    reached = {last}
    for index in range(last, -1, -1):
        if index in reached:
            reached |= set(nodes[index].sources)
    kept = [index for index in range(last + 1) if index in reached]
    dominator = _dominators(nodes, kept)
    layers: list[Layer] = []
    names: list[str] = []
    for layer, name in _between(nodes, kept, dominator, INPUT, last):
        layers.append(layer)
        names.append(name)
    return layers, names


def _dominators(nodes: tuple[Node, ...], kept: list[int]) -> dict[int, int]:
    """For each node the nearest one that everything on its way there passes [Cooper, Harvey, Kennedy 2001; one pass suffices here]."""
    found: dict[int, int] = {INPUT: INPUT}

    def common(a: int, b: int) -> int:
        while a != b:
            if a > b:
                a = found[a]
            else:
                b = found[b]
        return a

    for index in kept:
        where = nodes[index].sources[0]
        for source in nodes[index].sources[1:]:
            where = common(where, source)
        found[index] = where
    return found


def _between(nodes: tuple[Node, ...], kept: list[int], dominator: dict[int, int], start: int, end: int) -> Iterator[tuple[Layer, str]]:
    """The layers behind start up to end."""
    chain = [end]
    while dominator[chain[-1]] != start:
        chain.append(dominator[chain[-1]])
    before = start
    for index in reversed(chain):
        yield _one(nodes, kept, dominator, before, index), nodes[index].name
        before = index


def _one(nodes: tuple[Node, ...], kept: list[int], dominator: dict[int, int], start: int, end: int) -> Layer:
    """What lies between a node and the next one that it dominates, as one layer."""
    node = nodes[end]
    if node.sources == (start,) and isinstance(node.what, Layer):
        return node.what
    own = [_region(nodes, start, source) for source in node.sources]
    apart = sum(len(part) for part in own) == len(set().union(*own)) and not isinstance(node.what, (Layer, Several))
    branches: list[tuple[Layer, ...]] = []
    if apart:
        branches = [() if s == start else tuple(layer for layer, _ in _between(nodes, kept, dominator, start, s)) for s in node.sources]
    try:
        if apart and isinstance(node.what, Sum) and len(branches) == 2 and () in branches and branches[0] != branches[1]:
            skip = branches.index(())
            a, b = node.what.coefficients[skip], node.what.coefficients[1 - skip]
            return Residual(*branches[1 - skip], scale=b, skip=a)
        if apart and isinstance(node.what, SideBySide):
            return Concatenate(*(_sequence(branch) for branch in branches), widths=node.what.widths)
        if apart and isinstance(node.what, Product):
            return Gate(_sequence(branches[0]), _sequence(branches[1]))
    except DomainError:
        pass  # their conditions are narrower than a graph's
    inside = sorted(set().union(*own) | {end})
    place = {index: position for position, index in enumerate(inside)} | {start: INPUT}
    return Graph(tuple(Node(nodes[i].what, tuple(place[s] for s in nodes[i].sources), nodes[i].name) for i in inside))


def _region(nodes: tuple[Node, ...], start: int, end: int) -> set[int]:
    """All nodes behind start on ways to end, end included."""
    if end == start:
        return set()
    found, waiting = {end}, [end]
    while waiting:
        for source in nodes[waiting.pop()].sources:
            if source != start and source not in found:
                found.add(source)
                waiting.append(source)
    return found


def _sequence(branch: tuple[Layer, ...]) -> Layer:
    from meanfield.layers.sequence import Sequence

    return Sequence(*branch) if branch else Identity()
