"""The examples in the docstrings here need torch: where it is missing they are skipped, and the reason is shown."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Mark this folder's items as skipped without torch."""
    import pytest

    if importlib.util.find_spec("torch") is None:
        for item in items:
            if HERE in Path(item.path).parents:
                item.add_marker(pytest.mark.skip(reason='torch is not installed: pip install ".[torch]"'))
