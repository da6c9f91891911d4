"""What every program here does: read questions from stdin as JSON, answer and time them, write JSON to stdout.

A question is ``{"kind", "activation", "timed", "checked"}``; the method that has the name of the kind says what `timed` and `checked` hold.
An answer is ``{"values", "first", "again", "how", "note"}``: values at the checked arguments, seconds of the first call on the
timed arguments (tables and compilation included) and of the best later one. Or, where there is none, ``{"skipped": reason}``.

Imports NumPy only, so that it runs in any environment.
"""

from __future__ import annotations

import json
import math
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Moment = Callable[[Array], Array]
Covariance = Callable[[Array, Array], Array]
Cells = tuple[Array, Array, Array]

KINDS = ("moment", "slope_moment", "covariance", "trajectory", "edge", "diagram")
ENOUGH = 0.5  # seconds of repeats
LONG = 8.0  # a first call of so many seconds is the only one


class Unable(Exception):
    """The program has no way to this answer; the message says why."""


def seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """Of the first call, and of the best later one."""
    start = time.perf_counter()
    function()
    first = time.perf_counter() - start
    if first > LONG:
        return first, first
    best, spent, calls = math.inf, 0.0, 0
    while calls < 3 or (spent < ENOUGH and calls < 2000):
        start = time.perf_counter()
        function()
        once = time.perf_counter() - start
        best, spent, calls = min(best, once), spent + once, calls + 1
    return first, best


