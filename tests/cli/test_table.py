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
