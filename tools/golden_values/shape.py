"""Views, joins, index ops and creation: all by NumPy's indexing."""

import numpy as np
from golden import case
from numpy.lib.stride_tricks import as_strided

from ._data import integers, masks, values


def views():
    x, y = values(2, 3, 4), values(1, 3, 1)
    yield case("view", [x], x.reshape(6, 4), size=[-1, 4])
    yield case("reshape", [x], x.reshape(3, 8), shape=[3, -1])
    yield case(
        "as_strided", [x], as_strided(x.ravel()[2:], (3, 2), (8, 40)), size=[3, 2], stride=[1, 5], storage_offset=2
    )
    yield case("expand", [y], np.broadcast_to(y, (2, 1, 3, 4)), size=[2, -1, 3, 4])
    yield case("permute", [x], x.transpose(2, 0, 1), dims=[2, 0, -2])
    yield case("transpose", [x], x.swapaxes(0, 2), dim0=0, dim1=-1)
    yield case("swapaxes", [x], x.swapaxes(0, 2), axis0=0, axis1=-1)
    yield case("t", [x[0]], x[0].T)
    yield case("movedim", [x], np.moveaxis(x, (0, 1), (2, 0)), source=[0, 1], destination=[2, 0])
    yield case("unsqueeze", [x], x[:, None], dim=1)
    yield case("squeeze", [y], y.reshape(3))
    yield case("squeeze", [y], y.reshape(1, 3), dim=[-1])
    yield case("flatten", [x], x.reshape(2, 12), start_dim=1, end_dim=2)
    yield case("unflatten", [x], x.reshape(2, 3, 2, 2), dim=-1, sizes=[2, -1])
    yield case("expand_as", [y, x], np.broadcast_to(y, (2, 3, 4)))
    yield case("view_as", [x, values(4, 6)], x.reshape(4, 6))
    yield case("reshape_as", [x, values(4, 6)], x.reshape(4, 6))
    yield case("select", [x], x[:, -2], dim=1, index=-2)
    yield case("slice", [x], x[:, :, 1:4:2], dim=2, start=1, stop=4, step=2)
    yield case("slice", [x], x[:, -2:], dim=1, start=-2)
    yield case("narrow", [x], x[:, :, 1:3], dim=2, start=1, length=2)
    yield case("unbind", [x], [x[:, k] for k in range(3)], dim=1)
    yield case("split", [x], [x[:, :, :3], x[:, :, 3:]], split_size=3, dim=2)
    yield case("split.sizes", [x], [x[:, :, :1], x[:, :, 1:]], split_size=[1, 3], dim=2)
    yield case("chunk", [x], [x[:, :2], x[:, 2:]], chunks=2, dim=1)
    yield case("sum_to_size", [x], x.sum((0, 2), keepdims=True)[0], size=[3, 1])
    for memory_format in ("preserve", "contiguous"):
        yield case("clone", [x], x, memory_format=memory_format)
    image = values(2, 3, 2, 2)
    yield case("clone", [image], image, memory_format="channels_last")
    yield case("assign", [x, x[0, 0] + 1], np.broadcast_to(x[0, 0] + 1, x.shape))  # Tensor.assign_


def joins():
    a, b = values(2, 3), values(2, 1)
    yield case("cat", [a, b], np.concatenate([a, b], 1), dim=1)
    whole = integers(1, 3)
    yield case("cat", [a, whole], np.concatenate([a, whole]))
    yield case("stack", [a, a + 1], np.stack([a, a + 1], -1), dim=-1)
    yield case("constant_pad_nd", [a], np.pad(a, ((0, 1), (2, 1)), constant_values=0.5), pad=[2, 1, 0, 1], value=0.5)
    yield case("pad", [a], np.pad(a, ((0, 1), (2, 1)), constant_values=1.5), pad=[2, 1, 0, 1], value=1.5)
    for mode, name in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")):
        yield case("pad", [a], np.pad(a, ((1, 0), (2, 1)), mode=name), pad=[2, 1, 1, 0], mode=mode)
    yield case("repeat", [a], np.tile(a, (2, 1, 3)), repeats=[2, 1, 3])
    yield case("tile", [a], np.tile(a, 2), dims=[2])
    yield case("repeat_interleave", [a], np.repeat(a, 3, 1), repeats=3, dim=1)
    yield case("repeat_interleave", [a], np.repeat(a, 2), repeats=2)
    yield case("flip", [a], a[::-1, ::-1], dims=[0, 1])
    yield case("roll", [a], np.roll(a, 2), shifts=[2])
    yield case("roll", [a], np.roll(a, (1, -4), (0, 1)), shifts=[1, -4], dims=[0, 1])


