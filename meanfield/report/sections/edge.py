"""The edge of chaos: where it is, and where the recursion stays on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.report.blocks import Block, Figure, Paragraph, Section, Table, column
from meanfield.report.svg import inline_svg

if TYPE_CHECKING:
    from meanfield.report.subject import Subject

_TABLED = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


def section(subject: Subject) -> Section:
    """The curve, or why there is none.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> print(section(make_subject("sign", 0)).blocks[0].text)
    There is no edge of chaos: φ of sign jumps at x = 0, so φ' holds a delta there.
    """
    if not subject.points:
        return Section("edge-of-chaos", "Edge of chaos", (Paragraph(subject.no_edge, tone="caution"),))
    blocks: list[Block] = []
    statuses = set(subject.edge.status.tolist()) - {"none"}
    if statuses:
        blocks.append(_figure(subject))
    blocks += [_table(subject), *_remarks(subject, statuses)]
    return Section("edge-of-chaos", "Edge of chaos", tuple(blocks))


def _figure(subject: Subject) -> Figure:
    from matplotlib.lines import Line2D

    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.edge_of_chaos import edge_of_chaos
    from meanfield.plot.line_styles import DASHED

    ax = edge_of_chaos(subject.edge, ax=detached_axes(), legend=False)
    ax.set_xlim(-0.02, 1.02)
    stable = subject.edge.stable
    present = subject.edge.status != "none"
    keys = []
    if (stable & present).any():
        keys.append(Line2D([], [], color="0.3", linewidth=1.3, linestyle="-", label="attracting"))
    if (~stable & present).sum() > 1:
        keys.append(Line2D([], [], color="0.3", linewidth=1.3, linestyle=DASHED, label="not attracting"))
    if len(keys) > 1:
        ax.legend(handles=keys, fontsize=7, handlelength=2.6, frameon=False)
    svg, colours = inline_svg(ax.figure.figure, "edge-of-chaos")
    if present.sum() == 1:
        caption = "The edge of chaos is a single point."
    else:
        caption = "σ_w against σ_b where χ₁ = 1. Solid: the variance returns to the point's q. Dashed: it does not."
    return Figure("edge-of-chaos", svg, "The edge of chaos, σ_w against σ_b from 0 to 1.", caption, colours)


def _table(subject: Subject) -> Table:
    import numpy as np

    from meanfield.theory.edge_of_chaos import edge_of_chaos

    beyond = [point.sigma_b for point in subject.points if point.sigma_b > 1.0]
    found = edge_of_chaos(subject.activation, sigma_b=np.array([*_TABLED, *beyond]))
    there = found.status != "none"
    numbers = (found.sigma_b, found.sigma_w, found.q, found.variance_slope)
    columns = [column(values[there].tolist(), digits) for values, digits in zip(numbers, (4, 9, 6, 6), strict=True)]
    rows = tuple(zip(*columns, found.status[there].tolist(), strict=True))
    return Table(
        "Points of the edge of chaos, the one with the smallest q at each σ_b.", ("σ_b", "σ_w", "q", "F′(q)", "q is"), "rrrrl", rows
    )


def _remarks(subject: Subject, statuses: set[str]) -> list[Block]:
    import numpy as np

    edge = subject.edge
    blocks: list[Block] = []
    absent = edge.status == "none"
    if absent.any() and not absent.all():
        where = edge.sigma_b[absent]
        reason = str(edge.reason[int(np.argmax(absent))])
        blocks.append(
            Paragraph(f"None for {where.size} of {absent.size} values of σ_b between {where[0]:.4g} and {where[-1]:.4g}: {reason}.")
        )
    if absent.all():
        blocks.append(Paragraph("The edge of chaos lies at larger σ_b than 1."))
    if "repelling" in statuses:
        turns = np.flatnonzero(edge.stable[1:] & (edge.status[:-1] == "repelling"))
        start = f" It is attracting from about σ_b = {edge.sigma_b[turns[0] + 1]:.3g} on." if turns.size else ""
        blocks.append(
            Paragraph(
                "Part of the curve is repelling: χ₁ = 1 holds at a variance that inputs leave, so a deep network does not stay there."
                + start,
                tone="caution",
            )
        )
    if "neutral" in statuses and absent.sum() == absent.size - 1:
        blocks.append(Paragraph("At this point F(q) = q for every q: each input keeps the variance it starts with."))
    return blocks
