"""An environment with neural-tangents and dks, for the section `peers`: ``python -m tests.benchmarks.peer_environment DIR``.

neural-tangents 0.6.5 is the last release, and needs a JAX, NumPy and SciPy of its time: hence an environment apart from ours.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

PINS = (
    "jax==0.4.26",
    "jaxlib==0.4.26",
    "numpy<2",
    "scipy<1.13",
    "neural-tangents==0.6.5",
    "dks==0.1.2",
    "absl-py",  # dks imports it and does not say so
)
PYTHON = (3, 11)


def interpreter(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def create(folder: Path, pip_options: list[str]) -> Path:
    """Make the environment and install exactly the pins; returns its Python.

    Raises
    ------
    subprocess.CalledProcessError
        If pip fails.
    """
    venv.create(folder, with_pip=True)
    python = interpreter(folder)
    subprocess.run([python, "-m", "pip", "install", *pip_options, *PINS], check=True)
    return python


def main(words: list[str]) -> int:
    """Make it and say how to use it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peer_environment", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where; an environment that is there already is brought to the pins")
    parser.add_argument("pip_options", nargs="*", metavar="-- PIP_OPTION", help="for pip install, such as --find-links=FOLDER")
    given = parser.parse_args(words)
    if sys.version_info[:2] != PYTHON:
        print(f"jaxlib 0.4.26 is tested here with Python {'.'.join(map(str, PYTHON))}; this is {sys.version.split()[0]}", file=sys.stderr)
    python = create(given.folder, given.pip_options)
    print(f"python -m tests.benchmarks peers --peer-python {python}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
