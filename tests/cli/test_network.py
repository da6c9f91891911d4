"""``meanfield network``, in this process."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
from meanfield.cli import main
from meanfield.layers import from_description

TOML = """
layers = [
  {type = "dense", sigma_w = 1.4, sigma_b = 0.1},
  {type = "repeat", times = 3, layers = [
    {type = "residual", scale = 0.3, branch = [{type = "layer_norm"}, "gelu", {type = "dense", sigma_w = 1}]}]},
]
"""
DESCRIPTION = {
    "layers": [
        {"type": "dense", "sigma_w": 1.4, "sigma_b": 0.1},
        {
            "type": "repeat",
            "times": 3,
            "layers": [{"type": "residual", "scale": 0.3, "branch": [{"type": "layer_norm"}, "gelu", {"type": "dense", "sigma_w": 1.0}]}],
        },
    ]
}
NET = mf.Network(from_description(DESCRIPTION))
SMALL = ["--simulate", "--width", "40", "--networks", "20"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    place = tmp_path / "block.toml"
    place.write_text(TOML, encoding="utf-8")
    return str(place)


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["network", *words]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_table(capsys, file, tmp_path):
    assert answer(capsys, file) == f"{NET}\n"
    other = tmp_path / "block.JSON"
    other.write_text(json.dumps(DESCRIPTION), encoding="utf-8-sig")
    assert answer(capsys, str(other)) == f"{NET}\n"


@pytest.mark.parametrize("text", [TOML, json.dumps(DESCRIPTION), json.dumps(DESCRIPTION["layers"]), "[[layers]]\ntype='dense'\nsigma_w=1"])
def test_stdin_is_either(capsys, monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert answer(capsys, "-").startswith(str(NET if "block" in text or "repeat" in text else mf.Network(mf.layers.Dense(1.0))))


def test_help_has_an_example(capsys):
    assert main(["network", "--help"]) == 0
    shown = capsys.readouterr().out
    assert 'type = "residual"' in shown
    assert "meanfield network block.toml --propagate" in shown


def test_json_is_the_library_s_answer(capsys, file):
    found = json.loads(answer(capsys, file, "--propagate", "--q", "1,0.5", "--c", "0.2", "--json"))
    t = NET.propagate((1.0, 0.5), 0.2)
    for name in ("q1", "q2", "c", "epsilon", "gradient", "mean1", "mean2"):
        assert found[name] == getattr(t, name).tolist()
    assert found["name"] == list(t.names)
    assert mf.layers.to_description(mf.Network(from_description(found["layers"]))) == {"layers": found["layers"]}
    assert found["exactness"][0] == {"place": "1", "kind": "exact", "why": ""}
    assert json.loads(answer(capsys, file, "--json"))["q1"] == NET.propagate().q1.tolist()


def test_csv_has_a_row_for_each_layer(capsys, file):
    rows = list(csv.DictReader(io.StringIO(answer(capsys, file, "--csv", "--c", "0.2"))))
    t = NET.propagate(c=0.2)
    assert [float(row["c"]) for row in rows] == t.c.tolist()
    assert [row["name"] for row in rows] == list(t.names)


def test_trajectory_as_a_table(capsys, file):
    table = answer(capsys, file, "--propagate")
    assert "Two inputs through 4 layers" in table
    assert " q2 " not in table
    assert "mean1" not in table
    assert f"{NET.propagate().gradient[0]:.6g}" in table
    assert " q2 " in answer(capsys, file, "--propagate", "--q", "1,2")


def test_what_is_approximate_is_said(capsys, tmp_path):
    place = tmp_path / "normalised.json"
    place.write_text('[{"type": "dense", "sigma_w": 1}, {"type": "batch_norm", "batch": 32}, "relu"]', encoding="utf-8")
    for words in ([], ["--propagate"], SMALL):
        assert "2: approximate, exact where every pair of the batch is alike" in answer(capsys, str(place), *words)
    assert json.loads(answer(capsys, str(place), "--json"))["exactness"][1]["kind"] == "approximate"


def test_simulation_is_the_library_s_answer(capsys, file):
    found = json.loads(answer(capsys, file, *SMALL, "--seed", "7", "--q", "1,0.5", "--json"))
    sim = NET.simulate(40, 20, (1.0, 0.5), 0.5, 7, progress=False)
    verdict = sim.compare()
    theory = NET.propagate((1.0, 0.5), 0.5)
    for name in ("q1", "q2", "c", "gradient"):
        assert found[name]["mean"] == getattr(sim, name).mean.tolist()
        assert found[name]["infinite_width"] == getattr(theory, name).tolist()
        assert found[name]["z"] == verdict.z_scores[name].tolist()
    assert (found["consistent"], found["verdict"]) == (verdict.consistent, verdict.verdict)
    assert (found["width"], found["networks"], found["seed"]) == (40, 20, 7)
    table = answer(capsys, file, *SMALL, "--seed", "7")
    assert "20 networks of 4 layers, width 40, seed 7" in table
    assert f" {verdict.z_scores['q1'][2]:.2f} " in answer(capsys, file, *SMALL, "--seed", "7", "--q", "1,0.5")
    assert " q2 " not in table
    assert "The ensemble agrees with the theory" in table
    rows = list(csv.DictReader(io.StringIO(answer(capsys, file, *SMALL, "--csv"))))
    assert [row["name"] for row in rows] == list(theory.names)
    np.testing.assert_array_equal([float(row["c"]) for row in rows], NET.simulate(40, 20, progress=False).c.mean)


@pytest.mark.parametrize("words", [[], ["--q", "1,2"], SMALL])
def test_picture(capsys, file, tmp_path, words):
    place = tmp_path / "block.png"
    assert main(["network", file, *words, "-o", str(place)]) == 0
    assert place.read_bytes().startswith(b"\x89PNG")
    captured = capsys.readouterr()
    assert f"wrote {place}" in captured.err
    assert captured.out


def test_panels_show_the_trajectory_and_the_simulation():
    from meanfield.plot.trajectory_panels import trajectory_panels

    t, sim = NET.propagate((1.0, 400.0)), NET.simulate(40, 20, (1.0, 400.0), progress=False)
    q, c, gradient = trajectory_panels(t, sim).figure.axes
    assert (q.get_yscale(), c.get_yscale(), gradient.get_yscale()) == ("linear", "linear", "linear")
    np.testing.assert_array_equal(q.lines[0].get_ydata(), t.q1)
    np.testing.assert_array_equal(q.lines[1].get_ydata(), t.q2)
    np.testing.assert_array_equal(gradient.lines[0].get_ydata(), t.gradient)
    np.testing.assert_array_equal(c.lines[1].get_ydata(), sim.c.mean)
    np.testing.assert_array_equal(gradient.lines[1].get_ydata(), np.exp(sim.log_gradient.mean))
    steep = mf.Network(mf.layers.Repeat(mf.layers.Residual("relu", mf.layers.Dense(2.0)), 20)).propagate()
    assert trajectory_panels(steep).figure.axes[0].get_yscale() == "log"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--propagate", "--simulate"], "--propagate"),
        (["--width", "100"], "--width 100 says nothing without --simulate"),
        (["--propagate", "--seed", "0"], "--seed 0 says nothing without --simulate"),
        (["--q", "1"], "--q 1 says nothing without --propagate or --simulate"),
        (["--c", "0.5"], "--c 0.5 says nothing"),
        (["--propagate", "--c", "2"], "--c"),
        (["--propagate", "--c", "nan"], "--c"),
        (["--propagate", "--q", "0"], "--q"),
        (["--propagate", "--q", "1e300"], "q = 1e+300"),
        (["--simulate", "--width", "1"], "--width"),
        (["--simulate", "--networks", "0"], "--networks"),
        (["--simulate", "--seed", "-1"], "--seed"),
        (["--simulate", "--jobs", "0"], "--jobs"),
        (["--simulate", "--width", "1000000"], "width = 1000000"),
        (["--json", "--csv"], "--csv"),
        (["-o", "x.txt"], ".txt"),
    ],
)
def test_bad_options(words, message, file, capsys):
    assert main(["network", file, *words]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("meanfield: error: ")
    assert message in captured.err


DENSE = '{"type": "dense", "sigma_w": 1}'
HOSTILE: dict[str, bytes] = {
    "empty.toml": b"",
    "empty.json": b"",
    "blank.json": b" \n\t",
    "nothing.json": b"null",
    "number.json": b"7",
    "word.json": b'"tanh"',
    "no_layers.json": b"{}",
    "no_list.toml": b"layers = 3",
    "empty_list.json": b"[]",
    "binary.toml": bytes(range(256)),
    "binary.json": b"\x89PNG\r\n\x1a\n\0\0\xff\xfe",
    "utf16.json": f"[{DENSE}]".encode("utf-16"),
    "null_byte.json": b'["tan\0h"]',
    "null_byte.toml": b'layers = ["tanh\0"]',
    "surrogate.json": b'["\\ud800"]',
    "surrogate_key.json": b'[{"type": "dense", "\\ud800": 1}]',
    "brackets.json": b"[" * 100_000,
    "closed_brackets.json": b"[" * 100_000 + b"]" * 100_000,
    "brackets.toml": b"layers = " + b"[" * 100_000,
    "tables.json": b'{"layers":' * 50_000,
    "tables.toml": b"layers = " + b"{a=" * 20_000,
    "nested.json": b'[{"type":"residual","branch":' * 400 + b"[]" + b"}]" * 400,
    "dotted.toml": b"a" + b".a" * 400_000 + b" = 1",
    "dotted_table.toml": b"[" + b"a." * 400_000 + b"a]",
    "quoted_dots.toml": b'["a"' + b'."a"' * 200_000 + b"]",
    "words.toml": b"a" * 900_000,
    "quotes.toml": b'"' * 900_000,
    "dots.toml": b"a." * 10 + b"=" + b"1." * 400_000,
    "nan.json": b'[{"type": "dense", "sigma_w": NaN}]',
    "nan.toml": b'layers = [{type = "dense", sigma_w = nan}]',
    "infinite.json": b'[{"type": "dense", "sigma_w": -Infinity}]',
    "infinite.toml": b'layers = [{type = "dense", sigma_w = inf}]',
    "overflow.json": b'[{"type": "dense", "sigma_w": 1e999}]',
    "digits.json": b'[{"type": "dense", "sigma_w": ' + b"9" * 800_000 + b"}]",
    "digits.toml": b'layers = [{type = "dense", sigma_w = ' + b"9" * 800_000 + b"}]",
    "exponent.toml": b'layers = [{type = "dense", sigma_w = 1e400}]',
    "date.toml": b'layers = [{type = "dense", sigma_w = 1979-05-27T07:32:00Z}]',
    "true.json": b'[{"type": "dense", "sigma_w": true}]',
    "null.json": b'[{"type": "dense", "sigma_w": null}]',
    "unknown_type.json": b'[{"type": "lstm"}]',
    "unknown_key.json": b'[{"type": "dense", "sigma_w": 1, "units": 3}]',
    "unknown_key.toml": b'layers = ["tanh"]\nwidth = 3',
    "twice.json": b'[{"type": "dense", "sigma_w": 1, "sigma_w": 2}]',
    "twice.toml": b'layers = ["tanh"]\nlayers = ["relu"]',
    "times.json": f'[{{"type": "repeat", "times": 100000000000, "layers": [{DENSE}]}}]'.encode(),
    "turns.json": f'[{{"type": "repeat", "times": 100000000, "layers": [{DENSE}]}}, {DENSE}]'.encode(),
    "turns_inside.json": (b'[{"type": "repeat", "times": 9999, "layers": ' * 4 + f"[{DENSE}]".encode() + b"}]" * 4),
    "many.json": b"[" + b'"x",' * 240_000 + b'"x"]',
    "too_large.json": b"[" + b" " * 1_000_000 + b"]",
    "formulas.json": json.dumps([f"x + {n}" for n in range(50_000)]).encode(),
    "in_a_row.json": json.dumps(["x*tanh(x)*sin(x)"] * 30_000).encode(),
    "evaluated.json": b"[\"__import__('os').system('true')\"]",
    "powers.json": b'["x**9**9**9**9"]',
    "parameter.json": b'[{"type": "activation", "activation": "tanh", "parameters": {"breakpoints": [0]}}]',
    "parameters.json": b'[{"type": "activation", "activation": "a*x", "parameters": {"a": [[1]]}}]',
    "placed.json": b'[{"type": "layer_norm"}, "tanh", {"type": "layer_norm"}, "tanh"]',
    "widths.json": f'[{{"type": "concatenate", "branches": [{DENSE}], "widths": [1e300]}}]'.encode(),
    "same_input.json": b'[{"type": "dense", "sigma_w": 0}, {"type": "layer_norm"}]',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name, tmp_path, capsys):
    place = tmp_path / name
    place.write_bytes(HOSTILE[name])
    began = time.perf_counter()
    assert main(["network", str(place)]) == 64
    assert time.perf_counter() - began < 40.0  # well under a second where no activations in a row are composed
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("meanfield: error: ")
    assert str(place) in captured.err
    assert "Traceback" not in captured.err
    assert len(captured.err) < 1_500


def test_files_that_are_none(tmp_path, capsys):
    (tmp_path / "folder.toml").mkdir()
    for word, told in (
        (str(tmp_path / "none.toml"), "No such file"),
        (str(tmp_path / "folder.toml"), "can't be read"),
        (str(tmp_path / "block.yaml"), "'.yaml'"),
        ("block", "ends in .toml or .json"),
        ("a\0b.toml", "can't be read"),
    ):
        assert main(["network", word]) == 64
        error = capsys.readouterr().err
        assert told in error
        assert error.startswith("meanfield: error: FILE ")


def test_deep_networks_are_followed_and_deeper_ones_refused(capsys, tmp_path):
    place = tmp_path / "deep.json"
    place.write_text(f'[{{"type": "repeat", "times": 1000000, "layers": ["tanh", {DENSE}]}}]', encoding="utf-8")
    assert "1000000 layers" in answer(capsys, str(place), "--propagate")
    place.write_text(f'[{{"type": "repeat", "times": 1000001, "layers": ["tanh", {DENSE}]}}]', encoding="utf-8")
    for words in ([], ["--propagate"], SMALL):
        assert main(["network", str(place), *words]) == 64
        assert "1000001 layers" in capsys.readouterr().err
