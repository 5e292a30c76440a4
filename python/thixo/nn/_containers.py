"""Containers and losses whose call differs from one tensor in, one out."""

from .. import _thixo
from . import functional as F
from ._module import Module


class _List:
    """Indexing, length and iteration of modules that are kept in order."""

    def __len__(self):
        return len(self._named_children())

    def __iter__(self):
        return self.children()

    def __getitem__(self, i):
        modules = list(self.children())
        return type(self)(*modules[i]) if isinstance(i, slice) else modules[i]

    def append(self, module):
        """Adds a module at the end; returns the container."""
        self._append(module)
        return self


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

    def forward(self, input):
        """Each module on the result of the one before."""
        for module in self.children():
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

    def __getitem__(self, i):
        modules = list(self.children())
        return ModuleList(modules[i]) if isinstance(i, slice) else modules[i]

    def extend(self, modules):
        """Adds modules at the end; returns the list."""
        for m in modules:
            self.append(m)
        return self


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
