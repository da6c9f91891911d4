"""``import meanfield`` is quick and every public name is there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import meanfield as mf

HEAVY = ("numpy", "scipy", "numba", "sympy", "matplotlib", "mpmath", "joblib", "torch", "jax", "keras", "rich", "click", "jinja2")


def modules_after(statements: str) -> set[str]:
    """Top-level modules loaded in a fresh process after ``statements``."""
    code = f"{statements}\nimport json, sys\nsys.stderr.write(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stderr))


def test_import_loads_nothing_heavy():
    assert modules_after("import meanfield").isdisjoint(HEAVY)


def test_activations_alone_need_no_numba_and_no_plotting():
    loaded = modules_after("import meanfield as mf; mf.activation('tanh')(0.5)")
    assert loaded.isdisjoint({"numba", "matplotlib", "torch", "rich", "click"})


COMMANDS = ("eoc", "phase", "depth", "recommend", "compare", "gain", "shape", "check", "simulate", "spectrum", "prove", "network", "report")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["--version"],
        ["--show-completion", "zsh"],
        ["eco"],
        ["eoc"],
        ["eoc", "--bogus"],
        ["simulate", "tanh", "--width", "x"],
    ]
    + [[name, "--help"] for name in (*COMMANDS, "explore", "activations")],
)
def test_what_needs_no_number_loads_no_numpy(words):
    """Of others' packages click alone; of ours no theory, and no command but the one that is named."""
    code = (
        f"import sys; before = set(sys.modules); from meanfield.cli import main; main({words}); print('\\n', *(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(done.stdout.splitlines()[-1].split())
    others = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"__mp_main__"}
    assert others == {"meanfield", "click"}
    ours = {name for name in loaded if name.startswith("meanfield.") and not name.startswith("meanfield.cli")}
    assert ours <= {"meanfield._callable", "meanfield.errors"}
    if words not in ([], ["--help"]):
        commands = {name.removeprefix("meanfield.cli.") for name in loaded} & {"phase", "depth", "gain", "check", "network", "prove"}
        assert commands <= set(words)


@pytest.mark.parametrize("words", [["eoc", "tahn"], ["phase", "tahn"], ["recommend", "tahn"], ["compare", "relu", "tahn"]])
def test_a_slip_is_told_before_the_theory_is_loaded(words):
    code = f"import sys; from meanfield.cli import main; main({words}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert "did you mean" in done.stderr
    assert set(done.stdout.split()).isdisjoint({"meanfield.theory", "meanfield.expectation", "scipy", "sympy", "numba"})


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


def test_dir_is_the_public_names():
    assert sorted(mf.__all__) == dir(mf)
    assert {"frameworks", "plot", "layers"} <= set(dir(mf))
    assert not {"importlib", "_HOMES", "annotations", "TYPE_CHECKING", "Any"} & set(dir(mf))


@pytest.mark.parametrize(
    ("typed", "meant"), [("edgeofchaos", "edge_of_chaos"), ("EdgeOfChao", "EdgeOfChaos or edge_of_chaos"), ("recomend", "recommend")]
)
def test_a_name_that_is_near_is_named(typed, meant):
    with pytest.raises(AttributeError) as told:
        getattr(mf, typed)
    assert any(word in str(told.value).partition("did you mean ")[2] for word in meant.split(" or "))


def test_nothing_is_suggested_where_nothing_is_near():
    with pytest.raises(AttributeError) as told:
        mf.zzzzzz  # noqa: B018
    assert "did you mean" not in str(told.value)
    assert not hasattr(mf, "__wrapped__")


def test_signatures_are_those_of_the_functions():
    import inspect

    assert str(inspect.signature(mf.activations)).startswith("()")
    assert list(inspect.signature(mf.expectation).parameters)[:2] == ["g", "q"]
    assert list(inspect.signature(mf.plot.phase_diagram).parameters)[:3] == ["diagram", "quantity", "ax"]
