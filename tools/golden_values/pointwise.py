"""Elementwise ops. Transcendental functions are computed with 60 digits and rounded once."""

import mpmath as mp
import numpy as np
from golden import case

from ._data import complexes, integers, masks, values

mp.mp.dps = 60
NAN, INF = float("nan"), float("inf")


def exact(f, *arrays):
    """f over multiprecision numbers; non-finite arguments are left to the callers."""
    arrays = np.broadcast_arrays(*arrays)
    flat = []
    for xs in zip(*(a.ravel() for a in arrays), strict=True):
        made = f(*(mp.mpmathify(x.item()) for x in xs))
        flat.append(complex(made) if isinstance(made, mp.mpc) else float(made))
    kind = complex if any(isinstance(v, complex) for v in flat) else float
    return np.array(flat, kind).reshape(arrays[0].shape)


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def normal_cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def gelu_tanh(x):
    return x / 2 * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)))


def unary():
    x = np.concatenate([values(12), [0.0, 1e-6, -1e-6, 20.0, -20.0]])
    wide = np.concatenate([x, [400.0, -400.0]])
    positive = np.concatenate([values(12, low=0.01, high=8), [1e-6, 1.0, 400.0]])
    z = complexes(8)
    yield case(
        "exp",
        [np.array([-400.0, -20, -1, 0, 1e-6, 1, 20, 400])],
        exact(mp.exp, np.array([-400.0, -20, -1, 0, 1e-6, 1, 20, 400])),
    )
    yield case("expm1", [x], exact(mp.expm1, x))
    yield case("log", [positive], exact(mp.log, positive))
    yield case("log", [np.array([0.0, -1.0, INF, NAN])], np.array([-INF, NAN, INF, NAN]))
    yield case("log1p", [positive - 0.005], exact(mp.log1p, positive - 0.005))
    yield case("sqrt", [positive], exact(mp.sqrt, positive))
    yield case("rsqrt", [positive], exact(lambda v: 1 / mp.sqrt(v), positive))
    yield case("sin", [wide], exact(mp.sin, wide))
    yield case("cos", [wide], exact(mp.cos, wide))
    yield case("tanh", [wide], exact(mp.tanh, wide))
    yield case("sigmoid", [wide], exact(sigmoid, wide))
    yield case("erf", [x], exact(mp.erf, x))
    for name, f in [
        ("exp", mp.exp),
        ("log", mp.log),
        ("sqrt", mp.sqrt),
        ("sin", mp.sin),
        ("cos", mp.cos),
        ("tanh", mp.tanh),
        ("sigmoid", sigmoid),
    ]:
        yield case(name, [z], exact(lambda v, f=f: mp.mpc(f(v)), z))
    yield case("abs", [np.array([-1.5, 0.0, -INF, 2.0])], np.array([1.5, 0.0, INF, 2.0]))
    yield case("abs", [z], exact(lambda v: mp.mpf(abs(v)), z))
    yield case("neg", [x], -x)
    yield case("square", [x], x * x)
    yield case("reciprocal", [positive], exact(lambda v: 1 / v, positive))
    yield case("sign", [np.array([-2.0, 0.0, 3.0, -INF])], np.array([-1.0, 0.0, 1.0, -1.0]))
    steps = np.array([-2.5, -1.5, -0.5, -0.2, 0.0, 0.5, 1.5, 2.5, 2.7, 1e9])
    for name, f in [("floor", np.floor), ("ceil", np.ceil), ("trunc", np.trunc), ("round", np.round)]:
        yield case(name, [steps], f(steps))
    odd = np.array([1.0, NAN, INF, -INF, 0.0])
    yield case("isnan", [odd], np.isnan(odd))
    yield case("isinf", [odd], np.isinf(odd))
    yield case("isfinite", [odd], np.isfinite(odd))
    for name, f in [("conj", np.conj), ("real", np.real), ("imag", np.imag)]:
        yield case(name, [z], f(z))


def activations():
    x = np.concatenate([values(12), [0.0, 1e-6, -1e-6, 20.0, -20.0]])
    yield case("relu", [x], np.maximum(x, 0))
    yield case("gelu", [x], exact(lambda v: v * normal_cdf(v), x))
    yield case("gelu", [x], exact(gelu_tanh, x), approximate="tanh")
    yield case("hardtanh", [x], np.clip(x, -0.5, 2.0), min_val=-0.5, max_val=2.0)
    yield case("relu6", [x * 3], np.clip(x * 3, 0, 6))