class ByArrays:
    """A method that answers arrays of questions at once; override what it does in a better way."""

    name: str
    note = ""

    def versions(self) -> dict[str, str]:
        """Of what it is made of."""
        raise NotImplementedError

    def how(self, activation: str, kind: str) -> str:
        """By which means, in two or three words."""
        raise NotImplementedError

    def moment_of(self, activation: str, order: int) -> Moment:
        """E[φ⁽ᵏ⁾(√q Z)²] as a function of an array of q."""
        raise NotImplementedError

    def covariance_of(self, activation: str) -> Covariance:
        """E[φ(u)φ(v)] at variances q and correlations c, element by element."""
        raise NotImplementedError

    # The six kinds: each returns (values, first, again).

    def moment(self, activation: str, timed: dict[str, Any], checked: list[float], order: int = 0) -> tuple[Any, float, float]:
        """V at `timed` = {low, high, count} in equal ratios; checked at a list of q."""
        q = np.geomspace(timed["low"], timed["high"], timed["count"])
        function = self.moment_of(activation, order)
        first, again = seconds(lambda: function(q))
        return function(np.array(checked)), first, again

    def slope_moment(self, activation: str, timed: dict[str, Any], checked: list[float]) -> tuple[Any, float, float]:
        """The same of φ'."""
        return self.moment(activation, timed, checked, 1)

    def covariance(self, activation: str, timed: dict[str, Any], checked: list[list[float]]) -> tuple[Any, float, float]:
        """C at `timed` = {q, count}, c from −1 to 1; checked at a list of [q, c]."""
        c = np.linspace(-1, 1, timed["count"])
        q = np.full(c.shape, timed["q"])
        function = self.covariance_of(activation)
        first, again = seconds(lambda: function(q, c))
        q_checked, c_checked = np.array(checked).T
        return function(q_checked, c_checked), first, again

    def trajectory(self, activation: str, timed: dict[str, Any], checked: list[int]) -> tuple[Any, float, float]:
        """1 − c after each of `timed["depth"]` layers from {sigma_w, sigma_b, q, c}; checked after some of them."""
        function = self.trajectory_of(activation, **timed)
        first, again = seconds(function)
        return function()[np.array(checked)], first, again

    def edge(self, activation: str, timed: dict[str, Any], checked: list[float]) -> tuple[Any, float, float]:
        """σ_w of the edge of chaos at `timed["count"]` σ_b from 0 to 1; checked at a list of σ_b."""
        grid = np.linspace(0, 1, timed["count"])
        function = self.edge_of(activation)
        first, again = seconds(lambda: function(grid))
        return function(np.array(checked)), first, again

    def diagram(self, activation: str, timed: dict[str, Any], checked: list[list[float]]) -> tuple[Any, float, float]:
        """[q*, χ₁, c*] on `timed["side"]`² cells, σ_w from 0.5 to 3 and σ_b from 0.05 to 1; checked at a list of [σ_w, σ_b]."""
        sigma_w, sigma_b = np.linspace(0.5, 3, timed["side"]), np.linspace(0.05, 1, timed["side"])
        function = self.diagram_of(activation)
        first, again = seconds(lambda: function(sigma_w, sigma_b))
        w, b = (sorted({cell[i] for cell in checked}) for i in (0, 1))
        found = np.stack(function(np.array(w), np.array(b)))
        return [found[:, b.index(cell[1]), w.index(cell[0])].tolist() for cell in checked], first, again

    # What follows needs V, V' and C only: what one writes who has a package for these and wants more.

    def trajectory_of(self, activation: str, *, sigma_w: float, sigma_b: float, q: float, c: float, depth: int) -> Callable[[], Array]:
        """The recursion of c with q held, normalised by the method's own F(q)."""
        second, both = self.moment_of(activation, 0), self.covariance_of(activation)
        at = np.array([q])

        def run() -> Array:
            after = sigma_b**2 + sigma_w**2 * second(at)
            correlations = [np.array([c])]
            for _ in range(depth):
                correlations.append((sigma_b**2 + sigma_w**2 * both(at, np.clip(correlations[-1], -1, 1))) / after)
            return 1 - np.concatenate(correlations)

        return run

    def edge_of(self, activation: str) -> Callable[[Array], Array]:
        """Bisection in log q for q − V/V' = σ_b², all σ_b at once; then σ_w = 1/√V'."""
        second, slope = self.moment_of(activation, 0), self.moment_of(activation, 1)

        def run(sigma_b: Array) -> Array:
            low, high = np.full(sigma_b.shape, math.log(1e-8)), np.full(sigma_b.shape, math.log(1e4))
            for _ in range(50):
                middle = 0.5 * (low + high)
                q = np.exp(middle)
                above = q - second(q) / slope(q) > sigma_b**2
                low, high = np.where(above, low, middle), np.where(above, middle, high)
            return 1 / np.sqrt(slope(np.exp(0.5 * (low + high))))

        return run

    def diagram_of(self, activation: str) -> Callable[[Array, Array], Cells]:
        """q* by iteration from 1, χ₁ = σ_w² V'(q*), c* by bisection where χ₁ > 1."""
        second, slope, both = self.moment_of(activation, 0), self.moment_of(activation, 1), self.covariance_of(activation)

        def run(sigma_w: Array, sigma_b: Array) -> Cells:
            bias, weight = (x.ravel() ** 2 for x in np.meshgrid(sigma_b, sigma_w, indexing="ij"))
            q = np.ones_like(weight)
            for _ in range(500):
                before, q = q, bias + weight * second(q)
                if np.max(np.abs(q - before) / q) < 1e-13:
                    break
            chi = weight * slope(q)
            chaotic = chi > 1
            q_there, bias_there, weight_there = q[chaotic], bias[chaotic], weight[chaotic]
            low, high = np.zeros_like(q_there), np.ones_like(q_there)
            for _ in range(45):
                middle = 0.5 * (low + high)
                above = (bias_there + weight_there * both(q_there, middle)) / q_there < middle
                low, high = np.where(above, low, middle), np.where(above, middle, high)
            c = np.ones_like(q)
            c[chaotic] = 0.5 * (low + high)
            shape = sigma_b.size, sigma_w.size
            return q.reshape(shape), chi.reshape(shape), c.reshape(shape)

        return run


