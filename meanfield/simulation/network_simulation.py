"""Sampling random networks of layers."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.arguments import correlation_argument, variance
from meanfield.layers.arguments import one_of, whole
from meanfield.layers.attention import Attention
from meanfield.layers.dense import Dense
from meanfield.layers.layer import every
from meanfield.layers.normalise import BatchNorm
from meanfield.layers.pool import GlobalAveragePool
from meanfield.simulation.blocks import run
from meanfield.simulation.network_ensemble import NetworkEnsemble, companies
from meanfield.simulation.random_matrices import BACKENDS
from meanfield.simulation.simulation import Simulation

if TYPE_CHECKING:
    from meanfield.theory.network import Network

DEEPEST = 100_000
MOST_SITES = 4096
METHODS = ("weights", "conditional")


def simulate_network(
    network: Network,
    width: int = 1000,
    networks: int = 100,
    q: Any = 1.0,
    c: float = 0.5,
    seed: int | None = 0,
    *,
    gradients: bool = True,
    progress: bool = True,
    n_jobs: int | None = 1,
    backend: str = "numpy",
    device: str | None = None,
    method: str = "weights",
) -> Simulation:
    """Random networks of a description.

    Parameters
    ----------
    network : Network
    width : int
        Units of every layer, in [2, 10⁵]. A concatenation's branches have their relative widths, the widest this one.
    networks : int
        In [1, 10⁷].
    q : float or pair of floats
        Mean squares of the inputs' Gaussian components.
    c : float
        Their correlation, in [−1, 1]. Where inputs form a batch or a sequence all pairs have it, and q is one number.
    seed : int or None
        The same seed gives the same numbers, whatever n_jobs is.
    gradients, progress, n_jobs, backend, device
        As `meanfield.simulate`.
    method : {"weights", "conditional"}
        "weights" draws every matrix. "conditional" draws what a Gaussian matrix makes of the few vectors that it meets, on the way
        there and on the way back: the same in distribution, at O(width · inputs²) a layer in place of O(width²). All weights must be
        Gaussian for that.

    Returns
    -------
    Simulation
        Entry 0 is the input, then one behind every layer and every turn of a repetition.

    Raises
    ------
    DomainError
        If an argument is out of range.

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield import layers as L
    >>> net = mf.Network(L.Repeat(L.Residual("tanh", L.Dense(1.0)), 3))
    >>> net.simulate(width=200, networks=50, progress=False).compare().consistent
    True
    """
    ensemble = _checked(network, width, networks, q, c, seed, gradients, backend, device, method)
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, (int, np.integer)) or n_jobs == 0):
        raise DomainError(f"n_jobs = {n_jobs!r} is out of range: a whole number that is not 0, or None")
    return Simulation.of(ensemble, run(ensemble, n_jobs, progress, None))


def _checked(
    network: Network, width: Any, networks: Any, q: Any, c: Any, seed: Any, gradients: bool, backend: str, device: str | None, method: str
) -> NetworkEnsemble:
    pair = variance("q", q)
    if pair.shape not in ((), (2,)) or not np.all((pair > 1e-200) & (pair < 1e200)):
        raise DomainError(f"q = {q!r} is out of range: one variance or a pair (q1, q2), each in [1e-200, 1e200]")
    start = correlation_argument("c", c)
    if start.ndim:
        raise DomainError(f"c must be one number, not an array of shape {start.shape}")
    number = secrets.randbits(63) if seed is None else whole("seed", seed, 0, 2**63 - 1)
    first, second = (float(pair), float(pair)) if pair.ndim == 0 else (float(pair[0]), float(pair[1]))
    ensemble = NetworkEnsemble(
        network,
        whole("width", width, 2, 10**5),
        whole("networks", networks, 1, 10**7),
        number,
        (first, second),
        float(start),
        bool(gradients),
        one_of("backend", backend, BACKENDS),
        device,
        one_of("method", method, METHODS),
    )
    if method == "conditional":
        drawn = {layer.weights for layer in every(network.layers) if isinstance(layer, Dense)}
        if other := sorted(drawn - {"gaussian"}):
            raise DomainError(f"method = 'conditional' draws Gaussian weights, and a layer has {other[0]} ones; 'weights' draws any")
    turns = sum(getattr(layer, "times", 1) for layer in network.layers)
    if turns > DEEPEST:
        raise DomainError(f"the network has {turns} layers; explicit networks of at most {DEEPEST} are drawn")
    if any(isinstance(layer, GlobalAveragePool) and layer.sites is None for layer in every(network.layers)):
        raise DomainError("a mean over infinitely many sites can't be drawn: say how many, GlobalAveragePool(sites)")
    if ensemble.sites > MOST_SITES:
        raise DomainError(f"the network has {ensemble.sites} sites at its input; explicit networks of at most {MOST_SITES} are drawn")
    together = companies(network)
    if len(together) > 1:
        raise DomainError(f"batches or sequences of different sizes {sorted(together)} can't be simulated together")
    if together:
        inputs = together.pop()
        if first != second:
            raise DomainError(f"q = {q!r} is out of range: one number where a batch is normalised or tokens attend to each other")
        if ensemble.c < -1.0 / (inputs - 1):
            raise DomainError(f"c = {ensemble.c!r} is out of range: {inputs} inputs that are alike have c ≥ {-1.0 / (inputs - 1):.6g}")
        if ensemble.sites > 1:
            raise DomainError("convolutions with batch normalisation or attention can't be simulated: both would run over the sites too")
        kinds = {type(layer) for layer in every(network.layers)}
        if {BatchNorm, Attention} <= kinds:
            raise DomainError(
                "batch normalisation and attention can't be simulated together: inputs would be a batch and a sequence at once"
            )
    return ensemble
