"""The activation beside ReLU, tanh, Swish and GELU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield.report.blocks import Block, Figure, Paragraph, Section, Table, number
from meanfield.report.svg import inline_svg

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.report.subject import Subject
    from meanfield.theory.edge_of_chaos import EdgePoint

PEERS = (("ReLU", "relu"), ("tanh", "tanh"), ("Swish", "silu"), ("GELU", "gelu"))
_SIGMA_B = 0.2
_DEPTH = 10_000
_OFF = 0.05  # how far from the critical σ_w the depth scales are looked at


@dataclass(frozen=True)
class _Line:
    name: str
    activation: Activation
    point: EdgePoint | None


def section(subject: Subject) -> Section:
    """Depth scales, asymptotic class and the decay of 1 − c, in one table and one figure.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> table = section(make_subject("tanh", 0)).blocks[0]
    >>> [row[0] for row in table.rows], table.marked
    (['ReLU', 'tanh', 'Swish', 'GELU'], 1)
    """
    lines, own = _lines(subject)
    blocks: list[Block] = [Table(_caption(), _HEADER, "lrrlrrrlr", tuple(_row(line) for line in lines), own)]
    figure = _figure(lines, own)
    if figure is not None:
        blocks.append(figure)
    if subject.point is None:
        blocks.append(Paragraph(f"{subject.no_edge} Its row is empty, and it is not in the figure."))
    return Section("comparison", "Beside ReLU, tanh, Swish and GELU", tuple(blocks))


_HEADER = ("", "σ_b", "σ_w", "q is", "ξ_q", "ξ_c at 0.95 σ_w", "ξ_c at 1.05 σ_w", "1 − c on the edge", "layers")


def _caption() -> str:
    return (
        f"On the edge of chaos at σ_b = {_SIGMA_B}, or where the edge is: depth scale ξ_q of the variance (∞: every variance stays; "
        "negative: it runs away), ξ_c of correlations 5 % below and above the critical σ_w (on the edge itself it is ∞), the law "
        "1 − c follows, and the "
        "layers until 1 − c falls from 0.5 below 0.01. A law in 1/ℓ (smooth φ) forgets more slowly than one in 1/ℓ² (kinked φ)."
    )


def _lines(subject: Subject) -> tuple[list[_Line], int]:
    """The peers with the subject first, or in its own place among them; and which line is the subject's."""
    from meanfield.activations import activation as find

    lines = [_Line(name, find(spec), _reference(find(spec))) for name, spec in PEERS]
    for index, line in enumerate(lines):
        if line.activation is subject.activation:
            return lines, index
    return [_Line("this activation", subject.activation, subject.point), *lines], 0


def _reference(act: Activation) -> EdgePoint | None:
    from meanfield.theory.edge_of_chaos import edge_of_chaos

    for sigma_b in (_SIGMA_B, 0.0):
        points = edge_of_chaos(act, sigma_b=sigma_b).all_points()
        if points:
            return points[0]
    return None


def _row(line: _Line) -> tuple[str, ...]:
    from meanfield.theory.depth import propagation_depth

    point = line.point
    if point is None:
        return (line.name, "—", "—", "none", "—", "—", "—", "—", "—")
    scale = _scale(point.variance_slope)
    beside = [_xi_c(line.activation, (1.0 + sign * _OFF) * point.sigma_w, point.sigma_b) for sign in (-1, 1)]
    layers = _tried(lambda: propagation_depth(line.activation, sigma_b=point.sigma_b))
    where = (number(point.sigma_b, 4), number(point.sigma_w, 6), point.status, number(scale, 4))
    return (line.name, *where, *(number(value, 4) for value in beside), _law(line), number(layers, 7))


def _scale(slope: float) -> float:
    """−1/log|slope|."""
    if slope == 0.0:
        return 0.0
    size = abs(slope)
    return math.inf if abs(size - 1.0) < 1e-12 else -1.0 / math.log(size)


def _xi_c(act: Activation, sigma_w: float, sigma_b: float) -> float:
    from meanfield.theory.mean_field import MeanField

    return _tried(lambda: MeanField(act, sigma_w, sigma_b).depth_scales.xi_c)


def _tried(compute: Any) -> float:
    """A number, or nan where the theory says that there is none."""
    from meanfield.errors import DomainError

    try:
        return float(compute())
    except DomainError:
        return math.nan


def _law(line: _Line) -> str:
    from meanfield.errors import DomainError
    from meanfield.theory.asymptotics import asymptotics

    assert line.point is not None
    try:
        law = asymptotics(line.activation, sigma_b=line.point.sigma_b)
    except DomainError:
        return "another law"
    power = {0.0: "stays", 1.0: f"{number(law.constant, 4)}/ℓ", 2.0: f"{number(law.constant, 4)}/ℓ²"}[law.exponent]
    return f"{power} ({law.kind})"


def _figure(lines: list[_Line], own: int) -> Figure | None:
    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.trajectory import trajectory
    from meanfield.theory.mean_field import MeanField

    drawn, words = [], []
    for line in lines:
        if line.point is not None:
            network = MeanField(line.activation, line.point.sigma_w, line.point.sigma_b)
            if line.point.q == 0.0:
                continue  # the map of the limit q → 0 moves nothing that could be drawn
            drawn.append(network.propagate(_DEPTH, q=line.point.q, c=0.5, hold_variance=True))
            words.append(line.name)
    if not drawn:
        return None
    ax = trajectory(drawn, ax=detached_axes(), labels=words)
    for line2d, word in zip(ax.get_lines(), words, strict=False):
        line2d.set_linewidth(2.2 if word == lines[own].name else 1.0)
    ax.legend(fontsize=7, handlelength=2.6, frameon=False)
    svg, colours = inline_svg(ax.figure.figure, "decay")
    caption = "1 − c, layer by layer, from 0.5, on the edge of chaos with the variance held. A steeper line forgets sooner."
    return Figure("decay", svg, "1 − c against the layer, both axes logarithmic, one line for each activation.", caption, colours)
