"""From a torch model to its steps, through torch.fx; by order of registration where that can't follow the model."""

from __future__ import annotations

import copy
import inspect
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.errors import ActivationError, DomainError, MeanFieldError
from meanfield.frameworks.torch import elementwise
from meanfield.frameworks.torch.architecture import Architecture, Step, with_followers
from meanfield.frameworks.torch.installed import torch
from meanfield.frameworks.torch.recognition import from_function, from_module, has_weight_layers, is_elementwise
from meanfield.frameworks.torch.weight_layers import is_weight_layer

if TYPE_CHECKING:
    from meanfield.activations import Activation


def architecture_of(model: Any) -> Architecture:
    """The steps of a model."""
    if is_weight_layer(model):
        return with_followers(Architecture((Step("data", name="input"), Step("layer", (0,), "")), {"": model}))
    if not has_weight_layers(model):
        raise DomainError(f"model = {type(model).__name__} holds no Linear or convolution layer")
    try:
        graph = _Tracer.made().trace(model, concrete_args=_defaults(model))
        found = _Reader(model, graph).read()
    except MeanFieldError:
        raise
    except Exception as error:  # torch.fx: control flow that depends on values, and whatever else a forward may do
        lines = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
        return with_followers(_registered(model, reason))
    return with_followers(found)


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
    def made() -> Any:
        from torch.fx import Tracer

        known: dict[int, bool] = {}

        def leaf(module: Any) -> bool:
            own = type(module).__module__
            if own.startswith(("torch.nn", "torch.ao.nn")) and not isinstance(module, _containers()):
                return True
            if has_weight_layers(module):
                return is_weight_layer(module)
            if is_elementwise(module) or _role(module):
                return True
            try:
                Tracer().trace(module, concrete_args=_defaults(module))
            except Exception:
                return True
            return False

        def is_leaf_module(self: Any, module: Any, qualified_name: str) -> bool:
            if id(module) not in known:
                known[id(module)] = leaf(module)
            return known[id(module)]

        return type("LayerTracer", (Tracer,), {"is_leaf_module": is_leaf_module})()


