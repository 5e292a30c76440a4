"""Transforms of functions, which nest in any order: grad, vmap, vjp, jvp, jacrev, jacfwd, hessian.

Arguments and results may be tensors, or tuples, lists and dicts of them.
"""

import functools
import itertools

from . import _thixo
from ._thixo import Tensor
from ._tree import flatten as _flatten
from ._tree import unflatten as _unflatten


def _single(argnums):
    return isinstance(argnums, int)


class _Flat:
    """A Python function as one from a list of tensors to a list of tensors, for one set of arguments."""

    def __init__(self, func, args, kwargs=None, has_aux=False):
        self.func, self.has_aux = func, has_aux
        self.tensors = []
        self.places = []  # of the tensors of each positional argument
        specs = []
        for a in args:
            start = len(self.tensors)
            specs.append(_flatten(a, self.tensors))
            self.places.append(range(start, len(self.tensors)))
        self.specs = specs
        self.kwargs = kwargs or {}
        self.out_spec = self.aux_spec = None
        self.results = 0  # of the function proper; those of aux follow

    def __call__(self, tensors):
        it = iter(tensors)
        out = self.func(*[_unflatten(s, it) for s in self.specs], **self.kwargs)
        aux = None
        if self.has_aux:
            if not isinstance(out, tuple) or len(out) != 2:
                raise _thixo.ValueError("with has_aux=True the function must return a pair: (result, aux)")
            out, aux = out
        flat = []
        self.out_spec = _flatten(out, flat)
        self.results = len(flat)
        self.aux_spec = _flatten(aux, flat)
        return flat

    def split(self, results):
        """The results and the aux of a flat list of both."""
        it = iter(results)
        return _unflatten(self.out_spec, it), _unflatten(self.aux_spec, it)

    def chosen(self, argnums):
        """The positional arguments of argnums: their numbers and the places of all their tensors."""
        numbers = [argnums] if _single(argnums) else list(argnums)
        n = len(self.specs)
        for a in numbers:
            if not -n <= a < n:
                raise _thixo.IndexError(f"argnums has {a} but the function got {n} positional arguments")
        numbers = [a % n for a in numbers]
        return numbers, [p for a in numbers for p in self.places[a]]

    def rebuild(self, argnums, values):
        """Values for the tensors of the chosen arguments, in the form of these arguments."""
        numbers, _ = self.chosen(argnums)
        it = iter(values)
        trees = tuple(_unflatten(self.specs[a], it) for a in numbers)
        return trees[0] if _single(argnums) else trees


def _form(spec):
    """What a result is, for errors."""
    plain = {"d": dict, "s": tuple, "l": list}.get(spec[0])
    return (plain or (spec[2] if len(spec) > 2 else type(spec[1]))).__name__


def grad(func, argnums=0, has_aux=False):
    """The function that gives the gradient of func, which returns one element.

    >>> thixo.func.grad(lambda x: (x * x).sum())(thixo.tensor([1., 2.]))
    tensor([2., 4.])
    """

    @functools.wraps(func)
    def gradient(*args, **kwargs):
        result = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (result[0], result[1][1]) if has_aux else result[0]

    return gradient


def grad_and_value(func, argnums=0, has_aux=False):
    """The function that gives the gradient of func and its value; with has_aux: (gradient, (value, aux)).

    >>> thixo.func.grad_and_value(lambda x: (x * x).sum())(thixo.tensor([1., 2.]))
    (tensor([2., 4.]), tensor(5.))
    """

    @functools.wraps(func)
    def gradient_and_value(*args, **kwargs):
        flat = _Flat(func, args, kwargs, has_aux)
        _, places = flat.chosen(argnums)

        def scalar(tensors):
            out = flat(tensors)
            if flat.out_spec[0] != "t":
                raise _thixo.ValueError(
                    "grad: the function must return one tensor\n"
                    f"  got   {_form(flat.out_spec)}\n"
                    "  fix   return the loss alone; for more results use has_aux=True, or jacrev for their derivatives"
                )
            return out

        results = _thixo._func_grad(scalar, flat.tensors, places, True)
        n = len(results) - len(places)
        value, aux = flat.split(results[:n])
        gradients = flat.rebuild(argnums, results[n:])
        return gradients, ((value, aux) if has_aux else value)

    return gradient_and_value


