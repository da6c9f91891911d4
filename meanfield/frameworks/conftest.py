"""Modules that need a framework at import are not collected where it is missing; tests/frameworks skips with the reason."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("sklearn") else ["sklearn.py"]
