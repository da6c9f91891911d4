"""What every test runs under: a place for compiled kernels that outlives the run, and no window."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest


def _cache_folder() -> str:
    """A folder of our own: compiled code is loaded from it, so nobody else may have put it there."""
    owner = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"meanfield-test-kernels-{owner}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    ours = not folder.is_symlink() and (os.name == "nt" or (status.st_uid == owner and status.st_mode & 0o077 == 0))
    return str(folder) if ours else tempfile.mkdtemp(prefix="meanfield-test-kernels-")


# Before anything imports numba, which reads it then.
os.environ.setdefault("NUMBA_CACHE_DIR", _cache_folder())
os.environ["MPLBACKEND"] = "agg"


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by their number: written out they are no name, and a packed file's bytes may hold the time of day.

    Workers that collect a second apart would then have tests of different names, and the run ends before its first test.
    """
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def _no_figure_left_open():
    """A test that leaves a pyplot figure open would count towards Matplotlib's warning in another one."""
    import sys

    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