def _dims_of(tree, dims, out, what):
    """in_dims or out_dims for each tensor of the tree: an int or None stands for all below it."""
    if isinstance(tree, Tensor):
        if dims is not None and not isinstance(dims, int):
            raise _thixo.ValueError(f"vmap: {what} has {dims!r} for a tensor, where an int or None belongs")
        out.append(dims)
    elif isinstance(tree, dict):
        if isinstance(dims, dict) and dims.keys() != tree.keys():
            raise _thixo.ValueError(f"vmap: {what} has the keys {list(dims)} for a dict with {list(tree)}")
        for k, v in tree.items():
            _dims_of(v, dims[k] if isinstance(dims, dict) else dims, out, what)
    elif isinstance(tree, (list, tuple)):
        nested = isinstance(dims, (list, tuple))
        if nested and len(dims) != len(tree):
            noun = "arguments" if what == "in_dims" else "results"
            raise _thixo.ValueError(f"vmap: {what} has {len(dims)} entries for {len(tree)} {noun}")
        for i, v in enumerate(tree):
            _dims_of(v, dims[i] if nested else dims, out, what)


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """func, written for one example, over a batch: in_dims says which dim of each argument holds the examples,
    out_dims which of each result; None stands for a value that all examples share.

    >>> thixo.func.vmap(thixo.matmul)(thixo.ones(4, 2, 3), thixo.ones(4, 3)).shape
    thixo.Size([4, 2])
    """

    @functools.wraps(func)
    def batched(*args, **kwargs):
        dims, dims_out = [], []
        _dims_of(args, in_dims, dims, "in_dims")

        def one(*args, **kwargs):
            result = func(*args, **kwargs)
            single = isinstance(result, Tensor) and isinstance(out_dims, (list, tuple)) and len(out_dims) == 1
            dims_out.clear()
            _dims_of(result, out_dims[0] if single else out_dims, dims_out, "out_dims")
            return result

        flat = _Flat(one, args, kwargs)
        results = _thixo._func_vmap(flat, flat.tensors, dims, lambda: dims_out, randomness, chunk_size or 0)
        return flat.split(results)[0]

    return batched


def vjp(func, *primals, has_aux=False):
    """The result of func at primals, and the function from gradients of the result to gradients of the primals.

    >>> y, pullback = thixo.func.vjp(thixo.sin, thixo.zeros(2))
    >>> pullback(thixo.ones(2))
    (tensor([1., 1.]),)
    """
    flat = _Flat(func, primals, has_aux=has_aux)
    results, pull = _thixo._func_vjp(flat, flat.tensors)
    value, aux = flat.split(results)

    def pullback(*cotangents):
        g = []
        _flatten(cotangents[0] if len(cotangents) == 1 else cotangents, g)
        if len(g) != flat.results:
            raise _thixo.ValueError(f"vjp: {flat.results} results but {len(g)} gradients")
        # aux is not differentiated
        g += [_thixo.ops.zeros_like(t) for t in results[flat.results :]]
        return flat.rebuild(range(len(primals)), pull(g))

    return (value, pullback, aux) if has_aux else (value, pullback)


def jvp(func, primals, tangents, *, has_aux=False):
    """The result of func at primals and its derivative along tangents.

    >>> thixo.func.jvp(thixo.sin, (thixo.zeros(2),), (thixo.ones(2),))
    (tensor([0., 0.]), tensor([1., 1.]))
    """
    flat = _Flat(func, primals, has_aux=has_aux)
    directions = []
    _flatten(tuple(tangents), directions)
    results, derivatives = _thixo._func_jvp(flat, flat.tensors, directions)
    value, aux = flat.split(results)
    derivative = _unflatten(flat.out_spec, iter(derivatives[: flat.results]))
    return (value, derivative, aux) if has_aux else (value, derivative)


