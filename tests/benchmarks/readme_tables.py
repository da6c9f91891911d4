"""The two tables of README.md, from measurements: ``python -m tests.benchmarks.readme_tables FILE.json``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tests.benchmarks import accuracy, curves, one_input, start_up, two_inputs
from tests.benchmarks.record import Measurement, markdown

HERMITE, SCIPY = "Gauss–Hermite, 100 nodes", "scipy {}, default tolerance"


def accuracy_table(found: dict[tuple[str, str, str], Measurement]) -> str:
    """Largest relative errors."""
    rows = []
    for quantity in accuracy.QUANTITIES:
        word = accuracy.WORDS[quantity]
        ours = found[accuracy.SECTION, word, "meanfield, largest"]
        scipy = found.get((accuracy.SECTION, word, SCIPY.format("dblquad" if quantity == "C" else "quad") + ", largest"))
        cells = [ours, found[accuracy.SECTION, word, f"{HERMITE}, largest"], found[accuracy.SECTION, word, f"{HERMITE}, median"]]
        rows.append([word, ours.note.removeprefix("of "), *(m.text for m in cells), scipy.text if scipy else "–"])
    head = [
        "quantity",
        "values",
        "meanfield, largest",
        f"{HERMITE}: largest",
        "its median",
        "SciPy quad, dblquad: largest of a sample",
    ]
    return markdown(head, rows)


def speed_table(found: dict[tuple[str, str, str], Measurement]) -> str:
    """Times, and what they stand beside."""

    def at(section: str, what: str, how: str) -> str:
        return found[section, what, how].text

    start, curve, one, two = start_up.SECTION, curves.SECTION, one_input.SECTION, two_inputs.SECTION
    tanh, formula = "first EOC curve of tanh, 101 points", "first EOC curve of a new formula, 101 points"
    rows = [
        [
            "`import meanfield`, fresh process",
            at(start, "import meanfield", "fresh process"),
            f"`import numpy`: {at(start, 'import numpy', 'fresh process')}",
        ],
        [
            "first curve of tanh, fresh process",
            at(start, tanh, "fresh process"),
            f"`import numba`: {at(start, 'import numba', 'fresh process')}",
        ],
        [
            "first curve of a new formula, fresh process",
            at(start, formula, "fresh process"),
            f"`import numba, sympy`: {at(start, 'import numba, sympy', 'fresh process')}",
        ],
        [
            "the very first call, kernels compiled",
            at(start, "the very first EOC curve", "no compiled kernels"),
            "once for each installation",
        ],
        [
            "edge of chaos of tanh, 1001 points, warm",
            at(curve, "tanh", "warm"),
            f"Gauss–Hermite 100 in NumPy: {at(curve, 'tanh', 'Gauss–Hermite 100 and bisection, in NumPy')}, inexact",
        ],
        ["the first time for an activation, in addition", at(curve, "tanh", "first time, more than warm (best)"), ""],
        [
            "V(q) of tanh in an array of 10⁵, each",
            at(one, "tanh", "meanfield, warm"),
            f"Gauss–Hermite 100: {at(one, 'tanh', 'Gauss–Hermite 100, in NumPy')}, inexact; "
            f"tanh alone at the nodes of one rule: {at(one, 'tanh', 'bare φ at the nodes of the rule for that q')}; "
            f"quad at 1e-13: {at(one, 'tanh', 'scipy quad, tolerance 1e-13')}",
        ],
    ]
    for name in ("tanh", "relu"):
        slow = at(two, name, "scipy dblquad, tolerance 1e-12, one C")
        rows.append(
            [f"C(q, q, 0.9) of {name} at a new q", at(two, name, "meanfield, one C at a new q (c = 0.9)"), f"dblquad at 1e-12: {slow}"]
        )
        bare = found[two, name, "1000 C's, over bare φ"].value
        rows.append(
            [f"1000 C's of {name} at one q", at(two, name, "meanfield, 1000 C's, first time"), f"{bare:.1f} × φ alone at the nodes used"]
        )
    return markdown(["what", "time", "beside"], rows)


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.readme_tables", description=__doc__)
    parser.add_argument("file", type=Path, help="what `python -m tests.benchmarks --json FILE` wrote")
    content = json.loads(parser.parse_args().file.read_text())
    measurements = [Measurement(**m) for m in content["measurements"]]
    found = {m.key: m for m in measurements}
    sections = {key[0] for key in found}
    if accuracy.SECTION in sections:
        print(accuracy_table(found), end="\n\n")
    if {start_up.SECTION, curves.SECTION, one_input.SECTION, two_inputs.SECTION} <= sections:
        print(speed_table(found), end="\n\n")
    print(f"{content['machine']['processor']}, {content['machine']['cores']} cores")


if __name__ == "__main__":
    main()
