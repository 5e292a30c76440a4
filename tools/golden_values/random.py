"""Random ops, from Philox4x32-10 written out here."""

import numpy as np
from golden import case

from ._data import values

MASK = 0xFFFFFFFF


def philox(key, counter):
    """Four 32-bit numbers (Salmon et al. 2011)."""
    x = [counter & MASK, counter >> 32 & MASK, counter >> 64 & MASK, 0]
    k = [key & MASK, key >> 32 & MASK]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [p1 >> 32 ^ x[1] ^ k[0], p1 & MASK, p0 >> 32 ^ x[3] ^ k[1], p0 & MASK]
        k = [k[0] + 0x9E3779B9 & MASK, k[1] + 0xBB67AE85 & MASK]
    return x


KEY, COUNTER = 0x123456789ABCDEF, 0xFFFFFFFE  # the counter's low word runs over


def blocks(shape):
    n = int(np.prod(shape))
    return [philox(KEY, COUNTER + i) for i in range(n)]


def uniform(block, first=0):
    return (block[first] << 21 | block[first + 1] >> 11) * 2.0**-53


def cases():
    rng = {"key": KEY, "counter": COUNTER}
    shape = (3, 4)
    u = np.array([uniform(b) for b in blocks(shape)]).reshape(shape)
    second = np.array([uniform(b, 2) for b in blocks(shape)]).reshape(shape)
    normal = np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * second)
    whole = np.array([b[0] << 32 | b[1] for b in blocks(shape)], dtype=object).reshape(shape)
    x = values(*shape)
    yield case("rand", [], u, size=list(shape), dtype="float64", generator=rng)
    yield case("randn", [], normal, size=list(shape), dtype="float64", generator=rng)
    yield case("rand_like", [x], u, dtype="float64", generator=rng)
    yield case("randn_like", [x], normal, dtype="float64", generator=rng)
    yield case("randint", [], (whole % 10).astype(np.int64), high=10, size=list(shape), dtype="int64", generator=rng)
    low = (whole % 7).astype(np.int64) - 3
    yield case("randint.low", [], low, low=-3, high=4, size=list(shape), dtype="int64", generator=rng)
    order = list(range(9))
    for i in range(8, 0, -1):
        b = philox(KEY, COUNTER + i)
        j = (b[0] << 32 | b[1]) % (i + 1)
        order[i], order[j] = order[j], order[i]
    yield case("randperm", [], np.array(order), n=9, dtype="int64", generator=rng)
    p = values(*shape, low=0, high=1)
    yield case("bernoulli", [p], (u < p).astype(float), generator=rng)
    yield case("dropout", [x], np.where(u < 0.25, 0, x / 0.75), p=0.25, generator=rng)
    yield case("dropout", [x], x, p=0.25, training=False, generator=rng)
    # Ops without a function: Tensor.uniform_, normal_ and bernoulli_.
    yield case("uniform", [x], u * 3 - 1, **{"from": -1.0}, to=2.0, generator=rng)
    yield case("normal", [x], 0.5 + 2 * normal, mean=0.5, std=2.0, generator=rng)
    yield case("bernoulli.p", [x], (u < 0.3).astype(float), p=0.3, generator=rng)
