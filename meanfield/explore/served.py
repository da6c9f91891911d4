"""The page's server: on this machine only, its connections checked for where they come from."""

from __future__ import annotations

import contextlib
import html
import importlib.util
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError, MeanFieldError
from meanfield.explore.view import View, view_from

if TYPE_CHECKING:
    from meanfield.activations import Activation
    from meanfield.explore.worker import Worker

ADDRESS = "127.0.0.1"


def explore(activation: Any = None, *, port: int = 0, open_browser: bool | None = None) -> Exploration:
    """An interactive page in the browser: a point of the phase diagram, and what a network there does, live.

    Type a formula, drag σ_w and σ_b; F and f with their cobwebs, the way through the layers, the depth scales, the verdict and the
    lines to paste follow. The page is served by this process, on 127.0.0.1 only, until it ends; `Exploration.wait` keeps a script alive.
    Formulas typed there are parsed by `meanfield.activation`, and computed in a process of their own within a budget of time.

    Parameters
    ----------
    activation : str, callable or Activation, optional
        Anything `meanfield.activation` accepts; tanh where it is left out.
    port : int
        0, a free one, or in [1, 65535].
    open_browser : bool, optional
        Whether to open it there; by default not in a notebook, which shows the page where the result is displayed.

    Returns
    -------
    Exploration
        With ``url``, ``wait()`` and ``close()``.

    Raises
    ------
    MeanFieldError
        If Bokeh is not installed, or the port is taken.
    ActivationError
        If the activation can't be understood.
    DomainError
        If the port is out of range.

    Examples
    --------
    >>> import meanfield as mf
    >>> page = mf.explore("x*tanh(exp(x))", open_browser=False)  # doctest: +SKIP
    >>> page.url  # doctest: +SKIP
    'http://127.0.0.1:40123/?phi=x%2Atanh%28exp%28x%29%29&sigma_w=1.3&sigma_b=0.2&depth=50'
    >>> page.close()  # doctest: +SKIP
    """
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise DomainError(f"port = {port!r} is out of range: it must be a whole number in [0, 65535]")
    # Looked up, not imported: that takes a second, in which the worker can load its kernels.
    if importlib.util.find_spec("bokeh") is None:
        raise MeanFieldError('explore needs bokeh, which can\'t be imported here: pip install "meanfield-nets[explore]"')
    from meanfield.explore.worker import Worker

    worker = Worker()  # it loads its kernels while this process reads the formula and makes the server
    try:
        view, given = _beginning(activation)
        page = Exploration(view, given, port, worker)
    except BaseException:
        worker.close()
        raise
    if open_browser or (open_browser is None and not _in_notebook()):
        import webbrowser

        webbrowser.open(page.url)
    return page


def _beginning(activation: Any) -> tuple[View, dict[str, Activation]]:
    """What the page begins with, and functions of the caller's own, by name."""
    if activation is None:
        return View(), {}
    from meanfield.activations import activation as find

    found = find(activation)
    return (View(activation), {}) if isinstance(activation, str) else (View(found.name), {found.name: found})


class Exploration:
    """A page that is being served.

    Attributes
    ----------
    url : str
        Where.
    """

    def __init__(self, view: View, given: dict[str, Activation], port: int, worker: Worker) -> None:
        from meanfield.explore.worker import Worker

        self._view, self._given = view, given
        # Points, which must be there at once, and what takes longer.
        self._workers: tuple[Worker, Worker] = (worker, Worker(at_once=False, warm=False))
        self._started = threading.Event()
        self._failure: Exception | None = None
        self._loop: Any = None
        self._port = port
        self._thread = threading.Thread(target=self._serve, name="meanfield explore", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._close_workers()
            raise MeanFieldError(f"the page can't be served on port {port}: {self._failure}") from self._failure
        self.url = f"http://{ADDRESS}:{self._port}/{view.query}"

    def _serve(self) -> None:
        import asyncio

        from tornado.ioloop import IOLoop

        asyncio.set_event_loop(asyncio.new_event_loop())
        self._loop = IOLoop.current()
        try:
            # The port must be known before the server is made: it takes no connections but from a page of its own.
            bound = socket.create_server((ADDRESS, self._port))
            bound.setblocking(False)
            self._port = bound.getsockname()[1]
            server = _server(self._document, self._loop, [bound], [f"{ADDRESS}:{self._port}", f"localhost:{self._port}"])
        except Exception as error:
            self._failure = error
            return
        finally:
            self._started.set()
        self._loop.start()
        with contextlib.suppress(Exception):
            server.stop()

    def _document(self, document: Any) -> None:
        from meanfield.explore.page import Page

        arguments = document.session_context.request.arguments
        Page(document, view_from(arguments, self._view), self._ask)

    def _ask(self, task: str, formula: str, *arguments: Any, wanted: Any) -> Any:
        """A function of the caller's own is computed here, as it can't be sent; what is typed in the page goes to the worker."""
        if formula in self._given:
            from meanfield.explore.worker import answer

            return answer(task, (self._given[formula], *arguments))
        return self._workers[task != "point_of"].ask(task, formula, *arguments, wanted=wanted)

    def wait(self) -> None:
        """Serve until Ctrl-C, or `close` from another thread."""
        try:
            while self._thread.is_alive():
                self._thread.join(0.5)
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """End the page; it may be called twice."""
        self._close_workers()
        if self._thread.is_alive():
            self._loop.add_callback(self._loop.stop)
            self._thread.join(5.0)

    def _close_workers(self) -> None:
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> Exploration:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<meanfield explore at {self.url}>"

    def _repr_html_(self) -> str:
        address = html.escape(self.url)
        return f'<iframe src="{address}" width="100%" height="900" style="border:0"></iframe><p><a href="{address}">{address}</a></p>'


def _server(document: Callable[[Any], None], loop: Any, sockets: list[Any], origins: list[str]) -> Any:
    """A Bokeh server on open sockets, which it takes over."""
    from bokeh.application import Application
    from bokeh.application.handlers.function import FunctionHandler
    from bokeh.server.server import BaseServer
    from bokeh.server.tornado import BokehTornado
    from tornado.httpserver import HTTPServer

    pages = BokehTornado(
        {"/": Application(FunctionHandler(document))},
        extra_websocket_origins=origins,
        check_unused_sessions_milliseconds=5000,
        unused_session_lifetime_milliseconds=30000,
    )
    # Without the scripts for widgets, tables, formulas and WebGL, which are most of what a browser would have to read.
    every = pages.resources
    pages.resources = lambda absolute_url=None: every(absolute_url).clone(components=["bokeh"])
    http = HTTPServer(pages)
    http.add_sockets(sockets)
    server = BaseServer(loop, pages, http)
    server.start()
    return server


def _in_notebook() -> bool:
    """Whether a notebook's kernel runs this."""
    import sys

    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"
