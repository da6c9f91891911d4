"""``meanfield shape`` and ``meanfield gain``, in this process."""

from __future__ import annotations

import csv
import io
import json

import pytest

import meanfield as mf
from meanfield.cli import main


def test_shape_in_json_csv_and_words(capsys):
    a = mf.shape_activation("tanh", depth=100)
    assert main(["shape", "tanh", "--depth", "100", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["solutions"][0]["input_shift"] == a.input_shift
    assert found["targets"] == dict(a.targets)
    assert (len(found["solutions"]), found["method"], found["depth"]) == (2, "dks", 100)
    assert main(["shape", "leaky_relu", "--depth", "50", "--method", "tat", "--csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert float(row["negative_slope"]) == pytest.approx(0.4305229485024, rel=1e-12)
    assert main(["shape", "gelu", "--method", "standard"]) == 0
    told = capsys.readouterr().out
    assert "standard(gelu)" in told
    assert "variance = 1 asked, 1 reached" in told


def test_gain(capsys):
    assert main(["gain", "relu", "silu", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["gains"]
    assert [row["activation"] for row in found] == ["relu", "silu"]
    assert found[1]["gain"] == mf.standardisation("silu").gain
    assert found[0]["sigma_w"] == pytest.approx(2**0.5, rel=1e-15)
    assert main(["gain", "relu", "--q", "4", "--csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert float(row["gain"]) == pytest.approx(1.7128585504496627, rel=1e-14)  # ReLU's does not depend on q
    assert main(["gain", "selu"]) == 0
    row = capsys.readouterr().out.splitlines()[4].split()
    assert row[:3] == ["selu", "0", "1"]  # no 5.6e-17
    assert main(["gain"]) == 0
    assert "selu" in capsys.readouterr().out


def test_slips(capsys):
    for words, message in (
        (["shape", "tanh"], "--method dks needs --depth N"),
        (["shape", "tanh", "--depth", "10", "--method", "DKS"], "--method 'DKS' is unknown"),
        (["shape", "exp", "--depth", "100"], "no input_scale and input_shift"),
        (["gain", "relu", "--q", "0"], "--q 0.0 is out of range"),
        (["gain", "relu", "--q", "1e281"], "at most 1e280"),
        (["gain", "relu", "gelu", "-p", "a=1"], "-p goes with one activation"),
    ):
        assert main(words) == 64
        assert message in capsys.readouterr().err
