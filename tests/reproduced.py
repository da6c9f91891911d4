"""Runs the commands of docs/reproduced.md: ``python3 -m tests.reproduced`` prints each row's number beside the one on the page.

A command is a Python expression. It knows ``mf`` (meanfield), ``L`` (meanfield.layers), ``np``, ``math``, and

- ``left("name")["variable"]``: what ``examples/plot_name.py`` leaves behind,
- ``EXAMPLES``: the folder of the scripts,
- ``kept("table", "column", key=value, …)``: numbers of a table in ``examples/results``, from the rows with these keys.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import math
import re
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import meanfield as mf
from meanfield import layers as L

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reproduced.md"
EXAMPLES = ROOT / "examples"
COLUMNS = ("claim", "command", "picture", "published", "here", "agrees", "why")
VERDICTS = ("yes", "no", "in part", "not tried")


@dataclass(frozen=True)
class Row:
    """One claim of a paper."""

    paper: str
    claim: str
    command: str
    picture: str
    published: str
    here: str
    agrees: str
    why: str

    @property
    def expression(self) -> str:
        """The command without its backquotes and without the mark of a long run."""
        return re.sub(r"^`(.*)`( .*)?$", r"\1", self.command)


def rows(text: str | None = None) -> list[Row]:
    """All rows of the page, in order, with the heading that they stand under."""
    found, paper, inside = [], "", False
    for line in (text or PAGE.read_text(encoding="utf-8")).splitlines():
        if line.startswith("## "):
            paper = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if tuple(cells) == COLUMNS:
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not set(line) <= set("|- "):
            if len(cells) != len(COLUMNS):
                raise ValueError(f"{len(cells)} cells: {line}")
            found.append(Row(paper, *cells))
    return found


@functools.cache
def left(name: str) -> dict[str, Any]:
    """What a script of the gallery leaves behind."""
    import matplotlib.pyplot as plt

    with contextlib.redirect_stdout(io.StringIO()):
        found = runpy.run_path(str(EXAMPLES / f"plot_{name}.py"), run_name="example")
    plt.close("all")
    return found


def kept(table: str, column: str, **fixed: Any) -> np.ndarray:
    """Numbers of a kept result."""
    with (EXAMPLES / "results" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        chosen = [row[column] for row in csv.DictReader(file) if all(_same(row[key], value) for key, value in fixed.items())]
    if not chosen:
        raise LookupError(f"{table}.csv has no row with {fixed}")
    return np.array([float(value) for value in chosen])


def _same(cell: str, value: Any) -> bool:
    if isinstance(value, str):
        return cell == value
    return bool(cell) and math.isclose(float(cell), float(value), rel_tol=1e-9)


def value(row: Row) -> Any:
    """What the command gives."""
    return eval(row.expression, {"mf": mf, "L": L, "np": np, "math": math, "left": left, "kept": kept, "EXAMPLES": EXAMPLES})


def printed(found: Any, like: str) -> str:
    """A value with as many digits as the page has."""
    if isinstance(found, (bool, np.bool_, str)) or found is None:
        return str(found)
    values = np.atleast_1d(found).tolist()
    shown = like.split("; ")
    return "; ".join(_digits(number, text) for number, text in zip(values, [*shown, *[shown[-1]] * len(values)], strict=False))


def _digits(number: float, like: str) -> str:
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    if "e" in like:
        mantissa, _, _ = like.partition("e")
        return re.sub(r"e([+-])0*(\d)", r"e\1\2", f"{number:.{len(mantissa.partition('.')[2])}e}")
    return f"{number:.{len(like.partition('.')[2])}f}"


def main() -> int:
    """All rows; the exit status tells how many differ."""
    wrong = 0
    for number, row in enumerate(rows(), 1):
        found = printed(value(row), row.here)
        wrong += found != row.here
        print(f"{number:3} {'same' if found == row.here else 'DIFFERS'}  {row.here}  {found}  {row.claim}", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
