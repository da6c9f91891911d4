"""The page: widgets, figures, and what happens between them. Bokeh draws; nothing is computed here."""

from __future__ import annotations

import asyncio
import contextlib
import html
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.document import Document, without_document_lock
from bokeh.models import ColorBar, ColumnDataSource, CustomJS, Div, LogColorMapper, LogTicker, PreText, Range1d, Slider, TextInput
from bokeh.plotting import figure

from meanfield.errors import MeanFieldError
from meanfield.explore.plane import Plane
from meanfield.explore.point import START_C, START_Q, Point
from meanfield.explore.view import DEPTH, LONGEST, SIGMA_B, SIGMA_W, View
from meanfield.explore.worker import Superseded

TEMPLATE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
_HEIGHT = 300
_FIRST, _SECOND = "#0b5cad", "#c2410c"  # the activation and the one beside it; dashes tell them apart in grey
_LONGEST_SCALE = 1000.0  # layers, the end of the colours
_LINES = ("identity", "variance", "variance_web", "correlation", "correlation_web", "epsilon", "gradient", "q1")
# In the browser: a pointer anywhere on the plane, or an arrow key while it has the focus, moves the sliders, and they the mark.
# Bokeh's own events for a drag don't come where one holds still before moving, and a finger would scroll the page.
_DRAG = """
const view = Bokeh.index.get_by_id(plane.id), el = view.el
const clip = (v, s) => Math.min(Math.max(Math.round(v / s.step) * s.step, s.start), s.end)
const put = (slider, value) => { if (!isNaN(value)) slider.value = Number(clip(value, slider).toFixed(6)) }
let held = false
const follow = (event) => {
  const box = el.getBoundingClientRect()
  put(w, view.frame.x_scale.invert(event.clientX - box.left))
  put(b, view.frame.y_scale.invert(event.clientY - box.top))
}
el.style.touchAction = 'none'
el.tabIndex = 0
el.addEventListener('pointerdown', (event) => { if (event.button === 0) { held = true; follow(event) } }, true)
window.addEventListener('pointermove', (event) => { if (held) follow(event) }, true)
for (const end of ['pointerup', 'pointercancel']) window.addEventListener(end, () => { held = false }, true)
const steps = {ArrowLeft: [w, -1], ArrowRight: [w, 1], ArrowDown: [b, -1], ArrowUp: [b, 1]}
el.addEventListener('keydown', (event) => {
  if (!(event.key in steps)) return
  const [slider, sign] = steps[event.key]
  put(slider, slider.value + sign * slider.step * (event.shiftKey ? 10 : 1))
  event.preventDefault()
})
"""


