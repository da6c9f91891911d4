"""Random networks: the conditional sampler and explicit weights, beside plain loops in NumPy and torch.

``python -m tests.benchmarks.simulations FIGURE.png`` draws the cost against the width.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import meanfield as mf
from tests.benchmarks.record import Measurement
from tests.benchmarks.timing import ROOT, seconds_once

SECTION = "Random networks"
SIGMA_W, SIGMA_B = 1.3, 0.2
WIDTH, DEPTH, NETWORKS = 1000, 50, 100
WIDEST = 20_000

Job = Callable[[], Any]


def ours(width: int, depth: int, networks: int, **more: Any) -> Job:
    """One call of simulate."""
    return lambda: mf.simulate("tanh", SIGMA_W, SIGMA_B, width, depth, networks, progress=False, **more)


def numpy_loop(width: int, depth: int, networks: int) -> None:
    """What a first script does, forward, two inputs."""
    rng = np.random.default_rng(0)
    q, c = np.zeros((depth + 1, networks)), np.zeros((depth + 1, networks))
    for network in range(networks):
        h = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=width)
        for layer in range(depth + 1):
            gram = h.T @ h / width
            q[layer, network], c[layer, network] = gram[0, 0], gram[0, 1] / np.sqrt(gram[0, 0] * gram[1, 1])
            weights = rng.normal(0.0, SIGMA_W / np.sqrt(width), size=(width, width))
            h = weights @ np.tanh(h) + rng.normal(0.0, SIGMA_B, size=(width, 1))


def torch_loop(width: int, depth: int, networks: int, gradients: bool = False) -> None:
    """The same with torch modules in single precision, the gradient by autograd."""
    import torch

    for _ in range(networks):
        layers = [torch.nn.Linear(width, width) for _ in range(depth)]
        for layer in layers:
            torch.nn.init.normal_(layer.weight, 0.0, SIGMA_W / width**0.5)
            torch.nn.init.normal_(layer.bias, 0.0, SIGMA_B)
        h = torch.randn(2, width)
        passed = []
        with torch.set_grad_enabled(gradients):
            if gradients:
                h.requires_grad_(True)
            for layer in layers:
                h.retain_grad() if gradients else None
                passed.append(h)
                (h @ h.T / width).detach()
                h = layer(torch.tanh(h))
        if gradients:
            h[0].backward(torch.randn(width))
            [float((state.grad[0] ** 2).sum()) for state in passed]  # type: ignore[index]


def drawing(width: int, depth: int, networks: int) -> None:
    """Nothing but the normal numbers of explicit weights, in pieces that stay in cache, by the fastest of NumPy's generators."""
    rng = np.random.Generator(np.random.SFC64(0))
    piece = np.empty(131_072)
    for _ in range(networks * depth * width * width // piece.size):
        rng.standard_normal(out=piece)


def peak_memory(method: str, gradients: bool) -> float:
    """Peak resident memory in bytes of a fresh process that simulates one network of width 20,000, beyond that of a width of 10."""

    def peak(width: int) -> float:
        program = (
            "import meanfield as mf, pathlib\n"
            f"mf.simulate('tanh', 1.3, 0.2, {width}, 2, 1, method={method!r}, gradients={gradients}, progress=False)\n"
            "lines = pathlib.Path('/proc/self/status').read_text().splitlines()\n"
            "print(next(line.split()[1] for line in lines if line.startswith('VmHWM')))"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
        return 1024.0 * float(done.stdout)

    return peak(WIDEST) - peak(10)


def processor_seconds(job: Job, repeats: int) -> float:
    """Processor time, of all threads: what a machine that is not shared would take with one of them."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        job()
        found.append(time.process_time() - start)
    return min(found)


def best(job: Job, repeats: int) -> float:
    """The best of several runs: the machine may be shared."""
    return min(seconds_once(job) for _ in range(repeats))


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Times, ratios in one run, and memory."""
    repeats = 2 if quick else 5
    ours(10, 2, 2)()
    ours(10, 2, 2, method="weights")()
    what = f"width {WIDTH}, depth {DEPTH}, {NETWORKS} networks"
    times = {}
    for gradients, name, bar in ((False, "forward", 0.2), (True, "with gradients", 0.5)):
        for n_jobs in (1, 2):
            job = ours(WIDTH, DEPTH, NETWORKS, gradients=gradients, n_jobs=n_jobs)
            times[name, n_jobs] = best(job, repeats)
            yield Measurement(SECTION, what, f"conditional, {name}, n_jobs={n_jobs}", times[name, n_jobs], "s", f"bar {bar} s")
        spent = processor_seconds(ours(WIDTH, DEPTH, NETWORKS, gradients=gradients), repeats)
        yield Measurement(SECTION, what, f"conditional, {name}, processor time", spent, "s")
    ours_best = min(times["forward", 1], times["forward", 2])
    few = 1 if quick else 2
    numpy_seconds = seconds_once(lambda: numpy_loop(WIDTH, DEPTH, few)) * NETWORKS / few
    yield Measurement(SECTION, what, "plain NumPy loop, forward", numpy_seconds, "s", f"from {few} networks")
    yield Measurement(SECTION, what, "plain NumPy loop over conditional", numpy_seconds / ours_best, "x")
    try:
        import torch  # noqa: F401
    except ImportError:
        pass
    else:
        for gradients, name in ((False, "forward"), (True, "with gradients")):
            torch_loop(100, 2, 1, gradients)
            seconds = seconds_once(lambda gradients=gradients: torch_loop(WIDTH, DEPTH, few, gradients)) * NETWORKS / few
            note = f"single precision, from {few} networks"
            yield Measurement(SECTION, what, f"plain torch loop, {name}", seconds, "s", note)
            ratio = seconds / min(times[name, 1], times[name, 2])
            yield Measurement(SECTION, what, f"plain torch loop over conditional, {name}", ratio, "x")
    shape = (WIDTH, DEPTH, 2)
    bare = processor_seconds(lambda: drawing(*shape), repeats)
    for gradients, name, bar in ((False, "forward", 1.3), (True, "with gradients", 2.5)):
        seconds = processor_seconds(ours(*shape, method="weights", gradients=gradients), repeats)
        note = f"bar {bar}, processor time"
        yield Measurement(SECTION, "explicit weights, 2 such networks", f"{name}, over drawing the numbers", seconds / bare, "x", note)
    if not Path("/proc/self/status").exists():
        return  # no peak to read there
    for method in ("conditional", "weights"):
        for gradients in (False,) if quick else (False, True):
            megabytes = peak_memory(method, gradients) / 1e6
            how = f"{method}, {'with gradients' if gradients else 'forward'}"
            yield Measurement(SECTION, f"width {WIDEST}, depth 2: peak memory", how, megabytes, "MB", "one matrix alone: 3200 MB")


def costs() -> dict[str, tuple[list[int], list[float]]]:
    """Seconds for one network of ten layers, with gradients, by width."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for method, widths in (("conditional", (100, 316, 1000, 3162, 10_000, 31_623, 100_000)), ("weights", (100, 316, 1000, 3162, 10_000))):
        seconds = []
        for width in widths:
            networks = max(1, 200_000 // width) if method == "conditional" else max(1, 1_000_000 // width**2)
            job = ours(width, 10, networks, method=method)
            seconds.append(best(job, 3 if width < 10_000 or method == "conditional" else 1) / networks)
        found[method] = (list(widths), seconds)
    return found


def draw_costs(path: str) -> None:
    """Cost against the width, with the two powers that the theory of algorithms expects."""
    from matplotlib.figure import Figure

    found = costs()
    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    ax = figure.add_subplot()
    for (method, (widths, seconds)), marker, colour, power in zip(found.items(), "os", ("C0", "C3"), (1, 2), strict=True):
        ax.loglog(widths, seconds, marker, color=colour, label=f'method="{method}"')
        guide = seconds[-1] * (np.array(widths) / widths[-1]) ** power
        ax.loglog(widths, guide, "-", color=colour, lw=0.8, alpha=0.6, label=f"width{'²' if power == 2 else ''}")
    ax.set_xlabel("width")
    ax.set_ylabel("seconds per network of ten layers")
    ax.legend(frameon=False)
    figure.savefig(path, dpi=150)
    for method, (widths, seconds) in found.items():
        slope = np.polyfit(np.log(widths[-4:]), np.log(seconds[-4:]), 1)[0]
        print(f"{method}: {', '.join(f'{w}: {s:.2e} s' for w, s in zip(widths, seconds, strict=True))}; exponent {slope:.2f}")


if __name__ == "__main__":
    draw_costs(sys.argv[1])
