"""Ensembles that are interrupted and go on."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.simulation import blocks as module
from meanfield.simulation import checkpoint as checkpoints
from tests.simulation.test_simulate import same

ARGUMENTS = {"sigma_w": 1.3, "sigma_b": 0.2, "width": 700, "depth": 5, "networks": 100, "seed": 4}


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupted_ensemble_ends_the_same(tmp_path, monkeypatch, interruption, n_jobs):
    path = tmp_path / "ensemble.npz"
    whole = mf.simulate("tanh", **ARGUMENTS)
    merge, calls = module.merge, []

    def interrupted(before, block):
        calls.append(1)
        if len(calls) == 4:
            raise interruption
        return merge(before, block)

    with monkeypatch.context() as patch:
        patch.setattr(module, "merge", interrupted)
        with pytest.raises(interruption):
            mf.simulate("tanh", checkpoint=path, n_jobs=n_jobs, **ARGUMENTS)
    assert [file.name for file in tmp_path.iterdir()] == ["ensemble.npz"]  # nothing half-written beside it
    drawn = []
    sample_blocks = module.sample_blocks
    monkeypatch.setattr(module, "sample_blocks", lambda ensemble, blocks: drawn.extend(blocks) or sample_blocks(ensemble, blocks))
    resumed = mf.simulate("tanh", checkpoint=path, n_jobs=n_jobs, **ARGUMENTS)
    assert min(drawn) == 3
    same(whole, resumed)
    drawn.clear()
    same(whole, mf.simulate("tanh", checkpoint=path, **ARGUMENTS))
    assert drawn == []  # all there already


def test_it_is_written_on_the_way(tmp_path, monkeypatch):
    path = tmp_path / "ensemble.npz"
    monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
    written = []
    save = checkpoints.Checkpoint.save
    monkeypatch.setattr(checkpoints.Checkpoint, "save", lambda self, done, kept: written.append(done) or save(self, done, kept))
    mf.simulate("tanh", checkpoint=path, **ARGUMENTS)
    assert written[:-1] == list(range(1, len(written)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sigma_w": 1.4}, "sigma_w was 1.3 and is 1.4"),
        ({"seed": 5}, "seed was 4 and is 5"),
        ({"networks": 101}, "networks was 100 and is 101"),
        ({"q": 2.0}, "start was"),
        ({"gradients": False}, "gradients was true and is false"),
        ({"inputs": np.ones((2, 2))}, "inputs was null"),
    ],
)
def test_a_checkpoint_of_other_arguments_is_refused(tmp_path, change, told):
    path = tmp_path / "ensemble.npz"
    mf.simulate("tanh", checkpoint=path, **ARGUMENTS)
    with pytest.raises(mf.DomainError) as error:
        mf.simulate("tanh", checkpoint=path, **{**ARGUMENTS, **change})
    assert told in str(error.value)
    with pytest.raises(mf.DomainError, match="activation was"):
        mf.simulate("relu", checkpoint=path, **ARGUMENTS)


def test_callables_of_one_name_are_told_apart(tmp_path):
    path = tmp_path / "ensemble.npz"
    slope = 1.0
    few = {**ARGUMENTS, "width": 5, "networks": 3}

    def curve(x):
        return np.tanh(slope * x)

    mf.simulate(curve, checkpoint=path, **few)
    slope = 2.0
    with pytest.raises(mf.DomainError, match="activation was"):
        mf.simulate(lambda x: np.tanh(slope * x), checkpoint=path, **few)


def test_paths_that_cannot_serve(tmp_path):
    few = {**ARGUMENTS, "width": 5, "networks": 3}
    text = tmp_path / "notes.txt"
    text.write_text("not an ensemble")
    other = tmp_path / "other.npz"
    np.savez(other, a=np.ones(3))
    for path, told in (
        (text, "holds no ensemble"),
        (other, "holds no ensemble"),
        (tmp_path, "path of a file"),
        (tmp_path / "missing" / "x.npz", "folder that exists"),
        (3.5, "path of a file"),
    ):
        with pytest.raises(mf.DomainError, match=told):
            mf.simulate("tanh", checkpoint=path, **few)
    assert text.read_text() == "not an ensemble"
