"""The kernels of infinitely wide networks for scikit-learn's Gaussian processes, ridge regression and support vector machines.

Examples
--------
>>> import numpy as np, meanfield as mf
>>> from sklearn.gaussian_process import GaussianProcessRegressor
>>> from meanfield import layers as L
>>> from meanfield.frameworks.sklearn import NNGPKernel
>>> net = mf.Network(L.Dense(1.5, 0.2), "tanh", L.Dense(1.0))
>>> X = np.linspace(-1, 1, 9)[:, None]
>>> model = GaussianProcessRegressor(NNGPKernel(net), alpha=1e-8).fit(X, X[:, 0])
>>> print(f"{model.predict([[0.3]])[0]:.2f}")
0.30
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError, MeanFieldError
from meanfield.layers.activation import Activation
from meanfield.layers.arguments import number, one_of, sigma, whole
from meanfield.layers.dense import Dense
from meanfield.layers.sequence import Repeat, Sequence
from meanfield.theory.kernels.gram import Tangents, computed, diagonal
from meanfield.theory.network import Network

try:
    from sklearn.gaussian_process.kernels import Hyperparameter, Kernel
except ImportError as error:  # pragma: no cover
    raise MeanFieldError("meanfield.frameworks.sklearn needs scikit-learn: pip install scikit-learn") from error

if TYPE_CHECKING:
    from meanfield.arrays import Array

STEP = 1e-5  # of log σ, for central differences: their error is some 1e-10 of K


class _NetworkKernel(Kernel):  # type: ignore[misc]
    """A kernel made of a network, or of a rule that builds one from σ_w, σ_b and a depth."""

    def __init__(
        self,
        network: Any,
        sigma_w: float | None = None,
        sigma_b: float = 0.0,
        depth: int = 1,
        sigma_w_bounds: Any = (0.05, 20.0),
        sigma_b_bounds: Any = (1e-3, 20.0),
    ) -> None:
        # scikit-learn's clone() wants what it gave, untouched.
        self.network = network
        self.sigma_w = sigma_w
        self.sigma_b = sigma_b
        self.depth = depth
        self.sigma_w_bounds = sigma_w_bounds
        self.sigma_b_bounds = sigma_b_bounds

    @property
    def hyperparameters(self) -> list[Hyperparameter]:
        """σ_w, and σ_b where it isn't 0, of a network that is built; none of a `Network`."""
        if isinstance(self.network, Network):
            return []
        found = [Hyperparameter("sigma_w", "numeric", self.sigma_w_bounds)]
        if self.sigma_b != 0.0:
            found.insert(0, Hyperparameter("sigma_b", "numeric", self.sigma_b_bounds))
        return found

    def built(self) -> Network:
        """The network."""
        if isinstance(self.network, Network):
            if self.sigma_w is not None:
                raise DomainError("sigma_w is for a network that is built from it; this one is a Network, whose layers have theirs")
            return self.network
        if self.sigma_w is None:
            raise DomainError("sigma_w must be given where network is an activation or a rule build(sigma_w, sigma_b, depth)")
        weight, bias, depth = sigma("sigma_w", self.sigma_w), sigma("sigma_b", self.sigma_b), whole("depth", self.depth, 1, 100_000)
        if callable(self.network) and not hasattr(self.network, "derivative"):
            made = self.network(weight, bias, depth)
            if not isinstance(made, Network):
                raise DomainError(f"build(sigma_w, sigma_b, depth) must return a Network, not {type(made).__name__}")
            return made
        dense = Dense(weight, bias)
        return Network(dense, Repeat(Sequence(Activation(self.network), dense), depth))

    def _tangents(self) -> Tangents | None:
        return None

    def _matrix(self, X: Any, Y: Any) -> Array:
        return computed(self.built(), X, Y, self._tangents(), False, None, False, 1)

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        """The kernel matrix; with eval_gradient also its derivatives by the logarithms of the hyperparameters, (N, N, number)."""
        if eval_gradient and Y is not None:
            raise ValueError("the gradient can only be evaluated when Y is None")
        matrix = self._matrix(X, Y)
        if not eval_gradient:
            return matrix
        gradient = np.empty((*matrix.shape, self.n_dims))
        for index in range(self.n_dims):
            step = np.zeros(self.n_dims)
            step[index] = STEP
            ahead, behind = (self.clone_with_theta(self.theta + sign * step)._matrix(X, None) for sign in (1.0, -1.0))
            gradient[..., index] = (ahead - behind) / (2.0 * STEP)
        return matrix, gradient

    def diag(self, X: Any) -> Array:
        """The diagonal of the kernel matrix."""
        return diagonal(self.built(), X, self._tangents())

    def is_stationary(self) -> bool:
        """It depends on more than x − x'."""
        return False

    def __repr__(self) -> str:
        if isinstance(self.network, Network):
            text = repr(self.network)
            return f"{type(self).__name__}({text if len(text) <= 200 else text[:199] + '…'})"
        name = self.network if isinstance(self.network, str) else getattr(self.network, "name", getattr(self.network, "__name__", "build"))
        return f"{type(self).__name__}({name}, sigma_w={self.sigma_w:.3g}, sigma_b={self.sigma_b:.3g}, depth={self.depth})"


