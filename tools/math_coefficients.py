#!/usr/bin/env python3
"""Writes src/codegen/math/coefficients.h: the numbers in the code generator's exp, log, sin, erf and friends.

    tools/math_coefficients.py > src/codegen/math/coefficients.h     (needs mpmath; half a minute)

Every polynomial is the minimax one (Remez exchange in 170 bits), rounded to its type either coefficient by
coefficient with a new fit of the rest after each, or all at once, whichever comes out closer. The error that is
left stands beside it, in half units in the last place of the type (1 = the error of one rounding).
"""

import mpmath as mp

mp.mp.prec = 170
LN2 = mp.log(2)


def solve_on(reference, rows, target):
    """The coefficients whose error has one size and alternating signs on the reference points; and that size."""
    n = len(rows[0])
    a, y = mp.matrix(n + 1, n + 1), mp.matrix(n + 1, 1)
    for r, i in enumerate(reference):
        for k in range(n):
            a[r, k] = rows[i][k]
        a[r, n] = (-1) ** r
        y[r] = target[i]
    c = mp.lu_solve(a, y)
    return [c[k] for k in range(n)], abs(c[n])


def alternating_extrema(error, count):
    """Indices of `count` extrema of alternating sign, the largest ones; None when there are fewer."""
    found, start = [], 0
    for i in range(1, len(error) + 1):
        if i == len(error) or (error[i] > 0) != (error[start] > 0):
            found.append(max(range(start, i), key=lambda j: abs(error[j])))
            start = i
    while len(found) > count:
        if len(found) == count + 1:
            found.pop(0 if abs(error[found[0]]) < abs(error[found[-1]]) else -1)
        else:
            k = min(range(len(found) - 1), key=lambda j: max(abs(error[found[j]]), abs(error[found[j + 1]])))
            del found[k : k + 2]
    return found if len(found) == count else None


def remez(f, powers, weight, low, high, points=300):
    """Minimax coefficients of weight(x) * (f(x) - sum c_k x^powers[k]) on [low, high]."""
    n = len(powers)
    grid = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / points) for i in range(points)]
    w = [weight(x) for x in grid]
    target = [f(x) * v for x, v in zip(grid, w, strict=False)]
    rows = [[x**p * v for p in powers] for x, v in zip(grid, w, strict=False)]
    reference = sorted({round((points - 1) * (1 - float(mp.cos(mp.pi * i / n))) / 2) for i in range(n + 1)})
    assert len(reference) == n + 1
    for _ in range(30):
        c, size = solve_on(reference, rows, target)
        error = [t - mp.fdot(row, c) for t, row in zip(target, rows, strict=False)]
        if max(map(abs, error)) <= size * mp.mpf("1.001"):
            break
        reference = alternating_extrema(error, n + 1)
        if reference is None:
            break
    return c


def to_bits(v, bits):
    m, e = mp.frexp(v)
    return mp.ldexp(mp.nint(mp.ldexp(m, bits)), e - bits)


def largest_error(f, powers, weight, low, high, c):
    grid = [low + (high - low) * i / 499 for i in range(500)]
    return max(abs(weight(x) * (f(x) - sum(a * x**p for p, a in zip(powers, c, strict=False)))) for x in grid)


def fit(f, powers, weight, low, high, bits):
    low, high, powers = mp.mpf(low), mp.mpf(high), list(powers)
    at_once = [to_bits(c, bits) for c in remez(f, powers, weight, low, high)]
    candidates = [at_once]
    if bits == 24:
        one_by_one = []
        while len(one_by_one) < len(powers):
            done = list(zip(powers, one_by_one, strict=False))
            left = powers[len(done) :]
            rest = remez(lambda x, done=done: f(x) - sum(c * x**p for p, c in done), left, weight, low, high)
            one_by_one.append(to_bits(rest[0], bits))
        candidates.append(one_by_one)
    scored = [(largest_error(f, powers, weight, low, high, c), c) for c in candidates]
    error, best = min(scored, key=lambda s: s[0])
    return best, error * mp.mpf(2) ** bits


