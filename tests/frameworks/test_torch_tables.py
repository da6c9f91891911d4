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
    assert " ".join(" ".join(lines[:3]).split()).startswith(sick.verdict.splitlines()[0])
    assert max(map(len, lines)) <= 80
    table = lines[lines.index("") :]
    assert any(("…" in line and "more)" in line) or "(" in line for line in table)
    assert len(repr(sick)) < 2500


def test_what_was_given_is_a_few_rows(given):
    lines = str(given).splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
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


def test_what_was_given_is_drawn(given):
    import meanfield as mf
    from meanfield.plot.column_width import detached_axes

    ax = given.plot(ax=detached_axes())
    drawn = {line.get_label(): line for line in ax.get_lines()}
    assert drawn[r"$\sigma_w$"].get_ydata().tolist() == given.sigma_w.tolist()
    assert drawn[r"$\sigma_b$"].get_ydata().tolist() == given.sigma_b.tolist()
    assert drawn[r"$q$ expected"].get_ydata().tolist() == given.q.tolist()
    assert len({line.get_marker() for line in drawn.values()}) == 3  # a grey print tells them apart
    assert "not by theory" not in drawn
    kept = torch.nn.Sequential(torch.nn.Linear(24, 24), torch.nn.BatchNorm1d(24), torch.nn.Tanh(), torch.nn.Linear(24, 10))
    found = init_(kept, seed=0)
    other = [i + 1 for i, layer in enumerate(found) if layer.method != "theory"]
    rings = {line.get_label(): line.get_xdata().tolist() for line in found.plot(ax=detached_axes()).get_lines()}
    assert rings["not by theory"] == other != []
    assert mf.plot.initialisation(found, ax=detached_axes(), legend=False).get_legend() is None
    with pytest.raises(mf.DomainError, match="no initialisation"):
        mf.plot.initialisation(3, ax=detached_axes())


def test_predictions_and_jacobians_are_results():
    from meanfield.frameworks.torch import jacobian, predict

    model = deep(40)
    batch = torch.randn(8, 24, generator=torch.Generator().manual_seed(0))
    init_(model, seed=0)
    for found, rows in ((predict(model, batch), 40), (jacobian(model, batch[:2]), 39)):
        for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
            assert other == found
            assert hash(other) == hash(found)
        lines = str(found).splitlines()
        assert max(map(len, lines)) <= 80
        assert len(lines) <= 40
        assert len(repr(found)) < 2500
        assert found._repr_html_().count("<tr>") < 20
        pytest.importorskip("pandas", reason="pandas is not installed")
        frame = found.to_frame()
        assert len(frame) == rows
        assert frame["name"].tolist() == [layer.name for layer in found.layers]


def test_labels_do_not_cover_the_picture(sick):
    from meanfield.plot.column_width import detached_axes

    ax = sick.plot(ax=detached_axes())
    assert len(ax.texts) == len({found.kind for layer in sick.layers for found in layer.findings[:1]}) <= 6
    assert "more)" in ax.texts[0].get_text()
