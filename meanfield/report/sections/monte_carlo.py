"""The theory against random networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.report.blocks import Block, Figure, Paragraph, Section, Table, column, number
from meanfield.report.svg import inline_svg

if TYPE_CHECKING:
    from meanfield.report.subject import Subject
    from meanfield.simulation.beside_theory import Beside

WIDTH, DEPTH, NETWORKS, START_C = 500, 12, 100, 0.5
_QUANTITIES = ("q1", "c", "gradient")
_TABLED = (1, 2, 4, 8, 12)


def section(subject: Subject) -> Section:
    """Sampled networks at the point of the correlation map, beside the recursion.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> section(make_subject("tanh", 0)).title
    'Monte-Carlo check'
    """
    title = "Monte-Carlo check"
    where = _where(subject)
    if where is None:
        return Section("monte-carlo", title, (Paragraph("No check: E[φ²] is infinite, or 0, at q = 1, so no network keeps a variance."),))
    from meanfield.simulation import simulate
    from meanfield.simulation.beside_theory import beside_theory

    sigma_w, sigma_b, q = where
    sim = simulate(
        subject.activation,
        sigma_w=sigma_w,
        sigma_b=sigma_b,
        width=WIDTH,
        depth=DEPTH,
        networks=NETWORKS,
        q=q,
        c=START_C,
        seed=subject.seed,
        progress=False,
    )
    told = (
        f"{NETWORKS} random networks of width {WIDTH} and depth {DEPTH} at σ_w = {number(sigma_w)}, σ_b = {number(sigma_b)}, from q = "
        f"{number(q)} and c = {START_C}, seed {subject.seed}."
    )
    comparison = sim.compare()
    found = beside_theory(sim, comparison, q, START_C)
    tone = "caution" if comparison.consistent is False else "plain"
    blocks: list[Block] = [Paragraph(told), Paragraph(comparison.verdict, tone=tone)]
    blocks += [_figure(found["c"]), _table(found)]
    return Section("monte-carlo", title, tuple(blocks))


def _where(subject: Subject) -> tuple[float, float, float] | None:
    """A point of the edge of chaos where the variance stays; else the weights that keep a variance of 1."""
    from meanfield.report.sections.variance import networks_to_draw

    point = subject.point
    if point is not None and point.q > 0.0:
        return point.sigma_w, point.sigma_b, point.q
    networks, _ = networks_to_draw(subject)
    if not networks:
        return None
    return networks[0].sigma_w, networks[0].sigma_b, 1.0


def _figure(found: Beside) -> Figure:
    import numpy as np

    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.line_styles import draw_legend, shades

    ax = detached_axes()
    layers = np.arange(DEPTH + 1)
    line, dots = shades(2)[::-1]
    ax.plot(layers, found.infinite_width, color=line, linewidth=1.3, label="theory")
    error = 2.0 * found.standard_error
    ax.errorbar(
        layers, found.mean, yerr=error, color=dots, marker="o", markersize=3, linestyle="none", capsize=2, label=r"networks $\pm$ 2 s.e."
    )
    ax.set_xlabel(r"layer $\ell$")
    ax.set_ylabel(r"$c_\ell$")
    draw_legend(ax)
    svg, colours = inline_svg(ax.figure.figure, "monte-carlo")
    caption = "The correlation of two inputs, layer by layer: the recursion, and the mean over random networks with two standard errors."
    return Figure("monte-carlo", svg, "c against the layer, theory as a line and networks as points with error bars.", caption, colours)


def _table(found: dict[str, Beside]) -> Table:
    columns = [[str(layer) for layer in _TABLED]]
    for name in _QUANTITIES:
        one = found[name]
        columns.append(column([float(one.infinite_width[layer]) for layer in _TABLED], 5))
        columns.append([_measured(float(one.mean[layer]), float(one.standard_error[layer])) for layer in _TABLED])
        columns.append([_score(float(one.z[layer])) for layer in _TABLED])
    header = ("layer", "q", "networks", "z", "c", "networks", "z", "gradient", "networks", "z")
    caption = (
        "Theory at infinite width beside the mean over networks ± its standard error: the variance q, the correlation c of two "
        "inputs, and the squared norm of the gradient relative to the last layer. z compares with the theory at this width, to "
        "first order in 1/width."
    )
    return Table(caption, header, "r" * len(header), tuple(zip(*columns, strict=True)))


def _measured(mean: float, error: float) -> str:
    """Mean ± standard error; the mean alone where networks run away and have no error.

    Examples
    --------
    >>> _measured(0.5, 0.01), _measured(float("inf"), float("inf"))
    ('0.5 ± 0.01', '∞')
    """
    return f"{number(mean, 5)} ± {number(error, 2)}" if math.isfinite(mean) and math.isfinite(error) else number(mean, 5)


def _score(z: float) -> str:
    """Two decimals; a dash where nothing can be compared.

    Examples
    --------
    >>> _score(-1.234), _score(float("nan"))
    ('−1.23', '—')
    """
    return f"{z:.2f}".replace("-", "−") if math.isfinite(z) else number(z)
