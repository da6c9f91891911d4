"""Tables for people."""

from __future__ import annotations

import math
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

from meanfield.cli.standard_output import write_out

_ABSENT = "—"
_GAP = "  "
_JOINED = "\u2007=\u2007"  # figure spaces, at which textwrap does not break
_NARROWEST = 24  # the least width worth folding words to
# For a terminal or file that knows ASCII only.
_PLAIN = str.maketrans(
    {
        "σ": "sigma",
        "χ": "chi",
        "φ": "phi",
        "ξ": "xi",
        "∇": "grad",
        "∞": "inf",
        "₁": "1",
        "≥": ">=",
        "≤": "<=",
        "√": "sqrt",
        "′": "'",
        "·": "*",
        "−": "-",
        "—": "-",
    }
)


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str] = (), *, together: int = 1) -> None:
    """Print a table on stdout; numbers to the right, words to the left.

    The last column and the notes are folded to the terminal's width; columns that still don't fit go below, each time behind the
    first column, and ``together`` of them are never parted. Into a pipe or a file the width is that of the variable COLUMNS, or 80:
    --json and --csv are for machines.

    Examples
    --------
    >>> print_table("Squares", ["x", "kind"], [["1", "odd"], ["10", "even"]], notes=["All are whole."])
    Squares
    <BLANKLINE>
     x  kind
    ────────
     1  odd
    10  even
    <BLANKLINE>
    All are whole.
    """
    plain = not (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    terminal = page_width()

    def shown(words: Sequence[str]) -> list[str]:
        return [word.translate(_PLAIN) for word in words] if plain else list(words)

    table = [shown(row) for row in rows]
    header, (title, *notes) = shown(header), shown([title, *notes])
    columns = list(zip(*table, strict=True)) if table else [() for _ in header]
    numeric = [all(_is_number(cell) for cell in column) for column in columns]
    natural = [max([len(name), *map(len, column)]) for name, column in zip(header, columns, strict=True)]
    widths = natural if numeric[-1] else [*natural[:-1], min(natural[-1], _NARROWEST)]
    title, notes = _folded(title, terminal), [_folded(note, terminal) for note in notes]

    lines = [title]
    for part in _parts(widths, terminal, together):
        wide, right = [natural[i] for i in part], [numeric[i] for i in part]
        if not right[-1]:
            available = terminal - sum(wide[:-1]) - len(_GAP) * (len(wide) - 1)
            wide[-1] = min(wide[-1], max(available, _NARROWEST))
        head = _line([header[i] for i in part], wide, right)
        lines += ["", head, ("-" if plain else "─") * (sum(wide) + len(_GAP) * (len(wide) - 1))]
        for row in table:
            lines += _row([row[i] for i in part], wide, right)
    if notes:
        lines += ["", *notes]
    write_out("\n".join(lines) + "\n")


def page_width() -> int:
    """Columns of the terminal, or of a page: COLUMNS where it is set, 80 where nobody says.

    Examples
    --------
    >>> page_width() >= 1
    True
    """
    return max(shutil.get_terminal_size().columns, 1)


def _parts(widths: Sequence[int], terminal: int, together: int) -> list[list[int]]:
    """The columns of each table: all of them, or as many behind the first as the terminal has room for.

    Examples
    --------
    >>> _parts([5, 10, 10, 10], 30, 1)
    [[0, 1, 2], [0, 3]]
    """
    parts = [[0]]
    for start in range(1, len(widths), together):
        group = list(range(start, min(start + together, len(widths))))
        extended = [*parts[-1], *group]
        wide = sum(widths[i] for i in extended) + len(_GAP) * (len(extended) - 1)
        if len(parts[-1]) > 1 and wide > terminal:
            parts.append([0, *group])
        else:
            parts[-1] = extended
    return parts


def _row(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    """One row's lines: more than one where words in the last column are folded."""
    first, *more = [cells[-1]] if numeric[-1] else textwrap.wrap(cells[-1], widths[-1]) or [""]
    empty = [""] * (len(cells) - 1)
    return [_line([*cells[:-1], first], widths, numeric), *(_line([*empty, rest], widths, numeric) for rest in more)]


def _folded(text: str, terminal: int) -> str:
    # "q = 0.16" stays on one line.
    whole = text.replace(" = ", _JOINED)
    return textwrap.fill(whole, max(terminal, _NARROWEST)).replace(_JOINED, " = ")


def number(value: float) -> str:
    """A number to the ten digits that a person compares.

    Examples
    --------
    >>> number(0.1), number(float("nan")), number(1.3041457)
    ('0.1', '—', '1.3041457')
    """
    return _ABSENT if math.isnan(value) else f"{value:.10g}"


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    aligned = (cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(cells, widths, numeric, strict=True))
    return _GAP.join(aligned).rstrip()


def _is_number(text: str) -> bool:
    try:
        float(text.removesuffix("?"))  # a mark of doubt stands behind its number
    except ValueError:
        return text in (_ABSENT, "-")
    return True
