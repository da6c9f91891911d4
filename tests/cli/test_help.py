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
from meanfield.cli.application import COMMANDS, application

NAMES = {name: application.get_command(None, name).examples for name in COMMANDS}
EXAMPLES = [line for lines in NAMES.values() for line in lines]
NETWORKS = Path(__file__).resolve().parents[2] / "examples" / "networks"


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_the_examples_and_fits(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "BOOLEAN" not in text
    for parameter in application.get_command(None, name).params:
        assert getattr(parameter, "help", "") or getattr(parameter, "explanation", ""), parameter.name
    after = text.partition("Examples:\n")[2]
    assert after.splitlines() == [f"  meanfield {line}" for line in NAMES[name]]  # a line each, to paste


def test_every_command_is_listed_with_its_first_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    _, _, listed = text.partition("Commands:\n")
    assert [line.split()[0] for line in listed.splitlines() if line[2] != " "] == list(COMMANDS)
    for name in COMMANDS:
        command = application.get_command(None, name)
        assert command.name == name
        assert command.short_help == command.help.partition("\n")[0]
        assert command.short_help in " ".join(listed.split())


def test_an_argument_is_explained(capsys):
    assert main(["eoc", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Usage: meanfield eoc [OPTIONS] ACTIVATION..." in text
    assert "Arguments: ACTIVATION... One or several: names" in text
    assert "[required]" in text
    assert main(["explore", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Arguments: [ACTIVATION] A name or a formula to begin with. Options:" in text


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


SHELLS = ("bash", "zsh", "fish")


def accepted(shell: str, place: Path) -> bool:
    """Whether the shell, where there is one, can read the file."""
    program = shutil.which(shell)
    return program is None or subprocess.run([program, "-n", str(place)], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_script(shell, capsys, tmp_path):
    done = asked(_MEANFIELD_COMPLETE=f"{shell}_source")
    assert done.returncode == 0
    assert f"_MEANFIELD_COMPLETE={shell}_complete" in done.stdout
    assert main(["--show-completion", shell]) == 0
    shown = capsys.readouterr().out
    assert shown.strip() == done.stdout.strip()
    place = tmp_path / "script"
    place.write_text(shown)
    assert accepted(shell, place)


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_installed_once(shell, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    reader = tmp_path / f".{shell}rc"
    if shell != "fish":
        reader.write_text("alias ll='ls -l'")  # no line's end
    for _ in range(2):
        assert main(["--install-completion"]) == 0
    told = capsys.readouterr().out.splitlines()[0]
    place = Path(told.removeprefix("wrote ").partition(";")[0].partition(",")[0])
    assert f"_MEANFIELD_COMPLETE={shell}_complete" in place.read_text()
    if shell == "fish":
        assert not reader.exists()
        return
    assert str(reader) in told
    first, *more = reader.read_text().splitlines()
    assert first == "alias ll='ls -l'"
    assert len(more) == 1
    assert "~/" + str(place.parent.relative_to(tmp_path)) in more[0]
    assert accepted(shell, reader)


@pytest.mark.parametrize(
    ("words", "variable"),
    [(["--install-completion", "tcsh"], "/bin/bash"), (["--show-completion"], "/bin/sh"), (["--show-completion"], "")],
)
def test_a_shell_that_is_not_known(words, variable, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("SHELL", variable)
    assert main(words) == 64
    assert "give one of bash, zsh, fish" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def typed(shell: str, words: str) -> set[str]:
    """What a shell is offered for the last of the words."""
    count, last = str(len(words.split()) - 1), words.split()[-1]
    done = asked(_MEANFIELD_COMPLETE=f"{shell}_complete", COMP_WORDS=words, COMP_CWORD=last if shell == "fish" else count)
    assert done.returncode == 0
    if shell == "zsh":
        return set(done.stdout.splitlines()[1::3])
    return {line.partition(",")[2].partition("\t")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("meanfield re", {"recommend", "report"}),
        ("meanfield eoc hardt", {"hardtanh"}),
        ("meanfield compare relu gel", {"gelu", "gelu_tanh"}),
        ("meanfield explore hardt", {"hardtanh"}),
        ("meanfield phase tanh --sig", {"--sigma-w", "--sigma-b"}),
        ("meanfield --vers", {"--version"}),
        ("meanfield --install-completion z", {"zsh"}),
        ("meanfield phase tanh --quantity xi", {"xi_q", "xi_c", "xi_grad"}),
        ("meanfield simulate tanh --weights g", {"gaussian"}),
        ("meanfield recommend tanh --weights o", {"orthogonal"}),
        ("meanfield shape tanh --method d", {"dks"}),
    ],
)
@pytest.mark.parametrize("shell", SHELLS)
def test_completion_answers(shell, words, wanted):
    assert typed(shell, words) == wanted


@pytest.mark.parametrize(
    "told", [{}, {"COMP_WORDS": "meanfield eoc t"}, {"COMP_WORDS": "meanfield eoc t", "COMP_CWORD": "x"}], ids=["none", "half", "no number"]
)
def test_a_question_that_no_shell_asks(told):
    done = asked(_MEANFIELD_COMPLETE="bash_complete", **told)
    assert done.returncode == 64
    assert done.stderr.startswith("meanfield: error: _MEANFIELD_COMPLETE is set")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["meanfield nonsense x", "meanfield eoc 'x*si", 'meanfield "'])
def test_nothing_is_said_while_one_types(words):
    done = asked(_MEANFIELD_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["meanfield network exa", "meanfield eoc tanh -o cur", "meanfield report tanh -o p"])
def test_files_are_left_to_the_shell(words):
    count, last = str(len(words.split()) - 1), words.split()[-1]
    assert asked(_MEANFIELD_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=count).stdout == f"file,{last}\n"


_RUN = {
    "bash": 'COMP_WORDS=(meanfield eoc hardt); COMP_CWORD=2; _meanfield_completion meanfield hardt eoc; echo "${COMPREPLY[@]}"',
    # What the script would tell zsh's own completion is printed.
    "zsh": "compadd() { shift 3; print -r -- ${(P)2}; }; words=(meanfield eoc hardt); CURRENT=3; _meanfield_completion",
    "fish": 'complete -C "meanfield eoc hardt"',
}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_completes_by_the_script(shell, tmp_path):
    """As it runs it, with the program on the path."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "meanfield"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m meanfield "$@"\n')
    program.chmod(0o755)
    script = asked(_MEANFIELD_COMPLETE=f"{shell}_source").stdout
    if shell == "zsh":
        script = f"compdef() {{ }}; {script}"
    more = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    without = {"bash": "--norc", "zsh": "-f", "fish": "--no-config"}[shell]
    done = subprocess.run(
        [shell, without, "-c", f"{script}\n{_RUN[shell]}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **more},
    )
    assert done.stdout.split() == ["hardtanh"], done.stderr


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
