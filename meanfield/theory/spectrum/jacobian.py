"""The singular values of the input-output Jacobian of a deep random network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meanfield.activations import activation as find_activation
from meanfield.theory.mean_field import MeanField
from meanfield.theory.spectrum.plain_layers import spectrum_of

if TYPE_CHECKING:
    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum


def jacobian_spectrum(
    activation: Any,
    sigma_w: float,
    sigma_b: float,
    depth: int,
    weights: str = "gaussian",
    q: Any = None,
    widths: Any = None,
) -> JacobianSpectrum:
    """The law of the singular values of the Jacobian ∂h^L/∂h⁰ of a wide random network.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    sigma_w, sigma_b : float
        Standard deviations (σ, not σ²) of weights times √fan_in, and of biases; sigma_w > 0.
    depth : int
        Number of layers L, in [1, 10⁸].
    weights : {"gaussian", "orthogonal"}
        W_ij independent N(0, σ_w²/N), or W = σ_w times Haar.
    q : float or "trajectory", optional
        Variance of the pre-activations in every layer; q* where not given. "trajectory": the variances q_l of an input with q = 1,
        depth up to 10⁵.
    widths : sequence of int, optional
        N_0, …, N_L, the units of h⁰, …, h^L, of which only the ratios count; equal ones where left out. Orthogonal weights then have
        orthonormal rows or columns, with entries of variance σ_w²/fan_in. The law is that of the min(N_0, N_L) singular values.

    Returns
    -------
    JacobianSpectrum
        Edges, bands, atoms, moments, density, distribution function and quantiles of the singular values.

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.
    DomainError
        If an argument is out of range, φ jumps (its Jacobian is infinite), or q* is 0 or inf where φ has no slope there.

    Notes
    -----
    With d = φ'(√q Z)² and M(ζ) = E[d/(ζ − d)] = m the law is the curve z(ζ) = σ_w^{2L} ζ h(ζ)^{L−1} (1 + m)^{gL}, h = ζm/(1 + m), g = 1
    for Gaussian weights and 0 for orthogonal ones, where z is real; −Im m/π is the density of log s² there. For each |ζ| there is one
    such point at most: docs/spectra.md has the proof. Holds for N → ∞ at fixed L; the corrections are of order L/N.

    References
    ----------
    Pennington, Schoenholz, Ganguli (2017, 2018); Pastur, Slavin (2020) and Collins, Hayase (2023) for freeness.

    Examples
    --------
    >>> import meanfield as mf
    >>> s = mf.jacobian_spectrum("tanh", sigma_w=1.0235568, sigma_b=0.00417726, depth=64, weights="orthogonal", q=0.024672)
    >>> round(s.mean, 5), round(s.variance, 4), round(s.edges[1] ** 2, 4)
    (1.0, 0.25, 2.2249)
    >>> mf.jacobian_spectrum("abs", sigma_w=1.0, sigma_b=0.0, depth=100, weights="orthogonal").atoms  # an isometry at any depth
    (Atom(value=1.0, mass=1.0),)
    """
    return spectrum_of(MeanField(find_activation(activation), sigma_w, sigma_b), depth, weights, q, widths)
