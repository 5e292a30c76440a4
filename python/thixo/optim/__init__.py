"""Optimizers with PyTorch's names, defaults and formulas; one step is one loop over all parameters."""

import types as _types

from .. import _grad_mode
from .._thixo import _training as _core
from .._thixo._training import Optimizer
from . import _groups


def _start(self, core, params, defaults):
    """What the constructors share: the groups are read, then C++ gets them and the settings."""
    where = type(self).__name__
    groups = _groups.read_groups(where, params, defaults)
    settings = {
        k: _groups.betas(where, v) if k == "betas" else v if isinstance(v, bool) else _groups.number(where, k, v)
        for k, v in defaults.items()
    }
    core.__init__(self, [(p, s) for p, s, _ in groups], **settings)
    self._own = [own for _, _, own in groups]


class SGD(_core.SGD):
    """Gradient descent, with momentum where it is given.

    >>> w = thixo.ones(1, requires_grad=True)
    >>> opt = thixo.optim.SGD([w], lr=0.1)
    >>> w.sum().backward()
    >>> opt.step(); w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum=0.0,
        dampening=0.0,
        weight_decay=0.0,
        nesterov=False,
        *,
        maximize=False,
        foreach=None,
        fused=None,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": bool(nesterov),
            "maximize": bool(maximize),
        }
        _start(self, _core.SGD, params, defaults)


def _adam_settings(lr, betas, eps, weight_decay, amsgrad, maximize):
    return {
        "lr": lr,
        "betas": betas,
        "eps": eps,
        "weight_decay": weight_decay,
        "amsgrad": bool(amsgrad),
        "maximize": bool(maximize),
    }


class Adam(_core.Adam):
    """Steps of about the size of lr, from running means of gradients and their squares.

    >>> w = thixo.ones(1, requires_grad=True)
    >>> opt = thixo.optim.Adam([w], lr=0.1, weight_decay=0)
    >>> w.sum().backward()
    >>> opt.step(); w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        amsgrad=False,
        *,
        maximize=False,
        foreach=None,
        fused=None,
    ):
        _start(self, _core.Adam, params, _adam_settings(lr, betas, eps, weight_decay, amsgrad, maximize))


class AdamW(_core.AdamW):
    """Adam with weight decay that is apart from the gradient.

    >>> w = thixo.ones(1, requires_grad=True)
    >>> opt = thixo.optim.AdamW([w], lr=0.1, weight_decay=0)
    >>> w.sum().backward()
    >>> opt.step(); w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        *,
        maximize=False,
        foreach=None,
        fused=None,
    ):
        _start(self, _core.AdamW, params, _adam_settings(lr, betas, eps, weight_decay, amsgrad, maximize))


def _step(self, closure=None):
    """Updates the parameters from their gradients; a closure is called first, with gradients on, its loss returned."""
    loss = None
    if closure is not None:
        with _grad_mode.enable_grad():
            loss = closure()
    self._step()
    return loss


def _add_param_group(self, param_group):
    """Adds parameters with settings of their own: {"params": ..., "lr": ...}; what is not given is as at the start."""
    params, settings, own = _groups.read_group(type(self).__name__, param_group, self.defaults)
    self._add_group(params, settings)
    self._own.append(own)


def _state_dict(self):
    """Moments, step counts and settings as tensors by name: fit for thixo.save_file."""
    return dict(self._state())


def _load_state_dict(self, state_dict):
    """Takes over what state_dict gave; everything is checked first."""
    self._load_state(list(state_dict.items()))


def _repr(self):
    lines = [f"{type(self).__name__} ("]
    for i, g in enumerate(self.param_groups):
        lines.append(f"Parameter Group {i}")
        lines += [f"    {k}: {g[k]}" for k in sorted(g) if k != "params"]
    return "\n".join([*lines, ")"])


def _rebuild(cls, defaults, groups, state):
    optimizer = cls.__new__(cls)
    _start(optimizer, cls._core_class(), groups, defaults)
    optimizer.load_state_dict(state)
    return optimizer


def _reduce(self):
    defaults = self.defaults
    groups = [
        {"params": g["params"], **{k: g[k] for k in defaults}, **own}
        for g, own in zip(self.param_groups, self._own, strict=True)
    ]
    extra = {k: v for k, v in self.__dict__.items() if k != "_own"}
    return _rebuild, (type(self), defaults, groups, self.state_dict()), extra or None


Optimizer.step = _step
Optimizer.add_param_group = _add_param_group
Optimizer.param_groups = property(_groups.Groups, doc="The groups: dicts whose settings may be changed.")
Optimizer.defaults = property(
    lambda self: _groups.public(self._defaults()), doc="The settings of groups that do not have their own."
)
Optimizer.state = property(
    lambda self: _types.MappingProxyType(_groups.state_of(self)),
    doc="What is remembered of each parameter: its steps, and moments by name.",
)
Optimizer.state_dict = _state_dict
Optimizer.load_state_dict = _load_state_dict
Optimizer.__repr__ = _repr
Optimizer.__reduce__ = _reduce
Optimizer._core_class = classmethod(lambda cls: next(c for c in cls.__mro__ if c.__module__ == _core.SGD.__module__))

from . import lr_scheduler  # noqa: E402, F401
