"""Finite-width theory against random networks: ``python -m tests.simulation.finite_width_band``.

1. Twelve activations at four points each (ordered, edge, chaotic, near divergence), width 2000: every layer's q1, q2, c and
   log gradient within the predicted band, family-wise false-alarm rate 1e-3 over all of them.
2. tanh at widths 50, 200, 800: the 1/width shifts of the mean and the spreads, each seen at z ≥ 5 against zero before it is
   compared with the prediction. Means of K by a control variate: E[K_{l+1}] = E[F(K_l)], so that with m_1 = 0

       m_{l+1} = F'(q_l) m_l + E[F(K_l) − F(q_l) − F'(q_l)(K_l − q_l)]

   is exact at any width, and the sampled right-hand side has a spread of the size of its own mean.
"""

from __future__ import annotations

import argparse
import math
import sys
import time

import numpy as np

import meanfield as mf

ACTIVATIONS = ("tanh", "erf", "arctan", "softsign", "hardtanh", "sin", "relu", "leaky_relu", "elu", "selu", "silu", "gelu")
UNBOUNDED = ("relu", "leaky_relu", "elu", "selu", "silu", "gelu")
WIDTHS = (50, 200, 800)
SIGMA_W, SIGMA_B = 1.5, 0.3
CORRELATION = 0.9  # where the shift of K12 does not nearly vanish


def points(name):
    """(label, σ_w, σ_b): ordered, edge, chaotic, and next to where the variance diverges (σ_w = 5 for bounded φ)."""
    single = name in ("relu", "leaky_relu")  # one edge point, at σ_b = 0
    sigma_b = 0.0 if single else 0.2
    edge = float(mf.edge_of_chaos(name, sigma_b=sigma_b).sigma_w)
    found = [("ordered", 0.8 * edge, 0.2), ("edge", edge, sigma_b), ("chaotic", 1.2 * edge, 0.2)]
    if name not in UNBOUNDED:
        return [*found, ("near-divergent", 5.0, 0.2)]
    low, high = 0.1, 4.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if math.isfinite(mf.MeanField(name, middle, 0.2).q_star) else (low, middle)
    return [*found, ("near-divergent", 0.97 * low, 0.2)]


def within_band(name, sigma_w, sigma_b, width=2000, depth=15, networks=32, seed=0, false_alarm=1e-3):
    """The comparison of one ensemble with its predicted means."""
    return mf.simulate(name, sigma_w, sigma_b, width=width, depth=depth, networks=networks, seed=seed, progress=False).compare(false_alarm)


def kernels(width, networks, depth, seed, q=1.0, c=CORRELATION):
    """Samples of K = (K11, K22, K12) of tanh networks at layers 0 … depth: (networks, depth + 1, 3)."""
    rng = np.random.default_rng(seed)
    out = np.empty((networks, depth + 1, 3))
    out[:, 0] = q, q, c * q
    for layer in range(depth):
        k11, k22, k12 = out[:, layer].T[:, :, None]
        z = rng.standard_normal((2, networks, width))
        u = np.sqrt(k11) * z[0]
        v = k12 / np.sqrt(k11) * z[0] + np.sqrt(np.maximum(k22 - k12**2 / k11, 0.0)) * z[1]
        a, b = np.tanh(u), np.tanh(v)
        means = np.stack([np.mean(a * a, axis=1), np.mean(b * b, axis=1), np.mean(a * b, axis=1)], axis=1)
        out[:, layer + 1] = SIGMA_B**2 + SIGMA_W**2 * means
    return out


def through(k):
    """F of (n, 3) covariances, by the public maps."""
    net = mf.MeanField("tanh", SIGMA_W, SIGMA_B)
    c = np.clip(k[:, 2] / np.sqrt(k[:, 0] * k[:, 1]), -1.0, 1.0)
    cross = [float(mf.covariance("tanh", *row)) for row in np.stack([k[:, 0], k[:, 1], c], axis=1)]
    return np.stack([net.variance_map(k[:, 0]), net.variance_map(k[:, 1]), SIGMA_B**2 + SIGMA_W**2 * np.array(cross)], axis=1)


def slopes(k, step=1e-4):
    """∂F/∂K at one covariance, by central differences."""
    rows = np.concatenate([k + step * np.eye(3), k - step * np.eye(3)])
    image = through(rows)
    return ((image[:3] - image[3:]) / (2 * step)).T


def mean_shifts(sample):
    """m_l (not times N) and its standard error, layers 1 … depth, by the control variate."""
    networks, depth = sample.shape[0], sample.shape[1] - 1
    exact = [sample[0, 0]]
    for _ in range(depth):
        exact.append(through(exact[-1][None])[0])
    estimate, per_network = np.zeros(3), np.zeros((networks, 3))
    found = []
    for layer in range(1, depth):
        jacobian = slopes(exact[layer])
        rest = through(sample[:, layer]) - exact[layer + 1] - (sample[:, layer] - exact[layer]) @ jacobian.T
        per_network = per_network @ jacobian.T + rest
        estimate = per_network.mean(axis=0)
        found.append((estimate, per_network.std(axis=0, ddof=1) / math.sqrt(networks)))
    return found


