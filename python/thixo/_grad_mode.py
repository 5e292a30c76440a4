"""no_grad and its relatives: context managers and decorators over the grad mode of this thread."""

import functools

from . import _thixo


class set_grad_enabled:
    """Sets grad mode; as a context manager or decorator for a scope.

    >>> with thixo.set_grad_enabled(False): thixo.is_grad_enabled()
    False
    """

    def __init__(self, mode):
        self.before = _thixo._is_grad_enabled()
        self.mode = bool(mode)
        _thixo._set_grad_enabled(self.mode)

    def __enter__(self):
        _thixo._set_grad_enabled(self.mode)
        return self

    def __exit__(self, *exc):
        _thixo._set_grad_enabled(self.before)


class _Mode:
    mode = False

    def __init__(self, function=None):
        self.function = function
        self.before = []
        if function is not None:
            functools.update_wrapper(self, function)

    def __enter__(self):
        self.before.append(_thixo._is_grad_enabled())
        _thixo._set_grad_enabled(self.mode)
        return self

    def __exit__(self, *exc):
        _thixo._set_grad_enabled(self.before.pop())

    def __call__(self, *args, **kwargs):
        if self.function is None:  # @no_grad(): called with the function to wrap
            return type(self)(args[0])
        with type(self)():
            return self.function(*args, **kwargs)

    def __get__(self, obj, cls=None):
        return self if obj is None else functools.partial(self, obj)


class no_grad(_Mode):
    """Nothing is recorded for backward inside.

    >>> with thixo.no_grad(): (thixo.ones(1, requires_grad=True) * 2).requires_grad
    False
    """


class enable_grad(_Mode):
    """Recording is on inside, also within no_grad.

    >>> with thixo.no_grad(), thixo.enable_grad(): (thixo.ones(1, requires_grad=True) * 2).requires_grad
    True
    """

    mode = True


class inference_mode(no_grad):
    """The same as no_grad here: tensors made in it are ordinary ones.

    >>> with thixo.inference_mode(): (thixo.ones(1, requires_grad=True) * 2).requires_grad
    False
    """

    def __init__(self, mode=True):
        super().__init__(mode if callable(mode) else None)
        self.mode = False if callable(mode) else not mode


def is_grad_enabled():
    """Whether calls are recorded for backward.

    >>> thixo.is_grad_enabled()
    True
    """
    return _thixo._is_grad_enabled()
