"""What the browser is told: points, the plane and words as JSON, lines with their styles, axes that don't swim."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.explore.plane import Plane
from meanfield.explore.point import START_C, START_Q, Point
from meanfield.explore.round_end import round_end

if TYPE_CHECKING:
    from meanfield.arrays import Array
    from meanfield.explore.view import View

FIRST, SECOND = "#0b5cad", "#c2410c"  # the activation and the one beside it; dashes tell them apart in grey
_IDENTITY = "#8a8a8a"
# Of the trajectory: told apart in grey by their marks.
WAY = (("epsilon", "#0b5cad", "circle"), ("gradient", "#b45309", "square"), ("q1", "#4d7c0f", "triangle"))
_MARKS = 6  # on each line
_HIGHEST = 4.0  # F is drawn up to this times the largest q: a steep one would flatten all else
_DECADES = 1e-300, 1e300


def points_told(view: View, points: Sequence[Point]) -> str:
    """All that changes with the point, as JSON.

    Examples
    --------
    >>> from meanfield.explore.point import point_of
    >>> from meanfield.explore.view import View
    >>> told = json.loads(points_told(View(), [point_of("tanh", 1.3, 0.2, 50)]))
    >>> told["query"], told["maps"]["x"], told["correlations"]["lines"]["dash"]
    ('?phi=tanh&sigma_w=1.3&sigma_b=0.2&depth=50', [0.0, 2.0], ['solid', 'solid', 'solid'])
    """
    top = max(float(point.q[-1]) for point in points)
    highest = max([top, *(_largest(point.variance) for point in points)])
    looks = list(zip(points, (FIRST, SECOND), ("solid", "dashed"), strict=False))
    maps, correlations = [_line([0.0, top], [0.0, top], _IDENTITY)], [_line([0.0, 1.0], [0.0, 1.0], _IDENTITY)]
    for point, colour, dash in looks:
        maps += [_line(point.q, point.variance, colour, dash), _line(*point.variance_web, colour, width=1, alpha=0.7)]
        correlations += [_line(point.c, point.correlation, colour, dash), _line(*point.correlation_web, colour, width=1, alpha=0.7)]
    way = [_line(point.layer, getattr(point, name), colour, dash) for point, _, dash in looks for name, colour, _ in WAY]
    query = html.escape(view.query)
    return _json(
        {
            "query": view.query,
            "message": f"No correlation map: {html.escape(points[0].no_map)}" if points[0].no_map else "",
            "maps": {"lines": _columns(maps), "x": [0.0, top], "y": [0.0, round_end(min(highest, _HIGHEST * top))]},
            "correlations": {"lines": _columns(correlations), "x": [0.0, 1.0], "y": [0.0, 1.02]},
            "trajectory": {
                "lines": _columns(way),
                "marks": _marks(points),
                "x": [0.0, max(1.0, *(float(point.layer[-1]) for point in points))],
                "y": _decades(points),
            },
            "verdict": "".join(f"<p><strong>{html.escape(point.name)}</strong> · {html.escape(point.verdict)}</p>" for point in points),
            "table": _table(points),
            "lines": html.escape(points[0].lines),
            "link": f'<a href="{query}">Link to this view</a> · start: q = {START_Q:g}, c = {START_C:g}',
        }
    )


def plane_told(activation: str, planes: Sequence[Plane | str]) -> str:
    """The edges of chaos, as JSON; a text in the place of a plane says why there is none.

    Examples
    --------
    >>> json.loads(plane_told("tanh", ["too slow"]))["message"]
    'No phase diagram: too slow'
    """
    lines, dots = [], []
    for plane, colour in zip(planes, ("#000000", SECOND), strict=False):
        if isinstance(plane, Plane):
            for (x, y), dash in ((plane.solid, "solid"), (plane.dashed, "dashed")):
                lines += [_line(x, y, "#ffffff", width=4), _line(x, y, colour, dash)]
            dots += [(float(x), float(y), colour) for x, y in zip(*plane.dots, strict=True)]
    first = planes[0]
    return _json(
        {
            "plane": activation,
            "message": "" if isinstance(first, Plane) else f"No phase diagram: {html.escape(first)}",
            "lines": _columns(lines),
            "dots": {"x": [x for x, _, _ in dots], "y": [y for _, y, _ in dots], "colour": [colour for _, _, colour in dots]},
        }
    )


def words_told(place: str, text: str) -> str:
    """Words alone, as a "message" or as "advice": the picture stays as it is.

    Examples
    --------
    >>> words_told("message", "a < b")
    '{"message":"a &lt; b"}'
    """
    return _json({place: html.escape(text)})


def _json(told: Mapping[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"), allow_nan=False)


def _line(x: Any, y: Any, colour: str, dash: str = "solid", width: int = 2, alpha: float = 1.0) -> dict[str, Any]:
    return {"xs": _numbers(x), "ys": _numbers(y), "colour": colour, "dash": dash, "width": width, "alpha": alpha}


def _columns(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Each property of all lines: what Bokeh calls a data source."""
    return {name: [line[name] for line in lines] for name in ("xs", "ys", "colour", "dash", "width", "alpha")}


def _numbers(values: Any) -> list[float | None]:
    """Five digits, more than a pixel; JSON has no nan, so a gap is null."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in np.asarray(values, dtype=np.float64).tolist()]


def _marks(points: Sequence[Point]) -> dict[str, list[Any]]:
    """A few marks on each line of the trajectory, not above one another; hollow for the second activation."""
    x: list[float | None] = []
    y: list[float | None] = []
    shape, colour, inside = [], [], []
    for point, hollow in zip(points, (False, True), strict=False):
        for number, (name, line, mark) in enumerate(WAY):
            last = point.layer.size - 1
            at = np.unique(np.round(last * (np.arange(_MARKS) + (number + 0.5) / len(WAY)) / _MARKS).astype(np.int64))
            x += _numbers(point.layer[at])
            y += _numbers(getattr(point, name)[at])
            shape += [mark] * at.size
            colour += [line] * at.size
            inside += ["#ffffff" if hollow else line] * at.size
    there = [number for number, value in enumerate(y) if value is not None]
    named: dict[str, list[Any]] = {"x": x, "y": y, "shape": shape, "colour": colour, "inside": inside}
    return {name: [column[number] for number in there] for name, column in named.items()}


def _largest(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if known.size else 0.0


def _decades(points: Sequence[Point]) -> list[float]:
    """Whole decades around the trajectory, so that its axis stays while a point is dragged."""
    known = np.concatenate([getattr(point, name) for point in points for name, _, _ in WAY])
    known = np.clip(known[np.isfinite(known)], *_DECADES)
    if not known.size:
        return [0.1, 10.0]
    low, high = math.floor(math.log10(known.min())), math.ceil(math.log10(known.max()))
    return [10.0**low, 10.0 ** max(high, low + 1)]


def _table(points: Sequence[Point]) -> str:
    """The numbers of one or two points, a column each."""
    names = list(dict.fromkeys(name for point in points for name, _ in point.rows))
    head = "".join(f"<th>{html.escape(point.name)}</th>" for point in points)
    lines = [
        f"<tr><th>{html.escape(name)}</th>"
        + "".join(f"<td>{html.escape(dict(point.rows).get(name, '—'))}</td>" for point in points)
        + "</tr>"
        for name in names
    ]
    return f"<table><tbody><tr><th></th>{head}</tr>{''.join(lines)}</tbody></table>"
