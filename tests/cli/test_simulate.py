"""``meanfield simulate``, in this process."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import meanfield as mf
from meanfield.cli import main

SMALL = ["--width", "40", "--depth", "6", "--networks", "20"]


def run_json(capsys, *words):
    assert main(["simulate", *words, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_json_is_the_library_s_answer(capsys):
    found = run_json(capsys, "tanh", "--sigma-w", "1.5", "--sigma-b", "0.3", *SMALL, "--q", "1,0.5", "--c", "0.2", "--seed", "7")
    sim = mf.simulate("tanh", 1.5, 0.3, width=40, depth=6, networks=20, q=(1.0, 0.5), c=0.2, seed=7, progress=False)
    theory = mf.MeanField("tanh", 1.5, 0.3).propagate(6, q=(1.0, 0.5), c=0.2)
    verdict = sim.compare()
    for name in ("q1", "q2", "c", "gradient"):
        assert found[name]["mean"] == getattr(sim, name).mean.tolist()
        assert found[name]["standard_error"] == getattr(sim, name).standard_error.tolist()
        assert found[name]["infinite_width"] == getattr(theory, name).tolist()
        assert found[name]["z"] == verdict.z_scores[name].tolist()
    assert (found["consistent"], found["verdict"]) == (verdict.consistent, verdict.verdict)
    assert found["widths"] == [40] * 7
    assert found["layer"] == list(range(7))


def test_without_sigma_w_it_is_the_edge_of_chaos(capsys):
    found = run_json(capsys, "tanh", *SMALL, "--no-gradients")
    assert found["sigma_w"] == pytest.approx(1.304145840056)
    assert "gradient" not in found


def test_explicit_matrices(capsys):
    found = run_json(capsys, "relu", "--sigma-w", "1.4", *SMALL, "--method", "weights", "--weights", "orthogonal")
    assert (found["method"], found["weights"]) == ("weights", "orthogonal")


def test_csv_has_a_row_for_each_layer(capsys):
    assert main(["simulate", "leaky_relu", "-p", "negative_slope=0.3", "--sigma-w", "1.2", *SMALL, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    phi = mf.activation("leaky_relu", negative_slope=0.3)
    sim = mf.simulate(phi, 1.2, 0.2, width=40, depth=6, networks=20, progress=False)
    assert [int(row["layer"]) for row in rows] == list(range(7))
    np.testing.assert_array_equal([float(row["c"]) for row in rows], sim.c.mean)
    np.testing.assert_array_equal([float(row["gradient_standard_error"]) for row in rows], sim.gradient.standard_error)


def test_table_with_verdict(capsys):
    assert main(["simulate", "tanh", "--sigma-w", "1.3", "--width", "300", "--depth", "40", "--networks", "20"]) == 0
    table = capsys.readouterr().out
    assert "20 random networks: tanh, σ_w = 1.3, σ_b = 0.2, width 300, depth 40" in table
    assert "gradient" in table
    assert "The ensemble agrees with the theory" in table
    assert " q2 " not in table  # the same as q1
    assert main(["simulate", "tanh", "--sigma-w", "1.3", *SMALL, "--q", "1,2"]) == 0
    assert " q2 " in capsys.readouterr().out


def test_figure(capsys, tmp_path):
    place = tmp_path / "c.png"
    assert main(["simulate", "tanh", *SMALL, "--quantity", "gradient", "-o", str(place)]) == 0
    assert place.read_bytes().startswith(b"\x89PNG")
    assert f"wrote {place}" in capsys.readouterr().err


def test_checkpoint_is_taken_up(capsys, tmp_path):
    place = str(tmp_path / "half")
    first = run_json(capsys, "tanh", *SMALL, "--checkpoint", place)
    assert run_json(capsys, "tanh", *SMALL, "--checkpoint", place) == first
    assert main(["simulate", "tanh", *SMALL, "--seed", "1", "--checkpoint", place]) == 64


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tahn"], "tanh"),
        (["tanh", "--width", "0"], "--width"),
        (["tanh", "--depth", "-1"], "--depth"),
        (["tanh", "--networks", "0"], "--networks"),
        (["tanh", "--networks", "many"], "--networks"),
        (["tanh", "--seed", "-1"], "--seed"),
        (["tanh", "--c", "2"], "--c"),
        (["tanh", "--c", "nan"], "--c"),
        (["tanh", "--q", "0"], "--q"),
        (["tanh", "--q", "1,2,3"], "--q"),
        (["tanh", "--sigma-w", "-1"], "--sigma-w"),
        (["tanh", "--sigma-w", "nan"], "--sigma-w"),
        (["tanh", "--sigma-b", "inf"], "--sigma-b"),
        (["relu"], "no edge of chaos"),
        (["tanh", "--jobs", "0"], "--jobs"),
        (["tanh", "--method", "magic"], "method"),
        (["tanh", "--weights", "uniform"], "weights"),
        (["tanh", "--quantity", "q"], "--quantity"),
        (["tanh", "--no-gradients", "--quantity", "gradient", "-o", "x.png"], "--no-gradients"),
        (["tanh", "-o", "x.txt"], ".txt"),
        (["tanh", "--json", "--csv"], "--csv"),
    ],
)
def test_bad_input_ends_with_64_and_a_message_that_names_it(words, message, capsys):
    assert main(["simulate", *words]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("meanfield: error: ")
    assert message in captured.err
