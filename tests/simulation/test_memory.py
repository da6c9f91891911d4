"""Networks that no memory holds are refused before anything is drawn."""

from __future__ import annotations

import tracemalloc

import pytest

import meanfield as mf
from meanfield.simulation import memory

KINDS = [
    {"width": 100_000},
    {"width": 100_000, "gradients": False},
    {"width": 700, "method": "weights"},
    {"width": 700, "method": "weights", "weights": "orthogonal"},
]


# Explicit normal weights pass in pieces of rows whose size does not grow with the width.
@pytest.mark.parametrize(("keywords", "factor"), list(zip(KINDS, (30, 30, 10_000, 30), strict=True)))
def test_what_is_said_to_be_needed_is_needed(keywords, factor):
    """A lower bound: nothing that would run is refused; and no idle one."""
    asked = {"depth": 2, "networks": 1, "progress": False, **keywords}
    mf.simulate("tanh", 1.3, 0.2, **{**asked, "width": 3})  # loads the kernels, which is slow under a watch
    tracemalloc.start()
    ensemble = mf.simulate("tanh", 1.3, 0.2, **asked).ensemble
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / factor < memory.least_memory(ensemble) <= peak


@pytest.mark.parametrize("keywords", KINDS)
def test_more_than_there_is_is_refused(keywords, monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 20_000)
    with pytest.raises(mf.DomainError, match=f"width = {keywords['width']}: one network takes at least .* GiB"):
        mf.simulate("tanh", 1.3, 0.2, depth=2, networks=1, progress=False, **keywords)
    monkeypatch.setattr(memory, "machine_memory", lambda: None)  # a system that does not tell
    assert mf.simulate("tanh", 1.3, 0.2, depth=2, networks=1, progress=False, **keywords).depth == 2


def test_a_container_may_have_less_than_the_machine(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "LIMIT", limit)
    whole = memory.machine_memory()
    limit.write_text("max\n")
    assert memory.machine_memory() == whole
    limit.write_text("4096\n")
    assert memory.machine_memory() == 4096