def literal(v):
    return float(v).hex() if v == mp.mpf(float(v)) else repr(float(v))


def array(name, comment, values):
    print(f"\n// {comment}\ninline constexpr double {name}[] = {{")
    for v in values:
        print(f"    {literal(v)},")
    print("};")


def polynomial(name, comment, f, powers, weight, low, high, bits):
    c, error = fit(f, powers, weight, low, high, bits)
    array(name, f"{comment}; error {mp.nstr(error, 2)} / 2", c)


def split(value, bits, parts):
    """value = the sum of `parts` numbers of `bits` bits each, the last one with all that a double has."""
    out = []
    for k in range(parts):
        part = to_bits(value, bits if k < parts - 1 else 53)
        out.append(part)
        value -= part
    return out


def exponentials():
    for name, bits, top in (("F32", 24, 6), ("F64", 53, 12)):
        polynomial(
            f"kExp{name}",
            f"(exp(r) - 1 - r) / r^2, |r| <= ln2/2, powers 0 to {top - 2}",
            lambda r: (mp.exp(r) - 1 - r) / r**2,
            range(top - 1),
            lambda r: r * r * mp.exp(-r),
            -0.3467,
            0.3467,
            bits,
        )
    for name, bits, top in (("F32", 24, 7), ("F64", 53, 12)):
        polynomial(
            f"kExpm1{name}",
            f"(exp(r) - 1 - r) / r^2, |r| <= ln2/2, relative to exp(r) - 1, powers 0 to {top - 2}",
            lambda r: (mp.exp(r) - 1 - r) / r**2,
            range(top - 1),
            lambda r: r * r / mp.expm1(r),
            -0.3467,
            0.3467,
            bits,
        )
    for name, bits, top in (("F32", 24, 5), ("F64", 53, 10)):
        polynomial(
            f"kExp2{name}",
            f"2^f, |f| <= 1/2, for the tail of erf, where it counts by less than 0.2: powers 0 to {top}",
            lambda f: mp.mpf(2) ** f,
            range(top + 1),
            lambda f: mp.mpf(2) ** -f,
            -0.5001,
            0.5001,
            bits,
        )
    polynomial(
        "kExp2ForPowF32",
        "(2^f - 1) / f, |f| <= 1/2, for pow of f32",
        lambda f: (mp.mpf(2) ** f - 1) / f,
        range(6),
        lambda f: f * mp.mpf(2) ** -f,
        -0.5001,
        0.5001,
        24,
    )

    def tanh(z):
        return (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z

    for name, bits, n in (("F32", 24, 5), ("F64", 53, 12)):
        polynomial(
            f"kTanh{name}",
            "(tanh(x) - x) / x^3 in powers of z = x^2, |x| <= 0.626",
            tanh,
            range(n),
            lambda z: z * mp.sqrt(z) / mp.tanh(mp.sqrt(z)),
            1e-8,
            mp.mpf("0.626") ** 2,
            bits,
        )


def logarithms():
    def g(f):
        return (mp.log1p(f) - f + f * f / 2) / f**3

    polynomial(
        "kLogF32",
        "(log(1+f) - f + f^2/2) / f^3, sqrt(1/2) <= 1+f <= sqrt(2), powers 0 to 7",
        g,
        range(8),
        lambda f: f**3 / mp.log1p(f),
        -0.2930,
        0.4143,
        24,
    )

    def h(z):
        return (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z

    polynomial(
        "kLogF64",
        "(log(1+f) - 2s) / s^3 in powers of s^2, s = f / (2+f), |s| <= 0.1716",
        h,
        range(7),
        lambda z: z / 2,
        1e-12,
        0.0295,
        53,
    )
    polynomial(
        "kLog2ForPowF32",
        "log2(1+f) / f, sqrt(1/2) <= 1+f <= sqrt(2), in f64 for pow of f32 (units of 2^-53)",
        lambda f: mp.log1p(f) / f / LN2,
        range(12),
        lambda f: f * LN2 / mp.log1p(f),
        -0.2930,
        0.4143,
        53,
    )


def circular():
    def sin(z):
        return (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z

    def cos(z):
        return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2

    def sinc(z):
        return z * mp.sqrt(z) / mp.sin(mp.sqrt(z))

    for name, bits, n in (("F32", 24, 3), ("F64", 53, 6)):
        polynomial(
            f"kSin{name}",
            "(sin(r) - r) / r^3 in powers of z = r^2, |r| <= pi/4",
            sin,
            range(n),
            sinc,
            1e-8,
            0.6171,
            bits,
        )
        polynomial(
            f"kCos{name}",
            "(cos(r) - 1 + z/2) / z^2 in powers of z = r^2, |r| <= pi/4",
            cos,
            range(n),
            lambda z: z * z / mp.cos(mp.sqrt(z)),
            1e-6,
            0.6171,
            bits,
        )

    def atan(z):
        return (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z

    polynomial(
        "kAtanF64",
        "(atan(r) - r) / r^3 in powers of z = r^2, |r| <= tan(pi/8)",
        atan,
        range(13),
        lambda z: z * mp.sqrt(z) / mp.atan(mp.sqrt(z)),
        1e-8,
        0.17158,
        53,
    )


def error_function():
    def f(z):
        return mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1

    for name, bits, n, top in (("F32", 24, 6, mp.mpf("0.93")), ("F64", 53, 14, mp.mpf("1.0005"))):
        polynomial(
            f"kErf{name}",
            f"erf(x)/x - 1 in powers of z = x^2, |x| <= {mp.nstr(top, 5)}",
            f,
            range(n),
            lambda z: 1 / (1 + f(z)),
            1e-8,
            top**2,
            bits,
        )

    def tail(t):
        return mp.log(mp.erfc(t)) / LN2

    for name, bits, n, low, high in (("F32", 24, 7, "0.92", "3.95"), ("F64", 53, 19, "0.9995", "6")):
        polynomial(
            f"kErfTail{name}",
            f"log2(1 - erf(t)), {low} <= t <= {high}, so that erf is close",
            tail,
            range(n),
            lambda t: mp.erfc(t) * LN2,
            low,
            high,
            bits,
        )


def constants():
    for name, bits, low in (("F32", 15, 24), ("F64", 42, 53)):
        high = to_bits(LN2, bits)
        array(
            f"kLn2{name}",
            f"ln 2 in two parts, the first of {bits} bits: its product with an exponent is exact",
            [high, to_bits(LN2 - high, low)],
        )
    parts, rest = [], mp.pi / 2
    for last_bit in (11, 24, 36):
        parts.append(mp.ldexp(mp.nint(mp.ldexp(rest, last_bit)), -last_bit))
        rest -= parts[-1]
    array(
        "kHalfPiF32",
        "pi/2 in parts: products with |k| <= 2^12 are exact in f32, and so are the first two differences",
        [*parts, to_bits(rest, 24)],
    )
    array("kHalfPiF64", "pi/2 in parts of 33 bits: products with |k| <= 2^20 are exact in f64", split(mp.pi / 2, 33, 4))
    with mp.workprec(1500):
        bits = int(mp.floor(mp.ldexp(2 / mp.pi, 1280)))
        chunks = [mp.ldexp((bits >> (1280 - 29 * (k + 1))) & (2**29 - 1), -29 * (k + 1)) for k in range(7)]
        array("kTwoOverPiChunks", "2/pi in chunks of 29 bits: products with an f32 are exact in f64", chunks)
        words = [(bits >> (1320 - 64 * (k + 1))) & (2**64 - 1) for k in range(19)]
    print(
        "\n// 2/pi in 64-bit words: 40 zero bits, then the bit worth 1/2 and so on.\n"
        "inline constexpr uint64_t kTwoOverPiWords[] = {"
    )
    for w in words:
        print(f"    {w:#018x},")
    print("};")


print("""// Written by tools/math_coefficients.py; every polynomial's constant term comes first.
#pragma once

#include <cstdint>

namespace thixo::codegen {

// clang-format off""")
exponentials()
logarithms()
circular()
error_function()
constants()
print("\n// clang-format on\n\n}  // namespace thixo::codegen")
