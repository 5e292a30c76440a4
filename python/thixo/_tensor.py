"""Parts of Tensor that are simplest in Python: sizes, dtype shorthands, arrays, hooks, copies."""

import weakref

from . import _thixo
from ._thixo import Tensor


class Size(tuple):
    """The sizes of a tensor.

    >>> thixo.Size([2, 3]).numel()
    6
    """

    __slots__ = ()

    def numel(self):
        """The number of elements of a tensor of this size.

        >>> thixo.ones(2, 3).shape.numel()
        6
        """
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
    """What registering a hook returns; remove() takes the hook away. Also a context manager."""

    def __init__(self, remove):
        self._remove = remove

    def remove(self):
        """Takes the hook away."""
        self._remove()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def numpy(self, *, force=False):
    """The values as a NumPy array over the same memory; force=True detaches first.

    >>> x = thixo.ones(2)
    >>> x.numpy()[0] = 5; x
    tensor([5., 1.])
    """
    import numpy

    return numpy.asarray(self.detach() if force else self)


def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
    return _thixo._to_dlpack(self, stream, max_version, dl_device, copy)


def __dlpack_device__(self):
    return (1, 0)


def __format__(self, spec):
    return format(self.item(), spec) if self.dim() == 0 and spec else object.__format__(self, spec)


def __complex__(self):
    return complex(self.item())


def _register(tensor, register, hook):
    """Of a leaf, C++ holds a function that finds the hook in the tensor: there the garbage collector sees it."""
    if not tensor.is_leaf:
        number = register(tensor, hook)
        return RemovableHandle(lambda: tensor._remove_hook(number))
    this, key = weakref.ref(tensor), object()
    number = register(tensor, lambda value: this().__dict__["_hooks"][key](value))
    hooks = tensor.__dict__.setdefault("_hooks", {})
    hooks[key] = hook

    def remove():
        tensor._remove_hook(number)
        hooks.pop(key, None)

    return RemovableHandle(remove)


def __contains__(self, element):
    same = self == element
    if not isinstance(same, Tensor):
        raise TypeError(f"a tensor holds numbers, not {type(element).__name__}")
    return same.any().item()


def __reversed__(self):
    return self if self.dim() == 0 else self.flip(0)


def register_hook(self, hook):
    """Calls hook(grad) when the gradient is computed; what it returns replaces it.

    >>> x = thixo.ones(1, requires_grad=True)
    >>> handle = x.register_hook(lambda g: g * 10)
    >>> x.sum().backward(); x.grad
    tensor([10.])
    """
    return _register(self, Tensor._register_hook, hook)


def register_post_accumulate_grad_hook(self, hook):
    """Calls hook(tensor) once the gradient of this leaf has been added to its .grad.

    >>> x = thixo.ones(1, requires_grad=True)
    >>> handle = x.register_post_accumulate_grad_hook(lambda t: print(t.grad))
    >>> x.sum().backward()
    tensor([1.])
    """
    return _register(self, _thixo._post_accumulate_hook, hook)


def _shorthand(dtype, name):
    def convert(self):
        return self.to(dtype)

    convert.__name__ = convert.__qualname__ = name
    convert.__doc__ = f"The values as {dtype}.\n\n>>> thixo.ones(1).{name}().dtype\n{dtype}"
    return convert


_SHORTHANDS = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "bfloat16": "bfloat16",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "char": "int8",
    "byte": "uint8",
    "bool": "bool",
    "cfloat": "complex64",
    "cdouble": "complex128",
}
for _name, _dtype in _SHORTHANDS.items():
    setattr(Tensor, _name, _shorthand(getattr(_thixo, _dtype), _name))


def type_as(self, other):
    """The values as the dtype of other.

    >>> thixo.arange(2).type_as(thixo.ones(1))
    tensor([0., 1.])
    """
    return self.to(other.dtype)


def cpu(self):
    """The tensor itself: it is on the CPU.

    >>> thixo.ones(1).cpu()
    tensor([1.])
    """
    return self


def is_signed(self):
    """Whether the dtype has negative values.

    >>> thixo.ones(1).is_signed()
    True
    """
    return self.dtype.is_signed


def is_same_size(self, other):
    """Whether the shapes are equal.

    >>> thixo.ones(2).is_same_size(thixo.zeros(2))
    True
    """
    return self.shape == other.shape


def _sizes(size):
    return tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size


def _reshaping(name, example):
    def form(self, *args, **kwargs):
        if self.requires_grad:
            raise _thixo.ValueError(f"{name}_: a tensor that takes part in gradients keeps its shape; use {name}()")
        self.data = getattr(self, name)(*args, **kwargs)
        return self

    form.__name__ = form.__qualname__ = name + "_"
    form.__doc__ = f"What {name} gives, in place: over the same memory.\n\n>>> thixo.ones(1, 2).{example}.shape\n"
    return form


