"""The programs in `peer_programs`, each in a process and, where it needs one, an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.timing import ROOT

PROGRAMS = Path(__file__).with_name("peer_programs")
VARIABLE = "MEANFIELD_PEER_PYTHON"
LIMIT = 900.0  # seconds for one program; none takes half of it on an idle machine


@dataclass(frozen=True)
class Program:
    """A way to do the work.

    Attributes
    ----------
    name : str
        For people.
    file : Path
        The script.
    module : str
        What its Python must be able to import; "" for one that runs in this environment.
    start, first : str
        Python code of a fresh process: the import alone, and with one V and one C of tanh; "" where that says nothing.
    """

    name: str
    file: Path
    module: str = ""
    start: str = ""
    first: str = ""


_SCIPY = "from scipy.integrate import quad, dblquad"
_NEURAL_TANGENTS = "from neural_tangents import stax"
_DKS = "from dks.base.activation_transform import _calc_c_map, _estimate_gaussian_mean"

PEERS = (
    Program(
        "meanfield",
        PROGRAMS / "meanfield_tasks.py",
        start="import meanfield as mf",
        first="import meanfield as mf; mf.second_moment('tanh', 1.0); mf.covariance('tanh', 1.0, 1.0, 0.5)",
    ),
    Program("NumPy", PROGRAMS / "numpy_tasks.py", start="import numpy as np; from scipy.special import roots_hermitenorm"),
    Program(
        "SciPy quad",
        PROGRAMS / "scipy_tasks.py",
        start=_SCIPY,
        first=f"{_SCIPY}; from math import exp, tanh, pi, inf; quad(lambda z: tanh(z)**2*exp(-z*z/2), -inf, inf); "
        "dblquad(lambda y, x: tanh(x)*tanh(.5*x + .75**.5*y)*exp(-(x*x + y*y)/2), -10, 10, -10, 10)",
    ),
    Program(
        "neural-tangents",
        PROGRAMS / "neural_tangents_tasks.py",
        "neural_tangents",
        start=_NEURAL_TANGENTS,
        first="import jax; jax.config.update('jax_enable_x64', True); import jax.numpy as jnp; "
        f"{_NEURAL_TANGENTS}; layer = stax.ElementwiseNumerical(jnp.tanh, 25, lambda x: 1 - jnp.tanh(x)**2); "
        "kernel = stax.serial(stax.Dense(1), layer)[2]; "
        "kernel(jnp.array([[1.0, 0.0]]), jnp.array([[0.5, 0.75**0.5]]), 'nngp').block_until_ready()",
    ),
    Program(
        "dks",
        PROGRAMS / "dks_tasks.py",
        "dks.base",
        start=_DKS,
        first=f"{_DKS}; import numpy as np; _estimate_gaussian_mean(lambda x: np.tanh(x)**2); _calc_c_map(np.tanh, 0, 0.5)",
    ),
)


class Skipped(Exception):
    """A program can't be run here; the message says why."""


@dataclass(frozen=True)
class Answers:
    """What a program said."""

    versions: dict[str, str]
    answers: list[dict[str, Any]] = field(default_factory=list)


def candidates(given: Sequence[Path], environment: Mapping[str, str] = os.environ) -> list[Path]:
    """The interpreters to try, in order: those named on the command line, else those of the environment variable."""
    if given:
        return list(given)
    return [Path(part) for part in environment.get(VARIABLE, "").split(os.pathsep) if part]


def surroundings(ours: bool) -> dict[str, str]:
    """The variables of a program's process: ours finds this checkout, a peer's own environment must not."""
    variables = dict(os.environ)
    variables["PYTHONPATH"] = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part) if ours else ""
    variables["TF_CPP_MIN_LOG_LEVEL"] = "3"  # dks and neural-tangents import TensorFlow, which talks
    return variables


def _reason(error: Exception) -> str:
    """Without the path, as reasons are kept in a file that goes to other machines."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def interpreter(program: Program, pythons: Sequence[Path]) -> Path:
    """The first interpreter that has the module.

    Raises
    ------
    Skipped
        If none has it.
    """
    if not program.module:
        return Path(sys.executable)
    if not pythons:
        raise Skipped(f"no interpreter named: --peer-python PATH or {VARIABLE}")
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({program.module!r}) is None)"
    for python in pythons:
        try:
            done = subprocess.run([python, "-c", look], capture_output=True, env=surroundings(False), timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Skipped(f"the Python that was named does not run: {_reason(error)}") from error
        if done.returncode == 0:
            return python
    raise Skipped(f"{program.module} is not in the {len(pythons)} environment{'s' * (len(pythons) > 1)} named")


def ask(program: Program, python: Path, questions: list[dict[str, Any]], *, limit: float = LIMIT) -> Answers:
    """Run the program and read what it says.

    Raises
    ------
    Skipped
        If it fails, takes too long, or answers something else than it was asked.
    """
    with tempfile.TemporaryFile("w+") as messages:  # a pipe that nobody reads would fill up
        try:
            done = subprocess.run(
                [python, str(program.file)],
                input=json.dumps({"questions": questions}),
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
                cwd=program.file.parent,
                env=surroundings(not program.module),
                timeout=limit,
                check=False,
            )
        except OSError as error:
            raise Skipped(f"the Python that was named does not run: {_reason(error)}") from error
        except subprocess.TimeoutExpired as error:
            raise Skipped(f"not done within {limit:g} s") from error
        messages.seek(0)
        last = messages.read().strip().rpartition("\n")[2]
    if done.returncode:
        raise Skipped(f"exit status {done.returncode}: {last}")
    return read_answers(done.stdout, len(questions))


def read_answers(text: str, count: int) -> Answers:
    """Check what a program wrote.

    Raises
    ------
    Skipped
        If that is not one JSON object with `count` answers.
    """
    try:
        said = json.loads(text)
        answers = Answers({str(name): str(version) for name, version in said["versions"].items()}, list(said["answers"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Skipped(f"wrote something else than answers: {text[:80]!r}") from error
    if len(answers.answers) != count:
        raise Skipped(f"{len(answers.answers)} answers to {count} questions")
    for answer in answers.answers:
        if not isinstance(answer, dict) or ("skipped" not in answer and not {"values", "first", "again", "how", "note"} <= answer.keys()):
            raise Skipped(f"an answer that can't be read: {str(answer)[:80]}")
    return answers
