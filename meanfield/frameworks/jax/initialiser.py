"""Draw the weights of a model of Flax NNX or Equinox as the theory recommends."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.frameworks.arguments import documented
from meanfield.frameworks.following import followed
from meanfield.frameworks.initialisation import Initialisation
from meanfield.frameworks.jax.initializers import BiasInitializer, Initializer
from meanfield.frameworks.jax.installed import jax
from meanfield.frameworks.jax.models import Model, taken_apart
from meanfield.frameworks.jax.program import Program, traced
from meanfield.frameworks.jax.reading import Reader
from meanfield.frameworks.jax.recognition import recognised
from meanfield.frameworks.kernel_axes import KernelAxes
from meanfield.frameworks.whole_model import Wishes, kept_at_zero, row, warn_of_missing_biases

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.frameworks.plan import PlannedLayer
    from meanfield.frameworks.weight_layer import WeightLayer

LEAST = 1e-24  # mean square, relative: below that of rounding


@documented
def initialise(
    model: Any,
    x: Any = None,
    activation: Any = None,
    depth: int | None = None,
    sigma_w: float | None = None,
    sigma_b: float | None = None,
    *,
    key: Any = None,
    seed: int | None = None,
    orthogonal: bool = False,
    input_variance: float = 1.0,
    scale_ends: bool | None = None,
    method: str = "theory",
    call: Callable[..., Any] | None = None,
) -> tuple[Any, Initialisation]:
    """Initialise the weight layers of a Flax NNX or Equinox model at the point that the theory recommends.

    Parameters
    ----------
    model : flax.nnx.Module, equinox.Module or pytree of arrays
        Its layers and the activation after each are found by tracing it with ``jax.make_jaxpr``: every product with a parameter (dense,
        convolution, einsum) is a layer, whatever class it comes from, and activations are known by their values, however they are written.
    x : array or tuple of arrays
        An example of what the model takes: a batch for Flax, usually one input for Equinox. The model is traced on it in training mode.
        Layers of which theory does not tell E[x²] (behind an attention, a gate, a pooling) are scaled on it.
    <model_activation>
    <model_depth>
    <model_sigmas>
    key : jax.random.key, optional
        Of the draw.
    seed : int, optional
        Instead of key: one of the two is needed.
    <orthogonal>
    <model_input_variance>
    <scale_ends>
    <method>
    call : callable, optional
        How the model is called, where that is not ``model(*x)``: a function of the model and of x, as
        ``lambda model, x: jax.vmap(model)(x)``. With it a pytree of arrays is a model too, Flax linen's variables for one.

    Returns
    -------
    model
        A Flax NNX module is changed and is the one that was given; an Equinox module or a pytree is a new one.
    Initialisation
        Which layer was given what; ``print`` it. Other parameters are left alone.

    Raises
    ------
    ActivationError
        If the activation after a layer is other than `activation` says, or can't be evaluated; the message names the layer.
    DomainError
        If an argument is out of range, the model fails on x, or does with a weight what is not understood: computes it from other
        parameters, or takes it into a loop.
    MeanFieldError
        If jax is not installed.

    Warns
    -----
    <model_missing_biases>

    Notes
    -----
    The plan is the one of `meanfield.frameworks.torch.init_`, which says what becomes of first and last layers, residual branches,
    normalisations and dropout. Biases are parameters added to a product right away, one for each unit.

    References
    ----------
    <model_references>

    Examples
    --------
    >>> from flax import nnx  # doctest: +SKIP
    >>> import jax.numpy as jnp, meanfield.frameworks.jax as mfj  # doctest: +SKIP
    >>> rngs = nnx.Rngs(0)  # doctest: +SKIP
    >>> model = nnx.Sequential(nnx.Linear(64, 128, rngs=rngs), nnx.relu, nnx.Linear(128, 10, rngs=rngs))  # doctest: +SKIP
    >>> model, table = mfj.initialise(model, jnp.ones((1, 64)), seed=0)  # doctest: +SKIP
    >>> print(table)  # doctest: +SKIP
    2 layers, normal weights, for depth 2
    layer     kind     fan_in act.          σ_w      σ_b        q
    layers.0  Linear       64 relu            1        0        1 [1]
    layers.2  Linear      128 (output)   1.4142        0        1 [2]
    [1] first layer: scaled so that inputs of mean square 1 give q
    [2] output: scaled to variance 1
    """
    library = jax()
    wishes = Wishes.checked(depth, sigma_w, sigma_b, input_variance, scale_ends, method)
    drawing = _checked_key(key, seed)
    parts = taken_apart(model, call)
    if x is None:
        raise DomainError("x is missing: give an example of what the model takes, on which it is traced")
    arguments = x if isinstance(x, tuple) else (x,)
    leaves, shape = library.tree_util.tree_flatten(parts.parameters)
    reader = _read(parts, arguments, leaves)
    architecture = reader.read()
    found = followed(architecture, activation, strict=False, read=_named)
    values = dict(zip(parts.paths, leaves, strict=True))
    kept = {}
    if wishes.sigma_w is None:
        empty = {name for name, layer in architecture.layers.items() if not np.any(np.asarray(values[layer.weight]))}
        kept = kept_at_zero(architecture, empty, lambda name: _size(values, architecture.layers[name].bias))
    planned = wishes.plan(found, kept)
    for place, (name, plan) in enumerate(planned.items()):
        if plan.method != "kept":
            _draw(values, architecture.layers[name], plan, orthogonal, library.random.fold_in(drawing, place))
    warn_of_missing_biases(planned, stacklevel=2)
    targets = {architecture.layers[name].weight: target for name, target in wishes.to_be_scaled(planned, planned).items()}
    if targets:
        factors = _scaled(reader, reader.program, parts, arguments, values, targets)
        names = {architecture.layers[name].weight: name for name in planned}
        planned = wishes.scaled(planned, {names[path]: factor for path, factor in factors.items()})
    rows = tuple(row(plan, *_about(architecture.layers[name])) for name, plan in planned.items())
    new = library.tree_util.tree_unflatten(shape, [values[path] for path in parts.paths])
    return parts.put(new), Initialisation(rows, wishes.layers(found), bool(orthogonal), architecture.left_alone)


def _about(layer: WeightLayer) -> tuple[str, tuple[int, ...], float]:
    return layer.kind, layer.shape, layer.fan_in


def _read(parts: Model, arguments: tuple[Any, ...], leaves: list[Any]) -> Reader:
    """The model's operations, and which of their inputs are what."""
    try:
        program = traced(parts.call, parts.parameters, parts.rest, *arguments)
    except Exception as error:  # whatever a user's model may raise
        lines = str(error).strip().splitlines()
        raise DomainError(
            f"x: the model fails on it, with {type(error).__name__}: {lines[0] if lines else 'no message'} (call= says how it is called)"
        ) from error
    rest = jax().tree_util.tree_leaves(parts.rest)
    known = [*leaves, *rest]
    return Reader(
        program,
        dict(zip(program.inputs, parts.paths, strict=False)),
        dict(zip(program.inputs, known, strict=False)),
        parts.kind,
    )


