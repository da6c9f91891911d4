"""Kernels of very many inputs, written into a memory map: ``python -m tests.benchmarks.memory_map [--inputs 20000]``.

Prints wall time, processor time and the process's own memory (on Linux: resident pages that are not the map's) for 50 layers of tanh,
NNGP at equal norms and NTK at norms within a factor of 2. The map, 8 N² bytes, lies in a temporary folder and is removed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import meanfield as mf
from meanfield import layers as L
from tests.benchmarks.kernels import NORMS, data

_MEGABYTE = 1024.0  # kB, as the system counts


def own_memory() -> float:
    """Megabytes of memory that no file stands for; nan where the system doesn't tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) / _MEGABYTE for line in lines if line.startswith("RssAnon:")), float("nan"))


class Watch(threading.Thread):
    """The most of it, looked at twenty times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.done = own_memory(), threading.Event()

    def run(self) -> None:
        """Until told that it is done."""
        while not self.done.wait(0.05):
            self.most = max(self.most, own_memory())


def main(words: list[str]) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    count = parser.parse_args(words).inputs
    net = mf.Network(L.Dense(1.4, 0.1), L.Repeat(L.Sequence("tanh", L.Dense(1.4, 0.1)), 50))
    for kernel, norms in (("nngp", "equal norms"), ("ntk", "norms within a factor of 2")):
        x = data(count, NORMS[norms])
        getattr(net, kernel)(x[:200])  # kernels compiled, tables of these norms not yet
        before = own_memory()
        with tempfile.TemporaryDirectory() as folder:
            out = np.lib.format.open_memmap(Path(folder) / "kernel.npy", mode="w+", dtype=np.float64, shape=(count, count))
            watch = Watch()
            watch.start()
            wall, processor = time.perf_counter(), time.process_time()
            getattr(net, kernel)(x, out=out)
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            watch.done.set()
            some = np.array([0, count // 3, count - 1])
            alone = getattr(net, kernel)(x[some])
            apart = float(np.max(np.abs(out[np.ix_(some, some)] - alone)) / np.max(alone))
            del out
        print(
            f"{kernel}, {norms}, {count} inputs, 50 layers of tanh: {wall:.1f} s, {processor:.1f} s of processors, "
            f"{watch.most - before:.0f} MB more than before; against three inputs alone {apart:.1e}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
