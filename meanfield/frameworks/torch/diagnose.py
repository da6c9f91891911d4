"""Measure a model on a batch, set it beside theory, and say which layer departs and why."""

from __future__ import annotations

import math
from statistics import NormalDist, median
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import ActivationError, DomainError
from meanfield.expectation.second_moment import second_moment
from meanfield.frameworks.architecture import behind_guesses, gated, is_output
from meanfield.frameworks.following import followed
from meanfield.frameworks.plan import normalised_layers
from meanfield.frameworks.residual import residual_sums
from meanfield.frameworks.signal import ALPHA
from meanfield.frameworks.torch.diagnosis import Diagnosis, Finding, LayerDiagnosis
from meanfield.frameworks.torch.expectations import (
    Expected,
    as_planned,
    ends_of,
    expected_sigmas,
    off_the_edge,
    planned_by_us,
    planned_factors,
)
from meanfield.frameworks.torch.installed import checked_model, torch
from meanfield.frameworks.torch.measurement import measured
from meanfield.frameworks.torch.recognition import given_activation
from meanfield.frameworks.torch.siblings import ALIKE, odd_normalisations, odd_weights
from meanfield.frameworks.torch.standardised import own_sigmas, standardises
from meanfield.frameworks.torch.tracing import architecture_of
from meanfield.frameworks.torch.weight_layers import check_fillable, units
from meanfield.frameworks.whole_model import layer_count
from meanfield.frameworks.zeros import zero_by_design
from meanfield.theory.arguments import one_standard_deviation

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.frameworks.architecture import Architecture, Step
    from meanfield.frameworks.following import Followed
    from meanfield.frameworks.plan import PlannedLayer
    from meanfield.frameworks.torch.measurement import Measured

FEW = 12  # units whose spread says nothing
FLAT = 0.1  # |φ'| below this part of its maximum counts as flat
MORE_FLAT = 0.15  # excess of the flat fraction over theory's that matters
CHANGE = 1e3  # of gradients or variances over the whole depth, beyond what finite width does
HARMLESS = 30.0  # factor of an end's σ_w that trains all the same
DOUBLE = 2.5  # the same of one of several alike behind poolings
REDRAW = "draw its weights anew: init_(model)"
TESTS = 5  # per layer: weights, biases' size and mean, variance, flat fraction


