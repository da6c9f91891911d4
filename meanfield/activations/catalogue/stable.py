"""Building blocks that neither overflow nor cancel, accurate to a few units in the last place."""

from __future__ import annotations

import numpy as np

from meanfield.activations.activation import Array


def sigmoid(x: Array) -> Array:
    """1/(1 + exp(−x)), relatively accurate in both tails."""
    t = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, t) / (1.0 + t)


def sigmoid_slope(x: Array) -> Array:
    """The derivative of the sigmoid, s(x) s(−x)."""
    t = np.exp(-np.abs(x))
    return t / (1.0 + t) ** 2


def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def sech_squared(x: Array) -> Array:
    """1/cosh(x)²; 1 − tanh(x)² would cancel."""
    t = np.exp(-2.0 * np.abs(x))
    return 4.0 * t / (1.0 + t) ** 2


def tanh_deficit(x: Array) -> Array:
    """x − tanh(x), by the continued fraction of tanh near 0, where the difference would cancel."""
    inside = np.abs(x) < 1.0
    z = np.where(inside, x, 0.0)
    square = z * z
    tail = np.full_like(square, 23.0)
    for odd in (21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0):
        tail = odd + square / tail
    c = square / tail
    return np.where(inside, z * (c / (1.0 + c)), x - np.tanh(x))


def exp_minus_square(x: Array) -> Array:
    """exp(−x²), with x² split so that its rounding is not magnified by the exponential."""
    z = np.clip(x, -30.0, 30.0)
    head = np.rint(z * 64.0) / 64.0
    tail = z - head
    return np.exp(-head * head) * np.exp(-tail * (z + head))


def normal_density(x: Array) -> Array:
    """exp(−x²/2)/√(2π)."""
    z = np.clip(x, -40.0, 40.0)
    head = np.rint(z * 64.0) / 64.0
    tail = z - head
    scale = 0.3989422804014327  # 1/√(2π)
    return scale * np.exp(-0.5 * head * head) * np.exp(-0.5 * tail * (z + head))


def normal_cdf(x: Array) -> Array:
    """The standard normal distribution function, relatively accurate in the lower tail."""
    from scipy.special import erfcx, ndtr

    below = x < -1.0
    z = np.where(below, x, -1.0)
    tail = 1.2533141373155003 * normal_density(z) * erfcx(-0.7071067811865476 * z)  # √(π/2)
    result: Array = np.where(below, tail, ndtr(x))
    return result
