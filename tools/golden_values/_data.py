"""Inputs of the cases: few digits, so that they are the same numbers in float32."""

import numpy as np

_rng = None


def restart():
    """From here on the same numbers again."""
    global _rng
    _rng = np.random.default_rng(20240)


def values(*shape, low=-3.0, high=3.0):
    """Random numbers with 12 bits after the point."""
    return np.round(_rng.uniform(low, high, shape) * 4096) / 4096


def integers(*shape, low=-9, high=9):
    return _rng.integers(low, high, shape)


def complexes(*shape):
    return values(*shape) + 1j * values(*shape)


def masks(*shape):
    return _rng.integers(0, 2, shape).astype(bool)


def permuted(*shape):
    """Distinct numbers in random order."""
    n = int(np.prod(shape))
    return (_rng.permutation(n) - n / 2 + 0.25).reshape(shape)
