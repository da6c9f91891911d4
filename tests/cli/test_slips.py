"""What the command answers to slips: the word that was typed, and what to type instead."""

from __future__ import annotations

import pytest

from meanfield.cli import main


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["eoc", "tanh", "--sigma_b", "1"], "Try: meanfield eoc --help"),
        (["check", "relu", "--csv"], "Try: meanfield check --help"),
        (["eoc", "tanh", "--sigma-b"], "Try: meanfield eoc --help"),
        (["eoc", "-x"], "goes after '--'"),
        (["eoc", "tanh(a*x)"], "-p a=0.3"),
        (["depth", "tanh", "--depth", "1.5"], "'--depth': '1.5' is not a valid integer."),
        (["simulate", "tanh", "--width=wide"], "'--width': 'wide' is not a valid integer."),
        (["report", "tanh", "-o", "page.png"], ".html"),
        (["simulate", "tanh", "--width", "1000000000", "--networks", "1"], "GiB"),
    ],
)
def test_what_a_slip_is_answered_with(words, told, capsys, monkeypatch):
    monkeypatch.setattr("meanfield.simulation.memory.machine_memory", lambda: 2**33)
    assert main(words) == 64
    error = capsys.readouterr().err
    assert told in error
    assert ("goes after" in error) == (words == ["eoc", "-x"])


def test_a_figure_that_cannot_be_written_is_named(capsys, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", str(tmp_path / ".curve.png.1.tmp"))

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    place = tmp_path / "curve.png"
    assert main(["eoc", "tanh", "--sigma-b", "0,0.2", "-o", str(place)]) == 74
    error = capsys.readouterr().err
    assert f"No space left on device: '{place}'" in error
    assert list(tmp_path.iterdir()) == []