_RESHAPING = {
    "squeeze": ("squeeze_(0)", [2]),
    "unsqueeze": ("unsqueeze_(0)", [1, 1, 2]),
    "t": ("t_()", [2, 1]),
    "transpose": ("transpose_(0, 1)", [2, 1]),
}
for _name, (_example, _shape) in _RESHAPING.items():
    _f = _reshaping(_name, _example)
    _f.__doc__ += f"thixo.Size({_shape})"
    setattr(Tensor, _f.__name__, _f)


def nonzero(self, *, as_tuple=False):
    """The places of elements that are not zero, a row each; as_tuple: the indices along each dim, as x[...] takes them.

    >>> thixo.tensor([[0, 1], [2, 0]]).nonzero(as_tuple=True)
    (tensor([0, 1]), tensor([1, 0]))
    """
    places = _thixo.ops.nonzero(self.reshape(1) if as_tuple and self.dim() == 0 else self)
    return tuple(places.unbind(1)) if as_tuple else places


def new_tensor(self, data, *, dtype=None, requires_grad=False):
    """A tensor with a copy of the data, of this tensor's dtype unless another is given.

    >>> thixo.ones(1, dtype=thixo.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=thixo.float64)
    """
    return _thixo.tensor(data, dtype=dtype or self.dtype, requires_grad=requires_grad)


def new_empty(self, *size, dtype=None, requires_grad=False):
    """Uninitialised memory of this tensor's dtype.

    >>> thixo.ones(1).new_empty(2, 3).shape
    thixo.Size([2, 3])
    """
    return _thixo.empty(_sizes(size), dtype=dtype or self.dtype, requires_grad=requires_grad)


def new_full(self, size, fill_value, *, dtype=None, requires_grad=False):
    """A constant of this tensor's dtype.

    >>> thixo.ones(1).new_full((2,), 7)
    tensor([7., 7.])
    """
    return _thixo.ops.full(size, fill_value, dtype=dtype or self.dtype, requires_grad=requires_grad)


def new_zeros(self, *size, dtype=None, requires_grad=False):
    """Zeros of this tensor's dtype.

    >>> thixo.ones(1).new_zeros(2)
    tensor([0., 0.])
    """
    return _thixo.ops.zeros(_sizes(size), dtype=dtype or self.dtype, requires_grad=requires_grad)


def new_ones(self, *size, dtype=None, requires_grad=False):
    """Ones of this tensor's dtype.

    >>> thixo.arange(1).new_ones(2)
    tensor([1, 1])
    """
    return _thixo.ops.ones(_sizes(size), dtype=dtype or self.dtype, requires_grad=requires_grad)


def _attributes(self):
    """What a copy has too: hooks stay with the tensor that they watch."""
    return {k: v for k, v in self.__dict__.items() if k != "_hooks"}


def __deepcopy__(self, memo):
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise _thixo.ValueError("only leaf tensors can be deep-copied: use detach() first")
    import copy

    twin = _thixo._make_subclass(type(self), self.detach().clone(), self.requires_grad)
    memo[id(self)] = twin
    twin.__dict__.update(copy.deepcopy(_attributes(self), memo))
    if self.grad is not None:
        twin.grad = self.grad.clone()
    return twin


def __reduce_ex__(self, protocol):
    state = _attributes(self) or None
    args = (type(self), _thixo._to_bytes(self), self.dtype, tuple(self.shape), self.requires_grad)
    return _rebuild, args, state


def _rebuild(cls, values, dtype, shape, requires_grad):
    return _thixo._make_subclass(cls, _thixo._from_bytes(values, dtype, shape), requires_grad)


for _f in (
    numpy, __contains__, __reversed__, __dlpack__, __dlpack_device__, __format__, __complex__, register_hook,
    register_post_accumulate_grad_hook, type_as, cpu, is_signed, is_same_size, new_tensor, new_empty, new_full,
    new_zeros, new_ones, nonzero, __deepcopy__, __reduce_ex__,
):  # fmt: skip
    setattr(Tensor, _f.__name__, _f)
Tensor.is_cpu = property(lambda self: True, doc="Whether the tensor is in the processor's memory.")
Tensor.is_cuda = property(lambda self: False, doc="Whether the tensor is on a CUDA device.")
Tensor.ndimension = Tensor.dim
Tensor.__array_priority__ = 1000  # array * tensor and numpy.float64(2) * tensor are tensors
Tensor.nelement = Tensor.numel
