"""What a page is made of: paragraphs, figures, tables and code, as plain data that the template prints.

All text is printed escaped. Only the fields named `svg` and `mathml` hold markup; both are made here, by Matplotlib and SymPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

_HALF_PAGE = 54  # letters


@dataclass(frozen=True)
class Paragraph:
    """Prose; `tone` is "plain", or "caution" for what a reader must not miss."""

    kind: ClassVar[str] = "paragraph"
    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Formula:
    """A formula as text, and as MathML where there is such a form ("" where not)."""

    kind: ClassVar[str] = "formula"
    text: str
    mathml: str = ""


@dataclass(frozen=True)
class Figure:
    """A picture: inline SVG, what it shows in words for those who don't see it, and what to see in it."""

    kind: ClassVar[str] = "figure"
    name: str
    svg: str
    described: str
    caption: str
    colours: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Cells as text; `aligned` holds one letter for each column, r(ight) for numbers and l(eft) for words."""

    kind: ClassVar[str] = "table"
    caption: str
    header: tuple[str, ...]
    aligned: str
    rows: tuple[tuple[str, ...], ...]
    marked: int = -1

    @property
    def narrow(self) -> bool:
        """Whether it fits beside a figure."""
        columns = zip(self.header, *self.rows, strict=True)
        return sum(max(map(len, column)) + 2 for column in columns) <= _HALF_PAGE


@dataclass(frozen=True)
class Code:
    """Lines to paste."""

    kind: ClassVar[str] = "code"
    title: str
    language: str
    text: str


Block = Paragraph | Formula | Figure | Table | Code


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading of its own."""

    name: str
    title: str
    blocks: tuple[Block, ...]


def number(value: float, digits: int = 6) -> str:
    """A number as a person reads it: ∞ for infinity, a dash for what does not exist.

    Examples
    --------
    >>> number(1.30414584), number(float("inf")), number(-2.0), number(float("nan"))
    ('1.30415', '∞', '−2', '—')
    """
    if math.isnan(value):
        return "—"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value + 0.0:.{digits}g}".replace("-", "−")


def column(values: Sequence[float], digits: int = 6) -> list[str]:
    """A column of numbers with as many decimals each, so that the points stand below one another.

    Where the sizes differ by more than that can show, every number is given `digits` of its own.

    Examples
    --------
    >>> column([0.0, 0.273301, 12.5], 5), column([1e-9, 2.0], 3), column([float("inf"), 1.0], 3)
    (['0.000', '0.273', '12.500'], ['1e−09', '2'], ['∞', '1.00'])
    """
    sizes = [abs(value) for value in values if math.isfinite(value) and value != 0.0]
    if not sizes or min(sizes) < 1e-3 * max(sizes) or not 1e-3 <= max(sizes) < 10.0**digits:
        return [number(value, digits) for value in values]
    decimals = min(max(digits - 1 - math.floor(math.log10(max(sizes))), 0), digits)
    return [f"{value + 0.0:.{decimals}f}".replace("-", "−") if math.isfinite(value) else number(value) for value in values]
