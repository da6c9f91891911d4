"""One activation asked by many threads and processes at once: the bits of a lone caller, whatever the order of the questions."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import meanfield as mf
from meanfield.activations import lookup
from meanfield.expectation import moments

_THREADS = 8


def _scalar_map(name: str, epsilon: float) -> list[float]:
    net = mf.MeanField(name, 1.7, 0.3)
    return [net.decorrelation_map(epsilon), net.correlation_slope(0.3), net.q_star, net.chi_1, net.epsilon_star]


def _fixed_points(name: str) -> list[float]:
    return [number for point in mf.MeanField(name, 1.7, 0.3).variance_fixed_points() for number in (point.value, point.slope)]


def _edge(name: str) -> list[np.ndarray]:
    edge = mf.edge_of_chaos(name, sigma_b=np.linspace(0.0, 1.5, 7))
    return [edge.sigma_w, edge.q, edge.variance_slope]


def _trajectory(name: str) -> list[np.ndarray]:
    path = mf.MeanField(name, 1.4, 0.2).propagate(30, q=(1.0, 2.5), c=0.2)
    return [path.q1, path.q2, path.epsilon, path.gradient]


def _diagram(name: str) -> list[np.ndarray]:
    diagram = mf.phase_diagram(name, np.linspace(0.5, 3.0, 9), np.linspace(0.0, 1.0, 5), n_jobs=2)
    return [diagram.q_star, diagram.epsilon_star, diagram.chi_1, diagram.xi_q, diagram.xi_grad, diagram.phase]


# Each meets another of the tables that an activation keeps: moments, Hermite series, angle profiles, the correlation table, origins.
QUESTIONS: dict[str, Callable[[str], object]] = {
    "expectation": lambda name: mf.expectation(mf.activation(name), 0.7),
    "estimate": lambda name: [mf.estimate(mf.activation(name), 3.0).value, mf.estimate(mf.activation(name), 3.0).error],
    "V, small array": lambda name: mf.second_moment(name, np.array([1e-6, 0.3, 1.0, 40.0])),
    "V, large array": lambda name: mf.second_moment(name, np.logspace(-6, 4, 2000)),
    "V'": lambda name: mf.second_moment(name, np.logspace(-2, 2, 50), derivative=1),
    "C": lambda name: [
        mf.covariance(name, 1.3, 1.3, 0.4),
        mf.covariance(name, 0.5, 2.0, -0.4),
        mf.covariance(name, 1.3, 1.3, 0.99, derivative=1),
    ],
    "D": lambda name: mf.decorrelation(name, 2.0, np.array([1e-12, 1e-3, 0.7])),
    "map": lambda name: _scalar_map(name, 1e-9),
    "fixed points": _fixed_points,
    "edge": _edge,
    "trajectory": _trajectory,
    "diagram": _diagram,
    "depth": lambda name: mf.propagation_depth(name, sigma_b=0.3, threshold=1e-3),
}


def _bits(answer: object) -> tuple[bytes, ...]:
    parts = answer if isinstance(answer, list) else [answer]
    return tuple(np.asarray(part).tobytes() for part in parts)


def _forget() -> None:
    """Every table of an activation lives as long as the activation, and that as long as the look-up or a caller holds it."""
    lookup._cache.clear()
    gc.collect()


def _serial(spec: str) -> dict[str, tuple[bytes, ...]]:
    _forget()
    return {name: _bits(question(spec)) for name, question in QUESTIONS.items()}


@pytest.mark.parametrize("spec", ["tanh", "clip(x, -1, 2) + tanh(x)/8"])
def test_eight_threads_with_different_questions_get_the_bits_of_one(spec: str) -> None:
    names = list(QUESTIONS)
    expected = _serial(spec)
    _forget()  # so that the tables are built while all eight ask
    start = threading.Barrier(_THREADS)
    wrong: list[str] = []

    def ask(thread: int) -> None:
        turn = thread if thread % 2 else 0  # half of them begin with the same question, the others with different ones
        start.wait(timeout=60)
        try:
            wrong.extend(
                f"{name} in thread {thread}" for name in names[turn:] + names[:turn] if _bits(QUESTIONS[name](spec)) != expected[name]
            )
        except BaseException as error:
            wrong.append(f"thread {thread}: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


@pytest.mark.parametrize("spec", ["tanh", "clip(x, -1, 2) + tanh(x)/8"])
@pytest.mark.parametrize("name", ["edge", "diagram", "V, large array", "trajectory"])
def test_a_table_that_grows_between_two_looks_changes_nothing(spec: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What another thread may do at the worst moment, done every time: octaves are added below, and every row moves.
    expected = _bits(QUESTIONS[name](spec))
    table = moments.moment_table(mf.activation(spec))
    kept = moments.MomentTable.packed, moments.MomentTable.snapshot
    lowest = [-60]

    def grow() -> None:
        lowest[0] = max(lowest[0] - moments.GROUP, -900)
        table.ensure(lowest[0], lowest[0])

    def packed(self: moments.MomentTable, column: int) -> object:
        answer = kept[0](self, column)
        grow()
        return answer

    def snapshot(self: moments.MomentTable) -> object:
        answer = kept[1](self)
        if sys._getframe(1).f_code.co_name != "packed":
            grow()
        return answer

    monkeypatch.setattr(moments.MomentTable, "packed", packed)
    monkeypatch.setattr(moments.MomentTable, "snapshot", snapshot)
    assert _bits(QUESTIONS[name](spec)) == expected


def _in_a_process(task: tuple[str, int]) -> dict[str, tuple[bytes, ...]]:
    spec, turn = task
    names = list(QUESTIONS)
    return {name: _bits(QUESTIONS[name](spec)) for name in names[turn:] + names[:turn]}


def test_processes_get_the_bits_of_one() -> None:
    tasks = [("tanh", 7), ("clip(x, -1, 2) + tanh(x)/8", 4)]
    # Not forked: a child of a process with threads may find a lock held for ever.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        answers = list(pool.map(_in_a_process, tasks, timeout=240))
    for (spec, _), answer in zip(tasks, answers, strict=True):
        assert answer == _serial(spec)


def test_networks_are_the_same_on_one_thread_and_on_four() -> None:
    runs = [mf.simulate("tanh", 1.4, 0.2, width=40, depth=6, networks=12, seed=3, n_jobs=jobs) for jobs in (1, 4)]
    for name in ("q1", "q2", "c", "gradient"):
        first, second = (getattr(run, name) for run in runs)
        assert first.mean.tobytes() == second.mean.tobytes()
        assert first.standard_error.tobytes() == second.standard_error.tobytes()
