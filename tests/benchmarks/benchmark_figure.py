"""The figure of docs/benchmarks.md: error against time, a panel for each kind of work, a marker for each method."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from meanfield.plot.line_styles import MARKERS, shades
from tests.benchmarks import against_peers
from tests.benchmarks.against_peers import AGAIN, ERROR, by
from tests.benchmarks.record import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR, CEILING = 1e-16, 1.0  # an error of 0 is drawn at the floor, one above 1 at the ceiling
PANELS = {
    "E[φ²] of": "E[φ²]",
    "E[φ'²] of": "E[φ'²]",
    "E[φ(u)φ(v)] of": "E[φ(u)φ(v)], 1000 c",
    "1 − c over": "1000 layers on the edge",
    "edge of chaos of": "edge of chaos, 101 points",
    "phase diagram of": "phase diagram, 64 × 64",
}


def points(run: Run, begins: str, method: str) -> list[tuple[float, float, bool]]:
    """Time, error, and whether that is a closed form, of a method in every row of a panel."""
    found = run.found
    chosen = []
    for m in run.measurements:
        if m.section == against_peers.SECTION and m.what.startswith(begins) and m.how == by(method, AGAIN):
            error = found[m.section, m.what, by(method, ERROR)].value
            if math.isfinite(error):
                chosen.append((m.value, min(max(error, FLOOR), CEILING), m.note.startswith("closed form")))
    return chosen


def draw(run: Run) -> Figure:
    """Six panels; lower left is better."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullFormatter

    methods = list(dict.fromkeys(m.how.partition(":")[0] for m in run.measurements if m.section == against_peers.SECTION))
    methods.sort(key=lambda name: name != "meanfield")
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    grid = figure.subplots(2, 3, sharey=True)
    colours = shades(len(methods) + 1)  # the palest is too pale for a hollow marker
    handles: list[Any] = []
    for axes, (begins, title) in zip(grid.flat, PANELS.items(), strict=True):
        for number, method in enumerate(methods):
            ours = method == "meanfield"
            style: dict[str, Any] = {
                "marker": MARKERS[number % len(MARKERS)],
                "color": colours[number],
                "linestyle": "none",
                "clip_on": False,
            }
            for time, error, closed in points(run, begins, method):
                fill = colours[number] if ours else "0.75" if closed else "none"
                axes.plot(time, error, markerfacecolor=fill, markersize=5.5 if ours else 5, **style)
            if axes is grid[0, 0]:
                fill = colours[number] if ours else "none"
                handles.append(Line2D([], [], markerfacecolor=fill, markersize=5, label=method, **style))
        axes.set(xscale="log", yscale="log", ylim=(0.3 * FLOOR, 3 * CEILING))
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(LogLocator(numticks=5))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
    for axes in grid[:, 0]:
        axes.set_ylabel("largest relative error", fontsize=8)
    for axes in grid[1]:
        axes.set_xlabel("seconds, second call", fontsize=8)
    if any(closed for begins in PANELS for method in methods for _, _, closed in points(run, begins, method)):
        grey: dict[str, Any] = {"marker": "D", "color": "0.4", "markerfacecolor": "0.75", "linestyle": "none", "markersize": 5}
        handles.append(Line2D([], [], label="grey: closed form", **grey))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False, handletextpad=0.2)
    return figure