def diagnose(
    model: Any,
    x: Any,
    activation: Any = None,
    depth: int | None = None,
    sigma_w: float | None = None,
    sigma_b: float | None = None,
    *,
    seed: int = 0,
    false_alarm: float = 1e-3,
) -> Diagnosis:
    """What a freshly initialised model does to a batch and to a gradient, against theory.

    Parameters
    ----------
    model : torch.nn.Module
    x : tensor, or tuple of tensors
        A batch, the first axis counting inputs; a tuple holds several arguments.
    activation : optional
        As in `init_`, where tracing can't tell.
    depth, sigma_w, sigma_b : optional
        What the layers were meant to have, as in `init_`. Without sigma_w each hidden layer is compared with the median of its like, and
        that with the edge of chaos.
    seed : int
        Of the random gradient at the model's output, and of dropout's masks.
    false_alarm : float
        Probability that any layer of a healthy model is reported, in (0, 1).

    Returns
    -------
    Diagnosis
        ``print`` it; ``.healthy``, ``.findings``, ``.layers``, ``.plot()``.

    Raises
    ------
    DomainError
        If an argument is out of range, the model fails on x, or calls none of its layers.
    MeanFieldError
        If a layer's output is not finite.

    Notes
    -----
    Given the inputs a of a layer, its units are independent Gaussians of variance K = σ_b² + σ_w² E[a²], exactly and at any width (for
    convolutions E[a²] runs over the kernel's places, padding included). So N·mean(h²)/K has a spread no larger than that of χ² with N
    degrees of freedom, N the number of units; squared weights and biases likewise. z-scores come from Wilson and Hilferty's cube root, the
    threshold from Šidák over all of them. The model is run in training mode, with
    dropout (its masks are the seed's) and normalisation as there; modes, buffers, gradients and random state are as before afterwards.
    Layers of which theory says nothing (the scale before a normalisation, an activation that can't be told, weights that are all 0 by
    design) are listed as not judged. A trained model's layers depart: its weights are random no more.

    References
    ----------
    Schoenholz et al. (2017); Glorot & Bengio (2010); Wilson & Hilferty (1931).

    Examples
    --------
    >>> import torch
    >>> from meanfield.frameworks.torch import diagnose, init_
    >>> parts = [part for _ in range(20) for part in (torch.nn.Linear(200, 200), torch.nn.Tanh())]
    >>> model = torch.nn.Sequential(*parts)
    >>> _ = init_(model, seed=0)
    >>> x = torch.randn(16, 200, generator=torch.Generator().manual_seed(0))
    >>> diagnose(model, x).healthy
    True
    >>> _ = model[8].weight.data.mul_(1.5)
    >>> print(diagnose(model, x).verdict)
    8: wrong scale: σ_w = 2.053 is 1.49 times the expected 1.374
    """
    torch()
    plain = checked_model(model)
    weight = None if sigma_w is None else one_standard_deviation("sigma_w", sigma_w)
    bias = None if sigma_b is None else one_standard_deviation("sigma_b", sigma_b)
    if not isinstance(false_alarm, float) or not 0.0 < false_alarm < 1.0:
        raise DomainError(f"false_alarm = {false_alarm!r} is out of range: one number in (0, 1)")
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 2**63:
        raise DomainError(f"seed = {seed!r} is out of range: it must be a whole number in [0, 2⁶³)")
    batch = _checked_batch(x)
    try:
        architecture = architecture_of(plain, batch, record=activation is None)  # what is said holds for layers in their order
    except DomainError:
        architecture = architecture_of(plain)  # where the model itself fails on the batch, the measurement says so
    for name, layer in architecture.layers.items():
        check_fillable(name, layer)
        if layer.weight.is_complex() or layer.weight.is_meta:
            kind = "complex" if layer.weight.is_complex() else "meta"
            raise DomainError(f"layer {name!r} has {kind} weights, which can't be diagnosed")
    found = measured(plain, batch, architecture.layers, int(seed))
    notes: list[str] = []
    known: Followed | None
    try:
        known = followed(architecture, activation, strict=False, checked=False, read=given_activation)
    except ActivationError as error:
        if activation is not None:
            raise
        known = None
        notes.append(f"{error}. Until then σ's are not judged.")
    if architecture.untraced and known is not None:
        notes.append(f"the model can't be traced ({architecture.untraced}): layers in the order of registration")
    layers = layer_count(known, depth) if known is not None else 1
    return _Judge(plain, architecture, known, found, notes, layers, (weight, bias), false_alarm).judged()


def _checked_batch(x: Any) -> Any:
    t = torch()
    parts = x if isinstance(x, tuple) else (x,)
    if t.is_inference_mode_enabled():
        raise DomainError("gradients are looked at, which torch.inference_mode() forbids: ask outside of it")
    if not parts or not all(isinstance(part, t.Tensor) for part in parts):
        raise DomainError(f"x must be a torch.Tensor or a tuple of them, not {type(x).__name__}")
    if parts[0].dim() == 0 or parts[0].shape[0] == 0:
        raise DomainError(f"x has shape {tuple(parts[0].shape)}: a batch of at least one input is needed")
    if parts[0].is_floating_point() and not bool(t.isfinite(parts[0]).all()):
        raise DomainError("x holds numbers that are not finite")
    return x


