"""``import meanfield`` is quick and every public name is there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import meanfield as mf

HEAVY = ("numpy", "scipy", "numba", "sympy", "matplotlib", "mpmath", "joblib", "torch", "jax", "keras", "rich", "typer", "jinja2")


def modules_after(statements: str) -> set[str]:
    """Top-level modules loaded in a fresh process after ``statements``."""
    code = f"{statements}\nimport json, sys\nsys.stderr.write(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stderr))


def test_import_loads_nothing_heavy():
    assert modules_after("import meanfield").isdisjoint(HEAVY)


def test_activations_alone_need_no_numba_and_no_plotting():
    loaded = modules_after("import meanfield as mf; mf.activation('tanh')(0.5)")
    assert loaded.isdisjoint({"numba", "matplotlib", "torch", "rich", "typer"})


def test_help_and_version_load_no_numpy():
    for argument in ("--help", "--version"):
        loaded = modules_after(f"from meanfield.cli import main; main(['{argument}'])")
        assert loaded.isdisjoint({"numpy", "scipy", "numba", "sympy", "matplotlib"}), argument


def test_plot_is_loaded_without_matplotlib():
    assert "matplotlib" not in modules_after("import meanfield as mf; mf.plot; mf.plot.edge_of_chaos")


@pytest.mark.parametrize("name", mf.__all__)
def test_public_name_is_there(name):
    assert getattr(mf, name) is not None
    assert name in dir(mf)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_thing"):
        mf.no_such_thing  # noqa: B018
    with pytest.raises(AttributeError, match="no_such_thing"):
        mf.plot.no_such_thing  # noqa: B018


def test_plot_function_is_callable_even_when_its_module_was_imported_first():
    loaded = modules_after("import meanfield.plot.edge_of_chaos, meanfield as mf; assert callable(mf.plot.edge_of_chaos)")
    assert "meanfield" in loaded
