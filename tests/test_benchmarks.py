"""The benchmarks' plumbing: questions, answers, what is left out, what is kept, tables. Nothing is timed here."""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.special import erf

from tests.benchmarks import __main__ as command
from tests.benchmarks import against_peers, peer_environment, peer_runs, readme_tables
from tests.benchmarks.__main__ import arguments
from tests.benchmarks.against_peers import AGAIN, ERROR, ONCE, SECTION, by
from tests.benchmarks.peer_questions import Question, questions
from tests.benchmarks.peer_runs import Program, Skipped, ask, candidates, interpreter
from tests.benchmarks.record import Measurement, Run, compare, load, machine, mark, save

HERE = Path(sys.executable)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module that the programs share, as they import it."""
    monkeypatch.syspath_prepend(str(peer_runs.PROGRAMS))
    yield importlib.import_module("answering")
    del sys.modules["answering"]


def program(folder: Path, source: str, module: str = "") -> Program:
    """A program with that source."""
    file = folder / "program.py"
    file.write_text(source)
    return Program("fake", file, module)


# A peer that knows the closed forms of erf, and nothing else.
PEER = f"""
import sys
sys.path.insert(0, {str(peer_runs.PROGRAMS)!r})
import answering, numpy as np

class Fake(answering.ByArrays):
    name = "fake"
    def versions(self): return {{"fake": "1.0"}}
    def how(self, activation, kind): return "closed form"
    def moment_of(self, activation, order):
        if activation != "erf": raise answering.Unable("erf only")
        print("talks on stdout")
        if order: return lambda q: 4 / np.pi / np.sqrt(1 + 4 * q)
        return lambda q: 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q))
    def covariance_of(self, activation):
        if activation != "erf": raise answering.Unable("erf only")
        return lambda q, c: 2 / np.pi * np.arcsin(2 * q * c / (1 + 2 * q))

