"""README keeps its word."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from meanfield.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def meanfield_commands() -> list[list[str]]:
    """The words of each command line in README that starts our program."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("meanfield ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_first_screen_says_what_for_whom_with_one_picture_and_two_commands():
    lines = README.splitlines()
    assert len(lines) <= 150
    screen = "\n".join(lines[:18])
    what, rest = screen.split("\n\n", 2)[1:]
    assert "initialisation" in what
    assert "for **any** activation function" in what
    assert rest.startswith("For you if ")
    assert "(docs/scope.md)" in rest  # where the theory holds, and where not
    assert screen.count("<img ") == 1
    assert len(blocks("sh", screen + "\n")[0].splitlines()) == 2


def test_quick_start_is_two_commands():
    section = README.split("## Quick start", 1)[1]
    first, second = blocks("sh", section)[0].splitlines()
    assert first.startswith("python3 -m pip install . && meanfield ")
    assert second == 'python3 -m pip install ".[test]" && python3 -m pytest -q'


def test_main_job_prints_the_curve(capsys):
    first = blocks("sh", README.split("## Quick start", 1)[1])[0].splitlines()[0]
    assert main(shlex.split(first.partition(" && meanfield ")[2])) == 0
    table = capsys.readouterr().out
    assert table.count("attracting") >= 11
    assert "1.304145" in table  # tanh at σ_b = 0.2


@pytest.mark.parametrize("source", blocks("python"))
def test_python_block_runs(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for framework in re.findall(r"^import (torch|jax|keras)\b", source, flags=re.MULTILINE):
        pytest.importorskip(framework, reason=f'{framework} is not installed: pip install ".[{framework}]"')
    exec(compile(source, "README.md", "exec"), {})
    assert capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == set(re.findall(r'"([\w.]+\.(?:png|html))"', source))


def test_first_python_example_says_what_it_prints(capsys):
    source = blocks("python")[0]
    exec(compile(source, "README.md", "exec"), {})
    sigma_w, q, status = capsys.readouterr().out.split()
    claimed = source.rpartition("#")[2].split()
    assert sigma_w.startswith(claimed[0].rstrip("…"))
    assert q.startswith(claimed[1].rstrip("…"))
    assert status == claimed[2]


@pytest.mark.parametrize("words", meanfield_commands(), ids=" ".join)
def test_command_runs(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.out or (captured.err.startswith("meanfield: wrote ") and list(tmp_path.iterdir()))


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README) + re.findall(r'<img src="([^"]+)"', README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
