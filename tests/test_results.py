"""What every result can do: a short repr, a readable str, a table, a picture, equality, copies, pickles."""

from __future__ import annotations

import copy
import functools
import html.parser
import pickle
import sys
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield import layers as L
from meanfield.result import Result
from tests.results import MADE, _network, bump

FRAMED = {  # rows of the table
    "EdgeOfChaos": 101,
    "EdgeOfChaos, one point": 1,
    "PhaseDiagram": 200,
    "Trajectory": 101,
    "Trajectory of layers": 24,
    "Simulation": 5,
    "Comparison": 5,
    "LayerStatistics": 3,
    "FiniteWidth": 11,
    "Band": 11,
    "Expectation": 30,
    "Estimate": 20,
    "DepthLaws": 3,
    "ExistenceConditions": 2,
    "Condition": 1,
    "JacobianSpectrum": 9,
    "Standardisation": 1,
    "Standardisation, array": 40,
    "ActivationRanking": 3,
    "EdgeOfChaos, long": 101,
    "Recommendation": 1,
    "Scheme": 1,
    "Proof": 11,
    "Enclosure": 1,
    "Enclosures": 4,
    "Shape": 1,
}
LONGER = {"Proof": 60}  # lines: every step is wanted
PLOTTED = (
    "EdgeOfChaos",
    "PhaseDiagram",
    "Trajectory",
    "Simulation",
    "Comparison",
    "LayerStatistics",
    "FiniteWidth",
    "LayerStatistics, theory",
    "ActivationComparison",
    "JacobianSpectrum",
)


@functools.cache
def made(name: str) -> Any:
    return MADE[name]()


@pytest.fixture(params=MADE)
def result(request: pytest.FixtureRequest) -> Any:
    return made(request.param)


def test_every_public_result_is_among_them():
    public = {name for name in mf.__all__ if isinstance(getattr(mf, name), type) and issubclass(getattr(mf, name), Result)}
    assert public <= {type(made(name)).__name__ for name in MADE}
    assert len(public) >= 20


def test_repr_is_short_and_str_readable(result):
    assert len(repr(result)) < 2500
    assert repr(result).startswith(type(result).__name__ + "(")
    assert "array([[" not in repr(result)
    assert str(result)
    assert "array(" not in str(result)


def test_a_page_holds_what_is_printed(result):
    lines = str(result).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= LONGER.get(type(result).__name__, 40)
    assert not any(line.endswith(" ") for line in lines)


def test_every_public_dataclass_that_holds_an_answer_is_a_result():
    """What describes something is none."""
    import dataclasses

    described = {"Breakpoint"}
    classes = {name for name in mf.__all__ if dataclasses.is_dataclass(getattr(mf, name))}
    assert {name for name in classes if not issubclass(getattr(mf, name), Result)} == described


LONG = "+".join(["tanh(x)"] * 60)


@pytest.mark.parametrize(
    "ask",
    [
        lambda phi: mf.edge_of_chaos(phi, [0.1, 0.2]),
        lambda phi: mf.phase_diagram(phi, [0.01, 0.02], [0.0, 0.1]),
        lambda phi: mf.simulate(phi, 0.02, 0.2, width=20, depth=3, networks=3, progress=False),
        lambda phi: mf.compare([phi], depth=3)[0],
        lambda phi: mf.existence_conditions(phi),
        lambda phi: mf.convergence_domains(phi),
        lambda phi: mf.asymptotics(phi, sigma_b=0.2),
        lambda phi: mf.shape_activation(phi, 10, "dks"),
    ],
)
def test_a_long_formula_is_folded(ask):
    found = ask(mf.activation(LONG))
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(repr(found)) < 2500
    title = found._repr_html_().partition("</strong>")[0]
    # A browser folds a title by itself: it is whole.
    assert isinstance(found, mf.Asymptotics) or f"{LONG}" in title


def test_a_title_in_a_notebook_is_a_sentence():
    diagram = mf.phase_diagram("tanh", [0.5, 1.0], [0.0, 0.1])
    assert max(map(len, str(diagram).splitlines())) <= 80
    assert f"<strong>{' '.join(str(diagram).split())}</strong>".replace("'", "&#x27;") in diagram._repr_html_()


def test_one_network_is_no_plural():
    assert str(mf.simulate("tanh", 1.0, 0.2, width=5, depth=1, networks=1, progress=False)).startswith("1 network, tanh")


@pytest.mark.parametrize("ax", [3, "q1"])
def test_what_is_no_axes_is_told(ax):
    with pytest.raises(mf.DomainError, match=f"ax must be axes of Matplotlib, not {type(ax).__name__} {ax!r}"):
        made("Trajectory").plot(ax)


