"""Networks as plain data, the way a TOML or JSON file holds them: tables, lists, words and numbers.

What is read may come from anywhere: it is checked entry by entry and never evaluated, and an error names the place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.activations import activation as find_activation
from meanfield.activations.activation import shortened
from meanfield.errors import ActivationError, DomainError
from meanfield.layers.activation import Activation
from meanfield.layers.attention import Attention
from meanfield.layers.concatenate import Concatenate, Mixture
from meanfield.layers.dense import Convolution, Dense
from meanfield.layers.dropout import Dropout
from meanfield.layers.gate import Gate
from meanfield.layers.layer import Identity, Layer, as_layer
from meanfield.layers.maxout import Maxout
from meanfield.layers.normalise import BatchNorm, LayerNorm, RMSNorm
from meanfield.layers.pool import AveragePool, GlobalAveragePool
from meanfield.layers.post_activation import PostActivation
from meanfield.layers.residual import Residual
from meanfield.layers.sequence import MOST_TURNS, Repeat, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meanfield.activations import Activation as Function

DEEPEST = 32  # layers inside layers
MOST_LAYERS = 100_000  # with repetitions inside other layers written out
MOST_ACTIVATIONS = 200  # different ones: each has tables of its own


@dataclass(frozen=True)
class _Kind:
    """One type of layer: how each of its arguments is read, and which must be there."""

    make: Callable[..., Layer]
    arguments: Mapping[str, Callable[[_Reader, Any, str], Any]]
    required: tuple[str, ...] = ()


def from_description(description: Any) -> Sequence:
    """The layers that plain data describes.

    Parameters
    ----------
    description : list, or mapping with one key, "layers"
        The layers in order: a string is an activation (a name or a formula), a mapping has ``type`` and the layer's arguments by their
        names in `meanfield.layers`. docs/layers.md lists the types.

    Returns
    -------
    Sequence
        ``Network(from_description(description))`` is the network.

    Raises
    ------
    DomainError
        If something is missing, unknown, of another type or out of range, more than 32 layers lie inside one another, or more than 10⁵ are
        to be written out. The message names the place: ``layers[2].branch[0]``.
    ActivationError
        If a string is no activation, likewise.

    Examples
    --------
    >>> from meanfield import layers as L
    >>> print(L.from_description([{"type": "dense", "sigma_w": 1.3, "sigma_b": 0.2}, "tanh"]))
    Dense(σ_w=1.3, σ_b=0.2) >> tanh
    """
    listed = description
    if isinstance(description, Mapping):
        for key in description:
            if key != "layers":
                raise DomainError(f"unknown key {_shown(key)}; a network has one key, 'layers'")
        if "layers" not in description:
            raise DomainError("the key 'layers' is missing; a network is described by layers = […]")
        listed = description["layers"]
    return Sequence(*_Reader().layers(listed, "layers"))


def to_description(network: Any) -> dict[str, Any]:
    """The plain data that describes a network: what `from_description` reads.

    Parameters
    ----------
    network : Network or Layer

    Returns
    -------
    dict
        Of dicts, lists, strings and numbers; arguments that have their default are left out.

    Raises
    ------
    DomainError
        If there is an activation that is neither in the catalogue nor a formula.

    Examples
    --------
    >>> from meanfield import layers as L
    >>> L.to_description(L.Repeat(L.Residual("relu", L.Dense(2.0), scale=0.5), 3))["layers"][0]["times"]
    3
    """
    layers = (network,) if isinstance(network, Layer) and not isinstance(network, Sequence) else network.layers
    return {"layers": [_described(layer) for layer in layers]}


class _Reader:
    """Reads one description, and counts what it meets."""

    def __init__(self) -> None:
        self.depth = 0
        self.turns = 1  # how often what is being read is written out
        self.count = 0
        self.activations: set[int] = set()

    def layers(self, value: Any, place: str) -> tuple[Layer, ...]:
        """A list of layers, one behind the other."""
        if not isinstance(value, (list, tuple)):
            raise _wrong(place, value, "a list of layers")
        if not value:
            raise DomainError(f"{place} is empty; at least one layer is needed")
        return tuple(self.layer(each, f"{place}[{index}]") for index, each in enumerate(value))

    def branch(self, value: Any, place: str) -> Layer:
        """One layer, or a list of them."""
        if not isinstance(value, (list, tuple)):
            return self.layer(value, place)
        found = self.layers(value, place)
        return found[0] if len(found) == 1 else Sequence(*found)

    def branches(self, value: Any, place: str) -> tuple[Layer, ...]:
        """A list of branches."""
        if not isinstance(value, (list, tuple)):
            raise _wrong(place, value, "a list of branches, each a list of layers")
        return tuple(self.branch(each, f"{place}[{index}]") for index, each in enumerate(value))

    def layer(self, value: Any, place: str) -> Layer:
        """A string is an activation, a table any layer."""
        self.count += self.turns
        if self.count > MOST_LAYERS:
            raise DomainError(f"{place}: the network has more than {MOST_LAYERS} layers, repetitions inside other layers written out")
        if isinstance(value, str):
            value = {"type": "activation", "activation": value}
        if not isinstance(value, Mapping):
            raise _wrong(place, value, "a layer: a table with a type, or the name or formula of an activation")
        kind = _kind(value, place)
        if self.depth == DEEPEST:
            raise DomainError(f"{place}: more than {DEEPEST} layers inside one another")
        outside = self.turns
        self.depth += 1
        if "times" in kind.arguments and self.depth > 1:  # a network follows its own repetitions without writing them out
            self.turns *= max(1, self.whole(value["times"], f"{place}.times"))
        arguments = {key: kind.arguments[key](self, value[key], f"{place}.{key}") for key in value if key != "type"}
        self.depth, self.turns = self.depth - 1, outside
        with _at(place):
            made = kind.make(**arguments)
        if isinstance(made, Activation):
            self.activations.add(id(made.activation))
            if len(self.activations) > MOST_ACTIVATIONS:
                raise DomainError(f"{place}: more than {MOST_ACTIVATIONS} different activations")
        return made

    def parameters(self, value: Any, place: str) -> dict[str, Any]:
        """Parameters of an activation: numbers, words, lists of numbers."""
        if not isinstance(value, Mapping):
            raise _wrong(place, value, "a table of parameters")
        found: dict[str, Any] = {}
        for key, each in value.items():
            if not isinstance(key, str) or key in ("breakpoints", "name"):
                raise DomainError(f"{place}: {_shown(key)} is no parameter of an activation")
            inside = f"{place}.{shortened(key)}"
            if isinstance(each, (str, bool)):
                found[key] = each
            else:
                found[key] = self.numbers(each, inside) if isinstance(each, (list, tuple)) else self.number(each, inside)
        return found

    def shares(self, value: Any, place: str) -> list[tuple[Activation, float]]:
        """Activations and their shares: a table, or a list of pairs, whose activations may have parameters."""
        if not isinstance(value, (Mapping, list, tuple)):
            raise _wrong(place, value, "a table from activations to their shares, or a list of pairs")
        found = []
        for index, pair in enumerate(value.items() if isinstance(value, Mapping) else value):
            inside = f"{place}[{index}]"
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise _wrong(inside, pair, "a pair of an activation and its share")
            layer = self.layer(pair[0], inside)
            if not isinstance(layer, Activation):
                raise DomainError(f"{inside}: a mixture is one of activations, not of {type(layer).__name__}")
            found.append((layer, self.number(pair[1], inside)))
        return found

    def numbers(self, value: Any, place: str) -> tuple[float, ...]:
        """A list of numbers."""
        if not isinstance(value, (list, tuple)):
            raise _wrong(place, value, "a list of numbers")
        return tuple(self.number(each, f"{place}[{index}]") for index, each in enumerate(value))

    def number(self, value: Any, place: str) -> float:
        """A finite number; no truth value, and no word that looks like a number."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong(place, value, "a number")
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if not math.isfinite(found):
            raise DomainError(f"{place} = {_shown(value)} is out of range: a finite number is needed")
        return found

    def whole(self, value: Any, place: str) -> int:
        """A whole number that a machine has room for."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(place, value, "a whole number")
        if not -MOST_TURNS <= value <= MOST_TURNS:
            raise DomainError(f"{place} = {_shown(value)} is out of range: at most {MOST_TURNS}")
        return value

    def word(self, value: Any, place: str) -> str:
        """A word."""
        if not isinstance(value, str):
            raise _wrong(place, value, "a word")
        return value


def _kind(table: Mapping[Any, Any], place: str) -> _Kind:
    """The kind of a layer's table, whose keys are all known and all there."""
    if "type" not in table:
        raise DomainError(f"{place}: the key 'type' is missing; one of {', '.join(_KINDS)}")
    name = table["type"]
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise DomainError(f"{place}: unknown type {_shown(name)}; one of {', '.join(_KINDS)}")
    for key in table:
        if key != "type" and key not in kind.arguments:
            known = ", ".join(kind.arguments) or "none"
            raise DomainError(f"{place}: unknown key {_shown(key)}; the arguments of {name} are {known}")
    for key in kind.required:
        if key not in table:
            raise DomainError(f"{place}: the key {key!r} is missing; {name} needs it")
    return kind


