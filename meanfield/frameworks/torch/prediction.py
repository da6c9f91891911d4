"""What theory expects of a model's signals, from its weights as they are, beside what a batch shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.frameworks.torch.installed import checked_model
from meanfield.frameworks.torch.network import Built, build
from meanfield.layers.given import Given
from meanfield.layers.graph import INPUT, Product, Several
from meanfield.result import Result, left_out, paged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.arrays import Array

QUANTITIES = ("variance", "correlation", "gradient")
PER_LAYER = 5.0  # the logarithm of a norm spreads by about 5/N a layer of N units; THEORY: (3 E[φ⁴]/V² − 1)/N
CLOSE, CLOSE_GRADIENT = 0.25, 0.7  # of logarithms: what approximations (borders, pooling, small batches) may add
Z = 3.0
MOST_ROWS = 24  # of the table that a person is shown; `to_frame` has all


@dataclass(frozen=True, eq=False, repr=False)
class LayerPrediction(Result):
    """One layer, or operation.

    Attributes
    ----------
    name, kind : str
        kind is "layer", "activation", "normalisation", "sum", …
    variance, expected_variance : float
        Mean square of its output's numbers on the batch, and of theory.
    correlation, expected_correlation : float
        E[x x']/E[x²] over neighbouring inputs.
    gradient, expected_gradient : float
        |∂E/∂x|² of its output over that of the last row.
    method : str
        "theory", or "measured" where the moments behind it are taken from the batch: theory starts anew there, forward and backward.
    why : str
        Why they are.
    band, gradient_band : float
        Factors by which theory may be off at the layers' widths.
    """

    name: str
    kind: str
    variance: float
    expected_variance: float
    correlation: float
    expected_correlation: float
    gradient: float
    expected_gradient: float
    method: str
    why: str
    band: float
    gradient_band: float

    @property
    def within(self) -> bool:
        """Whether variance and gradient lie within their bands."""
        return _near(self.variance, self.expected_variance, self.band) and _near(self.gradient, self.expected_gradient, self.gradient_band)


def _near(found: float, expected: float, factor: float) -> bool:
    if found == expected or math.isnan(found) or math.isnan(expected):
        return True
    return found > 0.0 and expected > 0.0 and 1.0 / factor <= found / expected <= factor


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Result):
    """A model's signal propagation, expected and measured; ``str`` is a table, `plot` a picture.

    Attributes
    ----------
    layers : tuple of LayerPrediction
        Weight layers in the order of their use.
    operations : tuple of LayerPrediction
        Every step: weight layers, activations, normalisations, sums, …
    """

    layers: tuple[LayerPrediction, ...]
    operations: tuple[LayerPrediction, ...] = field(repr=False)

    @property
    def departures(self) -> tuple[LayerPrediction, ...]:
        """The weight layers whose variance or gradient lies outside of its band."""
        return tuple(layer for layer in self.layers if not layer.within)

    def _columns(self) -> dict[str, Any]:
        return {name: [getattr(row, name) for row in self.layers] for name in LayerPrediction.__dataclass_fields__}

    def column(self, name: str) -> Array:
        """A number of every weight layer: ``column("expected_variance")``."""
        if name not in _NUMBERS:
            raise DomainError(f"name = {name!r} is unknown; give one of {', '.join(_NUMBERS)}")
        return np.array([getattr(layer, name) for layer in self.layers], dtype=np.float64)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[LayerPrediction]:
        return iter(self.layers)

    def __getitem__(self, name: str | int) -> LayerPrediction:
        if isinstance(name, int):
            return self.layers[name]
        for layer in (*self.layers, *self.operations):
            if layer.name == name:
                return layer
        raise DomainError(f"{name!r} names no layer; there are {', '.join(layer.name for layer in self.layers)}")

    def plot(self, ax: Axes | None = None, quantity: str = "variance") -> Axes:
        """Draw it: see `meanfield.plot.signal_propagation`."""
        from meanfield.plot.signal_propagation import signal_propagation

        return signal_propagation(self, ax, quantity=quantity)

    def __repr__(self) -> str:
        return f"Prediction({len(self.layers)} layers, {len(self.operations)} operations, {len(self.departures)} departures)"

    def __str__(self) -> str:
        given = [row for row in self.operations if row.method == "measured"]
        wide = min(max([9, *(len(row.name) for row in self.layers)]), 16)
        title = f"{len(self.layers)} weight layers of {len(self.operations)} operations: measured / expected from the weights as they are"
        outside = f"{len(self.departures)} of {len(self.layers)} layers lie outside of the band of their width"
        lines = [paged(title), outside, f"{'layer':<{wide}}" + "".join(f" {head:>17}" for head in QUANTITIES)]
        rows = []
        for row in self.layers:
            name = row.name if len(row.name) <= wide else "…" + row.name[1 - wide :]
            cells = "".join(
                " " + f"{_number(getattr(row, word))} / {_number(getattr(row, f'expected_{word}'))}".rjust(17) for word in QUANTITIES
            )
            rows.append(f"{name:<{wide}}{cells}{'' if row.within else '  departs'}")
        lines += left_out(rows, MOST_ROWS)
        reasons: dict[str, list[str]] = {}
        for row in given:
            reasons.setdefault(row.why, []).append(row.name)
        lines.extend(
            paged(f"measured, theory starts anew behind it: {', '.join(names[:3])}{f' … ({len(names)})' if len(names) > 3 else ''}: {why}")
            for why, names in reasons.items()
        )
        return "\n".join(lines)


_NUMBERS = tuple(name for name, kind in LayerPrediction.__annotations__.items() if kind == "float")


def predict(model: Any, x: Any, *, seed: int = 0) -> Prediction:
    """The variance, correlation and gradient that theory expects at each layer of a model, beside those measured on a batch.

    Parameters
    ----------
    model : torch.nn.Module
        Freshly initialised; weights that training has made are not random, and theory says nothing of them.
    x : tensor, or tuple of tensors
        A batch, the first axis counting inputs; a tuple holds several arguments.
    seed : int
        Of the random gradient at the outputs, and of dropout's masks.

    Returns
    -------
    Prediction
        ``print`` it; ``.layers``, ``.operations``, ``.departures``, ``.plot()``.

    Raises
    ------
    DomainError
        If the model fails on x.

    Notes
    -----
    The model is run in training mode, a random gradient goes back, and everything is as it was afterwards. Expected values start from
    the batch's own mean square and correlation and follow `network`. At what no theory covers they are set to the measured ones,
    forward and backward; the table says where. The bands widen with the depth over the width, 5/N a layer, as the theory's fluctuations do.

    Examples
    --------
    >>> import torch
    >>> from meanfield.frameworks.torch import init_, predict
    >>> model = torch.nn.Sequential(torch.nn.Linear(20, 400), torch.nn.Tanh(), torch.nn.Linear(400, 400), torch.nn.Tanh())
    >>> _ = init_(model, seed=0)
    >>> found = predict(model, torch.randn(64, 20, generator=torch.Generator().manual_seed(0)))
    >>> len(found), len(found.departures)
    (2, 0)
    """
    built = build(checked_model(model), x, seed, backward=True)
    states, gradients = _walked(built)
    steps, recording = built.architecture.steps, built.recording
    forward, backward = _spreads(built)
    rows = []
    for index, node in enumerate(built.graph.nodes):
        step = steps[index + 1]
        seen = recording.seen.get(step.node)
        if seen is None:
            continue
        whole = states[index].whole
        why = built.why[index]
        units = _units(built, index)
        rows.append(
            LayerPrediction(
                node.name,
                step.kind,
                seen.square,
                float(whole.q1),
                seen.pair / seen.square if seen.square > 0.0 else 0.0,
                1.0 - float(whole.epsilon),
                recording.gradients.get(step.node, 0.0),
                gradients[index] * built.uneven.get(index, 1.0),
                "measured" if why else "theory",
                why,
                math.exp(CLOSE + Z * math.sqrt(forward[index] + (2.0 / units if units else 0.0))),
                math.exp(CLOSE_GRADIENT + Z * math.sqrt(backward[index])),
            )
        )
    last = next((row for row in reversed(rows) if row.gradient > 0.0), None)
    if last is not None:
        unit, expected = last.gradient, last.expected_gradient or last.gradient
        rows = [
            LayerPrediction(**{**vars(row), "gradient": row.gradient / unit, "expected_gradient": row.expected_gradient / expected})
            for row in rows
        ]
    return Prediction(tuple(row for row in rows if row.kind == "layer"), tuple(rows))


def _walked(built: Built) -> tuple[list[Any], list[float]]:
    """States behind all nodes and E|δ|² there; where moments are measured, the gradient starts anew too."""
    steps, gradients = built.architecture.steps, built.recording.gradients
    readers = [0] * (len(built.graph.nodes) + 1)
    for node in built.graph.nodes:
        for source in node.sources:
            readers[source] += 1
    places = {place for index in range(len(built.graph.nodes)) for place in _measured(built, index, readers) if place != INPUT}
    anchors = {place: gradients[steps[place + 1].node] for place in places if steps[place + 1].node in gradients}
    return built.graph.gradients(built.start, built.outputs, anchors)[:2]


def _measured(built: Built, index: int, readers: list[int]) -> Iterator[int]:
    """Nodes whose |δ|² theory can't tell for what node `index` is: it is taken as measured."""
    nodes, steps, seen = built.graph.nodes, built.architecture.steps, built.recording.seen
    node, step = nodes[index], steps[index + 1]
    if step.node in built.recording.channels and steps[step.sources[0]].kind == "activation":
        # Channels in which φ' is small are those that a normalisation of φ makes large: no product of the two.
        yield from nodes[node.sources[0]].sources
    if isinstance(node.what, Product) and step.node in seen:
        # One gate for many places gets the sum of x δ over them, and behind a pooling δ is the same at all of them.
        for source in node.sources:
            gate = seen.get(steps[source + 1].node)
            if gate is not None and gate.count < seen[step.node].count and readers[source] == 1:
                yield source
    if isinstance(node.what, (Given, Several)):
        yield index
        own = [source for source in node.sources if readers[source] == 1]
        yield from own
        for source in own:
            if step.kind == "pool" and steps[source + 1].kind == "activation":
                # A maximum is taken where φ' is large: what passes it and φ is no product of the two either.
                yield from nodes[source].sources


def _units(built: Built, index: int) -> int:
    step = built.architecture.steps[index + 1]
    layer = built.architecture.layers.get(step.name) if step.kind == "layer" else None
    if layer is None:
        return 0
    return int(layer.out_channels if hasattr(layer, "kernel_size") else layer.out_features)


def _spreads(built: Built) -> tuple[list[float], list[float]]:
    """Variances of ln q forward and of ln |δ|² backward: 5/N a layer of N units, anew behind a normalisation or a measurement.

    A gradient that n of its numbers carry, (Σ g²)²/Σ g⁴, is no mean over units: behind normalisations of channels that are nearly dead n is
    4 or 10. The mean of n squares spreads by 2/n.
    """
    nodes = built.graph.nodes
    steps = built.architecture.steps
    forward: list[float] = []
    for index, node in enumerate(nodes):
        before = max((forward[s] for s in node.sources if s != INPUT), default=0.0)
        units = _units(built, index)
        anew = isinstance(node.what, (Given, Several)) or steps[index + 1].kind == "normalisation"
        forward.append(0.0 if anew else before + (PER_LAYER / units if units else 0.0))
    backward = [0.0] * len(nodes)
    for index in range(len(nodes) - 1, -1, -1):
        units = _units(built, index)
        carried = built.recording.carried.get(steps[index + 1].node, math.inf)
        backward[index] += 2.0 / carried if carried > 0.0 else 0.0
        # δ before a layer of N units is a sum of N terms.
        arriving = backward[index] + (PER_LAYER / units if units else 0.0)
        if isinstance(nodes[index].what, (Given, Several)):
            arriving = 2.0 / carried if carried > 0.0 else 0.0
            backward[index] = 0.0
        for source in nodes[index].sources:
            if source != INPUT:
                backward[source] = max(backward[source], arriving)
    return forward, backward


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"
