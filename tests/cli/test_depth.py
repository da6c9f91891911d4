"""``meanfield depth``, in this process."""

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
    assert main(["depth", *words, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_json_on_the_edge_of_chaos(capsys):
    found = run_json(capsys, "tanh", "--sigma-b", "0.2,0.5", "--threshold", "0.05", "--c0", "0.3")
    edge = mf.edge_of_chaos("tanh", sigma_b=np.array([0.2, 0.5]))
    assert found["sigma_w"] == pytest.approx(edge.sigma_w.tolist(), rel=1e-14)
    assert found["q"] == pytest.approx(edge.q.tolist(), rel=1e-13)
    assert found["status"] == ["attracting", "attracting"]
    assert found["layers"] == [mf.propagation_depth("tanh", sigma_b=b, c0=0.3, threshold=0.05) for b in (0.2, 0.5)]
    assert found["xi_c"] == found["xi_grad"] == ["inf", "inf"]
    assert found["xi_q"] == pytest.approx((-1 / np.log(edge.variance_slope)).tolist(), rel=1e-12)
    law = mf.asymptotics("tanh", sigma_b=0.2)
    assert (found["exponent"][0], found["constant"][0], found["kind"][0]) == (law.exponent, law.constant, law.kind)
    assert (found["c0"], found["threshold"], found["recommendation"]) == (0.3, 0.05, None)


def test_layers_are_those_of_the_recursion(capsys):
    (layers,) = run_json(capsys, "tanh", "--sigma-b", "0.2", "--threshold", "0.05")["layers"]
    edge = mf.edge_of_chaos("tanh", sigma_b=0.2)
    network = mf.MeanField("tanh", edge.sigma_w, 0.2)
    epsilon, count = 0.5, 0
    while epsilon >= 0.05:
        epsilon, count = network.decorrelation_map(epsilon, q=edge.q), count + 1
    assert layers == count


def test_json_off_the_edge(capsys):
    found = run_json(capsys, "tanh", "--sigma-b", "0.3", "--sigma-w", "1.3,2.5")
    ordered, chaotic = (mf.MeanField("tanh", sigma_w, 0.3) for sigma_w in (1.3, 2.5))
    assert found["status"] == ["ordered", "chaotic"]
    assert found["q"] == [ordered.q_star, chaotic.q_star]
    assert found["chi_1"] == [ordered.chi_1, chaotic.chi_1]
    assert found["c_star"] == pytest.approx([1.0, 0.1221037473], abs=1e-9)
    for name in ("xi_q", "xi_c", "xi_grad"):
        assert found[name] == [getattr(network.depth_scales, name) for network in (ordered, chaotic)]
    assert found["layers"] == [mf.propagation_depth("tanh", sigma_b=0.3, sigma_w=sigma_w) for sigma_w in (1.3, 2.5)]
    assert found["constant"] == [None, None]


def test_recommendation_with_its_reason(capsys):
    found = run_json(capsys, "tanh", "--depth", "100")["recommendation"]
    advice = mf.recommend("tanh", depth=100)
    assert (found["depth"], found["sigma_w"], found["sigma_b"], found["reason"]) == (100, advice.sigma_w, advice.sigma_b, advice.reason)
    assert main(["depth", "tanh", "--depth", "100"]) == 0
    table = capsys.readouterr().out
    assert "For 100 layers: σ_w = " in table
    assert advice.reason.split()[0] in table


def test_no_edge_of_chaos_is_null_with_a_reason(capsys):
    found = run_json(capsys, "relu", "--sigma-b", "0,0.5")
    assert found["sigma_w"] == [pytest.approx(math.sqrt(2)), None]
    assert found["layers"][1] is None
    assert found["constant"] == [pytest.approx(9 * math.pi**2 / 2, rel=1e-9), None]
    assert found["reason"][1]
    assert main(["depth", "relu", "--sigma-b", "0,0.5"]) == 0
    table = capsys.readouterr().out
    assert found["reason"][1] in " ".join(table.split())
    assert "/l^2" in table


def test_repelling_point_is_told(capsys):
    assert main(["depth", "silu", "--sigma-b", "0.2"]) == 0
    table = capsys.readouterr().out
    assert "repelling: " in table
    assert "-10.6" in table  # 1/log F', F' = 1.0987


def test_csv(capsys):
    assert main(["depth", "tanh", "--csv", "--sigma-b", "0.2,0.4"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["sigma_b"] for row in rows] == ["0.2", "0.4"]
    assert float(rows[0]["layers"]) == mf.propagation_depth("tanh", sigma_b=0.2)


def test_table_of_an_ordered_network(capsys):
    assert main(["depth", "tanh", "--sigma-b", "0.3", "--sigma-w", "1.3"]) == 0
    table = capsys.readouterr().out
    assert "ordered" in table
    assert "0.939807" in table


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tahn"], "tanh"),
        (["tanh", "--c0", "1.5"], "--c0"),
        (["tanh", "--c0", "nan"], "--c0"),
        (["tanh", "--threshold", "0"], "--threshold"),
        (["tanh", "--threshold", "inf"], "--threshold"),
        (["tanh", "--depth", "0"], "--depth"),
        (["tanh", "--depth", "many"], "--depth"),
        (["tanh", "--sigma-w", "-1"], "--sigma-w"),
        (["tanh", "--sigma-b", "0:1:0.0001", "--sigma-w", "1,2"], "10,000"),
        (["tanh", "--json", "--csv"], "--csv"),
    ],
)
def test_bad_input_ends_with_64_and_a_message_that_names_it(words, message, capsys):
    assert main(["depth", *words]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("meanfield: error: ")
    assert message in captured.err
