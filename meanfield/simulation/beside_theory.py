"""A simulation's quantities, each beside the theory, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.simulation.network_ensemble import NetworkEnsemble

if TYPE_CHECKING:
    from meanfield.arrays import Array, Mask
    from meanfield.simulation.comparison import Comparison
    from meanfield.simulation.simulation import Simulation


@dataclass(frozen=True)
class Beside:
    """One quantity: what was sampled and what the theory says; arrays of length depth + 1.

    Attributes
    ----------
    mean, standard_error : ndarray
        Over networks.
    infinite_width : ndarray
        The theory's value.
    z : ndarray
        The sample against the theory at its own width, as in `Comparison`.
    judged : ndarray of bool
        Where that z means something.
    """

    mean: Array
    standard_error: Array
    infinite_width: Array
    z: Array
    judged: Mask


def beside_theory(sim: Simulation, verdict: Comparison, q: Any = 1.0, c: float = 0.5) -> dict[str, Beside]:
    """Each quantity under its name: q1, q2, c and, where there is a backward pass, gradient.

    Parameters
    ----------
    sim : Simulation
    verdict : Comparison
        ``sim.compare()``.
    q, c : float or pair of floats, float
        The start that was given to `simulate`, from which the recursion is followed. (Read off the sampler's own h⁰ it would lose the
        digits of a small 1 − c.)

    Examples
    --------
    >>> import meanfield as mf
    >>> sim = mf.simulate("tanh", 1.3, 0.2, width=100, depth=4, networks=20, c=0.3, progress=False)
    >>> found = beside_theory(sim, sim.compare(), c=0.3)
    >>> list(found), float(found["c"].infinite_width[0])
    (['q1', 'q2', 'c', 'gradient'], 0.3)
    """
    from meanfield.theory.mean_field import MeanField

    ensemble = sim.ensemble
    if isinstance(ensemble, NetworkEnsemble):
        theory = ensemble.network.propagate(q, c)
    else:
        theory = MeanField(ensemble.activation, ensemble.sigma_w, ensemble.sigma_b).propagate(sim.depth, q=q, c=c)
    found = {}
    for name, z in verdict.z_scores.items():
        estimate = getattr(sim, name)
        found[name] = Beside(estimate.mean, estimate.standard_error, getattr(theory, name), z, verdict.judged[name])
    return found
