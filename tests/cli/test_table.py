"""Tables for people."""

from __future__ import annotations

import io
import sys

from meanfield.cli.table import print_table


def printed(monkeypatch, encoding, terminal=False, columns=80):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [["0", "1.5", ""], ["0.25", "—", "there is no χ₁ = 1 here, and this goes on for a while"]]
    print_table("Edge of [bold]", ["σ_b", "σ_w", "reason"], rows, notes=["A note."])
    return stream.buffer.getvalue().decode(encoding)


def test_numbers_line_up_on_the_right(monkeypatch):
    lines = printed(monkeypatch, "utf-8").splitlines()
    assert lines[0] == "Edge of [bold]"
    assert lines[2] == " σ_b  σ_w  reason"
    assert lines[4] == "   0  1.5"
    assert lines[5] == "0.25    —  there is no χ₁ = 1 here, and this goes on for a while"
    assert lines[-1] == "A note."


def test_words_fold_on_a_terminal_only(monkeypatch):
    lines = printed(monkeypatch, "utf-8", terminal=True, columns=40).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[6].startswith(" " * 11)


def test_ascii_output_holds_no_question_mark(monkeypatch):
    text = printed(monkeypatch, "ascii")
    assert "?" not in text
    assert "sigma_b  sigma_w  reason" in text
    assert "chi1" in text


def narrow(monkeypatch, columns, **more):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", str(columns))
    header = ["layer", *(f"{name}{i}" for name in "ab" for i in range(3))]
    rows = [[str(layer), *(f"{layer}.{i}00000" for i in range(6))] for layer in (1, 20)]
    print_table("A long title that goes on " * 3, header, rows, notes=["A note that goes on " * 5], **more)
    return stream.buffer.getvalue().decode()


def test_columns_that_do_not_fit_go_below_behind_the_first(monkeypatch):
    lines = narrow(monkeypatch, 40).splitlines()
    assert max(map(len, lines)) <= 40
    heads = [line.split() for line in lines if line.startswith("layer")]
    assert heads == [["layer", "a0", "a1", "a2"], ["layer", "b0", "b1", "b2"]]
    assert sum(line.split()[:1] == ["20"] for line in lines) == 2


def test_columns_that_belong_together_are_not_parted(monkeypatch):
    heads = [line.split() for line in narrow(monkeypatch, 50, together=3).splitlines() if line.startswith("layer")]
    assert heads == [["layer", "a0", "a1", "a2"], ["layer", "b0", "b1", "b2"]]
    heads = [line.split() for line in narrow(monkeypatch, 50).splitlines() if line.startswith("layer")]
    assert heads == [["layer", "a0", "a1", "a2", "b0"], ["layer", "b1", "b2"]]


def test_a_mark_of_doubt_leaves_a_number_a_number(capsys):
    print_table("z", ["layer", "z"], [["1", "-12.50?"], ["2", "1.25 "]])
    assert capsys.readouterr().out.splitlines()[4:6] == ["    1  -12.50?", "    2    1.25"]
