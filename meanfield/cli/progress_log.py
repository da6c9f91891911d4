"""What the library says while it works, on stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path


def show_progress(verbose: bool) -> None:
    """Show the library's INFO lines on stderr: to a person at a terminal, or to whoever asks for them.

    Examples
    --------
    >>> show_progress(verbose=False)
    """
    if not (verbose or sys.stderr.isatty()):
        return
    logger = logging.getLogger("meanfield")
    if not any(isinstance(handler, _Lines) for handler in logger.handlers):
        logger.addHandler(_Lines())
    logger.setLevel(logging.INFO)


def say_written(path: Path) -> None:
    """Name a file that was written, on stderr."""
    with contextlib.suppress(OSError):  # the file is there, told or not
        sys.stderr.write(f"meanfield: wrote {path}\n")
        sys.stderr.flush()


class _Lines(logging.Handler):
    """One line each, to the stderr of the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"meanfield: {self.format(record)}\n")
        sys.stderr.flush()