def scaling(width, networks=400, depth=4, seed=1):
    """Rows (what, N × measured, N × standard error, predicted): mean shifts and variances of K11 and K12."""
    sample = kernels(width, networks, depth, seed)
    theory = mf.finite_width("tanh", SIGMA_W, SIGMA_B, depth, c=CORRELATION)
    rows = []
    for layer, (mean, error) in enumerate(mean_shifts(sample), start=2):
        for name, i in (("K11", 0), ("K12", 2)):
            rows.append((f"shift {name} layer {layer}", width * mean[i], width * error[i], theory.kernel_shift[layer, i]))
    for layer in range(1, depth + 1):
        for name, i in (("K11", 0), ("K12", 2)):
            deviations = (sample[:, layer, i] - sample[:, layer, i].mean()) ** 2
            error = deviations.std(ddof=1) / math.sqrt(networks)
            rows.append((f"spread {name} layer {layer}", width * deviations.mean(), width * error, theory.kernel_covariance[layer, i, i]))
    return rows


def gradient_scaling(width, networks, depth=10, seed=2):
    """The same rows for the log gradient at layer 0."""
    sim = mf.simulate("tanh", SIGMA_W, SIGMA_B, width=width, depth=depth, networks=networks, seed=seed, progress=False)
    theory = mf.finite_width("tanh", SIGMA_W, SIGMA_B, depth)
    mean, error = float(sim.log_gradient.mean[0]), float(sim.log_gradient.standard_error[0])
    shift = mean - float(theory.log_gradient[0])
    variance = error**2 * networks
    return [
        ("shift log gradient", width * shift, width * error, float(theory.log_gradient_shift[0])),
        ("spread log gradient", width * variance, width * variance * math.sqrt(2 / (networks - 1)), float(theory.log_gradient_spread[0])),
    ]


def band(activations):
    """How many ensembles of the given activations leave the predicted band."""
    ensembles = [(name, *point) for name in activations for point in points(name)]
    failed, worst = 0, (0.0, 1.0, "")
    for name, label, sigma_w, sigma_b in ensembles:
        found = within_band(name, sigma_w, sigma_b, false_alarm=1e-3 / len(ensembles))
        failed += found.consistent is not True
        worst = max(worst, (found.max_abs_z, found.threshold, f"{name} {label}"))
        judged = sum(int(mask.sum()) for mask in found.judged.values())
        of = sum(mask.size for mask in found.judged.values())
        print(
            f"{name:>12} {label:<15} σ_w = {sigma_w:.4f} σ_b = {sigma_b:.1f}: max |z| {found.max_abs_z:.2f}, "
            f"allowed {found.threshold:.2f}, {judged} of {of} judged, {'within' if found.consistent else 'OUTSIDE'}"
        )
    within = len(ensembles) - failed
    print(f"{within} of {len(ensembles)} within the band; largest |z| {worst[0]:.2f} of {worst[1]:.2f} allowed ({worst[2]})\n")
    return failed


def shifts_and_spreads(widths):
    """How many shifts and spreads are not seen, or not as predicted."""
    unseen, wrong = 0, 0
    for width in widths:
        for what, measured, error, predicted in [*scaling(width, 1000), *gradient_scaling(width, 4 * width if width > 200 else 1500)]:
            seen, off = abs(measured) / error, (measured - predicted) / error
            unseen += seen < 5
            # 48 comparisons at |z| < 4.5: false-alarm rate 3e-4. The next order is a few per 1/width of the first.
            wrong += abs(measured - predicted) > 4.5 * error + 5.0 / width * abs(predicted)
            print(
                f"N = {width:<4} {what:<22} N × measured {measured:>9.4f} ± {error:.4f}, predicted {predicted:>9.4f}; "
                f"seen at z = {seen:.1f}, off by z = {off:.1f}"
            )
    print(f"{unseen} not seen at z ≥ 5, {wrong} not as predicted")
    return unseen + wrong


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.finite_width_band", description="Finite-width theory against random networks."
    )
    parser.add_argument("--part", choices=("band", "shifts", "both"), default="both", help="what to check (%(default)s)")
    parser.add_argument("--activations", nargs="+", default=ACTIVATIONS, metavar="NAME", help=f"for the band ({' '.join(ACTIVATIONS)})")
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS, metavar="N", help=f"for the shifts ({' '.join(map(str, WIDTHS))})")
    given = parser.parse_args(arguments)
    if not set(given.activations) <= set(ACTIVATIONS):
        parser.error(f"--activations {' '.join(given.activations)}: give some of {' '.join(ACTIVATIONS)}")
    if min(given.widths) < 2:
        parser.error(f"--widths {min(given.widths)} is out of range; give 2 or more")
    start = time.perf_counter()
    failed = band(given.activations) if given.part != "shifts" else 0
    failed += shifts_and_spreads(given.widths) if given.part != "band" else 0
    print(f"{time.perf_counter() - start:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
