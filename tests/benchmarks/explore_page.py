"""The page of ``mf.explore`` in headless Chromium: how long from input to picture, and from the command to the first picture.

``python -m tests.benchmarks.explore_page [FOLDER]``: prints a line for each interaction; with a folder, pictures of the page too.
It needs bokeh and a Chromium. Times are taken in the browser: from the input event to the second frame behind the change of the figures.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.explore.browser import Browser, until

FORMULAS = ("relu", "silu", "x*tanh(exp(x))", "erf(x)", "max(x, 0.1*x)", "gelu", "x*sigmoid(1.7*x)", "sin(x)")


def main(words: list[str]) -> int:
    """Measure, and print."""
    folder = Path(words[0]) if words else None
    browser = Browser()  # a person's is open already
    browser.look_like(1280, 900)
    begun = time.perf_counter()
    command = [sys.executable, "-m", "meanfield", "explore", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        url = program.stdout.readline().strip()
        served = time.perf_counter() - begun
        browser.open(url)
        browser.watch()
        first = time.perf_counter() - begun
        until(lambda: browser.ask("window.shown.data.plane[0]") == "tanh", 60, "the phase diagram")
        print(f"start: served after {served:.2f} s, picture after {first:.2f} s, phase diagram after {time.perf_counter() - begun:.2f} s")
        try:
            times = interactions(browser)
            complaints = list(browser.complaints)  # before the server goes
            if folder:
                folder.mkdir(parents=True, exist_ok=True)
                browser.picture(folder / "page.png")
        finally:
            program.terminate()
    for what, milliseconds in times:
        print(f"{milliseconds:7.0f} ms  {what}")
    ordered = sorted(milliseconds for _, milliseconds in times)
    print(f"{len(ordered)} interactions: median {ordered[len(ordered) // 2]:.0f} ms, largest {ordered[-1]:.0f} ms")
    print("console:", complaints or "no errors")
    browser.close()
    return 0


def interactions(browser: Browser) -> list[tuple[str, float]]:
    """Thirty: steps of a drag, keys on a slider, formulas."""
    found = []
    x0, y0, width, height = browser.box("plane")

    def at(across: float, up: float) -> tuple[float, float]:
        return x0 + (0.2 + 0.5 * across) * width, y0 + (0.7 - 0.6 * up) * height

    browser.mouse("mousePressed", *at(0.5, 0.3))
    for step in range(12):
        where = at(0.1 + 0.08 * step, 0.2 + 0.05 * step)
        found.append((f"drag, step {step + 1}", browser.timed(lambda where=where: browser.mouse("mouseMoved", *where))))
    browser.mouse("mouseReleased", *at(0.98, 0.75))
    for name, key in (("sigma_w", "ArrowLeft"), ("sigma_b", "ArrowLeft"), ("depth", "ArrowRight")):
        browser.focus(name)
        for step in range(3):
            found.append((f"{key} on {name}, {step + 1}", browser.timed(lambda key=key: browser.key(key))))
    for formula in FORMULAS:
        browser.focus("formula")
        found.append((f"typed {formula}", browser.timed(lambda formula=formula: browser.type(formula))))
        # The phase diagram of this one is not part of the next one's time.
        until(lambda formula=formula: browser.ask("window.shown.data.plane[0]") == formula, 60, "the phase diagram")
    browser.focus("other")
    found.append(("typed relu beside it", browser.timed(lambda: browser.type("relu"))))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
