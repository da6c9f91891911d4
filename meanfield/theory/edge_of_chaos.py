"""The edge of chaos: the σ_w, σ_b where χ₁ = σ_w² V[φ'](q) = 1 at a fixed point q of the variance map.

Parametrised by q it needs no root: σ_w² = 1/V[φ'](q), σ_b² = q − V[φ](q)/V[φ'](q), wherever that is not negative
(Hayou et al. 2018, section 3.1; Poole et al. 2016). By σ_b it needs one scalar root for each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.activations import Activation
from meanfield.activations import activation as find_activation
from meanfield.activations.kept import Kept
from meanfield.errors import DomainError
from meanfield.expectation.arguments import unwrap, variance
from meanfield.expectation.moments import DEFICIT, EXCESS, Q_DV, V1, MomentTable, V, moment_table
from meanfield.result import Result, left_out, paged
from meanfield.theory.arguments import standard_deviation
from meanfield.theory.built import Build, Built, built_layer, crossing, family, is_build, plane_activation
from meanfield.theory.edge_of_chaos_search import FAINTEST, HIGHEST, all_roots, hidden, smallest_roots, start_octaves

if TYPE_CHECKING:
    from meanfield.arrays import Array

NEUTRAL = 1e-12  # |F' − 1| below this can't be told from 1
TABLED = -16  # log₂ of the smallest q at which the origin is looked at in the table


_origins: Kept[EdgePoint | None] = Kept("edge at the origin")
SHOWN_ROWS = 24  # of a curve that is printed; `to_frame` has all


@dataclass(frozen=True, eq=False, repr=False)
class EdgePoint(Result):
    """One solution of χ₁ = 1 at a variance fixed point."""

    sigma_b: float
    sigma_w: float
    q: float
    variance_slope: float
    stable: bool
    status: str

    def __str__(self) -> str:
        where = f"sigma_w = {self.sigma_w:.9g}, sigma_b = {self.sigma_b:.6g}"
        return paged(f"{where}: q = {self.q:.9g}, F'(q) = {self.variance_slope:.6g}, {self.status}")


@dataclass(frozen=True, eq=False, repr=False)
class EdgeOfChaos(Result):
    """The edge-of-chaos curve of one activation.

    Attributes
    ----------
    activation : Activation
    sigma_b, sigma_w : float or ndarray
        Standard deviations on the edge; nan where there is no such point.
    q : float or ndarray
        The variance fixed point, the smallest where there are several.
    variance_slope : float or ndarray
        F'(q) there.
    stable : bool or ndarray
        Whether nearby variances return to q: status == "attracting".
    status : str or ndarray
        "attracting" (F' < 1), "repelling" (F' > 1), "neutral" (F' = 1) or "none".
    reason : str or ndarray
        Why there is no point; "" where there is one.
    """

    activation: Activation
    sigma_b: Any
    sigma_w: Any
    q: Any
    variance_slope: Any
    stable: Any
    status: Any
    reason: Any

    def all_points(self, i: int = 0) -> tuple[EdgePoint, ...]:
        """Every solution at sigma_b[i] with q ≤ 2²⁰, by ascending q.

        Examples
        --------
        >>> import meanfield as mf
        >>> [round(p.q, 4) for p in mf.edge_of_chaos("tanh", sigma_b=0.2).all_points()]
        [0.5121]
        """
        if not isinstance(self.activation, Activation):
            raise DomainError("all points are listed for plain networks only, not for layers that a function builds")
        sigma_b = float(np.ravel(self.sigma_b)[i])
        return () if math.isnan(sigma_b) else _solutions(self.activation, sigma_b)

    _pictured = True

    def _columns(self) -> dict[str, Any]:
        names = ("sigma_b", "sigma_w", "q", "variance_slope", "stable", "status", "reason")
        return {name: np.ravel(np.asarray(getattr(self, name))) for name in names}

    def plot(self, ax: Any = None) -> Any:
        """Draw σ_w against σ_b: see `meanfield.plot.edge_of_chaos`; returns the Axes."""
        from meanfield.plot.edge_of_chaos import edge_of_chaos as draw

        return draw(self, ax)

    def __str__(self) -> str:
        columns = [np.ravel(np.asarray(c)) for c in (self.sigma_b, self.sigma_w, self.q, self.variance_slope, self.status, self.reason)]
        rows, missing = [], {}  # type: ignore[var-annotated]
        for b, w, q, slope, status, reason in zip(*columns, strict=True):
            rows.append(f"{b:>12.6g} {w:>14.9g} {q:>14.9g} {slope:>12.6g}  {status}")
            if reason:
                missing.setdefault(str(reason), []).append(b)
        lines = [
            paged(f"Edge of chaos of {self.activation.name}"),
            f"{'sigma_b':>12} {'sigma_w':>14} {'q':>14} {'F(q) slope':>12}  status",
            *left_out(rows, SHOWN_ROWS),
        ]
        for reason, places in missing.items():  # once, not in every row
            where = f"{places[0]:g}" if len(places) == 1 else f"{min(places):g} … {max(places):g} ({len(places)})"
            lines.append(paged(f"none at sigma_b = {where}: {reason}"))
        return "\n".join(lines)


def edge_of_chaos(activation: Any, sigma_b: Any = None) -> EdgeOfChaos:
    """The edge of chaos at given σ_b: the point with the smallest q.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts; or ``build(sigma_w, sigma_b)``, which returns a layer: then the points where the
        gradient's factor at q* is 1, with the smallest sigma_w.
    sigma_b : float or array, optional
        Standard deviation of the biases (σ, not σ²), in [0, 1e100]; 0, 0.1, …, 1 where not given.

    Returns
    -------
    EdgeOfChaos
        Fields shaped like sigma_b; scalars for a scalar.

    Raises
    ------
    ActivationError
        If the activation can't be understood or evaluated.
    DomainError
        If sigma_b is out of range.

    Notes
    -----
    At σ_b = 0 with φ(0) = 0 the point is q = 0, σ_w² = 2/(φ'(0+)² + φ'(0−)²). For φ that is linear on both sides of 0
    every q is a fixed point there, and q = 1 is given. Solutions are searched for q ≤ 2²⁰, and where E[φ'²] ≥ 10⁻³⁰⁵: for φ that
    is flat around 0, such as max(0, x − 0.7), smaller σ_b would need σ_w > 3·10¹⁵², and the reason says so.
    Each σ_b has the answer, to the bit, that it has alone.

    References
    ----------
    Hayou, Doucet, Rousseau (2018), section 3.1; Schoenholz et al. (2017).

    Examples
    --------
    >>> import meanfield as mf
    >>> edge = mf.edge_of_chaos("tanh", sigma_b=0.2)
    >>> round(edge.sigma_w, 6), round(edge.q, 6), edge.status
    (1.304146, 0.512079, 'attracting')
    """
    if sigma_b is None:
        sigma_b = usual_sigma_b()
    if is_build(activation):
        return _of_layers(activation, sigma_b)
    act = plane_activation(activation)
    sigmas = standard_deviation("sigma_b", sigma_b)
    flat = np.ascontiguousarray(sigmas.ravel())
    q = np.full(flat.shape, math.nan)
    table = moment_table(act)
    why = _no_slope(table) if flat.size else ""
    origin = None
    if not why and flat.size:
        targets = flat * flat
        octaves = start_octaves(targets[flat > 0])
        octaves = octaves[octaves < HIGHEST]
        if octaves.size > 1:  # in one go what they all ask for, and what is looked at near q = 0
            table.ensure(int(octaves.min()), int(octaves.max()))
        origin = _origin(act, table)
        searched = np.ones(flat.shape, dtype=bool) if origin is None else (flat > 0) & (origin.status != "neutral")
        if origin is not None:
            q[flat == 0] = origin.q
        q[searched] = smallest_roots(act, table, targets[searched])
    reason = why or _why_none(act, table, flat, q, origin)
    return _collect(act, table, sigmas.shape, flat, q, origin, reason)


def usual_sigma_b() -> Array:
    """The σ_b of a curve or diagram where none are given: 0, 0.1, …, 1, as the command line has them."""
    return np.arange(11) / 10.0  # each the float nearest to its decimal


def edge_of_chaos_curve(activation: Any, q: Any) -> EdgeOfChaos:
    """The edge of chaos parametrised by the variance fixed point q.

    Parameters
    ----------
    activation : str, callable or Activation
        Anything `meanfield.activation` accepts.
    q : float or array
        Variances: 0, or in [1e-280, 1e280].

    Returns
    -------
    EdgeOfChaos
        Fields shaped like q. Where σ_b² = q − V[φ](q)/V[φ'](q) is negative there is no such network: "none".

    Raises
    ------
    ActivationError, DomainError
        As `edge_of_chaos`.

    Examples
    --------
    >>> import meanfield as mf
    >>> curve = mf.edge_of_chaos_curve("silu", q=14.3202)
    >>> round(curve.sigma_b**2, 4), round(curve.sigma_w**2, 4)
    (0.5551, 1.988)
    """
    act = find_activation(activation)
    variances = variance("q", q)
    flat = np.ascontiguousarray(variances.ravel())
    table = moment_table(act)
    why = _no_slope(table) if flat.size else ""
    origin = None if why or not flat.size else _origin(act, table)
    sigma_b = np.full(flat.shape, math.nan)
    at = np.full(flat.shape, math.nan)
    if not why:
        positive = flat > 0
        if positive.any():
            with np.errstate(invalid="ignore", divide="ignore"):
                square = table(DEFICIT, flat[positive]) / table(V1, flat[positive])
                # A deficit of rounding size is 0: ReLU-like φ, where σ_b = 0 at every q.
                square = np.where(np.abs(square) <= 1e-13 * flat[positive], np.maximum(square, 0.0), square)
                sigma_b[positive] = np.sqrt(np.where(np.isfinite(square) & (square >= 0), square, math.nan))
        if origin is not None and origin.status != "neutral":
            sigma_b[~positive] = 0.0
        at = np.where(np.isnan(sigma_b), math.nan, flat)
    return _collect(act, table, variances.shape, sigma_b, at, origin, why or "σ_b² = q − V[φ](q)/V[φ'](q) < 0")


def _no_slope(table: MomentTable) -> str:
    """Why χ₁ is infinite at every q, or ""."""
    return table.steep


def _origin(act: Activation, table: MomentTable) -> EdgePoint | None:
    """The point at σ_b = 0 (see below), found once for each activation."""
    if act not in _origins:
        _origins[act] = _find_origin(act, table)
    return _origins[act]


def _find_origin(act: Activation, table: MomentTable) -> EdgePoint | None:
    """The point at σ_b = 0 that belongs to q = 0, or, for ReLU-like φ, to every q; None where there is none."""
    left, right = act.one_sided(0.0, -1, 0), act.one_sided(0.0, 1, 0)
    falling, rising = act.one_sided(0.0, -1, 1), act.one_sided(0.0, 1, 1)
    slope = 0.5 * (falling * falling + rising * rising)  # V[φ'](0+)
    if left != 0 or right != 0 or not 0 < slope < math.inf:
        return None
    # F(q) − q = q (V(q)/(q V[φ'](0)) − 1) near 0: its sign, where it can first be seen, says whether 0 attracts.
    # One quadrature each far down, where the table would be built for nothing else; none if nothing shows at 2⁻¹⁶ either.
    for exponent in range(TABLED, 21, 2):
        growth = _growth(table, slope, exponent)
        if abs(growth) > NEUTRAL:
            if exponent == TABLED:
                below = (_growth(table, slope, e) for e in (-38, -30, -20))
                growth = next((g for g in below if abs(g) > NEUTRAL), growth)
            status = "attracting" if growth < 0 else "repelling"
            return EdgePoint(0.0, 1.0 / math.sqrt(slope), 0.0, 1.0, status == "attracting", status)
    return EdgePoint(0.0, 1.0 / math.sqrt(slope), 1.0, 1.0, False, "neutral")


def _growth(table: MomentTable, slope: float, exponent: int) -> float:
    """V(q)/(q V[φ'](0)) − 1 at q = 2^exponent; inf where V is not finite."""
    q = math.ldexp(1.0, exponent)
    moment = float(table.direct(q)[0][V]) if exponent < TABLED else float(table(V, np.array([q]))[0])
    return moment / (q * slope) - 1.0 if math.isfinite(moment) else math.inf


def _solutions(act: Activation, sigma_b: float) -> tuple[EdgePoint, ...]:
    """Every solution at one σ_b, by ascending q."""
    table = moment_table(act)
    if _no_slope(table):
        return ()
    origin = _origin(act, table)
    if origin is not None and origin.status == "neutral":
        return (origin,) if sigma_b == 0 else ()
    points = [origin] if origin is not None and sigma_b == 0 else []
    roots = all_roots(act, table, sigma_b * sigma_b)
    found = _collect(act, table, roots.shape, np.full(roots.shape, sigma_b), roots, None, "")
    points += [
        EdgePoint(sigma_b, float(w), float(q), float(s), bool(a), str(t))
        for w, q, s, a, t in zip(found.sigma_w, found.q, found.variance_slope, found.stable, found.status, strict=True)
    ]
    return tuple(points)


def _why_none(act: Activation, table: MomentTable, sigma_b: Array, q: Array, origin: EdgePoint | None) -> Any:
    """Why there is no point, for all σ_b or for each."""
    if origin is not None and origin.status == "neutral":
        return f"{act.name} is linear on both sides of 0: its edge of chaos is the single point σ_b = 0, σ_w = {origin.sigma_w:.9g}"
    none = np.isnan(q)
    if not none.any():
        return ""
    divergence = table.error(V1, 1.0)[1]
    why = "no variance fixed point q ≤ 2^20 has χ₁ = 1" + (f"; at q = 1 {divergence}" if divergence else "")
    unseen, seen_from = hidden(act, table, np.where(none, sigma_b * sigma_b, 0.0))
    if not unseen.any():
        return why
    flat = (
        f"χ₁ = 1 at q < {seen_from:.3g} needs σ_w > {1 / math.sqrt(FAINTEST):.0e}: {act.name} is so flat around 0 "
        f"that E[φ'²] < {FAINTEST:g} there"
    )
    return np.where(unseen, flat, why)


def _collect(
    act: Activation, table: MomentTable, shape: tuple[int, ...], sigma_b: Array, q: Array, origin: EdgePoint | None, reason: Any
) -> EdgeOfChaos:
    """The result for flat σ_b and q (nan: none)."""
    sigma_w, slope = np.full(q.shape, math.nan), np.full(q.shape, math.nan)
    regular = q > 0
    if regular.any():
        at = np.ascontiguousarray(q[regular])
        squares = table(V1, at)
        sigma_w[regular] = 1.0 / np.sqrt(squares)
        excess = table(EXCESS, at) / (at * squares)
        direct = table(Q_DV, at) / (at * squares)
        slope[regular] = np.where(np.abs(excess) < 0.5, 1.0 + excess, direct)
    status = np.full(q.shape, "none", dtype="<U10")
    status[slope < 1 - NEUTRAL] = "attracting"
    status[slope > 1 + NEUTRAL] = "repelling"
    status[np.abs(slope - 1) <= NEUTRAL] = "neutral"
    if regular.any():
        # Close to F' = 1 the sign still counts where it is more than rounding.
        faint = np.zeros(q.shape, dtype=bool)
        faint[regular] = (np.abs(excess) <= NEUTRAL) & (np.abs(excess) > 1e-15) & (at < 1e-3)
        sign = np.zeros(q.shape)
        sign[regular] = excess
        status[faint & (sign < 0)] = "attracting"
        status[faint & (sign > 0)] = "repelling"
    if origin is not None:
        at_origin = q == 0 if origin.q == 0 else sigma_b == 0
        sigma_w[at_origin], slope[at_origin], status[at_origin] = origin.sigma_w, origin.variance_slope, origin.status
    none = status == "none"
    reasons = np.where(none, reason, "").astype(object) if none.any() else np.full(q.shape, "", dtype=object)
    if shape == ():
        return EdgeOfChaos(
            act,
            float(sigma_b[0]),
            float(sigma_w[0]),
            float(q[0]),
            float(slope[0]),
            bool(status[0] == "attracting"),
            str(status[0]),
            str(reasons[0]),
        )
    return EdgeOfChaos(
        act,
        sigma_b.reshape(shape),
        sigma_w.reshape(shape),
        q.reshape(shape),
        slope.reshape(shape),
        (status == "attracting").reshape(shape),
        status.reshape(shape),
        reasons.reshape(shape).astype(str),
    )


def _of_layers(build: Build, sigma_b: Any) -> EdgeOfChaos:
    """Where the gradient's factor at q* is 1, for each σ_b."""
    biases = standard_deviation("sigma_b", sigma_b)
    flat = np.ravel(biases)
    shared = family(build, np.array([0.5, 1.0, 2.0]), flat) if flat.size else None
    name: Any = Built(str(built_layer(build, 1.0, 1.0)))
    if shared is not None:
        step = 1.0 - shared.a
        plain = edge_of_chaos(shared.activation, biases * math.sqrt(shared.per_bias / step))
        scale = math.sqrt(step / (shared.per_weight * shared.mu)) if shared.per_weight > 0.0 else math.inf
        slope = shared.a + step * plain.variance_slope
        return EdgeOfChaos(name, unwrap(biases), plain.sigma_w * scale, plain.q, slope, plain.stable, plain.status, plain.reason)
    points = [crossing(build, float(b)) for b in flat]
    columns = [np.array(column).reshape(biases.shape) for column in zip(*points, strict=True)] if points else [np.empty(biases.shape)] * 6
    columns = [c[()] if biases.ndim == 0 else c for c in columns]
    return EdgeOfChaos(name, unwrap(biases), *columns)
