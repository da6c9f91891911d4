"""docs/reproduced.md: claim by claim, every command runs and gives the number of its row."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.reproduced import EXAMPLES, PAGE, ROOT, VERDICTS, Row, printed, rows, value

ROWS = rows()


def papers() -> Counter[str]:
    return Counter(row.paper.split(",")[0] for row in ROWS)


def test_both_papers_and_their_two_companions_are_covered():
    found = papers()
    hayou, glorot, poole, schoenholz = (
        sum(n for paper, n in found.items() if name in paper) for name in ("Hayou", "Glorot", "Poole", "Schoenholz")
    )
    assert min(hayou, glorot) >= 20
    assert hayou + glorot >= 40
    assert poole + schoenholz >= 10


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.claim)
def test_no_cell_is_empty(row: Row):
    assert all(vars(row).values())
    assert row.agrees in VERDICTS
    assert len(row.why) > 10
    scripts = re.findall(r"`python3 (examples/\w+\.py)[^`]*`", row.command)
    assert all((ROOT / script).is_file() for script in scripts)
    assert bool(scripts) == ("kept(" in row.command or row.agrees == "not tried"), "a kept result names the script that makes it"
    for name in re.findall(r"`([\w./]+)`", row.picture):
        assert (EXAMPLES / f"{name}.py").is_file() or (ROOT / "docs" / "images" / name).is_file(), name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.claim)
def test_command_gives_the_number(row: Row):
    assert printed(value(row), row.here) == row.here


def test_claims_are_told_apart():
    assert len({row.claim for row in ROWS}) == len(ROWS)


def test_a_wrong_number_is_seen():
    """Change the last digit of a row: the comparison fails."""
    row = next(row for row in ROWS if re.fullmatch(r"\d\.\d{6}", row.here))
    wrong = row.here[:-1] + str((int(row.here[-1]) + 1) % 10)
    assert printed(value(row), wrong) != wrong


def test_missing_cells_are_seen():
    text = PAGE.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("| ") and "mf." in line)
    with pytest.raises(ValueError, match="6 cells"):
        rows(text.replace(line, line.rsplit(" | ", 1)[0] + " |"))


def test_a_row_that_no_table_keeps_is_an_error():
    from tests.reproduced import kept

    with pytest.raises(LookupError, match="no row"):
        kept("train_depth", "train_accuracy", setting="no such setting")
