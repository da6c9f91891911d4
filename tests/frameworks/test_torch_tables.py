"""What a person is shown of a deep model: the verdict first, equal rows as one, within a page."""

from __future__ import annotations

import copy
import pickle

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install .[torch]")

from meanfield.frameworks.torch import diagnose, init_  # noqa: E402


def deep(depth: int = 100, width: int = 24) -> torch.nn.Sequential:
    torch.manual_seed(0)
    parts = [part for _ in range(depth - 1) for part in (torch.nn.Linear(width, width), torch.nn.Tanh())]
    return torch.nn.Sequential(*parts, torch.nn.Linear(width, 10))


@pytest.fixture(scope="module")
def sick():
    return diagnose(deep(), torch.randn(16, 24, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def given():
    return init_(deep(), seed=0)


def test_a_sick_deep_model_fits_a_page(sick):
    lines = str(sick).splitlines()
    assert not sick.healthy
    assert len(lines) <= 30
    assert lines[0] == sick.verdict.splitlines()[0]
    table = lines[lines.index("") :]
    assert max(map(len, table)) <= 80 + 120 * any(line.startswith(("note", "not judged")) for line in table)
    assert any(("…" in line and "more)" in line) or "(" in line for line in table)
    assert len(repr(sick)) < 2500


def test_what_was_given_is_a_few_rows(given):
    lines = str(given).splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines[:20])) <= 80
    assert any(" … " in line and "(9" in line for line in lines)  # ninety-odd layers that were given the same
    assert len(repr(given)) < 2500


@pytest.mark.parametrize("name", ["sick", "given"])
def test_they_are_results(name, request):
    found = request.getfixturevalue(name)
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert other == found
        assert hash(other) == hash(found)
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = found.to_frame()
    assert len(frame) == len(found.layers) == 100
    assert frame["sigma_w"].tolist() == [layer.sigma_w for layer in found.layers]
    assert found._repr_html_().count("<tr>") < 20


def test_labels_do_not_cover_the_picture(sick):
    from meanfield.plot.column_width import detached_axes

    ax = sick.plot(ax=detached_axes())
    assert len(ax.texts) == len({found.kind for layer in sick.layers for found in layer.findings[:1]}) <= 6
    assert "more)" in ax.texts[0].get_text()
