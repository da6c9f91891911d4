"""A headless Chromium, spoken to through its debugging pipe, with the standard library alone."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time

import pytest

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(BINARY is None or os.name == "nt", reason="no Chromium here: the page's look was NOT tested")


class Chromium:
    """One page. `complaints` collects what the console says."""

    def __init__(self, profile):
        own_in, self._out = os.pipe()
        self._in, own_out = os.pipe()
        self._buffer, self._count, self.complaints, self._events = b"", 0, [], []
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe"]

        # The browser reads from its descriptor 3 and writes to its descriptor 4; a shell puts ours there.
        script = f'exec "$0" "$@" 3<&{own_in} 4>&{own_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, BINARY, *flags, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(own_in, own_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(own_in)
        os.close(own_out)
        self._session = None
        target = next(t for t in self._ask("Target.getTargets")["targetInfos"] if t["type"] == "page")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def open(self, path, width, height=900, scheme="light", media="screen"):
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if width < 600 else 1, mobile=width < 600
        )
        self._ask("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._events = []
        self._ask("Page.navigate", url=path.as_uri())
        self._until(lambda: "Page.loadEventFired" in self._events)

    def evaluate(self, expression):
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, path):
        data = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def pdf(self, path):
        path.write_bytes(base64.b64decode(self._ask("Page.printToPDF", printBackground=False)["data"]))

    def close(self):
        with contextlib.suppress(OSError, TimeoutError, ConnectionError, AssertionError):
            self._session = None
            self._ask("Browser.close")
        os.close(self._out)
        os.close(self._in)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, method, **parameters):
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answers = {}
        self._until(lambda: self._count in answers, answers)
        answer = answers[self._count]
        assert "error" not in answer, answer
        return answer.get("result", {})

    def _until(self, done, answers=None):
        end = time.monotonic() + 60
        while not done():
            while b"\0" not in self._buffer:
                ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
                if not ready:
                    raise TimeoutError("Chromium does not answer")
                piece = os.read(self._in, 1 << 16)
                if not piece:
                    raise ConnectionError("Chromium went away")
                self._buffer += piece
            raw, _, self._buffer = self._buffer.partition(b"\0")
            message = json.loads(raw)
            if "id" in message:
                if answers is not None:
                    answers[message["id"]] = message
                continue
            self._events.append(message["method"])
            if message["method"] in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                self.complaints.append(message["params"])
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("file:", "data:", "about:")):
                    self.complaints.append(url)
