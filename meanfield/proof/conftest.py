"""The examples here need python-flint: where it is missing they are skipped, and say so."""

from __future__ import annotations

import importlib.util

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the examples of this folder."""
    if importlib.util.find_spec("flint") is None:
        for item in items:
            if "meanfield/proof" in item.nodeid:
                item.add_marker(pytest.mark.skip(reason="PROOFS ARE NOT TESTED: python-flint is not installed (extra proof)"))
