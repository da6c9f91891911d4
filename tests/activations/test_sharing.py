"""One activation in several threads and in other processes."""

from __future__ import annotations

import concurrent.futures
import functools
import multiprocessing
import pickle
from typing import Any

import numpy as np

import meanfield as mf


def _leaky(slope: float, x: Any) -> Any:
    return np.where(x > 0.5, x - 0.5, slope * (x - 0.5))


def _kinds() -> list[mf.Activation]:
    return [
        mf.activation("leaky_relu", negative_slope=0.3),
        mf.activation("where(x > 0.5, x - 0.5, b*(x - 0.5))", b=0.3),
        mf.activation(functools.partial(_leaky, 0.3), name="mine"),
    ]


def _numbers(act: Any) -> list[float]:
    point = mf.edge_of_chaos(act, 0.2)
    return [mf.second_moment(act, 1.7), mf.second_moment(act, 1.7, 1), mf.covariance(act, 0.9, 1.1, 0.4), point.sigma_b, str(point.status)]


def test_threads_get_the_numbers_of_one_thread() -> None:
    for alone, shared in zip(_kinds(), ("elu", "tanh(x + 0.1)*where(x > 0.3, 1, 2)", np.arctan), strict=True):
        act = mf.activation(shared)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(_numbers, [act] * 16))
        assert all(result == results[0] for result in results)
        assert _numbers(alone) == _numbers(alone)


def test_all_kinds_pickle() -> None:
    for act in _kinds():
        copy = pickle.loads(pickle.dumps(act))
        assert copy.name == act.name
        assert copy.breakpoints == act.breakpoints
        assert copy(0.7) == act(0.7)


def test_other_processes_get_the_same_numbers() -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        for act, result in zip(_kinds(), pool.map(_moment, _kinds()), strict=True):
            assert result == _moment(act)


def _moment(act: Any) -> float:
    return float(mf.second_moment(act, 1.7))
