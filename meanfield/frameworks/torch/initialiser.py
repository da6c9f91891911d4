"""Draw a model's weights as the theory recommends."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.frameworks.arguments import documented
from meanfield.frameworks.following import Followed, followed
from meanfield.frameworks.initialisation import Initialisation, LayerInitialisation
from meanfield.frameworks.plan import UnknownWidths
from meanfield.frameworks.torch.examples import guessed
from meanfield.frameworks.torch.inner_weights import filled, is_inner
from meanfield.frameworks.torch.installed import checked_model, torch
from meanfield.frameworks.torch.measuring import scaled_on
from meanfield.frameworks.torch.published_schemes import SHAPING, as_they_come, checked_scheme, with_scheme
from meanfield.frameworks.torch.recognition import given_activation
from meanfield.frameworks.torch.recording import recorded
from meanfield.frameworks.torch.reshaping import reshaped
from meanfield.frameworks.torch.standardised import own_sigmas, standardises
from meanfield.frameworks.torch.tracing import architecture_of
from meanfield.frameworks.torch.weight_layers import check_fillable, fan_in, fill, is_weight_layer
from meanfield.frameworks.whole_model import Wishes, kept_at_zero, row, warn_of_missing_biases

if TYPE_CHECKING:
    from meanfield.frameworks.architecture import Architecture
    from meanfield.frameworks.plan import PlannedLayer


@documented
def init_(
    model: Any,
    activation: Any = None,
    depth: int | None = None,
    sigma_w: float | None = None,
    sigma_b: float | None = None,
    *,
    orthogonal: bool = False,
    seed: int | None = None,
    generator: Any = None,
    input_variance: float = 1.0,
    scale_ends: bool | None = None,
    example: Any = None,
    method: str = "theory",
    scheme: str | None = None,
) -> Initialisation:
    """Initialise the Linear and convolution layers of a model at the point that the theory recommends.

    Parameters
    ----------
    model : torch.nn.Module
        Its layers and the activation after each are found by tracing it with torch.fx: activation modules, functions
        (``F.relu``, ``torch.tanh``), methods (``x.relu()``) and formulas written out in ``forward`` (``x * torch.sigmoid(x)``).
    activation : optional
        Where that can't tell: anything `meanfield.activation` accepts, a torch module or its class, for the whole model, or a
        dictionary from layer names to activations. Where it can tell, what is said is checked.
    <model_depth>
    <model_sigmas>
    <orthogonal>
    seed : int, optional
        Of the draw. Without it torch's own random state is used.
    generator : torch.Generator, optional
        Instead of seed.
    <model_input_variance>
    <scale_ends>
    example : tensor or tuple of tensors, optional
        An input. Its shapes tell how wide tensors are that the model concatenates; by default that is read from the layers around them.
        The model is run on it without gradients; a run that fails is an error. Layers of which theory does not tell E[x²] (behind an
        attention, a gate, a pooling) are scaled on it. Without one, and where the model can't be traced, random inputs are tried.
    <method>
    scheme : {"fixup", "rezero", "dks", "tat", "default"}, optional
        Another recipe than ours. "fixup": ends of residual branches and output layers 0, the other m − 1 layers of a branch ×
        L^(−1/(2m − 2)) [Zhang et al. 2019]; "rezero": ends of residual branches 0, as SkipInit and ReZero start; "dks", "tat":
        activations that are modules become shaped ones for the model's depth, in place, and weights σ_w = 1 [Martens et al. 2021; Zhang et
        al. 2022]; "default": the layers' own ``reset_parameters``.

    Returns
    -------
    Initialisation
        Which layer was given what; ``print`` it. Other layers are left alone.

    Raises
    ------
    ActivationError
        If the activation after a layer is other than `activation` says, or can't be evaluated; the message names the layer.
    DomainError
        If an argument is out of range, two of them contradict each other, or the widths of concatenated tensors matter and can't be told
        without an example.

    Warns
    -----
    <model_missing_biases>

    Notes
    -----
    Hidden layers get (σ_w, σ_b) of ``mf.recommend(activation, depth)``, at which q = σ_b² + σ_w² E[φ(√q Z)²]. The first layer sees
    data, not φ(h): q¹ = σ_b² + σ_w² E[x²], so its σ_w is √((q − σ_b²)/E[x²]) [Hayou et al. 2018: rescale σ_w of the first layer]. A
    layer between two different activations is scaled alike. fan_in is in_channels/groups · kernel size for convolutions; zero padding
    makes variances smaller than that near the edges of an image, and transposed convolutions with a stride are right on average.
    Layers without bias take the edge of chaos at σ_b = 0 where the variance stays bounded there, else a σ_w that keeps q.
    All of it is for training mode: a layer behind dropout of rate p gets σ_w √(1 − p), since E[x²] is 1/(1 − p) times as large there.
    Means are followed too: x + relu(W x) has E[x²] + 2 E[x] E[φ] + E[φ²]. In a stretch of L residual sums without normalisation the
    last layer of each branch is scaled by 1/√L, by 1/√(L (1 + (L − 1) E[φ]²/E[φ²])) where the branch ends in φ: branches that
    give no more than they get multiply the variance by (1 + 1/L)^L < e at most. Parallel branches, n of them, are scaled by 1/√n.
    A layer that reads a residual stream, or a layer, with no activation between gets the σ_w that gives it the q of its activation.
    A layer whose output meets another layer with no activation between, an attention or a gate gets variance 1, and the table says so.
    In a residual branch with a normalisation a layer's depth is the branch's. Branches that begin with a normalisation are
    scaled by 1/√L too: a stream of p_L = p_0 + L s² has gradients that grow by (p_L/p_0)^(χ/s²). Weights that are all 0 where an output
    or a residual branch ends are kept. Attentions' projections get variance 1, recurrent matrices are orthogonal.
    Concatenated tensors count by their widths. φ of what is not Gaussian, as in relu(x + W …), is followed by draws of one unit.
    Complex weights have E|W|² = σ_w²/fan_in; the numbers are drawn in double precision and copied into the parameters.

    References
    ----------
    <model_references>

    Examples
    --------
    >>> import torch
    >>> from meanfield.frameworks.torch import init_
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    >>> print(init_(model, seed=0))
    2 layers, normal weights, for depth 2
    layer  kind     fan_in act.          σ_w      σ_b        q
    0      Linear       64 relu            1        0        1 [1]
    2      Linear      128 (output)   1.4142        0        1 [2]
    [1] first layer: scaled so that inputs of mean square 1 give q
    [2] output: scaled to variance 1
    """
    t = torch()
    plain = checked_model(model)
    if isinstance(activation, t.Tensor):
        raise DomainError(f"activation is a tensor of shape {tuple(activation.shape)}: a batch of inputs is given as example=")
    wishes = Wishes.checked(depth, sigma_w, sigma_b, input_variance, scale_ends, method)
    chosen = checked_scheme(scheme, wishes.sigma_w, wishes.sigma_b)
    drawing = _generator(t, seed, generator)
    inner = [(name, module) for name, module in plain.named_modules() if is_inner(module)]
    if inner and not any(is_weight_layer(module) for module in plain.modules()):
        return Initialisation(tuple(row for name, module in inner for row in filled(name, module, drawing)), 1, False, ())
    example = _materialised(plain, example)
    architecture, example, notes = _understood(plain, example, activation, method)
    found = followed(architecture, activation, strict=False, read=given_activation)
    for name, layer in architecture.layers.items():
        check_fillable(name, layer)
    layers = wishes.layers(found)
    shaped = chosen if chosen in SHAPING else ""
    if shaped:
        notes.extend(reshaped(plain, found, layers, shaped))
        wishes = replace(wishes, sigma_w=1.0, sigma_b=0.0, scale_ends=scale_ends is None or bool(scale_ends))
        architecture, example, _ = _understood(plain, example, None, method)
        found = followed(architecture, None, strict=False, read=given_activation)
        chosen = ""
    kept = _kept(found) if wishes.sigma_w is None and not chosen else {}
    fixed = {name: own_sigmas(layer)[0] for name, layer in architecture.layers.items() if standardises(layer)}
    plan = partial(wishes.plan, kept=kept, scale_branches=not chosen, fixed=fixed)
    try:
        planned = plan(found)
    except UnknownWidths:
        tried = guessed(plain) if example is None else None
        if tried is not None:
            architecture, example = architecture_of(plain, recording=tried[1]), tried[0]
            found = followed(architecture, activation, strict=False, read=given_activation)
        planned = plan(found, any_widths=tried is None)
    if chosen == "default":
        planned = as_they_come(found, planned, drawing)
    else:
        planned = with_scheme(found, planned, chosen)
        _draw(found, planned, orthogonal, drawing)
    if not chosen:
        warn_of_missing_biases(planned, stacklevel=2)
    inside: list[LayerInitialisation] = []
    for name, module in inner:
        if chosen == "default":
            notes.append(f"{name or type(module).__name__}: left as it came")
        else:
            inside.extend(filled(name, module, drawing))
    planned = _measured(plain, example, found, planned, wishes)
    rows = (*_rows(found, planned), *inside)
    why = architecture.untraced
    if why:
        notes.append(f"the model can't be traced ({why}): its layers were taken in the order of registration")
    prefixes = tuple(f"{name}." if name else "" for name, _ in inner)
    left = tuple(text for text in architecture.left_alone if not (prefixes and text.startswith(prefixes)))
    return Initialisation(rows, layers, bool(orthogonal), left, tuple(notes), shaped or chosen)


def _materialised(model: Any, example: Any) -> Any:
    """The example; lazy layers have their shapes after a run on it."""
    from torch.nn.parameter import is_lazy

    if example is not None and any(is_lazy(parameter) for parameter in model.parameters()):
        with torch().no_grad():
            try:
                model(*example) if isinstance(example, tuple) else model(example)
            except Exception as error:  # whatever a user's model may raise
                raise DomainError(f"example: the model fails on it, with {type(error).__name__}: {error}") from error
    return example


def _understood(model: Any, example: Any, activation: Any, method: str) -> tuple[Architecture, Any, list[str]]:
    """The model's steps, the example that tells them, and notes."""
    architecture, notes = architecture_of(model, example, record=activation is None), []
    unseen = bool(architecture.untraced) and activation is None
    if example is None and (unseen or _missed(model, architecture) or method == "measure"):
        tried = guessed(model)
        if tried is None and method == "measure":
            raise DomainError("method = 'measure' needs an input that the model takes, and none of those tried is: give example=")
        if tried is not None:
            example, recording = tried
            shape = "×".join(map(str, example.shape))
            why = f"; it can't be traced ({architecture.untraced})" if architecture.untraced else ""
            notes.append(f"looked at on random inputs of shape {shape}, give example= for real ones{why}")
            again = architecture_of(model, recording=recording)
            if unseen or len(_missed(model, again)) < len(_missed(model, architecture)):
                architecture = again
    elif example is not None and not architecture.untraced and _missed(model, architecture):
        again = architecture_of(model, recording=recorded(model, example, backward=False))
        architecture = again if len(_missed(model, again)) < len(_missed(model, architecture)) else architecture
    return architecture, example, notes


