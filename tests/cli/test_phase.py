"""``meanfield phase``, in this process."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.cli import main

QUANTITIES = ("q_star", "variance_slope", "epsilon_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_grad")


def run_json(capsys, *words):
    assert main(["phase", *words, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def numbers(rows):
    return np.array([[math.nan if value is None else float(value) for value in row] for row in rows])


def test_json_holds_every_quantity_in_full(capsys):
    found = run_json(capsys, "tanh", "--sigma-w", "1:2:0.25", "--sigma-b", "0,0.2")
    diagram = mf.phase_diagram("tanh", sigma_w=np.array([1.0, 1.25, 1.5, 1.75, 2.0]), sigma_b=np.array([0.0, 0.2]))
    assert (found["activation"], found["version"]) == ("tanh", mf.__version__)
    assert found["sigma_w"] == [1.0, 1.25, 1.5, 1.75, 2.0]
    assert found["sigma_b"] == [0.0, 0.2]
    for name in QUANTITIES:
        np.testing.assert_array_equal(numbers(found[name]), getattr(diagram, name))
    assert found["phase"] == diagram.phase.tolist()
    assert found["phase"][1] == [-1, -1, 1, 1, 1]


def test_csv_has_a_row_for_each_cell(capsys):
    assert main(["phase", "silu", "--csv", "--sigma-w", "1,1.5,2", "--sigma-b", "0.2,0.8"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    diagram = mf.phase_diagram("silu", sigma_w=np.array([1.0, 1.5, 2.0]), sigma_b=np.array([0.2, 0.8]))
    assert [(row["sigma_b"], row["sigma_w"]) for row in rows] == [(b, w) for b in ("0.2", "0.8") for w in ("1.0", "1.5", "2.0")]
    for name in QUANTITIES:
        assert [float(row[name]) for row in rows] == getattr(diagram, name).ravel().tolist()
    assert [int(row["phase"]) for row in rows] == diagram.phase.ravel().tolist()


def test_map_of_letters_falls_with_sigma_b_and_names_the_critical_point(capsys):
    assert main(["phase", "tanh", "--sigma-w", "1:2:0.1", "--sigma-b", "0.2,0.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Phase diagram of tanh"
    rows = [line.split() for line in lines if line.split() and line.split()[0] in ("0.2", "0.5")]
    assert [row[0] for row in rows] == ["0.5", "0.2"]
    assert rows[1][1].startswith("1.304145")
    assert rows[1][2] == "OOOOCCCCCCC"
    assert rows[0][2] == "OOOOOOCCCCC"
    assert any(line.startswith("O ordered") for line in lines)
    assert not any(line.startswith("D divergent") for line in lines)
    assert "ordered: 10 of 22 cells; xi_c from" in "\n".join(lines)


def test_divergence_and_repelling_points_are_told(capsys):
    assert main(["phase", "silu", "--sigma-w", "1:2:0.5", "--sigma-b", "0.2"]) == 0
    table = capsys.readouterr().out
    assert "1.679531555 (r)" in table or "1.67953" in table
    assert "(r): " in table
    assert "OOD" in table
    assert "divergent: 1 of 3 cells" in table


def test_critical_cell_has_its_letter(capsys):
    assert main(["phase", "erf", "--sigma-w", "1,1.5", "--sigma-b", "0.2"]) == 0
    assert "X critical" not in capsys.readouterr().out
    assert main(["phase", "linear", "--sigma-w", "0.5,1,1.5", "--sigma-b", "0"]) == 0
    assert "OXD" in capsys.readouterr().out


def test_large_map_is_thinned_and_says_so(capsys):
    assert main(["phase", "tanh", "--sigma-w", "0.5:3:0.01", "--sigma-b", "0.1:0.2:0.1"]) == 0
    table = capsys.readouterr().out
    assert "The map shows 56 of 251 σ_w and 2 of 2 σ_b." in table
    assert max(map(len, table.splitlines())) <= 80


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figure(suffix, tmp_path, capsys):
    place = tmp_path / f"diagram.{suffix}"
    assert main(["phase", "tanh", "--sigma-w", "1:2:0.25", "--sigma-b", "0:1:0.5", "--quantity", "chi_1", "-o", str(place), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["activation"] == "tanh"
    assert f"wrote {place}" in captured.err
    assert place.read_bytes().startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix])
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tahn"], "tanh"),
        (["tanh", "--quantity", "xi"], "--quantity"),
        (["tanh", "--sigma-w", "-1"], "--sigma-w"),
        (["tanh", "--sigma-b", "a"], "--sigma-b"),
        (["tanh", "--sigma-w", "0:3:0.0001", "--sigma-b", "0:1:0.001"], "1,000,000"),
        (["tanh", "--json", "--csv"], "--csv"),
        (["tanh", "-o", "diagram.gif"], ".png, .svg, .pdf"),
        (["tanh", "--sigma-b", "0.2", "-o", "diagram.png"], "two or more"),
        (["tanh", "-p", "slope=2"], "slope"),
    ],
)
def test_bad_input_ends_with_64_and_a_message_that_names_it(words, message, capsys):
    assert main(["phase", *words]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("meanfield: error: ")
    assert message in captured.err


def test_no_progress_bar_outside_a_terminal(capsys, monkeypatch):
    from meanfield.theory import phase_diagram as home

    seen = []
    compute = home.phase_diagram
    monkeypatch.setattr(home, "phase_diagram", lambda *a, progress=False, **k: seen.append(progress) or compute(*a, **k))
    assert main(["phase", "tanh", "--sigma-w", "1,2", "--sigma-b", "0.1,0.2"]) == 0
    assert seen == [False]
    assert capsys.readouterr().err == ""
