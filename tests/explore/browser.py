"""Headless Chromium, spoken to by its own protocol: typing, dragging, pictures, what the console says."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip
KEYS = {"Enter": 13, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Backspace": 8}


def chromium() -> str | None:
    """Its path, or None."""
    return os.environ.get("MEANFIELD_CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


_WATCH = """(() => {
  if (!window.Bokeh || !Bokeh.documents.length) return false
  const shown = Bokeh.documents[0].get_model_by_name('shown')
  if (!shown || !shown.data.query[0]) return false
  if (window.shown) return true
  window.shown = shown
  for (const kind of ['input', 'pointermove', 'mousemove', 'keydown'])
    window.addEventListener(kind, () => { window.asked ||= performance.now() }, true)
  shown.properties.data.change.connect(() => requestAnimationFrame(() => requestAnimationFrame(() => {
    if (window.asked && shown.data.query[0] !== window.before) window.pictured ||= performance.now()
  })))
  return true
})()"""


def _view(name: str) -> str:
    return f"Bokeh.index.get_by_id(Bokeh.documents[0].get_model_by_name('{name}').id)"


class Browser:
    """One window of a Chromium of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp()
        path = chromium()
        assert path
        self._process = subprocess.Popen(
            [path, *FLAGS, f"--user-data-dir={self._folder}", "about:blank"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        port_file = Path(self._folder) / "DevToolsActivePort"
        until(port_file.exists, 60)
        until(lambda: len(port_file.read_text().split()) > 1, 10)
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as reply:
            page = next(target for target in json.load(reply) if target["type"] == "page")
        from tornado.ioloop import IOLoop
        from tornado.websocket import websocket_connect

        self._loop = IOLoop(make_current=False)
        address = page["webSocketDebuggerUrl"]
        self._socket = self._loop.run_sync(lambda: websocket_connect(address, max_message_size=1 << 28))
        self._count = 0
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """One command; what the console says meanwhile is kept."""
        self._count += 1
        number = self._count

        async def exchange() -> Any:
            await self._socket.write_message(json.dumps({"id": number, "method": method, "params": parameters}))
            while True:
                text = await self._socket.read_message()
                assert text is not None, "Chromium has gone"
                message = json.loads(text)
                self._note(message)
                if message.get("id") == number:
                    return message

        message = self._loop.run_sync(exchange, timeout=60)
        assert "error" not in message, message
        return message["result"]

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(message["params"]["exceptionDetails"])[:500])
        if message.get("method") == "Runtime.consoleAPICalled" and message["params"]["type"] in ("error", "assert"):
            self.complaints.append(" ".join(str(part.get("value", part.get("description"))) for part in message["params"]["args"])[:500])
        if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.complaints.append(message["params"]["entry"]["text"] + " " + message["params"]["entry"].get("url", ""))

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, promises awaited."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def look_like(self, width: int, height: int, dark: bool = False, touch: bool = False) -> None:
        """Size, colour scheme, finger or mouse."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url: str) -> None:
        """Go there; the page may still be filling."""
        self.call("Page.navigate", url=url)

    def mouse(self, kind: str, x: float, y: float) -> None:
        """One of mousePressed, mouseMoved, mouseReleased."""
        pressed = {"button": "left", "buttons": 1, "clickCount": 1} if kind != "mouseReleased" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **pressed)

    def key(self, name: str) -> None:
        """A key that is no letter."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=KEYS[name])

    def type(self, text: str) -> None:
        """Text where the focus is."""
        self.call("Input.insertText", text=text)

    def picture(self, path: Path, whole: bool = True) -> None:
        """A screenshot."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    # ---- the page of mf.explore ------------------------------------------------------------------------------------

    def watch(self, seconds: float = 120) -> None:
        """Wait for the first picture; from then on the page notes when an input came and when its picture stood."""
        until(lambda: self.ask(_WATCH), seconds, "the first picture")

    def query(self) -> str:
        """The view whose picture stands."""
        return str(self.ask("window.shown.data.query[0]"))

    def timed(self, act: Any, seconds: float = 60) -> float:
        """Milliseconds from the input event that `act` makes to the picture that it brings."""
        self.ask("window.before = window.shown.data.query[0]; window.asked = window.pictured = 0")
        act()
        until(lambda: self.ask("window.asked && window.pictured"), seconds, "a picture")
        return float(self.ask("window.pictured - window.asked"))

    def text(self, name: str) -> str:
        """What a part of the page says, as markup."""
        return str(self.ask(f"document.getElementById('{name}').innerHTML"))

    def value(self, name: str) -> float:
        """Where a slider stands."""
        return float(self.ask(f"Number(document.getElementById('{name}').value)"))

    def box(self, name: str) -> tuple[float, float, float, float]:
        """Where a figure lies: left, top, width, height."""
        left, top, width, height = self.ask(
            f"(() => {{ const b = {_view(name)}.el.getBoundingClientRect(); return [b.left, b.top, b.width, b.height] }})()"
        )
        return left, top, width, height

    def focus(self, name: str) -> None:
        """Put the keyboard on a widget; what a text field holds is selected."""
        self.ask(
            f"(() => {{ const field = document.getElementById('{name}'); field.focus(); if (field.type == 'text') field.select() }})()"
        )

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._loop.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def until(true: Any, seconds: float, what: str = "it") -> None:
    """Wait for something, or fail."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what} did not come within {seconds} s"
        time.sleep(0.02)