def _missed(model: Any, architecture: Architecture) -> set[str]:
    """Weight layers that the steps don't hold, those inside attentions aside."""
    inner = {name for name, module in model.named_modules() if is_inner(module)}
    names = {text.partition(":")[0] for text in architecture.left_alone}
    return {name for name in names if not any(name.startswith(f"{outer}.") for outer in inner)}


def _kept(found: Followed) -> dict[str, float]:
    """Layers whose weights are 0 by design, and their σ_b."""
    layers = found.architecture.layers
    empty = {name for name, layer in layers.items() if not layer.weight.is_meta and not bool(layer.weight.detach().any())}
    return kept_at_zero(found.architecture, empty, lambda name: own_sigmas(layers[name])[1])


def _draw(found: Followed, planned: dict[str, PlannedLayer], orthogonal: bool, drawing: Any) -> None:
    """New weights; one that two layers share is drawn once."""
    drawn: dict[int, str] = {}
    for name, plan in planned.items():
        layer = found.architecture.layers[name]
        note = plan.note
        if plan.method == "kept":
            continue
        if id(layer.weight) in drawn and not hasattr(layer, "parametrizations"):
            note = "; ".join(filter(None, [note, f"its weight is that of {drawn[id(layer.weight)]}: drawn once"]))
        else:
            drawn[id(layer.weight)] = name
            if layer.weight.is_meta:
                note = "; ".join(filter(None, [note, "on the meta device: nothing to draw"]))
            fill(name, layer, plan.sigma_w, plan.sigma_b, orthogonal, drawing)
        planned[name] = replace(plan, note=note)


