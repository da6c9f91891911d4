"""A model as steps: weight layers, the activations between them, and what else acts on the signal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meanfield.frameworks.residual import residual_sums

if TYPE_CHECKING:
    from meanfield.activations import Activation


@dataclass(frozen=True)
class Step:
    """One thing that happens to the signal.

    Attributes
    ----------
    kind : str
        "data", "layer", "activation", "normalisation", "dropout", "sum", "join", "part", "pool", "scale", "shift" or "other".
    sources : tuple of int
        The steps that feed it.
    name : str
        The layer's name, or what the model calls the operation.
    activation : Activation or None
    rate : float
        Probability with which a dropout drops.
    alpha : bool
        Whether it is alpha dropout, which keeps mean 0 and variance 1.
    widths : tuple of float or None
        How many units each source brings to a join; None where that can't be told.
    places : tuple of int
        Which of the tensors that are put side by side the sources are: others may be parameters.
    signs : tuple of float
        Factors of a sum's terms.
    zero : bool
        Whether its weights are all exactly 0.
    size : float
        Root mean square of the parameter that a scale multiplies with, or a shift adds, or that data are looked up in.
    embedded : bool
        Whether data are rows of a table of parameters.
    node : object or None
        What the framework calls it whose result it is: a torch.fx.Node.
    """

    kind: str
    sources: tuple[int, ...] = ()
    name: str = ""
    activation: Activation | None = None
    rate: float = 0.0
    alpha: bool = False
    widths: tuple[float | None, ...] = ()
    places: tuple[int, ...] = ()
    signs: tuple[float, ...] = ()
    zero: bool = False
    size: float = 1.0
    embedded: bool = False
    node: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Architecture:
    """The steps in the order in which a signal meets them.

    Attributes
    ----------
    steps : tuple of Step
    layers : dict
        Weight layers by name, each once, in the order of their first use.
    untraced : str
        Why the model could not be traced and the order of registration stands in; "" if it was traced.
    left_alone : tuple of str
        Weight layers of the model that the steps don't hold, and why.
    """

    steps: tuple[Step, ...]
    layers: dict[str, Any]
    untraced: str = ""
    left_alone: tuple[str, ...] = ()
    followers: dict[str, tuple[Activation, ...]] = field(default_factory=dict)
    meets: dict[str, tuple[str, ...]] = field(default_factory=dict)  # layers met with no activation between
    unclear: dict[str, tuple[str, ...]] = field(default_factory=dict)  # operations met that may be an activation
    streams: frozenset[str] = frozenset()  # layers whose output passes through a residual sum
    outputs: frozenset[int] = frozenset()  # steps that the model gives; none: those that nothing reads

    def uses(self, name: str) -> int:
        """How often the model calls a layer."""
        return sum(step.kind == "layer" and step.name == name for step in self.steps)


def with_followers(architecture: Architecture) -> Architecture:
    """The same, with what each layer's output meets next."""
    steps = architecture.steps
    leads = _leads_to_a_layer(steps)
    pending: list[frozenset[str]] = []
    followers: dict[str, list[Activation]] = {name: [] for name in architecture.layers}
    meets: dict[str, list[str]] = {name: [] for name in architecture.layers}
    unclear: dict[str, list[str]] = {name: [] for name in architecture.layers}
    sums = {item.step for item in residual_sums(steps) if item.skip}
    streams: set[str] = set()
    for index, step in enumerate(steps):
        arriving = frozenset().union(*(pending[source] for source in step.sources)) if step.sources else frozenset()
        if step.kind == "layer":
            for name in arriving:
                meets[name].append(step.name)
            arriving = frozenset({step.name})
        elif step.kind == "activation" and step.activation is not None:
            for name in arriving:
                if step.activation not in followers[name]:
                    followers[name].append(step.activation)
            arriving = frozenset()
        elif step.kind == "other" and leads[index]:
            for name in arriving:
                unclear[name].append(step.name)
            arriving = frozenset()
        elif index in sums:
            streams |= arriving
        pending.append(arriving)
    return Architecture(
        steps,
        architecture.layers,
        architecture.untraced,
        architecture.left_alone,
        {name: tuple(found) for name, found in followers.items()},
        {name: tuple(found) for name, found in meets.items()},
        {name: tuple(found) for name, found in unclear.items()},
        frozenset(streams),
        architecture.outputs,
    )


