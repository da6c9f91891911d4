"""The blocks of an ensemble, drawn by any number of workers and merged in their order."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from meanfield.progress_bar import progress_bar
from meanfield.simulation.network_ensemble import NetworkEnsemble
from meanfield.simulation.statistics import merge, summarise

if TYPE_CHECKING:
    from meanfield.simulation.checkpoint import Checkpoint
    from meanfield.simulation.ensemble import Ensemble
    from meanfield.simulation.statistics import Statistics

_logger = logging.getLogger("meanfield")


def run(ensemble: Ensemble | NetworkEnsemble, n_jobs: int | None, progress: bool, checkpoint: Checkpoint | None) -> Statistics:
    """All blocks of an ensemble, merged in their order."""
    from joblib import Parallel, delayed

    done, merged = (0, None) if checkpoint is None else checkpoint.load()
    if done and checkpoint is not None:
        _logger.info("%s: goes on after %d of %d blocks of networks", checkpoint.path, done, ensemble.blocks)
    group = min(16, max(1, (ensemble.blocks - done) // 64))
    starts = range(done, ensemble.blocks, group)
    if starts:
        _logger.debug("simulating %d networks in %d blocks", ensemble.networks, ensemble.blocks)
        tasks = (delayed(sample_blocks)(ensemble, range(i, min(i + group, ensemble.blocks))) for i in starts)
        results = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(tasks)
        try:
            with _closing(results), progress_bar(progress, len(starts), "networks") as advance:
                for first, blocks in zip(starts, results, strict=True):
                    for block in blocks:
                        merged = merge(merged, block)
                    done = first + len(blocks)
                    advance()
                    if checkpoint is not None:
                        checkpoint.save_now_and_then(done, merged or {})
        finally:  # also when interrupted
            if checkpoint is not None and merged is not None:
                checkpoint.save(done, merged)
    assert merged is not None
    return merged


def sample_blocks(ensemble: Ensemble | NetworkEnsemble, blocks: Iterable[int]) -> list[Statistics]:
    """The moments of some blocks, one by one: what a worker does."""
    if isinstance(ensemble, NetworkEnsemble):
        from meanfield.simulation.network_sampler import sample as sample_network

        return [summarise(sample_network(ensemble, block)) for block in blocks]
    if ensemble.method == "conditional":
        from meanfield.simulation.conditional import sample
    else:
        from meanfield.simulation.explicit import sample

    return [summarise(sample(ensemble, block)) for block in blocks]


@contextmanager
def _closing(results: Generator[Any, None, None]) -> Iterator[None]:
    """Cancel what is still under way when the run is interrupted; joblib need not warn about that."""
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results.close()