def indexing():
    x = values(4, 3, 5)
    i = np.array([2, 0, 0, 3])
    yield case("index_select", [x, i], x[i], dim=0)
    yield case("index_select", [x, np.array([4, 1])], x[:, :, [4, 1]], dim=-1)
    g = integers(4, 2, 5, low=0, high=3)
    yield case("gather", [x, g], np.take_along_axis(x, g, 1), dim=1)
    yield case("take_along_dim", [x, np.array([[[1, 0]]])], np.take_along_axis(x, np.array([[[1, 0]]]), 2), dim=2)
    yield case("take_along_dim", [x, np.array([7, 0])], x.ravel()[[7, 0]])
    table = values(6, 3)
    yield case("embedding", [np.array([[1, 5], [0, 1]]), table], table[[[1, 5], [0, 1]]], padding_idx=1)
    a, b = np.array([[0, -1], [3, 1]]), np.array([2, 0])
    yield case("index", [x, a], x[a])
    yield case("index", [x, a, b], x[a, b])
    yield case("index", [x, None, b, np.array([4, -5])], x[:, b, [4, -5]])
    yield case("index", [x, np.array([0, 3]), None, np.array([4, 0])], x[[0, 3], :, [4, 0]])
    put = x.copy()
    put[np.array([0, -1])] = 7.0
    yield case("index_put", [x, np.array([0, -1]), np.array(7.0)], put)
    added = x.copy()
    v = values(3, 5)
    np.add.at(added, (np.array([1, 1, 2]), np.array([0, 0, 2])), v)
    yield case("index_put", [x, np.array([1, 1, 2]), np.array([0, 0, 2]), v], added, accumulate=True)
    src = values(2, 3, 5)
    s = integers(2, 3, 5, low=0, high=4)
    sums = x.copy()
    for at in np.ndindex(*s.shape):
        sums[s[at], at[1], at[2]] += src[at]
    yield case("scatter_add", [x, s, src], sums, dim=0)
    last = x.copy()
    for at in np.ndindex(*s.shape):
        last[s[at], at[1], at[2]] = src[at]
    yield case("scatter", [x, s, src], last, dim=0)
    rows = x.copy()
    np.add.at(rows, (slice(None), np.array([0, 2, 0])), x[:, ::-1] * 0.5)
    yield case("index_add", [x, np.array([0, 2, 0]), x[:, ::-1]], rows, dim=1, alpha=0.5)
    yield case("tril", [x], np.tril(x, 1), diagonal=1)
    yield case("triu", [x], np.triu(x, -1), diagonal=-1)
    yield case("one_hot", [np.array([1, 0, 3])], np.eye(5, dtype=np.int64)[[1, 0, 3]], num_classes=5)
    m = masks(4, 3)
    yield case("nonzero", [m], np.argwhere(m))
    yield case("masked_select", [x[:, :, 0], m], x[:, :, 0][m])


def creation():
    yield case("zeros", [], np.zeros((2, 3)), size=[2, 3], dtype="float64")
    yield case("ones", [], np.ones(4, np.int64), size=[4], dtype="int64")
    yield case("full", [], np.full((2, 2), 1.5), size=[2, 2], fill_value=1.5, dtype="float64")
    yield case("scalar_tensor", [], np.array(2.5), s=2.5, dtype="float64")
    x = values(2, 3)
    for name, f in (("zeros_like", np.zeros_like), ("ones_like", np.ones_like), ("empty_like", np.zeros_like)):
        yield case(name, [x], f(x))
        yield case(name, [x], f(x).astype(np.int64), dtype="int64")
    yield case("full_like", [x], np.full((2, 3), 3), fill_value=3, dtype="int64")
    yield case("arange", [], np.arange(5), end=5)
    yield case("arange", [], np.arange(2.5), end=2.5, dtype="float64")
    yield case("arange.start", [], np.arange(10, -5, -4), start=10, end=-5, step=-4)
    yield case("arange.start", [], np.arange(0.5, 2, 0.25), start=0.5, end=2, step=0.25, dtype="float64")
    yield case("linspace", [], np.linspace(-1, 2, 7), start=-1, end=2, steps=7, dtype="float64")
    yield case("eye", [], np.eye(2, 4), n=2, m=4, dtype="float64")


def cases():
    for part in (views, joins, indexing, creation):
        yield from part()
