"""σ_w and σ_b for each layer of a model, and the variance to expect there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.expectation.second_moment import second_moment
from meanfield.frameworks.architecture import Step, gated, stretches
from meanfield.frameworks.equality import same
from meanfield.frameworks.residual import End, blocks_in_stretch, branch_scale, residual_sums
from meanfield.frameworks.signal import DRAWS, Laws, Signal, bounded
from meanfield.theory.edge_of_chaos import edge_of_chaos
from meanfield.theory.mean_field import MeanField
from meanfield.theory.recommend import recommend

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.frameworks.following import Followed


class UnknownWidths(DomainError):
    """Tensors side by side whose widths matter and are not known."""


@dataclass(frozen=True)
class Target:
    """The initialisation of layers with one activation: σ_w, σ_b, the variance they settle at, and why."""

    sigma_w: float
    sigma_b: float
    q: float
    note: str = ""


@dataclass(frozen=True)
class PlannedLayer:
    """A layer's σ_w and σ_b; q = σ_b² + σ_w² · incoming, incoming being the mean square of its inputs in training."""

    name: str
    follows: Activation | None
    preceded_by: Activation | None
    sigma_w: float
    sigma_b: float
    q: float
    incoming: float
    note: str
    dropout: float = 1.0  # what σ_w is multiplied by for dropout before it
    branch: float = 1.0  # what σ_w and σ_b are multiplied by at the end of a branch
    raw: float = 1.0  # what σ_w is multiplied by where it reads a layer or a residual stream with no activation between
    method: str = "theory"  # see LayerInitialisation
    standardised: bool = False  # whether its forward undoes the scale of its weights: σ_w is what that leaves


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
    stretched : bool
        Whether the depth of a layer in a residual branch with a normalisation is the branch's, not the whole model's.
    kept : dict from str to float
        Layers that stay at 0, and the σ_b that they have.
    scale_branches : bool
        Whether ends of residual branches are scaled for their number.
    any_widths : bool
        Take tensors side by side of unknown widths as equally wide, which makes E[x²] a guess; else that is an error where it matters.
    fixed : dict from str to float
        Layers whose own forward standardises their weights, and the σ_w that it makes of any.
    """

    def __init__(
        self,
        followed: Followed,
        depth: int,
        sigma_w: float | None,
        sigma_b: float | None,
        input_variance: float,
        scale_ends: bool,
        stretched: bool = True,
        kept: dict[str, float] | None = None,
        scale_branches: bool = True,
        any_widths: bool = False,
        fixed: dict[str, float] | None = None,
    ) -> None:
        self.followed = followed
        self.architecture = followed.architecture
        self.depth = depth
        self.sigma_w, self.sigma_b = sigma_w, sigma_b
        self.input_variance = input_variance
        self.scale_ends = scale_ends
        self.kept = kept or {}
        self.scale_branches = scale_branches
        self.any_widths = any_widths
        self.fixed = fixed or {}
        self._targets: dict[tuple[int, bool, int], Target] = {}
        self._depths = normalised_branches(self.architecture.steps) if stretched else {}
        self._gates = gated(self.architecture.steps)
        self._guessed: set[int] = set()  # steps whose E[x²] is a guess
        self._laws = Laws()
        self._scaled: set[int] = set()  # sums whose branches are scaled
        self._branches = self._found_branches()
        self._normalised = normalised_layers(self.architecture.steps)

    def plan(self) -> dict[str, PlannedLayer]:
        """All layers in order."""
        planned: dict[str, PlannedLayer] = {}
        steps = self.architecture.steps
        last_use = {source: index for index, step in enumerate(steps) for source in step.sources}
        signals: dict[int, Signal] = {}
        for index, step in enumerate(steps):
            arriving = [signals[source] for source in step.sources]
            for source in set(step.sources):
                if last_use[source] == index:
                    del signals[source]  # and the draws that it holds
            notes = tuple(dict.fromkeys(note for signal in arriving for note in signal.notes))
            unsure = any(source in self._guessed for source in step.sources)
            unknown = step.kind == "join" and self.any_widths and None in (step.widths or (None,))
            if step.kind in ("pool", "other") or unknown or (unsure and step.kind not in ("layer", "normalisation")):
                self._guessed.add(index)
            signals[index] = self._next(step, arriving, notes, planned, unsure)
            if index in self._scaled:  # dropout in its branches is made up for there
                signals[index] = replace(signals[index], clean=signals[index].mean_square)
        return planned

    def _next(self, step: Step, arriving: list[Signal], notes: tuple[str, ...], planned: dict[str, PlannedLayer], unsure: bool) -> Signal:
        laws = self._laws
        if step.kind == "data" or not arriving:
            return laws.gaussian(step.size**2 if step.embedded else self.input_variance, start=True)
        first = arriving[0]
        if step.kind == "layer":
            if step.name not in planned:
                planned[step.name] = self._layer(step.name, first, notes, unsure)
            layer = planned[step.name]
            passed = first.mean_square - first.mean**2 if layer.standardised else first.mean_square
            return laws.gaussian(bounded(layer.sigma_b**2 + layer.sigma_w**2 * passed))
        if step.kind == "activation" and step.activation is not None:
            if not first.gaussian and first.kept == 1.0 and laws.slope(step.activation) is None:
                notes = (*notes, f"{step.activation.name} of what is not Gaussian before it: E[x²] from {DRAWS} draws of a unit")
            return replace(laws.activated(step.activation, first), notes=notes)
        if step.kind == "normalisation":
            return replace(laws.normalised(first), notes=(*notes, f"{step.name} before it sets the variance to 1"))
        if step.kind == "dropout":
            if step.rate >= 1.0:
                raise DomainError(f"{step.name}: it leaves nothing of the signal; its rate must be below 1")
            dropped = laws.alpha_dropped(first, step.rate) if step.alpha else laws.dropped(first, step.rate)
            return replace(
                dropped,
                notes=notes
                if step.alpha
                else (*notes, f"{step.name} before it multiplies E[x²] by {1.0 / (1.0 - step.rate):.4g} in training"),
            )
        if step.kind == "sum":
            total = laws.summed(arriving, step.signs or (1.0,) * len(arriving))
            return replace(total, notes=(*notes, "a sum before it: variances of independent terms added"))
        if step.kind == "join":
            return replace(
                laws.joined(arriving, self._shares(step, arriving)),
                notes=(*notes, "side by side before it: E[x²] averaged by width") if len(arriving) > 1 else notes,
            )
        if step.kind == "scale":
            return replace(laws.summed([first], [step.size]), notes=notes)
        if step.kind == "shift":
            return replace(laws.summed([first, laws.gaussian(step.size**2)], [1.0, 1.0]), notes=notes)
        if step.kind == "part":
            return laws.other_units(first)
        if step.kind in ("pool", "other"):
            notes = (*notes, f"{step.name} before it: E[x²] taken as unchanged")
        if len(arriving) == 1:
            return replace(first, notes=notes)
        mean = math.fsum(signal.mean_square for signal in arriving) / len(arriving)
        return laws.gaussian(bounded(mean), activation=first.activation, start=all(signal.start for signal in arriving), notes=notes)

    def _shares(self, step: Step, arriving: list[Signal]) -> list[float]:
        """Parts of a concatenation's width; where they are not known but all parts are alike, they don't matter."""
        squares = [signal.mean_square for signal in arriving]
        widths = step.widths or (None,) * len(arriving)
        known = [width for width in widths if width is not None]
        if len(known) == len(arriving):
            return [width / math.fsum(known) for width in known]
        if all(math.isclose(square, squares[0], rel_tol=1e-9) for square in squares):
            return [1.0 / len(squares)] * len(squares)
        if self.any_widths:
            usual = math.fsum(known) / len(known) if known else 1.0
            filled = [usual if width is None else width for width in widths]
            return [width / math.fsum(filled) for width in filled]
        shown = ", ".join("?" if width is None else f"{width:g}" for width in widths)
        raise UnknownWidths(
            f"{step.name} puts tensors of mean squares {', '.join(f'{square:.4g}' for square in squares)} side by side, and how wide "
            f"each is can't be told from the layers around them ({shown}): give an example input, init_(model, example=x)"
        )

    def _layer(self, name: str, signal: Signal, notes: tuple[str, ...], unsure: bool) -> PlannedLayer:
        follows = self.followed.follows[name]
        layer = self.architecture.layers[name]
        if name in self.kept:
            note = "its weights are 0 by design: kept"
            bias = self.kept[name]
            return PlannedLayer(name, follows, signal.activation, 0.0, bias, bias**2, signal.mean_square, note, method="kept")
        if name in self.fixed:
            note = "its own forward standardises its weights: their scale does not matter, and the mean of what arrives does not pass"
            arrives = bounded(signal.mean_square - signal.mean**2)
            q = bounded(self.fixed[name] ** 2 * arrives)
            return PlannedLayer(
                name, follows, signal.activation, self.fixed[name], 0.0, q, arrives, note, method="convention", standardised=True
            )
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
        elif name in self._gates and follows is not None:
            target = Target(1.0, 0.0, 1.0, f"in a gate ({self._gates[name]}): variance 1, at which the gate is open")
        elif name in self.followed.missing:
            met = self.followed.missing[name]
            target = Target(1.0, 0.0, 1.0, f"a linear pair: layer {met!r} reads it with no activation between, variance 1")
        elif name in self.followed.unclear:
            target = Target(1.0, 0.0, 1.0, f"{self.followed.unclear[name]}: variance 1")
        else:
            target = self._target(act, biased, self._depths.get(name, self.depth))
        if target.note and name not in self._normalised:
            said.append(target.note)
        sigma_w, sigma_b = target.sigma_w, target.sigma_b
        m = signal.mean_square
        room = target.q - sigma_b**2
        dropout = branch = raw = 1.0
        rescaled = False
        if self.scale_ends and 0.0 < m < math.inf:
            rescaled = True
            if follows is None:
                sigma_w, sigma_b = 1.0 / math.sqrt(m), 0.0
                said.append("output: scaled to variance 1")
            elif signal.start and math.isfinite(room) and room > 0.0:
                sigma_w = math.sqrt(room / m)
                said.append(f"first layer: scaled so that inputs of mean square {m:g} give q")
            elif name in self._gates and math.isfinite(room) and room > 0.0:
                sigma_w = math.sqrt(room / m)
            elif signal.activation is not None and not same(signal.activation, follows) and math.isfinite(room) and room > 0.0:
                sigma_w = math.sqrt(room / m)
                said.append(f"between {signal.activation.name} and {follows.name}: scaled to the q of the latter")
            elif self._reads_raw(name, signal, follows) and math.isfinite(room) and room > 0.0:
                # E[x²] is a variance here, not E[φ²] of one: σ_w on the edge would give another q, and another with each block of a stream.
                raw = math.sqrt(room / m) / sigma_w
                sigma_w = math.sqrt(room / m)
                said.append(f"no activation before it: scaled to the q of {follows.name}")
            else:
                rescaled = False
        if self.sigma_w is None:
            if not rescaled and 0.0 < signal.clean < math.inf and 0.0 < m < math.inf and not math.isclose(signal.clean, m, rel_tol=1e-12):
                # q = σ_b² + σ_w² E[x²] in training needs σ_w² times what dropout left of E[x²] [Hendrycks & Gimpel 2016].
                dropout = math.sqrt(signal.clean / m)
                said.append(f"σ_w × {dropout:.4g} makes up for dropout: variances hold in training")
            branch = self._branch_factor(name, target.q)
            if branch < 1.0:
                sigma_b *= branch
                said.append(f"{self._branches[name][2]}: σ's × {branch:.4g}")
        sigma_w *= dropout * branch
        if name in self._normalised:
            said.append(f"{self._normalised[name]} after it sets the variance to 1")
        q = bounded(sigma_b**2 + sigma_w**2 * m)
        words = "; ".join(dict.fromkeys(said))
        method = "convention" if name in self._normalised else "guess" if unsure else "theory"
        return PlannedLayer(name, follows, signal.activation, sigma_w, sigma_b, q, m, words, dropout, branch, raw, method)

    def _reads_raw(self, name: str, signal: Signal, follows: Activation) -> bool:
        """Whether no activation lies before a layer, and none is missing there."""
        meant = name not in self.followed.missing.values()
        return meant and signal.activation is None and not signal.start and self._laws.slope(follows) is None

    def _branch_factor(self, name: str, q: float) -> float:
        """What a layer at the end of a residual branch is scaled by, so that a stretch of them multiplies the variance by e at most."""
        if name not in self._branches:
            return 1.0
        blocks, end, _ = self._branches[name]
        share = 0.0
        if end.activation is not None and math.isfinite(q) and q > 0.0:
            mean, square = self._laws.moments(end.activation, q)
            share = mean * mean / square if 0.0 < square < math.inf else 0.0
        gain = min(end.gain, 1.0) / math.sqrt(end.kept)
        return min(1.0, branch_scale(blocks, share) / gain) if gain > 0.0 else 1.0

    def _found_branches(self) -> dict[str, tuple[int, End, str]]:
        """Layers that end residual branches, in a stretch of how many, and in words; of several sums the one that scales most."""
        steps = self.architecture.steps
        sums = residual_sums(steps)
        stretch = blocks_in_stretch(steps, sums)
        found: dict[str, tuple[int, End, str]] = {}
        for item in sums:
            if not item.scaled or self.sigma_w is not None or not self.scale_branches:
                continue
            self._scaled.add(item.step)
            # What is kept at 0 adds nothing: the low-rank side of an adapter.
            alive = item.branches - sum(end.name in self.kept for end in item.ends) if not item.skip else item.branches
            blocks = stretch.get(item.step, max(alive, 1))
            behind = "behind a" if any(steps[i].kind == "normalisation" for i in item.inner) else "without"
            kind = f"residual branches {behind} normalisation" if item.skip else "branches that are added"
            for end in item.ends:
                if end.name not in found or found[end.name][0] < blocks:
                    found[end.name] = (blocks, end, f"end of one of {blocks} {kind}")
        return found

    def _given(self, act: Activation | None, biased: bool) -> Target:
        weight = float(self.sigma_w if self.sigma_w is not None else 1.0)
        bias = float(self.sigma_b or 0.0)
        note = ""
        if not biased and bias > 0.0:
            note, bias = "no bias: σ_b can't be had", 0.0
        q = MeanField(act, weight, bias).q_star if self.scale_ends and act is not None else math.nan
        return Target(weight, bias, q, note)

    def _target(self, act: Activation, biased: bool, depth: int) -> Target:
        key = (id(act), biased, depth)
        if key not in self._targets:
            try:
                self._targets[key] = self._found(act, biased, depth)
            except DomainError as error:
                if self.sigma_b is not None:
                    raise DomainError(f"{error}, or give sigma_w too") from error
                self._targets[key] = self._without_edge(act)
        return self._targets[key]

    def _without_edge(self, act: Activation) -> Target:
        """σ_w that keeps a variance of 1, σ_b = 0."""
        square = float(second_moment(act, 1.0))
        note = f"{act.name} has no edge of chaos: σ_w keeps q = 1"
        return Target(1.0 / math.sqrt(square), 0.0, 1.0, note) if 0.0 < square < math.inf else Target(1.0, 0.0, 1.0, note)

    def _found(self, act: Activation, biased: bool, depth: int) -> Target:
        if self._laws.slope(act) == 0.0:  # ReZero: whatever comes, nothing goes on
            return Target(1.0, 0.0, 1.0)
        if self.sigma_b is not None and (biased or self.sigma_b == 0.0):
            edge = edge_of_chaos(act, self.sigma_b)
            if edge.status == "none":
                raise DomainError(f"{act.name} has no edge of chaos at sigma_b = {self.sigma_b!r}: {edge.reason}")
            return Target(float(edge.sigma_w), float(self.sigma_b), float(edge.q))
        if biased:
            best = recommend(act, depth)
            return Target(best.sigma_w, best.sigma_b, best.q)
        edge = edge_of_chaos(act, 0.0)
        if edge.status != "none" and math.isfinite(MeanField(act, float(edge.sigma_w), 0.0).variance_limit(1.0)):
            note = "" if edge.status == "neutral" else "no bias: edge of chaos at σ_b = 0"
            return Target(float(edge.sigma_w), 0.0, float(edge.q), note)
        # Variance can be kept without biases, criticality can't.
        best = recommend(act, depth)
        weight = best.q / float(second_moment(act, best.q))
        chi = weight * float(second_moment(act, best.q, 1))
        note = f"no bias (σ_b = {best.sigma_b:.4g} is needed on the edge): σ_w keeps q, χ₁ = {chi:.4g}"
        return Target(math.sqrt(weight), 0.0, best.q, note)


def normalised_layers(steps: tuple[Step, ...]) -> dict[str, str]:
    """Layers whose output goes straight into a normalisation, and its name."""
    found = {}
    for step in steps:
        if step.kind == "normalisation":
            source = steps[step.sources[0]]
            if source.kind == "layer":
                found[source.name] = step.name
    return found


def normalised_branches(steps: tuple[Step, ...]) -> dict[str, int]:
    """How many layers follow one another without a normalisation or a sum, for those that begin anew: behind a normalisation a stretch sees
    a variance of 1, and where residual branches have one there is no chain of the whole depth.
    """
    inside = {
        steps[i].name
        for item in residual_sums(steps)
        if item.skip and any(steps[i].kind == "normalisation" for i in item.inner)
        for i in item.inner
        if steps[i].kind == "layer"
    }
    everywhere = bool(inside)
    anew: list[bool] = []  # whether a normalisation lies behind a step, no sum between
    for step in steps:
        anew.append(step.kind == "normalisation" or (step.kind != "sum" and any(anew[source] for source in step.sources)))
        if step.kind == "layer" and anew[-1]:
            inside.add(step.name)
    return {name: count for name, count in stretches(steps).items() if everywhere or name in inside} if inside else {}


def longest_path(steps: tuple[Step, ...]) -> int:
    """Layers on the longest way through the model."""
    depth: list[int] = []
    for step in steps:
        before: Any = max((depth[source] for source in step.sources), default=0)
        depth.append(before + (step.kind == "layer"))
    return max(depth, default=0)