def _named(spec: Any) -> Activation:
    """What a user names: anything `meanfield.activation` accepts, functions of jax included."""
    return find_activation(recognised(spec))


def _draw(values: dict[str, Any], layer: WeightLayer, plan: PlannedLayer, orthogonal: bool, key: Any) -> None:
    """New weights and biases in place of the old ones."""
    library = jax()
    one, two = library.random.split(key)
    old = values[layer.weight]
    axes = layer.axes
    if axes is None:
        if orthogonal:
            raise DomainError(f"orthogonal: layer {layer.name!r} reshapes its weight, so that its inputs and outputs can't be told apart")
        axes = KernelAxes((), (), ())
    # The layout's own fan-in is the product of sizes: a stride of a transposed convolution, or a hidden axis, is made up for in σ_w.
    sigma_w = plan.sigma_w * math.sqrt(axes.of(layer.shape).fan_in / layer.fan_in)
    settings = "", sigma_w, plan.sigma_b, plan.q
    values[layer.weight] = Initializer(*settings, "orthogonal" if orthogonal else "normal", axes)(one, old.shape, old.dtype)
    if layer.bias is not None:
        bias = values[layer.bias]
        values[layer.bias] = BiasInitializer(*settings, "normal")(two, bias.shape, bias.dtype)


def _size(values: Mapping[str, Any], path: str | None) -> float:
    """Root mean square of a bias."""
    return 0.0 if path is None else float(np.sqrt(np.mean(np.square(np.asarray(values[path], dtype=np.float64)))))


def _scaled(
    reader: Reader,
    program: Program,
    parts: Model,
    arguments: tuple[Any, ...],
    values: dict[str, Any],
    targets: Mapping[str, float],
) -> dict[str, float]:
    """One run of the model on x; a layer's weight is scaled when it is met first, before what it gives goes on.

    References
    ----------
    Mishkin & Matas (2016), who iterate.
    """
    library = jax()
    given = [*(values[path] for path in parts.paths), *library.tree_util.tree_leaves((parts.rest, arguments))]
    known = {**program.constants, **dict(zip(program.inputs, given, strict=True))}
    factors: dict[str, float] = {}
    for operation in program.operations:
        made = operation(*(known[number] for number in operation.inputs))
        path = reader.weights.get(operation, "")
        if path in targets:
            if path not in factors:
                square = float(library.numpy.mean(library.numpy.square(made[0].astype(library.numpy.float32))))
                factors[path] = math.sqrt(targets[path] / square) if LEAST < square < math.inf else 1.0
                values[path] = (values[path].astype(library.numpy.float32) * factors[path]).astype(values[path].dtype)
            made = [made[0] * factors.get(path, 1.0)]
        known.update(zip(operation.outputs, made, strict=True))
    return factors


def _checked_key(key: Any, seed: Any) -> Any:
    """One key of jax.random."""
    library = jax()
    if (key is None) == (seed is None):
        raise DomainError(f"key = {key!r}, seed = {seed!r}: give one of the two")
    if seed is not None:
        if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 2**63:
            raise DomainError(f"seed = {seed!r} is out of range: it must be a whole number in [0, 2⁶³)")
        # Seeds beyond 32 bits need 64-bit numbers in jax: they come in two halves.
        return library.random.fold_in(library.random.key(int(seed) & 0xFFFFFFFF), int(seed) >> 32)
    kind = getattr(key, "dtype", None)
    typed = kind is not None and library.numpy.issubdtype(kind, library.dtypes.prng_key) and key.shape == ()
    raw = kind is not None and kind == library.numpy.uint32 and key.shape == (2,)
    if not typed and not raw:
        raise DomainError(f"key = {key!r} is out of range: it must be one key of jax.random")
    return key
