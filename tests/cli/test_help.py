"""Help with examples that work, completion, and output that fits the page."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meanfield.cli import main
from meanfield.cli.application import COMMANDS

NAMES = {function.__name__: lines for function, lines in COMMANDS.items()}
EXAMPLES = [line for lines in NAMES.values() for line in lines]
NETWORKS = Path(__file__).resolve().parents[2] / "examples" / "networks"


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_the_examples_and_fits(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "<bool>" not in text.replace("--help       -h      <bool>", "").partition("Options")[2].partition("--help")[0]
    for line in NAMES[name]:
        assert f"meanfield {line}"[:60] in " ".join(text.split())


@pytest.mark.parametrize("line", [line for line in EXAMPLES if not line.startswith(("report", "explore"))])  # tests/report, tests/explore
def test_example_runs(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if NETWORKS.exists():
        shutil.copy(next(NETWORKS.glob("*.toml")), tmp_path / "net.toml")
    elif "net.toml" in line:
        pytest.skip("examples/ is not beside the tests")
    status = main(shlex.split(line))
    assert status in ((0, 1, 3) if line.startswith("check") else (0,))
    out = capsys.readouterr().out
    assert out
    if "--json" not in line and "--csv" not in line:
        assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option, capsys):
    from meanfield import __version__

    assert main([option]) == 0
    assert capsys.readouterr().out == f"meanfield {__version__}\n"


def asked(**environment: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from meanfield.cli import main; sys.argv = ['meanfield']; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}, check=False
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(shell):
    done = asked(_MEANFIELD_COMPLETE=f"source_{shell}")
    assert done.returncode == 0
    assert f"complete_{shell}" in done.stdout
    program = shutil.which(shell)
    if program is not None and shell == "bash":  # the others may not be installed
        assert subprocess.run([program, "-n"], input=done.stdout, text=True, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("meanfield re", {"recommend", "report"}), ("meanfield eoc hardt", {"hardtanh"}), ("meanfield compare relu gel", {"gelu"})],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_answers(shell, words, wanted):
    if shell == "bash":
        more = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    else:
        more = {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = asked(_MEANFIELD_COMPLETE=f"complete_{shell}", **more)
    assert done.returncode == 0
    assert all(word in done.stdout for word in wanted)
    assert "simulate" not in done.stdout


def test_no_colour_in_a_pipe_nor_where_none_is_wanted():
    for more in ({}, {"NO_COLOR": "1", "FORCE_COLOR": ""}):
        code = "import sys; from meanfield.cli import main; sys.exit(main(['eoc', '--help']))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **more}, check=True
        )
        assert "\x1b[3" not in done.stdout


def test_several_curves(capsys, tmp_path, monkeypatch):
    import json

    import meanfield as mf

    monkeypatch.chdir(tmp_path)
    assert main(["eoc", "tanh", "relu", "--sigma-b", "0,0.1", "--json", "-o", "both.svg"]) == 0
    curves = json.loads(capsys.readouterr().out)["curves"]
    assert [curve["activation"] for curve in curves] == ["tanh", "relu"]
    assert curves[0]["sigma_w"] == mf.edge_of_chaos("tanh", [0.0, 0.1]).sigma_w.tolist()
    assert (tmp_path / "both.svg").stat().st_size > 1000
    assert main(["eoc", "tanh", "relu", "--sigma-b", "0,0.1", "--csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["activation", "tanh", "tanh", "relu", "relu"]
    assert main(["eoc", "tanh", "relu", "-p", "a=1"]) == 64
    assert "can't be told to which of 2 activations" in capsys.readouterr().err


def test_depth_begins_where_there_is_something_to_say(capsys):
    assert main(["depth", "relu", "--depth", "50"]) == 0
    row = capsys.readouterr().out.splitlines()[4].split()
    assert row[0] == "0"
    assert row[3] == "54"
    assert main(["depth", "tanh"]) == 0
    assert capsys.readouterr().out.splitlines()[4].split()[0] == "0.2"


def test_a_datasheet_is_not_poured_over_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["report", "tanh"]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "-o page.html" in captured.err


def test_a_picture_of_a_phase_diagram_needs_no_map_beside_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["phase", "tanh", "-o", "phases.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 5
    assert lines[0] == "Phase diagram of tanh"


def test_grids_of_python_are_those_of_the_command_line(capsys):
    import json

    import meanfield as mf

    assert main(["eoc", "tanh", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sigma_b"] == mf.edge_of_chaos("tanh").sigma_b.tolist()
    assert main(["phase", "tanh", "--json"]) == 0
    found, diagram = json.loads(capsys.readouterr().out), mf.phase_diagram("tanh")
    assert found["sigma_w"] == diagram.sigma_w.tolist()
    assert found["sigma_b"] == diagram.sigma_b.tolist()
    assert diagram == mf.phase_diagram("tanh", diagram.sigma_w, diagram.sigma_b)
    assert mf.edge_of_chaos("tanh") == mf.edge_of_chaos("tanh", sigma_b=mf.edge_of_chaos("tanh").sigma_b)
