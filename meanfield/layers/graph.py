"""Layers in any order in which nothing feeds back: what `Residual`, `Concatenate` and `Gate` are special cases of."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from meanfield.errors import DomainError
from meanfield.layers.cotangent import Cotangents, added, at_output, common, scaled, total
from meanfield.layers.given import Given, summed
from meanfield.layers.law import Unknown
from meanfield.layers.layer import Layer, MisplacedLayer, Step
from meanfield.layers.state import Part, State

INPUT = -1


@dataclass(frozen=True)
class Sum:
    """Σ coefficient · stream, the streams independent."""

    coefficients: tuple[float, ...]


@dataclass(frozen=True)
class SideBySide:
    """Streams of these widths side by side.

    Attributes
    ----------
    widths : tuple of float
    pulls : tuple of float
        For each stream what its part of the gradient, by width, is multiplied by; none: 1 each. Next to a class token that alone is read on
        the others get next to nothing.
    """

    widths: tuple[float, ...]
    pulls: tuple[float, ...] = ()


@dataclass(frozen=True)
class Product:
    """The product of two independent streams."""


@dataclass(frozen=True)
class Several:
    """An operation on several streams whose output's moments are given, and the gradient's factor for each stream."""

    given: Given
    factors: tuple[float, ...]


class Node(NamedTuple):
    """A layer, or one of the ways in which streams meet, and the nodes that feed it; −1 is the graph's input."""

    what: Layer | Sum | SideBySide | Product | Several
    sources: tuple[int, ...]
    name: str = ""


Back = Callable[[Cotangents], tuple[Cotangents, ...]]  # to each of a node's sources