class Page:
    """One browser window's page.

    Parameters
    ----------
    document : bokeh.document.Document
    view : View
        What it begins with.
    ask : callable
        ``ask(task, *arguments, wanted=…)``: see `meanfield.explore.worker.Worker.ask`. Called in a thread.
    """

    def __init__(self, document: Document, view: View, ask: Callable[..., Any]) -> None:
        self.document, self.ask = document, ask
        self.wanted, self.busy = view, False
        self.understood, self.busy_behind = view, False  # the last view whose formulas could be computed
        self.planes: dict[str, Plane | str] = {}  # by formula; a text where it could not be drawn
        self.advised: tuple[str, int] | None = None
        self._make_widgets(view)
        self._make_figures(view)
        self._listen()
        roots = (
            self.formula, self.other, self.sigma_w, self.sigma_b, self.depth, self.message, self.verdict, self.table, self.advice,
            self.lines, self.link, self.plane, self.maps, self.correlations, self.trajectory,
        )  # fmt: skip
        for root in roots:
            document.add_root(root)
        document.template = TEMPLATE
        document.title = "meanfield explore"
        self._go()

    # ---- what is on the page ---------------------------------------------------------------------------------------

    def _make_widgets(self, view: View) -> None:
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        self.formula = TextInput(
            name="formula",
            title="Activation: a name, or a formula in x",
            value=view.activation,
            value_input=view.activation,
            max_length=LONGEST,
            **wide,
        )
        self.other = TextInput(
            name="other",
            title="Beside it (may be empty)",
            value=view.other,
            value_input=view.other,
            placeholder="relu, gelu, x*tanh(exp(x)) …",
            max_length=LONGEST,
            **wide,
        )
        self.sigma_w = Slider(name="sigma_w", title="σ_w, weights", start=SIGMA_W[0], end=SIGMA_W[1], step=0.01, value=view.sigma_w, **wide)
        self.sigma_b = Slider(name="sigma_b", title="σ_b, biases", start=SIGMA_B[0], end=SIGMA_B[1], step=0.01, value=view.sigma_b, **wide)
        self.depth = Slider(name="depth", title="Depth, layers", start=DEPTH[0], end=DEPTH[1], step=1, value=view.depth, **wide)
        # Said aloud by screen readers when it changes.
        self.message = Div(name="message", text="Starting …", html_attributes={"role": "status", "aria-live": "polite"}, **wide)
        self.verdict, self.table, self.advice = (Div(name=name, **wide) for name in ("verdict", "table", "advice"))
        self.lines = PreText(name="lines", styles={"overflow-x": "auto"}, **wide)
        self.link = Div(name="link", **wide)

    def _make_figures(self, view: View) -> None:
        look: dict[str, Any] = {"height": _HEIGHT, "sizing_mode": "stretch_width", "toolbar_location": None, "tools": ""}
        self.shown = ColumnDataSource({"query": [""], "plane": [""]}, name="shown")
        self.mark = ColumnDataSource({"x": [view.sigma_w], "y": [view.sigma_b]})
        self.cells = ColumnDataSource({"image": [np.full((2, 2), np.nan)]})
        self.edges = [{kind: ColumnDataSource({"x": [], "y": []}) for kind in ("solid", "dashed", "dots")} for _ in range(2)]
        self.sources = [{name: ColumnDataSource({"x": [], "y": []}) for name in _LINES} for _ in range(2)]

        self.plane = figure(
            name="plane", x_range=Range1d(*SIGMA_W), y_range=Range1d(*SIGMA_B), x_axis_label="σ_w", y_axis_label="σ_b", **look
        )
        colours = LogColorMapper("Viridis256", low=1.0, high=_LONGEST_SCALE, nan_color="#d4d4d4")
        corner = {"x": SIGMA_W[0], "y": SIGMA_B[0], "dw": SIGMA_W[1] - SIGMA_W[0], "dh": SIGMA_B[1] - SIGMA_B[0]}
        self.plane.image("image", source=self.cells, color_mapper=colours, **corner)
        self.plane.add_layout(ColorBar(color_mapper=colours, ticker=LogTicker(), width=10, title="ξ_c"), "right")
        for edge, colour in zip(self.edges, ("black", _SECOND), strict=True):
            for kind, dash in (("solid", "solid"), ("dashed", "dashed")):
                self.plane.line("x", "y", source=edge[kind], line_color="white", line_width=4)
                self.plane.line("x", "y", source=edge[kind], line_color=colour, line_width=2, line_dash=dash)
            self.plane.scatter("x", "y", source=edge["dots"], size=9, fill_color=colour, line_color="white")
        self.plane.scatter("x", "y", source=self.mark, size=18, fill_color="white", fill_alpha=0.6, line_color="black", line_width=3)

        self.maps = figure(name="maps", x_axis_label="q, variance", y_axis_label="F(q)", **look)
        self.correlations = figure(
            name="correlations", x_axis_label="c, correlation", y_axis_label="f(c)", x_range=Range1d(0, 1), y_range=Range1d(0, 1.02), **look
        )
        self.trajectory = figure(name="trajectory", x_axis_label="layer", y_axis_type="log", **look)
        self.trajectory.yaxis.ticker.desired_num_ticks = 5
        self.maps.line("x", "y", source=self.sources[0]["identity"], line_color="#8a8a8a")
        self.correlations.line([0, 1], [0, 1], line_color="#8a8a8a")
        for source, colour, dash in zip(self.sources, (_FIRST, _SECOND), ("solid", "dashed"), strict=True):
            for where, name in ((self.maps, "variance"), (self.correlations, "correlation")):
                where.line("x", "y", source=source[name], line_color=colour, line_width=2, line_dash=dash)
                where.line("x", "y", source=source[f"{name}_web"], line_color=colour, line_width=1, line_alpha=0.7)
        for name, colour, label in (("epsilon", "#0b5cad", "1 − c"), ("gradient", "#b45309", "gradient²"), ("q1", "#4d7c0f", "q")):
            for source, dash in zip(self.sources, ("solid", "dashed"), strict=True):
                more = {"legend_label": label} if dash == "solid" else {}
                self.trajectory.line("x", "y", source=source[name], line_color=colour, line_width=2, line_dash=dash, **more)
        legend = self.trajectory.legend[0]
        legend.update(orientation="horizontal", label_text_font_size="11px", padding=0, margin=0, border_line_color=None)
        self.trajectory.center.remove(legend)
        self.trajectory.add_layout(legend, "above")  # within, it would hide a line

    def _listen(self) -> None:
        held = {"plane": self.plane, "w": self.sigma_w, "b": self.sigma_b}
        self.document.js_on_event("document_ready", CustomJS(args=held, code=_DRAG))
        slide = CustomJS(args={"w": self.sigma_w, "b": self.sigma_b, "mark": self.mark}, code="mark.data = {x: [w.value], y: [b.value]}")
        for slider in (self.sigma_w, self.sigma_b):
            slider.js_on_change("value", slide)
        self.link.js_on_change("text", CustomJS(args={"shown": self.shown}, code="history.replaceState(null, '', shown.data.query[0])"))
        for text in (self.formula, self.other):
            text.on_change("value_input", self._changed)
            text.on_change("value", self._changed)
        for slider in (self.sigma_w, self.sigma_b, self.depth):
            slider.on_change("value", self._changed)

    # ---- what happens ----------------------------------------------------------------------------------------------

    def _changed(self, attribute: str, old: Any, new: Any) -> None:
        typed = [widget.value_input if attribute == "value_input" else widget.value for widget in (self.formula, self.other)]
        if attribute == "value" and new not in typed:  # a slider: what is typed stays as it was understood last
            typed = [self.wanted.activation, self.wanted.other]
        self.wanted = View(typed[0].strip(), typed[1].strip(), float(self.sigma_w.value), float(self.sigma_b.value), int(self.depth.value))
        self._go()

    def _go(self) -> None:
        if not self.busy:
            self.busy = True
            self.document.add_next_tick_callback(self._answer)

    @without_document_lock  # type: ignore[untyped-decorator]
    async def _answer(self) -> None:
        """Compute points until what is shown is what is wanted; what was wanted in between is left out."""
        done: View | None = None
        try:
            while done != self.wanted:
                done = view = self.wanted
                try:
                    points = await self._points(view)
                except Superseded:
                    continue
                except MeanFieldError as error:
                    self._later(partial(self._say, str(error)))
                    continue
                self._later(partial(self._show_points, view, points))
                self.understood = view
                if not self.busy_behind:
                    self.busy_behind = True
                    self.document.add_next_tick_callback(self._answer_behind)
        finally:
            self.busy = False

    @without_document_lock  # type: ignore[untyped-decorator]
    async def _answer_behind(self) -> None:
        """The phase diagram and the advice, which take longer: the point can be moved meanwhile."""
        done = None
        try:
            while done != _whole(self.understood):
                view, done = self.understood, _whole(self.understood)
                with contextlib.suppress(Superseded):
                    await self._answer_whole(view)
        finally:
            self.busy_behind = False

    async def _points(self, view: View) -> list[Point]:
        def wanted() -> bool:
            return self.wanted == view

        return [
            await self._asked("point_of", formula, view.sigma_w, view.sigma_b, view.depth, wanted=wanted) for formula in _formulas(view)
        ]

    async def _answer_whole(self, view: View) -> None:
        def wanted() -> bool:
            return _whole(self.wanted) == _whole(view)

        for formula in _formulas(view):
            if formula not in self.planes:
                try:
                    self.planes[formula] = await self._asked("plane_of", formula, wanted=wanted)
                except MeanFieldError as error:
                    self.planes[formula] = str(error)
        self._later(partial(self._show_planes, view))
        if self.advised != (view.activation, view.depth):
            try:
                advice = await self._asked("advice_for", view.activation, view.depth, wanted=wanted)
            except MeanFieldError as error:
                advice = f"No advice: {error}"
            self.advised = (view.activation, view.depth)
            self._later(partial(self._show_advice, advice))

    async def _asked(self, task: str, *arguments: Any, wanted: Callable[[], bool]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, partial(self.ask, task, *arguments, wanted=wanted))

    def _later(self, callback: Callable[[], None]) -> None:
        def in_one_message() -> None:
            self.document.hold("collect")
            try:
                callback()
            finally:
                self.document.unhold()

        self.document.add_next_tick_callback(in_one_message)

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self.message.text = html.escape(text)

    def _show_points(self, view: View, points: list[Point]) -> None:
        none = np.empty(0)
        for source, point in zip(self.sources, [*points, *[None] * (2 - len(points))], strict=True):
            if point is None:
                for line in source.values():
                    line.data = {"x": none, "y": none}
                continue
            ends = np.array([0.0, max(one.q[-1] for one in points)])
            columns = {
                "identity": (ends, ends),
                "variance": (point.q, point.variance),
                "variance_web": point.variance_web,
                "correlation": (point.c, point.correlation),
                "correlation_web": point.correlation_web,
                **{name: (point.layer, getattr(point, name)) for name in ("epsilon", "gradient", "q1")},
            }
            for name, (x, y) in columns.items():
                source[name].data = {"x": x, "y": y}
        self._say(f"No correlation map: {points[0].no_map}" if points[0].no_map else "")
        self.verdict.text = "".join(f"<p><strong>{html.escape(point.name)}</strong> · {html.escape(point.verdict)}</p>" for point in points)
        self.table.text = _table(points)
        self.lines.text = points[0].lines
        self.shown.data = {"query": [view.query], "plane": self.shown.data["plane"]}
        self.link.text = f'<a href="{html.escape(view.query)}">Link to this view</a> · start: q = {START_Q:g}, c = {START_C:g}'

    def _show_planes(self, view: View) -> None:
        formulas = _formulas(view)
        none: dict[str, Any] = {"x": np.empty(0), "y": np.empty(0)}
        for edge, formula in zip(self.edges, [*formulas, *[""] * (2 - len(formulas))], strict=True):
            plane = self.planes.get(formula)
            for kind, source in edge.items():
                x, y = getattr(plane, kind) if isinstance(plane, Plane) else (none["x"], none["y"])
                source.data = {"x": x, "y": y}
        plane = self.planes[view.activation]
        if isinstance(plane, Plane):
            self.cells.data = {"image": [plane.xi_c]}
        else:
            self.cells.data = {"image": [np.full((2, 2), np.nan)]}
            self._say(f"No phase diagram: {plane}")
        self.shown.data = {"query": self.shown.data["query"], "plane": [view.activation]}

    def _show_advice(self, advice: str) -> None:
        self.advice.text = html.escape(advice)


def _formulas(view: View) -> list[str]:
    if not view.activation:
        raise MeanFieldError("type an activation: a name such as tanh, or a formula in x")
    return [view.activation, *([view.other] if view.other else [])]


def _whole(view: View) -> tuple[str, str, int]:
    """What the phase diagram and the advice depend on."""
    return view.activation, view.other, view.depth


def _table(points: list[Point]) -> str:
    """The numbers of one or two points, a column each."""
    names = list(dict.fromkeys(name for point in points for name, _ in point.rows))
    head = "".join(f"<th>{html.escape(point.name)}</th>" for point in points)
    lines = [
        f"<tr><th>{html.escape(name)}</th>"
        + "".join(f"<td>{html.escape(dict(point.rows).get(name, '—'))}</td>" for point in points)
        + "</tr>"
        for name in names
    ]
    return f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>"
