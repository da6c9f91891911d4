"""``meanfield recommend``: the words and numbers of `meanfield.recommend`."""

from __future__ import annotations

import csv
import io
import json

import pytest

import meanfield as mf
from meanfield.cli import main


def test_json_is_the_recommendation_in_full(capsys):
    assert (
        main(["recommend", "tanh", "--depth", "30", "--dropout", "0.1", "--weights", "orthogonal", "--input-variance", "2", "--json"]) == 0
    )
    found = json.loads(capsys.readouterr().out)
    best = mf.recommend("tanh", 30, input_variance=2.0, dropout=0.1, weights="orthogonal")
    for name in ("sigma_w", "sigma_b", "q", "depth", "status", "correlation_change", "dropout", "weights", "reason"):
        assert found[name] == getattr(best, name)
    assert found["activation"] == "tanh"


def test_csv_and_table_without_biases(capsys):
    assert main(["recommend", "leaky_relu", "-p", "negative_slope=0.3", "--no-bias", "--depth", "20", "--csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    best = mf.recommend(mf.activation("leaky_relu", negative_slope=0.3), 20, bias=False)
    assert (float(row["sigma_w"]), float(row["sigma_b"])) == (best.sigma_w, 0.0)
    assert main(["recommend", "leaky_relu", "-p", "negative_slope=0.3", "--no-bias", "--depth", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["σ_w", "σ_b", "q"]
    assert float(lines[4].split()[0]) == pytest.approx(best.sigma_w, rel=1e-9)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--depth", "0"], "--depth 0 is out of range"),
        (["--dropout", "1"], "dropout = 1.0 is out of range"),
        (["--dropout", "-0.1"], "dropout"),
        (["--weights", "ternary"], "--weights 'ternary' is unknown; give one of gaussian, orthogonal, uniform"),
        (["--input-variance", "-1"], "input_variance"),
        (["--json", "--csv"], "can't both be given"),
    ],
)
def test_bad_input(words, told, capsys):
    assert main(["recommend", "tanh", *words]) == 64
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""
