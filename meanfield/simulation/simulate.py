"""Sampling an ensemble of random networks: arguments in, estimates out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from meanfield.errors import AccuracyWarning, DomainError
from meanfield.simulation.arguments import checked_ensemble
from meanfield.simulation.blocks import run
from meanfield.simulation.checkpoint import Checkpoint
from meanfield.simulation.simulation import Simulation


def simulate(
    activation: Any,
    sigma_w: float,
    sigma_b: float,
    width: int | None = None,
    depth: int | None = None,
    networks: int = 100,
    q: Any = 1.0,
    c: float = 0.5,
    seed: int | None = 0,
    method: str = "conditional",
    weights: str = "gaussian",
    gradients: bool = True,
    progress: bool = True,
    n_jobs: int | None = 1,
    checkpoint: Any = None,
    widths: Iterable[int] | None = None,
    inputs: Any = None,
    backend: str = "numpy",
    device: str | None = None,
    jacobian: bool = False,
) -> Simulation:
    """Random networks h^(l+1) = W φ(h^l) + b, two inputs forward and a gradient back, averaged over the networks.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    sigma_w, sigma_b : float
        Standard deviations (σ, not σ²): W_ij has variance σ_w²/fan_in, b_i is N(0, σ_b²) whatever the weights are.
    width, depth : int
        Units per layer and number L of layers after h⁰. Not needed with widths.
    networks : int
        How many. Memory does not depend on it.
    q : float or pair of floats
        Variance of h⁰, of both inputs or (q1, q2): its `width` rows are independent N(0, [[q1, c√(q1 q2)], [·, q2]]).
    c : float
        Correlation of h⁰, in [−1, 1].
    seed : int or None
        The same seed gives the same numbers to the last bit, whatever n_jobs is. None takes a fresh one, kept in the result.
    method : {"conditional", "weights"}
        "conditional" is exact in distribution for Gaussian weights and costs O(width B²) per layer. "weights" draws the matrices.
    weights : {"gaussian", "orthogonal", "uniform"}
        Distribution of W. Orthogonal: Haar, scaled so that W_ij has variance σ_w²/fan_in. Other than gaussian needs
        method="weights".
    gradients : bool
        Also run the backward pass.
    progress : bool
        Show a progress bar (in a terminal only).
    n_jobs : int, optional
        As joblib.Parallel, threads by default; ``joblib.parallel_config(backend="dask")`` sends the work to a cluster.
    checkpoint : path, optional
        A file that keeps what is done. A run with the same arguments goes on from there to the same numbers.
    widths : sequence of int, optional
        Units of h⁰, h¹, …, h^L where layers differ; L is then len(widths) − 1.
    inputs : array of shape (B, d), optional
        Inputs a of a first layer h⁰ = W a + b, in place of q and c: h⁰ has variance σ_b² + σ_w²|a|²/d.
    backend : {"numpy", "torch", "jax", "cupy"}
        With method="weights": which array library draws and multiplies, in double precision.
    device : str, optional
        With backend: "cpu", "cuda", "cuda:1", ….
    jacobian : bool
        With method="weights": also the singular values of ∂h^L/∂h⁰ of the first input, at width³ operations a layer.

    Returns
    -------
    Simulation
        .q1, .q2, .c, .gradient: each an Estimate(mean, standard_error, count) of arrays of length depth + 1, index 0 being h⁰. For B inputs
        .gram and .correlation have shape (depth + 1, B, B) and .q has (depth + 1, B); q1, q2 and c are those of the first two.

        With jacobian=True .singular_values, (networks, width), which .compare() holds against `jacobian_spectrum`.

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.
    DomainError
        If an argument is out of range, or the checkpoint belongs to other arguments.

    Warns
    -----
    AccuracyWarning
        Where no network is left for a mean: its value is then NaN.

    Notes
    -----
    In a network whose input has died out (all of φ(h) = 0 and σ_b = 0) c is 0/0; it is left out there and `count` says so. q below
    1e-290 counts as that. A network whose numbers overflow has q = inf from there on and no c and gradient.

    References
    ----------
    Poole et al. (2016) and Schoenholz et al. (2017) for what is measured; Bolthausen (2014) for the conditioning.

    Examples
    --------
    >>> import meanfield as mf
    >>> sim = mf.simulate("tanh", sigma_w=1.3, sigma_b=0.2, width=1000, depth=10, networks=50)
    >>> theory = mf.MeanField("tanh", 1.3, 0.2).propagate(10)
    >>> bool(abs(sim.q1.mean[10] - theory.q1[10]) < 6 * sim.q1.standard_error[10] + 2 / 1000)
    True
    """
    ensemble = checked_ensemble(
        activation, sigma_w, sigma_b, width, depth, networks, q, c, seed, method, weights, gradients, widths, inputs, backend, device
    )
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, (int, np.integer)) or n_jobs == 0):
        raise DomainError(f"n_jobs = {n_jobs!r} is out of range: a whole number that is not 0, or None")
    if not isinstance(jacobian, (bool, np.bool_)):
        raise DomainError(f"jacobian = {jacobian!r} must be True or False")
    if jacobian and (method != "weights" or ensemble.depth == 0):
        raise DomainError("jacobian = True needs method='weights' and a layer at least: the conditional sampler draws no matrices")
    values = None
    if jacobian:
        from meanfield.simulation.jacobian import singular_values

        values = singular_values(ensemble, n_jobs, progress)
    kept = Checkpoint(checkpoint, ensemble) if checkpoint is not None else None
    statistics = run(ensemble, n_jobs, progress, kept)
    result = Simulation.of(ensemble, statistics, values)
    _warn_of_nothing(result)
    return result


def _warn_of_nothing(result: Simulation) -> None:
    """Say so where a mean is NaN because every network was left out."""
    told = {"c": result.epsilon_matrix, "gradient": result.gradient}
    for name, estimate in told.items():
        if estimate is not None and (estimate.count == 0).any():
            layer = int(np.argmax((estimate.count == 0).reshape(estimate.count.shape[0], -1).any(axis=1)))
            warnings.warn(
                f"{name} is NaN from layer {layer} on: in every network an input has died out or overflowed, and the ratio is 0/0",
                AccuracyWarning,
                stacklevel=3,
            )
