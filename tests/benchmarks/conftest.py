"""Benchmarks that are named on the command line skip where pytest-benchmark is not installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

collect_ignore_glob = ["peer_programs/*"]  # scripts for other environments: what they import is not here

if find_spec("pytest_benchmark") is None:

    @pytest.fixture
    def benchmark() -> Any:
        """Stand-in for the fixture of pytest-benchmark."""
        pytest.skip("pytest-benchmark is not installed")
