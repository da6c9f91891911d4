"""``meanfield activations``."""

from __future__ import annotations

import csv
import io
import json

import meanfield as mf
from meanfield.cli import main


def test_json(capsys):
    assert main(["activations", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)["activations"]
    assert [entry["name"] for entry in entries] == list(mf.activations())
    relu = next(entry for entry in entries if entry["name"] == "relu")
    assert relu["breakpoints"] == [{"location": 0.0, "value_jump": 0.0, "slope_jump": 1.0}]
    leaky = next(entry for entry in entries if entry["name"] == "leaky_relu")
    assert leaky["parameters"] == {"negative_slope": 0.01}


def test_csv(capsys):
    assert main(["activations", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["name"] for row in rows] == list(mf.activations())


def test_table_names_each(capsys):
    assert main(["activations"]) == 0
    table = capsys.readouterr().out
    first_words = {line.split()[0] for line in table.splitlines() if line.split()}
    assert set(mf.activations()) <= first_words
