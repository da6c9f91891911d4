"""σ_w and σ_b for each layer of a model, and the variance to expect there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.expectation.second_moment import second_moment
from meanfield.frameworks.torch.architecture import Step
from meanfield.frameworks.torch.recognition import same
from meanfield.theory.edge_of_chaos import edge_of_chaos
from meanfield.theory.mean_field import MeanField
from meanfield.theory.recommend import recommend

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.frameworks.torch.following import Followed

SMALLEST, LARGEST = 1e-250, 1e250


@dataclass(frozen=True)
class Target:
    """The initialisation of layers with one activation: σ_w, σ_b, the variance they settle at, and why."""

    sigma_w: float
    sigma_b: float
    q: float
    note: str = ""


@dataclass(frozen=True)
class PlannedLayer:
    """A layer's σ_w and σ_b; q = σ_b² + σ_w² · incoming, incoming being the mean square of its inputs."""

    name: str
    follows: Activation | None
    preceded_by: Activation | None
    sigma_w: float
    sigma_b: float
    q: float
    incoming: float
    note: str


@dataclass(frozen=True)
class _Signal:
    """Mean square of a step's result; raw is False behind an activation, start where the scale does not come from a layer."""

    mean_square: float
    activation: Activation | None = None
    start: bool = False
    notes: tuple[str, ...] = ()


