"""The datasheet: what it says is what the theory says, and it is a page that any browser can read."""

from __future__ import annotations

import math
import os
import re
import shlex
import warnings

import numpy as np
import pytest

import meanfield as mf
from meanfield.cli import main
from meanfield.report import datasheet as module
from meanfield.report.blocks import Paragraph, Section, column, number
from meanfield.report.datasheet import Datasheet, datasheet, rendered, write_page
from meanfield.report.sections import conditions, initialisation, origin, plane, shape, summary
from meanfield.report.subject import make_subject
from tests.report.page import Page

SECTIONS = (
    "summary",
    "activation",
    "variance",
    "edge-of-chaos",
    "phase-diagram",
    "correlation",
    "comparison",
    "proposition-4",
    "initialisation",
    "jacobian",
    "monte-carlo",
    "origin",
)


def check_page(page):
    """What holds of every page."""
    assert tuple(page.sections) == SECTIONS
    assert len(page.ids) == len(set(page.ids))
    targets = {target for pair in page.references for target in pair if target}
    assert targets <= set(page.ids), targets - set(page.ids)
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "link", "iframe", "img", "object", "style"} & set(tags) - {"style"}
    assert tags.count("h1") == 1
    assert dict(page.tags)["html"] == {"lang": "en"}
    assert "http:" not in page.html
    assert "https:" not in page.html
    # Each drawing is an image with words for those who don't see it.
    pictures = [attributes for tag, attributes in page.tags if attributes.get("role") == "img"]
    assert len(pictures) == tags.count("svg")
    assert all(len(attributes["aria-label"]) > 20 for attributes in pictures)
    assert len(page.html.encode()) < 3_000_000
    # "nan" and "inf" as printed numbers.
    for text in page.sections.values():
        assert not re.search(r"(?<![\w-])(nan|inf)(?!\w)", text), text
    assert "is missing" not in "".join(page.sections.values())


def test_page_is_whole_and_needs_no_network(tanh_page):
    check_page(tanh_page)
    for name in ("viewport", "color-scheme"):
        assert any(attributes.get("name") == name for tag, attributes in tanh_page.tags if tag == "meta")


def test_published_numbers_stand_on_the_page(tanh_page):
    # THEORY: tanh at σ_b = 0.2 has (q, σ_w) = (0.512079, 1.304146).
    row = next(row for row in tanh_page.rows["edge-of-chaos"] if row[0] == "0.200")
    assert (row[1][:8], row[2], row[4]) == ("1.304145", "0.51208", "attracting")
    rows = {row[0]: row for row in tanh_page.rows["comparison"]}
    assert set(rows) >= {"ReLU", "tanh", "Swish", "GELU"}
    assert rows["ReLU"][7] == f"{4.5 * math.pi**2:.4g}/ℓ² (kinked)"
    assert rows["ReLU"][8] == "54"
    assert rows["tanh"][8] == f"{mf.propagation_depth('tanh', sigma_b=0.2):g}"
    # 1/log F' with F' = 1.0987 at Swish's point of the edge, which repels.
    assert rows["Swish"][3:5] == ["repelling", "−10.62"]
    # f(0) of the correlation map: (σ_b² + σ_w² E[φ]²)/q, E[tanh] = 0.
    row = next(row for row in tanh_page.rows["correlation"] if row[0] == "0.2000")
    assert float(row[3]) == pytest.approx(0.04 / 0.512079, abs=1e-6)


def test_verdicts_are_those_of_the_checker(tanh_page):
    found = mf.check_proposition4("tanh")
    words = {True: "yes", False: "no", None: "undecided"}
    rows = {row[0]: row for row in tanh_page.rows["proposition-4"]}
    for name, condition in found.conditions.items():
        assert rows[f"({name})"][1:4] == [unset(condition.statement), words[condition.holds], condition.proof]
    for caveat in found.caveats:
        assert unset(caveat) in tanh_page.sections["proposition-4"]


def unset(text):
    """The text as it reads without subscripts."""
    return re.sub(r"\bsigma_", "σ", text).replace("σ_", "σ").replace("ξ_", "ξ")


def test_recommendations_are_those_of_recommend(tanh_page):
    for row in tanh_page.rows["initialisation"][1:]:
        best = mf.recommend("tanh", depth=int(row[0]))
        assert [float(cell) for cell in row[1:4]] == pytest.approx([best.sigma_w, best.sigma_b, best.q], rel=1e-4)


