"""What a picture of maps is drawn for: networks as given, activations on their edge of chaos."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError
from meanfield.plot.line_styles import given_labels, one_or_many, plain_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meanfield.theory.mean_field import MeanField


@dataclass(frozen=True)
class Ensemble:
    """A network with the variance it is drawn at.

    Attributes
    ----------
    network : MeanField
    q : float
        Its q*, or the q of the edge of chaos.
    held : bool
        Whether q is that of the edge of chaos, stable or not.
    label : str
    """

    network: MeanField
    q: float
    held: bool
    label: str


def ensembles(items: Sequence[Any], sigma_b: float) -> list[Ensemble]:
    """Each item as an `Ensemble`; labels name what tells the items apart.

    Examples
    --------
    >>> import meanfield as mf
    >>> [item.label for item in ensembles(["tanh", "relu"], 0.2)]
    ['tanh', 'relu ($\\\\sigma_b = 0$)']
    >>> [item.label for item in ensembles([mf.MeanField("tanh", 1.3, 0.3), mf.MeanField("tanh", 2.5, 0.3)], 0.2)]
    ['$\\\\sigma_w = 1.3$', '$\\\\sigma_w = 2.5$']
    """
    from meanfield.theory.mean_field import MeanField

    networks = [item for item in items if isinstance(item, MeanField)]
    varied = [field for field in ("sigma_w", "sigma_b") if len({getattr(network, field) for network in networks}) > 1]
    named = len({network.activation.name for network in networks}) > 1 or len(networks) < len(items) or not varied
    return [
        Ensemble(item, item.q_star, False, _label(item, named, varied)) if isinstance(item, MeanField) else _critical(item, sigma_b)
        for item in items
    ]


def labelled(networks: Any, sigma_b: float, labels: Sequence[str] | None) -> list[Ensemble]:
    """The ensembles of a picture's first argument, one or several, under the labels that were given or their own.

    Examples
    --------
    >>> [item.label for item in labelled(["tanh", "erf"], 0.2, ["a", "b"])]
    ['a', 'b']
    """
    found = ensembles(one_or_many(networks, "networks"), sigma_b)
    words = given_labels(labels, len(found))
    return found if words is None else [replace(item, label=word) for item, word in zip(found, words, strict=True)]


def _label(network: MeanField, named: bool, varied: Sequence[str]) -> str:
    words = [plain_label(network.activation.name)] if named else []
    words += [rf"$\{field} = {getattr(network, field):.4g}$" for field in varied]
    return ", ".join(words)


def _critical(activation: Any, sigma_b: float) -> Ensemble:
    """An activation on its edge of chaos at σ_b, or at its single point at σ_b = 0."""
    from meanfield.theory.edge_of_chaos import edge_of_chaos
    from meanfield.theory.mean_field import MeanField

    point, suffix = edge_of_chaos(activation, sigma_b=sigma_b), ""
    if point.status == "none" and sigma_b > 0:
        reason = point.reason
        point, suffix = edge_of_chaos(activation, sigma_b=0.0), r" ($\sigma_b = 0$)"
        if point.status == "none":
            raise DomainError(f"sigma_b = {sigma_b!r}: {point.activation.name} has no edge of chaos there ({reason}); give a MeanField")
    elif point.status == "none":
        raise DomainError(f"sigma_b = {sigma_b!r}: {point.activation.name} has no edge of chaos there ({point.reason}); give a MeanField")
    network = MeanField(point.activation, sigma_w=point.sigma_w, sigma_b=point.sigma_b)
    return Ensemble(network, float(point.q), True, plain_label(point.activation.name) + suffix)