class _Judge:
    """Sets measurements beside expectations."""

    def __init__(
        self,
        model: Any,
        architecture: Architecture,
        known: Followed | None,
        found: dict[str, Measured],
        notes: list[str],
        depth: int,
        given: tuple[float | None, float | None],
        false_alarm: float,
    ) -> None:
        self.model = model
        self.given = given[0] is not None
        self.resets = any(step.kind == "normalisation" for step in architecture.steps)
        self.guesses = behind_guesses(architecture.steps)
        self.direct = _acted_on(architecture)
        layers = architecture.layers
        self.layers = {name: layer for name, layer in layers.items() if name in found}
        self.known, self.found, self.notes, self.depth = known, found, notes, depth
        self.order = list(found)
        self.false_alarm = false_alarm
        # Šidák: all tests of all layers together.
        each = -math.expm1(math.log1p(-false_alarm) / (TESTS * max(len(found), 1)))
        self.threshold = NormalDist().inv_cdf(1.0 - 0.5 * each)
        self.sigmas = {name: own_sigmas(layer) for name, layer in self.layers.items()}
        self.standardised = {name for name, layer in layers.items() if standardises(layer)}
        self.expected: dict[str, Expected] = {}
        self.off: dict[str, tuple[str, float]] = {}
        self.planned: dict[str, PlannedLayer] = {}
        if known is not None:
            every = {name: self.sigmas.get(name) or own_sigmas(layer) for name, layer in layers.items()}
            first = found[self.order[0]].incoming
            self.planned = planned_by_us(known, depth)
            factors = planned_factors(self.planned)
            if given[0] is None:
                self.off = off_the_edge(known, depth, every, factors)
            self.expected, more = expected_sigmas(known, depth, every, given, first if first > 0.0 else 1.0, self.off, factors)
            self.notes.extend(more)
            for name in set(self.off) & set(self.guesses):
                # Behind a pooling E[x²] is no E[φ²]: what matters is the variance that comes out.
                q = self.expected[name].q
                if 0.0 < q < math.inf and 1.0 / DOUBLE < found[name].variance / q < DOUBLE:
                    del self.off[name]
        planned = [item.q for item in self.expected.values() if 0.0 < item.q < math.inf]
        self.usual_q = median(planned) if planned else math.nan
        self.normalised = _normalisations(known)
        self.architecture = architecture
        self.keep = math.prod(1.0 - rate for rate in {step.rate for step in architecture.steps} if rate < 1.0)
        self.zero = zero_by_design(architecture, self.order, {name for name, (weight, _) in self.sigmas.items() if weight == 0.0})
        self.unjudged = self._unjudged()
        self.whole = self._whole(self._gradients())
        # Off the edge is a fault where it does harm.
        self.harmed = any(finding.severity == "fault" for finding in self.whole)
        apart = {name for name in self.layers if name not in self.unjudged} | set(self.zero.layers) | self.standardised
        ours = as_planned(self.planned, self.sigmas)
        ours |= set(self.guesses) if ours else set()  # scaled on a batch, each by what reaches it
        self.unlike = {name: sizes for name, sizes in odd_weights(model, apart, self.guesses).items() if name not in ours}

    def judged(self) -> Diagnosis:
        """Everything."""
        gradients = self._gradients()
        rows = []
        for position, name in enumerate(self.order):
            expected = self.expected.get(name, Expected(*self.sigmas[name], math.nan, 1, math.inf))
            rows.append(self._layer(position, name, expected, gradients[name]))
        whole = (*self.whole, *self._normalisations())
        left = tuple(text.partition(": ")[::2] for text in self.architecture.left_alone)
        unjudged = (*self.unjudged.items(), *left)
        return Diagnosis(tuple(rows), whole, tuple(dict.fromkeys(self.notes)), self.threshold, self.false_alarm, unjudged)

    def _normalisations(self) -> list[Finding]:
        remedy = "give it γ = 1 and β = 0"
        found = [Finding("wrong scale", f"{name}: {text}", "fault", remedy) for name, text in odd_normalisations(self.model).items()]
        # Weights that no layer was seen to multiply with by itself: those of attentions, embeddings.
        for name, (size, usual) in self.unlike.items():
            if name not in self.layers:
                found.append(Finding("wrong scale", f"{name}: {_unlike(size, usual)}", "fault", REDRAW))
        return found

    def _unjudged(self) -> dict[str, str]:
        """Layers whose σ's are not judged, and why."""
        why: dict[str, str] = {}
        steps = self.architecture.steps
        straight = normalised_layers(steps)
        inside = {
            steps[i].name
            for item in residual_sums(steps)
            if any(steps[i].kind == "normalisation" for i in item.inner)
            for i in item.inner
            if steps[i].kind == "layer"
        }
        gates = gated(steps)
        pooled = {
            step.name: before
            for step in steps
            if step.kind == "layer" and is_output(self.architecture, step.name) and (before := _pooled(steps, step.sources[0]))
        }
        for name in self.order:
            if name in self.zero.layers:
                why[name] = self.zero.layers[name]
            elif name in self.standardised:
                why[name] = "its own forward standardises its weights, which undoes their scale"
            elif self.known is None:
                why[name] = "what activation follows it is not known"
            elif name in self.known.unclear:
                why[name] = self.known.unclear[name]
            elif name in straight:
                why[name] = f"{straight[name]} behind it undoes its scale"
            elif name in inside:
                why[name] = "in a residual branch with a normalisation, to which the edge of chaos of plain networks does not apply"
            elif self.resets and name in self.architecture.streams:
                why[name] = "it writes into a residual stream that is normalised where it is read: its scale is a choice"
            elif name in gates:
                why[name] = f"in a gate: {gates[name]} multiplies what it gives with another signal"
            elif name in pooled:
                why[name] = f"an end of the model behind {pooled[name]}, which changes E[x²]"
            elif name not in self.expected or not math.isfinite(self.expected[name].tolerance):
                why[name] = "no plan tells its σ's"
        for name in why:
            planned = self.expected.get(name)
            self.expected[name] = Expected(*self.sigmas[name], planned.q if planned is not None else math.nan, 1, math.inf)
            self.off.pop(name, None)
        return why

    def _weight_of_missing(self, position: int) -> str:
        """A linear pair is legitimate, as a bottleneck for one; one in a chain of equals is more likely a slip."""
        name = self.order[position]
        here = units(self.layers[name])
        following = self.order[position + 1] if position + 1 < len(self.order) else name
        before = self.order[position - 1] if position else name
        bottleneck = here < min(units(self.layers[following]), units(self.layers[before]))
        like = [other for other in self.order if units(self.layers[other]) == here and self._follows(other) is not None]
        return "fault" if self._is_chain() and not bottleneck and len(like) > ALIKE else "warning"

    def _is_undone(self, name: str) -> bool:
        return "undoes its scale" in self.unjudged.get(name, "")

    def _shown(self, name: str) -> str:
        """The activation's name; "?" where it is not known."""
        if self.known is None:
            return "?"
        act = self.known.follows.get(name)
        return "" if act is None else "(none)" if name in self.known.missing else act.name

    def _follows(self, name: str) -> Activation | None:
        return None if self.known is None else self.known.follows.get(name)

    def _gradients(self) -> dict[str, tuple[float, float]]:
        """Measured and expected |∂E/∂h|² over that of the last layer."""
        last = self.found[self.order[-1]].gradient
        chain = self._is_chain()
        result: dict[str, tuple[float, float]] = {}
        product = 1.0
        for position in range(len(self.order) - 1, -1, -1):
            name = self.order[position]
            if position < len(self.order) - 1:
                above = self.order[position + 1]
                act = self._follows(name)
                if not chain or act is None:
                    product = math.nan
                elif not math.isnan(product):
                    q = min(max(self._local(name), 1e-250), 1e250)
                    product *= self.expected[above].sigma_w ** 2 * _mean_square_slope(act, q) * self._thinned(name)
            result[name] = (self.found[name].gradient / last if last > 0.0 else 0.0, product)
        return result

    def _is_chain(self) -> bool:
        if self.known is None:
            return False
        steps = self.known.architecture.steps
        plain = all(
            step.kind in ("data", "layer", "activation", "dropout") and step.sources in ((), (index - 1,))
            for index, step in enumerate(steps)
        )
        return plain and [step.name for step in steps if step.kind == "layer"] == self.order

    def _thinned(self, name: str) -> float:
        """E[d²] of the dropouts between a layer of a chain and the next, a factor of the gradient; nan before the activation."""
        steps = self.architecture.steps
        index = next(i for i, step in enumerate(steps) if step.kind == "layer" and step.name == name) + 1
        factor = 1.0
        behind = False
        while index < len(steps) and steps[index].kind != "layer":
            step = steps[index]
            behind = behind or step.kind == "activation"
            if step.kind == "dropout":
                alpha = 1.0 / (1.0 + step.rate * ALPHA**2)  # a² ρ
                factor *= (alpha if step.alpha else 1.0 / (1.0 - step.rate)) if behind else math.nan
            index += 1
        return factor

    def _local(self, name: str) -> float:
        """σ_b² + σ_w² E[a²] with the σ's that should be and the layer's own inputs."""
        expected = self.expected[name]
        return expected.sigma_b**2 + expected.sigma_w**2 * self.found[name].incoming

    def _layer(self, position: int, name: str, expected: Expected, gradient: tuple[float, float]) -> LayerDiagnosis:
        layer, seen = self.layers[name], self.found[name]
        n = units(layer)
        sigma_w, sigma_b = self.sigmas[name]
        weight, bias = expected.sigma_w**2, expected.sigma_b**2
        if name in self.off:
            weight = self.off[name][1] ** 2
        variance = bias + weight * seen.incoming
        pair = bias + weight * seen.incoming_pair
        z = _chi_square_z(seen.variance, variance, n)
        act = self._follows(name)
        scale = self._scale(name, layer, sigma_w, expected)
        wrong = scale is not None or name in self.off
        # Given its inputs; a layer off the scale counts against the variance that the model's layers should have.
        planned = min(expected.q if expected.q > 0.0 else math.inf, self.usual_q if self.usual_q > 0.0 else math.inf)
        direct = act if name in self.direct else None
        flat, expected_flat, flat_z, dead = _flatness(direct, seen, min(variance, planned) if wrong else variance)
        found: list[Finding] = []
        if name in self.normalised:
            found.append(Finding("normalisation", self.normalised[name], "note"))
        missing = self._missing(position, name)
        if missing:
            found.append(
                Finding("missing activation", missing, self._weight_of_missing(position), "put an activation there if it is meant")
            )
        if sigma_w == 0.0 and name not in self.zero.layers:
            found.append(Finding("dead units", "all its weights are 0, and it ends no residual branch and no model", "fault", REDRAW))
        elif _identical(layer):
            found.append(Finding("identical units", "all its units have the same weights, and will have after training", "fault", REDRAW))
        if name in self.unlike:
            size, usual = self.unlike[name]
            found.append(Finding("wrong scale", _unlike(size, usual), "warning" if self._is_undone(name) else "fault", REDRAW))
        bias_finding = self._bias(layer, expected, variance, n)
        if flat - expected_flat > MORE_FLAT and flat_z > self.threshold:
            why = (
                f"the biases have mean {float(layer.bias.detach().double().mean()):.3g}"
                if bias_finding
                else f"the variance is {seen.variance:.3g}"
            )
            what = f"{flat:.0%} of pre-activations lie where {act.name if act else 'φ'} is flat, {expected_flat:.0%} expected; {why}"
            found.append(Finding("dead units" if dead else "saturated", what, "fault", REDRAW))
        if scale:
            found.append(scale)
        elif name in self.off:
            remedy = f"init_(model), or draw its weights with σ_w = {self.off[name][1]:.4g}"
            found.append(Finding("wrong scale", self.off[name][0], "fault" if self.harmed else "warning", remedy))
        if bias_finding:
            found.append(bias_finding)
        # σ's within their tolerance are the layer's own: what is left is chance, or weights that know their inputs.
        own = _chi_square_z(seen.variance, sigma_b**2 + sigma_w**2 * seen.incoming, n)
        if not (wrong or bias_finding) and min(abs(z), abs(own)) > self.threshold and math.isfinite(expected.tolerance):
            found.append(Finding("wrong variance", f"{seen.variance:.4g} where its inputs, σ_w and σ_b give {variance:.4g}"))
        return LayerDiagnosis(
            name=name,
            activation=self._shown(name),
            units=n,
            sigma_w=sigma_w,
            sigma_b=sigma_b,
            expected_sigma_w=math.sqrt(weight),
            expected_sigma_b=expected.sigma_b,
            variance=seen.variance,
            expected_variance=variance,
            variance_z=z,
            correlation=seen.correlation,
            expected_correlation=pair / variance if variance > 0.0 else 0.0,
            gradient=gradient[0],
            expected_gradient=gradient[1],
            flat_fraction=flat,
            expected_flat_fraction=expected_flat,
            findings=tuple(found),
        )

    def _missing(self, position: int, name: str) -> str:
        if self.known is not None and name in self.known.missing:
            return f"its output meets layer {self.known.missing[name]!r} with no activation between"
        follower = next((other for other in self.order[position + 1 :] if self.found[other].same_as == position), None)
        if self.known is not None and not self.known.architecture.untraced:
            return ""  # tracing saw what is between
        return f"its output is the input of layer {follower!r}, unchanged" if follower is not None else ""

    def _scale(self, name: str, layer: Any, sigma_w: float, expected: Expected) -> Finding | None:
        """Mean squared weight against σ_w²/fan_in: χ² with as many degrees of freedom as there are weights."""
        if not math.isfinite(expected.tolerance) or abs(sigma_w - expected.sigma_w) <= expected.tolerance * expected.sigma_w:
            return None
        z = _chi_square_z(sigma_w**2, expected.sigma_w**2, layer.weight.numel())
        # A median of k estimates has π/2k of the variance of one.
        z /= math.sqrt(1.0 + (1.6 / expected.estimated_from if expected.estimated_from > 1 else 0.0))
        if abs(z) <= self.threshold:
            return None
        ratio = f"{sigma_w / expected.sigma_w:.3g} times" if expected.sigma_w > 0.0 else "instead of"
        what = f"σ_w = {sigma_w:.4g} is {ratio} the expected {expected.sigma_w:.4g}"
        # Where only a plan tells, and nothing vanishes or explodes, other sizes train as well; behind a pooling the plan is a guess.
        lone = expected.estimated_from == 1
        end = self.known is not None and name in ends_of(self.known)
        below = sigma_w < expected.sigma_w  # as the last layers of many models are drawn: 0.01
        allowed = HARMLESS if lone and (end or below or name in self.guesses) else DOUBLE if lone or name in self.guesses else 1.0
        distance = abs(math.log(sigma_w / expected.sigma_w)) if sigma_w > 0.0 < expected.sigma_w else math.inf
        # A small head, as a head of zeros, is a way to begin: PPO's, BEiT's.
        small = lone and self._follows(name) is None and sigma_w < expected.sigma_w
        mild = (distance < math.log(allowed) or small) and not self.harmed
        remedy = f"draw its weights with σ_w = {expected.sigma_w:.4g}"
        return Finding("wrong scale", what, "warning" if mild and not self.given else "fault", remedy)

    def _bias(self, layer: Any, expected: Expected, variance: float, n: int) -> Finding | None:
        """Mean and mean square of the biases; they matter where they make up a tenth of the variance or more."""
        if layer.bias is None or not math.isfinite(expected.tolerance):
            return None
        b = layer.bias.detach().double()
        mean, square = float(b.mean()), float(b.square().mean())
        if max(abs(square - expected.sigma_b**2), mean**2) <= 0.1 * max(variance, expected.q if math.isfinite(expected.q) else 0.0):
            return None
        widen = math.sqrt(1.0 + (1.6 / expected.estimated_from if expected.estimated_from > 1 else 0.0))
        # At an end a plan tells what is usual, and other sizes train as well, if they are random.
        lone = expected.estimated_from == 1 and not self.given
        spread = math.sqrt(square) if lone else expected.sigma_b
        off_mean = mean != 0.0 and (spread == 0.0 or abs(mean) * math.sqrt(n) / (spread * widen) > self.threshold)
        off_size = expected.sigma_b == 0.0 or abs(_chi_square_z(square, expected.sigma_b**2, n)) / widen > self.threshold
        if not (off_mean or off_size):
            return None
        what = f"mean {mean:.3g} and σ_b = {math.sqrt(square):.4g}, expected 0 and {expected.sigma_b:.4g}"
        harmless = not self.given and (mean**2 + square < 2.0 * variance or (lone and not self.harmed)) and not off_mean
        return Finding("wrong bias", what, "warning" if harmless else "fault", f"draw its biases with σ_b = {expected.sigma_b:.4g}")

    def _smallness(self, name: str) -> float:
        """By what |δ|² would be larger with a head of the size that is planned; 1 for what is no smaller, or no head."""
        expected = self.expected.get(name)
        own = self.sigmas[name][0]
        if expected is None or not math.isfinite(expected.tolerance) or self._follows(name) is not None or not 0.0 < own < expected.sigma_w:
            return 1.0
        return (expected.sigma_w / own) ** 2

    def _whole(self, gradients: dict[str, tuple[float, float]]) -> list[Finding]:
        """Gradients and variances that change by orders of magnitude from the first layer to the last."""
        # log |δ|² spreads by about 5/N a layer; THEORY: (3E[φ'⁴]/V[φ']² − 1)/N.
        allowed = math.log(CHANGE) + self.threshold * math.sqrt(
            math.fsum(5.0 / (units(layer) * self.keep) for layer in self.layers.values())
        )
        found = []
        # A gate behind a γ of 0 sees nothing, and gets no gradient.
        dark = {name for name in self.order if self.zero.notes and self.found[name].incoming == 0.0}
        passed = [name for name in self.order if name not in self.zero.without_gradient and name not in dark]
        first, last = (passed or self.order)[0], self.order[-1]
        self.notes.extend(self.zero.notes)
        gradient = gradients[first][0] * (self._smallness(last) if first != last else 1.0)
        if gradient == 0.0 and not passed:
            pass
        elif gradient == 0.0:
            stop = next((name for name in reversed(passed) if self.found[name].gradient == 0.0), first)
            found.append(Finding("vanishing", f"no gradient reaches layer {stop!r}", "fault", "look at what lies behind it: it is 0 there"))
        elif abs(math.log(gradient)) > allowed:
            small = gradient < 1.0
            weight = "warning" if self.resets else "fault"
            change = f"{'shrinks' if small else 'grows'} by a factor of {gradient:.2g}"
            found.append(
                Finding(
                    "vanishing" if small else "exploding",
                    f"|∂E/∂h|² {change} on the way back from layer {last!r} to layer {first!r}",
                    weight,
                    "init_(model), or fewer layers, residual branches, or normalisation at the beginning of branches",
                )
            )
        seen = [name for name in self.order if name not in self.zero.layers and name not in dark] or self.order
        hidden = [name for name in seen if self.known is None or self.known.follows.get(name) is not None] or seen
        first = seen[0]
        before, after = self.found[first].variance, self.found[hidden[-1]].variance
        ratio = after / before if before > 0.0 else 0.0
        if ratio == 0.0:
            stop = next((name for name in self.order if self.found[name].incoming == 0.0), last)
            found.append(Finding("vanishing", f"layer {stop!r} sees nothing but zeros"))
        elif abs(math.log(ratio)) > allowed and not self.resets:  # a normalisation makes sizes anew
            change = f"{'shrinks' if ratio < 1.0 else 'grows'} by a factor of {ratio:.2g}"
            found.append(
                Finding(
                    "vanishing" if ratio < 1.0 else "exploding",
                    f"the variance {change} from layer {first!r} to the last hidden one",
                    "fault",
                    "init_(model)",
                )
            )
        return found


