"""Line coverage of the package: ``python -m tests.coverage``, about ten minutes on two cores.

Two halves of the tests run side by side and are counted together; the command fails where a test fails or fewer than 95% of the
lines ran. What stands after it goes to ``coverage report``: ``-m`` names the lines that no test reaches.

Coverage sees Python only. The compiled kernels count all the same, as `test_kernels_in_python.py` runs their source as Python.
With NUMBA_DISABLE_JIT=1 everything else would run that way too, for hours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
HALF = (
    "tests/activations",
    "tests/cli",
    "tests/expectation",
    "tests/frameworks",
    "tests/plot",
    "tests/report",
    "tests/test_kernels_in_python.py",
)
# Documentation, examples and the installation: they run the package in processes of their own, or what other tests run too.
UNCOUNTED = (
    "tests/benchmarks",
    "tests/test_docs.py",
    "tests/test_docs_gallery.py",
    "tests/test_gallery.py",
    "tests/test_installation.py",
    "tests/test_interruption.py",
    "tests/test_readme.py",
    "tests/test_training_examples.py",
)
# Code for a framework that is not installed can't run, nor what only JAX and Keras need.
FRAMEWORKS = {"torch": ["torch/*"], "jax": ["jax/*"], "keras": ["keras/*"]}
JAX_OR_KERAS = ["distributions.py", "initial_law.py", "kernel_axes.py", "same_function.py", "starting_point.py", "weight_layer.py"]


def main(arguments: list[str]) -> int:
    """Run, combine, report; the exit status."""
    if find_spec("coverage") is None:
        print("coverage is not installed: python3 -m pip install coverage", file=sys.stderr)
        return 2
    absent = [name for name in FRAMEWORKS if find_spec(name) is None]
    unable = [path for name in absent for path in FRAMEWORKS[name]] + (JAX_OR_KERAS if {"jax", "keras"} <= set(absent) else [])
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "COVERAGE_FILE": str(Path(folder, "data")), "OMP_NUM_THREADS": "1"}
        rest = [f"--ignore={path}" for path in (*HALF, *UNCOUNTED)]
        halves = [_tests(list(HALF), environment), _tests(["tests", "meanfield", *rest], environment)]
        outputs = [half.communicate()[0] for half in halves]
        for half, output in zip(halves, outputs, strict=True):
            print("\n".join(output.splitlines()[-1 if half.returncode == 0 else -60 :]))
        _coverage(["combine", "--quiet"], environment)
        omitted = [f"--omit={','.join(f'meanfield/frameworks/{path}' for path in unable)}"] if absent else []
        if absent:
            print(f"not counted, as the framework is not installed: {', '.join(absent)}")
        report = _coverage(["report", *omitted, *arguments], environment)
    return max(report, *(abs(half.returncode) for half in halves))


def _tests(paths: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q", "-p", "no:xdist", *paths]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _coverage(arguments: list[str], environment: dict[str, str]) -> int:
    return subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
