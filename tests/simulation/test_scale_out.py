"""One ensemble on a cluster of two worker processes, one of which is killed on the way."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import warnings

import joblib
import pytest

import meanfield as mf
from tests.simulation.test_simulate import same

ARGUMENTS = {"sigma_w": 1.3, "sigma_b": 0.2, "width": 400, "depth": 20, "networks": 1000, "seed": 4, "progress": False}


@pytest.fixture
def client():
    """Two worker processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed: ensembles on a cluster go untested")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ports and dashboards
        import dask

        settings = {"distributed.worker.daemon": False, "distributed.comm.timeouts.connect": "30s"}
        with (
            dask.config.set(settings),
            distributed.LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


def test_a_cluster_gives_the_same_numbers_even_when_a_worker_is_killed(client):
    alone = mf.simulate("tanh", **ARGUMENTS)
    workers = client.run(os.getpid)
    assert len(workers) == 2
    assert os.getpid() not in workers.values()
    victim = next(iter(workers.values()))

    def kill():
        time.sleep(0.3)
        os.kill(victim, signal.SIGKILL)

    with joblib.parallel_config(backend="dask"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(alone, mf.simulate("tanh", **ARGUMENTS))
        killer = threading.Thread(target=kill)
        killer.start()
        while_killed = mf.simulate("tanh", **ARGUMENTS)
        assert not killer.is_alive()  # so it came in the middle
        killer.join()
    same(alone, while_killed)
    assert victim not in client.run(os.getpid).values()
