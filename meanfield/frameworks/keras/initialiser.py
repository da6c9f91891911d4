"""Draw the weights of a Keras model as the theory recommends."""

from __future__ import annotations

import inspect
import math
import random
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import activation as find_activation
from meanfield.errors import DomainError
from meanfield.frameworks.arguments import documented
from meanfield.frameworks.following import followed
from meanfield.frameworks.initialisation import Initialisation
from meanfield.frameworks.keras.graph import Graph, graph_of
from meanfield.frameworks.keras.initializers import MeanFieldBiasInitializer, MeanFieldInitializer
from meanfield.frameworks.keras.installed import keras, needs_keras
from meanfield.frameworks.keras.reading import Reader
from meanfield.frameworks.keras.recognition import recognised
from meanfield.frameworks.whole_model import Wishes, kept_at_zero, row, warn_of_missing_biases

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.frameworks.plan import PlannedLayer
    from meanfield.frameworks.weight_layer import WeightLayer

LEAST = 1e-24  # mean square: below that of rounding


@documented
def initialise(
    model: Any,
    activation: Any = None,
    depth: int | None = None,
    sigma_w: float | None = None,
    sigma_b: float | None = None,
    *,
    x: Any = None,
    seed: int | None = None,
    orthogonal: bool = False,
    input_variance: float = 1.0,
    scale_ends: bool | None = None,
    method: str = "theory",
) -> Initialisation:
    """Initialise the Dense and convolution layers of a Keras model at the point that the theory recommends.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, models inside it included. Its layers and the activation after each, a layer's own ``activation=``
        among them, are read off its graph; functions of ``keras.ops`` and formulas made of them are known by their values.
    <model_activation>
    <model_depth>
    <model_sigmas>
    x : array or list of arrays, optional
        A batch. Layers of which theory does not tell E[x²] (behind an attention, a gate, a pooling) are scaled on it; without one the
        table calls them a guess.
    seed : int, optional
        Of the draw. Without it Python's own random state is used, which keras.utils.set_random_seed sets.
    <orthogonal>
    <model_input_variance>
    <scale_ends>
    <method>

    Returns
    -------
    Initialisation
        Which layer was given what; ``print`` it. Other layers are left alone.

    Raises
    ------
    ActivationError
        If the activation after a layer is other than `activation` says, or can't be evaluated; the message names the layer.
    DomainError
        If an argument is out of range, or the model is no Functional or Sequential one, or has no weights yet.
    MeanFieldError
        If keras or its backend is not installed.

    Warns
    -----
    <model_missing_biases>

    Notes
    -----
    The plan is the one of `meanfield.frameworks.torch.init_`, which says what becomes of first and last layers, residual branches,
    normalisations and dropout.

    References
    ----------
    <model_references>

    Examples
    --------
    >>> import keras, meanfield.frameworks.keras as mfk  # doctest: +SKIP
    >>> layers = [keras.layers.Dense(128, activation="relu", name="hidden"), keras.layers.Dense(10, name="head")]  # doctest: +SKIP
    >>> model = keras.Sequential([keras.Input((64,)), *layers])  # doctest: +SKIP
    >>> print(mfk.initialise(model, seed=0))  # doctest: +SKIP
    2 layers, normal weights, for depth 2
    layer   kind     fan_in act.          σ_w      σ_b        q
    hidden  Dense        64 relu            1        0        1 [1]
    head    Dense       128 (output)   1.4142        0        1 [2]
    [1] first layer: scaled so that inputs of mean square 1 give q
    [2] output: scaled to variance 1
    """
    needs_keras()
    wishes = Wishes.checked(depth, sigma_w, sigma_b, input_variance, scale_ends, method)
    seeds = _seeds(seed)
    if x is None and method == "measure":
        raise DomainError("method = 'measure' needs an input that the model takes: give x=")
    if isinstance(model, keras.Model) and x is not None:
        _call(model, x)  # a Sequential without an input shape has one then, and a wrong x is told
    graph = graph_of(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how tensors become NumPy arrays is between Keras and its backend
        reader = Reader(graph)
        architecture = reader.read()
        layers = architecture.layers
        found = followed(architecture, activation, strict=False, read=_named)
        kept = {}
        if wishes.sigma_w is None:
            empty = {name for name, layer in layers.items() if not np.any(_array(layer.weight))}
            kept = kept_at_zero(architecture, empty, lambda name: _size(layers[name].bias))
        planned = wishes.plan(found, kept, any_widths=True)
        for place, (name, plan) in enumerate(planned.items()):
            if plan.method != "kept":
                _draw(layers[name], plan, orthogonal, seeds(2 * place), seeds(2 * place + 1))
        targets = {} if x is None else wishes.to_be_scaled(planned, layers)
        if targets:
            planned = wishes.scaled(planned, _scaled(model, graph, reader, x, targets))
    warn_of_missing_biases(planned, stacklevel=2)
    rows = tuple(row(plan, layers[name].kind, layers[name].shape, layers[name].fan_in) for name, plan in planned.items())
    return Initialisation(rows, wishes.layers(found), bool(orthogonal), architecture.left_alone)


def _named(spec: Any) -> Activation:
    """What a user names: what Keras calls by that name, its functions and layers, anything `meanfield.activation` accepts."""
    return find_activation(recognised(spec))


def _seeds(seed: Any) -> Any:
    """A seed for each draw."""
    if seed is not None and (isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 2**63):
        raise DomainError(f"seed = {seed!r} is out of range: it must be a whole number in [0, 2⁶³)")
    first = random.randrange(2**31) if seed is None else int(seed)
    return lambda place: int(np.random.SeedSequence([first, place]).generate_state(1)[0] >> 1)


def _draw(layer: WeightLayer, plan: PlannedLayer, orthogonal: bool, weights: int, biases: int) -> None:
    """New weights and biases."""
    if layer.axes is None:
        raise DomainError(f"layer {layer.name!r}: its inputs and outputs can't be told apart")
    # The layout's own fan-in is the product of sizes: a stride of a transposed convolution is made up for in σ_w.
    sigma_w = plan.sigma_w * math.sqrt(layer.axes.of(layer.shape).fan_in / layer.fan_in)
    law = {"activation": "", "sigma_w": sigma_w, "sigma_b": plan.sigma_b, "q": plan.q}
    words = {**law, "distribution": "orthogonal" if orthogonal else "normal", "seed": weights, **vars(layer.axes)}
    layer.weight.assign(MeanFieldInitializer.from_config(words)(layer.shape, layer.weight.dtype))
    if layer.bias is not None:
        made = MeanFieldBiasInitializer.from_config({**law, "distribution": "normal", "seed": biases})
        layer.bias.assign(made(tuple(layer.bias.shape), layer.bias.dtype))


def _call(model: Any, x: Any) -> Any:
    try:
        return model(x)
    except Exception as error:  # whatever a user's model may raise
        raise DomainError(f"x: the model fails on it, with {type(error).__name__}: {error}") from error


def _scaled(model: Any, graph: Graph, reader: Reader, x: Any, targets: Mapping[str, float]) -> dict[str, float]:
    """One run of the model on x in training mode; a layer's weight is scaled when it is met first, before what it gives goes on.

    References
    ----------
    Mishkin & Matas (2016), who iterate.
    """
    state = [(variable, _array(variable)) for variable in model.non_trainable_variables]
    tensors = [keras.ops.convert_to_tensor(part) for part in keras.tree.flatten(x)]
    known: dict[int, Any] = dict(zip(graph.inputs, tensors, strict=True))
    factors: dict[str, float] = {}
    for call in graph.calls:
        inputs = [known[number] for number in call.inputs]
        for name in reader.products.get(call, ())[-1:]:  # of a separable convolution the second product
            if name in targets and name not in factors:
                factors[name] = _factor(call.operation, reader.layers[name], inputs[0], targets[name])
        settings = {"training": True} if "training" in inspect.signature(call.operation.call).parameters else {}
        made = call(*inputs, **settings)
        known.update(zip(call.outputs, keras.tree.flatten(made), strict=True))
    for variable, value in state:
        variable.assign(value)
    return factors


def _factor(operation: Any, layer: WeightLayer, x: Any, target: float) -> float:
    """What the layer's weight was multiplied by: W x is linear in W, so it is exact for this batch."""
    bare = type(operation).from_config({**operation.get_config(), "activation": None})  # the layer itself stays as it is meanwhile
    bare.build(x.shape)
    for own, given in zip(bare.weights, operation.weights, strict=True):
        own.assign(given)
    if layer.bias is not None:
        bare.bias.assign(np.zeros(layer.bias.shape))
    square = float(np.mean(np.square(_array(bare(x)))))
    factor = math.sqrt(target / square) if LEAST < square < math.inf else 1.0
    layer.weight.assign(layer.weight * factor)
    return factor


def _array(variable: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float64)


def _size(variable: Any) -> float:
    """Root mean square."""
    return 0.0 if variable is None else float(np.sqrt(np.mean(np.square(_array(variable)))))
