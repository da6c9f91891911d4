"""The phase diagram."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meanfield.report.blocks import Block, Figure, Paragraph, Section
from meanfield.report.svg import inline_svg

if TYPE_CHECKING:
    from meanfield.report.subject import Subject

_CELLS = (241, 121)  # across, up
_FAR = 8.0  # times the smallest critical σ_w


def section(subject: Subject) -> Section:
    """ξ_c over (σ_w, σ_b).

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> [block.kind for block in section(make_subject("tanh", 0)).blocks]
    ['figure']
    """
    import numpy as np

    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.phase_diagram import phase_diagram as draw
    from meanfield.theory.phase_diagram import phase_diagram

    low, high = _reach(subject)
    diagram = phase_diagram(
        subject.activation, sigma_w=np.linspace(low, high, _CELLS[0]), sigma_b=np.linspace(0.0, 1.0, _CELLS[1]), n_jobs=1
    )
    divergent = np.isposinf(diagram.q_star)
    # Where the variance diverges, no colour: only the hatching.
    ax = draw(replace(diagram, xi_c=np.where(divergent, np.nan, diagram.xi_c)), "xi_c", ax=detached_axes())
    ax.set_title("")  # the page has one
    svg, colours = inline_svg(ax.figure.figure, "phase-diagram", grey_only=True)
    caption = "ξ_c, the number of layers over which correlations settle, over the plane of σ_w and σ_b"
    caption += _edge(subject)
    if divergent.any():
        caption += " Hatched: the variance grows without bound."
    blocks: list[Block] = [Figure("phase-diagram", svg, _described(diagram), caption, colours)]
    if divergent.all():
        blocks.append(Paragraph("The variance grows without bound everywhere in this part of the plane.", tone="caution"))
    return Section("phase-diagram", "Phase diagram", tuple(blocks))


def _reach(subject: Subject) -> tuple[float, float]:
    """A range of σ_w that holds the edge of chaos, or the weights that keep a variance of 1.

    Of an edge that runs off to large σ_w the part up to 8 times the smallest: further out the picture would show nothing else.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> _reach(make_subject("relu", 0)), round(_reach(make_subject("exp", 0))[1], 3)
    ((0.5, 3.0), 0.552)
    """
    import numpy as np

    from meanfield.report.sections.variance import networks_to_draw

    found = subject.edge.sigma_w[np.isfinite(subject.edge.sigma_w)].tolist() or [net.sigma_w for net in networks_to_draw(subject)[0]]
    if not found:
        return 0.5, 3.0
    furthest = max(sigma_w for sigma_w in found if sigma_w <= _FAR * min(found))
    return min(0.5, 0.5 * min(found)), 3.0 if 1.0 <= furthest <= 2.0 else 1.5 * furthest


def _edge(subject: Subject) -> str:
    """How the edge of chaos is drawn."""
    if not subject.points:
        return "; there is no edge of chaos."
    if (subject.edge.status != "none").sum() == 1 and len(subject.points) == 1:
        return ". The disc is the edge of chaos, a single point."
    return ", with the edge of chaos: solid where attracting, dashed where not."


def _described(diagram: Any) -> str:
    import numpy as np

    total = diagram.phase.size
    ordered, chaotic = (100 * int(np.sum(diagram.phase == sign)) / total for sign in (-1, 1))
    return (
        f"Phase diagram for σ_w from {diagram.sigma_w[0]:.3g} to {diagram.sigma_w[-1]:.3g} and σ_b from 0 to 1: "
        f"{ordered:.0f} % of the cells are ordered, {chaotic:.0f} % chaotic."
    )