answering.main(Fake())
"""


# ---- questions ------------------------------------------------------------------------------------------------------


def test_all_questions_have_exact_answers_and_can_be_told():
    asked = questions(quick=False)
    assert len({q.what for q in asked}) == len(asked) > 15
    for question in asked:
        assert len(question.checked) == len(question.exact) == len(question.scale) >= 3
        assert json.loads(json.dumps(question.json))["kind"] == question.kind
        exact = [[float(n) for n in numbers] for numbers in question.exact]
        assert question.error(exact)[0] < 1e-15
        assert question.error([None, *exact[1:]])[1] == len(exact) - 1


def test_error_is_the_largest_and_relative_to_the_scale():
    question = Question("", "diagram", "tanh", {}, ([1, 2], [3, 4]), ((2.0, 4.0), (1.0, 1.0)), ((2.0, 8.0), (1.0, 1.0)))
    assert question.error([[2.0, 4.4], [1.0, 0.99]])[0] == pytest.approx(0.05)
    assert question.error([None, None]) == (math.inf, 0)
    with pytest.raises(ValueError, match="zip"):
        question.error([[2.0, 4.0]])


def test_trajectory_of_relu_starts_on_its_closed_form():
    question = next(q for q in questions(quick=True) if q.kind == "trajectory")
    theta = math.acos(question.timed["c"])
    after = (math.sin(theta) + (math.pi - theta) * math.cos(theta)) / math.pi
    assert float(question.exact[question.checked.index(1)][0]) == pytest.approx(1 - after, rel=1e-14)


# ---- programs -------------------------------------------------------------------------------------------------------


def test_a_peer_answers_what_it_can(tmp_path):
    asked = questions(quick=True)
    said = ask(program(tmp_path, PEER), HERE, [q.json for q in asked], limit=60)
    assert said.versions == {"fake": "1.0"}
    assert ["skipped" in answer for answer in said.answers] == [q.activation != "erf" for q in asked]
    edge = next(i for i, q in enumerate(asked) if q.activation == "erf")
    told = peer_runs.Answers({}, [said.answers[edge]])
    found = {m.how: m for m in against_peers.rows(program(tmp_path, PEER), asked[edge : edge + 1], told)}
    assert set(found) == {by("fake", word) for word in (AGAIN, ONCE, ERROR)}
    assert found[by("fake", ERROR)].value < 1e-11  # generic bisection over exact V and V'
    assert found[by("fake", AGAIN)].note == "closed form"


def test_generic_methods_reach_the_references(answering):
    class Erf(answering.ByArrays):
        def moment_of(self, activation, order):
            return lambda q: 4 / np.pi / np.sqrt(1 + 4 * q) if order else 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q))

        def covariance_of(self, activation):
            return lambda q, c: 2 / np.pi * np.arcsin(2 * q * c / (1 + 2 * q))

    for question in questions(quick=False):
        if question.activation == "erf":
            timed = {**question.timed, **{word: 5 for word in ("count", "side") if word in question.timed}}
            values, first, again = getattr(Erf(), question.kind)("erf", timed, list(question.checked))
            assert question.error(answering._plain(values))[0] < 1e-11, question.what
            assert first > 0 < again


def test_scalar_methods_reach_the_references(answering):
    class Erf(answering.ByScalars):
        def second_moment(self, activation, q, order):
            return 4 / math.pi / math.sqrt(1 + 4 * q) if order else 2 / math.pi * math.asin(2 * q / (1 + 2 * q))

        def mixed_moment(self, activation, q, c):
            return 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))

    for question in questions(quick=False):
        if question.activation == "erf":
            method = Erf()
            values, first, again = getattr(method, question.kind)("erf", question.timed, list(question.checked))
            assert question.error(answering._plain(values))[0] < 1e-9, question.what
            assert first == again > 0
            assert "scaled from" in method.note
    timed = {"sigma_w": 1.0, "sigma_b": 0.5, "q": 1.0, "c": 0.5, "depth": 100}
    values, _, _ = Erf().trajectory("erf", timed, [1, 2, 5, 100])
    assert values[3] is None  # it stops after five layers
    assert values[0] > values[1] > values[2] > 0


def test_plain_numbers_only(answering):
    assert answering._plain([np.array([1.0, np.nan]), np.float64(np.inf), None]) == [[1.0, None], None, None]


def test_our_own_programs_answer(monkeypatch):
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)  # minutes without compiled kernels
    asked = [Question("", "covariance", "erf", {"q": 1.0, "count": 3}, ([1.0, 0.5],), ((2 / math.pi * math.asin(1 / 3),),), ((1.0,),))]
    for peer in peer_runs.PEERS:
        if not peer.module:
            said = ask(peer, HERE, [q.json for q in asked], limit=120)
            assert asked[0].error(said.answers[0]["values"])[0] < 1e-3, peer.name


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise SystemExit(3)", "exit status 3"),
        ("import sys; sys.exit('out of luck')", "exit status 1: out of luck"),
        ("print('hello')", "something else than answers"),
        ("print('[]')", "something else than answers"),
        ('print(\'{"versions": {}, "answers": []}\')', "0 answers to 1 questions"),
        ('print(\'{"versions": {}, "answers": [{"values": 1}]}\')', "an answer that can't be read"),
        ("import time; time.sleep(60)", "not done within"),
    ],
)
def test_a_program_that_fails_is_left_out_with_a_reason(tmp_path, source, why):
    with pytest.raises(Skipped, match=why):
        ask(program(tmp_path, source), HERE, [{}], limit=2 if "sleep" in source else 60)


def test_values_of_the_wrong_number_leave_the_peer_out(tmp_path):
    answer = {"values": [1.0], "first": 1.0, "again": 1.0, "how": "", "note": ""}
    with pytest.raises(Skipped, match="can't be read"):
        list(against_peers.rows(program(tmp_path, ""), questions(quick=True)[:1], peer_runs.Answers({}, [answer])))


def test_first_layers_only_are_told_apart_from_failures(tmp_path):
    asked = next(q for q in questions(quick=True) if q.kind == "trajectory")
    values = [float(exact[0]) if layer <= 5 else None for layer, exact in zip(asked.checked, asked.exact, strict=True)]
    notes = []
    for note in ("error up to layer 5", ""):
        answer = {"values": values, "first": 1.0, "again": 1.0, "how": "dblquad", "note": note}
        notes.append(list(against_peers.rows(program(tmp_path, ""), [asked], peer_runs.Answers({}, [answer])))[-1].note)
    assert notes == ["of 3; up to layer 5", "of 3; 2 of 5 without an answer"]
    ours = measured(asked.what, "meanfield", ERROR, 1e-12)
    for note, remark in (("of 3; up to layer 5", ""), ("of 5", "dks is closer")):
        run = Run([ours, measured(asked.what, "dks", ERROR, 1e-13, note)])
        assert readme_tables.why_less_exact(run, asked.what) == remark


def test_where_a_peer_is_looked_for(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    assert candidates([first], {peer_runs.VARIABLE: str(second)}) == [first]
    assert candidates([], {peer_runs.VARIABLE: f"{first}:{second}"}) == [first, second]
    assert candidates([], {}) == []
    assert interpreter(program(tmp_path, ""), []) == HERE
    assert interpreter(program(tmp_path, "", "json"), [HERE]) == HERE
    with pytest.raises(Skipped, match="--peer-python PATH or MEANFIELD_PEER_PYTHON"):
        interpreter(program(tmp_path, "", "json"), [])
    with pytest.raises(Skipped, match="no_such_module is not in the 1 environment named"):
        interpreter(program(tmp_path, "", "no_such_module"), [HERE])
    with pytest.raises(Skipped, match=r"does not run: No such file or directory$"):  # reasons are kept: no path of this machine
        interpreter(program(tmp_path, "", "json"), [tmp_path / "nothing"])
    with pytest.raises(Skipped, match=r"does not run: No such file or directory$"):
        ask(program(tmp_path, ""), tmp_path / "nothing", [])


def test_missing_peers_are_told(tmp_path):
    outcome = against_peers.measure(quick=True, programs=[program(tmp_path, PEER, "no_such_module"), program(tmp_path, PEER)])
    assert outcome.skipped["fake"].startswith("no interpreter named")
    assert any(what.startswith("fake: E[φ²] of tanh") and reason == "erf only" for what, reason in outcome.skipped.items())
    assert {m.what for m in outcome.measurements} == {"edge of chaos of erf, 11 σ_b"}
    assert outcome.versions == {"fake": {"fake": "1.0"}}


def test_the_peers_environment_gets_the_pins(tmp_path, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(peer_environment.venv, "create", lambda folder, with_pip: ran.append(folder))
    monkeypatch.setattr(peer_environment.subprocess, "run", lambda command, check: ran.append(command))
    assert peer_environment.main([str(tmp_path), "--", "--no-index"]) == 0
    assert ran[0] == tmp_path
    assert set(peer_environment.PINS) <= set(ran[1])
    assert {"--no-index", "neural-tangents==0.6.5", "dks==0.1.2", "jax==0.4.26"} <= set(ran[1])
    assert f"--peer-python {peer_environment.interpreter(tmp_path)}" in capsys.readouterr().out


# ---- what is kept ---------------------------------------------------------------------------------------------------


def measured(what: str, method: str, quantity: str, value: float, note: str = "") -> Measurement:
    return Measurement(SECTION, what, by(method, quantity), value, "" if quantity == ERROR else "s", note)


def some_run(scale: float = 1.0) -> Run:
    """Two rows of three methods: a closed form that is faster, an inexact one that is faster, a slower one."""
    found = []
    for what in ("E[φ²] of relu, 10 q", "E[φ²] of tanh, 10 q"):
        closed = "closed form" if "relu" in what else "numerical, degree 25"
        for method, time, error, note in (
            ("meanfield", 1e-3, 2e-14, "any φ"),
            ("neural-tangents", 1e-4, 1e-14 if "relu" in what else 0.2, closed),
            ("dks", 1.0, 1e-11, "100,000 nodes"),
        ):
            found.append(measured(what, method, AGAIN, scale * time, note))
            found.append(measured(what, method, ONCE, scale * 10 * time, note))
            found.append(measured(what, method, ERROR, error, "of 4; 1 of 5 without an answer" if method == "dks" else "of 5"))
    found.append(measured(against_peers.START, "meanfield", AGAIN, 0.03))
    found.append(measured(against_peers.START, "dks", AGAIN, 2.0))
    return Run(found, machine(), False, {"dks": {"dks": "0.1.2"}}, {"SciPy quad": "not today"})


def test_a_run_survives_its_file(tmp_path):
    run = some_run()
    run.measurements.append(Measurement("s", "w", "h", math.inf))
    save(tmp_path / "new" / "run.json", run)
    assert load(tmp_path / "new" / "run.json") == run
    json.loads((tmp_path / "new" / "run.json").read_text(), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert run.machine["versions"]["numpy"] == np.__version__
    assert run.machine["load"] >= 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"measurements": [{}], "machine": {}}'])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "f").write_text(text)
    with pytest.raises(ValueError, match="holds no measurements"):
        load(tmp_path / "f")


def test_changes_are_marked():
    assert mark(1.0, 1.51, "s") == "slower"
    assert mark(1.0, 1.49, "s") == ""
    assert mark(1e-12, 1e-13, "") == "closer"
    assert mark(1e-13, 1e-12, "") == "farther off"
    assert mark(0.0, 5e-16, "") == ""
    old, new = some_run(), some_run(2.0)
    text = compare("before", old, new)
    assert text.count("<- slower") == 12  # not the two of fresh processes, nor the errors
    assert text.endswith("12 changed by more than 1.5 ×")
    other = Run(new.measurements, {**new.machine, "cores": 64}, True)
    text = compare("before", old, other)
    assert "different machines" in text
    assert "quick run" in text


def test_arguments(capsys):
    assert arguments(["peers", "--peer-python", "a", "--peer-python", "b"]).peer_python == [Path("a"), Path("b")]
    for words in (["nothing"], ["--keep", "--quick"], ["--keep", "peers"], ["--compare", "/no/such/file"]):
        with pytest.raises(SystemExit):
            arguments(words)
    assert "no section nothing" in capsys.readouterr().err


def test_a_full_run_is_kept_and_the_next_compares_with_it(tmp_path, monkeypatch, capsys):
    seconds = iter((1.0, 4.0, 4.0))
    latest = tmp_path / "results" / "latest.json"
    monkeypatch.setattr(command, "SECTIONS", {"one": lambda quick: [Measurement("One", "w", "h", next(seconds), "s")]})
    monkeypatch.setattr(command, "ALL", ("one", "peers"))
    monkeypatch.setattr(command, "LATEST", latest)
    monkeypatch.setattr(command.against_peers, "measure", lambda quick, pythons: against_peers.Outcome(skipped={"dks": "not today"}))
    assert command.main(["--keep"]) == 0
    first = capsys.readouterr().out
    assert "left out: dks: not today" in first
    assert "Against" not in first  # nothing to compare with, and nothing said
    assert load(latest).skipped == {"dks": "not today"}
    assert command.main(["one", "--json", str(tmp_path / "other.json")]) == 0
    assert "4.00  w: h   <- slower" in capsys.readouterr().out
    assert load(latest).measurements[0].value == 1.0
    assert load(tmp_path / "other.json").measurements[0].value == 4.0
    assert command.main(["one", "--quick"]) == 0
    assert "Against" not in capsys.readouterr().out


# ---- tables ---------------------------------------------------------------------------------------------------------


def test_a_row_says_why_ours_is_behind():
    run = some_run()
    assert readme_tables.why_slower(run, "E[φ²] of relu, 10 q") == "neural-tangents: 10 × faster, a closed form for this φ alone"
    assert readme_tables.why_slower(run, "E[φ²] of tanh, 10 q") == "neural-tangents: 10 × faster, off by 2.0e-01"
    assert readme_tables.why_less_exact(run, "E[φ²] of relu, 10 q") == "neural-tangents is closer, by a closed form for this φ alone"
    assert readme_tables.why_less_exact(run, "E[φ²] of tanh, 10 q") == ""
    assert readme_tables.why_slower(run, against_peers.START) == ""
    exact = Run([measured("w", "meanfield", ERROR, 5e-15), measured("w", "dks", ERROR, 1e-16)])
    assert readme_tables.why_less_exact(exact, "w") == ""  # both at rounding


def test_peer_table_has_a_column_for_each_that_took_part():
    lines = readme_tables.peer_table(some_run(), ERROR, readme_tables.why_less_exact).splitlines()
    assert lines[0] == "|  | meanfield | neural-tangents | dks | where ours is behind |"
    assert lines[3] == "| E[φ²] of tanh, 10 q | **2.0e-14** | 2.0e-01 | 1.0e-11 (1 of 5 without an answer) |  |"
    assert len({line.count("|") for line in lines}) == 1


def test_sections_are_replaced_and_others_left(tmp_path):
    (tmp_path / "docs" / "images").mkdir(parents=True)
    for name, heading, _ in readme_tables.TEXTS:
        path = tmp_path / name
        before = path.read_text() if path.exists() else "# T\n\n"
        path.write_text(before + f"{heading}\n\nold text\n\n## After {heading[3:]}\n\nkept\n\n")
    said = readme_tables.write(some_run(), tmp_path)
    assert [line.split(" ")[0] for line in said] == ["left", "left", "wrote", "wrote"]
    assert "no measurements of 'Accuracy" in said[0]
    page = (tmp_path / "docs" / "benchmarks.md").read_text()
    assert page.count("old text") == 2
    assert "old text" not in page.partition("## Tables")[2]
    assert "## After Tables\n\nkept" in page
    assert "Left out: SciPy quad (not today)." in page
    assert "dks 0.1.2" in page
    assert (tmp_path / "docs" / "images" / "benchmark.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="no line"):
        readme_tables.with_section("text", "## Tables", "")


def test_closed_form_of_the_fake_peer_is_right():
    z, w = np.polynomial.hermite_e.hermegauss(60)
    assert (w / w.sum()) @ erf(0.5 * z) ** 2 == pytest.approx(2 / math.pi * math.asin(0.5 / 1.5), rel=1e-10)
