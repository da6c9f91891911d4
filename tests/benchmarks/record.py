"""What was measured, where, and how it is printed, kept and compared."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any

PACKAGES = ("meanfield-nets", "numpy", "scipy", "numba", "sympy", "mpmath")


@dataclass(frozen=True)
class Measurement:
    """One number.

    Attributes
    ----------
    section, what, how : str
        Which table, which work, and by which means; together they name the measurement.
    value : float
    unit : str
        "s" for times, "" for errors, "x" for ratios.
    note : str
    """

    section: str
    what: str
    how: str
    value: float
    unit: str = ""
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies it in another run."""
        return self.section, self.what, self.how

    @property
    def text(self) -> str:
        """The value for people.

        >>> Measurement("", "", "", 2.5e-5, "s").text, Measurement("", "", "", 3.2e-13).text
        ('25 µs', '3.2e-13')
        """
        if self.unit == "s":
            for size, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
                if self.value >= size:
                    return f"{self.value / size:.3g} {name}"
            return f"{self.value / 1e-9:.3g} ns"
        return f"{self.value:.3g} {self.unit}".strip() if self.unit else f"{self.value:.1e}"


def machine() -> dict[str, Any]:
    """Where and when this runs."""
    model = platform.processor() or platform.machine()
    description = Path("/proc/cpuinfo")
    if description.exists():
        names = [line.partition(":")[2].strip() for line in description.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "versions": versions,
    }


def table(measurements: Iterable[Measurement]) -> str:
    """All measurements as text, one block for each section."""
    lines = []
    for section, members in groupby(measurements, key=lambda m: m.section):
        lines += ["", section, "-" * len(section)]
        lines += [f"{m.what:<44} {m.how:<46} {m.text:>9}  {m.note}".rstrip() for m in members]
    return "\n".join(lines)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Rows as a Markdown table.

    >>> print(markdown(["a"], [["1"]]))
    | a |
    | --- |
    | 1 |
    """
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def save(path: Path, measurements: list[Measurement], *, quick: bool) -> None:
    """Write one JSON object."""
    path.write_text(
        json.dumps({"machine": machine(), "quick": quick, "measurements": [asdict(m) for m in measurements]}, indent=1, ensure_ascii=False)
        + "\n"
    )


def compare(old: Path, measurements: list[Measurement], *, quick: bool) -> str:
    """Each measurement beside that of an earlier run.

    Raises
    ------
    ValueError
        If the file was not written by `save`.
    """
    try:
        content = json.loads(old.read_text())
        before = {(m["section"], m["what"], m["how"]): float(m["value"]) for m in content["measurements"]}
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{old} holds no measurements of an earlier run") from error
    lines = ["", f"Against {old}", f"{'was':>10} {'is':>10} {'is/was':>8}"]
    if content.get("quick") != quick:
        lines.insert(1, "One of the two is a quick run: its errors are the largest of fewer cases")
    for m in measurements:
        if m.key in before:
            was = before[m.key]
            ratio = m.value / was if was else float("nan")
            lines.append(f"{was:>10.3g} {m.value:>10.3g} {ratio:>8.2f}  {m.what}: {m.how}")
    return "\n".join(lines)
