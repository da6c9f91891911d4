"""``meanfield eoc``, in this process."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest

import meanfield as mf
from meanfield.cli import main


def run_json(capsys, *words):
    assert main(["eoc", *words, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_json_holds_the_numbers_of_the_library_in_full(capsys):
    found = run_json(capsys, "tanh", "--sigma-b", "0:1:0.1")
    curve = mf.edge_of_chaos("tanh", sigma_b=np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]))
    assert found["activation"] == "tanh"
    assert found["version"] == mf.__version__
    for name in ("sigma_b", "sigma_w", "q", "variance_slope"):
        assert found[name] == getattr(curve, name).tolist()
    assert found["stable"] == [True] * 11
    assert found["status"] == ["attracting"] * 11
    assert found["reason"] == [""] * 11


def test_published_point_of_tanh(capsys):
    found = run_json(capsys, "tanh", "--sigma-b", "0.2")
    assert found["sigma_w"][0] == pytest.approx(1.304146, abs=5e-7)
    assert found["q"][0] == pytest.approx(0.512079, abs=5e-7)


def test_nothing_there_is_null_with_a_reason(capsys):
    found = run_json(capsys, "softplus", "--sigma-b", "0,0.5")
    assert found["sigma_w"] == found["q"] == found["variance_slope"] == [None, None]
    assert found["status"] == ["none", "none"]
    assert all(found["reason"])


def test_formula(capsys):
    found = run_json(capsys, "x*sigmoid(1.7*x)", "--sigma-b", "0.2")
    assert "x" in found["formula"]
    assert math.isfinite(found["sigma_w"][0])


def test_formula_that_starts_with_a_minus(capsys):
    plain = run_json(capsys, "tanh(x)", "--sigma-b", "0.2")
    assert main(["eoc", "--json", "--sigma-b", "0.2", "--", "-tanh(x)"]) == 0
    assert json.loads(capsys.readouterr().out)["sigma_w"] == pytest.approx(plain["sigma_w"], rel=1e-12)
    assert main(["eoc", "-tanh(x)"]) == 64
    assert "goes after '--'" in capsys.readouterr().err


def test_parameters_reach_the_activation(capsys):
    found = run_json(capsys, "leaky_relu", "-p", "negative_slope=0.3", "--sigma-b", "0")
    assert found["parameters"] == {"negative_slope": 0.3}
    assert found["sigma_w"][0] == pytest.approx(math.sqrt(2 / (1 + 0.3**2)), rel=1e-12)


def test_csv(capsys):
    assert main(["eoc", "relu", "--csv", "--sigma-b", "0,0.5"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["sigma_b"] for row in rows] == ["0.0", "0.5"]
    assert float(rows[0]["sigma_w"]) == pytest.approx(math.sqrt(2), rel=1e-12)
    assert rows[0]["status"] == "neutral"
    assert (rows[1]["sigma_w"], rows[1]["status"]) == ("", "none")
    assert rows[1]["reason"]


def test_table_says_what_the_words_mean(capsys):
    assert main(["eoc", "silu", "--sigma-b", "0.2,1"]) == 0
    table = capsys.readouterr().out
    assert "1.6795316" in table
    assert "repelling: " in table
    assert "attracting: " in table
    assert "neutral: " not in table


def test_table_gives_the_reason_where_there_is_none(capsys):
    reason = str(np.atleast_1d(mf.edge_of_chaos("relu", sigma_b=np.array([0.5])).reason)[0])
    assert main(["eoc", "relu", "--sigma-b", "0.5"]) == 0
    assert reason in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "PNG"])
def test_figure_is_written_whole(suffix, tmp_path, capsys):
    place = tmp_path / f"curve.{suffix}"
    assert main(["eoc", "tanh", "--sigma-b", "0:0.4:0.2", "-o", str(place), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["activation"] == "tanh"
    assert f"wrote {place}" in captured.err
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix.lower()]
    assert place.read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


def test_figure_of_the_same_numbers_has_the_same_bytes(tmp_path, capsys):
    for name in ("a.svg", "b.svg", "a.pdf", "b.pdf"):
        assert main(["eoc", "tanh", "--sigma-b", "0.2", "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_failed_figure_leaves_the_old_one_and_no_draft(tmp_path, capsys, monkeypatch):
    from matplotlib.figure import Figure

    def fail(self, stream, **_):
        stream.write(b"half")
        raise OSError("disk full")

    place = tmp_path / "curve.png"
    place.write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", fail)
    assert main(["eoc", "tanh", "--sigma-b", "0.2", "-o", str(place)]) == 74
    assert place.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]
    assert "disk full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["eoc", "tahn"], "tanh"),
        (["eoc", "__import__('os').getcwd()"], "__import__"),
        (["eoc", "tanh", "-p", "slope=2"], "slope"),
        (["eoc", "tanh", "-p", "slope"], "name=value"),
        (["eoc", "tanh", "--sigma-b", "-1"], "--sigma-b"),
        (["eoc", "tanh", "--sigma-b", "nan"], "--sigma-b"),
        (["eoc", "tanh", "--sigma-b", "0:1:1e-9"], "100,001"),
        (["eoc", "tanh", "--json", "--csv"], "--csv"),
        (["eoc", "tanh", "-o", "curve.gif"], ".png, .svg, .pdf"),
        (["eoc", "tanh", "-o", "curve"], ".png, .svg, .pdf"),
        (["eoc", "tanh", "-o", "no/such/folder/curve.png"], "no/such/folder"),
        (["eoc", "tanh", "sigmiod"], "sigmoid"),
        (["eoc", "tanh", "--unknown"], "--unknown"),
        (["eoc", "tanh", "--sigma-b"], "--sigma-b"),
        (["eoc"], "issing"),
        (["eoc", ""], "error"),
        (["eco", "tanh"], "eco"),
        (["activations", "tanh"], "tanh"),
        (["activations", "--json", "--csv"], "--csv"),
    ],
)
def test_bad_input_ends_with_64_and_a_message_that_names_it(words, message, capsys):
    assert main(words) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("meanfield: error: ")
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_no_command_shows_the_help_and_counts_as_bad_input(capsys):
    assert main([]) == 64
    assert "eoc" in capsys.readouterr().out


def test_help_and_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"meanfield {mf.__version__}\n"
    for words in (["--help"], ["eoc", "--help"], ["activations", "-h"]):
        assert main(words) == 0
        assert "Usage" in capsys.readouterr().out


def test_accuracy_warning_is_one_plain_line(capsys, monkeypatch):
    import warnings

    from meanfield.theory import edge_of_chaos as home

    solve = home.edge_of_chaos

    def warn(*arguments, **keywords):
        with warnings.catch_warnings(record=True):
            result = solve(*arguments, **keywords)
        warnings.warn("reached 1e-9", mf.AccuracyWarning, stacklevel=2)
        return result

    monkeypatch.setattr(home, "edge_of_chaos", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["eoc", "tanh", "--sigma-b", "0.2"]) == 0
    assert capsys.readouterr().err == "meanfield: warning: reached 1e-9\n"
