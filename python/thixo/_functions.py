"""Functions that are simplest in Python. They stand apart from the package, where bool, int and float are dtypes."""

from . import _thixo
from ._thixo import Tensor


def is_tensor(obj):
    """Whether obj is a thixo.Tensor."""
    return isinstance(obj, Tensor)


def as_tensor(data, dtype=None, device=None):
    """data as a tensor, without a copy where that is possible."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if hasattr(data, "__array_interface__"):
        shared = _thixo.from_numpy(data)
        return shared if dtype is None else shared.to(dtype)
    return _thixo.tensor(data, dtype=dtype, device=device)


asarray = as_tensor


def numel(input):
    """The number of elements."""
    return input.numel()


def is_floating_point(input):
    """Whether the dtype is a floating-point type."""
    return input.is_floating_point()


def is_complex(input):
    """Whether the dtype is complex."""
    return input.is_complex()


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """|input - other| <= atol + rtol * |other| everywhere."""
    return isclose(input, other, rtol, atol, equal_nan).all().item()


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Elementwise: |input - other| <= atol + rtol * |other|."""
    close = ((input - other).abs() <= atol + rtol * other.abs()).logical_or(input == other)
    return close.logical_or((input != input).logical_and(other != other)) if equal_nan else close


def equal(input, other):
    """Same shape and the same elements."""
    return tuple(input.shape) == tuple(other.shape) and bool((input == other).all().item())
