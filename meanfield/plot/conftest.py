"""The examples in the docstrings here draw without a window, and leave no figure open."""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ["MPLBACKEND"] = "agg"  # before anything imports Matplotlib, which reads it then


def pytest_runtest_teardown(item: Any) -> None:
    """Close what the example drew: pyplot keeps a figure until it is told to let go."""
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
