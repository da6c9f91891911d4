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


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str] = ()) -> None:
    """Print a table on stdout; numbers to the right, words to the left, the last column folded to the terminal's width.

    Into a pipe or a file there is no width to fold to: each row stays one line.

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

    def shown(words: Sequence[str]) -> list[str]:
        return [word.translate(_PLAIN) for word in words] if plain else list(words)

    table = [shown(row) for row in rows]
    header, (title, *notes) = shown(header), shown([title, *notes])
    columns = list(zip(*table, strict=True)) if table else [() for _ in header]
    numeric = [all(_is_number(cell) for cell in column) for column in columns]
    widths = [max([len(name), *map(len, column)]) for name, column in zip(header, columns, strict=True)]
    if sys.stdout.isatty() and not numeric[-1]:
        available = shutil.get_terminal_size().columns - sum(widths[:-1]) - len(_GAP) * (len(widths) - 1)
        widths[-1] = min(widths[-1], max(available, _NARROWEST))

    rule = "-" if plain else "─"
    lines = [title, "", _line(header, widths, numeric), rule * (sum(widths) + len(_GAP) * (len(widths) - 1))]
    for row in table:
        first, *more = textwrap.wrap(row[-1], widths[-1]) or [""]
        lines.append(_line([*row[:-1], first], widths, numeric))
        lines += [_line([""] * (len(row) - 1) + [rest], widths, numeric) for rest in more]
    if notes:
        lines += ["", *notes]
    write_out("\n".join(lines) + "\n")


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
        float(text)
    except ValueError:
        return text in (_ABSENT, "-")
    return True
