"""no_grad and its relatives: context managers and decorators over the grad mode of this thread."""

import functools

from . import _thixo

_CO_GENERATOR = 0x20  # inspect.CO_GENERATOR, whose module is slow to import


def _within(mode, function):
    """function, run in this grad mode; a generator's steps, but not what its caller does between them."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        with _Scope(mode):
            return function(*args, **kwargs)

    @functools.wraps(function)
    def steps(*args, **kwargs):
        generator = function(*args, **kwargs)
        step, value = generator.send, None
        while True:
            try:
                with _Scope(mode):
                    result = step(value)
            except StopIteration as end:
                return end.value
            try:
                step, value = generator.send, (yield result)
            except GeneratorExit:
                with _Scope(mode):
                    generator.close()
                raise
            except BaseException as e:
                step, value = generator.throw, e

    code = getattr(function, "__code__", None)
    return steps if code is not None and code.co_flags & _CO_GENERATOR else run


class _Scope:
    def __init__(self, mode):
        self.mode = mode

    def __enter__(self):
        self.before = _thixo._is_grad_enabled()
        _thixo._set_grad_enabled(self.mode)
        return self

    def __exit__(self, *exc):
        _thixo._set_grad_enabled(self.before)


class set_grad_enabled(_Scope):
    """Sets grad mode; as a context manager or decorator for a scope.

    >>> with thixo.set_grad_enabled(False): thixo.is_grad_enabled()
    False
    """

    def __init__(self, mode):
        super().__init__(bool(mode))
        _Scope.__enter__(self)

    def __enter__(self):
        _thixo._set_grad_enabled(self.mode)  # `before` is that of the call
        return self

    def __call__(self, function):
        self.__exit__()  # a decorator is for its function alone
        return _within(self.mode, function)


class _Mode:
    mode = False

    def __new__(cls, function=None):
        return super().__new__(cls) if function is None else _within(cls.mode, function)

    def __init__(self, function=None):
        self.before = []

    def __enter__(self):
        self.before.append(_thixo._is_grad_enabled())
        _thixo._set_grad_enabled(self.mode)
        return self

    def __exit__(self, *exc):
        _thixo._set_grad_enabled(self.before.pop())

    def __call__(self, function):
        return _within(self.mode, function)


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

    def __new__(cls, mode=True):
        return super().__new__(cls, mode if callable(mode) else None)

    def __init__(self, mode=True):
        super().__init__()
        self.mode = not mode


def is_grad_enabled():
    """Whether calls are recorded for backward.

    >>> thixo.is_grad_enabled()
    True
    """
    return _thixo._is_grad_enabled()
