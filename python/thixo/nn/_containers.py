"""Containers and losses whose call differs from one tensor in, one out."""

import operator

from .. import _thixo
from . import functional as F
from ._module import Module


class _List:
    """Modules that are kept in order, under the names "0", "1", ... unless they were given others."""

    def __len__(self):
        return len(self._named_children())

    def __iter__(self):
        return iter([m for _, m in self._named_children()])

    def _named_at(self, i):
        children, i = self._named_children(), operator.index(i)
        if not -len(children) <= i < len(children):
            text = f"{type(self).__name__}: index {i} is out of range for {len(children)} modules"
            raise _thixo.IndexError(text)
        return children[i]

    def __getitem__(self, i):
        return self._part(self._named_children()[i]) if isinstance(i, slice) else self._named_at(i)[1]

    def _plain(self):
        """The class of a part: this one, unless it is made from something else than modules."""
        base = next(c for c in type(self).__mro__ if c in (Sequential, ModuleList))
        return type(self) if type(self).__init__ is base.__init__ else base

    def __setitem__(self, i, module):
        self._register_module(self._named_at(i)[0], module)

    def _refill(self, modules):
        for name, _ in self._named_children():
            self._unregister(name)
        self.extend(modules)

    def __delitem__(self, i):
        modules = list(self)
        if not isinstance(i, slice):
            self._named_at(i)
        del modules[i]
        self._refill(modules)

    def append(self, module):
        """Adds a module at the end; returns the container."""
        self._append(module)
        return self

    def extend(self, modules):
        """Adds modules at the end; returns the container."""
        for m in list(modules):
            self._append(m)
        return self

    def __iadd__(self, modules):
        return self.extend(modules)

    def __add__(self, modules):
        return self._part(self._named_children()).extend(modules)

    def insert(self, index, module):
        """Puts a module before the one at `index`; those from there on get new names."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: a module is needed, not {type(module).__name__}")
        modules = list(self)
        modules.insert(index, module)
        self._refill(modules)

    def pop(self, index=-1):
        """Takes a module out and returns it."""
        module = self[index]
        del self[index]
        return module


class Sequential(_List, _thixo._nn._Sequential):
    """Modules one after the other.

    >>> thixo.nn.Sequential(thixo.nn.Linear(2, 3), thixo.nn.ReLU())(thixo.ones(1, 2)).shape
    thixo.Size([1, 3])
    """

    def __init__(self, *modules):
        if len(modules) == 1 and isinstance(modules[0], dict):
            _thixo._nn._Sequential.__init__(self, [])
            for name, m in modules[0].items():
                self.register_module(name, m)
        else:
            _thixo._nn._Sequential.__init__(self, list(modules))

    def _part(self, named):
        return self._plain()(dict(named))

    def forward(self, input):
        """Each module on the result of the one before."""
        for _, module in self._named_children():
            input = module(input)
        return input


class ModuleList(_List, _thixo._nn._ModuleList):
    """A list of modules that are called by hand.

    >>> layers = thixo.nn.ModuleList([thixo.nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules=()):
        _thixo._nn._ModuleList.__init__(self, list(modules))

    def _part(self, named):
        return self._plain()([m for _, m in named])


class CrossEntropyLoss(Module):
    """Of logits [N, C, ...] and class indices [N, ...].

    >>> thixo.nn.CrossEntropyLoss()(thixo.zeros(1, 2), thixo.tensor([0]))
    tensor(0.6931)
    """

    def __init__(
        self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
    ):
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing

    def forward(self, input, target):
        """The loss."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class MSELoss(Module):
    """The mean (or sum) of the squared differences.

    >>> thixo.nn.MSELoss()(thixo.zeros(2), thixo.ones(2))
    tensor(1.)
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, input, target):
        """The loss."""
        return F.mse_loss(input, target, reduction=self.reduction)
