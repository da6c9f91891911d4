"""The phase diagram: every mean-field quantity on a grid of (σ_w, σ_b)."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import AccuracyWarning, DomainError
from meanfield.expectation.angle_ratios import TooManyFeatures
from meanfield.expectation.correlation_table import correlation_table
from meanfield.expectation.held_profiles import has_profile
from meanfield.expectation.moments import MEAN, Q_DV, READY, V1, MomentTable, V, moment_table
from meanfield.expectation.second_moment import second_moments
from meanfield.layers import limits
from meanfield.layers.limits import is_line
from meanfield.result import Result, dataset, paged
from meanfield.solve.correlation import SMALLEST, depth_scale
from meanfield.solve.variance import scan_range
from meanfield.theory.arguments import standard_deviation
from meanfield.theory.built import Build, Built, built_layer, cell_by_cell, family, is_build, plane_activation, scales
from meanfield.theory.edge_of_chaos import usual_sigma_b
from meanfield.theory.mean_field import MeanField

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.arrays import Array, Mask

_logger = logging.getLogger("meanfield")

FLEETING = -1.0 / math.log(1e-4)  # ξ_c of a slope of 10⁻⁴
BLOCK = 65_536  # cells that a worker does at a time: scratch memory does not grow with the grid
QUANTITIES = ("q_star", "variance_slope", "epsilon_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_grad")


@dataclass(frozen=True, eq=False, repr=False)
class PhaseDiagram(Result):
    """All quantities at the limit q* of the variance recursion from q = 1; arrays of shape (len(sigma_b), len(sigma_w)).

    Attributes
    ----------
    activation : Activation
    sigma_w, sigma_b : ndarray, one-dimensional
        Standard deviations (σ, not σ²).
    q_star : ndarray
        The variance; 0.0 and inf are answers.
    variance_slope : ndarray
        F'(q*).
    epsilon_star, c_star : ndarray
        1 − c* (relatively accurate) and c*, the stable fixed point of the correlation map; nan, like xi_c, where q* is
        infinite and φ steeper than linear, or q* = 0 and the slopes of φ at 0 are 0 or infinite: its correlation map has no
        limit there, and ``MeanField.c_star`` is an error that says so. nan with xi_c = inf where the map is the identity and
        every c a fixed point: at q* = 0 or inf where the slopes of φ there agree (tanh, σ_b = 0, σ_w ≤ 1), and for linear φ.
        With an AccuracyWarning also where φ oscillates so often within reach of N(0, q*) that the map would take billions of
        evaluations, or has a pole of φ or φ' and 1 − c* is below 1e-30, where that can't be followed.
        ``MeanField(activation, sigma_w, sigma_b).c_star`` says which.
    chi_1 : ndarray
        χ₁ = f'(1); inf where φ jumps.
    xi_q, xi_c, xi_grad : ndarray
        Depth scales in layers, −1/log|slope|.
    phase : ndarray of int8
        −1 ordered, 0 critical (χ₁ within 1e-12 of 1), 1 chaotic.
    """

    activation: Activation
    sigma_w: Array
    sigma_b: Array
    q_star: Array
    variance_slope: Array
    epsilon_star: Array
    c_star: Array
    chi_1: Array
    xi_q: Array
    xi_c: Array
    xi_grad: Array
    phase: Any

    _pictured = True

    @property
    def phase_names(self) -> Any:
        """`phase` in words, as `MeanField.phase` has it: "ordered", "critical" or "chaotic"."""
        return np.array(["ordered", "critical", "chaotic"])[np.asarray(self.phase) + 1]

    def _columns(self) -> dict[str, Any]:
        biases, weights = np.meshgrid(self.sigma_b, self.sigma_w, indexing="ij")
        cells = {"sigma_b": biases.ravel(), "sigma_w": weights.ravel()}
        cells |= {name: np.ravel(getattr(self, name)) for name in (*QUANTITIES, "phase")}
        return cells | {"phase_name": self.phase_names.ravel()}

    def to_xarray(self) -> Any:
        """The diagram as an xarray.Dataset: every quantity over sigma_b and sigma_w.

        Raises
        ------
        MeanFieldError
            If xarray is not installed.
        """
        cells = {name: (("sigma_b", "sigma_w"), getattr(self, name)) for name in (*QUANTITIES, "phase")}
        return dataset(cells, {"sigma_b": self.sigma_b, "sigma_w": self.sigma_w}, {"activation": self.activation.name})

    def plot(self, quantity: str = "xi_c", ax: Any = None) -> Any:
        """Draw a quantity over the plane, with the critical line; returns the Axes."""
        from meanfield.plot import phase_diagram as draw

        return draw(self, quantity=quantity, ax=ax)

    def __str__(self) -> str:
        total = self.phase.size
        kept = np.isnan(self.c_star) & np.isinf(self.xi_c)
        shares = [int(np.sum(self.phase == p)) for p in (-1, 0, 1)]
        return paged(
            f"Phase diagram of {self.activation.name}: {self.sigma_w.size} × {self.sigma_b.size} cells, "
            f"{shares[0]} ordered, {shares[1]} critical, {shares[2]} chaotic"
            + (f"; q* is infinite in {int(np.isinf(self.q_star).sum())} of {total}" if np.isinf(self.q_star).any() else "")
            + (f"; f(c) = c, so that c* is nan, in {int(kept.sum())} of {total}" if kept.any() else "")
        )


def phase_diagram(
    activation: Any, sigma_w: Any = None, sigma_b: Any = None, *, n_jobs: int | None = None, progress: bool = False
) -> PhaseDiagram:
    """All mean-field quantities on a grid.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts; or ``build(sigma_w, sigma_b)``, which returns a layer. Where that is residual with
        sigma_w in its weights and sigma_b in its biases it costs what a plain diagram does; other layers are asked cell by cell.
    sigma_w, sigma_b : float or one-dimensional array, optional
        Standard deviations of the weights times √fan_in, and of the biases. Where not given 0.5, 0.6, …, 3 and 0, 0.1, …, 1.
    n_jobs : int, optional
        Threads; as many as there are processors where not given. The result does not depend on it.
    progress : bool
        Show a progress bar (in a terminal only).

    Returns
    -------
    PhaseDiagram

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.
    DomainError
        If an argument is out of range.

    References
    ----------
    Poole et al. (2016), Figure 2; Schoenholz et al. (2017), Figure 1.

    Examples
    --------
    >>> import meanfield as mf
    >>> diagram = mf.phase_diagram("tanh", sigma_w=[0.9, 1.3, 2.5], sigma_b=[0.3])
    >>> diagram.phase.tolist(), round(float(diagram.c_star[0, 2]), 6)
    ([[-1, -1, 1]], 0.122104)
    """
    sigma_w = usual_sigma_w() if sigma_w is None else sigma_w
    sigma_b = usual_sigma_b() if sigma_b is None else sigma_b
    if is_build(activation):
        return _of_layers(activation, _axis("sigma_w", sigma_w), _axis("sigma_b", sigma_b), n_jobs, progress)
    act = plane_activation(activation)
    weights, biases = _axis("sigma_w", sigma_w), _axis("sigma_b", sigma_b)
    shape = (biases.size, weights.size)
    q_star = np.empty(shape)
    out = np.empty((7, *shape))
    phase = np.empty(shape, dtype=np.int8)
    if q_star.size:
        _fill(act, weights, biases, q_star, out, phase, n_jobs, progress)
        lost = np.isnan(out[5]) & np.isfinite(q_star) & (q_star > 0)
        if lost.any():
            why = (
                "has too many features within reach of N(0, q*)"
                if has_profile(act)
                else f"has a pole of φ or φ' and 1 − c* is below {SMALLEST:g}, where that can't be followed,"
            )
            warnings.warn(
                f"{act.name} {why} at {int(lost.sum())} of {lost.size} points: c* is nan there",
                AccuracyWarning,
                stacklevel=2,
            )
    slope, epsilon, c, chi, xi_q, xi_c, xi_grad = out
    return PhaseDiagram(act, weights, biases, q_star, slope, epsilon, c, chi, xi_q, xi_c, xi_grad, phase)


def _of_layers(build: Build, weights: Array, biases: Array, n_jobs: int | None, progress: bool) -> PhaseDiagram:
    """All quantities on a grid, of layers."""
    shared = family(build, weights, biases) if weights.size and biases.size else None
    name: Any = Built(str(built_layer(build, 1.0, 1.0)))
    if shared is not None and shared.mu == 1.0:
        step = 1.0 - shared.a
        stretched = (math.sqrt(shared.per_weight / step), math.sqrt(shared.per_bias / step))
        plain = phase_diagram(shared.activation, weights * stretched[0], biases * stretched[1], n_jobs=n_jobs, progress=progress)
        slope, chi = shared.a + step * plain.variance_slope, shared.a + step * plain.chi_1
        with np.errstate(divide="ignore", invalid="ignore"):
            # f' ≥ 0: its distance from 1, less by the factor 1 − a.
            loss = -np.expm1(-1.0 / plain.xi_c) * step
            xi_c = np.where(plain.xi_c == 0.0, -1.0 / math.log(shared.a) if shared.a > 0.0 else 0.0, -1.0 / np.log1p(-loss))
            xi_c = np.where(np.isinf(plain.xi_c), np.inf, xi_c)
        return PhaseDiagram(
            name,
            weights,
            biases,
            plain.q_star,
            slope,
            plain.epsilon_star,
            plain.c_star,
            chi,
            scales(slope),
            xi_c,
            np.where(plain.phase == 0, np.inf, scales(chi)),
            plain.phase,
        )
    (q_star, slopes, epsilon, c, chi, xi_q, xi_c, xi_grad), phase = cell_by_cell(build, weights, biases)
    return PhaseDiagram(name, weights, biases, q_star, slopes, epsilon, c, chi, xi_q, xi_c, xi_grad, phase)


def usual_sigma_w() -> Array:
    """The σ_w of a diagram where none are given, as the command line has them."""
    return np.arange(5, 31) / 10.0


def phase_diagrams(
    activations: Iterable[Any], sigma_w: Any, sigma_b: Any, *, n_jobs: int | None = None, progress: bool = False
) -> list[PhaseDiagram]:
    """The phase diagrams of many activations, one task each, through joblib.

    Parameters
    ----------
    activations : iterable
        Anything `meanfield.activation` accepts, and that pickles where the tasks go to other processes.
    sigma_w, sigma_b : float or one-dimensional array
        As `phase_diagram`.
    n_jobs : int, optional
        As joblib.Parallel; ``joblib.parallel_config(backend="dask")`` sends the tasks to a cluster.
    progress : bool
        Show a progress bar (in a terminal only).

    Returns
    -------
    list of PhaseDiagram, in the order given

    Examples
    --------
    >>> import meanfield as mf
    >>> [str(d.phase[0, 0]) for d in mf.phase_diagrams(["tanh", "relu"], 2.0, 0.0)]
    ['1', '1']
    """
    from joblib import Parallel, delayed

    specs = list(activations)
    weights, biases = _axis("sigma_w", sigma_w), _axis("sigma_b", sigma_b)
    tasks = (delayed(_one_diagram)(spec, weights, biases) for spec in specs)
    results = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    return list(_tracked(results, len(specs), progress, "phase diagrams"))


def _one_diagram(spec: Any, sigma_w: Array, sigma_b: Array) -> PhaseDiagram:
    return phase_diagram(spec, sigma_w, sigma_b, n_jobs=1)


def _axis(name: str, value: Any) -> Array:
    array = np.atleast_1d(standard_deviation(name, value))
    if array.ndim != 1:
        raise DomainError(f"{name} must be one-dimensional, not of shape {array.shape}")
    return np.ascontiguousarray(array)


def _tracked(items: Iterable[Any], total: int, progress: bool, what: str) -> Iterator[Any]:
    """The items, with a progress bar in a terminal."""
    import sys

    if not (progress and sys.stderr.isatty()):
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=what, total=total, console=Console(stderr=True), transient=True)


def _fill(
    act: Activation, weights: Array, biases: Array, q_star: Array, out: Array, phase: Any, n_jobs: int | None, progress: bool
) -> None:
    from meanfield.theory.phase_diagram_kernels import fill_correlations, fill_variances

    if not has_profile(act):
        _cell_by_cell(act, weights, biases, q_star, out, phase, progress)
        return
    table = moment_table(act)
    origin = float(second_moments(act, np.zeros(1), 0)[0])
    grid = scan_range(act, table, weights**2, biases**2)
    values = table(V, grid)
    slopes = table(Q_DV, grid) / grid
    usable = np.isfinite(values)
    if not usable.any():  # E[φ²] is infinite at every q
        q_star[:] = np.where(weights > 0, math.inf, (biases**2)[:, None])
        _cell_by_cell(act, weights, biases, q_star, out, phase, progress)
        return
    grid, values, slopes = grid[usable], values[usable], slopes[usable]
    growth = float(slopes[-1] * grid[-1] / values[-1]) if values[-1] > 0 else 0.0
    if not usable.all():
        growth = math.inf  # φ overflows from there on
    first, state, start, pieces, block = table.snapshot()
    octaves = np.frexp(grid)[1] - 1 - first
    ready = state[V, octaves] == READY
    if not table.has_jumps:
        ready &= state[V1, octaves] == READY
    one = int(np.argmin(np.abs(np.log(grid))))
    if not ready.all() and ready[one]:
        # Only as far out as each octave is one series; cells that end further out come out as nan.
        kept = _run(ready, one)
        origin = origin if kept.start == 0 else math.nan
        growth = growth if kept.stop == grid.size else math.nan
        grid, values, slopes, ready = grid[kept], values[kept], slopes[kept], ready[kept]
        one -= kept.start
    rise = _run(slopes >= 0, one)
    if grid.size < 3 or not ready.all():
        _cell_by_cell(act, weights, biases, q_star, out, phase, progress)
        return
    columns = np.ascontiguousarray(block[[V, Q_DV, V1, MEAN]])
    per_block = max(1, BLOCK // weights.size)
    blocks = [slice(i, min(i + per_block, biases.size)) for i in range(0, biases.size, per_block)]
    workers = n_jobs if n_jobs is not None and n_jobs > 0 else (os.cpu_count() or 1)

    moments = (first, start, pieces, columns)
    scan = (origin, grid, values, slopes, one, rise.start, rise.stop - 1, growth)

    def variances(rows: slice) -> None:
        fill_variances(weights, biases[rows], scan, moments, q_star[rows])

    _logger.debug("phase diagram of %s: variances of %d cells", act.name, q_star.size)
    with ThreadPoolExecutor(min(workers, len(blocks))) as pool:
        list(_tracked(pool.map(variances, blocks), len(blocks), progress, "variances"))
        needed = _pieces_of_chaos(table, weights, biases, q_star)
        packed = correlation_table(act).packed(needed)
        at_zero, far = (limits.mean_square_slope(act, end) for end in (0.0, math.inf))

        series = (packed.first, packed.start, packed.count, packed.low, packed.high, packed.coefficients)

        def correlations(rows: slice) -> None:
            block = np.empty((7, rows.stop - rows.start, weights.size))
            fill_correlations(weights, biases[rows], q_star[rows], table.has_jumps, at_zero, far, moments, series, block, phase[rows])
            out[:, rows] = block

        list(_tracked(pool.map(correlations, blocks), len(blocks), progress, "correlations"))
    growing = np.isinf(q_star) & (weights > 0.0)
    if growing.any() and (growth := limits.growth(act)) != far:  # φ' oscillates: V[φ] grows by another factor than V[φ'] tends to
        slope = np.broadcast_to(weights**2 * growth, q_star.shape)[growing]
        out[0][growing], out[4][growing] = slope, [depth_scale(float(v)) for v in slope]
    refused = correlation_table(act).refused(needed)
    if refused:
        lost = (out[3] > 1) & np.isin(_piece(np.where(q_star > 0, q_star, math.nan)), refused)
        out[1, lost] = out[2, lost] = out[5, lost] = math.nan
    # Where the map is the identity every c is a fixed point, as MeanField.c_star_reason says.
    for end in (0.0, math.inf):
        if limits.same_slopes(act, end):
            kept = (q_star == end) & (weights > 0) & ((phase != 0) | (end == 0.0))
            out[1, kept] = out[2, kept] = math.nan
    if is_line(act, 1.0):
        kept = (q_star > 0) & np.isfinite(q_star) & (phase == 0) & (biases == 0)[:, None]
        out[1, kept] = out[2, kept] = math.nan
    if not 0 < at_zero < math.inf:  # the correlation map has no limit q → 0, as MeanField says of each such cell
        vanishing = (q_star == 0) & (weights > 0)
        out[1, vanishing] = out[2, vanishing] = out[5, vanishing] = math.nan
    # f'(c*) comes from the table with an error of 1e-14 or so: where it is next to nothing its own digits are few.
    for b, w in np.argwhere((out[5] > 0.0) & (out[5] < FLEETING) & (q_star > 0.0) & np.isfinite(q_star)):
        net = MeanField(act, float(weights[w]), float(biases[b]))
        if abs(net.q_star - q_star[b, w]) <= 1e-9 * net.q_star:
            out[5, b, w] = net.depth_scales.xi_c
    for b, w in np.argwhere(np.isnan(q_star)):  # fixed points past the grid: just below the critical σ_w of ReLU-like tails
        _cell(act, weights, biases, q_star, out, phase, b, w)


def _cell_by_cell(act: Activation, weights: Array, biases: Array, q_star: Array, out: Array, phase: Any, progress: bool) -> None:
    """The same from one ensemble after another, for φ whose moments no short series represents. Milliseconds a cell."""
    for b in _tracked(range(biases.size), biases.size, progress, "rows"):
        for w in range(weights.size):
            _cell(act, weights, biases, q_star, out, phase, b, w)


def _cell(act: Activation, weights: Array, biases: Array, q_star: Array, out: Array, phase: Any, b: int, w: int) -> None:
    if weights[w] == 0.0:  # every layer forgets its input
        q_star[b, w] = biases[b] ** 2
        out[:, b, w] = 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0
        phase[b, w] = -1
        return
    net = MeanField(act, float(weights[w]), float(biases[b]))
    q_star[b, w] = net.q_star
    if math.isinf(net.q_star) and not limits.has_tail(act):
        out[:, b, w] = math.inf, math.nan, math.nan, math.inf, 0.0, math.nan, 0.0
        phase[b, w] = 1
        return
    slope = net.chi_1 if math.isinf(net.q_star) else float(net.variance_slope(net.q_star))
    gradient = math.inf if net.phase == "critical" else depth_scale(net.chi_1)
    try:
        correlation = net.epsilon_star, net.c_star, net.depth_scales.xi_c
    except (TooManyFeatures, DomainError):
        # MeanField says why: no map in the limit q → 0 or inf, too many features, a c* that can't be told from 1 beside a pole of φ'.
        # One cell must not end the diagram.
        correlation = math.nan, math.nan, math.nan
    out[:, b, w] = slope, *correlation[:2], net.chi_1, depth_scale(slope), correlation[2], gradient
    phase[b, w] = {"ordered": -1, "critical": 0, "chaotic": 1}[net.phase]


def _run(good: Mask, one: int) -> slice:
    """The samples around `one` as far as all are good; `one` alone if it is not."""
    before, after = ~good[: one + 1][::-1], ~good[one:]
    start = one - int(np.argmax(before)) + 1 if before.any() else 0
    stop = one + int(np.argmax(after)) if after.any() else good.size
    return slice(min(start, one), max(stop, one + 1))


def _pieces_of_chaos(table: MomentTable, weights: Array, biases: Array, q_star: Array) -> list[int]:
    """The pieces of the correlation table that chaotic cells fall in."""
    found: set[int] = set()
    for rows in np.array_split(np.arange(biases.size), max(1, q_star.size // 1_000_000)):
        q = q_star[rows]
        mine = (q > 0) & np.isfinite(q) & (weights > 0)
        if not table.has_jumps:
            chi = np.zeros(q.shape)
            chi[mine] = (np.broadcast_to(weights**2, q.shape)[mine]) * table(V1, q[mine])
            mine &= chi > 1
        found |= set(np.unique(_piece(q[mine]).astype(int)).tolist())
    return sorted(found)


def _piece(q: Array) -> Array:
    """The number of the correlation table's piece that holds q."""
    result: Array = np.floor(np.log(q) / math.log(4.0))
    return result
