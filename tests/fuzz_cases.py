"""Cheap random cases, thousands a minute: parameters, numbers, grids, broken formulas and words of the command line.

Each is drawn from (seed, index) alone. An answer holds no NaN that is not announced, an error is one of ours and fits on a line,
a command ends with a status of its own and no traceback.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import shlex
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import meanfield as mf
from meanfield.cli import main
from tests.activations.random_formulas import random_formula
from tests.fuzz_tally import Tally, attempt

Draw = np.random.Generator

_NASTY = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-300, 5e-324, 1e-12, 1e12, 1e200, 1e308, math.inf, -math.inf, math.nan, 1 + 1e-15, 1 - 1e-16)
_ODD: tuple[Any, ...] = (
    None,
    "1",
    "tanh",
    b"1",
    True,
    3,
    10**400,
    -(10**30),
    1j,
    [],
    (),
    {},
    [1.0, [2.0]],
    np.array("x"),
    object,
    np.float32(0.3),
)
_ACTIVATIONS = (
    "tanh",
    "relu",
    "silu",
    "gelu",
    "erf",
    "selu",
    "hardtanh",
    "sign",
    "sin",
    "leaky_relu",
    "linear",
    "softsign",
    "x*sigmoid(1.7*x)",
)
_LETTERS = "x()+-*/^,.<>=!01239eπ \n\t\\'\"_;[]{}sincoexptanhwhereμ\x00"


def _choice(rng: Draw, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def _number(rng: Draw) -> float:
    kind = rng.random()
    if kind < 0.5:
        return float(rng.uniform(0, 3))
    if kind < 0.75:
        return float(10.0 ** rng.uniform(-8, 6))
    return float(_choice(rng, _NASTY))


def _argument(rng: Draw) -> Any:
    """A number, an array, or something that is neither."""
    kind = rng.random()
    if kind < 0.6:
        return _number(rng)
    if kind < 0.9:
        shape = _choice(rng, [(0,), (1,), (3,), (2, 2), (1, 0), ()])
        values = np.array([_number(rng) for _ in range(math.prod(shape))]).reshape(shape)
        kinds = [float, np.float32, object, complex, bool, int]
        with np.errstate(all="ignore"), contextlib.suppress(ValueError, OverflowError):
            return values.astype(_choice(rng, kinds)) if rng.random() < 0.2 and np.all(np.abs(values) < 1e6) else values
        return values
    return _choice(rng, _ODD)


def _name(rng: Draw) -> Any:
    kind = rng.random()
    if kind < 0.85:
        return _choice(rng, _ACTIVATIONS)
    if kind < 0.95:
        return _choice(rng, mf.activations())
    return _choice(rng, _ODD)


def _no_nan(answer: Any, allowed: Any = False) -> str:
    values = np.asarray(answer, dtype=float)
    return "" if not np.any(np.isnan(values) & ~np.asarray(allowed)) else f"silent nan in {answer!r:.200}"


# ---- one function for each kind of case: what is called (to be printed), the call, and what is wrong with its answer -----------


def _broken_formula(rng: Draw) -> tuple[str, Callable[[], Any], Callable[[Any], str]]:
    text = list(random_formula(rng, 3))
    for _ in range(int(rng.integers(0, 4))):
        at = int(rng.integers(len(text) + 1))
        kind = rng.random()
        if kind < 0.4 and text:
            del text[min(at, len(text) - 1)]
        elif kind < 0.8:
            text.insert(at, _choice(rng, _LETTERS))
        else:
            text[at:at] = text[: int(rng.integers(len(text) + 1))]
    formula = "".join(text)

    def call() -> Any:
        x = np.array([-1e3, -1.0, -1e-9, 0.0, 0.3, 2.0, 1e3])
        act = mf.activation(formula)
        with contextlib.suppress(mf.MeanFieldError):  # undefined there, and said so
            return act(x), act.derivative(x)

    return f"activation({formula!r})", call, lambda answer: "" if answer is None else _no_nan(answer)


def _parameters(rng: Draw) -> tuple[str, Callable[[], Any], Callable[[Any], str]]:
    name = _choice(rng, [name for name in mf.activations() if mf.activation(name).parameters])
    known = list(mf.activation(name).parameters)
    keywords = {_choice(rng, known) if rng.random() < 0.9 else "nonsense": _argument(rng) for _ in range(int(rng.integers(1, 3)))}
    q = float(10.0 ** rng.uniform(-3, 3))
    return (
        f"second_moment(activation({name!r}, **{keywords!r}), {q!r})",
        lambda: mf.second_moment(mf.activation(name, **keywords), q),
        _no_nan,
    )


def _moments(rng: Draw) -> tuple[str, Callable[[], Any], Callable[[Any], str]]:
    name, q, k = _name(rng), _argument(rng), _choice(rng, [0, 0, 0, 1, 2, 3, -1, 0.5, None])
    kind = _choice(rng, ["second_moment", "covariance", "decorrelation", "expectation"])
    if kind == "second_moment":
        return f"second_moment({name!r}, {q!r}, {k!r})", lambda: mf.second_moment(name, q, k), _no_nan
    if kind == "expectation":
        return f"expectation({name!r}, {q!r})", lambda: mf.expectation(mf.activation(name), q), _no_nan
    other = _argument(rng)
    if kind == "decorrelation":
        return f"decorrelation({name!r}, {q!r}, {other!r})", lambda: mf.decorrelation(name, q, other), _no_nan
    c = float(rng.uniform(-1, 1)) if rng.random() < 0.7 else _argument(rng)
    return f"covariance({name!r}, {q!r}, {other!r}, {c!r}, {k!r})", lambda: mf.covariance(name, q, other, c, k), _no_nan


def _network(rng: Draw) -> tuple[str, Callable[[], Any], Callable[[Any], str]]:
    name, sigma_w, sigma_b = _name(rng), _argument(rng), _argument(rng)
    told = f"MeanField({name!r}, {sigma_w!r}, {sigma_b!r})"
    what = _choice(rng, ["q_star", "chi_1", "c_star", "variance_map", "correlation_map", "propagate"])
    if what == "propagate":
        depth, q, c = _choice(rng, [0, 1, 7, 40, -1, 1.5, None]), _argument(rng), _argument(rng)

        def call() -> Any:
            path = mf.MeanField(name, sigma_w, sigma_b).propagate(depth, q=q, c=c)
            return np.concatenate([path.q1, path.q2])

        return f"{told}.propagate({depth!r}, q={q!r}, c={c!r})", call, _no_nan
    if what.endswith("_map"):
        x = _argument(rng)
        return f"{told}.{what}({x!r})", lambda: getattr(mf.MeanField(name, sigma_w, sigma_b), what)(x), _no_nan

    def ask() -> Any:
        net = mf.MeanField(name, sigma_w, sigma_b)
        return getattr(net, what), net.q_star, net.c_star_reason if what == "c_star" else ""

    # c* is nan where the variance runs away and the correlation map has no limit, and with a reason where it is the identity.
    return f"{told}.{what}", ask, lambda answer: _no_nan(answer[0], what == "c_star" and (math.isinf(answer[1]) or bool(answer[2])))


def _grid(rng: Draw) -> tuple[str, Callable[[], Any], Callable[[Any], str]]:
    name = _name(rng)
    kind = _choice(rng, ["edge_of_chaos", "phase_diagram", "edge_of_chaos_curve"])
    first, second = _argument(rng), _argument(rng)
    if kind == "phase_diagram":

        def draw() -> tuple[Any, bool]:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                made = mf.phase_diagram(name, first, second, n_jobs=1)
            for one in caught:
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
            return made, any("too many features within reach of N(0, q*)" in str(one.message) for one in caught)

        def wrong(answer: tuple[Any, bool]) -> str:
            d, told = answer
            kept = (d.q_star == 0) | ((d.phase == 0) & (d.sigma_b == 0)[:, None])  # where the map may be the identity
            lost = np.isinf(d.q_star) | (told & (d.phase == 1)) | kept
            exact = (d.q_star, d.variance_slope, d.chi_1, d.xi_q, d.xi_grad)
            shaped = all(x.shape == (d.sigma_b.size, d.sigma_w.size) for x in (*exact, d.c_star, d.phase))
            nan = next(filter(None, (*map(_no_nan, exact), *(_no_nan(x, lost) for x in (d.c_star, d.epsilon_star, d.xi_c)))), "")
            return nan if shaped else "wrong shape"

        return f"phase_diagram({name!r}, {first!r}, {second!r})", draw, wrong

    def wrong_edge(e: Any) -> str:
        none = np.asarray(e.status) == "none"
        return next(filter(None, (_no_nan(x, none) for x in (e.sigma_w, e.q, e.variance_slope))), "")

    if kind == "edge_of_chaos":
        return f"edge_of_chaos({name!r}, {first!r})", lambda: mf.edge_of_chaos(name, first), wrong_edge
    return f"edge_of_chaos_curve({name!r}, {first!r})", lambda: mf.edge_of_chaos_curve(name, first), wrong_edge


_WORDS = (
    *(
        "--sigma-b",
        "--sigma-w",
        "-p",
        "--json",
        "--csv",
        "--c0",
        "--threshold",
        "--depth",
        "--quantity",
        "--strict",
        "--q",
        "--c",
        "--seed",
    ),
    *("--method", "--weights", "--no-gradients", "-v", "--", "-h", "--bogus", "-x", "", "beta=2", "negative_slope=0.3", "alpha=nan"),
    *(
        "0",
        "0.2",
        "0,0.5",
        "0:1:0.5",
        "1:0:1",
        "0:1:0",
        "0:1",
        "a:b:c",
        "nan",
        "inf",
        "-1",
        "1e400",
        ",",
        "0,,1",
        "0:1e9:1e-9",
        "0x10",
        "١",
    ),
    *("weights", "gaussian", "chi_1", "c", "gradient", "\x00", "σ", "x" * 300, "(" * 200),
)


def _command(rng: Draw) -> tuple[str, Callable[[], Any], Callable[[Any], str]]:
    name = _choice(rng, ["eoc", "eoc", "phase", "depth", "simulate", "activations", "", "eco"])
    phi = _choice(rng, _ACTIVATIONS) if rng.random() < 0.8 else random_formula(rng, 2)
    words = [name, phi] if rng.random() < 0.9 else [name]
    small = {"phase": ["--sigma-w", "1:2:0.5", "--sigma-b", "0:1:0.5"], "eoc": ["--sigma-b", "0,0.3"], "depth": ["--sigma-b", "0.3"]}
    words += small.get(name, [])
    words += [str(_choice(rng, _WORDS)) for _ in range(int(rng.integers(0, 5)))]
    if name == "simulate":  # the last word counts: never much work
        words[1:1] = ["--width=8", "--depth=2", "--networks=3"]
    machine = rng.random() < 0.4
    words += ["--json"] if machine else []

    def call() -> Any:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(words)
        return status, out.getvalue(), err.getvalue()

    def wrong(answer: tuple[int, str, str]) -> str:
        status, out, err = answer
        if "Traceback" in err or status not in (0, 64):
            return f"status {status}, {err[:300]!r}"
        if status == 64 and name and (out or not err.startswith(("meanfield: error: ", "meanfield: warning: "))):
            return f"status 64, {out[:100]!r}, {err[:100]!r}"
        if status == 0 and machine and "-h" not in words and "--" not in words:
            try:
                json.loads(out, parse_constant=lambda word: 1 / 0)
            except (ValueError, ZeroDivisionError):
                return f"no JSON: {out[:200]!r}"
        return "" if status or out else "nothing is printed"

    return f"meanfield {shlex.join(words)}", call, wrong


KINDS = {
    "formula": _broken_formula,
    "parameters": _parameters,
    "moments": _moments,
    "network": _network,
    "grid": _grid,
    "command": _command,
}


def try_case(tally: Tally, seed: int, index: int) -> None:
    """The case of that number."""
    rng = np.random.default_rng([seed, index, 1])
    kind = list(KINDS)[index % len(KINDS)]
    told, call, wrong = KINDS[kind](rng)
    answer, _ = attempt(tally, told, kind, call)
    if answer is not None:
        fault = wrong(answer)
        if fault:
            tally.find(told, kind, fault)
