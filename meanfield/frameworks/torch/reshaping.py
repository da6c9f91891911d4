"""A model's activations shaped for its depth, in the place of the modules that they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield.activations.shaped import ShapedActivation
from meanfield.errors import DomainError
from meanfield.frameworks.residual import residual_sums
from meanfield.frameworks.signal import slope_of
from meanfield.frameworks.torch.module import module
from meanfield.theory.shaping.shape import shape_activation

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.frameworks.following import Followed


def reshaped(model: Any, found: Followed, depth: int, method: str) -> list[str]:
    """Put shaped activations into a model, in place; what was done, in words.

    Raises
    ------
    DomainError
        If the model has residual sums, an activation that is no module of its own, or one that can't be shaped for the depth.

    References
    ----------
    Martens et al. (2021); Zhang, Botev, Martens (2022): plain networks of σ_w = 1, σ_b = 0, inputs of mean square 1.
    """
    steps = found.architecture.steps
    if residual_sums(steps):
        raise DomainError(
            f"scheme = {method!r} is for plain chains here, and the model adds branches: shape its activation for the network that it is, "
            "meanfield.shape_activation(φ, network=meanfield.frameworks.torch.network(model, x)), and build it with that"
        )
    wanted: dict[str, Activation] = {}
    for step in steps:
        if step.kind != "activation" or step.activation is None or slope_of(step.activation) is not None:
            continue
        node = step.node
        if node is None or node.op != "call_module" or not any(node.all_input_nodes):
            raise DomainError(
                f"scheme = {method!r} puts modules in the place of activations, and {step.activation.name} is called in forward: "
                "make it a module of its own, as torch.nn.GELU() is"
            )
        act = step.activation
        wanted[str(node.target)] = act.base if isinstance(act, ShapedActivation) else act  # once more, perhaps for another depth
    shaped = {act.name: shape_activation(act, depth, method) for act in wanted.values()}
    modules = {name: module(act) for name, act in shaped.items()}
    for name, act in wanted.items():
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, modules[act.name])
    return [f"{name} became {str(act).splitlines()[0]}" for name, act in shaped.items()]
