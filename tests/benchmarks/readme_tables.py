"""The tables of docs/benchmarks.md, and its figure, from measurements.

``python -m tests.benchmarks.readme_tables [FILE.json] [--write]``: without --write the text is printed. With it are replaced the sections
"Accuracy", "Speed" and "Tables" of docs/benchmarks.md and the figure docs/images/benchmark.png; what the file has no
measurements for stays as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import accuracy, against_peers, benchmark_figure, curves, diagrams, one_input, start_up, two_inputs
from tests.benchmarks.__main__ import LATEST
from tests.benchmarks.against_peers import AGAIN, ERROR, ONCE, by
from tests.benchmarks.record import Measurement, Run, load, markdown
from tests.benchmarks.timing import ROOT

HERMITE, SCIPY = "Gauss–Hermite, 100 nodes", "scipy {}, default tolerance"
OURS = "meanfield"
METHODS = {
    OURS: OURS,
    "NumPy": "NumPy, ten lines",
    "SciPy quad": "SciPy quad, dblquad",
    "neural-tangents": "neural-tangents",
    "dks": "dks",
}
INEXACT = 1e-6  # a method that is off by more, and by far more than ours, does not count as faster
ROUNDING = 1e-14  # two errors below it are alike


class Missing(Exception):
    """The file does not hold what a table needs; the message says which section."""


def _needs(run: Run, *sections: str) -> None:
    there = {m.section for m in run.measurements}
    for section in sections:
        if section not in there:
            raise Missing(f"no measurements of {section!r}")


# ---- over all references --------------------------------------------------------------------------------------------


def accuracy_table(run: Run) -> str:
    """Largest relative errors over all reference values."""
    _needs(run, accuracy.SECTION)
    found = run.found
    rows = []
    for quantity in accuracy.QUANTITIES:
        word = accuracy.WORDS[quantity]
        ours = found[accuracy.SECTION, word, "meanfield, largest"]
        scipy = found.get((accuracy.SECTION, word, SCIPY.format("dblquad" if quantity == "C" else "quad") + ", largest"))
        cells = [ours, found[accuracy.SECTION, word, f"{HERMITE}, largest"], found[accuracy.SECTION, word, f"{HERMITE}, median"]]
        rows.append([word, ours.note.removeprefix("of "), *(m.text for m in cells), scipy.text if scipy else "–"])
    head = ["quantity", "values", "meanfield, largest", f"{HERMITE}: largest", "its median", "SciPy quad, dblquad: largest of a sample"]
    return markdown(head, rows)


# ---- beside the peers -----------------------------------------------------------------------------------------------


def methods(run: Run) -> list[str]:
    """Those that took part, in the order of the columns."""
    there = {m.how.partition(":")[0] for m in run.measurements if m.section == against_peers.SECTION}
    return [name for name in METHODS if name in there]


def work(run: Run, *, fresh: bool) -> list[str]:
    """The rows: of fresh processes, or the others."""
    _needs(run, against_peers.SECTION)
    every = dict.fromkeys(m.what for m in run.measurements if m.section == against_peers.SECTION)
    return [what for what in every if (what in (against_peers.START, against_peers.FIRST)) == fresh]


def _at(run: Run, what: str, method: str, quantity: str) -> Measurement | None:
    return run.found.get((against_peers.SECTION, what, by(method, quantity)))


def _closed(m: Measurement) -> bool:
    return m.note.startswith("closed form")


def times(ratio: float) -> str:
    """How many times as fast, to two digits.

    >>> times(2.36), times(4213.0)
    ('2.4 ×', '4,200 ×')
    """
    return f"{float(f'{ratio:.2g}'):,g} ×"


def why_slower(run: Run, what: str) -> str:
    """For each peer that is faster than ours on a row: why, as far as the measurements say."""
    ours, exact = _at(run, what, OURS, AGAIN), _at(run, what, OURS, ERROR)
    if ours is None:
        return "not measured"
    reasons = []
    for name in methods(run):
        theirs, error = _at(run, what, name, AGAIN), _at(run, what, name, ERROR)
        if name == OURS or theirs is None or theirs.value >= ours.value:
            continue
        why = ""
        if error and exact and error.value > INEXACT and error.value > 100 * exact.value:
            why = f", off by {error.text}"
        elif _closed(theirs):
            why = ", a closed form for this φ alone"
        elif what == against_peers.FIRST:
            why = ", as ours loads Numba and builds tables first"
        reasons.append(f"{name}: {times(ours.value / theirs.value)} faster{why}")
    return "; ".join(reasons)


def why_less_exact(run: Run, what: str) -> str:
    """The same for errors, above rounding."""
    ours = _at(run, what, OURS, ERROR)
    if ours is None:
        return "not measured"
    if ours.value <= ROUNDING:
        return ""
    reasons = []
    for name in methods(run):
        theirs = _at(run, what, name, ERROR)
        if name != OURS and theirs is not None and theirs.value < ours.value and "up to layer" not in theirs.note:
            time = _at(run, what, name, AGAIN)
            reasons.append(f"{name} is closer" + (", by a closed form for this φ alone" if time and _closed(time) else ""))
    return "; ".join(reasons)


def peer_table(run: Run, quantity: str, remark: Callable[[Run, str], str] | None, *, fresh: bool = False) -> str:
    """One quantity of all methods, a column each, and a remark where ours is not ahead."""
    columns = methods(run)
    rows = []
    for what in work(run, fresh=fresh):
        cells = []
        for name in columns:
            m = _at(run, what, name, quantity)
            text = m.text if m else "–"
            if m and quantity == ERROR and "; " in m.note:  # some without an answer, or the first layers only
                text += f" ({m.note.partition('; ')[2]})"
            cells.append(f"**{text}**" if name == OURS else text)
        rows.append([what, *cells, *([remark(run, what)] if remark else [])])
    return markdown(["", *(METHODS[name] for name in columns), *(["where ours is behind"] if remark else [])], rows)


def left_out(run: Run) -> str:
    """A sentence on what was not measured."""
    if not run.skipped:
        return ""
    return "Left out: " + "; ".join(f"{who} ({reason})" for who, reason in run.skipped.items()) + "."


def ran_on(run: Run) -> str:
    """Machine and versions in a sentence or two."""
    where = run.machine
    versions = dict(where["versions"])
    python = versions.pop("python")
    others = [
        f"{package} {found[package]}"
        for peer, packages in (("neural-tangents", ("neural-tangents", "jax")), ("dks", ("dks",)))
        if (found := run.peers.get(peer))
        for package in packages
    ]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items() if version != "not installed")
    beside = f"; beside them {', '.join(others)}" if others else ""
    return f"{where['processor']}, {where['cores']} cores, {where['date'][:10]}. Python {python}, {packages}{beside}."


# ---- what only ours has ---------------------------------------------------------------------------------------------


def own_table(run: Run) -> str:
    """Start-up, whole curves and diagrams: times, and what they stand beside."""
    start, curve, plane, one, two = start_up.SECTION, curves.SECTION, diagrams.SECTION, one_input.SECTION, two_inputs.SECTION
    _needs(run, start, curve, plane, one, two)
    found = run.found

    def at(section: str, what: str, how: str) -> str:
        return found[section, what, how].text if (section, what, how) in found else "–"

    def several(section: str, how: str, names: dict[str, str]) -> str:
        return ", ".join(f"{word} {at(section, name, how)}" for name, word in names.items())

    tanh, formula = "first EOC curve of tanh, 101 points", "first EOC curve of a new formula, 101 points"
    fresh, first = "fresh process", "first time, more than warm (best)"
    whole = "512×512, first time for an activation"
    names = {"silu": "SiLU", "gelu": "GELU", "x*tanh(a*log(1 + exp(x))), new a": "a new formula"}
    rows = [
        ["`import meanfield`, fresh process", at(start, "import meanfield", fresh), f"`import numpy`: {at(start, 'import numpy', fresh)}"],
        ["first curve of tanh, fresh process", at(start, tanh, fresh), f"`import numba`: {at(start, 'import numba', fresh)}"],
        [
            "first curve of a new formula, fresh process",
            at(start, formula, fresh),
            f"`import numba, sympy`: {at(start, 'import numba, sympy', fresh)}",
        ],
        [
            "the very first curve, nothing compiled yet",
            at(start, "the very first EOC curve", "no compiled kernels"),
            "once for each installation",
        ],
        [
            "edge of chaos of tanh, 1001 points, warm",
            at(curve, "tanh", "warm"),
            f"Gauss–Hermite 100 in NumPy: {at(curve, 'tanh', 'Gauss–Hermite 100 and bisection, in NumPy')}, inexact",
        ],
        ["the first time for an activation, in addition", at(curve, "tanh", first), several(curve, first, names)],
        [
            "phase diagram of tanh, 512 × 512, all quantities, warm",
            at(plane, "tanh", "512×512, warm"),
            f"one cell by quad and dblquad: {at(plane, 'tanh', 'one cell by quad and dblquad, mean')}",
        ],
        [
            "the first time for an activation, in all",
            at(plane, "tanh", whole),
            several(plane, whole, {"relu": "ReLU", "hardtanh": "hard-tanh", "selu": "SELU"}),
        ],
        [
            "E[φ²] of tanh in an array of 10⁵ q, each",
            at(one, "tanh", "meanfield, warm"),
            f"tanh alone at the nodes of one rule: {at(one, 'tanh', 'bare φ at the nodes of the rule for that q')}; "
            f"quad at 1e-13: {at(one, 'tanh', 'scipy quad, tolerance 1e-13')}",
        ],
    ]
    for name in ("tanh", "relu"):
        slow = at(two, name, "scipy dblquad, tolerance 1e-12, one C")
        rows.append(
            [f"E[φ(u)φ(v)] of {name} at a new q", at(two, name, "meanfield, one C at a new q (c = 0.9)"), f"dblquad at 1e-12: {slow}"]
        )
    return markdown(["ours alone", "time", "beside"], rows)


# ---- the texts ------------------------------------------------------------------------------------------------------

COMMAND = "Made by `python -m tests.benchmarks --keep` and `python -m tests.benchmarks.readme_tables --write`"


def accuracy_section(run: Run) -> str:
    """docs/benchmarks.md, "Accuracy"."""
    parts = [
        "Largest relative errors over reference values with 30 digits and closed forms, q from 10⁻⁸ to 10⁶ (C and E[φ'(u)φ'(v)] relative\n"
        "to their value at c = 1, E[φ] to √V):",
        accuracy_table(run),
        "The same questions to all, in one run. Errors against the 30-digit values (E[φ(u)φ(v)] relative to its value at c = 1,\n"
        "c* absolute):",
        peer_table(run, ERROR, why_less_exact),
        "neural-tangents has closed forms for erf, GELU and ReLU; for tanh it is its numerical layer with the degree\n"
        "that it suggests, 25. What other methods are good for is in {doc}`design`.",
        left_out(run),
    ]
    return "\n\n".join(part for part in parts if part)


def speed_section(run: Run) -> str:
    """docs/benchmarks.md, "Speed"."""
    parts = [
        "The same work as in the error table above. Times are those of a second call: tables built, JAX compiled; SciPy and dks take\n"
        "one value at a time, so theirs are scaled from a few. First calls are under Tables below.",
        peer_table(run, AGAIN, why_slower),
        "In fresh processes:",
        peer_table(run, AGAIN, why_slower, fresh=True),
        own_table(run),
        f"{ran_on(run)} Best of several runs: ratios hold better than times.\n{COMMAND}.",
    ]
    return "\n\n".join(parts)


def page_tables(run: Run) -> str:
    """docs/benchmarks.md, what stands under "Tables"."""
    return f"""{f"{ran_on(run)} {left_out(run)}".rstrip()}