def code(page, title):
    index = {"PyTorch": 0, "JAX": 1, "NumPy": 2}[title]
    return [text for language, text in page.codes if language == "python"][index]


def drawn_as_said(weights, biases, fan_in, best):
    """The sampled variances of 200,000 weights and 400 biases; 5 standard errors: a false alarm in 10⁶."""
    for sample, sigma in ((np.ravel(weights), best.sigma_w / math.sqrt(fan_in)), (np.ravel(biases), best.sigma_b)):
        ratio = np.mean(np.asarray(sample, dtype=np.float64) ** 2) / sigma**2
        assert abs(ratio - 1.0) < 5.0 * math.sqrt(2.0 / np.size(sample))


@pytest.mark.parametrize("depth", [20, 100, 1000])
def test_numpy_lines_run_as_printed(tanh_page, depth):
    space = {}
    exec(code(tanh_page, "NumPy").replace("depth = 100", f"depth = {depth}"), space)
    weights, biases = space["dense"](500, 400)
    assert weights.shape == (400, 500)
    drawn_as_said(weights, biases, 500, mf.recommend("tanh", depth=depth))


def test_pytorch_lines_run_as_printed(tanh_page):
    torch = pytest.importorskip("torch", reason="torch is not installed: the PyTorch lines were NOT run")
    space = {}
    exec(code(tanh_page, "PyTorch"), space)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(500, 400), torch.nn.Tanh(), torch.nn.Linear(400, 10, bias=False))
    model.apply(space["initialise"])
    drawn_as_said(model[0].weight.detach().numpy(), model[0].bias.detach().numpy(), 500, mf.recommend("tanh", depth=100))


def test_jax_lines_run_as_printed(tanh_page):
    jax = pytest.importorskip("jax", reason="jax is not installed: the JAX lines were NOT run")
    space = {}
    exec(code(tanh_page, "JAX"), space)
    weights = space["kernel_init"](jax.random.PRNGKey(0), (500, 400))
    biases = space["bias_init"](jax.random.PRNGKey(1), (400,))
    drawn_as_said(weights, biases, 500, mf.recommend("tanh", depth=100))


def test_printed_command_makes_the_same_page(tanh_file, tanh_page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (command,) = [text for language, text in tanh_page.codes if language == "sh"]
    assert main(shlex.split(command)[1:]) == 0
    assert (tmp_path / "report.html").read_bytes() == tanh_file.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("act", "call"),
    [
        (mf.activation("leaky_relu", negative_slope=0.3), "mf.activation('leaky_relu', negative_slope=0.3)"),
        (mf.activation("x*tanh(a*x)", a=2.5), "mf.activation('x*tanh(a*x)', a=2.5)"),
        (mf.activation("gelu"), "'gelu'"),
        (mf.activation(np.tanh, name="it's"), 'mf.activation(function, name="it\'s")'),
    ],
)
def test_printed_call_names_the_activation(act, call):
    text = origin.python_call(act, 3)
    assert text == f"import meanfield as mf\n\nmf.report({call}, 'report.html', seed=3)"
    again = eval(call, {"mf": mf, "function": np.tanh})
    assert mf.activation(again)(1.3) == act(1.3)


def test_sympy_expressions_are_named_by_a_formula():
    import sympy

    x = sympy.Symbol("y")
    call = origin.python_call(mf.activation(sympy.tanh(2 * x)), 0)
    assert mf.activation(eval(call.split("mf.report(")[1].split(", 'report")[0]))(0.5) == pytest.approx(math.tanh(1.0))


def test_names_are_text():
    hostile = "<script>alert(1)</script>"
    subject = make_subject(mf.activation(np.tanh, breakpoints=(), name=hostile), 0)
    sections = tuple(section(subject) for section in (shape.section, initialisation.section, origin.section))
    page = Page(rendered(Datasheet(hostile, sections)))
    assert "script" not in [tag for tag, _ in page.tags]
    assert page.html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3
    assert "<script" not in page.html
    assert hostile in page.codes[-1][1]