def _jacobian(kind, func, argnums):
    """The function that gives, in the form of func's result, the Jacobians in the form of the chosen arguments."""

    @functools.wraps(func)
    def jacobian(*args, **kwargs):
        flat = _Flat(func, args, kwargs)
        _, places = flat.chosen(argnums)
        results = iter(kind(flat, flat.tensors, places))
        blocks = [flat.rebuild(argnums, itertools.islice(results, len(places))) for _ in range(flat.results)]
        return _unflatten(flat.out_spec, iter(blocks))

    return jacobian


def jacrev(func, argnums=0):
    """The Jacobian of func, [result dims, argument dims], row by row: for few results.

    Results and arguments may be trees: a Jacobian stands in the place of each result, by each chosen argument.

    >>> thixo.func.jacrev(lambda x: x * x)(thixo.tensor([1., 2.]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    return _jacobian(_thixo._func_jacrev, func, argnums)


def jacfwd(func, argnums=0):
    """The Jacobian of func, [result dims, argument dims], column by column: for few inputs.

    Results and arguments may be trees: a Jacobian stands in the place of each result, by each chosen argument.

    >>> thixo.func.jacfwd(lambda x: x * x)(thixo.tensor([1., 2.]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    return _jacobian(_thixo._func_jacfwd, func, argnums)


def hessian(func, argnums=0):
    """The second derivatives of func: jacfwd(jacrev(func)).

    >>> thixo.func.hessian(lambda x: (x * x * x).sum())(thixo.tensor([1., 2.]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


def _with_tied(module, given):
    """`given`, and its values under all other names of the same tensors."""
    names = {}
    for name, t in [*module._named_parameters(True, False), *module._named_buffers(True, False)]:
        names.setdefault(t, []).append(name)
    out = dict(given)
    for same in names.values():
        values = [given[n] for n in same if n in given]
        if any(v is not values[0] for v in values):
            text = f"functional_call: {', '.join(n for n in same if n in given)} are one tensor but get several values"
            raise _thixo.ValueError(text + "\n  fix   give one of them, or pass tie_weights=False")
        out.update((n, values[0]) for n in same if values)
    return out


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True):
    """The module called with other values for some of its parameters and buffers, by name; what the module uses under
    several names changes under all of them.

    >>> net = thixo.nn.Linear(2, 1, bias=False)
    >>> thixo.func.functional_call(net, {"weight": thixo.ones(1, 2)}, thixo.ones(2))
    tensor([2.])
    """
    dicts = parameter_and_buffer_dicts
    dicts = [dicts] if isinstance(dicts, dict) else list(dicts)
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    given = {n: v for d in dicts for n, v in d.items()}
    before = []
    try:
        for name, value in (_with_tied(module, given) if tie_weights else given).items():
            path, _, last = name.rpartition(".")
            owner = module.get_submodule(path) if path else module
            try:
                before.append((owner, last, owner._swap(last, value)))
            except KeyError:
                raise _thixo.ValueError(f"functional_call: the module has no parameter or buffer '{name}'") from None
        return module(*args, **(kwargs or {}))
    finally:
        for owner, last, value in reversed(before):
            owner._swap(last, value)


def stack_module_state(models):
    """Parameters and buffers of several modules of one kind, stacked by name: for vmap with functional_call.

    >>> params, buffers = thixo.func.stack_module_state([thixo.nn.Linear(2, 3) for _ in range(4)])
    >>> params["weight"].shape
    thixo.Size([4, 3, 2])
    """
    if not models:
        raise _thixo.ValueError("stack_module_state: there are no modules")

    def stacked(dicts):
        return {n: _thixo.ops.stack([d[n].detach() for d in dicts]) for n in dicts[0]}

    params = stacked([dict(m.named_parameters()) for m in models])
    for p in params.values():
        p.requires_grad_()
    return params, stacked([dict(m.named_buffers()) for m in models])