@dataclass(frozen=True)
class Graph(Layer):
    """Nodes in an order in which each comes behind what feeds it; the last one is the output.

    Parameters
    ----------
    nodes : tuple of Node

    Examples
    --------
    >>> from meanfield import layers as L
    >>> from meanfield.layers.graph import Graph, Node, Sum
    >>> two = Graph((Node(L.Dense(1.0), (-1,)), Node(L.Dense(2.0), (-1,)), Node(Sum((1.0, 1.0)), (0, 1))))
    >>> print(two)
    Graph(3 nodes)
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.nodes:
            raise DomainError("a graph needs at least one node")
        for index, node in enumerate(self.nodes):
            if not node.sources or any(not INPUT <= source < index for source in node.sources):
                raise DomainError(f"node {index + 1} is fed by {node.sources}: each must be -1 or a node before it")

    @property
    def inside(self) -> tuple[Layer, ...]:
        return tuple(node.what for node in self.nodes if isinstance(node.what, Layer))

    @property
    def mixes(self) -> bool:
        return any(layer.mixes for layer in self.inside)

    def walked(self, state: State) -> tuple[list[State], list[tuple[tuple[int, ...], Back]]]:
        """States behind all nodes, and for each node its sources and the way back to each."""
        states: list[State] = []
        backs: list[tuple[tuple[int, ...], Back]] = []
        for index, node in enumerate(self.nodes):
            arriving = tuple(state if source == INPUT else states[source] for source in node.sources)
            try:
                after, pulls = through(node.what, arriving)
            except MisplacedLayer as error:
                raise error.inside(index + 1) from None
            states.append(after)
            backs.append((node.sources, pulls))
        return states, backs

    def gradients(
        self, state: State, outputs: dict[int, float], anchors: dict[int, float] | None = None
    ) -> tuple[list[State], list[float], float]:
        """States behind all nodes, E|δ|² behind each for independent read-outs at some, and at the input.

        At an anchor |δ|² is what is given, whatever comes back to it.
        """
        states, backs = self.walked(state)
        arrived: list[Cotangents] = [scaled(at_output(each), 0.0) for each in states]
        for index, norm in outputs.items():
            arrived[index] = added(arrived[index], scaled(at_output(states[index]), norm))
        entering = scaled(at_output(state), 0.0)
        for index in range(len(states) - 1, -1, -1):
            if anchors and index in anchors:
                arrived[index] = scaled(at_output(states[index]), anchors[index])
            sources, pulls = backs[index]
            for source, cotangents in zip(sources, pulls(arrived[index]), strict=True):
                if source == INPUT:
                    entering = added(entering, cotangents)
                else:
                    arrived[source] = added(arrived[source], cotangents)
        return states, [float(total(each)) for each in arrived], float(total(entering))

    def apply(self, state: State) -> Step:
        states, backs = self.walked(state)

        def pull(cotangents: Cotangents) -> Cotangents:
            arrived: dict[int, Cotangents] = {len(states) - 1: cotangents}
            for index in range(len(states) - 1, -1, -1):
                if index not in arrived:
                    continue
                sources, pulls = backs[index]
                for source, each in zip(sources, pulls(arrived[index]), strict=True):
                    arrived[source] = added(arrived[source], each) if source in arrived else each
            return arrived[INPUT]

        return Step(states[-1], pull)

    def exactness(self) -> tuple[str, str]:
        worst = [layer.exactness() for layer in self.inside] + [n.what.given.exactness() for n in self.nodes if isinstance(n.what, Several)]
        for kind in ("simulated", "approximate"):
            why = list(dict.fromkeys(reason for found, reason in worst if found == kind))
            if why:
                return kind, "; ".join(why[:3]) + (" …" if len(why) > 3 else "")
        return "exact", ""

    def __str__(self) -> str:
        return f"Graph({len(self.nodes)} nodes)"


def through(what: Layer | Sum | SideBySide | Product | Several, arriving: tuple[State, ...]) -> tuple[State, Back]:
    """The state behind a node, and the way back to each of its sources."""
    if isinstance(what, Layer):
        step = what.apply(arriving[0])
        return step.state, lambda cotangents: (step.pull(cotangents),)
    if isinstance(what, Sum):
        after, factors = summed(arriving, what.coefficients)
    elif isinstance(what, Several):
        after, factors = what.given.state(), what.factors
    elif isinstance(what, Product):
        after, factors = _product(arriving)
    else:
        return _side_by_side(arriving, what.widths, what.pulls or (1.0,) * len(arriving))

    def back(cotangents: Cotangents) -> tuple[Cotangents, ...]:
        norm, shared = total(cotangents), common(cotangents)
        return tuple(scaled(at_output(each, shared), factor * norm) for each, factor in zip(arriving, factors, strict=True))

    return after, back


def _product(arriving: tuple[State, ...]) -> tuple[State, tuple[float, ...]]:
    left, right = (state.whole for state in arriving)
    epsilon = left.epsilon + right.epsilon - left.epsilon * right.epsilon  # 1 − (1 − ε)(1 − ε')
    mean1, mean2 = left.mean1 * right.mean1, left.mean2 * right.mean2
    law = Unknown("a product of two streams is not Gaussian")
    after = State((Part(1.0, left.q1 * right.q1, left.q2 * right.q2, epsilon, mean1, mean2, law),))
    return after, (float(np.max(right.q1)), float(np.max(left.q1)))


def _side_by_side(arriving: tuple[State, ...], widths: tuple[float, ...], factors: tuple[float, ...]) -> tuple[State, Back]:
    whole = sum(widths)
    shares = [width / whole for width in widths]
    parts = tuple(replace(part, share=share * part.share) for share, state in zip(shares, arriving, strict=True) for part in state.parts)
    ends = np.cumsum([0, *(len(state.parts) for state in arriving)])

    def back(cotangents: Cotangents) -> tuple[Cotangents, ...]:
        own = (cotangents[low:high] for low, high in itertools.pairwise(ends))
        return tuple(scaled(each, factor) if factor != 1.0 else each for each, factor in zip(own, factors, strict=True))

    return State(parts), back
