# ruff: noqa: E501 -- a table
"""How each op of the registry is called in the walk: operands of 16 MiB (f32), attributes, and what it must move.

`reads` and `writes` count 16 MiB streams: of the forward, and of the gradient the cotangent, what the derivative needs,
and the gradients. A gradient that only hands the cotangent on moves nothing and is not timed. `flop` makes an op one
that is bound by arithmetic instead.
"""

import dataclasses
import functools
import json
import pathlib
import re
import subprocess
from collections.abc import Callable

import numpy

N = 2048  # a matrix of N x N floats is 16 MiB
MATRIX = (N, N)
IMAGES = (16, 64, 64, 64)
HEADS = (8, 8, 1024, 64)


@dataclasses.dataclass(frozen=True)
class Case:
    """`operands`: a shape of floats; or (shape, kind) with kind one of index, bool, int, complex, positive, unit."""

    operands: tuple
    call: Callable  # (thixo, *operands) -> tensor
    reads: float = 1
    writes: float = 1
    grad_reads: float = 1
    grad_writes: float = 1
    flop: float = 0
    grad_flop: float = 0
    numpy: Callable | None = None  # (numpy, *arrays)
    grad: bool = True
    bf16: bool = True
    ints: float = 0  # streams of 16 MiB that do not shrink with the float dtype

    def shape_and_kind(self, k):
        spec = self.operands[k]
        return spec if isinstance(spec[0], tuple) else (spec, None)


def _numpy(name):
    """NumPy's function of this name, where it has one."""
    return (lambda np, *arrays: getattr(np, name)(*arrays)) if hasattr(numpy, name) else None


def _op(t, name):
    return getattr(t.nn.functional, name)


def _unary(name, kind=None, saves=1, grad=True, function="", bf16=True, writes=1, **attrs):
    operand = (MATRIX, kind) if kind else MATRIX
    return Case(
        (operand,), lambda t, x: _op(t, name)(x, **attrs), 1, writes, 1 + saves, 1, grad=grad, bf16=bf16,
        numpy=None if attrs else _numpy(function or name),
    )  # fmt: skip


def _binary(name, kind=None, saves=2, grad=True, function="", bf16=True, writes=1, **attrs):
    operand = (MATRIX, kind) if kind else MATRIX
    return Case(
        (operand, operand), lambda t, x, y: _op(t, name)(x, y, **attrs), 2, writes, 1 + saves, 2, grad=grad, bf16=bf16,
        numpy=None if attrs else _numpy(function or name),
    )  # fmt: skip


def _reduce(name, saves=0, grad=True, function="", **attrs):
    """Of each row."""
    function = function or name
    return Case(
        (MATRIX,), lambda t, x: _op(t, name)(x, dim=-1, **attrs), 1, 0, saves, 1, grad=grad,
        numpy=lambda np, x: getattr(np, function)(x, axis=-1),
    )  # fmt: skip


def _rows(name, saves=1, **attrs):
    return Case((MATRIX,), lambda t, x: _op(t, name)(x, dim=-1, **attrs), 1, 1, 1 + saves, 1)


@functools.cache
def _batch_norm(t):
    return t.nn.BatchNorm2d(IMAGES[1])


def _make(call, numpy=None, grad=False, **kw):
    return Case((), call, 0, 1, grad=grad, numpy=numpy, bf16=False, **kw)


def _loss(name, saves=2):
    return Case((MATRIX, MATRIX), lambda t, x, y: _op(t, name)(x, y), 2, 0, saves, 2)


_REAL = ["abs", "ceil", "floor", "round", "sign", "trunc"]
_COMPARE = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
_PRODUCT = 2 * N**3
_CONV = 2 * 16 * 64 * 64 * 64 * 64 * 9
_ATTENTION = 4 * 8 * 8 * 1024 * 1024 * 64
_INDEX = (MATRIX, "index")