def test_formulas_are_text():
    page = Page(rendered(Datasheet("a", (shape.section(make_subject("where(x < 0, 0.1*x, x)", 0)),))))
    assert "x < 0" in page.sections["activation"] or "x > 0" in page.sections["activation"] or "≥" in page.sections["activation"]


def test_activation_without_edge_says_so_everywhere(sign_page):
    check_page(sign_page)
    for name in ("edge-of-chaos", "correlation", "comparison"):
        assert "There is no edge of chaos: φ of sign jumps at x = 0" in sign_page.sections[name]
    assert "Nothing to recommend for 20, 100 and 1000 layers" in sign_page.sections["initialisation"]
    assert [language for language, _ in sign_page.codes] == ["python", "sh"]


@pytest.mark.parametrize("spec", ["exp", "softplus", "x"])
def test_short_sections_of_awkward_activations(spec):
    subject = make_subject(spec, 0)
    for part in (shape, initialisation):
        for block in part.section(subject).blocks:
            assert "nan" not in str(getattr(block, "rows", ""))
    from meanfield.report.sections import correlation, edge, variance

    for part in (variance, edge, correlation):
        made = part.section(subject)
        assert made.blocks


def test_refusal_becomes_words(monkeypatch):
    def refuses(subject):
        raise mf.DomainError("no plane < here")

    monkeypatch.setattr(plane, "section", refuses)
    monkeypatch.setattr(module, "make_subject", lambda given, seed: make_subject(given, seed))
    made = module._made(make_subject("relu", 0), "phase-diagram", "Phase diagram", plane.section, [])
    assert made == Section("phase-diagram", "Phase diagram", (Paragraph("This could not be computed: no plane < here.", tone="caution"),))


def test_defect_in_one_section_leaves_the_others(caplog):
    def fails(subject):
        raise IndexError("index 3")

    made = module._made(make_subject("relu", 0), "a", "A", fails, [])
    assert "meanfield failed here (IndexError: index 3)" in made.blocks[0].text
    assert "IndexError" in caplog.text


def test_accuracy_warnings_are_told_on_the_page():
    def warns(subject):
        warnings.warn("reached 1e-6", mf.AccuracyWarning, stacklevel=2)
        return Section("a", "A", ())

    made = module._made(make_subject("relu", 0), "a", "A", warns, [])
    assert made.blocks == (Paragraph("Accuracy: reached 1e-6", tone="caution"),)
    with pytest.warns(UserWarning, match="other"), module._collected():
        warnings.warn("other", UserWarning, stacklevel=1)


def test_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    target.write_text("old")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_page("new", target)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        (("tanh", "nowhere/page.html"), {}, "no folder 'nowhere'"),
        (("tanh", "."), {}, "is a folder"),
        (("tanh", 3), {}, "path = 3"),
        (("tanh", "a\0b"), {}, "path ="),
        (("tanh",), {"seed": -1}, "seed = -1"),
        (("tanh",), {"seed": 0.5}, "seed = 0.5"),
        (("tanh",), {"seed": True}, "seed = True"),
    ],
)
def test_bad_input_is_named(arguments, keywords, message):
    with pytest.raises(mf.DomainError, match=re.escape(message)):
        mf.report(*arguments, **keywords)
    with pytest.raises(mf.ActivationError, match="tanh"):
        mf.report("tahn")


def test_summary_of_a_curve_that_turns():
    rows = dict(summary.section(make_subject("mish", 0)).blocks[0].rows)
    # THEORY: the attracting edge of Mish begins at σ_b = 0.307444; the grid's next point is 0.31.
    assert rows["Edge of chaos"] == "for every σ_b in [0, 1]: repelling from σ_b = 0, attracting from σ_b = 0.31"


def test_numbers_and_columns():
    assert [number(value) for value in (math.inf, -math.inf, math.nan, -0.0)] == ["∞", "−∞", "—", "0"]
    assert column([math.nan, 2.0]) == ["—", "2.00000"]
    assert column([]) == []
    assert conditions.evidence({"holds": None, "q": np.array([0.5, math.inf])}, 0.25) == "holds: undecided; q = 0.5, ∞. Witness: 0.25"


def test_datasheet_lists_its_sections():
    sheet = Datasheet("relu", (Section("a", "First", ()),))
    assert str(sheet) == "Datasheet of relu\n  First"
    assert callable(datasheet)
