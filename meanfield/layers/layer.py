"""A layer: a frozen description of what it does to the joint law of two inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from meanfield.errors import DomainError
from meanfield.layers.cotangent import Pullback
from meanfield.layers.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meanfield.activations import Activation
    from meanfield.layers.sequence import Repeat, Sequence


class Step(NamedTuple):
    """What a layer makes of a state, and the way back of a gradient."""

    state: State
    pull: Pullback


class Affine(NamedTuple):
    """K11 ↦ a K11 + b + w μ V[φ](K11) and K12 ↦ a K12 + b + w C[φ](K11, K22, c): residual, dropout and plain layers are all that.

    The gradient's factor is a + w μ V[φ']. μ = E d² of the dropout's mask d, 1 without one.
    """

    a: float
    b: float
    w: float
    mu: float
    activation: Activation


class MisplacedLayer(DomainError):
    """A layer that makes no sense where it stands: `place` is its path of numbers, `reason` what is wrong."""

    def __init__(self, reason: str, layer: Layer, place: tuple[int, ...] = ()) -> None:
        self.reason, self.layer, self.place = reason, layer, place
        where = f"layer {'.'.join(map(str, place))} ({layer})" if place else str(layer)
        super().__init__(f"{where}: {reason}")

    def inside(self, place: int) -> MisplacedLayer:
        """The same, seen from one level up."""
        return MisplacedLayer(self.reason, self.layer, (place, *self.place))


class Exactness(NamedTuple):
    """How far the theory of one layer holds."""

    place: str
    kind: str  # "exact" | "approximate" | "simulated"
    why: str


class Layer(ABC):
    """What every layer can do. ``a >> b`` puts b behind a, ``a * 3`` repeats a.

    What these signs make are layers themselves: each kind enters its name in `kinds` when it is defined, and they are found there.
    """

    kinds: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init_subclass__(cls) -> None:
        if cls.__module__.startswith("meanfield."):
            Layer.kinds[cls.__name__] = cls

    @abstractmethod
    def apply(self, state: State) -> Step:
        """The state behind the layer, and the way back of a gradient.

        Raises
        ------
        MisplacedLayer
            If the layer makes no sense behind that state.
        """

    @property
    def mixes(self) -> bool:
        """Whether fresh weights make its output's units Gaussian and independent of what its input's units are."""
        return False

    @property
    def changes_width(self) -> bool:
        """Whether what comes out can't be added to what went in."""
        return False

    @property
    def inside(self) -> tuple[Layer, ...]:
        """The layers that it is made of."""
        return ()

    @property
    def mixes_inputs(self) -> bool:
        """Whether it acts on more than a pair of inputs at once, so that pairs of sites don't go through it by themselves."""
        return False

    @property
    def is_costly(self) -> bool:
        """Whether one turn takes a tenth of a second."""
        return False

    @property
    def asks_for_sites(self) -> bool:
        """Whether it needs the pairs of different sites."""
        return False

    @property
    def carries_sites(self) -> bool:
        """Whether it takes the pairs of sites along by itself."""
        return False

    def exactness(self) -> tuple[str, str]:
        """ "exact", "approximate" or "simulated", and why."""
        return "exact", ""

    def affine(self) -> Affine | None:
        """The layer's maps as a, b, w and φ, where they have that form."""
        return None

    def __rshift__(self, other: Any) -> Sequence:
        made: Sequence = Layer.kinds["Sequence"](self, other)
        return made

    def __rrshift__(self, other: Any) -> Sequence:
        made: Sequence = Layer.kinds["Sequence"](other, self)
        return made

    def __mul__(self, times: int) -> Repeat:
        made: Repeat = Layer.kinds["Repeat"](self, times)
        return made

    __rmul__ = __mul__


def as_layer(spec: Any) -> Layer:
    """A layer as it is; an activation, or anything that stands for one, as a layer."""
    made: Layer = spec if isinstance(spec, Layer) else Layer.kinds["Activation"](spec)
    return made


def every(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    """All layers, those inside others included."""
    for layer in layers:
        yield layer
        yield from every(layer.inside)


@dataclass(frozen=True)
class Identity(Layer):
    """What goes in comes out: the skip of a `Concatenate` or the bare side of a `Gate`."""

    def apply(self, state: State) -> Step:
        return Step(state, lambda cotangents: cotangents)

    def __str__(self) -> str:
        return "Identity()"
