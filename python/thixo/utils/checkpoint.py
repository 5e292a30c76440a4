"""Less memory for more time: inner values are computed again in backward."""

from .. import _thixo
from .._tree import flatten as _flatten
from .._tree import unflatten as _unflatten


def checkpoint(function, *args, use_reentrant=None, preserve_rng_state=True, **kwargs):
    """function(*args) whose inner values are not kept but computed again in backward.

    >>> x = thixo.ones(2, requires_grad=True)
    >>> thixo.utils.checkpoint.checkpoint(lambda v: v.exp().sum(), x).backward()
    >>> x.grad
    tensor([2.7183, 2.7183])
    """
    tensors = []
    spec = _flatten((args, kwargs), tensors)
    out_spec = None

    def flat(values):
        nonlocal out_spec
        a, k = _unflatten(spec, iter(values))
        out = []
        out_spec = _flatten(function(*a, **k), out)
        return out

    results = _thixo._checkpoint(flat, tensors)
    return _unflatten(out_spec, iter(results))
