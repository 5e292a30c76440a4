"""Functions that are simplest in Python. They stand apart from the package, where bool, int and float are dtypes."""

from . import _thixo
from ._thixo import Tensor


def is_tensor(obj):
    """Whether obj is a thixo.Tensor.

    >>> thixo.is_tensor(thixo.ones(1)), thixo.is_tensor(1)
    (True, False)
    """
    return isinstance(obj, Tensor)


def as_tensor(data, dtype=None, device=None):
    """data as a tensor, without a copy where that is possible.

    >>> x = thixo.ones(1)
    >>> thixo.as_tensor(x) is x
    True
    """
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if hasattr(data, "__array_interface__") and hasattr(data, "flags"):
        shared = _thixo.from_numpy(data)
        return shared if dtype is None else shared.to(dtype)
    return _thixo.tensor(data, dtype=dtype, device=device)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """obj as a tensor; copy=True copies in any case.

    >>> thixo.asarray([1, 2])
    tensor([1, 2])
    """
    t = as_tensor(obj, dtype, device)
    if copy:
        t = t.clone()
    return t.detach().requires_grad_() if requires_grad else t


def numel(input):
    """The number of elements.

    >>> thixo.numel(thixo.ones(2, 3))
    6
    """
    return input.numel()


def is_floating_point(input):
    """Whether the dtype is a floating-point type.

    >>> thixo.is_floating_point(thixo.ones(1))
    True
    """
    return input.is_floating_point()


def is_complex(input):
    """Whether the dtype is complex.

    >>> thixo.is_complex(thixo.ones(1))
    False
    """
    return input.is_complex()


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Elementwise: |input - other| <= atol + rtol * |other|.

    >>> thixo.isclose(thixo.tensor([1., 2.]), thixo.tensor([1., 2.1]))
    tensor([ True, False])
    """
    exact = input == other
    input, other = (
        t if t.dtype.is_floating_point or t.dtype.is_complex else t.to(_thixo.float64) for t in (input, other)
    )
    distance = (input - other).abs()
    near = distance.isfinite().logical_and(distance <= atol + rtol * other.abs())  # infinity is close to itself alone
    close = exact.logical_or(near)
    return close.logical_or((input != input).logical_and(other != other)) if equal_nan else close


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """|input - other| <= atol + rtol * |other| everywhere.

    >>> thixo.allclose(thixo.ones(2), thixo.ones(2) + 1e-7)
    True
    """
    return isclose(input, other, rtol, atol, equal_nan).all().item()


def equal(input, other):
    """Same shape and the same elements.

    >>> thixo.equal(thixo.ones(2), thixo.ones(2)), thixo.equal(thixo.ones(2), thixo.ones(3))
    (True, False)
    """
    return input.shape == other.shape and (input == other).all().item()


class finfo:
    """The limits of a floating-point dtype.

    >>> thixo.finfo(thixo.float32).eps
    1.1920928955078125e-07
    """

    # bits of the fraction, largest exponent
    _FORMATS = {"float64": (52, 1023), "float32": (23, 127), "float16": (10, 15), "bfloat16": (7, 127)}  # noqa: RUF012

    def __init__(self, dtype=None):
        self.dtype = _thixo.get_default_dtype() if dtype is None else dtype
        name = str(self.dtype).removeprefix("thixo.")
        if name not in self._FORMATS:
            raise _thixo.DTypeError(f"finfo: {name} is no floating-point dtype")
        fraction, exponent = self._FORMATS[name]
        self.bits = self.dtype.itemsize * 8
        self.eps = 2.0**-fraction
        self.max = (2 - 2.0**-fraction) * 2.0**exponent
        self.min = -self.max
        self.tiny = self.smallest_normal = 2.0 ** (1 - exponent)

    def __repr__(self):
        return f"finfo(dtype={self.dtype}, eps={self.eps:g}, max={self.max:g}, min={self.min:g}, tiny={self.tiny:g})"


class iinfo:
    """The limits of an integer dtype.

    >>> thixo.iinfo(thixo.int8).max
    127
    """

    def __init__(self, dtype):
        name = str(dtype).removeprefix("thixo.")
        if "int" not in name:
            raise _thixo.DTypeError(f"iinfo: {name} is no integer dtype")
        self.dtype, self.bits = dtype, dtype.itemsize * 8
        signed = dtype.is_signed
        self.min = -(2 ** (self.bits - 1)) if signed else 0
        self.max = 2 ** (self.bits - signed) - 1

    def __repr__(self):
        return f"iinfo(dtype={self.dtype}, min={self.min}, max={self.max})"


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """How tensors are printed; what is not given stays, profile="default" resets first.

    >>> thixo.set_printoptions(precision=2); thixo.tensor([1 / 3])
    tensor([0.33])
    >>> thixo.set_printoptions(profile="default")
    """
    if profile not in (None, "default", "full", "short"):
        raise _thixo.ValueError(f"set_printoptions: unknown profile '{profile}'")
    _thixo._set_print_options(profile, precision, threshold, edgeitems, linewidth, sci_mode)