def binary():
    a, b = values(3, 4), values(4)
    i, j = integers(3, 4), np.array([1, -2, 3, -4])
    z, w = complexes(3), complexes(3)
    yield case("add", [a, b], a + b)
    yield case("add", [a, b], a + 0.5 * b, alpha=0.5)
    yield case("add", [i, a], i + a)
    yield case("sub", [a, b], a - b)
    yield case("sub", [i, j], i - 3 * j, alpha=3)
    yield case("mul", [a, b], a * b)
    yield case("mul", [z, w], z * w)
    yield case("div", [a, b], a / b)
    yield case("div", [z, w], exact(lambda u, v: mp.mpc(u / v), z, w))
    yield case("div.mode", [i, j], np.trunc(i / j).astype(np.int64), rounding_mode="trunc")
    yield case("div.mode", [i, j], i // j, rounding_mode="floor")
    yield case("div.mode", [a, b], np.floor(a / b), rounding_mode="floor")
    yield case("floor_divide", [i, j], i // j)
    yield case("remainder", [i, j], i % j)
    yield case("remainder", [a, np.array([1.5, -1.5, 2.0, -0.5])], a % np.array([1.5, -1.5, 2.0, -0.5]))
    base, power = values(3, 4, low=0.1, high=3), values(4)
    yield case("pow", [base, power], exact(mp.power, base, power))
    yield case("pow", [i, np.array([0, 1, 2, 5])], i ** np.array([0, 1, 2, 5]))
    yield case("maximum", [a, b], np.maximum(a, b))
    yield case("minimum", [a, b], np.minimum(a, b))
    yield case("maximum", [np.array([NAN, 1.0]), np.array([0.0, NAN])], np.array([NAN, NAN]))
    c = values(3, 4)
    yield case("addcmul", [a, b, c], a + 0.5 * b * c, value=0.5)
    yield case("addcdiv", [a, b, base], a + 2.0 * b / base, value=2.0)
    yield case("lerp", [a, c, np.array([0.0, 0.25, 0.75, 1.0])], a + np.array([0.0, 0.25, 0.75, 1.0]) * (c - a))


def choices():
    a, b, m = values(3, 4), values(4), masks(3, 4)
    yield case("where", [m, a, b], np.where(m, a, b))
    yield case("masked_fill", [a, m, np.array(0.5)], np.where(m, 0.5, a))
    yield case("clamp", [a], np.clip(a, -1, 0.5), min=-1.0, max=0.5)
    yield case("clamp", [a], np.maximum(a, 0.25), min=0.25)
    yield case("clamp", [a], np.minimum(a, 0.25), max=0.25)
    low, high = b - 0.5, b + 0.5
    yield case("clamp.tensor", [a, low, high], np.clip(a, low, high))
    yield case("clamp.tensor", [a, None, high], np.minimum(a, high))


def comparisons():
    a, b = integers(3, 4, low=-2, high=3), integers(4, low=-2, high=3)
    for name, f in [
        ("eq", np.equal),
        ("ne", np.not_equal),
        ("lt", np.less),
        ("le", np.less_equal),
        ("gt", np.greater),
        ("ge", np.greater_equal),
    ]:
        yield case(name, [a, b], f(a, b))
    nan = np.array([NAN, 1.0])
    yield case("eq", [nan, nan], np.array([False, True]))
    yield case("lt", [np.array([1.0, 2.0]), np.array(1.5)], np.array([True, False]))
    for name, f in [("logical_and", np.logical_and), ("logical_or", np.logical_or), ("logical_xor", np.logical_xor)]:
        yield case(name, [a, b], f(a, b))
    yield case("logical_not", [a], np.logical_not(a))
    for name, f in [("bitwise_and", np.bitwise_and), ("bitwise_or", np.bitwise_or), ("bitwise_xor", np.bitwise_xor)]:
        yield case(name, [a, b], f(a, b))
        yield case(name, [a > 0, b > 0], f(a > 0, b > 0))
    yield case("bitwise_not", [a], ~a)
    yield case("bitwise_not", [a > 0], ~(a > 0))


def cases():
    for part in (unary, activations, binary, choices, comparisons):
        yield from part()
