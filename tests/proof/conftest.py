"""Proofs need python-flint: where it is missing these tests are skipped, and say so."""

from __future__ import annotations

import importlib.util

import pytest

MISSING = importlib.util.find_spec("flint") is None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if MISSING and "tests/proof" in item.nodeid and "without_flint" not in item.nodeid:
            item.add_marker(pytest.mark.skip(reason="PROOFS ARE NOT TESTED: python-flint is not installed (extra proof)"))
