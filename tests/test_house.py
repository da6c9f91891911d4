"""The shape of the package: imports inside a room go one way, and kernels stay short."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1] / "meanfield"
LONGEST, DEEPEST = 60, 4  # lines of a kernel, without its docstring; loops, conditions and the like inside each other


def modules() -> dict[str, Path]:
    """Every module by its name."""
    found = {}
    for path in HOUSE.rglob("*.py"):
        parts = ("meanfield", *path.relative_to(HOUSE).with_suffix("").parts)
        if parts[-1] != "conftest":
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All of it that runs: functions' bodies included, what only type checkers see left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _statements(child)


def imported(tree: ast.AST, known: set[str]) -> set[str]:
    """The package's modules that a module imports, when it is loaded or later."""
    found = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in known else node.module for alias in node.names}
    return found & known


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Names that reach themselves, those of one circle together."""
    reached: dict[str, set[str]] = {}
    for name in arrows:
        waiting, seen = list(arrows[name]), set()
        while waiting:
            here = waiting.pop()
            if here not in seen:
                seen.add(here)
                waiting += arrows.get(here, ())
        reached[name] = seen
    found = {frozenset(o for o in reached[name] if name in reached.get(o, ())) for name in arrows if name in reached[name]}
    return sorted(sorted(circle) for circle in found)


def test_no_circle_inside_a_room() -> None:
    """Imports inside functions count: a circle that is put off is one all the same."""
    known = modules()
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in known.items()}
    arrows = {name: imported(tree, set(known)) - {name} for name, tree in trees.items()}
    for room in sorted({name.split(".")[1] for name in known if name.count(".") > 1}):
        inside = {name for name in known if name == f"meanfield.{room}" or name.startswith(f"meanfield.{room}.")}
        assert circles({name: arrows[name] & inside for name in inside}) == [], room


def test_circles_are_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    late = ast.parse("def f():\n    from meanfield.x import y\nif TYPE_CHECKING:\n    from meanfield.z import w")
    assert imported(late, {"meanfield.x", "meanfield.z"}) == {"meanfield.x"}


def kernels() -> list[tuple[str, ast.FunctionDef]]:
    """All functions that numba compiles."""
    found = []
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any("kernel" in ast.unparse(each) for each in node.decorator_list):
                found.append((f"{name}.{node.name}", node))
    return found


def nesting(node: ast.AST) -> int:
    """How deep loops, conditions and handlers stand inside each other; an elif stands beside its if."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        beside = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        own = isinstance(child, ast.For | ast.While | ast.If | ast.With | ast.Try) and not beside
        deepest = max(deepest, own + nesting(child))
    return deepest


@pytest.mark.parametrize(("name", "node"), kernels(), ids=lambda value: value if isinstance(value, str) else "")
def test_kernels_are_short_and_flat(name: str, node: ast.FunctionDef) -> None:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    assert (node.end_lineno or 0) - body[0].lineno + 1 <= LONGEST, name
    assert nesting(node) <= DEEPEST, name
