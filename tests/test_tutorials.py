"""The tutorials are notebooks in text: their cells run in order, print what the prose repeats, and are read in ten minutes."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
# What the prose repeats of the outputs, and what would change with a mistake.
SAID = {
    "tutorial_not_training": (
        "sigma_w = 0.577350269",
        "ordered 0.332",
        "gradient 5e-49",
        "inputs 1e-46",
        "chaotic 2e+04",
        "sigma_w = 1.24668228, sigma_b = 0.145030419",
        "gradient 0.50",
        "inputs 0.097",
        "The ensemble agrees with the theory",
    ),
    "tutorial_activation": (
        "0.4800242543360514 ± 3e-16",
        "1.40103649",
        "attracting",
        "strictly (q the limit of the recursion): yes",
        " 378 ",
        " 79 ",
        " 54 ",
    ),
    "tutorial_paper": ("201 × 101 cells", "(101, 201)", "correlation 9.46257, gradient -5.66726"),
}
SLOWEST_READER = 120  # words a minute, code and outputs included


def text(page: str) -> str:
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


def cells(page: str) -> list[str]:
    found = re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```", text(page), flags=re.MULTILINE | re.DOTALL)
    # Without what is said to the documentation, and to the notebook (%matplotlib inline).
    return [re.sub(r"\A---\n.*?^---\n|^%[^\n]*\n", "", cell, flags=re.MULTILINE | re.DOTALL) for cell in found]


def test_there_are_three_each_with_a_figure_and_what_is_not_covered():
    assert set(SAID) == {page.stem for page in DOCS.glob("tutorial_*.md")}
    for page in SAID:
        assert "kernelspec:" in text(page)
        assert "python3 -m pip install meanfield-nets" in text(page)
        assert "plt.subplots(" in cells(page)[-1] + cells(page)[-2]
        assert "## What the theory covers here" in text(page)
        assert "{doc}`scope`" in text(page)


@pytest.mark.parametrize("page", SAID)
def test_cells_run_and_print_what_is_said(page, tmp_path, monkeypatch, capsys):
    if ".to_frame()" in "".join(cells(page)):
        pytest.importorskip("pandas", reason="pandas is not installed")
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    names: dict[str, object] = {}
    for source in cells(page):
        exec(compile(source, f"{page}.md", "exec"), names)
    plt.close("all")
    printed = capsys.readouterr().out
    for words in SAID[page]:
        assert words in printed
    assert list(tmp_path.glob("*.p[nd][gf]"))
    assert len((text(page) + printed).split()) < 10 * SLOWEST_READER
    assert max(map(len, [line for cell in cells(page) for line in cell.splitlines()])) <= 80


@pytest.mark.parametrize("page", SAID)
def test_notebook_executes(page, tmp_path):
    """As docs/tutorial.md says: jupytext makes it a notebook, nbconvert runs that."""
    for module in ("jupytext", "nbconvert", "ipykernel", "pandas"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f'{module} is not installed: pip install ".[docs,data]"')
    place = tmp_path / f"{page}.ipynb"
    run = {"check": True, "capture_output": True, "timeout": 300, "cwd": tmp_path}
    subprocess.run([sys.executable, "-m", "jupytext", "--to", "ipynb", "-o", place, DOCS / f"{page}.md"], **run)
    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", place], **run)
    notebook = json.loads(place.read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]
    shown = "".join("".join(output.get("text", "")) for output in outputs)
    assert all(words in shown for words in SAID[page])
    assert any("image/png" in output.get("data", {}) for output in outputs)