class ByScalars(ByArrays):
    """A method that answers one question at a time: timed over what is checked, and scaled to as many as are timed."""

    def scaled(self, function: Callable[[Any], Any], checked: list[Any], count: int) -> tuple[Any, float, float]:
        """Each checked value, again and again if that is quick."""
        function(checked[0])  # modules and rules that are loaded on first use
        best, begin = math.inf, time.perf_counter()
        while True:
            start = time.perf_counter()
            values = [function(argument) for argument in checked]
            best = min(best, time.perf_counter() - start)
            if time.perf_counter() - begin > ENOUGH:
                break
        spent = best / len(checked) * count
        self.note = f"time scaled from {len(checked)} of {count}"
        return values, spent, spent

    def second_moment(self, activation: str, q: float, order: int) -> float:
        """E[φ⁽ᵏ⁾(√q Z)²]."""
        raise NotImplementedError

    def mixed_moment(self, activation: str, q: float, c: float) -> float:
        """E[φ(u)φ(v)]."""
        raise NotImplementedError

    def moment(self, activation: str, timed: dict[str, Any], checked: list[float], order: int = 0) -> tuple[Any, float, float]:
        return self.scaled(lambda q: self.second_moment(activation, q, order), checked, timed["count"])

    def covariance(self, activation: str, timed: dict[str, Any], checked: list[list[float]]) -> tuple[Any, float, float]:
        return self.scaled(lambda at: self.mixed_moment(activation, *at), checked, timed["count"])

    def trajectory(self, activation: str, timed: dict[str, Any], checked: list[int]) -> tuple[Any, float, float]:
        depth = min(timed["depth"], 5)
        q, weight, bias, c = timed["q"], timed["sigma_w"] ** 2, timed["sigma_b"] ** 2, timed["c"]
        losses = []
        start = time.perf_counter()
        after = bias + weight * self.second_moment(activation, q, 0)
        for _ in range(depth):
            c = min((bias + weight * self.mixed_moment(activation, q, c)) / after, 1.0)
            losses.append(1 - c)
        spent = (time.perf_counter() - start) / depth * timed["depth"]
        self.note = f"time scaled from {depth} of {timed['depth']} layers; error up to layer {depth}"
        return [losses[layer - 1] if layer <= depth else None for layer in checked], spent, spent

    def edge(self, activation: str, timed: dict[str, Any], checked: list[float]) -> tuple[Any, float, float]:
        from scipy.optimize import brentq

        def sigma_w(sigma_b: float) -> float:
            def excess(log_q: float) -> float:
                q = math.exp(log_q)
                return q - self.second_moment(activation, q, 0) / self.second_moment(activation, q, 1) - sigma_b**2

            q = math.exp(brentq(excess, math.log(1e-4), math.log(1e3), xtol=1e-12))
            return 1 / math.sqrt(self.second_moment(activation, q, 1))

        return self.scaled(sigma_w, checked, timed["count"])

    def diagram(self, activation: str, timed: dict[str, Any], checked: list[list[float]]) -> tuple[Any, float, float]:
        from scipy.optimize import brentq

        def cell(at: list[float]) -> list[float]:
            weight, bias = at[0] ** 2, at[1] ** 2
            q = 1.0
            for _ in range(500):
                before, q = q, bias + weight * self.second_moment(activation, q, 0)
                if abs(q - before) <= 1e-13 * q:
                    break
            chi = weight * self.second_moment(activation, q, 1)
            if chi <= 1:
                return [q, chi, 1.0]
            c = brentq(lambda c: (bias + weight * self.mixed_moment(activation, q, c)) / q - c, 0.0, 0.999, xtol=1e-10)
            return [q, chi, c]

        return self.scaled(cell, checked, timed["side"] ** 2)


def _answer(method: ByArrays, question: dict[str, Any]) -> dict[str, Any]:
    method.note = ""
    try:
        if question["kind"] not in KINDS:
            raise Unable(f"no such kind of question: {question['kind']}")
        values, first, again = getattr(method, question["kind"])(question["activation"], question["timed"], question["checked"])
    except Unable as reason:
        return {"skipped": str(reason)}
    except Exception as error:
        traceback.print_exc()
        return {"skipped": f"{type(error).__name__}: {error}"}
    how = method.how(question["activation"], question["kind"])
    return {"values": _plain(values), "first": first, "again": again, "how": how, "note": method.note}


def _plain(values: Any) -> Any:
    """Nested lists of floats; None where a number is not finite, as JSON has no other word for it."""
    if isinstance(values, (list, tuple, np.ndarray)):
        return [_plain(value) for value in values]
    return None if values is None or not math.isfinite(values) else float(values)


def main(method: ByArrays) -> None:
    """Answer all questions on stdin; whatever libraries print goes to stderr."""
    output, sys.stdout = sys.stdout, sys.stderr
    warnings.simplefilter("ignore")  # the errors stand in the table
    np.seterr(all="ignore")
    questions = json.load(sys.stdin)["questions"]
    answers = []
    for number, question in enumerate(questions, 1):
        print(f"{method.name}: {number} of {len(questions)}", flush=True)
        answers.append(_answer(method, question))
    json.dump({"name": method.name, "versions": method.versions(), "answers": answers}, output)