CASES = {
    **{n: _unary(n, grad=n == "abs") for n in _REAL},
    **{n: _unary(n, kind="positive") for n in ("log", "log1p", "reciprocal", "sqrt", "rsqrt")},
    "neg": _unary("neg", saves=0, function="negative"),
    "logical_not": _unary("logical_not", grad=False, writes=0.25),
    **{n: _unary(n, grad=False, writes=0.25) for n in ("isnan", "isinf", "isfinite")},
    "bitwise_not": _unary("bitwise_not", kind="int", grad=False, bf16=False, function="invert"),
    "add": _binary("add", grad=False),
    "sub": _binary("sub", grad=False, function="subtract"),
    "mul": _binary("mul", function="multiply"),
    "div": _binary("div", kind="positive", function="divide"),
    "pow": _binary("pow", kind="positive", function="power"),
    "maximum": _binary("maximum"),
    "minimum": _binary("minimum"),
    "remainder": _binary("remainder", kind="positive", grad=False),
    "floor_divide": _binary("floor_divide", kind="positive", grad=False),
    **{n: _binary(n, grad=False, function=m, writes=0.25) for n, m in _COMPARE.items()},
    **{n: _binary(n, grad=False, writes=0.25) for n in ("logical_and", "logical_or", "logical_xor")},
    **{n: _binary(n, kind="int", grad=False, bf16=False) for n in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    "lerp": Case((MATRIX, MATRIX, (MATRIX, "unit")), lambda t, x, y, w: t.lerp(x, y, w), 3, 1, 4, 3),
    "addcmul": Case((MATRIX,) * 3, lambda t, x, y, z: t.addcmul(x, y, z), 3, 1, 3, 3),
    "addcdiv": Case((MATRIX, MATRIX, (MATRIX, "positive")), lambda t, x, y, z: t.addcdiv(x, y, z), 3, 1, 3, 3),
    "where": Case(((MATRIX, "bool"), MATRIX, MATRIX), lambda t, c, x, y: t.where(c, x, y), 2, 1, 1, 2, ints=0.25,
                  numpy=lambda np, c, x, y: np.where(c, x, y)),
    "masked_fill": Case((MATRIX, (MATRIX, "bool")), lambda t, x, m: t.masked_fill(x, m, 1.0), ints=0.25),
    "clamp": Case((MATRIX,), lambda t, x: t.clamp(x, -1, 1), grad_reads=2, numpy=lambda np, x: np.clip(x, -1, 1)),
    "conj": _unary("conj", kind="complex", saves=0, bf16=False),
    **{n: _reduce(n, grad=False) for n in ("sum", "mean")},
    "prod": _reduce("prod", saves=1),
    "norm": Case((MATRIX,), lambda t, x: t.norm(x, 2, dim=-1), 1, 0, 1, 1, numpy=lambda np, x: np.linalg.norm(x, axis=-1)),
    "var": _reduce("var", saves=1),
    "std": _reduce("std", saves=1),
    "var_mean": Case((MATRIX,), lambda t, x: t.var_mean(x, -1)[0], 1, 0, 1, 1),
    "amax": _reduce("amax", saves=1, function="max"),
    "amin": _reduce("amin", saves=1, function="min"),
    "max": Case((MATRIX,), lambda t, x: t.max(x, -1)[0], 1, 0, 0, 1, numpy=lambda np, x: x.max(-1)),
    "min": Case((MATRIX,), lambda t, x: t.min(x, -1)[0], 1, 0, 0, 1, numpy=lambda np, x: x.min(-1)),
    **{n: _reduce(n, grad=False) for n in ("argmax", "argmin", "all", "any", "count_nonzero")},
    "sum_to_size": Case((MATRIX,), lambda t, x: t.sum_to_size(x, (1, N)), 1, 0, grad=False, numpy=lambda np, x: x.sum(0, keepdims=True)),
    **{n: _rows(n) for n in ("softmax", "log_softmax")},
    "logsumexp": Case((MATRIX,), lambda t, x: t.logsumexp(x, -1), 1, 0, 1, 1),
    "layer_norm": Case((MATRIX, (N,), (N,)), lambda t, x, w, b: _op(t, "layer_norm")(x, (N,), w, b), 1, 1, 2, 1),
    "rms_norm": Case((MATRIX, (N,)), lambda t, x, w: _op(t, "rms_norm")(x, (N,), w), 1, 1, 2, 1),
    "cross_entropy": Case((MATRIX, ((N,), "index")), lambda t, x, y: _op(t, "cross_entropy")(x, y), 1, 0, 1, 1),
    "nll_loss": Case((MATRIX, ((N,), "index")), lambda t, x, y: _op(t, "nll_loss")(x, y), 0.01, 0, 0, 1),
    "mse_loss": _loss("mse_loss"),
    "l1_loss": _loss("l1_loss"),
    "binary_cross_entropy_with_logits": Case(
        (MATRIX, (MATRIX, "unit")), lambda t, x, y: _op(t, "binary_cross_entropy_with_logits")(x, y), 2, 0, 2, 2
    ),
    "cumsum": Case((MATRIX,), lambda t, x: t.cumsum(x, -1), numpy=lambda np, x: np.cumsum(x, -1)),
    "cat": Case(((N // 2, N), (N // 2, N)), lambda t, x, y: t.cat((x, y)), numpy=lambda np, x, y: np.concatenate((x, y))),
    "stack": Case(((N // 2, N), (N // 2, N)), lambda t, x, y: t.stack((x, y)), numpy=lambda np, x, y: np.stack((x, y))),
    "clone": Case((MATRIX,), lambda t, x: t.clone(x), grad_reads=0, grad_writes=0, grad=False, numpy=lambda np, x: x.copy()),
    "constant_pad_nd": Case((MATRIX,), lambda t, x: t.constant_pad_nd(x, (1, 1)), numpy=lambda np, x: np.pad(x, ((0, 0), (1, 1)))),
    "pad": Case((MATRIX,), lambda t, x: _op(t, "pad")(x, (1, 1)), numpy=lambda np, x: np.pad(x, ((0, 0), (1, 1)))),
    "flip": Case((MATRIX,), lambda t, x: t.flip(x, (1,)), numpy=lambda np, x: np.ascontiguousarray(np.flip(x, 1))),
    "roll": Case((MATRIX,), lambda t, x: t.roll(x, (5,), (1,)), numpy=lambda np, x: np.roll(x, 5, 1)),
    "repeat": Case(((N // 2, N),), lambda t, x: t.repeat(x, (2, 1)), 0.5, 1, 1, 0.5, numpy=lambda np, x: np.tile(x, (2, 1))),
    "tile": Case(((N // 2, N),), lambda t, x: t.tile(x, (2, 1)), 0.5, 1, 1, 0.5, numpy=lambda np, x: np.tile(x, (2, 1))),
    "repeat_interleave": Case(((N // 2, N),), lambda t, x: t.repeat_interleave(x, 2, 0), 0.5, 1, 1, 0.5,
                              numpy=lambda np, x: np.repeat(x, 2, 0)),
    "tril": Case((MATRIX,), lambda t, x: t.tril(x), 0.5, 1, 0.5, 1, numpy=lambda np, x: np.tril(x)),
    "triu": Case((MATRIX,), lambda t, x: t.triu(x), 0.5, 1, 0.5, 1, numpy=lambda np, x: np.triu(x)),
    "gather": Case((MATRIX, _INDEX), lambda t, x, i: t.gather(x, 1, i), ints=2, numpy=lambda np, x, i: np.take_along_axis(x, i, 1)),
    "take_along_dim": Case((MATRIX, _INDEX), lambda t, x, i: t.take_along_dim(x, i, 1), ints=2,
                           numpy=lambda np, x, i: np.take_along_axis(x, i, 1)),
    "scatter": Case((MATRIX, _INDEX, MATRIX), lambda t, x, i, s: t.scatter(x, 1, i, s), 2, 1, 1, 2, ints=2),
    "scatter_add": Case((MATRIX, _INDEX, MATRIX), lambda t, x, i, s: t.scatter_add(x, 1, i, s), 2, 1, 1, 2, ints=2),
    "index_select": Case((MATRIX, ((N,), "index")), lambda t, x, i: t.index_select(x, 0, i), numpy=lambda np, x, i: np.take(x, i, 0)),
    "index": Case((MATRIX, ((N,), "index")), lambda t, x, i: x[i], numpy=lambda np, x, i: x[i]),
    "index_add": Case((MATRIX, ((N,), "index"), MATRIX), lambda t, x, i, s: t.index_add(x, 0, i, s), 2, 1, 1, 1),
    "index_put": Case((MATRIX, ((N,), "index"), MATRIX), lambda t, x, i, s: t.index_put(x, (i,), s), 2, 1, 1, 2),
    "embedding": Case((((N,), "index"), MATRIX), lambda t, i, w: _op(t, "embedding")(i, w), numpy=lambda np, i, w: w[i]),
    "masked_select": Case((MATRIX, (MATRIX, "bool")), lambda t, x, m: t.masked_select(x, m), 1, 0.5, 0.5, 1, ints=0.25,
                          numpy=lambda np, x, m: x[m]),
    "nonzero": Case((MATRIX,), lambda t, x: t.nonzero(x), 1, 4, grad=False, numpy=lambda np, x: np.argwhere(x)),
    "one_hot": Case((((N,), "index"),), lambda t, i: _op(t, "one_hot")(i, N), 0, 2, grad=False, bf16=False),
    "matmul": Case((MATRIX, MATRIX), lambda t, x, y: x @ y, flop=_PRODUCT, grad_flop=2 * _PRODUCT, numpy=lambda np, x, y: x @ y),
    "linear": Case((MATRIX, MATRIX, (N,)), lambda t, x, w, b: _op(t, "linear")(x, w, b), flop=_PRODUCT, grad_flop=2 * _PRODUCT),
    "conv2d": Case((IMAGES, (64, 64, 3, 3)), lambda t, x, w: _op(t, "conv2d")(x, w, padding=1), flop=_CONV, grad_flop=2 * _CONV),
    "scaled_dot_product_attention": Case(
        (HEADS,) * 3, lambda t, q, k, v: _op(t, "scaled_dot_product_attention")(q, k, v), flop=_ATTENTION, grad_flop=2.5 * _ATTENTION
    ),
    "max_pool2d": Case((IMAGES,), lambda t, x: _op(t, "max_pool2d")(x, 2), 1, 0.25, 0.25, 1),
    "max_pool2d_with_indices": Case(
        (IMAGES,), lambda t, x: _op(t, "max_pool2d_with_indices")(x, 2)[0], 1, 0.25, 0.25, 1, ints=0.5
    ),
    "avg_pool2d": Case((IMAGES,), lambda t, x: _op(t, "avg_pool2d")(x, 2), 1, 0.25, 0.25, 1),
    "BatchNorm2d": Case((IMAGES,), lambda t, x: _batch_norm(t)(x), 1, 1, 2, 1, bf16=False),
    "dropout": Case((MATRIX,), lambda t, x: _op(t, "dropout")(x, 0.5, True), grad_reads=1.25),
    "bernoulli": Case(((MATRIX, "unit"),), lambda t, x: t.bernoulli(x), grad=False),
    "rand": _make(lambda t: t.rand(MATRIX), lambda np: np.random.default_rng(0).random(MATRIX, np.float32)),
    "randn": _make(lambda t: t.randn(MATRIX), lambda np: np.random.default_rng(0).standard_normal(MATRIX, np.float32)),
    "randint": _make(lambda t: t.randint(0, 100, MATRIX), ints=1, numpy=lambda np: np.random.default_rng(0).integers(0, 100, MATRIX)),
    "randperm": _make(lambda t: t.randperm(N * N), ints=1, numpy=lambda np: np.random.default_rng(0).permutation(N * N)),
    "zeros": _make(lambda t: t.zeros(MATRIX), lambda np: np.full(MATRIX, 0, np.float32)),
    "ones": _make(lambda t: t.ones(MATRIX), lambda np: np.ones(MATRIX, np.float32)),
    "full": _make(lambda t: t.full(MATRIX, 3.0), lambda np: np.full(MATRIX, 3.0, np.float32)),
    "eye": _make(lambda t: t.eye(N), lambda np: np.eye(N, dtype=np.float32)),
    "arange": _make(lambda t: t.arange(N * N, dtype=t.float32), lambda np: np.arange(N * N, dtype=np.float32)),
    "linspace": _make(lambda t: t.linspace(0, 1, N * N), lambda np: np.linspace(0, 1, N * N, dtype=np.float32)),
    "zeros_like": Case((MATRIX,), lambda t, x: t.zeros_like(x), 0, 1, grad=False),
    "ones_like": Case((MATRIX,), lambda t, x: t.ones_like(x), 0, 1, grad=False),
    "full_like": Case((MATRIX,), lambda t, x: t.full_like(x, 3.0), 0, 1, grad=False),
    "rand_like": Case((MATRIX,), lambda t, x: t.rand_like(x), 0, 1, grad=False),
    "randn_like": Case((MATRIX,), lambda t, x: t.randn_like(x), 0, 1, grad=False),
    "to_dtype": Case((MATRIX,), lambda t, x: x.to(t.float64), 1, 2, 2, 1, bf16=False, numpy=lambda np, x: x.astype(np.float64)),
    "contiguous": Case((MATRIX,), lambda t, x: x.t().contiguous(), numpy=lambda np, x: np.ascontiguousarray(x.T)),
}  # fmt: skip

# They make another view of the same memory, allocate without writing, or make one value: nothing to be a share of.
NO_WORK = {
    "as_strided", "chunk", "detach", "empty_like", "expand", "expand_as", "flatten", "imag", "movedim", "narrow", "permute",
    "real", "reshape", "reshape_as", "scalar_tensor", "select", "slice", "split", "squeeze", "swapaxes", "t", "transpose",
    "unbind", "unflatten", "unsqueeze", "view", "view_as",
}  # fmt: skip


def add_derived():
    """An elementwise function of one tensor needs no line: it reads its operand and writes as much."""
    program = pathlib.Path(__file__).parent.parent / "build/release/bin/thixo"
    for op in json.loads(subprocess.run([program, "ops", "--json"], check=True, capture_output=True, text=True).stdout):
        one_tensor = re.match(r"\w+\(input: \w+(, \*?[^)]*=[^)]*)?\)", op["schema"])
        if op["tier"] == "pointwise" and one_tensor and op["name"] not in CASES.keys() | NO_WORK:
            CASES[op["name"]] = _unary(op["name"], grad=op["gradient"] != "none")


add_derived()
