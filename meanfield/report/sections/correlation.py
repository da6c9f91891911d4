"""The correlation map on the edge of chaos, and how fast two inputs become alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.report.blocks import Block, Figure, Paragraph, Section, Table, column
from meanfield.report.svg import inline_svg

if TYPE_CHECKING:
    from meanfield.report.subject import Subject


def section(subject: Subject) -> Section:
    """f against the identity at up to three σ_b.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> section(make_subject("relu", 0)).blocks[1].rows[0][-2:]
    ('0.318310', '0.318310')
    """
    title = "Correlation map on the edge of chaos"
    if not subject.points:
        return Section("correlation", title, (Paragraph(subject.no_edge + " So there is no correlation map on it."),))
    blocks: list[Block] = [_figure(subject), _table(subject)]
    if any(point.status == "repelling" for point in subject.points):
        blocks.append(Paragraph("At repelling points the variance is held where it is: inputs at any other variance see another map."))
    return Section("correlation", title, tuple(blocks))


def _figure(subject: Subject) -> Figure:
    import numpy as np

    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.line_styles import STYLES, shades

    c = np.linspace(0.0, 1.0, 201)
    ax = detached_axes()
    ax.plot(c, c, color="0.6", linewidth=0.8, label="identity", zorder=1)
    for number_, (point, colour) in enumerate(zip(subject.points, shades(len(subject.points)), strict=True)):
        f = subject.network(point).correlation_map(c, q=point.q)
        ax.plot(c, f, color=colour, linestyle=STYLES[number_], linewidth=1.3, label=rf"$\sigma_b = {point.sigma_b:.4g}$")
    ax.set_xlabel("$c$")
    ax.set_ylabel("$f(c)$")
    ax.set_aspect("equal")
    ax.legend(fontsize=7, handlelength=2.6, frameon=False)
    svg, colours = inline_svg(ax.figure.figure, "correlation-map")
    caption = "f(c), the correlation one layer on. The closer to the identity, the deeper differences between inputs survive."
    return Figure("correlation-map", svg, "f(c) against c from 0 to 1, with the identity.", caption, colours)


def _table(subject: Subject) -> Table:
    import numpy as np

    c = np.linspace(0.0, 1.0, 1001)
    f = [np.asarray(subject.network(point).correlation_map(c, q=point.q)) for point in subject.points]
    rows = zip(
        column([point.sigma_b for point in subject.points], 4),
        column([point.sigma_w for point in subject.points], 7),
        [point.status for point in subject.points],
        column([float(values[0]) for values in f]),
        column([float(np.max(np.abs(values - c))) for values in f]),
        strict=True,
    )
    header = ("σ_b", "σ_w", "q is", "f(0)", "max |f(c) − c|")
    return Table("f(0) and the distance of f from the identity on [0, 1].", header, "rrlrr", tuple(rows))
