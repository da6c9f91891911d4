"""``meanfield check``, in this process."""

from __future__ import annotations

import json

import pytest

import meanfield as mf
from meanfield.cli import main


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["tanh"], 0),
        (["tanh", "--strict"], 0),
        (["silu"], 0),
        (["silu", "--strict"], 1),
        (["relu"], 1),
        (["leaky_relu", "-p", "negative_slope=0.2"], 1),
        (["--", "-tanh(x)"], 0),
    ],
)
def test_exit_status_is_the_verdict(words: list[str], status: int, capsys) -> None:
    assert main(["check", *words]) == status
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "Proposition 4" in captured.out
    for name in ("(i)", "(ii)", "(iii)", "(iv)", "conclusion"):
        assert name in captured.out


def test_undecided_is_three(capsys, monkeypatch) -> None:
    right = mf.check_proposition4("tanh")
    undecided = mf.Proposition4(right.activation, None, None, right.conditions, right.conclusion, (), right.propositions)
    monkeypatch.setattr("meanfield.theory.conditions.check_proposition4", lambda _: undecided)
    assert main(["check", "tanh"]) == 3
    assert "undecided" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["foo(x)"], ["tanh", "-p", "a"], ["tanh", "--no-such-option"], []])
def test_bad_input_is_64(words: list[str], capsys) -> None:
    assert main(["check", *words]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("meanfield: error: ")


def test_json_holds_the_verdict_with_its_evidence(capsys) -> None:
    assert main(["check", "selu", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    result = mf.check_proposition4("selu")
    assert found["satisfied"] is True
    assert found["satisfied_strictly"] is True
    assert found["version"] == mf.__version__
    for name, condition in result.conditions.items():
        assert found["conditions"][name]["holds"] is condition.holds
        assert found["conditions"][name]["reason"] == condition.reason
    assert found["conclusion"]["holds"] is False
    assert found["conclusion"]["evidence"]["limit"] == result.conclusion.evidence["limit"]
    assert found["conclusion"]["evidence"]["q"] == list(result.conclusion.evidence["q"])
    assert found["caveats"] == list(result.caveats)


def test_json_of_a_failing_one_is_valid(capsys) -> None:
    assert main(["check", "softplus", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["conditions"]["i"]["witness"] == pytest.approx(0.6931471805599453)
    assert found["conditions"]["ii"]["evidence"]["A"] is None
