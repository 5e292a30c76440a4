"""compile: the same function, recorded at its first call and replayed as one plan."""

import functools
import itertools
import weakref

from . import _thixo
from ._tree import flatten, key, unflatten


class CompiledFunction:
    """What compile returns. Calls with arguments of a new kind record; the others replay."""

    def __init__(self, fn):
        self.fn = fn
        self._programs = {}
        module = fn if hasattr(fn, "training") else getattr(fn, "__self__", None)
        self._module = module if hasattr(module, "training") else None
        functools.update_wrapper(self, fn, updated=())

    def _prepare(self, args, kwargs):
        tensors = []
        spec = flatten((args, kwargs), tensors)
        name = key(spec) + self._modes()
        program = self._programs.get(name)
        if program is None:
            program = self._programs[name] = _Program(self.fn, spec)
        return program, tensors

    def _modes(self):
        m = self._module
        if m is None:
            return ""
        return f"|modes={m._modes():x}" if isinstance(m, _thixo._nn.Module) else f"|training={m.training}"

    def __call__(self, *args, **kwargs):
        program, tensors = self._prepare(args, kwargs)
        out = program.run(tensors)
        if out is None:  # part of another recording, or of a transform
            return self.fn(*args, **kwargs)
        return unflatten(program.forms[out[1]], iter(out[0]))

    def __get__(self, obj, cls=None):
        return self if obj is None else functools.partial(self, obj)

    def __getattr__(self, name):
        return getattr(self.fn, name)  # a compiled module is used like the module


class _Program:
    """One way to call the function: with arguments of this form. It stands for several recordings (shapes, dtypes, grad
    mode), and each returns what it does: `forms` has their specs, by the number that the recording keeps. `flat` and
    the specs are held here and not by C++, where the garbage collector does not look: net.step =
    thixo.compile(net.step) would never go."""

    def __init__(self, fn, spec):
        self.forms = {}
        numbers = itertools.count()
        this = weakref.ref(self)

        def flat(tensors):
            args, kwargs = unflatten(spec, iter(tensors))
            out, form = [], next(numbers)
            this().forms[form] = flatten(fn(*args, **kwargs), out)
            return out, form

        self.flat = flat
        held = weakref.ref(flat)
        self.run = _thixo._CompiledFunction(lambda tensors: held()(tensors))


def compile(model=None, **options):
    """The function or module, recorded at its first call and run as one optimised plan afterwards.

    A whole training step may be one function: forward, backward() and the optimizer's step.

    >>> f = thixo.compile(lambda x: (x * 2 + 1).sum())
    >>> f(thixo.ones(3))
    tensor(9.)
    """
    if model is None:
        return functools.partial(compile, **options)
    return CompiledFunction(model)


def explain(fn):
    """explain(f)(x): what compile makes of f for these arguments, as text.

    >>> "exp" in thixo.explain(lambda x: (x * 2).exp())(thixo.ones(3))
    True
    """
    compiled = fn if isinstance(fn, CompiledFunction) else CompiledFunction(fn)

    def text(*args, **kwargs):
        program, tensors = compiled._prepare(args, kwargs)
        return program.run.explain(tensors)

    return text