def _unlike(size: float, usual: float) -> str:
    return f"σ_w = {size:.4g} where the other layers like it have {usual:.4g}"


def _acted_on(architecture: Architecture) -> set[str]:
    """Layers whose own output, and nothing that is made from it, an activation is applied to."""
    steps = architecture.steps
    if architecture.untraced:  # in the order of registration
        return set(architecture.layers)
    before = (steps[step.sources[0]] for step in steps if step.kind == "activation" and step.sources)
    return {step.name for step in before if step.kind == "layer"}


def _pooled(steps: tuple[Step, ...], index: int) -> str:
    """The pooling, or the operation of unknown kind, right before a step."""
    while steps[index].kind in ("activation", "dropout"):
        index = steps[index].sources[0]
    return steps[index].name if steps[index].kind in ("pool", "other") else ""


def _identical(layer: Any) -> bool:
    """Whether all units, two at least, have the same weights."""
    weight = layer.weight.detach()
    axis = 1 if getattr(layer, "transposed", False) else 0
    rows = weight.movedim(axis, 0)
    return rows.shape[0] > 1 and weight[0].numel() > 1 and bool((rows == rows[:1]).all()) and bool(weight.any())


def _chi_square_z(found: float, expected: float, freedom: int) -> float:
    """A mean of squares as a standard normal number [Wilson & Hilferty 1931]; 0 where nothing was expected and nothing found."""
    if expected <= 0.0:
        return 0.0 if found <= 0.0 else math.inf
    spread = 2.0 / (9.0 * freedom)
    return (math.cbrt(found / expected) - (1.0 - spread)) / math.sqrt(spread)


