"""The one place that writes to stdout."""

from __future__ import annotations

import sys

_PIECE = 1 << 14


class ReaderGone(Exception):
    """The other end of the pipe was closed, as ``head`` does. No error: the reader has what it wanted."""


def write_out(text: str) -> None:
    """Write ``text`` to stdout at once, so that a failure to write is met here.

    Raises
    ------
    ReaderGone
        Where nobody reads. (A BrokenPipeError would be answered by the argument parser, with another exit status.)

    Examples
    --------
    >>> write_out("σ_w\\n")
    σ_w
    """
    try:
        # Piece by piece: with PYTHONUNBUFFERED set, Python does not notice that one large write was cut short.
        for start in range(0, len(text), _PIECE):
            sys.stdout.write(text[start : start + _PIECE])
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None
