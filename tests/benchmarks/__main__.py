"""``python -m tests.benchmarks [--quick] [--json FILE] [--compare OLD.json] [SECTION ...]``"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import accuracy, curves, diagrams, one_input, simulations, start_up, two_inputs
from tests.benchmarks.record import Measurement, compare, machine, save, table

SECTIONS: dict[str, Callable[..., Iterator[Measurement]]] = {
    "start": start_up.measure,
    "curves": curves.measure,
    "diagrams": diagrams.measure,
    "one": one_input.measure,
    "two": two_inputs.measure,
    "accuracy": accuracy.measure,
    "simulations": simulations.measure,
}


def main(words: list[str]) -> int:
    """Measure, print, keep and compare."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"which: {', '.join(SECTIONS)}; all where none is named")
    parser.add_argument("--quick", action="store_true", help="a smoke run: fewer cases, fewer repeats")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements there too")
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="print each beside that of an earlier run")
    given = parser.parse_args(words)
    unknown = set(given.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    where = machine()
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    print(f"{where['date']}  {where['processor']}, {where['cores']} cores\n{versions}")
    found: list[Measurement] = []
    for name in given.sections or SECTIONS:
        part = list(SECTIONS[name](quick=given.quick))
        print(table(part), flush=True)
        found += part
    if given.json:
        save(given.json, found, quick=given.quick)
    if given.compare:
        print(compare(given.compare, found, quick=given.quick))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
