"""The package as installed: its data files are there, and folders that can't be written are no obstacle."""

from __future__ import annotations

import ast
import os
import shutil
import stat
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import meanfield as mf

PACKAGE = Path(mf.__file__).parent
PROJECT = Path(__file__).parent.parent / "pyproject.toml"

# Permissions don't bind root; a process of root's that has dropped these two capabilities is bound like anybody.
_BOUND = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if ctypes.CDLL(None).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
        sys.exit(77)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""
# One kernel is compiled for it, and can't be kept.
_ASK = """
import sys
import meanfield as mf
print(mf.__file__)
print(round(mf.second_moment("linear", [0.5 * i for i in range(20000)])[3], 9), "numba" in sys.modules)
"""


def test_data_files_are_in_the_package() -> None:
    assert files("meanfield").joinpath("py.typed").is_file()
    templates = files("meanfield").joinpath("report", "templates")
    assert any(file.name.endswith((".html", ".j2", ".css")) for file in templates.iterdir())


@pytest.mark.skipif(not PROJECT.exists(), reason="only in a checkout")
def test_every_import_is_a_declared_dependency() -> None:
    declared = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    needed = {word.partition(">=")[0].replace("-", "_").lower() for word in declared["dependencies"]}
    extras = {"torch", "jax", "keras", "sklearn", "bokeh", "tornado"}  # tornado: Bokeh's own
    found: dict[str, str] = {}
    for file in (path for path in PACKAGE.rglob("*.py") if path.name != "conftest.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            found |= {name.partition(".")[0]: str(file) for name in names}
    outside = {name: file for name, file in found.items() if name not in sys.stdlib_module_names and name != "meanfield"}
    inherited = {"mpmath", "markupsafe"}  # SymPy's and Jinja's own, in all their releases
    assert {name: file for name, file in outside.items() if name not in needed | extras | inherited} == {}
    assert needed <= set(outside)


@pytest.mark.skipif(not PROJECT.exists(), reason="only in a checkout")
def _pins(name: str) -> dict[str, str]:
    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return {name: version.removesuffix(".0") for name, version in (line.split("==") for line in lines if not line.startswith("#"))}


def _bounds(requirements: list[str]) -> dict[str, str]:
    return {name: version.removesuffix(".0") for name, version in (line.split(">=") for line in requirements)}


def test_the_lowest_versions_that_are_tested_are_the_lower_bounds() -> None:
    declared = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = declared["optional-dependencies"]
    assert _pins("lowest.txt") == _bounds(declared["dependencies"] + extras["test"])
    mine = _bounds([line for name in ("torch", "jax", "keras", "dask", "examples") for line in extras[name]])
    own = _bounds([line for line in declared["dependencies"] if line.startswith(("numpy", "scipy"))])
    assert _pins("lowest_extras.txt") == mine | own


def _read_only_copy(tmp_path: Path) -> Path:
    """The package where nobody may write."""
    place = tmp_path / "site"
    shutil.copytree(PACKAGE, place / "meanfield", ignore=shutil.ignore_patterns("__pycache__"))
    for folder, _, names in os.walk(place):
        for path in [folder, *(os.path.join(folder, name) for name in names)]:
            writable = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
            os.chmod(path, (os.stat(path).st_mode | stat.S_IRGRP | stat.S_IROTH | (stat.S_IXOTH if os.path.isdir(path) else 0)) & ~writable)
    return place


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux permissions")
@pytest.mark.parametrize("home", ["absent", "."])
def test_a_read_only_installation_with_a_read_only_home_or_none_works(home: str, tmp_path: Path) -> None:
    place = _read_only_copy(tmp_path)
    environment = {"PATH": os.environ["PATH"], "HOME": str(place / home), "PYTHONPATH": str(place), "PYTHONWARNINGS": "error"}
    words = ["-c", _BOUND, _ASK] if os.geteuid() == 0 else ["-c", _ASK]
    try:
        done = subprocess.run([sys.executable, *words], env=environment, cwd="/", capture_output=True, text=True, timeout=240)
        if done.returncode == 77:
            pytest.skip("root's capabilities can't be dropped here")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(str(place))
        assert done.stdout.split()[1:] == ["1.5", "True"]
        assert done.stderr == ""
        assert not list(place.rglob("*.nbi"))
        assert {path.name for path in place.iterdir()} == {"meanfield"}
    finally:
        for folder, _, _ in os.walk(place):
            os.chmod(folder, 0o755)
