"""Contractions, convolution, pooling, batch norm and attention, as sums written out."""

import numpy as np
from golden import case
from scipy import special

from ._data import complexes, integers, masks, values


def pair(v):
    return (v, v) if isinstance(v, int) else tuple(v)


def windows(x, kernel, stride, padding, dilation, fill, ceil_mode=False):
    """Yields (row, column, window [n, c, kh, kw], how many of its places lie in the padded image) for each result."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = map(pair, (kernel, stride, padding, dilation))
    n, c, h, w = x.shape

    def count(size, k, s, p, d):
        free = size + 2 * p - d * (k - 1) - 1
        out = (-(-free // s) if ceil_mode else free // s) + 1
        return out - 1 if ceil_mode and (out - 1) * s >= size + p else out

    for r in range(count(h, kh, sh, ph, dh)):
        for q in range(count(w, kw, sw, pw, dw)):
            window = np.full((n, c, kh, kw), fill, x.dtype)
            inside = 0
            for a in range(kh):
                for b in range(kw):
                    i, j = r * sh - ph + a * dh, q * sw - pw + b * dw
                    inside += i < h + ph and j < w + pw
                    if 0 <= i < h and 0 <= j < w:
                        window[:, :, a, b] = x[:, :, i, j]
            yield r, q, window, inside


def assemble(parts):
    parts = list(parts)
    rows, columns = parts[-1][0] + 1, parts[-1][1] + 1
    out = np.zeros((*parts[0][2].shape, rows, columns))
    for r, q, v in parts:
        out[..., r, q] = v
    return out


def conv2d(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out_per, in_per = w.shape[0] // groups, w.shape[1]
    outs = []
    for g in range(groups):
        part = x[:, g * in_per : (g + 1) * in_per]
        kernel = w[g * out_per : (g + 1) * out_per]
        outs.append(
            assemble(
                (r, q, np.einsum("ncab,ocab->no", win, kernel))
                for r, q, win, _ in windows(part, w.shape[2:], stride, padding, dilation, 0.0)
            )
        )
    y = np.concatenate(outs, 1)
    return y if bias is None else y + bias[:, None, None]


def max_pool2d(x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False):
    parts = windows(x, kernel, stride or kernel, padding, dilation, -np.inf, ceil_mode)
    return assemble((r, q, win.max((2, 3))) for r, q, win, _ in parts)


def max_pool2d_places(x, places, *window):
    parts = zip(windows(x, *window[:4], -np.inf, window[4]), windows(places, *window[:4], -1.0, window[4]), strict=True)
    flat = ((r, q, v.reshape(*v.shape[:2], -1), at.reshape(*at.shape[:2], -1)) for (r, q, v, _), (_, _, at, _) in parts)
    return assemble((r, q, np.take_along_axis(at, v.argmax(-1)[..., None], -1)[..., 0]) for r, q, v, at in flat).astype(
        np.int64
    )


def avg_pool2d(x, kernel, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor=None):
    ones = windows(np.ones_like(x), kernel, stride or kernel, padding, 1, 0.0, ceil_mode)
    parts = []
    for (r, q, win, inside), (_, _, one, _) in zip(
        windows(x, kernel, stride or kernel, padding, 1, 0.0, ceil_mode), ones, strict=True
    ):
        n = divisor or (inside if count_include_pad else one[0, 0].sum())
        parts.append((r, q, win.sum((2, 3)) / n))
    return assemble(parts)


def attention(q, k, v, mask=None, causal=False, scale=None):
    s = q @ k.swapaxes(-1, -2) * (scale or 1 / np.sqrt(q.shape[-1]))
    if causal:
        s = np.where(np.tril(np.ones(s.shape[-2:], bool)), s, -np.inf)
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    return special.softmax(s, axis=-1) @ v


def matrices():
    a, b, v = values(2, 3, 4), values(4, 5), values(4)
    yield case("matmul", [a, b], a @ b)
    yield case("matmul", [v, v], v @ v)
    yield case("matmul", [a, v], a @ v)
    yield case("matmul", [v, b], v @ b)
    c, i, j = values(1, 4, 2), integers(2, 3), integers(3, 2)
    yield case("matmul", [a, c], a @ c)
    yield case("matmul", [i, j], i @ j)
    z, w = complexes(2, 3), complexes(3, 2)
    yield case("matmul", [z, w], z @ w)
    weight, bias = values(5, 4), values(5)
    yield case("linear", [a, weight, bias], a @ weight.T + bias)
    yield case("linear", [v, weight, None], weight @ v)


def images():
    x, w, b = values(2, 4, 5, 6), values(6, 4, 3, 2), values(6)
    yield case("conv2d", [x, w, b], conv2d(x, w, b))
    yield case("conv2d", [x, w, None], conv2d(x, w, stride=(2, 1), padding=(1, 2)), stride=[2, 1], padding=[1, 2])
    yield case("conv2d", [x, w, None], conv2d(x, w, dilation=2, padding=2), dilation=[2], padding=[2])
    grouped = values(6, 2, 3, 2)
    yield case("conv2d", [x, grouped, b], conv2d(x, grouped, b, groups=2), groups=2)
    for size in (3, 2):  # of an even kernel the larger half of the padding comes behind
        kernel = values(6, 4, size, 3)
        padded = np.pad(x, ((0, 0), (0, 0), ((size - 1) // 2, size // 2), (1, 1)))
        yield case("conv2d.padding", [x, kernel, b], conv2d(padded, kernel, b), stride=[1], padding="same")
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    kernel = values(4, 2, 3, 3)
    same = conv2d(padded, kernel, dilation=2, groups=2)
    yield case("conv2d.padding", [x, kernel, None], same, stride=[1, 1], padding="same", dilation=[2], groups=2)
    yield case("conv2d.padding", [x, w, None], conv2d(x, w, stride=2), stride=[2], padding="valid")
    yield case("max_pool2d", [x], max_pool2d(x, 2), kernel_size=[2])
    yield case(
        "max_pool2d", [x], max_pool2d(x, (3, 2), (2, 1), (1, 1)), kernel_size=[3, 2], stride=[2, 1], padding=[1, 1]
    )
    yield case(
        "max_pool2d",
        [x],
        max_pool2d(x, 2, 2, 0, (2, 1), True),
        kernel_size=[2],
        stride=[2],
        dilation=[2, 1],
        ceil_mode=True,
    )
    # The place of the largest value in its image, from the same windows over the places themselves.
    places = np.broadcast_to(np.arange(30.0).reshape(5, 6), x.shape)
    for kernel, stride, padding, dilation, ceil in [(2, 2, 0, 1, False), ((3, 2), (2, 1), (1, 1), (1, 2), True)]:
        at = max_pool2d_places(x, places, kernel, stride, padding, dilation, ceil)
        most = max_pool2d(x, kernel, stride, padding, dilation, ceil)
        sizes = {
            k: list(pair(v))
            for k, v in [("kernel_size", kernel), ("stride", stride), ("padding", padding), ("dilation", dilation)]
        }
        yield case("max_pool2d_with_indices", [x], [most, at], ceil_mode=ceil, **sizes)
    yield case("avg_pool2d", [x], avg_pool2d(x, 2), kernel_size=[2])
    yield case(
        "avg_pool2d", [x], avg_pool2d(x, 3, 2, 1, True), kernel_size=[3], stride=[2], padding=[1], ceil_mode=True
    )
    yield case(
        "avg_pool2d",
        [x],
        avg_pool2d(x, 3, 2, 1, False, False),
        kernel_size=[3],
        stride=[2],
        padding=[1],
        count_include_pad=False,
    )
    yield case("avg_pool2d", [x], avg_pool2d(x, 2, 2, 0, divisor=3), kernel_size=[2], divisor_override=3)


def normalised():
    x = values(4, 3, 2)
    w, b, mean, var = values(3), values(3), values(3), values(3, low=0.5, high=2)

    def spread(v):
        return v[None, :, None]

    trained = (x - x.mean((0, 2), keepdims=True)) / np.sqrt(x.var((0, 2), keepdims=True) + 0.1) * spread(w) + spread(b)
    moved = [0.7 * mean + 0.3 * x.mean((0, 2)), 0.7 * var + 0.3 * x.var((0, 2), ddof=1)]
    yield case("batch_norm", [x, mean, var, w, b], [trained, *moved], training=True, momentum=0.3, eps=0.1)
    used = (x - spread(mean)) / np.sqrt(spread(var) + 1e-5)
    yield case("batch_norm", [x, mean, var, None, None], [used, mean, var], training=False)


def attentions():
    q, k, v = values(2, 3, 4, 5), values(2, 3, 6, 5), values(2, 3, 6, 7)
    name = "scaled_dot_product_attention"
    yield case(name, [q, k, v, None], attention(q, k, v))
    yield case(name, [q, k, v, None], attention(q, k, v, causal=True, scale=0.5), is_causal=True, scale=0.5)
    bias, keep = values(4, 6), masks(4, 6)
    keep[:, 0] = True
    yield case(name, [q, k, v, bias], attention(q, k, v, bias), dropout_p=0.0)
    yield case(name, [q, k, v, keep], attention(q, k, v, keep))


def cases():
    for part in (matrices, images, normalised, attentions):
        yield from part()
