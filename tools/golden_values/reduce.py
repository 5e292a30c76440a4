"""Reductions over dims, and scans along one."""

import numpy as np
from golden import case
from scipy import special

from ._data import complexes, integers, masks, permuted, values


def cases():
    x, i, m, z = values(2, 3, 5), integers(3, 4), masks(3, 4), complexes(3, 4)
    for name, f in [("sum", np.sum), ("mean", np.mean), ("prod", np.prod), ("amax", np.max), ("amin", np.min)]:
        yield case(name, [x], f(x))
        yield case(name, [x], f(x, axis=1), dim=[1])
        yield case(name, [x], f(x, axis=(0, 2), keepdims=True), dim=[0, -1], keepdim=True)
    for name, f in [("sum", np.sum), ("mean", np.mean), ("prod", np.prod)]:
        yield case(name, [i], f(i, axis=0, dtype=np.float64), dim=[0], dtype="float64")
        yield case(name, [z], f(z, axis=1), dim=[1])
    yield case("sum", [i], i.sum())
    yield case("sum", [m], m.sum(axis=0), dim=[0])
    yield case("sum", [np.zeros((2, 0))], np.zeros(2), dim=[1])
    yield case("prod", [np.zeros((2, 0))], np.ones(2), dim=[1])
    yield case("any", [m], m.any(axis=1), dim=[1])
    yield case("all", [m], m.all(axis=0, keepdims=True), dim=[0], keepdim=True)
    yield case("any", [i], np.any(i != 0, axis=0, keepdims=True), dim=[0], keepdim=True)
    yield case("all", [i], np.all(i != 0))
    yield case("count_nonzero", [m], m.sum(axis=1), dim=[1])
    p = permuted(3, 4)
    yield case("max", [p], p.max())
    yield case("min", [p], p.min())
    yield case("max.dim", [p], [p.max(1), p.argmax(1)], dim=1)
    yield case("min.dim", [p], [p.min(0, keepdims=True), p.argmin(0)[None]], dim=0, keepdim=True)
    yield case("max.dim", [p], [p.max(0, keepdims=True), p.argmax(0)[None]], dim=0, keepdim=True)
    q = permuted(4)
    yield case("max.other", [p, q], np.maximum(p, q))
    yield case("min.other", [p, q], np.minimum(p, q))
    for name, f in [("argmax", np.argmax), ("argmin", np.argmin)]:
        yield case(name, [p], f(p))
        yield case(name, [p], f(p, axis=1)[:, None], dim=1, keepdim=True)
    yield case("argmax", [np.array([1.0, 5.0, 5.0])], np.array(1), dim=0)
    for name, f in [("var", np.var), ("std", np.std)]:
        yield case(name, [x], f(x, ddof=1))
        yield case(name, [x], f(x, axis=1, ddof=0), dim=[1], correction=0)
        yield case(name, [x], f(x, axis=(0, 2), ddof=2, keepdims=True), dim=[0, 2], correction=2, keepdim=True)
        yield case(name, [z], f(z, axis=0, ddof=1), dim=[0])
    yield case(
        "var_mean",
        [x],
        [x.var(axis=1, ddof=0, keepdims=True), x.mean(axis=1, keepdims=True)],
        dim=[1],
        correction=0,
        keepdim=True,
    )
    for order in (2, 1, 3, float("inf"), float("-inf"), 0):
        yield case("norm", [x[0]], np.linalg.norm(x[0], ord=order, axis=1), p=order, dim=[1])
    yield case("norm", [z], np.linalg.norm(z, axis=0, keepdims=True), dim=[0], keepdim=True)
    yield case("logsumexp", [x], special.logsumexp(x, axis=1), dim=[1])
    yield case("logsumexp", [x * 200], special.logsumexp(x * 200, axis=(0, 2), keepdims=True), dim=[0, 2], keepdim=True)
    yield case("cumsum", [x], np.cumsum(x, axis=1), dim=1)
    yield case("cumsum", [i], np.cumsum(i, axis=-1, dtype=np.float64), dim=-1, dtype="float64")