class NNGPKernel(_NetworkKernel):
    """The covariance of an infinitely wide network's output, `Network.nngp`.

    Parameters
    ----------
    network : Network, activation or callable
        A `Network`; or an activation (anything `meanfield.activation` takes by name or as an `Activation`) for the plain network
        Dense(σ_w, σ_b) → (φ → Dense(σ_w, σ_b)) · depth; or build(sigma_w, sigma_b, depth) → Network.
    sigma_w, sigma_b : float
        Standard deviations; only where the network is built. Their logarithms are the kernel's θ, so that
        `GaussianProcessRegressor` tunes them by the marginal likelihood; σ_b = 0 stays 0.
    depth : int
        Of the network that is built; for a grid search ("kernel__depth").
    sigma_w_bounds, sigma_b_bounds : pair of floats or "fixed"
        Where they are looked for.

    Notes
    -----
    Gradients by θ are central differences of four matrices, right to some 1e-9.

    Examples
    --------
    >>> import numpy as np
    >>> kernel = NNGPKernel("relu", sigma_w=2**0.5, depth=2)
    >>> kernel(np.eye(2)).round(6).tolist()
    [[1.0, 0.493731], [0.493731, 1.0]]
    """


class NTKKernel(_NetworkKernel):
    """The neural tangent kernel, `Network.ntk`.

    Parameters
    ----------
    network, sigma_w, sigma_b, depth, sigma_w_bounds, sigma_b_bounds
        As `NNGPKernel`.
    parametrization : {"ntk", "standard"}
    width : float
        As `Network.ntk`.

    Examples
    --------
    >>> import numpy as np
    >>> NTKKernel("relu", sigma_w=2**0.5, depth=1)(np.eye(2)).round(6).tolist()
    [[2.0, 0.31831], [0.31831, 2.0]]
    """

    def __init__(
        self,
        network: Any,
        sigma_w: float | None = None,
        sigma_b: float = 0.0,
        depth: int = 1,
        sigma_w_bounds: Any = (0.05, 20.0),
        sigma_b_bounds: Any = (1e-3, 20.0),
        parametrization: str = "ntk",
        width: float = 1000,
    ) -> None:
        super().__init__(network, sigma_w, sigma_b, depth, sigma_w_bounds, sigma_b_bounds)
        self.parametrization = parametrization
        self.width = width

    def _tangents(self) -> Tangents | None:
        kind = one_of("parametrization", self.parametrization, ("ntk", "standard"))
        return Tangents(kind, number("width", self.width, 1.0, 1e100))