def _shown(value: Any) -> str:
    """A value in an error message, which a long one may not fill."""
    if isinstance(value, int) and abs(value) >= 10**30:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"a table of {len(value)}"
    return shortened(repr(value), 60)


def _wrong(place: str, value: Any, needed: str) -> DomainError:
    return DomainError(f"{place} = {_shown(value)} has the wrong type: {needed} is needed")


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Errors of what is made here name the place in the description."""
    try:
        yield
    except DomainError as error:
        raise DomainError(f"{place}: {error}") from None
    except ActivationError as error:
        raise ActivationError(f"{place}: {error}") from None


def _made_activation(activation: str, parameters: Mapping[str, Any] | None = None) -> Activation:
    return Activation(find_activation(activation, **(parameters or {})))


def _made_residual(branch: tuple[Layer, ...], **numbers: float) -> Residual:
    return Residual(*branch, **numbers)


def _made_concatenate(branches: tuple[Layer, ...], widths: tuple[float, ...] | None = None) -> Concatenate:
    return Concatenate(*branches, widths=widths)


def _made_post_activation(branch: tuple[Layer, ...], **options: Any) -> PostActivation:
    return PostActivation(*branch, **options)


def _made_repeat(times: int, layers: tuple[Layer, ...]) -> Repeat:
    return Repeat(layers[0] if len(layers) == 1 else Sequence(*layers), times)


_DENSE: dict[str, Callable[[_Reader, Any, str], Any]] = {
    "sigma_w": _Reader.number,
    "sigma_b": _Reader.number,
    "weights": _Reader.word,
}
_KINDS = {
    "dense": _Kind(Dense, _DENSE, ("sigma_w",)),
    "convolution": _Kind(Convolution, {**_DENSE, "taps": _Reader.whole}, ("sigma_w",)),
    "activation": _Kind(_made_activation, {"activation": _Reader.word, "parameters": _Reader.parameters}, ("activation",)),
    "dropout": _Kind(Dropout, {"rate": _Reader.number}, ("rate",)),
    "layer_norm": _Kind(LayerNorm, {"epsilon": _Reader.number}),
    "rms_norm": _Kind(RMSNorm, {"epsilon": _Reader.number}),
    "batch_norm": _Kind(BatchNorm, {"batch": _Reader.whole, "epsilon": _Reader.number}, ("batch",)),
    "residual": _Kind(_made_residual, {"branch": _Reader.layers, "scale": _Reader.number, "skip": _Reader.number}, ("branch",)),
    "concatenate": _Kind(_made_concatenate, {"branches": _Reader.branches, "widths": _Reader.numbers}, ("branches",)),
    "mixture": _Kind(Mixture, {"shares": _Reader.shares}, ("shares",)),
    "gate": _Kind(Gate, {"left": _Reader.branch, "right": _Reader.branch}, ("left", "right")),
    "identity": _Kind(Identity, {}),
    "maxout": _Kind(Maxout, {"pieces": _Reader.whole}, ("pieces",)),
    "attention": _Kind(
        Attention,
        {"sigma_qk": _Reader.number, "sigma_v": _Reader.number, "tokens": _Reader.whole, "kind": _Reader.word},
        ("sigma_qk", "sigma_v", "tokens"),
    ),
    "post_activation": _Kind(
        _made_post_activation,
        {"branch": _Reader.layers, "activation": _Reader.word, "scale": _Reader.number, "skip": _Reader.number},
        ("branch",),
    ),
    "average_pool": _Kind(AveragePool, {"sites": _Reader.whole}, ("sites",)),
    "global_average_pool": _Kind(GlobalAveragePool, {"sites": _Reader.whole}),
    "repeat": _Kind(_made_repeat, {"times": _Reader.whole, "layers": _Reader.layers}, ("times", "layers")),
}


def _described(layer: Layer) -> Any:
    """One layer as plain data."""
    if isinstance(layer, Activation):
        return _described_activation(layer)
    if isinstance(layer, Residual):
        return {"type": "residual", "branch": _listed(layer.branch), **_unusual(layer, scale=1.0, skip=1.0)}
    if isinstance(layer, Concatenate):
        widths = {"widths": list(layer.widths)} if set(layer.widths) != {1.0} else {}
        return {"type": "concatenate", "branches": [_listed(branch) for branch in layer.branches], **widths}
    if isinstance(layer, Mixture):
        pairs = zip(layer.inner.branches, layer.inner.widths, strict=True)
        return {"type": "mixture", "shares": [[_described(branch), share] for branch, share in pairs]}
    if isinstance(layer, Gate):
        return {"type": "gate", "left": _listed(layer.left), "right": _listed(layer.right)}
    if isinstance(layer, Repeat):
        return {"type": "repeat", "times": layer.times, "layers": _listed(layer.layer)}
    if isinstance(layer, Dense):
        usual = {"sigma_b": 0.0, "weights": "gaussian"} | ({"taps": 3} if isinstance(layer, Convolution) else {})
        name = "convolution" if isinstance(layer, Convolution) else "dense"
        return {"type": name, "sigma_w": layer.sigma_w, **_unusual(layer, **usual)}
    if isinstance(layer, Dropout):
        return {"type": "dropout", "rate": layer.rate}
    if isinstance(layer, BatchNorm):
        return {"type": "batch_norm", "batch": layer.batch, **_unusual(layer, epsilon=0.0)}
    for kind, name in ((LayerNorm, "layer_norm"), (RMSNorm, "rms_norm")):
        if isinstance(layer, kind):
            return {"type": name, **_unusual(layer, epsilon=0.0)}
    if isinstance(layer, Identity):
        return {"type": "identity"}
    if isinstance(layer, Maxout):
        return {"type": "maxout", "pieces": layer.pieces}
    if isinstance(layer, Attention):
        given = {"sigma_qk": layer.sigma_qk, "sigma_v": layer.sigma_v, "tokens": layer.tokens}
        return {"type": "attention", **given, **_unusual(layer, kind="softmax")}
    if isinstance(layer, PostActivation) and isinstance(_described(as_layer(layer.activation)), str):
        inner = {"activation": _described(as_layer(layer.activation))}
        return {"type": "post_activation", "branch": _listed(layer.branch), **inner, **_unusual(layer.sum, scale=1.0, skip=1.0)}
    if isinstance(layer, AveragePool):
        return {"type": "average_pool", "sites": layer.sites}
    if isinstance(layer, GlobalAveragePool):
        return {"type": "global_average_pool", **_unusual(layer, sites=None)}
    raise DomainError(f"{type(layer).__name__} has no description as plain data")


def _listed(layer: Layer) -> list[Any]:
    return [_described(each) for each in (layer.layers if isinstance(layer, Sequence) else (layer,))]


def _unusual(layer: Layer, **usual: Any) -> dict[str, Any]:
    """The arguments that differ from their defaults."""
    return {name: getattr(layer, name) for name, value in usual.items() if getattr(layer, name) != value}


def _described_activation(layer: Activation) -> Any:
    """Its name or formula, with parameters where they are not the default; refused where reading that back would give another function."""
    act = layer.activation
    if _same(act, act.name, {}):
        return act.name
    if not _same(act, act.name, act.parameters):
        raise DomainError(f"the activation {act!r} is neither in the catalogue nor a formula: it has no description as plain data")
    parameters = {key: list(value) if isinstance(value, tuple) else value for key, value in act.parameters.items()}
    return {"type": "activation", "activation": act.name, "parameters": parameters}


def _same(act: Function, name: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a name or formula stands for this activation."""
    try:
        found = find_activation(name, **parameters)
    except ActivationError:
        return False
    return found is act or (act.has_formula and found.has_formula and bool(found.formula == act.formula))
