"""JSON and CSV: full precision, nothing but data."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meanfield.cli.standard_output import write_out

if TYPE_CHECKING:
    from meanfield.activations import Activation


def json_ready(value: Any) -> Any:
    """``value`` with NumPy's types made plain, nan as null, and an infinity as the string "inf" or "-inf", which JSON has no number for.

    Examples
    --------
    >>> json_ready([1.0, float("nan"), float("inf")])
    [1.0, None, 'inf']
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, str | bytes | bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    return [json_ready(item) for item in value]


def write_json(value: Mapping[str, Any]) -> None:
    """One JSON object and a newline on stdout."""
    write_out(json.dumps(json_ready(value), allow_nan=False, ensure_ascii=True) + "\n")


def write_answer(phi: Activation, found: Mapping[str, Any]) -> None:
    """One JSON object: which activation it is about, what was found, and by which version."""
    from meanfield import __version__

    write_json({**answer(phi, found), "version": __version__})


def answer(phi: Activation, found: Mapping[str, Any]) -> dict[str, Any]:
    """What was found, behind which activation it is about."""
    return {"activation": phi.name, "parameters": phi.parameters, "formula": None if phi.formula is None else str(phi.formula), **found}


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A header and rows on stdout; nan as an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if isinstance(item, float) and math.isnan(item) else item for item in row])
    write_out(text.getvalue())
