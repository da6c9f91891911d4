"""A network of layers, and what happens to two inputs in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import DomainError
from meanfield.expectation.arguments import variance
from meanfield.layers.concatenate import Concatenate
from meanfield.layers.cotangent import at_output, total
from meanfield.layers.gate import Gate
from meanfield.layers.layer import Exactness, Layer, MisplacedLayer, every
from meanfield.layers.post_activation import PostActivation
from meanfield.layers.residual import Residual
from meanfield.layers.sequence import Repeat, Sequence
from meanfield.layers.sites import step, with_independent_sites
from meanfield.layers.state import State
from meanfield.solve.walk import walk
from meanfield.theory.trajectory import Trajectory, started

if TYPE_CHECKING:
    from meanfield.simulation.simulation import Simulation

DEEPEST = 10**8


class Network:
    """Layers one behind the other, at infinite width with random weights.

    Parameters
    ----------
    *layers : Layer, or anything `meanfield.activation` accepts
        See `meanfield.layers`. A repeated layer has weights of its own at each turn.

    Raises
    ------
    DomainError
        If there is no layer, or a layer makes no sense where it stands: the message names its place.

    References
    ----------
    Yang (2019), Tensor Programs, for the limit; docs/layers.md has each layer's map and source.

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield import layers as L
    >>> block = L.Residual(L.LayerNorm(), "gelu", L.Dense(1.0), scale=0.3)
    >>> net = mf.Network(L.Dense(1.4, 0.1), L.Repeat(block, 48), L.LayerNorm(), L.Dense(1.0))
    >>> round(float(net.propagate(q=1.0, c=0.5).q1[49]), 6)
    3.806957
    """

    def __init__(self, *layers: Any) -> None:
        if not layers:
            raise DomainError("a network needs at least one layer")
        self.layers: tuple[Layer, ...] = Sequence(*layers).layers
        turns = sum(layer.times if isinstance(layer, Repeat) else 1 for layer in self.layers)
        if turns > DEEPEST:
            raise DomainError(f"the network has {turns} layers; at most {DEEPEST:.0e} are followed")
        self._check()

    def _check(self) -> None:
        """Find a misplaced layer now, not when it is asked about: once through each layer's second turn."""
        state = self._input(1.0, 1.0, 0.5)
        for index, layer in enumerate(self.layers):
            try:
                inner = layer.layer if isinstance(layer, Repeat) else layer
                for _ in range(min(2, layer.times) if isinstance(layer, Repeat) else 1):
                    state = step(inner, state).state
            except MisplacedLayer as error:
                raise error.inside(index + 1) from None

    def _input(self, q1: float, q2: float, epsilon: float) -> State:
        state = State.of(q1, q2, epsilon)
        return with_independent_sites(state) if any(layer.asks_for_sites for layer in every(self.layers)) else state

    def __reduce__(self) -> tuple[Any, ...]:
        return Network, self.layers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self.layers == other.layers

    def __hash__(self) -> int:
        return hash(self.layers)

    def __repr__(self) -> str:
        return f"Network({', '.join(map(str, self.layers))})"

    @property
    def exactness(self) -> tuple[Exactness, ...]:
        """How far the theory of each layer holds, by its place: "exact", "approximate" or "simulated", and why.

        Examples
        --------
        >>> import meanfield as mf
        >>> from meanfield import layers as L
        >>> mf.Network(L.Dense(1.0), L.BatchNorm(32), "relu").exactness[1].kind
        'approximate'
        """
        return tuple(found for index, layer in enumerate(self.layers) for found in _exactness(layer, str(index + 1)))

    def propagate(self, q: Any = 1.0, c: float | None = None, *, epsilon: float | None = None) -> Trajectory:
        """Two inputs through the network, and a gradient on its way back.

        Parameters
        ----------
        q : float or pair of floats
            Mean square of the inputs' components, of both inputs or (q1, q2): in [1e-280, 1e280]. An activation that comes first takes
            them as Gaussian with mean 0.
        c : float, optional
            c = K12/√(K11 K22) of the inputs, in [−1, 1]; 0.5 where neither c nor epsilon is given.
        epsilon : float, optional
            The same as 1 − c, in [0, 2].

        Returns
        -------
        Trajectory
            q1, q2, c, epsilon, gradient, mean1, mean2 and names: index 0 is the input, then one entry behind every layer and every turn of
            a `Repeat`. c is of second moments, not centred. gradient[l] = E|∂E/∂x^l|²/E|∂E/∂x^L|², vector norms, of the first input.

        Raises
        ------
        DomainError
            If an argument is out of range, or a layer can't take what reaches it.

        Examples
        --------
        >>> import meanfield as mf
        >>> from meanfield import layers as L
        >>> relu = mf.Network(L.Repeat(L.Residual("relu", L.Dense(2**0.5)), 8)).propagate()
        >>> round(float(relu.q1[-1]), 9), round(float(relu.gradient[0]), 9)
        (256.0, 256.0)
        """
        if np.any(variance("q", q) == 0.0):
            raise DomainError(f"q = {q!r} is out of range: one variance or a pair (q1, q2), each in [1e-280, 1e280]")
        start = 0.5 if c is None and epsilon is None else c
        first, second, loss = started(q, start, epsilon)
        found = walk(self.layers, self._input(first, second, loss))
        moments = found.moments
        correlation = 1.0 - moments.epsilon
        if start is not None:
            correlation[0] = float(start)
        with np.errstate(over="ignore"):
            gradient = np.exp(found.log_gradient)
        return Trajectory(
            moments.q1, moments.q2, correlation, moments.epsilon, gradient, moments.mean1, moments.mean2, tuple(self._names())
        )

    def _names(self) -> Iterator[str]:
        yield "input"
        for layer in self.layers:
            if isinstance(layer, Repeat):
                text = str(layer.layer)
                for _ in range(layer.times):
                    yield text
            else:
                yield str(layer)

    def simulate(
        self, width: int = 1000, networks: int = 100, q: Any = 1.0, c: float = 0.5, seed: int | None = 0, **options: Any
    ) -> Simulation:
        """Explicit random networks of the same description; see `meanfield.simulation.network_simulation.simulate_network`.

        Parameters
        ----------
        width : int
            Units of every layer that says nothing else.
        networks : int
            How many.
        q, c : float or pair of floats, float
            As `propagate`.
        seed : int or None
            The same seed gives the same numbers.
        **options
            gradients, progress, n_jobs, backend, device: as `meanfield.simulate`; method: "weights", or "conditional" where all weights are
            Gaussian, the same in distribution without the matrices.

        Returns
        -------
        Simulation
            .q1, .q2, .c, .gradient over the same entries as `propagate`; .compare() has z-scores.
        """
        from meanfield.simulation.network_simulation import simulate_network

        return simulate_network(self, width, networks, q, c, seed, **options)

    def nngp(
        self, X: Any, Y: Any = None, *, per_layer: bool = False, out: Any = None, progress: bool = False, n_jobs: int | None = 1
    ) -> Any:
        """The covariances of the output at rows of data: the kernel of the Gaussian process that the network is at infinite width.

        Parameters
        ----------
        X : array (N, d)
            Inputs; K = x·x'/d is what goes in.
        Y : array (M, d), optional
            Other inputs; X again where not given.
        per_layer : bool
            One matrix for the input, and one behind every layer and every turn of a `Repeat`, as the entries of `propagate`.
        out : ndarray (N, M) of float64, optional
            Where to write the result, a memory map for instance: only blocks of it are held otherwise.
        progress : bool
            Show a bar in a terminal.
        n_jobs : int, optional
            Threads, or workers of joblib's context; the numbers do not depend on it.

        Returns
        -------
        ndarray (N, M), or (entries, N, M) where per_layer
            E[f(x) f(x')] of one output unit f.

        Raises
        ------
        DomainError
            If an argument is out of range, or the network holds a layer whose kernel on data isn't known (`BatchNorm`, `Attention`,
            `PostActivation`, means over sites).

        Notes
        -----
        An activation that comes first takes the inputs' components as Gaussian, as in `propagate`. With dropout, two different inputs have
        masks of their own; the diagonal of nngp(X) is of one pass. Decorrelations 1 − c are carried, so that near inputs keep their
        digits; where all inputs have one norm, or their variances have met in the network, the rest of it is one tabulated function, good
        to some 1e-12, whatever the depth.

        References
        ----------
        Neal (1996); Lee et al. (2018); Yang (2019), Tensor Programs.

        Examples
        --------
        >>> import numpy as np, meanfield as mf
        >>> from meanfield import layers as L
        >>> net = mf.Network(L.Dense(2**0.5), "relu", L.Dense(2**0.5))
        >>> net.nngp(np.array([[1.0, 1.0], [1.0, -1.0]])).round(12).tolist()
        [[2.0, 0.636619772368], [0.636619772368, 2.0]]
        """
        from meanfield.theory.kernels.gram import computed

        return computed(self, X, Y, None, per_layer, out, progress, n_jobs)

    def ntk(
        self,
        X: Any,
        Y: Any = None,
        parametrization: str = "ntk",
        *,
        width: float = 1000,
        per_layer: bool = False,
        out: Any = None,
        progress: bool = False,
        n_jobs: int | None = 1,
    ) -> Any:
        """The neural tangent kernel at rows of data: Σ over all parameters of the product of the output's derivatives at x and x'.

        Parameters
        ----------
        X, Y, per_layer, out, progress, n_jobs
            As `nngp`.
        parametrization : {"ntk", "standard"}
            "ntk": weights are σ_w/√fan_in times what is trained, biases σ_b times that: Θ' = σ_b² + σ_w² K + σ_w² C[φ']Θ.
            "standard": weights and biases are trained themselves, at one learning rate: Θ' = n K + 1 + σ_w² C[φ']Θ, n the fan-in; biases
            are trained where σ_b = 0 too.
        width : float
            n of all layers with weights but those that see the inputs (there it is d), for "standard"; in [1, 1e100].

        Returns
        -------
        ndarray (N, M), or (entries, N, M) where per_layer

        Raises
        ------
        DomainError
            As `nngp`; and where an activation jumps: Θ is infinite.

        References
        ----------
        Jacot et al. (2018); Sohl-Dickstein et al. (2020) for the standard parametrisation.

        Examples
        --------
        >>> import numpy as np, meanfield as mf
        >>> from meanfield import layers as L
        >>> net = mf.Network(L.Dense(2**0.5), "relu", L.Dense(2**0.5))
        >>> net.ntk(np.array([[1.0, 1.0], [1.0, -1.0]])).round(12).tolist()
        [[4.0, 0.636619772368], [0.636619772368, 4.0]]
        """
        from meanfield.layers.arguments import number, one_of
        from meanfield.theory.kernels.gram import Tangents, computed

        kind = one_of("parametrization", parametrization, ("ntk", "standard"))
        return computed(self, X, Y, Tangents(kind, number("width", width, 1.0, 1e100)), per_layer, out, progress, n_jobs)

    def sample_outputs(self, X: Any, samples: int = 5, seed: int | None = 0) -> Any:
        """Draws of the output function of the infinitely wide network, at rows of data.

        Parameters
        ----------
        X : array (N, d)
            Inputs; N up to a few thousand, as an N × N matrix is taken apart.
        samples : int
            Number of functions, in [1, 10⁷].
        seed : int or None
            The same seed gives the same numbers.

        Returns
        -------
        ndarray (samples, N)
            Row k is one function at all inputs: Gaussian of mean 0 with covariance `nngp(X)`. Differences between outputs are right to
            rounding even where all outputs are nearly equal.

        Raises
        ------
        DomainError
            As `nngp`.

        References
        ----------
        Hayou et al. (2018), whose figures of the prior these are.

        Examples
        --------
        >>> import numpy as np, meanfield as mf
        >>> from meanfield import layers as L
        >>> angle = np.linspace(0, 2 * np.pi, 9)
        >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        >>> mf.Network(L.Dense(1.5, 0.1), "tanh", L.Dense(1.0)).sample_outputs(circle, samples=3).shape
        (3, 9)
        """
        from meanfield.layers.arguments import whole
        from meanfield.theory.kernels.draws import draws
        from meanfield.theory.kernels.gram import output_losses

        count = whole("samples", samples, 1, 10**7)
        q, epsilon = output_losses(self, X)
        return draws(q, epsilon, count, np.random.default_rng(seed))

    def __str__(self) -> str:
        """Layer by layer, what it does to variance, correlation and gradient, from q = 1 and c = ½."""
        rows = [f"{'':>4} {'layer':<34} {'turns':>6} {'q':>10} {'c':>10} {'gradient':>10}"]
        state = self._input(1.0, 1.0, 0.5)
        rows.append(f"{'':>4} {'input':<34} {'':>6} {1.0:>10.5g} {0.5:>10.5g} {'':>10}")
        for index, layer in enumerate(self.layers):
            inner, times = (layer.layer, layer.times) if isinstance(layer, Repeat) else (layer, 1)
            found = walk((layer,), state)
            behind = found.state.whole
            once = step(inner, state)
            factor = float(total(once.pull(at_output(once.state))))
            text = str(inner) if len(str(inner)) <= 34 else str(inner)[:33] + "…"
            rows.append(
                f"{index + 1:>4} {text:<34} {times if times > 1 else '':>6} {float(behind.q1):>10.5g} "
                f"{1.0 - float(behind.epsilon):>10.5g} {factor:>10.5g}"
            )
            state = found.state
        rows.append("q, c: behind its last turn. gradient: |δ|² before over behind, at its first turn")
        rows += [f"{place}: {kind}, {why}" for place, kind, why in self.exactness if kind != "exact"]
        return "\n".join(rows)


def _exactness(layer: Layer, place: str) -> Iterator[Exactness]:
    if isinstance(layer, Repeat) and not isinstance(layer.layer, Sequence):
        yield from _exactness(layer.layer, place)
        return
    kind, why = layer.exactness()
    yield Exactness(place, kind, why)
    inside: tuple[Layer, ...] = ()
    if isinstance(layer, (Residual, PostActivation)):
        inside = layer.branch.layers
    elif isinstance(layer, Sequence):
        inside = layer.layers
    elif isinstance(layer, Repeat) and isinstance(layer.layer, Sequence):
        inside = layer.layer.layers
    elif isinstance(layer, Concatenate):
        inside = layer.branches
    elif isinstance(layer, Gate):
        inside = (layer.left, layer.right)
    for index, each in enumerate(inside):
        yield from _exactness(each, f"{place}.{index + 1}")
