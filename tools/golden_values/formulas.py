"""Functions of numbers whose definition states a formula, `.reference("input * sigmoid(input)")`.

Computed from that text with 60 digits, once with the defaults of the attributes and once with others. The text is
Python over the names of the schema and the functions of mpmath; it knows nothing of the expression that kernels are
made of.
"""

import mpmath as mp
import numpy as np
from golden import all_references, case

from ._data import values
from .pointwise import exact

FUNCTIONS = """exp expm1 log log1p sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh
    erf erfc gamma loggamma pi sign"""


def names():
    return {name: getattr(mp, name) for name in FUNCTIONS.split()} | {
        "abs": abs,
        "min": min,
        "max": max,
        "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    }


def cases():
    known = names()
    line = np.concatenate([values(12), [0.0, 1e-6, -1e-6, 20.0, -20.0]])
    for ref in all_references():
        code = compile(ref.formula, f"the reference of {ref.op}", "eval")
        inputs = [line] + [values(line.size) for _ in ref.operands[1:]]
        for attrs in [{}, dict.fromkeys(ref.attrs, 0.75)] if ref.attrs else [{}]:
            given = {k: mp.mpf(v) for k, v in (ref.attrs | attrs).items()}

            def f(*xs, given=given, code=code, ref=ref):
                made = eval(code, {"__builtins__": {}}, known | given | dict(zip(ref.operands, xs, strict=True)))
                return mp.mpf(made)

            yield case(ref.op, inputs, exact(f, *inputs), **attrs)
