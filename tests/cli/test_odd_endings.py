"""What `meanfield phase` says of cells whose c* can't be computed, and of a Ctrl-C that Python wraps."""

from __future__ import annotations

import pytest

from meanfield.cli import main

pytestmark = pytest.mark.filterwarnings("default::meanfield.errors.AccuracyWarning")


def test_cells_with_too_many_features(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phase", "sin", "--sigma-w", "2:3002:3000", "--sigma-b", "1:1:1"]) == 0
    out, err = capsys.readouterr()
    assert "too many features within reach of N(0, q*) at 1 of 2 points: c* is nan there" in " ".join(err.split())
    assert "chaotic: 2 of 2 cells; xi_c is 1.147" in out.replace("\n", " ")


def test_no_cell_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phase", "sin", "--sigma-w", "3000:4000:1000", "--sigma-b", "1:1:1"]) == 0
    assert "chaotic: 2 of 2 cells; xi_c is nan" in capsys.readouterr().out


def test_ctrl_c_while_a_class_is_made(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 wraps what __set_name__ raises: a Ctrl-C during an import comes as a RuntimeError."""
    from meanfield.cli import entry

    def interrupted(arguments: list[str]) -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as cause:
            raise RuntimeError("Error calling __set_name__ on 'Field' instance") from cause

    monkeypatch.setattr(entry, "_run", interrupted)
    assert entry.main(["eoc", "tanh"]) == 130
    assert "interrupted" in capsys.readouterr().err

    def broken(arguments: list[str]) -> int:
        raise RuntimeError("something else")

    monkeypatch.setattr(entry, "_run", broken)
    with pytest.raises(RuntimeError, match="something else"):
        entry.main(["eoc", "tanh"])
