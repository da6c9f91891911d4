"""The documentation keeps its word: examples print what they say, commands run, links lead somewhere, no public name is left out."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import pytest

import meanfield
from meanfield.cli import main

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md"))}
API = "\n".join(text for page, text in PAGES.items() if page.startswith("api_"))
FRAMEWORKS = ("jax", "keras", "torch", "sklearn")


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def documented() -> list[str]:
    """Full names, as often as the reference has them."""
    names = re.findall(r"^\.\. auto(?:function|class|exception|module|data):: (\S+)", API, flags=re.MULTILINE)
    names += re.findall(r"^\.\. module:: (\S+)", API, flags=re.MULTILINE)
    return [name if name.startswith("meanfield.") else f"meanfield.{name}" for name in names]


def commands(program: str) -> list[str]:
    """What the pages tell to type, in blocks and in running text, each once; words in capitals stand for something else."""
    found: dict[str, None] = {}
    for text in PAGES.values():
        lines = [line for block in blocks("sh", text) for line in block.splitlines()]
        prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        lines += re.findall(rf"`({re.escape(program)} [^`\n]+)`", prose)
        for line in lines:
            words = " ".join(shlex.quote(word) for word in shlex.split(line, comments=True))
            if words.startswith(f"{program} ") and len(words.split()) > 2 and not re.search(r"\b[A-Z]{3,}\b", words):
                found[words] = None
    return list(found)


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if ">>>" in text])
def test_examples_print_what_they_say(page):
    if "mf.enclose" in PAGES[page] or "mf.prove_proposition4" in PAGES[page]:
        pytest.importorskip("flint", reason='python-flint is not installed: pip install ".[proof]"')
    examples = "\n".join(blocks("pycon", PAGES[page]))
    assert examples.count(">>>") == PAGES[page].count(">>>"), "an example outside of a pycon block is not run"
    # A blank line ends an expected output, and so does the end of a block.
    test = doctest.DocTestParser().get_doctest(examples, {}, page, str(DOCS / f"{page}.md"), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


# Datasheets take seconds each, and tests/report makes them.
@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if blocks("python", text) and page != "report"])
def test_python_blocks_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for source in blocks("python", PAGES[page]):
        if "Client(...)" in source:  # the address of a cluster
            continue
        for framework in FRAMEWORKS:
            if re.search(rf"\b{framework}\b", source):
                pytest.importorskip(framework, reason=f'{framework} is not installed: pip install ".[{framework}]"')
        exec(compile(source, f"{page}.md", "exec"), names)


@pytest.mark.parametrize("command", [command for command in commands("meanfield") if not command.startswith("meanfield report")])
def test_command_runs(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples" / "networks", tmp_path / "examples" / "networks")
    words = shlex.split(command)[1:]
    if words[0] == "prove":
        pytest.importorskip("flint", reason='python-flint is not installed: pip install ".[proof]"')
    # `check` tells by its exit status what it found.
    assert main(words) in ((0, 1, 3) if words[0] in ("check", "prove") else (0,))
    assert capsys.readouterr().out or "-o" in words


@pytest.mark.parametrize("command", commands("python"))
def test_module_or_script_exists(command):
    words = shlex.split(command)
    assert importlib.util.find_spec(words[2]) if words[1] == "-m" else (ROOT / words[1]).exists()


def test_every_public_name_is_in_the_reference_once():
    names = documented()
    assert sorted(names) == sorted(set(names)), "named twice"
    public = [f"meanfield.{name}" for name in meanfield.__all__ if not name.startswith("_")]
    public += [f"meanfield.plot.{name}" for name in importlib.import_module("meanfield.plot").__all__]
    for framework in ("torch", "jax", "keras"):
        module = importlib.import_module(f"meanfield.frameworks.{framework}")
        public += [f"{module.__name__}.{name}" for name in module.__all__]
    assert set(public) - set(names) == set()


def test_the_list_of_the_reference_has_them_all_and_no_page_has_everything():
    for name in documented():
        if f".. module:: {name}" not in API:
            assert f"`{name.rpartition('.')[2]}`" in PAGES["api"], name
    assert max(len(text.splitlines()) for page, text in PAGES.items() if page.startswith("api_")) <= 100


@pytest.mark.parametrize("name", documented())
def test_reference_has_no_name_that_does_not_exist(name):
    found = _resolve(name)
    assert getattr(found, "__doc__", None), "no docstring"


def test_table_of_errata_has_the_numbers_that_its_commands_print():
    table, _, below = PAGES["errata"].partition("## ")
    printed = [line for block in blocks("pycon", below) for line in block.splitlines() if not line.startswith((">>>", "..."))]
    rows = [row.split(" | ") for row in table.splitlines() if row.startswith("| ")][2:]
    exact = [number for row in rows for number in re.findall(r"\d\.\d{4,}", " ".join(row[2:]))]
    assert len(exact) >= 10
    for number in exact:
        assert any(number in line for line in printed), number


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```(?!{image|{include|{toctree).*?^```", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"{doc}`([^`]+)`", text):
        assert target in PAGES or target == "gallery/index", target
    for target in re.findall(r"{py:\w+}`(?:[^`<]*<)?~?([\w.]+)>?`", text):
        assert _resolve(target) is not None
        assert any(target == name or target.startswith(f"{name}.") for name in documented()), f"{target} is not in the reference"
    # Brackets in code and formulas are no links.
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]*\$|`[^`\n]*`", "", text, flags=re.DOTALL)
    files = re.findall(r"\]\(([^)#]+)[^)]*\)", text) + re.findall(r"^```{(?:image|include)} (\S+)", text, flags=re.MULTILINE)
    for target in files:
        assert target.startswith("https://") or (DOCS / target).exists(), target
    anchors = {
        re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.+)$", PAGES[page], flags=re.MULTILINE)
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in anchors


def test_every_page_is_in_the_contents():
    trees = [block for page in ("index", "tutorial", "api") for block in blocks("{toctree}", PAGES[page])]
    listed = [line for block in trees for line in block.split("\n") if line and not line.startswith(":")]
    assert sorted(set(listed)) == sorted(listed)
    assert set(PAGES) - {"index"} <= set(listed)


def _resolve(name: str) -> object:
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"{name} does not exist")
