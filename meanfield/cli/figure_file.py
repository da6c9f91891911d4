"""Figures written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# No time of day in the file: the same numbers give the same bytes.
_METADATA: dict[str, dict[str, Any]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
FIGURES = tuple(_METADATA)


def figure_path(text: str | None) -> Path | None:
    """The path that ``-o`` names, checked before any work is done; None where it is left out.

    Examples
    --------
    >>> figure_path("curve.png").name
    'curve.png'
    """
    if text is None:
        return None
    path = Path(text)
    if path.suffix.lower() not in FIGURES:
        raise DomainError(f"-o {text!r} has the suffix {path.suffix!r}; a figure's file ends in {', '.join(FIGURES)}")
    if path.is_dir():
        raise DomainError(f"-o {text!r} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise DomainError(f"-o {text!r}: there is no folder {str(path.parent)!r}")
    return path


def write_figure(axes: Axes, path: Path) -> None:
    """Write the figure of ``axes`` beside its place and move it there, so that a reader never meets half a file."""
    import matplotlib as mpl

    from meanfield.cli.progress_log import say_written

    place = path.resolve()  # through a link, to the file that it names
    draft = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    suffix = path.suffix.lower()
    try:
        with open(draft, "xb") as stream, mpl.rc_context({"svg.hashsalt": "meanfield"}):
            axes.figure.figure.savefig(stream, format=suffix[1:], dpi=300, metadata=_METADATA[suffix])
        os.replace(draft, place)
    except BaseException as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        if isinstance(error, OSError) and error.errno is not None:  # of the file that was asked for, not of the draft
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    say_written(path)
