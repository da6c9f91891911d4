"""The activation itself: formula, values, derivatives, breakpoints."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from meanfield.report.blocks import Block, Figure, Formula, Paragraph, Section, Table, number
from meanfield.report.svg import inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meanfield.activations import Activation
    from meanfield.report.subject import Subject

_LISTED = 12  # breakpoints in the table; some formulas have hundreds
_LONGEST = 2000  # letters of a formula that are still readable
_LONGEST_SET = 300  # letters of a formula that is also set as mathematics
_TAGS = re.compile(r"</?([a-z]+)")
_NAMES = ("φ", "φ′", "φ″")


def section(subject: Subject) -> Section:
    """Formula, picture, values at 0, breakpoints.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> [block.kind for block in section(make_subject("relu", 0)).blocks]
    ['formula', 'figure', 'table', 'table']
    """
    act = subject.activation
    blocks: list[Block] = [_formula(act), _figure(act), _at_zero(act)]
    if act.breakpoints:
        blocks.append(_breakpoints(act))
    else:
        blocks.append(Paragraph("No breakpoints: φ is analytic on the whole line, as far as could be found."))
    return Section("activation", "The activation", tuple(blocks))


def _formula(act: Activation) -> Block:
    from meanfield.activations.activation import shortened

    expression = act.formula
    if expression is None:
        return Paragraph("The activation is a function in code: it has no formula. Values below were obtained by calling it.")
    from sympy import Float, Rational

    # Decimal constants are exact fractions inside; seven digits are what a reader wants.
    long = {value: Float(value, 7) for value in expression.atoms(Rational) if value.q > 1000 or abs(value.p) > 10**7}
    shown = expression.xreplace(long)
    text = f"φ(x) = {shortened(str(shown), _LONGEST)}"
    return Formula(text, _mathml(shown) if len(text) <= _LONGEST_SET else "")


def _mathml(expression: Any) -> str:
    """Presentation MathML, or "" where SymPy writes elements that browsers no longer draw."""
    from sympy import mathml

    try:
        inner = str(mathml(expression, printer="presentation"))
    except (NotImplementedError, TypeError, ValueError, AttributeError, RecursionError):
        return ""
    known = {"mrow", "mi", "mo", "mn", "msup", "msub", "mfrac", "msqrt", "mroot", "mtable", "mtr", "mtd", "mtext", "mstyle"}
    if not set(_TAGS.findall(inner)) <= known:
        return ""
    opened, closed = (f'<mo stretchy="false">{bracket}</mo>' for bracket in "()")
    return f'<math display="block"><mrow><mi>φ</mi>{opened}<mi>x</mi>{closed}<mo>=</mo>{inner}</mrow></math>'


def _figure(act: Activation) -> Figure:
    import numpy as np

    from meanfield.plot.column_width import detached_axes
    from meanfield.plot.line_styles import STYLES, shades

    inside = [point.location for point in act.breakpoints if abs(point.location) <= 12.0]
    reach = max([4.0, *(1.25 * abs(x) for x in inside)])
    ax = detached_axes()
    seen: list[float] = []
    for k, colour in enumerate(shades(3)):
        x, y = _curve(act, k, reach, inside[:200])
        seen += [float(value) for value in y[np.isfinite(y)]]
        ax.plot(x, y, color=colour, linestyle=STYLES[k], linewidth=1.3, label=(r"$\varphi$", r"$\varphi'$", r"$\varphi''$")[k])
    for x in inside[:40]:
        ax.axvline(x, color="0.6", linestyle=":", linewidth=0.7, zorder=0)
    _limit(ax, seen)
    ax.set_xlim(-reach, reach)
    ax.set_xlabel("$x$")
    ax.legend(fontsize=7, handlelength=2.6, frameon=False)
    svg, colours = inline_svg(ax.figure.figure, "activation")
    caption = "φ and its first two derivatives."
    if inside:
        caption += " Dotted lines: breakpoints. Where a slope jumps, φ″ also holds a delta, which is not drawn."
    return Figure("activation", svg, f"Curves of φ, φ′ and φ″ for x from {-reach:.3g} to {reach:.3g}.", caption, colours)


def _curve(act: Activation, k: int, reach: float, cuts: list[float]) -> tuple[Any, Any]:
    """φ^(k) on each piece between breakpoints, with a gap at each breakpoint so that jumps are not joined."""
    import numpy as np

    from meanfield.errors import ActivationError

    step = 1e-9 * reach
    across: list[Any] = []
    up: list[Any] = []
    for left, right in pairwise([-reach, *(cut for cut in cuts if -reach < cut < reach), reach]):
        x = np.linspace(left + step, right - step, max(3, round(241 * (right - left) / (2 * reach)) + 2))
        try:
            y = np.asarray(act.values(x, k))
        except ActivationError:
            y = np.full(x.shape, np.nan)
        across += [x, [right]]
        up += [np.where(np.isfinite(y), y, np.nan), [np.nan]]
    return np.concatenate(across), np.concatenate(up)


def _limit(ax: Axes, seen: list[float]) -> None:
    """Keep a pole or a fast growth from flattening the rest."""
    import numpy as np

    if not seen:
        return
    low, high = np.quantile(seen, [0.02, 0.98])
    room = 0.3 * (high - low) + 0.1
    if min(seen) < low - 2 * room or max(seen) > high + 2 * room:
        ax.set_ylim(max(low - room, min(seen)), min(high + room, max(seen)))


def _at_zero(act: Activation) -> Table:
    from meanfield.errors import ActivationError

    def limit(side: int, k: int) -> str:
        try:
            return number(act.one_sided(0.0, side, k))
        except ActivationError:
            return "undefined"

    rows = tuple((_NAMES[k], limit(-1, k), limit(+1, k)) for k in range(3))
    return Table("Values at x = 0, from the left and from the right.", ("", "x → 0−", "x → 0+"), "lrr", rows)


def _breakpoints(act: Activation) -> Table:
    points = act.breakpoints
    rows = [(number(point.location), number(point.value_jump), number(point.slope_jump)) for point in points[:_LISTED]]
    caption = "Breakpoints: where φ is not analytic."
    if any(point.value_jump == 0.0 and point.slope_jump == 0.0 for point in points):
        caption += " Where both jumps are 0, a higher derivative jumps."
    if len(points) > _LISTED:
        caption += f" The first {_LISTED} of {len(points)}."
    return Table(caption, ("x", "jump of φ", "jump of φ′"), "rrr", tuple(rows))
