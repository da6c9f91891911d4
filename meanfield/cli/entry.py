"""From an argument list to an exit status."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from meanfield.cli.standard_output import ReaderGone
from meanfield.errors import MeanFieldError

if TYPE_CHECKING:
    import click

BAD_INPUT = 64  # EX_USAGE of sysexits.h
INPUT_OUTPUT = 74  # EX_IOERR
INTERRUPTED = 130  # what a shell reports after SIGINT
BROKEN_PIPE = 141  # what a shell reports after SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the program's name; ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        0, or 64 for bad input, 74 where output can't be written, 130 after Ctrl-C, 141 where the reader of a pipe went away.

    Examples
    --------
    >>> main(["eoc", "tanh", "--sigma-b", "-1"])
    64
    """
    _open_closed_streams()
    # A terminal that can't show σ gets a question mark, not a crash.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        with _plain_warnings():
            status = _run(list(sys.argv[1:] if arguments is None else arguments))
            sys.stdout.flush()
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except (ReaderGone, BrokenPipeError):
        # What is left in the buffer has nowhere to go; without this the interpreter would complain about it on exit.
        _discard(sys.stdout)
        return BROKEN_PIPE
    except MeanFieldError as error:
        _complain(f"error: {error}")
        return BAD_INPUT
    except OSError as error:
        _complain(f"error: {error}")
        _discard(sys.stdout)
        return INPUT_OUTPUT
    except Exception as error:
        if not _interrupted(error):
            raise
        _complain("interrupted")
        return INTERRUPTED
    return status


def _interrupted(error: BaseException | None) -> bool:
    """Whether a Ctrl-C is behind an error: while a class is made, Python 3.11 gives a RuntimeError for it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


def _run(arguments: list[str]) -> int:
    import click

    from meanfield.cli.application import application
    from meanfield.cli.completion import VARIABLE

    try:
        result = application.main(args=arguments, prog_name="meanfield", complete_var=VARIABLE, standalone_mode=False)
    except SystemExit as ended:  # a shell that asked what may follow; or click's own answer where nobody reads the help
        if VARIABLE in os.environ:
            return ended.code if isinstance(ended.code, int) else 0
        raise ReaderGone from None
    except (KeyError, ValueError):
        if not os.environ.get(VARIABLE):
            raise
        _complain(f"error: {VARIABLE} is set as a shell sets it that asks for completions, and its question can't be read; unset it")
        return BAD_INPUT
    except click.Abort:
        _complain("interrupted")
        return INTERRUPTED
    except click.ClickException as error:
        told = " ".join(error.format_message().split())  # a line, where click has one for each choice
        _complain(f"error: {told}{_hint(error, arguments)}")
        return BAD_INPUT
    return result if isinstance(result, int) else 0


def _hint(error: click.ClickException, arguments: Sequence[str]) -> str:
    option = getattr(error, "option_name", None) or ""
    if type(error).__name__ == "NoSuchOption" and not option.startswith("--") and "--" not in arguments:
        return "\nA formula that starts with '-' goes after '--', at the end: meanfield eoc --sigma-b 0:1:0.1 -- \"-x\""
    from meanfield.cli.application import COMMANDS

    command = next((f" {word}" for word in arguments if word in COMMANDS), "")
    return f"\nTry: meanfield{command} --help"


class _Closed(io.TextIOBase):
    """Stands for a standard output that was closed before the program began, as ``>&-`` does."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "standard output is closed")


def _open_closed_streams() -> None:
    """Python has None for a stream that is closed; what is said to a person then goes nowhere, what is asked for is an error."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (it stays open as long as the process)
    if sys.stdout is None:
        sys.stdout = _Closed()


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings as one line on stderr, without the source line that Python shows to programmers."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        _complain(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _complain(message: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"meanfield: {message}\n")
        sys.stderr.flush()


def _discard(stream: object) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]
