"""Do the conditional and the explicit sampler agree in distribution?  ``python -m tests.simulation.sampler_agreement [networks]``

Kolmogorov–Smirnov tests on q1, q2, c and log gradient at several layers, and on what mixes forward and backward pass; their
number n is known beforehand, and each is rejected at 1e-4/n: one false alarm in 10⁴ runs of the whole family.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import ks_2samp

from meanfield.simulation.arguments import checked_ensemble
from meanfield.simulation.ensemble import Ensemble, Samples

FAMILY_WISE = 1e-4
ACTIVATIONS = {"tanh": (1.5, 0.3), "relu": (2**0.5, 0.1), "swish": (1.7, 0.2), "sign": (1.2, 0.3)}
WIDTHS = (2, 10, 100)
NOTHING = -1e6  # stands for 0/0 and for the logarithm of 0, as one more value


@dataclass(frozen=True)
class Compared:
    """One test."""

    what: str
    p: float


def ensemble(activation: str, sigma_w: float, sigma_b: float, widths: list[int], networks: int, method: str, **more: object) -> Ensemble:
    """One kind of networks; the methods never share random numbers."""
    arguments = {"q": (1.2, 0.7), "c": 0.4, "seed": {"conditional": 11, "weights": 12}[method], "weights": "gaussian", **more}
    return checked_ensemble(
        activation, sigma_w, sigma_b, None, None, networks, method=method, gradients=True, widths=widths,
        inputs=arguments.pop("inputs", None), backend="numpy", device=None, **arguments,
    )  # fmt: skip


def draw(given: Ensemble) -> Samples:
    """Every network by itself."""
    if given.method == "conditional":
        from meanfield.simulation.conditional import sample
    else:
        from meanfield.simulation.explicit import sample
    blocks = [sample(given, block) for block in range(given.blocks)]
    return Samples(
        np.concatenate([b.gram for b in blocks]),
        np.concatenate([b.epsilon for b in blocks]),
        np.concatenate([b.log_gradient for b in blocks]),
    )


def features(samples: Samples) -> dict[str, np.ndarray]:
    """Numbers per network: each layer's statistics, and combinations that see how forward and backward pass depend on each other."""
    depth = samples.gram.shape[1] - 1
    log_gradient = np.where(np.isfinite(samples.log_gradient), samples.log_gradient, NOTHING)
    loss = np.where(np.isnan(samples.epsilon), NOTHING, np.round(samples.epsilon, 9))  # parallel inputs: 0 up to rounding
    found = {}
    for layer in sorted({1, depth // 2, depth}):
        found[f"q1[{layer}]"] = samples.gram[:, layer, 0, 0]
        found[f"q2[{layer}]"] = samples.gram[:, layer, 1, 1]
        found[f"h1·h2[{layer}]"] = samples.gram[:, layer, 0, 1]
        found[f"1-c[{layer}]"] = loss[:, layer, 0, 1]
    for layer in sorted({0, depth // 2, depth - 1}):
        found[f"log gradient[{layer}]"] = log_gradient[:, layer]
    # The backward pass reuses the forward weights: a mistake there shows in the sum and the difference of the two logarithms.
    log_q = np.log(np.maximum(samples.gram[:, depth, 0, 0], 1e-300))
    log_q_before = np.log(np.maximum(samples.gram[:, depth - 1, 0, 0], 1e-300))
    for name, sign in (("+", 1.0), ("-", -1.0)):
        found[f"log gradient[0] {name} log q1[{depth}]"] = log_gradient[:, 0] + sign * log_q
        found[f"log gradient[{depth - 1}] {name} log q1[{depth}]/q1[{depth - 1}]"] = log_gradient[:, depth - 1] + sign * (
            log_q - log_q_before
        )
    return found


def compared(first: Samples, second: Samples, label: str) -> Iterator[Compared]:
    """The tests between two samples."""
    ours, theirs = features(first), features(second)
    for name in ours:
        yield Compared(f"{label} {name}", float(ks_2samp(ours[name], theirs[name], method="asymp").pvalue))


def agreement(networks: int, widths: tuple[int, ...] = WIDTHS, depth: int = 6) -> list[Compared]:
    """All tests of the family."""
    found: list[Compared] = []
    for name, (sigma_w, sigma_b) in ACTIVATIONS.items():
        for width in widths:
            both = [draw(ensemble(name, sigma_w, sigma_b, [width] * (depth + 1), networks, m)) for m in ("conditional", "weights")]
            found += compared(*both, f"{name}, width {width}:")
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.sampler_agreement",
        description="Do the conditional and the explicit sampler agree in distribution?",
    )
    parser.add_argument("networks", nargs="?", type=int, default=20_000, help="networks of each kind on each side (%(default)s)")
    parser.add_argument(
        "--widths", type=int, nargs="+", default=WIDTHS, metavar="N", help=f"widths to test at ({' '.join(map(str, WIDTHS))})"
    )
    parser.add_argument("--depth", type=int, default=6, metavar="L", help="layers after the first (%(default)s)")
    found = parser.parse_args()
    for name, least in (("networks", 2), ("depth", 2)):
        if getattr(found, name) < least:
            parser.error(f"{name} {getattr(found, name)} is out of range; give {least} or more")
    if min(found.widths) < 1:
        parser.error(f"--widths {min(found.widths)} is out of range; give 1 or more")
    return found


def main(networks: int, widths: tuple[int, ...] = WIDTHS, depth: int = 6) -> int:
    """Print the smallest p-values and the verdict."""
    tests = agreement(networks, widths, depth)
    level = FAMILY_WISE / len(tests)
    for test in sorted(tests, key=lambda t: t.p)[:8]:
        print(f"p = {test.p:.2e}  {test.what}")
    rejected = [t for t in tests if t.p < level]
    print(f"{len(tests)} tests, {networks} networks each side, level {level:.1e} each: {len(rejected)} rejected")
    return int(bool(rejected))


if __name__ == "__main__":
    given = _arguments()
    sys.exit(main(given.networks, tuple(given.widths), given.depth))
