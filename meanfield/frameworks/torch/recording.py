"""A model's graph, recorded while it runs on a batch: whatever its control flow is, with what was seen at every operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from meanfield.errors import DomainError
from meanfield.frameworks.torch import elementwise
from meanfield.frameworks.torch.installed import torch
from meanfield.frameworks.torch.measurement import tensors_of, undisturbed
from meanfield.frameworks.torch.recognition import has_weight_layers, is_elementwise
from meanfield.frameworks.torch.roles import role
from meanfield.frameworks.torch.weight_layers import is_depthwise, is_weight_layer

SMALLEST = 1e-38  # of single precision
EPSILON = 1e-5  # torch's own, where a normalisation names none
WEIGHTED = frozenset({"linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"})


@dataclass(frozen=True)
class Seen:
    """A tensor of the forward pass.

    Attributes
    ----------
    square, mean : float
        Of its numbers.
    pair : float
        E[x x'] over neighbouring inputs of the batch; nan for a single one.
    count : int
    sample : ndarray
        At most 4096 of the numbers.
    """

    square: float
    mean: float
    pair: float
    count: int
    sample: Any = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class Effective:
    """The weight that an operation multiplies with, whatever made it.

    Attributes
    ----------
    sigma_w, sigma_b : float
    inside : float
        The part of its taps that lies inside the image.
    centred : bool
        Whether each unit's weights add up to 0, so that the mean of what arrives does not pass.
    """

    sigma_w: float
    sigma_b: float
    inside: float
    centred: bool = False


@dataclass(frozen=True)
class Channels:
    """What a batch, group or instance normalisation takes.

    Attributes
    ----------
    share : float
        The part of its second moment that is that of the means which are taken away.
    count : int
        How many values go into each mean.
    uneven : float
        E[1/(s + e)] (E[s] + e) over the channels' variances s.
    """

    share: float
    count: int
    uneven: float


@dataclass
class Recording:
    """What a run left behind.

    Attributes
    ----------
    graph : torch.fx.Graph
        Every operation that was carried out, in order; only to be read.
    shapes, seen : dict by node
    gradients : dict by node
        Σ (∂E/∂x)² for a random gradient at the outputs.
    pulls : dict by node
        Of tensors put side by side: Σ (∂E/∂x)² over each.
    carried : dict by node
        By how many of its numbers that is carried: (Σ g²)²/Σ g⁴ of g = ∂E/∂x.
    weights : dict by node
        Of operations that multiply with a weight.
    calls : dict by node
        The function, its arguments and its result.
    channels : dict by node
        Of what a batch, group or instance normalisation takes.
    entering : dict by node
        E[1/s] E[s] over the channels' variances s of what a depthwise convolution takes.
    weighed : dict by node
        Of normalisations of each place: Σ |δ|²/(s + e) over places of variances s, δ the gradient behind, over Σ |δ|²/(E[s] + e).
    """

    graph: Any
    shapes: dict[Any, tuple[int, ...]] = field(default_factory=dict)
    seen: dict[Any, Seen] = field(default_factory=dict)
    gradients: dict[Any, float] = field(default_factory=dict)
    pulls: dict[Any, tuple[float, ...]] = field(default_factory=dict)
    carried: dict[Any, float] = field(default_factory=dict)
    weights: dict[Any, Effective] = field(default_factory=dict)
    calls: dict[Any, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = field(default_factory=dict)
    channels: dict[Any, Channels] = field(default_factory=dict)
    entering: dict[Any, float] = field(default_factory=dict)
    weighed: dict[Any, float] = field(default_factory=dict)
    outputs: list[Any] = field(default_factory=list)


def recorded(model: Any, x: Any, seed: int = 0, *, backward: bool = True) -> Recording:
    """Run a model in training mode on a batch, and a random gradient back; the model is as before afterwards.

    Raises
    ------
    DomainError
        If the model fails on x, or gives no tensor.
    """
    t = torch()
    from torch.fx import Graph

    arguments = x if isinstance(x, tuple) else (x,)
    found = Recording(Graph())
    with undisturbed(model), t.set_grad_enabled(backward):
        t.default_generator.manual_seed(seed)
        given = tuple(a.detach().clone().requires_grad_(backward) if a.is_floating_point() else a for a in arguments)
        recorder = _recorder()(model, found, backward)
        # An input that requires gradients may not be changed in place: the model works on copies.
        copies = tuple(a.clone() if a.requires_grad else a for a in given)
        for position, tensor in enumerate(copies):
            recorder.placeholder(f"input{position or ''}", tensor)
        try:
            with recorder.watching(model), recorder:
                answer = model(*copies)
        except Exception as error:  # whatever a user's model may raise
            raise DomainError(f"x: the model fails on it, with {type(error).__name__}: {error}") from error
        outputs = [o for o in tensors_of(answer) if o.is_floating_point() or o.is_complex()]
        if not outputs:
            raise DomainError("x: the model's output is no tensor of real numbers")
        found.graph.output(tuple(recorder.node(o) for o in outputs))
        found.outputs = [recorder.node(o) for o in outputs]
        usable = [o for o in outputs if o.requires_grad and not o.is_complex()]
        if backward and usable:
            generator = t.Generator().manual_seed(seed)
            downwards = [t.randn(o.shape, generator=generator, dtype=t.float64).to(o) for o in usable]
            wanted = [p for p in (*given, *model.parameters()) if p.requires_grad]
            try:
                t.autograd.grad(usable, wanted, downwards, allow_unused=True, retain_graph=True)
            except RuntimeError as error:  # what the model does in place may leave no gradient, in training neither
                raise DomainError(f"x: the model's backward pass fails on it, with {type(error).__name__}: {error}") from error
    return found


def factors_of_an_operation(recording: Recording, node: Any, seed: int = 0) -> list[float]:
    """|δ before|²/|δ behind|² of one operation on each of its inputs, for a random δ behind it: its own Jacobian, simulated."""
    t = torch()
    function, arguments, keywords, _ = recording.calls[node]
    fresh: dict[int, Any] = {}

    def free(value: Any) -> Any:
        if isinstance(value, t.Tensor):
            if value.is_floating_point() and not isinstance(value, t.nn.Parameter):
                return fresh.setdefault(id(value), value.detach().clone().requires_grad_(True))
            return value
        return type(value)(map(free, value)) if type(value) in (list, tuple) else value

    with t.enable_grad(), t.random.fork_rng(devices=[]):
        t.default_generator.manual_seed(seed)
        try:
            again = tensors_of(function(*map(free, arguments), **{key: free(v) for key, v in keywords.items()}))[0]
            if not again.requires_grad:  # randn_like, argmax: nothing goes back
                return [0.0] * len(fresh)
            delta = t.randn(again.shape, generator=t.Generator().manual_seed(seed), dtype=t.float64).to(again)
            gradients = t.autograd.grad([again], list(fresh.values()), [delta], allow_unused=True)
        except Exception:  # an operation that can't be done twice, or has no gradient
            return []
    below = float(delta.double().square().sum())
    return [0.0 if g is None else float(g.double().square().sum()) / below for g in gradients]


def is_leaf(module: Any) -> bool:
    """Whether a module is one operation of the graph."""
    nn = torch().nn
    if is_weight_layer(module) or isinstance(module, (nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)):
        return True
    if has_weight_layers(module) or next(module.children(), None) is not None:
        return False
    own = type(module).__module__
    if own.startswith(("torch.nn", "torch.ao.nn")) and not isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        return True
    return bool(role(module)) or is_elementwise(module)


def not_seen(*_: Any) -> None:
    """Stands for what happened out of sight: a custom autograd function."""
    raise NotImplementedError


def constant(*_: Any) -> None:
    """Stands for a tensor that the forward pass made from no input."""
    raise NotImplementedError


def _recorder() -> Any:
    """The class, made when torch is there."""
    from torch.overrides import TorchFunctionMode

    class Recorder(_Recorder, TorchFunctionMode):  # type: ignore[misc]
        def __init__(self, model: Any, found: Recording, backward: bool) -> None:
            TorchFunctionMode.__init__(self)
            _Recorder.__init__(self, model, found, backward)

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            keywords = kwargs or {}
            result = func(*args, **keywords)
            if self.looking:
                pass  # an operation of our own
            elif self.inside:
                self.weight(func, args, keywords)
            else:
                self.operation(func, args, keywords, result)
            return result

    return Recorder


class _Recorder:
    """Adds a node to the graph for every operation."""

    def __init__(self, model: Any, found: Recording, backward: bool) -> None:
        self.found, self.backward = found, backward
        self.inside = 0
        self.looking = False
        self.table: dict[int, tuple[Any, Any]] = {}  # tensors are kept, so that their ids stay theirs
        self.last: Any = None
        self.names = {id(module): name for name, module in model.named_modules()}
        self.parameters = {id(p): name for name, p in (*model.named_parameters(), *model.named_buffers())}
        self.sizes: dict[Any, tuple[Any, tuple[int, ...]]] = {}  # of each place: variance + e, and the axes that it is over
        self.joints: dict[Any, tuple[int, list[int]]] = {}  # the axis of tensors side by side, and how long each is there
        self.taken: Effective | None = None

    @contextmanager
    def watching(self, model: Any) -> Iterator[None]:
        """Modules that are one operation, seen as one."""
        handles = []
        for module in model.modules():
            if is_leaf(module):
                handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
                handles.append(module.register_forward_hook(self._leave, with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def placeholder(self, name: str, tensor: Any) -> None:
        """An input."""
        self._known(self.found.graph.placeholder(name), tensor)

    def _enter(self, module: Any, args: Any, kwargs: Any) -> None:
        self.looking = True
        if self.inside == 0:
            self.arguments = self._nodes(args), {key: self._nodes(value) for key, value in kwargs.items()}
            self.taken = None
        self.inside += 1
        self.looking = False

    def _leave(self, module: Any, args: Any, kwargs: Any, result: Any) -> None:
        self.inside -= 1
        if self.inside:
            return
        self.looking = True
        arguments, keywords = self.arguments
        node = self.found.graph.create_node("call_module", self.names[id(module)], arguments, keywords)
        if self.taken is not None:
            self.found.weights[node] = self.taken
        if is_depthwise(module) and args and args[0].dim() > 2:
            x = args[0].detach().float()
            self.found.entering[node] = _uneven(x.movedim(1, 0).reshape(x.shape[1], -1), EPSILON)
        if role(module) == "normalisation" and args:
            epsilon = getattr(module, "eps", EPSILON)
            self._means(node, type(module).__name__, args[0], getattr(module, "num_groups", 1), epsilon)
            self._places(node, type(module).__name__, args[0], getattr(module, "normalized_shape", None), epsilon)
        self._results(node, module, args, kwargs, result)
        self.looking = False

    def operation(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """A function or method."""
        t = torch()
        name = getattr(func, "__name__", str(func))
        graph = self.found.graph
        if name == "__get__":
            attribute = getattr(func.__self__, "__name__", "")
            if isinstance(result, t.Tensor) and args and id(args[0]) in self.table and attribute not in ("grad",):
                self._known(graph.create_node("call_function", getattr, (self.node(args[0]), attribute), {}), result)
            return
        if name == "__setitem__":
            if id(args[0]) in self.table or any(id(a) in self.table for a in args[2:]):
                self._known(graph.create_node("call_function", _setitem, self._nodes(args), {}), args[0])
            return
        if not any(id(a) in self.table or id(a) in self.parameters or a.grad_fn is not None for a in tensors_of([args, kwargs])):
            return  # of constants alone
        if not tensors_of(result) or name in ("detach_", "requires_grad_", "register_hook"):
            return
        node = graph.create_node("call_function", func, self._nodes(args), {key: self._nodes(value) for key, value in kwargs.items()})
        self.taken = None
        self.weight(func, args, kwargs)
        if self.taken is not None:
            self.found.weights[node] = self.taken
        if name in elementwise.NORMS:
            groups = kwargs.get("num_groups", args[1] if len(args) > 1 and isinstance(args[1], int) else 1)
            epsilon = kwargs.get("eps", EPSILON)
            self._means(node, name, args[0], groups, epsilon)
            self._places(node, name, args[0], kwargs.get("normalized_shape", args[1] if len(args) > 1 else None), epsilon)
        if name in elementwise.JOINS and "stack" not in name:
            axis = kwargs.get("dim", args[1] if len(args) > 1 else 0)
            parts = args[0] if args else kwargs.get("tensors", ())
            if isinstance(axis, int) and isinstance(parts, (list, tuple)) and all(part.dim() == result.dim() for part in parts):
                self.joints[node] = axis, [int(part.shape[axis]) for part in parts]
        self._results(node, func, args, kwargs, result)

    def _means(self, node: Any, name: str, tensor: Any, groups: int, epsilon: Any) -> None:
        x = tensor.detach().float()
        word = name.lower()
        if "batch" in word:
            rows = x.movedim(1, 0).reshape(x.shape[1], -1)
        elif "instance" in word:
            rows = x.reshape(x.shape[0] * x.shape[1], -1)
        elif "group" in word:
            rows = x.reshape(x.shape[0] * groups, -1)
        else:
            return
        square, means = float(rows.square().mean()), rows.mean(1)
        share = float(means.square().mean()) / square if square > 0.0 else 0.0
        e = float(epsilon) if isinstance(epsilon, (int, float)) else EPSILON
        self.found.channels[node] = Channels(share, int(rows.shape[1]), _uneven(rows, e))

    def _places(self, node: Any, name: str, tensor: Any, shape: Any, epsilon: Any) -> None:
        """Sizes of the places that a layer or RMS normalisation takes one by one."""
        if not isinstance(shape, (tuple, list)) or tensor.dim() <= len(shape):
            return
        # LayerNorm2d, as in ConvNeXt, takes channels though they are the second axis.
        behind = tuple(tensor.shape[-len(shape) :]) == tuple(shape)
        axes = tuple(range(-len(shape), 0)) if behind else (1,)
        x = tensor.detach().float()
        size = x.square().mean(axes, keepdim=True)
        if "rms" not in name.lower():
            size = size - x.mean(axes, keepdim=True).square()
        e = float(epsilon) if isinstance(epsilon, (int, float)) else EPSILON
        self.sizes[node] = size.clamp_min(0.0) + e, axes

    def weight(self, func: Any, args: Any, kwargs: Any) -> None:
        """The σ's of a linear map, from what it is really given."""
        name = getattr(func, "__name__", "")
        if name not in WEIGHTED or self.taken is not None:
            return
        transposed = "transpose" in name
        last = ("output_padding", "groups", "dilation") if transposed else ("dilation", "groups")
        given = dict(zip(("input", "weight", "bias", "stride", "padding", *last), args, strict=False)) | kwargs
        x, weight, bias = given["input"], given["weight"].detach(), given.get("bias")
        size = weight.double().square().mean()
        if name == "linear":
            fan, inside = float(weight.shape[-1]), 1.0
        else:
            fan, inside = _taps(func, x, weight, given, transposed)
        own = 0.0 if bias is None else math.sqrt(float(bias.detach().double().abs().square().mean()))
        # Of independent weights the sum's mean square is that of one times their number, of standardised ones 0.
        sums = weight.double().sum(tuple(range(1, weight.dim()))).square().mean()
        centred = not transposed and weight[0].numel() > 1 and float(sums) < 1e-6 * weight[0].numel() * float(size)
        self.taken = Effective(math.sqrt(float(size) * fan), own, inside, centred)

    def _results(self, node: Any, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        t = torch()
        self.found.calls[node] = (func, args, kwargs, result)
        self.last = node
        if isinstance(result, t.Tensor):
            self._known(node, result)
            return
        parts = list(result) if isinstance(result, (list, tuple)) else tensors_of(result)
        if _plain(func) in elementwise.TUPLES:
            for index, part in enumerate(parts):
                self._known(self.found.graph.create_node("call_function", _getitem, (node, index), {}), part)
            return
        for index, part in enumerate(tensors_of(parts)):
            self._known(node if index == 0 else self.found.graph.create_node("call_function", _getitem, (node, index), {}), part)

    def _known(self, node: Any, tensor: Any) -> None:
        t = torch()
        self.table[id(tensor)] = (node, tensor)
        self.found.shapes[node] = tuple(tensor.shape)
        if tensor.is_floating_point() and tensor.numel() and not tensor.is_meta:
            self.found.seen[node] = _seen(tensor)
            if self.backward and tensor.requires_grad and t.is_grad_enabled():
                places, joint = self.sizes.pop(node, None), self.joints.pop(node, None)
                tensor.register_hook(lambda gradient: self._gradient(node, gradient.float().square(), places, joint))

    def _gradient(self, node: Any, squares: Any, places: tuple[Any, tuple[int, ...]] | None, joint: tuple[int, list[int]] | None) -> None:
        """Keeps of ∂E/∂x, of which the squares are given, what `Recording` has."""
        found, whole = self.found, float(squares.sum())
        found.gradients[node] = whole
        shares = squares / squares.max().clamp_min(SMALLEST)  # whose squares don't underflow
        fourth = float(shares.square().sum())
        found.carried[node] = float(shares.sum()) ** 2 / fourth if fourth > 0.0 else math.inf
        if joint is not None and sum(joint[1]) == squares.shape[joint[0]]:
            found.pulls[node] = tuple(float(part.sum()) for part in squares.split(joint[1], joint[0]))
        if places is not None and whole > 0.0 and bool((places[0] > 0.0).all()):
            by_place = squares.sum(places[1], keepdim=True)
            found.weighed[node] = float((by_place / places[0]).sum() / by_place.sum() * places[0].mean())

    def node(self, tensor: Any) -> Any:
        """The node of a tensor; one for what was not seen."""
        if id(tensor) in self.table:
            return self.table[id(tensor)][0]
        graph = self.found.graph
        if id(tensor) in self.parameters:
            made = graph.create_node("get_attr", self.parameters[id(tensor)], (), {})
        elif tensor.grad_fn is not None and self.last is not None and not isinstance(tensor, torch().nn.Parameter):
            made = graph.create_node("call_function", not_seen, (self.last,), {})
            self._known(made, tensor)
        else:
            made = graph.create_node("call_function", constant, (), {})
        self.table.setdefault(id(tensor), (made, tensor))
        return self.table[id(tensor)][0]

    def _nodes(self, value: Any) -> Any:
        t = torch()
        if isinstance(value, t.Tensor):
            if value.numel() == 1 and id(value) not in self.table and id(value) not in self.parameters and value.grad_fn is None:
                return value.item()
            return self.node(value)
        if type(value) in (list, tuple):
            return type(value)(map(self._nodes, value))
        return value


def _getitem(parts: Any, index: Any) -> Any:
    return parts[index]


def _setitem(*_: Any) -> None:
    raise NotImplementedError


_getitem.__name__ = "getitem"
_setitem.__name__ = "setitem"


def _plain(func: Any) -> str:
    return str(getattr(func, "__name__", type(func).__name__)).removesuffix("_")


def _uneven(rows: Any, e: float) -> float:
    """E[1/(s + e)] (E[s] + e) over rows of variances s.

    |δ before a normalisation|² is |δ|²/(s + e) channel by channel, and 1/s is larger on average than one over the average.
    """
    sizes = rows.var(1, correction=0)
    if e <= 0.0 and not bool((sizes > 0.0).all()):
        return 1.0
    return max(float((1.0 / (sizes + e)).mean()) * (float(sizes.mean()) + e), 1.0)


def _seen(tensor: Any) -> Seen:
    x = tensor.detach().float()  # torch adds pairwise: single precision is accurate enough
    square = float(x.square().mean())
    pair = math.nan
    if x.dim() > 1 and x.shape[0] > 1:
        pair = float((x * x.roll(1, 0)).mean())
    flat = x.reshape(-1)
    sample = flat[:: max(1, flat.numel() // 4096)][:4096].double().cpu().numpy()
    return Seen(square, float(x.mean()), pair, int(x.numel()), sample)


def _taps(func: Any, x: Any, weight: Any, given: dict[str, Any], transposed: bool) -> tuple[float, float]:
    """fan_in, and which part of it an output meets on average: zero padding leaves some out (to first order, the same everywhere)."""
    t = torch()
    if transposed:
        stride = given.get("stride", 1)
        steps = stride if isinstance(stride, (tuple, list)) else (stride,) * (weight.dim() - 2)
        groups = int(given.get("groups", 1))
        return weight.shape[0] / groups * math.prod(weight.shape[2:]) / math.prod(steps), 1.0
    fan = float(math.prod(weight.shape[1:]))
    padding = given.get("padding", 0)
    if padding in (0, "valid") or (isinstance(padding, (tuple, list)) and not any(padding)):
        return fan, 1.0
    kernel = weight.shape[2:]
    ones = t.ones((1, 1, *x.shape[2:]), dtype=t.float32)
    more = {key: given[key] for key in ("stride", "padding", "dilation") if key in given}
    with t.no_grad():
        return fan, float(func(ones, t.full((1, 1, *kernel), 1.0 / math.prod(kernel)), **more).mean())