class Planner:
    """Plans a model's initialisation.

    Parameters
    ----------
    followed : Followed
    depth : int
        For `meanfield.recommend`.
    sigma_w, sigma_b : float or None
        The same for all layers, where given. sigma_w alone: no biases. sigma_b alone: σ_w on the edge of chaos there.
    input_variance : float
        Mean square of the model's inputs.
    scale_ends : bool
        Whether the first layer is scaled to q and the output layers to variance 1.
    """

    def __init__(
        self, followed: Followed, depth: int, sigma_w: float | None, sigma_b: float | None, input_variance: float, scale_ends: bool
    ) -> None:
        self.followed = followed
        self.architecture = followed.architecture
        self.depth = depth
        self.sigma_w, self.sigma_b = sigma_w, sigma_b
        self.input_variance = input_variance
        self.scale_ends = scale_ends
        self._targets: dict[tuple[int, bool], Target] = {}
        self._squares: dict[tuple[int, float], float] = {}
        self._normalised = _normalised(self.architecture.steps)

    def plan(self) -> dict[str, PlannedLayer]:
        """All layers in order."""
        planned: dict[str, PlannedLayer] = {}
        signals: list[_Signal] = []
        for step in self.architecture.steps:
            arriving = [signals[source] for source in step.sources]
            notes = tuple(dict.fromkeys(note for signal in arriving for note in signal.notes))
            notes += tuple(f"{word} raises E[x²] in training" for word in step.passed if word.startswith("dropout"))
            signals.append(self._next(step, arriving, notes, planned))
        return planned

    def _next(self, step: Step, arriving: list[_Signal], notes: tuple[str, ...], planned: dict[str, PlannedLayer]) -> _Signal:
        if step.kind == "data" or not arriving:
            return _Signal(self.input_variance, None, True)
        first = arriving[0]
        if step.kind == "layer":
            if step.name not in planned:
                planned[step.name] = self._layer(step.name, first, notes)
            layer = planned[step.name]
            return _Signal(_bounded(layer.sigma_b**2 + layer.sigma_w**2 * first.mean_square))
        if step.kind == "activation" and step.activation is not None:
            return _Signal(self._square(step.activation, first.mean_square), step.activation, False, notes)
        if step.kind == "normalisation":
            return _Signal(1.0, first.activation, True, (*notes, f"{step.name} before it sets the variance to 1"))
        if step.kind == "sum":
            total = _bounded(math.fsum(signal.mean_square for signal in arriving))
            act = next((signal.activation for signal in arriving if signal.activation is not None), None)
            start = all(signal.start for signal in arriving)
            return _Signal(total, act, start, (*notes, "a sum before it: variances added as if independent"))
        mean = math.fsum(signal.mean_square for signal in arriving) / len(arriving)
        if step.kind in ("pool", "other"):
            notes = (*notes, f"{step.name} before it: E[x²] taken as unchanged")
        return _Signal(mean, first.activation, all(signal.start for signal in arriving), notes)

    def _layer(self, name: str, signal: _Signal, notes: tuple[str, ...]) -> PlannedLayer:
        follows = self.followed.follows[name]
        layer = self.architecture.layers[name]
        biased = layer.bias is not None
        said = list(notes)
        uses = self.architecture.uses(name)
        if uses > 1:
            said.append(f"used {uses} times, drawn once")
        act = follows if follows is not None else signal.activation
        if self.sigma_w is not None:
            target = self._given(act, biased)
        elif act is None:  # a linear model
            target = Target(1.0, 0.0, 1.0)
        else:
            target = self._target(name, act, biased)
        if target.note and name not in self._normalised:
            said.append(target.note)
        sigma_w, sigma_b = target.sigma_w, target.sigma_b
        m = signal.mean_square
        room = target.q - sigma_b**2
        if self.scale_ends and 0.0 < m < math.inf:
            if follows is None:
                sigma_w, sigma_b = 1.0 / math.sqrt(m), 0.0
                said.append("output: scaled to variance 1")
            elif signal.start and math.isfinite(room) and room > 0.0:
                sigma_w = math.sqrt(room / m)
                said.append(f"first layer: scaled so that inputs of mean square {m:g} give q")
            elif signal.activation is not None and not same(signal.activation, follows) and math.isfinite(room) and room > 0.0:
                sigma_w = math.sqrt(room / m)
                said.append(f"between {signal.activation.name} and {follows.name}: scaled to the q of the latter")
        if name in self._normalised:
            said.append(f"{self._normalised[name]} after it sets the variance to 1")
        q = _bounded(sigma_b**2 + sigma_w**2 * m)
        return PlannedLayer(name, follows, signal.activation, sigma_w, sigma_b, q, m, "; ".join(dict.fromkeys(said)))

    def _given(self, act: Activation | None, biased: bool) -> Target:
        weight = float(self.sigma_w if self.sigma_w is not None else 1.0)
        bias = float(self.sigma_b or 0.0)
        note = ""
        if not biased and bias > 0.0:
            note, bias = "no bias: σ_b can't be had", 0.0
        q = MeanField(act, weight, bias).q_star if self.scale_ends and act is not None else math.nan
        return Target(weight, bias, q, note)

    def _target(self, name: str, act: Activation, biased: bool) -> Target:
        key = (id(act), biased)
        if key not in self._targets:
            try:
                self._targets[key] = self._found(act, biased)
            except DomainError as error:
                raise DomainError(f"layer {name or 'given'!r}: {error}, or give sigma_w and sigma_b") from error
        return self._targets[key]

    def _found(self, act: Activation, biased: bool) -> Target:
        if self.sigma_b is not None and (biased or self.sigma_b == 0.0):
            edge = edge_of_chaos(act, self.sigma_b)
            if edge.status == "none":
                raise DomainError(f"{act.name} has no edge of chaos at sigma_b = {self.sigma_b!r}: {edge.reason}")
            return Target(float(edge.sigma_w), float(self.sigma_b), float(edge.q))
        if biased:
            best = recommend(act, self.depth)
            return Target(best.sigma_w, best.sigma_b, best.q)
        edge = edge_of_chaos(act, 0.0)
        if edge.status != "none" and math.isfinite(MeanField(act, float(edge.sigma_w), 0.0).variance_limit(1.0)):
            note = "" if edge.status == "neutral" else "no bias: edge of chaos at σ_b = 0"
            return Target(float(edge.sigma_w), 0.0, float(edge.q), note)
        # Variance can be kept without biases, criticality can't.
        best = recommend(act, self.depth)
        weight = best.q / float(second_moment(act, best.q))
        chi = weight * float(second_moment(act, best.q, 1))
        note = f"no bias (σ_b = {best.sigma_b:.4g} is needed on the edge): σ_w keeps q, χ₁ = {chi:.4g}"
        return Target(math.sqrt(weight), 0.0, best.q, note)

    def _square(self, act: Activation, q: float) -> float:
        if not SMALLEST <= q <= LARGEST:
            q = 0.0 if q < 1.0 else LARGEST
        key = (id(act), q)
        if key not in self._squares:
            self._squares[key] = _bounded(float(second_moment(act, q)))
        return self._squares[key]


def _bounded(value: float) -> float:
    """0 and inf where the theory's range ends."""
    return value if SMALLEST <= value <= LARGEST else (0.0 if value < 1.0 else math.inf)


def _normalised(steps: tuple[Step, ...]) -> dict[str, str]:
    """Layers whose output goes straight into a normalisation, and its name."""
    found = {}
    for step in steps:
        if step.kind == "normalisation":
            source = steps[step.sources[0]]
            if source.kind == "layer":
                found[source.name] = step.name
    return found


def longest_path(steps: tuple[Step, ...]) -> int:
    """Layers on the longest way through the model."""
    depth: list[int] = []
    for step in steps:
        before: Any = max((depth[source] for source in step.sources), default=0)
        depth.append(before + (step.kind == "layer"))
    return max(depth, default=0)
