"""From a torch model to its steps, through torch.fx; by order of registration where that can't follow the model."""

from __future__ import annotations

import copy
import inspect
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.errors import ActivationError, DomainError
from meanfield.frameworks.architecture import Architecture, Step, with_followers
from meanfield.frameworks.torch import elementwise
from meanfield.frameworks.torch.installed import torch
from meanfield.frameworks.torch.measurement import attributes_kept, undisturbed
from meanfield.frameworks.torch.recognition import from_function, from_module, has_weight_layers, is_elementwise, is_random
from meanfield.frameworks.torch.recording import Recording, recorded
from meanfield.frameworks.torch.roles import role as _role
from meanfield.frameworks.torch.weight_layers import check_fillable, is_weight_layer
from meanfield.frameworks.torch.widths import Widths, shapes_of

if TYPE_CHECKING:
    from meanfield.activations import Activation


def architecture_of(model: Any, example: Any = None, recording: Recording | None = None, record: bool = True) -> Architecture:
    """The steps of a model in training mode.

    An example input tells the shapes of what it concatenates, and with `record` lets a model be recorded that can't be traced. A
    recording, where there is one, is read as it is.
    """
    if is_weight_layer(model):
        return with_followers(Architecture((Step("data", name="input"), Step("layer", (0,), "")), {"": model}))
    if not has_weight_layers(model):
        raise DomainError(f"model = {type(model).__name__} holds no Linear or convolution layer")
    graph, reason = (None, "") if recording is not None else _traced(model)
    if recording is None and graph is None and example is not None and record:
        recording = recorded(model, example, backward=False)
    if recording is not None:
        with _training(model):
            return with_followers(_Reader(model, recording.graph, recording.shapes).read())
    if graph is None:
        return with_followers(_registered(model, reason))
    shapes = None if example is None else _shapes(model, graph, example)
    found = _Reader(model, graph, shapes).read()  # outside of the try: an error in there is ours
    return with_followers(found)


def _traced(model: Any) -> tuple[Any, str]:
    """The model's graph, or None and why there is none."""
    with _training(model), attributes_kept(model):  # dropout counts whatever mode the model is in now
        tracer, arguments = _Tracer.made(model), _defaults(model)
        try:
            return tracer.trace(model, concrete_args=arguments), ""
        except Exception as error:  # TraceError where control flow depends on values, and whatever a user's forward does with proxies
            lines = str(error).strip().splitlines()
            return None, f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


@contextmanager
def _training(model: Any) -> Iterator[None]:
    """All modules in training mode, and back."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = True
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _shapes(model: Any, graph: Any, example: Any) -> dict[Any, tuple[int, ...]]:
    for name, module in model.named_modules():
        if is_weight_layer(module):
            check_fillable(name, module)  # a run would give lazy layers their weights
    try:
        with undisturbed(model):
            for module in model.modules():
                module.training = False  # batch normalisation refuses a batch of one in training
            return shapes_of(model, graph, example)
    except Exception as error:  # whatever a user's model may raise
        raise DomainError(f"example: the model fails on it, with {type(error).__name__}: {error}") from error


def _defaults(model: Any) -> dict[str, Any] | None:
    """Arguments of forward that have defaults stay at them."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return None
    given = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    return given or None


class _Tracer:
    """Makes a torch.fx tracer that steps into user modules, but not into activations or what it can't follow."""

    @staticmethod
    def made(model: Any) -> Any:
        """A tracer for a model. What is a leaf is found before tracing, so that no error of ours is taken for one of the model's."""
        from torch.fx import Tracer

        def leaf(module: Any) -> bool:
            own = type(module).__module__
            if own.startswith(("torch.nn", "torch.ao.nn")) and not isinstance(module, _containers()):
                return True
            if has_weight_layers(module):
                return is_weight_layer(module)
            if _role(module) or (is_elementwise(module) and not is_random(module)):
                return True
            try:
                Tracer().trace(module, concrete_args=_defaults(module))
            except Exception:  # as above: the user's forward under proxies
                return True
            return False

        leaves = {id(module): leaf(module) for module in model.modules()}

        def is_leaf_module(self: Any, module: Any, qualified_name: str) -> bool:
            return leaves[id(module)]

        return type("LayerTracer", (Tracer,), {"is_leaf_module": is_leaf_module})()


