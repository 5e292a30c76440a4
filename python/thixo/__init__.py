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
from ._functions import (  # noqa: E402
    allclose,
    as_tensor,
    asarray,
    equal,
    is_complex,
    is_floating_point,
    is_tensor,
    isclose,
    numel,
)

__version__ = "0.1.0"

contiguous_format, channels_last, preserve_format = "contiguous_format", "channels_last", "preserve_format"
strided = "strided"
float, double, half = _thixo.float32, _thixo.float64, _thixo.float16
long, int, short = _thixo.int64, _thixo.int32, _thixo.int16
cfloat, cdouble = _thixo.complex64, _thixo.complex128