def test_a_shaped_activation_shows_its_solutions():
    found = mf.shape_activation("gelu", 100, "tat")
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40
    assert f"… ({len(found.solutions) - 5} more)" in lines
    assert lines[5].startswith("1. output_scale = 23.0519461624, input_scale = 0.0576716")
    assert len(repr(found)) <= 80
    page = found._repr_html_()
    assert page.count("<tr>") == 1 + len(found.solutions)
    assert "φ = gelu" in page
    for other in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found)), mf.shape_activation("gelu", 100, "tat")):
        assert other == found
        assert hash(other) == hash(found)
        assert other.solutions == found.solutions
    assert found != mf.shape_activation("gelu", 101, "tat")
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = found.to_frame()
    assert frame["output_scale"].tolist() == [one.output_scale for one in found.solutions]
    assert list(mf.shape_activation("leaky_relu", 100, "tat").to_frame()["negative_slope"]) == [0.57043953105872]


def test_a_proof_keeps_its_words():
    proof = made("Proof")
    text = " ".join(str(proof).split())
    for step in proof.steps:
        assert " ".join(f"{step.claim}. [{step.theorem}] {step.evidence}".split()) in text
    assert "recursion: proved." in text
    assert proof._columns()["claim"] == [step.claim for step in proof.steps]
    page = proof._repr_html_()
    assert page.count("<p>") == 5  # both readings, and three kernels
    assert "<p>(i)–(iv), q the limit of the recursion: proved.</p>" in page
    unknown = mf.prove_proposition4(mf.activation(np.tanh, name="mine"))
    assert "every claim above" not in str(unknown)
    assert "limit of the recursion: undecided.</p>" in unknown._repr_html_()


def test_what_a_curve_lacks_is_said_once():
    text = str(made("EdgeOfChaos"))
    assert text.count("single point") == 1
    assert "none at sigma_b = 0.01 … 1 (100): relu is linear on both sides of 0" in " ".join(text.split())
    assert "… (78 more)" in str(made("EdgeOfChaos, long"))


def test_repr_of_many_long_fields_is_cut():
    many = mf.Recommendation(1.0, 0.0, 1.0, 5, "x" * 5000, 0.0, 0.0, 0.0, "y" * 5000)
    assert len(repr(many)) < 550


def test_equal_to_its_copies_and_its_pickle(result):
    for other in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert other == result
        assert (other != result) is False
        assert hash(other) == hash(result)
    assert result != "something else"


def test_equal_when_made_again(result, request):
    again = MADE[request.node.callspec.params["result"]]()
    assert again == result
    assert hash(again) == hash(result)


def test_one_number_makes_a_difference():
    first = mf.MeanField("tanh", 1.3, 0.2).propagate(100)
    other = copy.deepcopy(first)
    other.c[57] = np.nextafter(other.c[57], 1.0)
    assert first != other
    other.c[57] = np.nan
    assert first != other
    assert mf.edge_of_chaos("tanh", 0.2) != mf.edge_of_chaos("erf", 0.2)
    assert mf.edge_of_chaos("tanh", [0.2]) != mf.edge_of_chaos("tanh", 0.2)
    assert mf.edge_of_chaos("tanh", [0.2]) != mf.edge_of_chaos("tanh", [0.2, 0.3])
    assert mf.edge_of_chaos("tanh", [0.2]) != mf.edge_of_chaos("tanh", [[0.2]])
    a, b = mf.check_proposition4("silu"), mf.check_proposition4("gelu")
    assert a != b
    assert a.conditions != b.conditions


def test_nan_is_equal_to_nan_and_to_nothing_else():
    one, other = mf.DepthLaw("power", float("nan"), 1.0), mf.DepthLaw("power", np.float64("nan"), 1.0)
    assert one == other
    assert hash(one) == hash(other)
    assert one != mf.DepthLaw("power", 1.0, 1.0)
    assert mf.DepthLaw("power", 0.0, 1.0) == mf.DepthLaw("power", -0.0, 1.0)
    assert hash(mf.DepthLaw("power", 0.0, 1.0)) == hash(mf.DepthLaw("power", -0.0, 1.0))


def test_results_of_different_values_rarely_share_a_hash():
    curves = [mf.edge_of_chaos("tanh", sigma_b=b) for b in np.linspace(0.1, 0.9, 50)]
    assert len({hash(curve) for curve in curves}) > 45
    assert len(set(curves)) == 50


