"""The page itself needs Bokeh at import, and is not collected where it is missing; tests/explore skips with the reason."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("bokeh") else ["page.py"]
