"""`meanfield prove`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meanfield.cli import main

pytest.importorskip("flint", reason="PROOFS ARE NOT TESTED: python-flint is not installed (extra proof)")


def test_a_proof_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "silu"]) == 0
    assert main(["prove", "silu", "--strict"]) == 1
    assert main(["prove", "relu"]) == 1
    assert main(["prove", "x + sin(x)"]) == 3
    shown = capsys.readouterr().out
    assert "Theorem 7" in shown
    assert "Not settled" in shown


def test_a_certificate_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "tanh", "--json"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["satisfied_strictly"] is True
    (tmp_path / "tanh.json").write_text(text, encoding="utf-8")
    assert main(["prove", "--certificate", str(tmp_path / "tanh.json")]) == 0
    (tmp_path / "tanh.json").write_text(text.replace('"tanh", ["x"]', '"cosh", ["x"]'), encoding="utf-8")
    assert main(["prove", "--certificate", str(tmp_path / "tanh.json")]) == 1
    assert main(["prove", "--certificate", str(tmp_path / "none.json")]) not in (0, 1)


def test_latex(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "tanh", "--latex"]) == 0
    assert r"\begin{proof}" in capsys.readouterr().out
