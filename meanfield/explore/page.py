"""The page: figures, and what happens between the browser and the process that computes. Nothing is computed here, nothing said in words.

What the browser does with it is `page.js`; the widgets are HTML's own, in `page.html`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from bokeh.core.property.vectorization import field
from bokeh.document import Document, without_document_lock
from bokeh.models import ColorBar, ColumnDataSource, CustomJS, Image, LogColorMapper, LogTicker, MultiLine, Range1d, Scatter
from bokeh.plotting import figure

from meanfield.errors import MeanFieldError
from meanfield.explore.drawn import plane_told, points_told, words_told
from meanfield.explore.plane import Plane
from meanfield.explore.point import Point
from meanfield.explore.view import DEPTH, LONGEST, SIGMA_B, SIGMA_W, View, view_from
from meanfield.explore.worker import Superseded

TEMPLATE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
_HEIGHT = 300
_LONGEST_SCALE = 1000.0  # layers, the end of the colours
_SOON = "…"
_UNSEEN = 2.0  # seconds after which the phase diagram is computed even if the browser has not told that the first picture stands


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
        self.seen = asyncio.Event()  # the first picture; what takes longer waits for it, as on two cores it would slow it down
        self.asked = ColumnDataSource({"query": [""]})  # by the browser
        self.told = {name: ColumnDataSource({"json": [""]}) for name in ("points", "plane", "advice")}
        self.cells = ColumnDataSource({"image": [np.full((2, 2), np.nan)]})
        self.asked.on_change("data", self._changed)
        self._draw(view)
        document.template = TEMPLATE
        document.template_variables.update(view=view, sigma_w=SIGMA_W, sigma_b=SIGMA_B, depth=DEPTH, longest=LONGEST)
        document.title = "meanfield explore"
        self._go()

    # ---- what is on the page ---------------------------------------------------------------------------------------

    def _draw(self, view: View) -> None:
        look: dict[str, Any] = {"height": _HEIGHT, "sizing_mode": "stretch_width", "toolbar_location": None, "tools": ""}
        mark = ColumnDataSource({"x": [view.sigma_w], "y": [view.sigma_b]})
        dots = ColumnDataSource({"x": [], "y": [], "colour": []})
        marks = ColumnDataSource({"x": [], "y": [], "shape": [], "colour": [], "inside": []})

        plane = figure(name="plane", x_range=Range1d(*SIGMA_W), y_range=Range1d(*SIGMA_B), x_axis_label="σ_w", y_axis_label="σ_b", **look)
        colours = LogColorMapper("Viridis256", low=1.0, high=_LONGEST_SCALE, nan_color="#d4d4d4")
        corner = {"x": SIGMA_W[0], "y": SIGMA_B[0], "dw": SIGMA_W[1] - SIGMA_W[0], "dh": SIGMA_B[1] - SIGMA_B[0]}
        plane.add_glyph(self.cells, Image(image="image", color_mapper=colours, **corner))
        plane.add_layout(ColorBar(color_mapper=colours, ticker=LogTicker(), width=10, title="ξ_c"), "right")
        edges = _lines(plane)
        plane.add_glyph(dots, Scatter(size=9, fill_color="colour", line_color="white"))
        # On a canvas of its own, as it moves with every frame.
        ring = Scatter(size=18, fill_color="white", fill_alpha=0.6, line_color="black", line_width=3)
        plane.add_glyph(mark, ring, level="overlay")

        maps = figure(name="maps", x_axis_label="q, variance", y_axis_label="F(q)", x_range=Range1d(0, 2), y_range=Range1d(0, 2), **look)
        correlations = figure(
            name="correlations", x_axis_label="c, correlation", y_axis_label="f(c)", x_range=Range1d(0, 1), y_range=Range1d(0, 1.02), **look
        )
        trajectory = figure(
            name="trajectory", x_axis_label="layer", y_axis_type="log", x_range=Range1d(0, view.depth), y_range=Range1d(0.1, 10), **look
        )
        trajectory.yaxis.ticker.desired_num_ticks = 5
        models = {
            "plane": plane, "edge_lines": edges, "edge_dots": dots, "mark": mark, "maps": maps, "maps_lines": _lines(maps),
            "correlations": correlations, "correlation_lines": _lines(correlations), "trajectory": trajectory,
            "trajectory_lines": _lines(trajectory), "marks": marks, "asked": self.asked, "shown": self._shown(),
            **{f"told_{name}": source for name, source in self.told.items()},
        }  # fmt: skip
        trajectory.add_glyph(marks, Scatter(marker="shape", size=7, line_color="colour", fill_color="inside"))
        # What no figure draws belongs to the page too, or the browser never hears of its changes.
        plane.tags = [model for name, model in models.items() if name not in ("plane", "maps", "correlations", "trajectory")]
        with self.document.models.freeze():  # else each root would count all models again
            for root in (plane, maps, correlations, trajectory):
                self.document.add_root(root)
        self.document.js_on_event("document_ready", CustomJS(args=models, code=SCRIPT))

    def _shown(self) -> ColumnDataSource:
        """What stands on the page, for whoever watches it."""
        shown = ColumnDataSource({"query": [""], "plane": [""]}, name="shown")
        shown.on_change("data", lambda attribute, old, new: self.seen.set())
        return shown

    # ---- what happens ----------------------------------------------------------------------------------------------

    def _changed(self, attribute: str, old: Any, new: Any) -> None:
        """A view, as the query of its link: from a browser, so with the same care as a link."""
        asked = parse_qs(str(new["query"][0])[1:], keep_blank_values=True)
        found = view_from({name: [value.encode("utf-8", "replace") for value in values] for name, values in asked.items()}, self.wanted)
        self.wanted = View(found.activation.strip(), found.other.strip(), found.sigma_w, found.sigma_b, found.depth)
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
                    self._tell("points", words_told("message", str(error)))
                    continue
                self._tell("points", points_told(view, points))
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
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.seen.wait(), _UNSEEN)
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

        if self.advised not in (None, (view.activation, view.depth)):
            self._tell("advice", words_told("advice", _SOON))  # what stands there is of another formula or depth
        for formula in _formulas(view):
            if formula not in self.planes:
                try:
                    self.planes[formula] = await self._asked("plane_of", formula, wanted=wanted)
                except MeanFieldError as error:
                    self.planes[formula] = str(error)
        self._tell_plane(view)
        if self.advised != (view.activation, view.depth):
            try:
                advice = await self._asked("advice_for", view.activation, view.depth, wanted=wanted)
            except MeanFieldError as error:
                advice = f"No advice: {error}"
            self.advised = (view.activation, view.depth)
            self._tell("advice", words_told("advice", advice))

    async def _asked(self, task: str, *arguments: Any, wanted: Callable[[], bool]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, partial(self.ask, task, *arguments, wanted=wanted))

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def _tell(self, what: str, text: str) -> None:
        def in_turn() -> None:
            self.told[what].data = {"json": [text]}

        self.document.add_next_tick_callback(in_turn)

    def _tell_plane(self, view: View) -> None:
        planes = [self.planes[formula] for formula in _formulas(view)]
        image = planes[0].xi_c if isinstance(planes[0], Plane) else np.full((2, 2), np.nan)

        def in_turn() -> None:
            self.cells.data = {"image": [image]}

        self.document.add_next_tick_callback(in_turn)
        self._tell("plane", plane_told(view.activation, planes))


def _lines(where: Any) -> ColumnDataSource:
    """The lines of a figure: one source and one painter for all of them."""
    source = ColumnDataSource({name: [] for name in ("xs", "ys", "colour", "dash", "width", "alpha")})
    # The glyph itself: `multi_line` would make three more, for what is chosen, not chosen and pointed at.
    where.add_glyph(source, MultiLine(line_color="colour", line_width="width", line_alpha="alpha", line_dash=field("dash")))
    return source


def _formulas(view: View) -> list[str]:
    if not view.activation:
        raise MeanFieldError("type an activation: a name such as tanh, or a formula in x")
    return [view.activation, *([view.other] if view.other else [])]


def _whole(view: View) -> tuple[str, str, int]:
    """What the phase diagram and the advice depend on."""
    return view.activation, view.other, view.depth
