"""Rows: softmax, normalisation and losses."""

import numpy as np
from golden import case
from scipy import special

from ._data import integers, values


def layer_norm(x, dims, weight=1.0, bias=0.0, eps=1e-5):
    away = x - x.mean(dims, keepdims=True)
    return away / np.sqrt((away**2).mean(dims, keepdims=True) + eps) * weight + bias


EPSILON = float(np.finfo(np.float64).eps)


def rms_norm(x, dims, weight=1.0, eps=EPSILON):
    return x / np.sqrt((x**2).mean(dims, keepdims=True) + eps) * weight


def reduced(loss, reduction, total=None):
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.sum() / (loss.size if total is None else total)


def cross_entropy(x, target, weight=None, ignore=-100, reduction="mean", smooth=0.0):
    """Row by row, over scores [N, C]."""
    n, classes = x.shape
    w = np.ones(classes) if weight is None else weight
    losses, total = np.zeros(n), 0.0
    for k in range(n):
        y = target[k]
        if y == ignore:
            continue
        minus_log = -(x[k] - special.logsumexp(x[k]))
        losses[k] = (1 - smooth) * w[y] * minus_log[y] + smooth / classes * np.sum(w * minus_log)
        total += w[y]
    return reduced(losses, reduction, total)


def cases():
    x = values(3, 5)
    for name, f in [("softmax", special.softmax), ("log_softmax", special.log_softmax)]:
        yield case(name, [x], f(x, axis=1), dim=1)
        yield case(name, [x], f(x, axis=0), dim=-2)
        yield case(name, [x * 100], f(x * 100, axis=1), dim=1)
        i = integers(2, 3)
        yield case(name, [i], f(i.astype(float), axis=1), dim=1, dtype="float64")

    y, w, b = values(2, 3, 4), values(3, 4), values(3, 4)
    yield case("layer_norm", [y, w, b], layer_norm(y, (1, 2), w, b), normalized_shape=[3, 4])
    yield case("layer_norm", [y, None, None], layer_norm(y, 2, eps=0.5), normalized_shape=[4], eps=0.5)
    yield case("rms_norm", [y, w], rms_norm(y, (1, 2), w), normalized_shape=[3, 4])
    yield case("rms_norm", [y, None], rms_norm(y, 2, eps=0.25), normalized_shape=[4], eps=0.25)

    t, weight = np.array([0, 4, 2]), values(5, low=0.5, high=2)
    for reduction in ("none", "mean", "sum"):
        yield case("cross_entropy", [x, t, None], cross_entropy(x, t, reduction=reduction), reduction=reduction)
        yield case(
            "cross_entropy",
            [x, t, weight],
            cross_entropy(x, t, weight, 4, reduction, 0.1),
            reduction=reduction,
            ignore_index=4,
            label_smoothing=0.1,
        )
        log_p = special.log_softmax(x, axis=1)
        picked = np.where(t == 2, 0, -weight[t] * log_p[np.arange(3), t])
        total = weight[t][t != 2].sum()
        yield case(
            "nll_loss", [log_p, t, weight], reduced(picked, reduction, total), reduction=reduction, ignore_index=2
        )
    yield case("nll_loss", [log_p, t, None], -log_p[np.arange(3), t].mean())
    image, labels = values(2, 4, 3), np.array([[0, 1, 2], [3, 0, 1]])
    flat = cross_entropy(np.moveaxis(image, 1, -1).reshape(-1, 4), labels.ravel(), reduction="none", smooth=0.2)
    yield case("cross_entropy", [image, labels, None], flat.reshape(2, 3), reduction="none", label_smoothing=0.2)
    yield case("cross_entropy", [x[0], np.array(3), None], cross_entropy(x[:1], [3]))
    soft = values(3, 5, low=0, high=1)
    smoothed = 0.9 * soft + 0.1 / 5
    yield case(
        "cross_entropy",
        [x, soft, None],
        np.mean(-(smoothed * special.log_softmax(x, axis=1)).sum(1)),
        label_smoothing=0.1,
    )

    u, v = values(3, 4), values(3, 4)
    p, pw = values(3, 4, low=0, high=1), values(4, low=0.5, high=2)
    for reduction in ("none", "mean", "sum"):
        yield case("mse_loss", [u, v], reduced((u - v) ** 2, reduction), reduction=reduction)
        yield case("l1_loss", [u, v], reduced(np.abs(u - v), reduction), reduction=reduction)
        plain = -(p * special.log_expit(u) + (1 - p) * special.log_expit(-u))
        yield case(
            "binary_cross_entropy_with_logits", [u, p, None, None], reduced(plain, reduction), reduction=reduction
        )
        rich = -(pw * p * special.log_expit(u) + (1 - p) * special.log_expit(-u)) * w[0]
        yield case("binary_cross_entropy_with_logits", [u, p, w[0], pw], reduced(rich, reduction), reduction=reduction)