def _containers() -> tuple[Any, ...]:
    nn = torch().nn
    return (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class _Value:
    """A tensor of the graph: a step's result, or an elementwise function of it that may become an activation."""

    step: int
    anchor: Any  # the node that holds the step's result
    last: Any = None  # the elementwise operation that made it; None for the result itself


class _Reader:
    """Reads a torch.fx graph into steps."""

    def __init__(self, model: Any, graph: Any, shapes: dict[Any, tuple[int, ...]] | None = None) -> None:
        self.model = model
        self.graph = graph
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.names: dict[int, str] = {}
        self.steps: list[Step] = []
        self.values: dict[Any, _Value | None] = {}
        self.made: dict[Any, int] = {}
        self.acted: dict[tuple[int, int], int] = {}
        self.parts: dict[tuple[int, str], int] = {}
        self.activations: dict[str, Activation] = {}
        self.layers: dict[str, Any] = {}
        self.widths = Widths(self.modules, _name, self._is_elementwise, shapes)

    def read(self) -> Architecture:
        """All nodes in order; then which layers were not met."""
        outputs: set[int] = set()
        for node in self.graph.nodes:
            if node.op == "output":
                for source in node.all_input_nodes:
                    value = self.values.get(source)
                    if value is not None:
                        outputs.add(self._settled(value))
            elif node.op == "get_attr":
                self.values[node] = None
            elif node.op == "placeholder":
                self.values[node] = self._new(node, Step("data", name=str(node.target), node=node))
            else:
                self.values[node] = self._value(node)
        met = {id(layer) for layer in self.layers.values()}
        missed = [name for name, module in self.model.named_modules() if is_weight_layer(module) and id(module) not in met]
        left = tuple(f"{name}: the traced forward does not call it by itself" for name in missed)
        if not self.layers:
            raise DomainError(f"model = {type(self.model).__name__} calls none of its weight layers: {', '.join(missed)}")
        return Architecture(tuple(self.steps), self.layers, "", left, outputs=frozenset(outputs))

    def _value(self, node: Any) -> _Value | None:
        inputs = [(source, self.values.get(source)) for source in node.all_input_nodes]
        found = [value for _, value in inputs if value is not None]
        if not found and node.op == "call_module" and isinstance(self.modules[node.target], torch().nn.Embedding):
            return self._module(node, found)  # of places, which are no input
        if not found:
            # Constants, shapes, and tensors made from parameters alone.
            return None
        if node.op == "call_module":
            return self._module(node, found)
        name = _name(node)
        if name in ("getattr", "size", "dim", "numel", "shape", "ndimension", "len"):
            # x.mT and the like hold numbers; shapes and dtypes don't.
            return found[0] if name == "getattr" and node.args[1] in ("T", "mT", "H", "mH", "data") else None
        plain = name.removesuffix("_")
        if plain in elementwise.DISPLACING and not self._is_whole(node):
            return self._part(node, found[0])
        if plain in elementwise.MOVES:
            return found[0] if self._rate(node) == 0.0 else self._dropout(node, found[0], "alpha" in plain)
        if plain in elementwise.NORMS:
            return self._step(node, "normalisation", name, found[:1])
        if plain in elementwise.POOLS:
            return self._step(node, "pool", name, found[:1])
        if plain in elementwise.JOINS:
            return self._join(node)
        if elementwise.is_elementwise_name(name):
            anchors = {value.anchor for value in found}
            constant = all(self._is_constant(source) for source, value in inputs if value is None)
            if len(anchors) == 1 and constant:
                return _Value(found[0].step, found[0].anchor, node)
            if plain in elementwise.SUMS and constant:
                factor = node.kwargs.get("alpha", 1.0) * (-1.0 if "sub" in plain else 1.0)
                return self._step(node, "sum", name, found, signs=(1.0, factor) if len(found) == 2 else ())
            if len(found) == 1 and len(inputs) == 2:
                parameter = self._parameter(next(source for source, value in inputs if value is None))
                if parameter is not None and plain in elementwise.PRODUCTS:
                    return self._step(node, "scale", name, found, size=_size(parameter), zero=_size(parameter) == 0.0)
                if parameter is not None and plain in elementwise.SUMS:
                    return self._step(node, "shift", name, found, size=_size(parameter))
        return self._step(node, "other", name, found)

    def _parameter(self, node: Any) -> Any:
        """A parameter or buffer, through what only moves its numbers."""
        while node.op != "get_attr" and len(node.all_input_nodes) == 1 and _name(node).removesuffix("_") in elementwise.MOVES:
            node = node.all_input_nodes[0]
        if node.op != "get_attr":
            return None
        value: Any = self.model
        for word in str(node.target).split("."):
            value = getattr(value, word, None)
        return value if hasattr(value, "detach") and not value.is_meta else None

    def _module(self, node: Any, found: list[_Value]) -> _Value:
        module = self.modules[node.target]
        if is_weight_layer(module):
            name = self.names.setdefault(id(module), str(node.target))
            self.layers.setdefault(name, module)
            return self._step(node, "layer", name, found[:1])
        if isinstance(module, (torch().nn.Embedding, torch().nn.EmbeddingBag)):
            return self._new(node, Step("data", name=str(node.target), size=_size(module.weight), embedded=True, node=node))
        role = _role(module)
        if role == "move":
            alpha = any("Alpha" in kind.__name__ for kind in type(module).__mro__)
            return found[0] if self._rate(node) == 0.0 else self._dropout(node, found[0], alpha)
        if role:
            return self._step(node, role, type(module).__name__, found[:1], zero=role == "normalisation" and _is_zero(module))
        if len(found) == 1 and is_elementwise(module):
            return _Value(found[0].step, found[0].anchor, node)
        return self._step(node, "other", f"{node.target} ({type(module).__name__})", found)

    def _is_constant(self, node: Any) -> bool:
        """Whether a node without signal is one number."""
        if node.op != "get_attr":
            return False
        value: Any = self.model
        for word in str(node.target).split("."):
            value = getattr(value, word)
        return bool(getattr(value, "numel", lambda: 0)() == 1)

    def _is_elementwise(self, node: Any) -> bool:
        """Whether an operation of one tensor acts on each number by itself."""
        if node.op == "call_module":
            module = self.modules[node.target]
            return not is_weight_layer(module) and not _role(module) and is_elementwise(module)
        return elementwise.is_elementwise_name(_name(node))

    def _rate(self, node: Any) -> float:
        """Of a dropout in training; 0 for what is none."""
        if node.op == "call_module":
            module = self.modules[node.target]
            rate = next((getattr(module, name) for name in ("p", "drop_prob") if hasattr(module, name)), 0.0)
        else:
            name = _name(node).removesuffix("_")
            if "dropout" not in name and name != "stochastic_depth":
                return 0.0
            rate = node.kwargs.get("p", node.args[1] if len(node.args) > 1 else 0.5)
            place = 3 if name == "stochastic_depth" else 2
            given = node.args[place] if len(node.args) > place else "alpha" not in name
            if not node.kwargs.get("training", node.kwargs.get("train", given)):
                return 0.0
        return float(rate) if isinstance(rate, (int, float)) else 0.0

    def _dropout(self, node: Any, value: _Value, alpha: bool) -> _Value:
        rate = self._rate(node)
        return self._step(node, "dropout", f"{'alpha ' if alpha else ''}dropout of {rate:g}", [value], rate=rate, alpha=alpha)

    def _is_whole(self, node: Any) -> bool:
        """Whether an indexing leaves all numbers: x[:, None]."""
        index = node.args[1] if _name(node) == "getitem" and len(node.args) > 1 else 0
        every = index if isinstance(index, tuple) else (index,)
        return all(item is None or item is Ellipsis or item == slice(None) for item in every)

    def _part(self, node: Any, value: _Value) -> _Value:
        """Some units of a value; one step where the same ones are taken twice. Two parts are no function of one number: GLU is no SiLU."""
        words = f"{_name(node)} {node.args[1:]} {node.kwargs}"
        source = node.all_input_nodes[0]
        if _name(source).removesuffix("_") in elementwise.TUPLES:
            words = f"{_name(source)} {source.args[1:]} {source.kwargs} {words}"
        key = (self._settled(value), words)
        if key not in self.parts:
            self.parts[key] = self._step(node, "part", _name(node), [value]).step
        return _Value(self.parts[key], node)

    def _join(self, node: Any) -> _Value:
        """Parts may come twice, and some may be constants."""
        given = node.args[0] if node.args else node.kwargs.get("tensors")
        parts = list(given) if isinstance(given, (list, tuple)) else list(node.all_input_nodes)
        known = [(place, part, value) for place, part in enumerate(parts) if (value := self.values.get(part)) is not None]
        widths = self.widths.of(node, [part for _, part, _ in known])
        places = tuple(place for place, _, _ in known)
        return self._step(node, "join", _name(node), [value for _, _, value in known], widths=widths, places=places)

    def _step(self, node: Any, kind: str, name: str, found: list[_Value], **more: Any) -> _Value:
        sources = tuple(self._settled(value) for value in found)
        return self._new(node, Step(kind, sources, name, node=node, **more))

    def _new(self, node: Any, step: Step) -> _Value:
        self.steps.append(step)
        return _Value(len(self.steps) - 1, node)

    def _settled(self, value: _Value) -> int:
        """The step of a value; an elementwise function becomes an activation now."""
        if value.last is None:
            return value.step
        if value.last not in self.made:
            try:
                act = self._activation(value)
            except ActivationError as error:
                before = self.steps[value.step].name
                if self.steps[value.step].kind in ("pool", "other", "part"):
                    # 1/√(mean(x²) + ε) of a normalisation written out: what it takes is never negative, and no Gaussian.
                    self.steps.append(Step("other", (value.step,), _name(value.last), node=value.last))
                    self.made[value.last] = len(self.steps) - 1
                    return self.made[value.last]
                raise ActivationError(f"the activation after {before!r}: {error}") from error
            key = (value.step, id(act))
            if key not in self.acted:  # the same function of the same tensor, called twice, is one signal
                self.steps.append(Step("activation", (value.step,), str(value.last.target), act, node=value.last))
                self.acted[key] = len(self.steps) - 1
            self.made[value.last] = self.acted[key]
        return self.made[value.last]

    def _activation(self, value: _Value) -> Activation:
        shown = self._shown(value.last, value.anchor)
        if shown not in self.activations:
            node = value.last
            alone = all(self._source(source) == value.anchor for source in node.all_input_nodes)
            if node.op == "call_module" and alone:
                found = from_module(self.modules[node.target])
            else:
                evaluate = _Evaluation(self.model, self.modules, value.anchor, node)
                found = from_function(evaluate, _name(node).removesuffix("_") if alone else "", _numbers(node), shown)
            self.activations[shown] = found
        return self.activations[shown]

    def _source(self, node: Any) -> Any:
        """The node itself, or the one whose numbers it merely moves."""
        while self._only_moves(node):
            node = node.all_input_nodes[0]
        return node

    def _only_moves(self, node: Any) -> bool:
        if node.op in ("call_module", "call_function", "call_method") and self._rate(node) > 0.0:
            return False
        if node.op == "call_module":
            return _role(self.modules[node.target]) == "move"
        if node.op not in ("call_function", "call_method"):
            return False
        plain = _name(node).removesuffix("_")
        return plain in elementwise.MOVES and (plain not in elementwise.DISPLACING or self._is_whole(node))

    def _shown(self, node: Any, anchor: Any) -> str:
        """An elementwise function in words: mul(x, sigmoid(x))."""
        node = self._source(node)
        if node == anchor:
            return "x"
        if node.op == "call_module":
            module = self.modules[node.target]
            state = ", ".join(f"{value.detach().flatten()[:4].tolist()}" for value in module.state_dict().values())
            return f"{module!r}{state}({', '.join(self._shown(source, anchor) for source in node.all_input_nodes)})".replace("()(", "(")
        if node.op == "get_attr":
            return str(node.target)

        def word(argument: Any) -> str:
            return self._shown(argument, anchor) if hasattr(argument, "all_input_nodes") else repr(argument)

        settings = {key: argument for key, argument in node.kwargs.items() if key != "inplace"}
        parts = [*(word(argument) for argument in node.args), *(f"{key}={word(argument)}" for key, argument in settings.items())]
        return f"{_name(node)}({', '.join(parts)})"


class _Evaluation:
    """The elementwise function between two nodes of a graph."""

    def __init__(self, model: Any, modules: dict[str, Any], anchor: Any, last: Any) -> None:
        self.anchor, self.last, self.model = anchor, last, model
        self.modules = modules
        self.copies: dict[str, Any] = {}
        self.__name__ = _name(last)

    def __call__(self, x: Any) -> Any:
        t = torch()
        return self._at(self.last, t.as_tensor(x), {})

    def _at(self, node: Any, x: Any, known: dict[Any, Any]) -> Any:
        if node == self.anchor:
            return x.clone()
        if node in known:
            return known[node]

        def value(argument: Any) -> Any:
            if hasattr(argument, "all_input_nodes"):
                return self._at(argument, x, known)
            return type(argument)(map(value, argument)) if isinstance(argument, (list, tuple)) else argument

        name = _name(node).removesuffix("_") if node.op != "call_module" else ""
        if node.op == "get_attr":
            found: Any = self.model
            for word in str(node.target).split("."):
                found = getattr(found, word)
            result = found.detach().cpu().double()
        elif name in elementwise.MOVES or (node.op == "call_module" and _role(self.modules[node.target]) == "move"):
            result = value(node.all_input_nodes[0])
        elif node.op == "call_module":
            if node.target not in self.copies:
                self.copies[node.target] = copy.deepcopy(self.modules[node.target]).cpu().double().eval()
            result = self.copies[node.target](value(node.args[0]))
        else:
            arguments, keywords = [value(a) for a in node.args], {key: value(a) for key, a in node.kwargs.items()}
            if node.op == "call_method":
                result = getattr(arguments[0], node.target)(*arguments[1:], **keywords)
            else:
                result = node.target(*arguments, **keywords)
        known[node] = result
        return result


def _name(node: Any) -> str:
    """What an operation is called, whoever calls it: relu, add, getattr."""
    if node.op == "call_function":
        if node.target is getattr:
            return "getattr"
        name = getattr(node.target, "__name__", str(node.target))
        if name.startswith("__") and name.endswith("__"):
            name = name[2:-2]  # of Python's operators, as torch calls them
        return name if node.target is not operator.matmul else "matmul"
    return str(node.target)


def _is_zero(module: Any) -> bool:
    """Whether a normalisation multiplies by 0."""
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    given = [part for part in (weight, bias) if part is not None and not part.is_meta]
    return weight is not None and bool(given) and not any(bool(part.detach().any()) for part in given)


def _size(parameter: Any) -> float:
    """Root mean square."""
    return 1.0 if parameter.is_meta else float(parameter.detach().double().square().mean().sqrt())


def _numbers(node: Any) -> dict[str, Any]:
    """Keyword arguments, and positional ones by the function's own names."""
    found = {key: value for key, value in node.kwargs.items() if isinstance(value, (int, float, str)) and not isinstance(value, bool)}
    try:
        names = list(inspect.signature(node.target).parameters)
    except (TypeError, ValueError):
        return found
    found.update({name: value for name, value in zip(names[1:], node.args[1:], strict=False) if isinstance(value, (int, float, str))})
    return found


def _registered(model: Any, reason: str) -> Architecture:
    """The steps in the order in which the modules were registered."""
    steps = [Step("data", name="input")]
    layers: dict[str, Any] = {}
    left: list[str] = []
    inside: tuple[str, ...] = ()  # of attention, whose projections no activation follows
    for name, module in model.named_modules():
        if isinstance(module, torch().nn.MultiheadAttention):
            inside = (*inside, f"{name}." if name else "")
        if is_weight_layer(module):
            if inside and name.startswith(inside):
                left.append(f"{name}: part of an attention")
                continue
            layers[name] = module
            steps.append(Step("layer", (len(steps) - 1,), name))
        elif _role(module) == "normalisation":
            steps.append(Step("normalisation", (len(steps) - 1,), type(module).__name__))
    if not layers:
        raise DomainError(f"model = {type(model).__name__} can't be traced ({reason}), and holds no layer outside of attentions")
    return Architecture(tuple(steps), layers, reason, tuple(left))
