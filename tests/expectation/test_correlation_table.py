"""Building the pieces of a correlation table: side by side, and interrupted."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import meanfield as mf
from meanfield.expectation.correlation_table import CorrelationTable, Piece


def _piece() -> Piece:
    return Piece(np.array([0.0, 1.0]), np.zeros((1, 20, 25)))


def test_an_interrupt_does_not_wait_for_pieces_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def build(self: CorrelationTable, p: int) -> Piece:
        begun.append(p)
        if p == 99:  # the first: the dearest goes first
            raise KeyboardInterrupt
        time.sleep(0.02)
        return _piece()

    monkeypatch.setattr(CorrelationTable, "_build", build)
    table = CorrelationTable(mf.activation("tanh(1.25*x)"))
    with pytest.raises(KeyboardInterrupt):
        table.ensure(list(range(100)))
    assert len(begun) < 50
    monkeypatch.setattr(CorrelationTable, "_build", lambda self, p: _piece())
    table.ensure(list(range(100)))  # and what was left out is made when asked for again
    assert table.packed([99]).count.tolist() == [1]


def test_a_callable_is_asked_by_one_thread_only(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()

    def build(self: CorrelationTable, p: int) -> Piece:
        threads.add(threading.get_ident())
        return _piece()

    monkeypatch.setattr(CorrelationTable, "_build", build)
    CorrelationTable(mf.activation(lambda x: np.tanh(x))).ensure([0, 1, 2])
    assert threads == {threading.get_ident()}