def _leads_to_a_layer(steps: tuple[Step, ...]) -> list[bool]:
    """Whether a weight layer lies somewhere behind a step."""
    leads = [False] * len(steps)
    for index in range(len(steps) - 1, -1, -1):
        if leads[index] or steps[index].kind == "layer":
            for source in steps[index].sources:
                leads[source] = True
    return leads


def gated(steps: tuple[Step, ...]) -> dict[str, str]:
    """Layers that shape one factor of a product of signals of one origin, and the operation: GLU, SE.

    All of a factor's where it has one or two, else those that it ends in.
    """
    before = _own_and_before(steps)
    found: dict[str, str] = {}
    for step in steps:
        sources = tuple(dict.fromkeys(step.sources))
        if step.kind != "other" or len(sources) < 2:
            continue
        shared = before[sources[0]]
        for source in sources[1:]:
            shared &= before[source]
        for source in sources:
            own = before[source] & ~shared
            names = {steps[i].name for i in range(source + 1) if own >> i & 1 and steps[i].kind == "layer"}
            if shared:
                found.update(dict.fromkeys(names if len(names) <= 2 else _ends_in(steps, source, own), step.name))
    return found


def behind_guesses(steps: tuple[Step, ...]) -> dict[str, str]:
    """Layers that read what a pooling or an operation of unknown kind has made, whose E[x²] no plan tells, and its name."""
    unsure: dict[int, str] = {}
    found: dict[str, str] = {}
    for index, step in enumerate(steps):
        arriving = next((unsure[source] for source in step.sources if source in unsure), "")
        if step.kind == "layer":
            if arriving:
                found.setdefault(step.name, arriving)
        elif step.kind in ("pool", "other"):
            unsure[index] = step.name
        elif arriving and step.kind != "normalisation":
            unsure[index] = arriving
    return found


def _ends_in(steps: tuple[Step, ...], index: int, allowed: int) -> set[str]:
    """The last layers on the ways to a step, through the steps that the bits of `allowed` name."""
    names: set[str] = set()
    waiting, seen = [index], {index}
    while waiting:
        here = waiting.pop()
        if not allowed >> here & 1:
            continue
        if steps[here].kind == "layer":
            names.add(steps[here].name)
            continue
        for source in steps[here].sources:
            if source not in seen:
                seen.add(source)
                waiting.append(source)
    return names


def stretches(steps: tuple[Step, ...]) -> dict[str, int]:
    """For each layer the number of layers on the longest way through it that crosses no normalisation and no sum."""
    ahead, behind = [0] * len(steps), [0] * len(steps)
    for index, step in enumerate(steps):
        if step.kind not in ("normalisation", "sum"):
            ahead[index] = max((ahead[source] for source in step.sources), default=0) + (step.kind == "layer")
    for index in range(len(steps) - 1, -1, -1):
        behind[index] += steps[index].kind == "layer"
        if steps[index].kind not in ("normalisation", "sum"):
            for source in steps[index].sources:
                behind[source] = max(behind[source], behind[index])
    found: dict[str, int] = {}
    for index, step in enumerate(steps):
        if step.kind == "layer":
            found[step.name] = max(found.get(step.name, 1), ahead[index] + behind[index] - 1)
    return found


def is_output(architecture: Architecture, name: str) -> bool:
    """Whether a layer's output meets no activation and no layer."""
    return not (architecture.followers.get(name) or architecture.meets.get(name) or architecture.unclear.get(name))


def _own_and_before(steps: tuple[Step, ...]) -> list[int]:
    """For each step the set, as bits, of those on the way to it, its own included."""
    before: list[int] = []
    for index, step in enumerate(steps):
        bits = 1 << index
        for source in step.sources:
            bits |= before[source]
        before.append(bits)
    return before
