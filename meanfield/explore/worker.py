"""A process that computes what the page shows, and is ended when a formula takes too long.

A thread can't be stopped while it works, a process can. Formulas reach it as text and go through `meanfield.activation` there; what
comes back is pickled by our own code. The process is started as a program of its own rather than forked: a fork of a process with
threads may hang, and multiprocessing would run a caller's script again.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import select
import selectors
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from io import BufferedReader
from typing import Any, BinaryIO, cast

from meanfield.errors import ActivationError, MeanFieldError

BUDGET = 4.0  # seconds of computing for one answer, compiling of kernels left out
_PATIENCE = 8  # times the budget that an answer may take on a busy machine
_STALE = 0.5  # seconds that a question nobody waits for any more may take
_POLL = 0.05
_MEMORY = 8 << 30  # bytes of address space, where the system can limit it
_ENDED = "the process that computes ended; it is being started anew"
_TASKS = ("point_of", "plane_of", "advice_for")
_BEHIND = 19  # steps of priority that a process gives up which makes nothing ready for the next point
_QUIET = 1.0  # seconds without a question before the process works for itself: until then the browser draws
# While nobody asks: kernels and functions that the first picture doesn't need, and the next ones do.
_WARMING = (
    ("tanh", 1.5, 0.1, 50),
    ("tanh", 2.4, 0.3, 50),
    ("relu", 1.5, 0.1, 50),
    ("x*erf(x)", 1.2, 0.1, 20),
    ("x + cos(2*x)", 1.2, 0.4, 20),
)
_PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from meanfield.explore.worker import serve; serve(len(sys.argv) > 2)"


class TooSlow(MeanFieldError):
    """A formula that took longer than its budget of time."""


class Superseded(Exception):
    """Nobody waits for the answer any more."""


class Worker:
    """Answers questions one at a time, each within a budget of time.

    Parameters
    ----------
    budget : float
        Seconds of processor time for one answer (of the clock, where the system doesn't tell).
    at_once : bool
        Whether its process starts now, not with the first question.
    warm : bool
        Whether it makes ready for other points while nobody asks.
    """

    def __init__(self, budget: float = BUDGET, at_once: bool = True, warm: bool = True) -> None:
        self.budget, self.warm = budget, warm
        self._lock = threading.Lock()
        self._process = _Process(warm) if at_once else None
        self._closed = False

    def ask(self, task: str, *arguments: Any, wanted: Callable[[], bool] = lambda: True) -> Any:
        """The answer of ``point_of``, ``plane_of`` or ``advice_for``.

        Parameters
        ----------
        task : str
        *arguments
            Text and numbers.
        wanted : callable
            Asked now and then; the process is ended soon after it says False.

        Raises
        ------
        MeanFieldError
            What the task raised; `TooSlow` where it took longer than the budget.
        Superseded
            If the answer was no longer wanted.
        """
        with self._lock:
            if self._closed:
                raise MeanFieldError("the page is closed")
            process = self._process = self._process or _Process(self.warm)
            try:
                answer = process.ask(task, arguments, self.budget, wanted)
            except BaseException:
                # Its answer, should it come, would be taken for the next one's.
                process.end()
                self._process = None if self._closed else _Process(self.warm)
                raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End the process."""
        self._closed = True
        if self._process is not None:
            self._process.end()


class _Process:
    def __init__(self, warm: bool) -> None:
        # A session of its own: Ctrl-C is for the page, which ends this process.
        command = [sys.executable, "-c", _PROGRAM, json.dumps(sys.path), *["warm"] * warm]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self._ready = False

    def ask(self, task: str, arguments: tuple[Any, ...], budget: float, wanted: Callable[[], bool]) -> Any:
        while not self._ready:
            self._ready = self._message(None, lambda: True) == "ready"
        assert self._process.stdin is not None
        try:
            _write(self._process.stdin, (task, arguments))
        except OSError:
            raise MeanFieldError(_ENDED) from None
        while self._message(None, lambda: True) != "begun":  # what it still warms, and compiles for that, is no fault of the formula
            pass
        while True:
            answer = self._message(budget, wanted)
            if answer == "compiling":  # once for each installation: no fault of the formula
                budget = 300.0
                continue
            return answer

    def _message(self, budget: float | None, wanted: Callable[[], bool]) -> Any:
        pipe = cast(BufferedReader, self._process.stdout)
        begun, used = time.monotonic(), _processor_time(self._process.pid)
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while not selector.select(_POLL):
                waited = time.monotonic() - begun
                worked = waited if used is None else (_processor_time(self._process.pid) or 0.0) - used
                if budget is not None and (worked > budget or waited > _PATIENCE * budget):
                    raise TooSlow(f"this takes longer than {budget:g} s and was given up; the page stays as it was")
                if budget is not None and worked > _STALE and not wanted():
                    raise Superseded
        try:
            return _read(pipe.raw)  # past the buffer: of a message that waits in it the selector knows nothing
        except EOFError:
            raise MeanFieldError(_ENDED) from None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def _processor_time(pid: int) -> float | None:
    """Seconds that a process has computed: what other programs take of the machine is not a formula's fault. None where unknown."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _write(pipe: BinaryIO | Any, message: Any) -> None:
    body = pickle.dumps(message)
    pipe.write(struct.pack("!Q", len(body)) + body)
    pipe.flush()


def _read(pipe: BinaryIO | Any) -> Any:
    (length,) = struct.unpack("!Q", _exactly(pipe, 8))
    return pickle.loads(_exactly(pipe, length))


def _exactly(pipe: BinaryIO | Any, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        more = pipe.read(count - len(found))
        if not more:
            raise EOFError
        found += more
    return bytes(found)


def serve(warm: bool) -> None:
    """The process's own program: answer what comes in on stdin until it is closed."""
    with contextlib.suppress(BrokenPipeError, EOFError):  # the page has ended
        _serve(warm)


def _serve(warm: bool) -> None:
    import logging
    import warnings

    warnings.simplefilter("ignore")
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not stand between the answers
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (ImportError, ValueError, OSError):  # no such limit here
        pass

    class Compiling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            _write(answers, "compiling")

    from meanfield.explore.point import point_of
    from meanfield.jit import announce_again

    if not warm and hasattr(os, "nice"):
        os.nice(_BEHIND)  # what computes behind the page gives way to the page, and to the browser
    point_of("tanh", 1.3, 0.2, 50)  # loads the kernels that every question needs
    _write(answers, "ready")
    logger = logging.getLogger("meanfield")
    logger.addHandler(Compiling())
    logger.setLevel(logging.INFO)
    warming: list[tuple[Any, ...]] = []
    while True:
        pause = _QUIET
        while warming and not _asked(pause):
            pause = 0.0
            with contextlib.suppress(Exception):  # nobody has asked for it
                answer("point_of", warming.pop(0))
        task, arguments = _read(sys.stdin.buffer)
        _write(answers, "begun")
        announce_again()
        try:
            message = answer(task, arguments)
        except MeanFieldError as error:
            message = error
        except (MemoryError, RecursionError):
            message = ActivationError("this formula is too large to be computed")
        except Exception as error:  # a defect of ours: said on the page, and the page lives on
            message = MeanFieldError(f"this could not be computed: {type(error).__name__}: {error}")
        _write(answers, message)
        if warm:  # not before the first picture, which needs the processors for itself
            warming, warm = list(_WARMING), False


def _asked(seconds: float) -> bool:
    """Whether a question comes within that time; True where the system doesn't tell."""
    try:
        return bool(select.select([sys.stdin.buffer], [], [], seconds)[0])
    except (OSError, ValueError):
        return True


def _leave_with(parent: int) -> None:
    """End with the page's process, in the middle of a question too."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


def answer(task: str, arguments: tuple[Any, ...]) -> Any:
    """What a task gives.

    Examples
    --------
    >>> answer("advice_for", ("relu", 10))[:12]
    'At 10 layers'
    """
    from meanfield.explore import plane, point

    if task not in _TASKS:
        raise MeanFieldError(f"no task {task!r}")
    return getattr(point if task == "point_of" else plane, task)(*arguments)
