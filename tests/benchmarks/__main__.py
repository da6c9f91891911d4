"""``python -m tests.benchmarks [--quick] [--json FILE] [--keep] [--compare OLD.json] [--peer-python PATH] [SECTION ...]``"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import accuracy, against_peers, curves, diagrams, kernels, one_input, peer_runs, simulations, start_up, two_inputs
from tests.benchmarks.record import Measurement, Run, compare, load, machine, save, table

SECTIONS: dict[str, Callable[..., Iterator[Measurement]]] = {
    "start": start_up.measure,
    "curves": curves.measure,
    "diagrams": diagrams.measure,
    "one": one_input.measure,
    "two": two_inputs.measure,
    "kernels": kernels.measure,
    "accuracy": accuracy.measure,
    "simulations": simulations.measure,
}
PEERS = "peers"
ALL = (*SECTIONS, PEERS)
LATEST = Path(__file__).parent / "results" / "latest.json"


def arguments(words: list[str]) -> argparse.Namespace:
    """What the words say."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"which: {', '.join(ALL)}; all where none is named")
    parser.add_argument("--quick", action="store_true", help="a smoke run: fewer cases, fewer repeats")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements there")
    parser.add_argument("--keep", action="store_true", help=f"write them to {LATEST.name} in {LATEST.parent.name}/ too: a full run only")
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="print each beside that of an earlier run (default: the one kept)")
    parser.add_argument(
        "--peer-python",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a Python that has neural-tangents or dks, as tests.benchmarks.peer_environment makes one; "
        f"may be given again; default: those of {peer_runs.VARIABLE}",
    )
    given = parser.parse_args(words)
    unknown = set(given.sections) - set(ALL)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    if given.keep and (given.quick or given.sections):
        parser.error("--keep goes with a full run: without --quick and without sections")
    if given.compare and not given.compare.is_file():
        parser.error(f"--compare {given.compare}: no such file")
    return given


def main(words: list[str]) -> int:
    """Measure, print, keep and compare."""
    given = arguments(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    where = machine()
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    print(f"{where['date']}  {where['processor']}, {where['cores']} cores, load {where['load']}\n{versions}")
    run = Run([], where, given.quick)
    start = time.perf_counter()
    for name in given.sections or ALL:
        if name == PEERS:
            outcome = against_peers.measure(quick=given.quick, pythons=peer_runs.candidates(given.peer_python))
            part = outcome.measurements
            run.peers.update(outcome.versions)
            run.skipped.update(outcome.skipped)
        else:
            part = list(SECTIONS[name](quick=given.quick))
        print(table(part))
        if name == PEERS:
            for who, found in run.peers.items():
                print(f"{who}: {', '.join(f'{package} {version}' for package, version in found.items())}")
            for who, reason in run.skipped.items():
                print(f"left out: {who}: {reason}")
        print(f"\n{name}: done after {time.perf_counter() - start:.0f} s in all", flush=True)
        run.measurements.extend(part)
    old = given.compare or (LATEST if LATEST.is_file() and not given.quick else None)
    if old:
        try:
            print(compare(str(old), load(old), run))
        except ValueError as error:
            print(error, file=sys.stderr)
    for path in (given.json, LATEST if given.keep else None):
        if path:
            save(path, run)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