class _Balanced(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_a_small_well_formed_table(result):
    page = result._repr_html_()
    parser = _Balanced()
    parser.feed(page)
    assert not parser.open
    assert "table" in parser.seen
    assert parser.seen.count("tr") <= 30
    assert len(page) < 200_000


def test_html_is_escaped():
    page = mf.edge_of_chaos(mf.activation(bump, name="<script>alert(1)</script>"), 0.2)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("name", ["EdgeOfChaos", "PhaseDiagram", "Trajectory"])
def test_html_has_a_picture(name):
    assert "data:image/png;base64," in made(name)._repr_html_()


@pytest.mark.parametrize("name", MADE)
def test_frame(name):
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = made(name).to_frame()
    assert len(frame) == FRAMED.get(name, len(frame)) >= 1
    assert frame.shape[1] >= 2
    assert not any(isinstance(value, np.ndarray | dict) for column in frame for value in frame[column])


def test_frame_of_a_diagram_has_each_cell_where_it_belongs():
    pytest.importorskip("pandas", reason="pandas is not installed")
    diagram = made("PhaseDiagram")
    frame = diagram.to_frame()
    for row in (0, 19, 20, 133, 199):
        b, w = divmod(row, 20)
        assert frame.loc[row, "sigma_b"] == diagram.sigma_b[b]
        assert frame.loc[row, "sigma_w"] == diagram.sigma_w[w]
        for quantity in ("q_star", "variance_slope", "epsilon_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_grad", "phase"):
            np.testing.assert_equal(frame.loc[row, quantity], getattr(diagram, quantity)[b, w])
        assert frame.loc[row, "phase_name"] == mf.MeanField("tanh", diagram.sigma_w[w], diagram.sigma_b[b]).phase
    assert diagram.phase_names.shape == diagram.phase.shape


def test_frames_have_the_numbers():
    pytest.importorskip("pandas", reason="pandas is not installed")
    curve = mf.edge_of_chaos("tanh", sigma_b=[[0.1, 0.2], [0.3, 0.4]])
    assert curve.to_frame()["sigma_w"].tolist() == curve.sigma_w.ravel().tolist()
    line = made("Trajectory")
    assert line.to_frame()["c"].tolist() == line.c.tolist()
    assert line.to_frame()["layer"].tolist() == list(range(101))
    assert made("Trajectory of layers").to_frame()["name"].tolist() == list(made("Trajectory of layers").names)
    sim = made("Simulation")
    assert sim.to_frame()["c"].tolist() == sim.c.mean.tolist()
    assert sim.to_frame()["c_standard_error"].tolist() == sim.c.standard_error.tolist()
    assert "gradient" not in made("Simulation without gradients").to_frame()
    gram = made("Estimate")
    last = gram.to_frame().iloc[-1]
    assert (last["axis_0"], last["axis_1"], last["axis_2"], last["mean"]) == (4, 1, 1, gram.mean[4, 1, 1])
    verdict = made("Proposition4").to_frame()
    assert verdict["name"].tolist()[:4] == ["i", "ii", "iii", "iv"]
    assert verdict["holds"].tolist()[:4] == [c.holds for c in made("Proposition4").conditions.values()]
    best = made("Recommendation")
    assert best.to_frame().loc[0, ["sigma_w", "sigma_b", "depth"]].tolist() == [best.sigma_w, best.sigma_b, 50]
    sampled = made("LayerStatistics")
    assert sampled.to_frame()["gradient_variance_sampled"].tolist() == sampled.simulated.gradient_variance.mean.tolist()
    assert sampled.to_frame()["units"].tolist() == [30, 30, 10]


def test_xarray():
    pytest.importorskip("xarray", reason="xarray is not installed")
    diagram = made("PhaseDiagram")
    found = diagram.to_xarray()
    assert dict(found.sizes) == {"sigma_b": 10, "sigma_w": 20}
    cell = found.isel(sigma_b=3, sigma_w=7)
    assert float(cell.chi_1) == diagram.chi_1[3, 7]
    assert float(cell.sigma_w) == diagram.sigma_w[7]
    assert found.attrs["activation"] == "tanh"
    line = made("Trajectory of layers")
    along = line.to_xarray()
    assert along.q1.values.tolist() == line.q1.tolist()
    assert str(along.name.values[1]) == line.names[1]


@pytest.mark.parametrize(("package", "method"), [("pandas", "to_frame"), ("xarray", "to_xarray")])
def test_what_is_missing_is_named(package, method, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(mf.MeanFieldError, match=f"needs {package}.*pip install {package}"):
        getattr(made("PhaseDiagram"), method)()


def test_pandas_is_not_loaded_before_it_is_asked_for():
    from tests.test_import import modules_after

    loaded = modules_after("import meanfield as mf; curve = mf.edge_of_chaos('tanh', 0.2); repr(curve); hash(curve); curve == curve")
    assert loaded.isdisjoint({"pandas", "xarray", "matplotlib"})


@pytest.mark.parametrize("name", PLOTTED)
def test_plot_draws_on_the_axes_given(name):
    from meanfield.plot.column_width import detached_axes

    ax = detached_axes()
    assert made(name).plot(ax=ax) is ax
    assert ax.has_data()
    ax.figure.canvas.draw()


def test_plot_makes_its_own_figure():
    import matplotlib.pyplot as plt

    ax = made("Trajectory").plot(quantity="gradient")
    assert ax.get_xlabel() == r"layer $\ell$"
    plt.close(ax.figure)


PICKLED = {
    "plain": lambda: mf.MeanField("tanh", 1.3, 0.2),
    "formula": lambda: mf.MeanField(mf.activation("x*sigmoid(b*x)", b=2.0), 1.3, 0.2),
    "callable": lambda: mf.MeanField(mf.activation(bump), 1.3, 0.2),
    "layer": lambda: mf.MeanField(L.Residual(L.LayerNorm(), "relu", L.Dense(2**0.5))),
    "network": _network,
    "every layer": lambda: mf.Network(
        L.Dense(1.0),
        L.BatchNorm(8),
        "tanh",
        L.Convolution(1.2, 0.1),
        L.Concatenate(L.Identity(), L.Sequence("relu", L.Dense(1.0))),
        L.Dense(1.0),
        L.Gate(L.Dense(1.0), L.Sequence(L.Dense(1.0), "sigmoid")),
        L.Dense(1.1),
    ),
}


@pytest.mark.parametrize("name", PICKLED)
def test_networks_are_copied_sent_and_compared(name):
    net = PICKLED[name]()
    asked = net.propagate() if isinstance(net, mf.Network) else (net.q_star, net.chi_1)
    for other in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert type(other) is type(net)
        assert other == net
        assert hash(other) == hash(net)
        assert asked == (other.propagate() if isinstance(other, mf.Network) else (other.q_star, other.chi_1))
    assert net != PICKLED["plain" if name != "plain" else "formula"]()


def test_networks_that_differ_are_not_equal():
    assert mf.MeanField("tanh", 1.3, 0.2) != mf.MeanField("tanh", 1.3, 0.3)
    assert mf.MeanField("tanh", 1.3, 0.2) != mf.MeanField("erf", 1.3, 0.2)
    assert mf.Network(L.Dense(1.0), "tanh") != mf.Network(L.Dense(1.0), "relu")


def test_activations_are_equal_by_what_they_are_made_of():
    assert mf.activation(bump) == mf.activation(bump)
    assert mf.activation(bump) != mf.activation(np.tanh)
    assert mf.activation(bump) != mf.activation(bump, name="other")
    assert mf.activation("leaky_relu", negative_slope=0.1) != mf.activation("leaky_relu", negative_slope=0.2)
    assert mf.activation("tanh") != "tanh"
    act = mf.activation(lambda x: np.tanh(x))
    assert copy.deepcopy(act) is act


def test_a_lambda_says_why_it_does_not_pickle():
    act = mf.activation(lambda x: np.tanh(x), name="mine")
    for thing in (act, mf.MeanField(act, 1.3, 0.2), mf.edge_of_chaos(act, 0.2), mf.Network(L.Dense(1.0), act)):
        with pytest.raises(mf.ActivationError, match=r"'mine' can't be pickled: its function is a lambda.*def at the top of a module"):
            pickle.dumps(thing)
        assert copy.deepcopy(thing) == thing

    def inner(x):
        return np.tanh(x)

    with pytest.raises(mf.ActivationError, match="is defined inside another one"):
        pickle.dumps(mf.activation(inner))


def test_joblib_sends_results_and_networks_to_processes():
    from joblib import Parallel, delayed

    sent = [
        mf.MeanField("tanh", 1.3, 0.2),
        _network(),
        made("Trajectory"),
        made("PhaseDiagram"),
        mf.activation(lambda x: np.tanh(x), name="l"),
    ]
    found = Parallel(n_jobs=2)(delayed(copy.copy)(thing) for thing in sent)
    assert found[:4] == sent[:4]
    assert found[4](0.5) == sent[4](0.5)  # joblib sends code, so that a lambda travels


def test_a_torch_module_is_equal_to_its_pickle():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    act = mf.activation(torch.nn.PReLU(init=0.1))
    assert pickle.loads(pickle.dumps(act)) == act
    assert act != mf.activation(torch.nn.PReLU(init=0.2))