def _measured(model: Any, example: Any, found: Followed, planned: dict[str, PlannedLayer], wishes: Wishes) -> dict[str, PlannedLayer]:
    """The layers of which theory does not tell E[x²], or all, scaled on the example."""
    layers = found.architecture.layers
    targets = {} if example is None else wishes.to_be_scaled(planned, layers)
    targets = {name: target for name, target in targets.items() if not layers[name].weight.is_meta}
    factors = scaled_on(model, example, layers, targets) if targets else {}
    return wishes.scaled(planned, {name: factor for name, (factor, _) in factors.items()})


def _rows(found: Followed, planned: dict[str, PlannedLayer]) -> tuple[LayerInitialisation, ...]:
    rows = []
    for name, plan in planned.items():
        layer = found.architecture.layers[name]
        rows.append(row(plan, type(layer).__name__.removeprefix("Parametrized"), tuple(layer.weight.shape), fan_in(layer)))
    return tuple(rows)


def _generator(t: Any, seed: Any, generator: Any) -> Any:
    if seed is not None and generator is not None:
        raise DomainError(f"seed = {seed!r}: give a seed or a generator, not both")
    if seed is not None:
        if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 2**63:
            raise DomainError(f"seed = {seed!r} is out of range: it must be a whole number in [0, 2⁶³)")
        return t.Generator().manual_seed(int(seed))
    if generator is not None and not isinstance(generator, t.Generator):
        raise DomainError(f"generator must be a torch.Generator, not {type(generator).__name__}")
    return generator
