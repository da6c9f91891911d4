"""How well Gaussian processes with kernels of infinitely wide networks predict, and how well they know it.

    python -m tests.frameworks.gaussian_processes

Regression on scikit-learn's diabetes data (targets standardised, 5 folds) and on its digits (one-hot targets, 600 to learn from, 400 to be
told). The σ's, the noise and the length are tuned by marginal likelihood on the training part alone; the depth is given. Coverage: how many
targets lie within the central 50 and 90 % of their predictive distribution, noise included.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.model_selection import KFold

import meanfield as mf
from meanfield.frameworks.sklearn import NNGPKernel, NTKKernel

KERNELS: dict[str, Any] = {
    "NNGP tanh, 3 layers": lambda: NNGPKernel("tanh", sigma_w=1.3, sigma_b=0.2, depth=3),
    "NNGP relu, 3 layers": lambda: NNGPKernel("relu", sigma_w=1.4, sigma_b=0.1, depth=3),
    "NNGP gelu, 3 layers, scale alone tuned": lambda: ConstantKernel(1.0) * NNGPKernel(_gelu()),
    "NTK relu, 3 layers": lambda: NTKKernel("relu", sigma_w=1.4, sigma_b=0.1, depth=3),
    "Gaussian (RBF)": lambda: ConstantKernel(1.0) * RBF(3.0),
}


def _gelu() -> mf.Network:
    hidden = (layer for _ in range(3) for layer in (mf.layers.Dense(1.4, 0.1), "gelu"))
    return mf.Network(*hidden, mf.layers.Dense(1.4, 0.1))


def diabetes(make: Any) -> tuple[float, float, float]:
    """Root mean square error, and coverage of 50 and 90 %."""
    x, y = load_diabetes(return_X_y=True)
    x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
    errors, spreads = [], []
    for train, test in KFold(5, shuffle=True, random_state=0).split(x):
        model = GaussianProcessRegressor(make() + WhiteKernel(0.5), random_state=0).fit(x[train], y[train])
        mean, spread = model.predict(x[test], return_std=True)
        errors.append(y[test] - mean)
        spreads.append(spread)
    z = np.concatenate(errors) / np.concatenate(spreads)
    inside = [float(np.mean(np.abs(z) < norm.ppf(0.5 + part / 2))) for part in (0.5, 0.9)]
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2))), inside[0], inside[1]


def digits(make: Any) -> tuple[float, float]:
    """Accuracy, and how far the confidence of what is told (a softmax of means by their spread) is from how often it is right."""
    x, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x, labels = x[order] / 4.0 - 1.0, labels[order]
    train, test = slice(0, 600), slice(600, 1000)
    targets = np.eye(10)[labels[train]] - 0.1
    model = GaussianProcessRegressor(make() + WhiteKernel(0.01), random_state=0).fit(x[train], targets)
    mean, spread = model.predict(x[test], return_std=True)
    draws = mean[None] + spread[None] * np.random.default_rng(1).standard_normal((4000, *mean.shape))
    share = np.stack([(draws.argmax(2) == k).mean(0) for k in range(10)], axis=1)  # how often each class is the largest
    told, sure = mean.argmax(1), share.max(1)
    right = told == labels[test]
    edges = np.quantile(sure, np.linspace(0, 1, 9))
    bins = np.clip(np.searchsorted(edges, sure, side="right") - 1, 0, 7)
    gap = sum(abs(right[bins == k].mean() - sure[bins == k].mean()) * (bins == k).mean() for k in range(8) if (bins == k).any())
    return float(right.mean()), float(gap)


def main() -> int:
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| kernel | diabetes: RMSE | within 50 % | within 90 % | digits: right | calibration error |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, make in KERNELS.items():
        error, half, most = diabetes(make)
        right, gap = digits(make)
        print(f"| {name} | {error:.3f} | {half:.1%} | {most:.1%} | {right:.2%} | {gap:.3f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
