"""``meanfield report``, in this process. Its output is compared with Python's in tests/report."""

from __future__ import annotations

import pytest

from meanfield.cli import main
from meanfield.report import datasheet as module
from meanfield.report.datasheet import Datasheet


@pytest.fixture
def asked(monkeypatch):
    """What the command asks for; the page itself is left out."""
    calls = []

    def datasheet(activation, seed):
        calls.append((activation.name, dict(activation.parameters), seed))
        return Datasheet(activation.name, ())

    monkeypatch.setattr(module, "datasheet", datasheet)
    return calls


def test_file(asked, tmp_path, capsys):
    path = tmp_path / "page.html"
    assert main(["report", "leaky_relu", "-p", "negative_slope=0.3", "--seed", "7", "-o", str(path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"meanfield: wrote {path}\n"
    assert asked == [("leaky_relu", {"negative_slope": 0.3}, 7)]
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_page_on_stdout(asked, capsys):
    assert main(["report", "--", "-x"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("<!DOCTYPE html>")
    assert captured.out.endswith("</html>\n")
    assert captured.err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tahn"], "tanh"),
        (["tanh", "-o", "nowhere/page.html"], "-o = 'nowhere/page.html': there is no folder"),
        (["tanh", "-o", "."], "-o = '.' is a folder"),
        (["tanh", "-o", "page.txt"], "-o = 'page.txt' ends in '.txt'; the datasheet is one HTML page"),
        (["tanh", "-o", "page.png"], "give a name that ends in .html"),
        (["tanh", "--seed", "-1"], "--seed"),
        (["tanh", "--seed", "x"], "--seed"),
        (["tanh", "-p", "slope"], "-p 'slope'"),
        (["tanh", "-p", "slope=1"], "slope"),
    ],
)
def test_bad_input_ends_with_64_and_a_message_that_names_it(words, message, asked, capsys):
    assert main(["report", *words]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("meanfield: error: ")
    assert message in captured.err
    assert asked == []
