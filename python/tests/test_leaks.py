"""Calls made again and again leave nothing behind: objects of Python and memory of tensors are counted."""

import copy
import gc
import itertools
import pickle
import sys

import numpy as np
import pytest
import thixo
from thixo import nn

NET = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
OPT = thixo.optim.Adam(NET.parameters())
X, Y, A = thixo.ones(3, 4), thixo.tensor([0, 1, 1]), np.ones(4, "f")
W = thixo.ones(2, requires_grad=True)


class Double(thixo.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx, g):
        assert len(ctx.saved_tensors) == 1
        return g * 2


class Cyclic(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = nn.Sequential(self.a)
        self.me = [self]


def train():
    OPT.zero_grad()
    nn.functional.cross_entropy(NET(X), Y).backward()
    OPT.step()


def failures():
    for call in (lambda: X + thixo.ones(5), lambda: X.sum(dmi=3), lambda: X[9]):
        with pytest.raises((ValueError, TypeError, IndexError)):
            call()


CALLS = {
    "operators": lambda: (X + X, X * 2.0, X == X, -X),
    "indexing": lambda: (X[0, 1:], X[X > 0], X.__setitem__((0, 0), 1.0)),
    "several results": lambda: (X.max(1), X.split(1), list(X)),
    "keywords": lambda: (thixo.sum(X, dim=1, keepdim=True), thixo.add(X, X, out=X.clone())),
    "attributes": lambda: (X.shape, X.dtype, X.device, X.stride(), X.tolist(), f"{X[0, 0]:.2f} {X}"),
    "arrays": lambda: (thixo.from_numpy(A).numpy(), np.from_dlpack(thixo.from_dlpack(A)), X.__dlpack__()),
    "training": train,
    "custom function": lambda: Double.apply(W).sum().backward(),
    "hooks": lambda: (W * 2).register_hook(lambda g: g),
    "transforms": lambda: thixo.func.vmap(thixo.func.grad(lambda v: (v * v).sum()))(X),
    "errors": failures,
    "modules": Cyclic,
    "copies": lambda: (copy.deepcopy(NET), pickle.loads(pickle.dumps(X)), NET.load_state_dict(NET.state_dict())),
    "loader": lambda: list(thixo.utils.data.DataLoader(thixo.utils.data.TensorDataset(X, Y), batch_size=2)),
    "compile": lambda: thixo.compile(lambda x: x * 2 + 1)(X),
}


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_left_behind(name):
    call, times = CALLS[name], 60
    W.grad = None

    def counted():
        for _ in range(times):
            call()
        gc.collect()
        return sys.getallocatedblocks(), thixo.memory_stats()["blocks"]

    counted()  # caches fill
    counts = [counted() for _ in range(4)]
    # What leaks adds at least one object at each call, every time; the interpreter's own caches fill more slowly.
    assert min(b[0] - a[0] for a, b in itertools.pairwise(counts)) < times, counts
    assert counts[-1][1] <= counts[0][1], counts