def _mean_square_slope(act: Activation, q: float) -> float:
    slope = float(second_moment(act, q, 1))
    return slope if math.isfinite(slope) else math.nan  # jumps


def _flatness(act: Activation | None, seen: Measured, q: float) -> tuple[float, float, float, bool]:
    """Fraction of pre-activations where φ is flat, the same for a Gaussian of variance q, its z, and whether φ is 0 there."""
    if act is None or not 0.0 < q < 1e200:
        return 0.0, 0.0, 0.0, False
    grid = np.linspace(-8.0, 8.0, 3201)
    level = FLAT * float(np.abs(act.derivative(grid)).max())
    values = seen.values[:, (seen.values != 0.0).any(axis=0)]  # places that no signal reaches say nothing
    if values.size == 0:
        return 0.0, 0.0, 0.0, False
    flat = np.abs(act.derivative(values)) < level
    by_unit = flat.mean(axis=1)
    middles = (np.arange(1000) + 0.5) / 1000
    normal = NormalDist()
    z = np.array([normal.inv_cdf(float(p)) for p in middles])
    # Places of different norms give a mixture of Gaussians.
    expected = float((np.abs(act.derivative(np.sqrt(q * seen.spread)[:, None] * z)) < level).mean())
    share = float(by_unit.mean())
    # The variance over a few units tells little of that over all: that of fractions is 1/4 at most.
    least = 0.25 if by_unit.size < FEW else 1e-12
    spread = math.sqrt(max(float(by_unit.var()), expected * (1.0 - expected), least) / by_unit.size)
    there = np.abs(act(values[flat])) if flat.any() else np.zeros(1)
    dead = bool(there.mean() < 0.05 * max(float(np.abs(act(np.array([-1.0, 1.0]))).max()), 1e-12))
    return share, expected, (share - expected) / spread, dead


def _normalisations(known: Followed | None) -> dict[str, str]:
    """Layers right before or behind a normalisation."""
    if known is None:
        return {}
    found: dict[str, str] = {}
    steps = known.architecture.steps
    for index, step in enumerate(steps):
        if step.kind != "normalisation":
            continue
        source = steps[step.sources[0]]
        text = f"{step.name} resets variances here: the theory of plain networks starts anew behind it"
        while source.kind not in ("layer", "data") and source.sources:
            source = steps[source.sources[0]]
        if source.kind == "layer":
            found[source.name] = text
        else:
            follower = next((other.name for other in steps[index:] if other.kind == "layer"), None)
            if follower is not None:
                found[follower] = text
    return found
