"""What was measured, where, and how it is printed, kept and compared."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any

CHANGE = 1.5  # a ratio beyond this is marked
ROUNDING = 1e-15  # errors up to this are rounding
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
        >>> Measurement("", "", "", 1000.0, "s").text, Measurement("", "", "", 3_600_000.0, "s").text
        ('16.7 min', '1,000 h')
        """
        if self.unit == "s":
            for size, name in ((3600.0, "h"), (60.0, "min")):
                if self.value >= 2 * size:
                    return f"{float(f'{self.value / size:.3g}'):,g} {name}"
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
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,  # of other work, as nothing is measured yet
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


@dataclass(frozen=True)
class Run:
    """All of one run, as it is kept in a file.

    Attributes
    ----------
    measurements : list of Measurement
    machine : dict
        See `machine`.
    quick : bool
    peers : dict
        Versions by package, for each peer that took part.
    skipped : dict
        Why, for each peer or question of a peer that was left out.
    """

    measurements: list[Measurement]
    machine: dict[str, Any] = field(default_factory=dict)
    quick: bool = False
    peers: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def found(self) -> dict[tuple[str, str, str], Measurement]:
        """By their keys."""
        return {m.key: m for m in self.measurements}


def save(path: Path, run: Run) -> None:
    """Write one JSON object; a number that is not finite becomes a string, as JSON has no such numbers."""
    content = asdict(run)
    for entry in content["measurements"]:
        if not math.isfinite(entry["value"]):
            entry["value"] = str(entry["value"])
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def load(path: Path) -> Run:
    """Read what `save` wrote.

    Raises
    ------
    ValueError
        If the file was not written by `save`.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        measurements = [Measurement(**{**entry, "value": float(entry["value"])}) for entry in content["measurements"]]
        return Run(measurements, content["machine"], content.get("quick", False), content.get("peers", {}), content.get("skipped", {}))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no measurements of an earlier run") from error


def mark(was: float, now: float, unit: str) -> str:
    """A word for a change by more than `CHANGE`; errors at rounding are all alike.

    >>> mark(1.0, 1.6, "s"), mark(1.6, 1.0, "s"), mark(1.0, 1.4, "s"), mark(1e-16, 9e-16, "")
    ('slower', 'faster', '', '')
    """
    if unit == "" and max(was, now) <= ROUNDING:
        return ""
    less, more = {"s": ("faster", "slower"), "": ("closer", "farther off")}.get(unit, ("less", "more"))
    return more if now > CHANGE * was else less if was > CHANGE * now else ""


def compare(name: str, old: Run, new: Run) -> str:
    """Each measurement beside that of an earlier run, changes by more than `CHANGE` marked."""
    lines = ["", f"Against {name}, {old.machine.get('date', 'undated')}", f"{'was':>10} {'is':>10} {'is/was':>8}"]
    if old.quick != new.quick:
        lines.insert(2, "One of the two is a quick run: its errors are the largest of fewer cases")
    where = [(run.machine.get("processor"), run.machine.get("cores")) for run in (old, new)]
    if where[0] != where[1]:
        lines.insert(2, "They ran on different machines: {} with {} cores, {} with {}".format(*where[0], *where[1]))
    before = old.found
    marked = 0
    for m in new.measurements:
        if m.key in before:
            was = before[m.key].value
            word = mark(was, m.value, m.unit)
            marked += bool(word)
            ratio = m.value / was if was and math.isfinite(was) else math.nan
            lines.append(f"{was:>10.3g} {m.value:>10.3g} {ratio:>8.2f}  {m.what}: {m.how}" + (f"   <- {word}" if word else ""))
    lines.append(f"{marked} changed by more than {CHANGE:g} ×")
    return "\n".join(lines)
