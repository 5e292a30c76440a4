"""thixo: a deep-learning framework, fluid to write and solid to ship. PyTorch's names; `import thixo as torch` works.

>>> x = thixo.tensor([1., 2.], requires_grad=True)
>>> (x * x).sum().backward(); x.grad
tensor([2., 4.])
"""

from . import _thixo
from ._thixo import *  # noqa: F403 -- dtypes, errors, tensor(), generators
from ._thixo import Tensor, ops
from ._tensor import Size
from ._grad_mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

globals().update({name: getattr(ops, name) for name in dir(ops) if name[0] != "_" and name not in _thixo._nn_ops})

from . import autograd, nn, optim, utils  # noqa: E402
from ._compile import compile, explain  # noqa: E402

__version__ = "0.1.0"

contiguous_format, channels_last, preserve_format = "contiguous_format", "channels_last", "preserve_format"
strided = "strided"
float, double, half = _thixo.float32, _thixo.float64, _thixo.float16
long, int, short = _thixo.int64, _thixo.int32, _thixo.int16
cfloat, cdouble = _thixo.complex64, _thixo.complex128


def is_tensor(obj):
    """Whether obj is a thixo.Tensor."""
    return isinstance(obj, Tensor)


def as_tensor(data, dtype=None, device=None):
    """data as a tensor, without a copy where that is possible."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if hasattr(data, "__array_interface__"):
        shared = from_numpy(data)  # noqa: F405
        return shared if dtype is None else shared.to(dtype)
    return tensor(data, dtype=dtype, device=device)  # noqa: F405


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
