"""``meanfield spectrum``."""

from __future__ import annotations

import json

import pytest

import meanfield as mf
from meanfield.cli import main

POINT = ["--sigma-w", "1.0235568303325886", "--sigma-b", "0.004177260215988794", "--q", "0.024671999755564774"]


def test_json_has_what_the_library_says(capsys):
    assert main(["spectrum", "tanh", *POINT, "--depth", "64", "--orthogonal", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    s = mf.jacobian_spectrum("tanh", 1.0235568303325886, 0.004177260215988794, 64, "orthogonal", 0.024671999755564774)
    assert tuple(found["edges"]) == s.edges
    assert found["variance"] == s.variance
    assert found["quantiles"]["0.5"] == s.quantile(0.5)
    assert found["weights"] == "orthogonal"


def test_atoms_in_json_and_in_the_table(capsys):
    assert main(["spectrum", "relu", "--depth", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["atoms"] == [{"value": 0.0, "mass": 0.5}]
    assert main(["spectrum", "relu", "--depth", "2"]) == 0
    assert "atom of mass 0.5" in capsys.readouterr().out


def test_without_sigma_w_it_is_on_the_edge_of_chaos(capsys):
    assert main(["spectrum", "tanh", "--sigma-b", "0.2", "--depth", "16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mean"] == pytest.approx(1.0, abs=1e-12)
    assert found["edges"][1] ** 2 == pytest.approx(58.10643978866358, rel=1e-9)


def test_a_title_is_not_broken_within_a_value(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["spectrum", "tanh", "--sigma-w", "1.1", "--sigma-b", "0.1", "--depth", "8", "--orthogonal"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("q = 0.159548" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_a_picture(tmp_path, capsys):
    target = tmp_path / "s.png"
    assert main(["spectrum", "hardtanh", "--sigma-w", "1.0", "--sigma-b", "0.02", "--depth", "8", "--orthogonal", "-o", str(target)]) == 0
    assert target.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tanh", "--q", "many"], "--q 'many'"),
        (["tanh", "--depth", "0"], "depth = 0"),
        (["sign", "--sigma-w", "1"], "jumps"),
        (["tanh", "--sigma-w", "-1"], "sigma_w = -1.0"),
    ],
)
def test_bad_arguments_are_named(arguments, told, capsys):
    assert main(["spectrum", *arguments]) != 0
    assert told in capsys.readouterr().err