Seconds of a second call:

{peer_table(run, AGAIN, None)}

Of the first call, tables and compilation by JAX included (our kernels and everybody's imports are loaded before):

{peer_table(run, ONCE, None)}

Largest relative errors:

{peer_table(run, ERROR, None)}

By which means:

{means_table(run)}"""


def means_table(run: Run) -> str:
    """How each peer answered each row."""
    columns = [name for name in methods(run) if name != OURS]
    rows = [[what, *(m.note if (m := _at(run, what, name, AGAIN)) else "–" for name in columns)] for what in work(run, fresh=False)]
    return markdown(["", *(METHODS[name] for name in columns)], rows)


def with_section(text: str, heading: str, body: str) -> str:
    """A Markdown text with what stands between `heading` and the next heading of its level replaced.

    >>> with_section("# A\\n\\nold\\n\\n# B\\n", "# A", "new")
    '# A\\n\\nnew\\n\\n# B\\n'

    Raises
    ------
    ValueError
        If there is no such heading.
    """
    lines = text.splitlines()
    if heading not in lines:
        raise ValueError(f"no line {heading!r}")
    start = lines.index(heading) + 1
    level = heading.partition(" ")[0] + " "
    end = next((i for i in range(start, len(lines)) if lines[i].startswith(level)), len(lines))
    return "\n".join([*lines[:start], "", body, "", *lines[end:]]).rstrip() + "\n"


TEXTS: tuple[tuple[str, str, Callable[[Run], str]], ...] = (
    ("docs/benchmarks.md", "## Accuracy", accuracy_section),
    ("docs/benchmarks.md", "## Speed", speed_section),
    ("docs/benchmarks.md", "## Tables", page_tables),
)


def write(run: Run, root: Path = ROOT) -> list[str]:
    """Replace the sections and the figure; returns a line on each."""
    said = []
    for name, heading, make in TEXTS:
        path = root / name
        try:
            path.write_text(with_section(path.read_text(encoding="utf-8"), heading, make(run)), encoding="utf-8")
            said.append(f"wrote {name}, {heading}")
        except Missing as reason:
            said.append(f"left {name}, {heading}, as it is: {reason}")
    try:
        _needs(run, against_peers.SECTION)
        benchmark_figure.draw(run).savefig(root / "docs/images/benchmark.png", dpi=200)
        said.append("wrote docs/images/benchmark.png")
    except Missing as reason:
        said.append(f"left docs/images/benchmark.png as it is: {reason}")
    return said


def main(words: list[str]) -> int:
    """Print, or write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.readme_tables", description=__doc__)
    parser.add_argument(
        "file", type=Path, nargs="?", default=LATEST, help="what `python -m tests.benchmarks --json FILE` wrote; default: the run kept"
    )
    parser.add_argument("--write", action="store_true", help="replace what stands in docs/")
    given = parser.parse_args(words)
    try:
        run = load(given.file)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if given.write:
        print("\n".join(write(run)))
        return 0
    for name, heading, make in TEXTS:
        try:
            print(f"{name}\n\n{heading}\n\n{make(run)}\n")
        except Missing as reason:
            print(f"{name}, {heading}: {reason}\n", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
