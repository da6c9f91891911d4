"""Measured layer variances of an ensemble against the theory at its own width."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm, t

import meanfield as mf

Z = 5.0  # |t| of 29 degrees of freedom: 2.5e-5 a layer
FALSE_ALARM = 1e-3  # of all layers and inputs together, Šidák; layers of a network are dependent, so it is an upper bound


def dense_z(measured, activation, sigma_w, sigma_b, q, width):
    """(largest |z|, allowed): mean h² of layers of equal width, (networks, layers); q is the first one's variance.

    Mean and spread to first order in 1/width, as in `finite_width`; its index 0 is the first layer, whose rows are independent.
    """
    networks, layers = measured.shape
    band = mf.finite_width(activation, sigma_w, sigma_b, layers - 1, q=q).at(width)
    z = (measured.mean(axis=0) - band.mean["q1"]) / (band.standard_deviation["q1"] / networks**0.5)
    return float(np.abs(z).max()), float(norm.isf(0.5 * (1 - (1 - FALSE_ALARM) ** (1 / layers))))


def convolutional_z(measured, activation, sigma_w, sigma_b, q, channels):
    """(largest |z|, allowed): the same with the ensemble's own spread, and the 1/width shift of the mean as a systematic error.

    Averages over positions shift by no more than one position's, a dense layer of that many channels.
    """
    networks, layers = measured.shape
    theory = mf.finite_width(activation, sigma_w, sigma_b, layers - 1, q=q)
    error = measured.std(axis=0, ddof=1) / networks**0.5
    gap = np.abs(measured.mean(axis=0) - theory.q1) - np.abs(theory.q1_shift) / channels
    return float((gap / error).max()), float(t.isf(0.5 * (1 - (1 - FALSE_ALARM) ** (1 / layers)), networks - 1))


def check(table, squares, bias=0.0):
    """Means within Z standard errors of the plan and a relative bias, where finite width makes one; squares: (networks, layers)."""
    error = squares.std(axis=0, ddof=1) / math.sqrt(len(squares))
    gap = np.abs(squares.mean(axis=0) - table.q) - bias * table.q
    worst = int(np.argmax(gap / error))
    assert gap[worst] < Z * error[worst], (table[worst], squares.mean(axis=0)[worst], error[worst])


def image(size, channels, seed=0):
    """One image of ±1: every patch has mean square 1, so every position of the first layer has the same variance."""
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(1, size, size, channels)).astype(np.float32)
