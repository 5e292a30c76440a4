"""Parts of Tensor that are simplest in Python: sizes, dtype shorthands, arrays, hooks."""

from . import _thixo
from ._thixo import Tensor


class Size(tuple):
    """The sizes of a tensor."""

    __slots__ = ()

    def numel(self):
        """The number of elements of a tensor of this size."""
        n = 1
        for d in self:
            n *= d
        return n

    def __repr__(self):
        return f"thixo.Size({list(self)})"

    def __getitem__(self, i):
        item = tuple.__getitem__(self, i)
        return Size(item) if isinstance(i, slice) else item

    def __add__(self, other):
        return Size(tuple.__add__(self, other))


_thixo._set_size_type(Size)


class RemovableHandle:
    """What register_hook returns; remove() takes the hook away. Also a context manager."""

    def __init__(self, tensor, hook_id):
        self._tensor, self._id = tensor, hook_id

    def remove(self):
        """Takes the hook away."""
        self._tensor._remove_hook(self._id)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def _numpy(self, *, force=False):
    """The values as a NumPy array over the same memory."""
    import numpy

    x = self.detach() if force else self
    return numpy.asarray(x)


def _register_hook(self, hook):
    """Calls hook(grad) when the gradient is computed; what it returns replaces it."""
    return RemovableHandle(self, self._register_hook(hook))


def _shorthand(dtype, name):
    def convert(self):
        return self.to(dtype)

    convert.__name__ = convert.__qualname__ = name
    convert.__doc__ = f"The values as {dtype}."
    return convert


for _name, _dtype in dict(
    float="float32",
    double="float64",
    half="float16",
    bfloat16="bfloat16",
    long="int64",
    int="int32",
    short="int16",
    char="int8",
    byte="uint8",
    bool="bool",
    cfloat="complex64",
    cdouble="complex128",
).items():
    setattr(Tensor, _name, _shorthand(getattr(_thixo, _dtype), _name))


def _type_as(self, other):
    """The values as the dtype of other."""
    return self.to(other.dtype)


def _cpu(self):
    """The tensor itself: it is on the CPU."""
    return self


def _dlpack_device(self):
    return (1, 0)


def _deepcopy(self, memo):
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise _thixo.ValueError("only leaf tensors can be deep-copied: use detach() first")
    values = self.detach().clone()
    copy = _thixo._make_subclass(type(self), values, self.requires_grad)
    copy.__dict__.update(self.__dict__)
    if self.grad is not None:
        copy.grad = self.grad.clone()
    memo[id(self)] = copy
    return copy


def _reduce(self):
    return _rebuild, (
        type(self),
        self.detach().contiguous().tolist(),
        str(self.dtype)[6:],
        tuple(self.shape),
        self.requires_grad,
    )


def _rebuild(cls, values, dtype, shape, requires_grad):
    t = _thixo.tensor(values, dtype=getattr(_thixo, dtype)).reshape(shape)
    return _thixo._make_subclass(cls, t, requires_grad)


Tensor.numpy = _numpy
Tensor.register_hook = _register_hook
Tensor.type_as = _type_as
Tensor.cpu = _cpu
Tensor.__dlpack_device__ = _dlpack_device
Tensor.__deepcopy__ = _deepcopy
Tensor.__reduce__ = _reduce
Tensor.ndimension = Tensor.dim
Tensor.nelement = Tensor.numel
