"""What README, CONTRIBUTING and the pages tell to type can be typed: programs, modules, files, extras and options exist.

``meanfield …`` itself is run by test_readme and test_docs. Python blocks too.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CHECKERS = {"ruff", "mypy", "lint-imports"}
NOTEBOOKS = {"jupytext", "jupyter"}  # run by test_tutorials
SHELL = {"mkdir", "tar", "rm", "cd", "export"}
# Modules that are not ours. What runs them is installed by a line before them, or comes with Python.
MODULES = {"venv", "pip", "pytest", "sphinx", "coverage", "build"}

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="only in a checkout")


def typed() -> dict[tuple[str, ...], str]:
    """The words of each command in a shell block, with the file that has it."""
    found: dict[tuple[str, ...], str] = {}
    for file in TEXTS:
        for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                # && alone is what separates; shlex keeps quoted words whole.
                words: list[str] = []
                for word in [*shlex.split(line, comments=True), "&&"]:
                    if word != "&&":
                        words.append(word)
                    elif words:
                        found.setdefault(tuple(words), file.name)
                        words = []
    return found


@functools.cache
def extras() -> set[str]:
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"])


@functools.cache
def help_of(*program: str) -> str:
    """What `program --help` says; skips where a script needs what is not installed."""
    if program[0].endswith(".py"):
        pytest.importorskip("torch", reason='torch is not installed: pip install ".[torch]"')
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    done = subprocess.run([sys.executable, *program, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_pip(words: list[str]) -> None:
    assert words[0] in ("install", "wheel"), words
    rest = iter(words[1:])
    for word in rest:
        if word in ("-r", "--requirement", "-c", "--constraint"):
            assert (ROOT / next(rest)).is_file()
        elif word in ("-w", "--wheel-dir"):
            next(rest)
        elif local := re.fullmatch(r"(?:\.|meanfield-nets)(?:\[([\w,]+)\])?", word):
            assert set((local[1] or "").split(",")) - {""} <= extras(), word
        else:
            assert re.fullmatch(r"-e|--(no-deps|quiet)|dist/\*\.whl|[A-Za-z][\w.-]*(==[\w.+]+)?", word), word


def check(words: list[str]) -> None:
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    program, *rest = words
    if program == "meanfield" or program in CHECKERS | NOTEBOOKS | SHELL:
        return
    if program == ".":
        assert len(rest) == 1
        assert rest[0].endswith("/bin/activate")
    elif program == "pip":
        check_pip(rest)
    else:
        assert re.fullmatch(r"python3?(\.\d+)?", program), f"nobody checks {program}"
        run = rest[:2] if rest[0] == "-m" else rest[:1]
        arguments = rest[len(run) :]
        if run == ["-m", "pip"]:
            check_pip(arguments)
        elif run == ["-m", "pytest"]:
            for word in (word for word in arguments if "/" in word):
                assert list(ROOT.glob(word)), word
        elif run[0] == "-m" and run[1] in MODULES:
            pass
        else:
            assert importlib.util.find_spec(run[1]) if run[0] == "-m" else (ROOT / run[0]).is_file(), run
            for option in (word.partition("=")[0] for word in arguments if word.startswith("--")):
                # `--help` of a script that draws one picture would draw it.
                assert re.search(rf"{re.escape(option)}\b", help_of(*run)), f"{run} has no {option}"


@pytest.mark.parametrize("command", typed(), ids=" ".join)
def test_command_can_be_typed(command: tuple[str, ...]) -> None:
    check(list(command))


@pytest.mark.parametrize(
    "wrong",
    [
        "make all",
        'pip install ".[tests]"',
        "python3 -m pip install -r tests/no_such_list.txt",
        "python3 -m tests.no_such_module",
        "python3 examples/no_such_script.py",
        "python -m pytest tests/no_such_folder/test_*.py",
        "python3 -m tests.fuzz --no-such-option 1",
    ],
)
def test_what_can_not_be_typed_is_seen(wrong: str) -> None:
    with pytest.raises(AssertionError):
        check(shlex.split(wrong))
