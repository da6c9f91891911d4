"""Figures written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanfield.errors import DomainError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# No time of day in the file: the same numbers give the same bytes.
_METADATA: dict[str, dict[str, Any]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def figure_path(text: str) -> Path:
    """The path that ``-o`` names, checked before any work is done.

    Examples
    --------
    >>> figure_path("curve.png").name
    'curve.png'
    """
    path = Path(text)
    if path.suffix.lower() not in _METADATA:
        raise DomainError(f"-o {text!r} has the suffix {path.suffix!r}; a figure's file ends in {', '.join(_METADATA)}")
    if path.is_dir():
        raise DomainError(f"-o {text!r} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise DomainError(f"-o {text!r}: there is no folder {str(path.parent)!r}")
    return path


def write_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` beside its place and move it there, so that a reader never meets half a file."""
    import matplotlib as mpl

    place = path.resolve()  # through a link, to the file that it names
    draft = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    suffix = path.suffix.lower()
    try:
        with open(draft, "xb") as stream, mpl.rc_context({"svg.hashsalt": "meanfield"}):
            figure.savefig(stream, format=suffix[1:], dpi=300, metadata=_METADATA[suffix])
        os.replace(draft, place)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
