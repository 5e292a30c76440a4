"""thixo: a deep-learning framework, fluid to write and solid to ship. PyTorch's names; `import thixo as torch` works.

>>> x = thixo.tensor([1., 2.], requires_grad=True)
>>> (x * x).sum().backward(); x.grad
tensor([2., 4.])
"""

# ruff: noqa: E402, F401, F405, I001 -- names for users; Tensor must be whole before what uses it is imported

from . import _thixo
from ._thixo import *  # noqa: F403 -- dtypes, errors, tensor(), generators
from ._thixo import Tensor, ops
from ._tensor import Size
from ._grad_mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

globals().update({name: getattr(ops, name) for name in dir(ops) if name[0] != "_" and name not in _thixo._nn_ops})

from . import amp, autograd, cuda, func, nn, optim, profiler, utils
from .amp import autocast
from .func import vmap
from ._compile import compile, explain
from ._files import load, save
from ._functions import (
    allclose, as_tensor, asarray, equal, finfo, iinfo, is_complex, is_floating_point, is_tensor, isclose, numel,
    set_printoptions,
)  # fmt: skip

__version__ = _thixo.__version__

contiguous_format, channels_last, preserve_format = "contiguous_format", "channels_last", "preserve_format"
strided = "strided"
float, double, half = _thixo.float32, _thixo.float64, _thixo.float16
long, int, short = _thixo.int64, _thixo.int32, _thixo.int16
cfloat, cdouble = _thixo.complex64, _thixo.complex128
e, inf, nan, pi, newaxis = 2.718281828459045, _thixo._inf, _thixo._nan, 3.141592653589793, None
_thixo._set_package(__path__[0])  # errors name the innermost place outside
