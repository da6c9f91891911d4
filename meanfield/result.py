"""What every result can do: be compared, kept, sent elsewhere, and shown in a line, as text, in a notebook or as a table.

A result is a frozen dataclass that derives from `Result`, made with ``@dataclass(frozen=True, eq=False, repr=False)`` so that the
methods here are not replaced by generated ones, which fail on arrays (``==``) or print all of them (``repr``).
pandas, xarray and Matplotlib are imported when asked for.
"""

from __future__ import annotations

import dataclasses
import html
import importlib
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, ClassVar

import numpy as np

from meanfield.errors import MeanFieldError

LONGEST = 2400  # letters of a repr
ROOM = 160  # letters of one field in it
FEW = 6  # numbers that a line shows one by one
SAMPLED = 8  # entries of an array that enter its hash
HEAD, TAIL = 8, 3  # rows of a table in a notebook
PAGE = 80  # columns of what ``str`` gives: a terminal, a mail, a printed page
_page: ContextVar[int] = ContextVar("page", default=PAGE)
_ENDLESS = 10**9


class Result:
    """Base of all results: equality by value, short ``repr``, tables.

    Two results are equal where they are of one class and all fields are: arrays entry by entry, nan being equal to nan. Equal results
    have equal hashes. `copy`, `pickle` and joblib work as for any dataclass.

    Examples
    --------
    >>> import pickle
    >>> import meanfield as mf
    >>> curve = mf.edge_of_chaos("relu", sigma_b=[0.0, 0.1])
    >>> curve == pickle.loads(pickle.dumps(curve)), curve == mf.edge_of_chaos("relu", sigma_b=[0.0, 0.2])
    (True, False)
    """

    _pictured: ClassVar[bool] = False  # whether a notebook shows its `plot` too

    def _values(self, of: str = "compare") -> list[tuple[str, Any]]:
        """The fields that are compared, or shown (``of="repr"``); a field may be left out of either."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return [(field.name, getattr(self, field.name)) for field in fields if getattr(field, of)]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, Result)
        return all(same(mine, its) for (_, mine), (_, its) in zip(self._values(), other._values(), strict=True))

    def __hash__(self) -> int:
        return hash((type(self).__name__, *(hashed(value) for _, value in self._values())))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={brief(value)}" for name, value in self._values("repr"))
        return f"{type(self).__name__}({_cut(fields, LONGEST)})"

    def _columns(self) -> Mapping[str, Any]:
        """The table: a column under each name, all of one length. One row of the plain fields, where a class says nothing else."""
        plain = (str, bool, int, float, np.generic)
        return {name: [value] for name, value in self._values("repr") if value is None or isinstance(value, plain)} | self._first_columns()

    def _first_columns(self) -> dict[str, Any]:
        """The name of the activation, where there is one: it is no plain field."""
        name = getattr(getattr(self, "activation", None), "name", None)
        return {"activation": [name]} if isinstance(name, str) else {}

    def to_frame(self) -> Any:
        """The result as a table of pandas.

        Returns
        -------
        pandas.DataFrame
            A column for each quantity; a row for each point, cell, layer or condition, in the result's own order.

        Raises
        ------
        MeanFieldError
            If pandas is not installed.
        """
        return needed("pandas", "to_frame()").DataFrame(dict(self._columns()))

    def _repr_html_(self) -> str:
        parts = [f"<strong>{html.escape(first_line(self))}</strong>", html_table(self._columns())]
        verdict = getattr(self, "verdict", None)
        if isinstance(verdict, str):
            parts.append("".join(f"<p>{html.escape(line)}</p>" for line in verdict.splitlines()[:FEW]))
        if self._pictured:
            parts.append(self._picture())
        return f'<div style="overflow-x: auto">{"".join(parts)}</div>'

    def _picture(self) -> str:
        """Its `plot` as an image inside the page; "" where there is nothing to draw."""
        import base64
        import io

        from matplotlib.figure import Figure

        figure = Figure(figsize=(4.4, 3.2), layout="constrained")
        try:
            self.plot(ax=figure.add_subplot())  # type: ignore[attr-defined]
        except MeanFieldError:
            return ""
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=110)
        code = base64.b64encode(stream.getvalue()).decode("ascii")
        return f'<img alt="{html.escape(first_line(self))}" src="data:image/png;base64,{code}">'


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal: arrays of one shape entry by entry, containers part by part, nan and nan.

    Examples
    --------
    >>> import numpy as np
    >>> same(np.array([1.0, np.nan]), np.array([1.0, np.nan])), same({"a": (1.0,)}, {"a": (2.0,)})
    (True, False)
    """
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.shape == other.shape):
            return False
        if one.dtype.kind in "fc" and other.dtype.kind in "fc":
            return bool(np.array_equal(one, other, equal_nan=True))
        if one.dtype == object or other.dtype == object:
            return all(map(same, one.ravel().tolist(), other.ravel().tolist()))
        return bool(np.array_equal(one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return isinstance(one, tuple) == isinstance(other, tuple) and len(one) == len(other) and all(map(same, one, other))
    try:
        # Only nan differs from itself.
        return bool(one == other) or bool(one != one and other != other)
    except Exception:  # an object whose own comparison fails is not known to be equal
        return False


def hashed(value: Any) -> int:
    """A hash that is equal for values that are `same`.

    Examples
    --------
    >>> import numpy as np
    >>> hashed(np.array([0.0, np.nan])) == hashed(np.array([-0.0, np.nan]))
    True
    """
    if isinstance(value, np.ndarray):
        at = np.linspace(0, max(value.size - 1, 0), min(value.size, SAMPLED)).round().astype(np.int64)
        return hash((value.shape, *map(hashed, value.ravel()[at].tolist())))
    if isinstance(value, Mapping):
        return hash(frozenset(value))
    if isinstance(value, tuple | list):
        return hash((isinstance(value, tuple), *map(hashed, value)))
    try:
        return hash("nan") if value != value else hash(value)
    except Exception:  # what can't be hashed or compared tells itself apart by its other fields
        return hash(type(value).__name__)


def brief(value: Any, room: int = ROOM) -> str:
    """A value in a few words: an array by its shape and range, a long tuple by its length.

    Examples
    --------
    >>> import numpy as np
    >>> brief(np.linspace(0, 1, 101)), brief(np.zeros((2, 3, 4))), brief(("a",) * 9)
    ('<101 from 0 to 1>', '<2 × 3 × 4 from 0 to 0>', '<9 str>')
    """
    if isinstance(value, np.ndarray):
        return _brief_array(value, room)
    if isinstance(value, Mapping):
        parts = [f"{key!r}: {brief(item, room // 2)}" for key, item in list(value.items())[:FEW]]
        return _cut("{" + ", ".join(parts) + (", …" if len(value) > FEW else "") + "}", 2 * room)
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        if len(value) > FEW:
            return f"<{len(value)} {' or '.join(sorted({type(item).__name__ for item in value}))}>"
        inside = ", ".join(brief(item, room // 2) for item in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' if len(value) == 1 else ''})"
    if isinstance(value, np.generic):
        return _cut(repr(value.item()), room)
    return _cut(repr(value), 3 * room if isinstance(value, Result) else room)


def _brief_array(array: Any, room: int) -> str:
    if array.ndim <= 1 and array.size <= FEW:
        return _cut(f"array({array.tolist()})", room)
    shape = " × ".join(map(str, array.shape))
    if array.dtype.kind in "fiub" and array.size:
        known = array[~np.isnan(array)] if array.dtype.kind == "f" else array
        missing = array.size - known.size
        extent = f" from {known.min():.6g} to {known.max():.6g}" if known.size else ""
        return f"<{shape}{extent}{f', {missing} nan' if missing else ''}>"
    words = list(dict.fromkeys(array.ravel().tolist()))
    return _cut(f"<{shape} of {', '.join(map(repr, words[:3]))}{', …' if len(words) > 3 else ''}>", room)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 2] + " …"


def paged(text: str, indent: int = 0, hang: int | None = None) -> str:
    """Lines longer than a page, broken between words, what follows below the place ``hang`` (or the indent).

    A formula that is a word longer than the page is broken where the page ends.

    Examples
    --------
    >>> print(paged("verdict: " + "word " * 20, hang=9))
    verdict: word word word word word word word word word word word word word word
             word word word word word word
    """
    lines, page = [], _page.get()
    for line in text.splitlines():
        if len(line) <= page - indent:
            lines.append(" " * indent + line)
            continue
        below = " " * (indent if hang is None else indent + hang)
        lines += textwrap.wrap(
            line,
            page,
            initial_indent=" " * indent,
            subsequent_indent=below,
            drop_whitespace=True,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def first_line(shown: object) -> str:
    """The first line of what ``str`` gives, as long as it is: a page in a browser folds it.

    Examples
    --------
    >>> import meanfield as mf
    >>> shaped = mf.shape_activation("leaky_relu", 100, "tat")
    >>> first_line(shaped).endswith("for σ_w = 1, σ_b = 0"), str(shaped).partition("\\n")[0].endswith("σ_w = 1,")
    (True, True)
    """
    token = _page.set(_ENDLESS)
    try:
        return str(shown).partition("\n")[0]
    finally:
        _page.reset(token)


def shortened(name: str, room: int) -> str:
    """A name that is too long, cut.

    Examples
    --------
    >>> shortened("x*sigmoid(2*x)", 10)
    'x*sigmoid…'
    """
    return name if len(name) <= room else name[: room - 1] + "…"


def left_out(rows: Sequence[str], most: int) -> list[str]:
    """The first and last of many lines, with a line that says how many are not shown.

    Examples
    --------
    >>> left_out(["a", "b", "c", "d", "e"], 4)
    ['a', 'b', '… (2 more)', 'e']
    """
    if len(rows) <= most:
        return list(rows)
    tail = most // 3
    head = most - tail - 1
    return [*rows[:head], f"… ({len(rows) - head - tail} more)", *rows[len(rows) - tail :]]


def folded(rows: Sequence[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """(name, text) of rows, equal texts in a row as one; what is then more than `most` is left out of the middle.

    Examples
    --------
    >>> folded([("a", "1"), ("b", "1"), ("c", "1"), ("d", "2")], 10)
    [('a … c (3)', '1'), ('d', '2')]
    >>> folded([(str(i), str(i)) for i in range(9)], 4)
    [('0', '0'), ('1', '1'), ('…', '(6 more)'), ('8', '8')]
    """
    runs: list[tuple[list[str], str]] = []
    for name, text in rows:
        if runs and runs[-1][1] == text:
            runs[-1][0].append(name)
        else:
            runs.append(([name], text))
    lines = [(names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names)})", text) for names, text in runs]
    if len(lines) <= most:
        return lines
    head = most // 2
    tail = most - head - 1
    hidden = sum(len(names) for names, _ in runs[head : len(runs) - tail])
    return [*lines[:head], ("…", f"({hidden} more)"), *lines[len(lines) - tail :]]


def html_table(columns: Mapping[str, Any]) -> str:
    """Columns as a small table: the first and last rows of a long one; one row is turned on its side.

    Examples
    --------
    >>> html_table({"a": [1.0], "b": ["<"]})
    '<table><tr><th>a</th><td>1</td></tr><tr><th>b</th><td>&lt;</td></tr></table>'
    """
    names = list(columns)
    rows = list(zip(*(list(column) for column in columns.values()), strict=True))
    if len(rows) == 1:
        lines = [(f"<th>{html.escape(name)}</th>", *_cells([value])) for name, value in zip(names, rows[0], strict=True)]
        return _table(lines)
    head = tuple(f"<th>{html.escape(name)}</th>" for name in names)
    if len(rows) > HEAD + TAIL + 1:
        gap = tuple("<td>…</td>" for _ in names)
        shown = [*map(_cells, rows[:HEAD]), gap, *map(_cells, rows[-TAIL:])]
        return _table([head, *shown]) + f"<p>{len(rows)} rows</p>"
    return _table([head, *map(_cells, rows)])


def _table(lines: Iterable[Iterable[str]]) -> str:
    return "<table>" + "".join(f"<tr>{''.join(line)}</tr>" for line in lines) + "</table>"


def _cells(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(f"<td>{html.escape(_cell(value))}</td>" for value in values)


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else "" if value is None else _cut(str(value), 400)


def needed(module: str, what: str) -> Any:
    """A package that is not among the dependencies, imported now.

    Examples
    --------
    >>> needed("no_such_package", "to_frame()")
    Traceback (most recent call last):
    ...
    meanfield.errors.MeanFieldError: to_frame() needs no_such_package, which can't be imported here: pip install no_such_package
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MeanFieldError(f"{what} needs {module}, which can't be imported here: pip install {module}") from error


def dataset(variables: Mapping[str, tuple[Any, Any]], coordinates: Mapping[str, Any], about: Mapping[str, Any]) -> Any:
    """An xarray.Dataset of ``{name: (dimensions, array)}`` on the coordinates, with attributes."""
    return needed("xarray", "to_xarray()").Dataset(dict(variables), coords=dict(coordinates), attrs=dict(about))
