"""``meanfield compare``: the words and numbers of `meanfield.compare`."""

from __future__ import annotations

import csv
import io
import json

import meanfield as mf
from meanfield.cli import main


def test_json_and_csv_are_the_comparison_in_full(capsys):
    found = mf.compare(["relu", "softplus", "tanh(2*x)"], depth=15)
    assert main(["compare", "relu", "softplus", "tanh(2*x)", "--depth", "15", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["activation"] == ["relu", "softplus", "tanh(2*x)"]
    assert read["depth"] == 15
    assert read["sigma_w"] == [found["relu"].sigma_w, None, found["tanh(2*x)"].sigma_w]
    assert read["satisfied"] == [row.satisfied for row in found.rows]
    assert main(["compare", "relu", "softplus", "tanh(2*x)", "--depth", "15", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["activation"] for row in rows] == read["activation"]
    assert float(rows[2]["gradient"]) == found["tanh(2*x)"].gradient
    assert rows[1]["sigma_w"] == ""
    assert read["width"] == 1000
    assert read["jacobian_spread"] == [found["relu"].jacobian_spread, None, found["tanh(2*x)"].jacobian_spread]
    assert main(["compare", "relu", "--depth", "15", "--width", "50", "--csv"]) == 0
    row = next(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert float(row["gradient_spread"]) == mf.compare("relu", 15, width=50)[0].gradient_spread


def test_table_and_picture(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "relu", "tanh", "--depth", "10", "-o", "both.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 activations at 10 layers"
    assert [line.split()[0] for line in lines[4:6]] == ["relu", "tanh"]
    assert max(map(len, lines)) <= 80
    assert {"spread", "Jacobian"} <= set(" ".join(lines).split())
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")


def test_one_is_no_plural(capsys):
    assert main(["compare", "relu", "--depth", "1"]) == 0
    assert capsys.readouterr().out.startswith("1 activation at 1 layer\n")
    assert str(mf.compare("relu", 1)).startswith("1 activation at 1 layer\n")


def test_bad_input(capsys):
    assert main(["compare"]) == 64
    assert main(["compare", "relu", "--depth", "0"]) == 64
    assert main(["compare", "relu", "--width", "0"]) == 64
    assert main(["compare", "relu", "rleu"]) == 64
    assert "rleu" in capsys.readouterr().err