def _containers() -> tuple[Any, ...]:
    nn = torch().nn
    return (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def _role(module: Any) -> str:
    """What a module does that is no activation: "move", "pool", "normalisation"; "" where its class doesn't tell."""
    words = [kind.__name__ for kind in type(module).__mro__ if kind.__module__.startswith("torch.nn")]
    words.append(type(module).__name__)
    for role, names in (
        ("normalisation", elementwise.NORM_MODULES),
        ("pool", elementwise.POOLING_MODULES),
        ("move", elementwise.MOVING_MODULES),
    ):
        if any(name in word for word in words for name in names):
            return role
    return ""


@dataclass(frozen=True)
class _Value:
    """A tensor of the graph: a step's result, or an elementwise function of it that may become an activation."""

    step: int
    anchor: Any  # the node that holds the step's result
    last: Any = None  # the elementwise operation that made it; None for the result itself
    passed: tuple[str, ...] = ()


class _Reader:
    """Reads a torch.fx graph into steps."""

    def __init__(self, model: Any, graph: Any) -> None:
        self.model = model
        self.graph = graph
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.names: dict[int, str] = {}
        self.steps: list[Step] = []
        self.values: dict[Any, _Value | None] = {}
        self.made: dict[Any, int] = {}
        self.activations: dict[str, Activation] = {}
        self.layers: dict[str, Any] = {}

    def read(self) -> Architecture:
        """All nodes in order; then which layers were not met."""
        for node in self.graph.nodes:
            if node.op == "output":
                for source in node.all_input_nodes:
                    value = self.values.get(source)
                    if value is not None:
                        self._settled(value)
            elif node.op == "get_attr":
                self.values[node] = None
            elif node.op == "placeholder":
                self.values[node] = self._new(node, Step("data", name=str(node.target)))
            else:
                self.values[node] = self._value(node)
        met = {id(layer) for layer in self.layers.values()}
        missed = [name for name, module in self.model.named_modules() if is_weight_layer(module) and id(module) not in met]
        left = tuple(f"{name}: the traced forward does not call it by itself" for name in missed)
        if not self.layers:
            raise DomainError(f"model = {type(self.model).__name__} calls none of its weight layers: {', '.join(missed)}")
        return Architecture(tuple(self.steps), self.layers, "", left)

    def _value(self, node: Any) -> _Value | None:
        inputs = [(source, self.values.get(source)) for source in node.all_input_nodes]
        found = [value for _, value in inputs if value is not None]
        if not found:
            # Constants, shapes, and tensors made from parameters alone.
            return None
        if node.op == "call_module":
            return self._module(node, found)
        name = _name(node)
        if name in ("getattr", "size", "dim", "numel", "shape", "ndimension", "__len__", "len"):
            # x.mT and the like hold numbers; shapes and dtypes don't.
            return self._moved(found[0], "") if name == "getattr" and node.args[1] in ("T", "mT", "H", "mH", "data") else None
        plain = name.removesuffix("_")
        if plain in elementwise.MOVES:
            rate = node.kwargs.get("p", node.args[1] if len(node.args) > 1 and "dropout" in plain else 0.5)
            # Alpha dropout keeps mean and variance; nothing is to be said of it.
            counts = "dropout" in plain and "alpha" not in plain and isinstance(rate, float)
            return self._moved(found[0], f"dropout of {rate:g}" if counts else "")
        if plain in elementwise.NORMS:
            return self._step(node, "normalisation", name, found[:1])
        if plain in elementwise.POOLS:
            return self._step(node, "pool", name, found[:1])
        if plain in elementwise.JOINS:
            return self._step(node, "join", name, found)
        if elementwise.is_elementwise_name(name):
            anchors = {value.anchor for value in found}
            constant = all(self._is_constant(source) for source, value in inputs if value is None)
            if len(anchors) == 1 and constant:
                return _Value(found[0].step, found[0].anchor, node, tuple(dict.fromkeys(word for value in found for word in value.passed)))
            if plain in elementwise.SUMS and constant:
                return self._step(node, "sum", name, found)
        return self._step(node, "other", name, found)

    def _module(self, node: Any, found: list[_Value]) -> _Value:
        module = self.modules[node.target]
        if is_weight_layer(module):
            name = self.names.setdefault(id(module), str(node.target))
            self.layers.setdefault(name, module)
            return self._step(node, "layer", name, found[:1])
        role = _role(module)
        if role == "move":
            rate = getattr(module, "p", 0.0)
            counts = isinstance(rate, float) and rate > 0.0 and "Alpha" not in type(module).__name__
            return self._moved(found[0], f"dropout of {rate:g}" if counts else "")
        if role:
            return self._step(node, role, type(module).__name__, found[:1])
        if len(found) == 1 and is_elementwise(module):
            return _Value(found[0].step, found[0].anchor, node, found[0].passed)
        return self._step(node, "other", f"{node.target} ({type(module).__name__})", found)

    def _is_constant(self, node: Any) -> bool:
        """Whether a node without signal is one number."""
        if node.op != "get_attr":
            return False
        value: Any = self.model
        for word in str(node.target).split("."):
            value = getattr(value, word)
        return bool(getattr(value, "numel", lambda: 0)() == 1)

    def _moved(self, value: _Value, word: str) -> _Value:
        return _Value(value.step, value.anchor, value.last, (*value.passed, word) if word else value.passed)

    def _step(self, node: Any, kind: str, name: str, found: list[_Value]) -> _Value:
        sources = tuple(self._settled(value) for value in found)
        passed = tuple(dict.fromkeys(word for value in found for word in value.passed))
        return self._new(node, Step(kind, sources, name, passed=passed))

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
                raise ActivationError(f"the activation after {before!r}: {error}") from error
            self.steps.append(Step("activation", (value.step,), str(value.last.target), act))
            self.made[value.last] = len(self.steps) - 1
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
        if node.op == "call_module":
            return _role(self.modules[node.target]) == "move"
        return node.op in ("call_function", "call_method") and _name(node).removesuffix("_") in elementwise.MOVES

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
        return {"__getitem__": "getitem"}.get(name, name) if node.target is not operator.matmul else "matmul"
    return str(node.target)


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
