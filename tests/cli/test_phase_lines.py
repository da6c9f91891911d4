"""What `meanfield phase` says of cells whose c* can't be computed."""

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
