"""What a fresh process pays: imports, the first curve, the first formula, and the very first call with no compiled kernels."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator

from tests.benchmarks.record import Measurement
from tests.benchmarks.timing import race

SECTION = "Fresh processes, wall time"
CURVE = "import numpy as np, meanfield as mf; mf.edge_of_chaos({!r}, sigma_b=np.linspace(0, 1, 101))"


def new_formula(number: int) -> str:
    """A formula that no earlier run has seen, so that nothing can have been kept from it."""
    return f"x*sigmoid({random.SystemRandom().uniform(1.1, 1.9):.12f}*x) + 0.01*tanh({number + 2}*x)"


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Times in fresh processes, and the ratios and differences that the design sets bars for."""
    if not quick:  # what is compiled or cached once does not count
        race({"kernels": lambda _: CURVE.format("tanh"), "formulas": lambda number: CURVE.format(new_formula(number))}, repeats=1)
    seconds = race(
        {
            "python": lambda _: "pass",
            "import numpy": lambda _: "import numpy",
            "import meanfield": lambda _: "import meanfield",
            "import numba": lambda _: "import numba",
            "import numba, sympy": lambda _: "import numba, sympy",
            "first EOC curve of tanh, 101 points": lambda _: CURVE.format("tanh"),
            "first EOC curve of a new formula, 101 points": lambda number: CURVE.format(new_formula(number)),
        },
        repeats=1 if quick else 7,
    )
    for name, value in seconds.items():
        yield Measurement(SECTION, name, "fresh process", value, "s")
    ratio = seconds["import meanfield"] / seconds["import numpy"]
    yield Measurement(SECTION, "import meanfield", "over import numpy", ratio, "x", "bar 1.5")
    curve = seconds["first EOC curve of tanh, 101 points"] - seconds["import numba"]
    yield Measurement(SECTION, "first EOC curve of tanh, 101 points", "less import numba", max(curve, 0.0), "s", "bar 0.45 s")
    curve = seconds["first EOC curve of a new formula, 101 points"] - seconds["import numba, sympy"]
    note = "bar 1.0 s" if curve >= 0 else f"bar 1.0 s; {-curve:.2f} s sooner, as SymPy is not needed"
    yield Measurement(SECTION, "first EOC curve of a new formula, 101 points", "less import numba, sympy", max(curve, 0.0), "s", note)
    if quick:
        return
    with tempfile.TemporaryDirectory() as folder:
        cold = race({"cold": lambda _: CURVE.format("tanh")}, repeats=1, environment={"NUMBA_CACHE_DIR": folder})
    yield Measurement(SECTION, "the very first EOC curve", "no compiled kernels", cold["cold"], "s", "bar 20 s")
