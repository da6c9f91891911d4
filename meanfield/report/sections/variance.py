"""Second moments of φ and the variance map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meanfield.report.blocks import Block, Figure, Paragraph, Section, Table, column, number
from meanfield.report.svg import inline_svg

if TYPE_CHECKING:
    from meanfield.report.subject import Subject
    from meanfield.theory.mean_field import MeanField

_TABLED = (0.01, 0.1, 1.0, 10.0, 100.0)


def section(subject: Subject) -> Section:
    """V[φ], V[φ'] and F.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> [block.kind for block in section(make_subject("tanh", 0)).blocks]
    ['figure', 'figure', 'table']
    """
    blocks: list[Block] = _moments(subject)
    networks, words = networks_to_draw(subject)
    if networks:
        blocks.insert(min(1, len(blocks)), _map(networks, words, bool(subject.points)))
    else:
        blocks.append(Paragraph("The variance map can't be drawn: E[φ²] is infinite, or 0, at q = 1.", tone="caution"))
    if not subject.points:
        blocks.append(Paragraph(subject.no_edge + (" F is drawn for the weights that keep a variance of 1." if networks else "")))
    return Section("variance", "Variance", tuple(blocks))


def networks_to_draw(subject: Subject) -> tuple[list[MeanField], list[str]]:
    """On the edge of chaos; without one, at σ_b = 0 and the σ_w that keeps a variance of 1."""
    from meanfield.expectation import second_moment
    from meanfield.theory.mean_field import MeanField

    if subject.points:
        return [subject.network(point) for point in subject.points], [rf"$\sigma_b = {point.sigma_b:.4g}$" for point in subject.points]
    moment = float(second_moment(subject.activation, 1.0))
    if not 0.0 < moment < math.inf:
        return [], []
    sigma_w = 1.0 / math.sqrt(moment)
    return [MeanField(subject.activation, sigma_w, 0.0)], [rf"$\sigma_w = {sigma_w:.4g}$, $\sigma_b = 0$"]


def _moments(subject: Subject) -> list[Block]:
    import numpy as np

    from meanfield.expectation import second_moment
    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.line_styles import STYLES, shades

    act = subject.activation
    q = np.logspace(-3.0, 3.0, 241)
    ax = detached_axes()
    drawn = []
    for k, colour in enumerate(shades(2)):
        values = np.asarray(second_moment(act, q, derivative=k))
        shown = np.where((values < 1e200) & (values > 0.0), values, np.nan)  # an axis of 10³⁰⁰ overflows
        if np.isfinite(shown).any():
            drawn.append(shown[np.isfinite(shown)])
            ax.plot(q, shown, color=colour, linestyle=STYLES[k], linewidth=1.3, label=(r"$V[\varphi](q)$", r"$V[\varphi'](q)$")[k])
    found = [column(np.asarray(second_moment(act, np.array(_TABLED), derivative=k)).tolist()) for k in (0, 1, 2)]
    rows = tuple(zip(map(number, _TABLED), *found, strict=True))
    table = Table("Second moments V[φ⁽ᵏ⁾](q) = E[φ⁽ᵏ⁾(√q Z)²].", ("q", "V[φ]", "V[φ′]", "V[φ″]"), "rrrr", rows)
    if not drawn:
        return [table]
    ax.set_xscale("log")
    ax.set_yscale("log")
    everything = np.concatenate(drawn)
    low, high = max(float(everything.min()), 1e-12), min(float(everything.max()), 1e12)
    if low < high:
        ax.set_ylim(low / 1.5, high * 1.5)
    ax.set_xlabel("$q$")
    ax.legend(fontsize=7, handlelength=2.6, frameon=False)
    svg, colours = inline_svg(ax.figure.figure, "moments")
    figure = Figure(
        "moments",
        svg,
        "V[φ] and V[φ′] against q, both axes logarithmic.",
        "V[φ], the variance that φ hands on, and V[φ′], which decides χ₁ = σ_w² V[φ′]. "
        "Where V[φ] runs parallel to the diagonal, φ acts as a ReLU does.",
        colours,
    )
    return [figure, table]


def _map(networks: list[MeanField], words: list[str], on_the_edge: bool) -> Figure:
    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.variance_map import variance_map

    ax = variance_map(networks, ax=detached_axes(), labels=words)
    svg, colours = inline_svg(ax.figure.figure, "variance-map")
    where = " on the edge of chaos" if on_the_edge else ""
    caption = f"The variance map F(q){where}, against the identity. "
    caption += "Fixed points: filled where the variance returns, open where it leaves."
    return Figure("variance-map", svg, "F(q) against q, with the identity and the fixed points.", caption, colours)
