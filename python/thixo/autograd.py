"""Gradients: grad, backward, custom functions, checks."""

from . import _thixo
from ._grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled  # noqa: F401
from ._thixo import Tensor


def _list(x):
    return [] if x is None else [x] if isinstance(x, Tensor) else list(x)


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Adds the gradients of the sum of the tensors to the .grad of the leaves.

    >>> x = thixo.ones(2, requires_grad=True)
    >>> thixo.autograd.backward([(x * 3).sum()]); x.grad
    tensor([3., 3.])
    """
    _thixo._backward(_list(tensors), _list(grad_tensors), retain_graph, create_graph, _list(inputs))


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    allow_unused=None,
    materialize_grads=False,
):
    """The gradients of the sum of outputs with respect to the inputs, as a tuple.

    >>> x = thixo.tensor(3., requires_grad=True)
    >>> thixo.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    return tuple(
        _thixo._grad(
            _list(outputs),
            _list(inputs),
            _list(grad_outputs),
            retain_graph,
            create_graph,
            bool(allow_unused or materialize_grads),
            materialize_grads,
        )
    )


class _Context:
    """What forward and backward of a Function share."""

    def __init__(self, cls, args, places):
        self._cls, self._args, self._places = cls, args, places
        self._open = None

    @property
    def _core(self):
        """What C++ has of this call, while forward or backward runs: it may free it afterwards."""
        if self._open is None:
            raise _thixo.ValueError(
                f"{self._cls.__name__}: its context was used outside of forward and backward\n"
                "  fix   keep what you need of it (ctx.saved_tensors, say) while they run"
            )
        return self._open

    def _with(self, core, f, *args):
        before, self._open = self._open, core
        try:
            return f(*args)
        finally:
            self._open = before

    def save_for_backward(self, *tensors):
        """Keeps tensors for backward; an overwritten one is an error there."""
        self._core.save_for_backward(list(tensors))

    @property
    def saved_tensors(self):
        """What save_for_backward kept."""
        return tuple(self._core.saved_tensors())

    @property
    def needs_input_grad(self):
        """Per argument of forward: whether it wants a gradient."""
        needs = [False] * len(self._args)
        for k, place in enumerate(self._places):
            needs[place] = self._core.needs_input_grad(k)
        return tuple(needs)

    def mark_non_differentiable(self, *tensors):
        """These results get no gradient."""
        for t in tensors:
            self._core.mark_non_differentiable(t)

    def mark_dirty(self, *tensors):
        """Forward wrote these arguments in place; they must be among its results."""
        for t in tensors:
            self._core.mark_dirty(t)

    def set_materialize_grads(self, value):
        """False: absent gradients reach backward as None instead of zeros."""
        self._core.set_materialize_grads(value)

    def _forward(self, core, inputs):
        args = list(self._args)
        for place, t in zip(self._places, inputs, strict=True):
            args[place] = t
        out = self._with(core, self._run, args)
        self._args = [None if isinstance(a, Tensor) else a for a in self._args]  # the graph holds what it needs
        self._single = not isinstance(out, (tuple, list))
        self._out = [out] if self._single else list(out)
        self._out_places = [i for i, t in enumerate(self._out) if isinstance(t, Tensor)]
        if not self._out_places:
            raise TypeError(f"{self._cls.__name__}.forward must return tensors, not {type(out).__name__}")
        tensors = [self._out[i] for i in self._out_places]
        for i in self._out_places:
            self._out[i] = None  # what else forward returned stays; the graph holds the tensors
        return tensors

    def _results(self, tensors):
        """What forward returned, with these tensors in their places."""
        out = list(self._out)
        for place, t in zip(self._out_places, tensors, strict=True):
            out[place] = t
        return out[0] if self._single else tuple(out)

    def _run(self, args):
        if self._cls.setup_context is Function.setup_context:
            return self._cls.forward(self, *args)
        out = self._cls.forward(*args)
        self._cls.setup_context(self, tuple(args), out)
        return out

    def _backward(self, core, grads):
        all_grads = [None] * len(self._out)
        for place, g in zip(self._out_places, grads, strict=True):
            all_grads[place] = g
        out = self._with(core, self._cls.backward, self, *all_grads)
        out = tuple(out) if isinstance(out, (tuple, list)) else (out,)
        return self._of_tensors(out)

    def _of_tensors(self, gradients):
        """The gradients of the arguments that are tensors; for the others there must be none."""
        name, n = self._cls.__name__, len(self._args)
        if len(gradients) < n or any(g is not None for g in gradients[n:]):
            raise _thixo.ValueError(
                f"{name}: backward returned {len(gradients)} gradients for {n} arguments of forward"
                "\n  need  one per argument, None where there is none"
            )
        for i, g in enumerate(gradients[:n]):
            if g is not None and i not in self._places:
                raise _thixo.ValueError(
                    f"{name}: backward returned a gradient for argument {i} of forward, which is no tensor"
                    "\n  need  None in its place"
                )
            if g is not None and not isinstance(g, Tensor):
                raise TypeError(f"{name}: backward returned {type(g).__name__} as gradient {i}, not a tensor or None")
        return [gradients[place] for place in self._places]


