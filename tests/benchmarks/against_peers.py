"""The same work by meanfield, NumPy, SciPy, neural-tangents and dks: how long it takes, and how far it is off."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.peer_questions import Question, questions
from tests.benchmarks.peer_runs import PEERS, Answers, Program, Skipped, ask, interpreter, surroundings
from tests.benchmarks.record import Measurement
from tests.benchmarks.timing import race

SECTION = "Peers: the same work, in one run"
START = "import, fresh process"
FIRST = "import, one E[φ²], one E[φ(u)φ(v)] of tanh, fresh process"
AGAIN, ONCE, ERROR = "time", "time of the first call", "largest relative error"

_log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What was measured, with which versions, and what was left out for which reason."""

    measurements: list[Measurement] = field(default_factory=list)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def by(method: str, what: str) -> str:
    """The `how` of a measurement.

    >>> by("dks", ERROR)
    'dks: largest relative error'
    """
    return f"{method}: {what}"


def rows(program: Program, asked: list[Question], said: Answers) -> Iterator[Measurement]:
    """Times and errors of one program."""
    for question, answer in zip(asked, said.answers, strict=True):
        if "skipped" in answer:
            continue
        try:
            largest, present = question.error(answer["values"])
        except (ValueError, TypeError) as error:
            raise Skipped(f"an answer that can't be read: {str(answer['values'])[:80]}") from error
        note = "; ".join(part for part in (answer["how"], answer["note"]) if part)
        missing = len(question.checked) - present
        # A slow method stops early on a trajectory, and says so; any other missing number is a failure.
        early = answer["note"].partition("error ")[2]
        rest = f"; {early}" if early else f"; {missing} of {len(question.checked)} without an answer" if missing else ""
        yield Measurement(SECTION, question.what, by(program.name, AGAIN), answer["again"], "s", note)
        yield Measurement(SECTION, question.what, by(program.name, ONCE), answer["first"], "s", note)
        yield Measurement(SECTION, question.what, by(program.name, ERROR), largest, "", f"of {present}{rest}")


def fresh_processes(program: Program, python: Path, *, repeats: int) -> Iterator[Measurement]:
    """Imports and first answers."""
    environment = surroundings(not program.module)

    def best(code: str, repeats: int) -> float:
        return race({program.name: lambda _: code}, repeats=repeats, environment=environment, python=python)[program.name]

    for what, code in ((START, program.start), (FIRST, program.first)):
        if code:
            best(code, 1)  # compiled files are written once
            yield Measurement(SECTION, what, by(program.name, AGAIN), best(code, repeats), "s")


def measure(*, quick: bool, pythons: Sequence[Path] = (), programs: Sequence[Program] = PEERS) -> Outcome:
    """Ask all programs that can be run here, one after the other."""
    asked = questions(quick=quick)
    outcome = Outcome()
    for program in programs:
        try:
            python = interpreter(program, pythons)
            _log.info("%s: %d questions", program.name, len(asked))
            said = ask(program, python, [question.json for question in asked])
            found = list(rows(program, asked, said))
        except Skipped as reason:
            outcome.skipped[program.name] = str(reason)
            continue
        outcome.versions[program.name] = said.versions
        for question, answer in zip(asked, said.answers, strict=True):
            if "skipped" in answer:
                outcome.skipped[f"{program.name}: {question.what}"] = str(answer["skipped"])
        outcome.measurements += [*fresh_processes(program, python, repeats=1 if quick else 3), *found]
    order = [START, FIRST, *(question.what for question in asked)]
    outcome.measurements.sort(key=lambda m: order.index(m.what))  # a row's methods stand together
    return outcome
