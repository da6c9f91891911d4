"""The command in poor surroundings: no home, no cache, no UTF-8, a narrow terminal, warnings as errors, hostile words."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import meanfield as mf
from meanfield.cli import main
from tests.activations.test_hostile import HOSTILE

_COMMAND = [sys.executable, "-m", "meanfield", "eoc", "tanh", "--sigma-b", "0.2"]


def _run(**changes: str | None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **{name: value for name, value in changes.items() if value is not None}}
    for name, value in changes.items():
        if value is None:
            environment.pop(name, None)
    return subprocess.run(_COMMAND, env=environment, capture_output=True, timeout=120)


@pytest.mark.parametrize(
    "changes",
    [
        {"HOME": None},
        {"HOME": "/nonexistent"},
        {"PYTHONWARNINGS": "error"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        {"COLUMNS": "40"},
        {"COLUMNS": "1"},
    ],
    ids=str,
)
def test_the_table_comes_out(changes: dict[str, str | None]) -> None:
    done = _run(**changes)
    assert done.returncode == 0, done.stderr
    assert b"1.304" in done.stdout
    assert done.stderr == b""


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    done = _run(NUMBA_CACHE_DIR=str(file / "below"))
    assert done.returncode == 0, done.stderr
    assert b"1.304" in done.stdout


@pytest.mark.parametrize("name", mf.activations())
def test_every_name_of_the_catalogue_works(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eoc", name, "--sigma-b", "0,0.2"]) == 0
    captured = capsys.readouterr()
    assert name in captured.out
    assert captured.err == ""


def test_hostile_words_end_with_64_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    for text in HOSTILE:
        began = time.perf_counter()
        assert main(["eoc", "--sigma-b", "0.2", "--", text]) == 64, text[:100]
        assert time.perf_counter() - began < 20.0, text[:100]  # the machine may be busy; none is evaluated
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("meanfield: error: ")
        assert len(captured.err) < 2_000
        assert "Traceback" not in captured.err