class Function:
    """An op of your own with a gradient of its own: static methods forward(ctx, ...) and backward(ctx, *grads).

    >>> class Double(thixo.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x): return x * 2
    ...     @staticmethod
    ...     def backward(ctx, g): return g * 2
    >>> Double.apply(thixo.ones(1))
    tensor([2.])
    """

    @staticmethod
    def forward(ctx, *args):
        """Computes the result; override it."""
        raise _thixo.NotImplementedError("a Function needs a static method forward(ctx, *args)")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Override it to keep what backward needs here; forward is then written without ctx."""
        raise _thixo.NotImplementedError("this Function keeps what it needs in forward")

    @staticmethod
    def backward(ctx, *grads):
        """One gradient per argument of forward, None where there is none; override it."""
        raise _thixo.NotImplementedError("a Function needs a static method backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args):
        """Runs forward and records backward."""
        places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx = _Context(cls, list(args), places)
        out = _thixo._apply_function(cls, ctx, [args[i] for i in places])
        return ctx._results(out)


def _checked(f):
    def flat(tensors):
        out = f(*tensors)
        return [out] if isinstance(out, Tensor) else list(out)

    return flat


def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True):
    """Compares gradients with differences of values at float64 and complex128 inputs; True, or an error that shows the
    entry. The real and imaginary parts of a gradient are the derivatives by those of the input.

    >>> x = thixo.ones(2, dtype=thixo.float64, requires_grad=True)
    >>> thixo.autograd.gradcheck(lambda v: v.exp(), [x])
    True
    >>> z = thixo.tensor([1 + 2j], dtype=thixo.complex128, requires_grad=True)
    >>> thixo.autograd.gradcheck(lambda v: (v.abs(), v * v.conj()), [z])
    True
    """
    try:
        return _thixo._gradcheck(_checked(func), _list(inputs), eps, atol, rtol)
    except _thixo.ValueError:
        if raise_exception:
            raise
        return False


def gradgradcheck(func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True):
    """The same for gradients of gradients.

    >>> x = thixo.ones(2, dtype=thixo.float64, requires_grad=True)
    >>> thixo.autograd.gradgradcheck(lambda v: v.exp(), [x])
    True
    """
    try:
        return _thixo._gradgradcheck(_checked(func), _list(inputs), _list(grad_outputs), eps, atol, rtol)
    except _thixo.ValueError:
        if raise_exception:
            raise
        return False


class detect_anomaly:
    """Inside, the first op that makes nan or inf out of finite operands raises an error that names it.

    >>> with thixo.autograd.detect_anomaly():
    ...     try: thixo.zeros(1).log()
    ...     except ValueError as e: print("log" in str(e))
    True
    """

    def __enter__(self):
        self._guard = _thixo._DetectAnomaly()
        return self

    def __exit__(self, *exc):
        del self._guard
