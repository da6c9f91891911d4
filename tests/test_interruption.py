"""Ctrl-C in the middle of a long command: status 130, one word, no traceback, and no file that is half written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

# More work than the test waits for; where the command writes a file, with one.
LONG = {
    "eoc": ["eoc", "x*sin(3*x)", "--sigma-b", "0:1:0.0001", "-o", "figure.png"],
    "phase": ["phase", "x*sin(3*x)", "--sigma-w", "0.5:3:0.003", "--sigma-b", "0:1:0.001", "-o", "figure.png"],
    "depth": ["depth", "tanh", "--sigma-b", "0:2:0.01", "--sigma-w", "1:3:0.05", "--json"],
    "check": ["check", "x*sin(exp(-x*x)*9) + x*sigmoid(x)"],
    "simulate": ["simulate", "tanh", "--networks", "100000", "--checkpoint", "done.npz", "-o", "figure.png"],
    "simulate in threads": ["simulate", "tanh", "--networks", "100000", "--jobs", "3", "--method", "weights", "-o", "figure.png"],
    "report": ["report", "silu", "-o", "page.html"],
}

# Says when the engine has been loaded and asked, which is when the signal is to come: before, Python is still starting.
_TOLD = """
import sys, threading, time
def tell():
    while not any(name.startswith('meanfield.expectation.') for name in list(sys.modules)):
        time.sleep(0.01)
    sys.stderr.write('at work\\n'); sys.stderr.flush()
threading.Thread(target=tell, daemon=True).start()
from meanfield.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", list(LONG))
def test_ctrl_c_leaves_130_and_no_half_file(command: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _TOLD, *LONG[command]],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "at work\n"
    time.sleep(0.4)
    process.send_signal(signal.SIGINT)
    try:
        try:
            out, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            # Python drops an exception that comes inside a destructor or a callback ("Exception ignored in …"): people press again.
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out == ""
    assert err.strip() == "meanfield: interrupted"
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"done.npz"}
    if left:  # a checkpoint is whole or not there
        with np.load(tmp_path / "done.npz") as kept:
            assert all(kept[name] is not None for name in kept.files)
