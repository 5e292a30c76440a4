"""Learning rates over time. A step goes from the present rate: schedules of one optimizer multiply."""

import weakref as _weakref

from .. import _thixo
from .._thixo import _training as _core
from .._thixo._training import LRScheduler
from .._thixo._training import Optimizer as _Optimizer
from ._groups import integer as _integer
from ._groups import number as _number


def _start(self, core, optimizer, *args):
    if not isinstance(optimizer, _Optimizer):
        raise TypeError(f"{type(self).__name__}: optimizer must be an Optimizer, not a {type(optimizer).__name__}")
    self.optimizer = optimizer
    core.__init__(self, optimizer, *args)


class LambdaLR(_core.LambdaLR):
    """The first rate times a function of the epoch: one function, or one for each group.

    >>> opt = thixo.optim.SGD([thixo.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = thixo.optim.lr_scheduler.LambdaLR(opt, lambda epoch: 0.5 ** epoch)
    >>> schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        functions = lr_lambda
        if not isinstance(functions, (list, tuple)):
            functions = [lr_lambda] * len(getattr(optimizer, "param_groups", ()))
        for f in functions:
            if not callable(f):
                raise TypeError(f"LambdaLR: lr_lambda must be a function of the epoch, not a {type(f).__name__}")
        self.lr_lambdas = list(functions)
        calls = [_call(_weakref.ref(self), i) for i in range(len(functions))]
        _start(self, _core.LambdaLR, optimizer, calls, _integer("LambdaLR", "last_epoch", last_epoch))


def _call(schedule, i):
    """The function of group i for C++, which must hold nothing that may lead back to the schedule."""
    return lambda epoch: _number("LambdaLR", "the result of lr_lambda", schedule().lr_lambdas[i](epoch))


class StepLR(_core.StepLR):
    """The rate times gamma after every step_size epochs.

    >>> opt = thixo.optim.SGD([thixo.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = thixo.optim.lr_scheduler.StepLR(opt, step_size=1, gamma=0.5)
    >>> schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        step_size = _integer("StepLR", "step_size", step_size)
        last_epoch = _integer("StepLR", "last_epoch", last_epoch)
        _start(self, _core.StepLR, optimizer, step_size, _number("StepLR", "gamma", gamma), last_epoch)


class ExponentialLR(_core.ExponentialLR):
    """The rate times gamma after each epoch.

    >>> opt = thixo.optim.SGD([thixo.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = thixo.optim.lr_scheduler.ExponentialLR(opt, gamma=0.5)
    >>> schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, gamma, last_epoch=-1):
        last_epoch = _integer("ExponentialLR", "last_epoch", last_epoch)
        _start(self, _core.ExponentialLR, optimizer, _number("ExponentialLR", "gamma", gamma), last_epoch)


class LinearLR(_core.LinearLR):
    """A factor that goes from start_factor to end_factor in total_iters epochs.

    >>> opt = thixo.optim.SGD([thixo.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = thixo.optim.lr_scheduler.LinearLR(opt, start_factor=0.5, total_iters=2)
    >>> schedule.step(); schedule.get_last_lr()
    [0.75]
    """

    def __init__(self, optimizer, start_factor=1.0 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        start_factor = _number("LinearLR", "start_factor", start_factor)
        end_factor = _number("LinearLR", "end_factor", end_factor)
        total_iters = _integer("LinearLR", "total_iters", total_iters)
        last_epoch = _integer("LinearLR", "last_epoch", last_epoch)
        _start(self, _core.LinearLR, optimizer, start_factor, end_factor, total_iters, last_epoch)


class CosineAnnealingLR(_core.CosineAnnealingLR):
    """From the first rate down to eta_min along half a cosine.

    >>> opt = thixo.optim.SGD([thixo.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = thixo.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=2)
    >>> schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        T_max = _integer("CosineAnnealingLR", "T_max", T_max)
        eta_min = _number("CosineAnnealingLR", "eta_min", eta_min)
        last_epoch = _integer("CosineAnnealingLR", "last_epoch", last_epoch)
        _start(self, _core.CosineAnnealingLR, optimizer, T_max, eta_min, last_epoch)


class OneCycleLR(_core.OneCycleLR):
    """Up to max_lr, then far down: once over the whole training, one step a batch; the momentum goes against it.

    >>> opt = thixo.optim.SGD([thixo.ones(1, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> schedule = thixo.optim.lr_scheduler.OneCycleLR(opt, max_lr=1.0, total_steps=3, pct_start=0.5)
    >>> schedule.step()
    """

    def __init__(
        self,
        optimizer,
        max_lr,
        total_steps=None,
        epochs=None,
        steps_per_epoch=None,
        pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
        last_epoch=-1,
    ):
        def numbers(name, value):
            values = value if isinstance(value, (list, tuple)) else [value]
            return [_number("OneCycleLR", name, v) for v in values]

        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise _thixo.ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
            total_steps = _integer("OneCycleLR", "epochs", epochs) * _integer(
                "OneCycleLR", "steps_per_epoch", steps_per_epoch
            )
        _start(
            self,
            _core.OneCycleLR,
            optimizer,
            numbers("max_lr", max_lr),
            _integer("OneCycleLR", "total_steps", total_steps),
            _number("OneCycleLR", "pct_start", pct_start),
            str(anneal_strategy),
            bool(cycle_momentum),
            numbers("base_momentum", base_momentum),
            numbers("max_momentum", max_momentum),
            _number("OneCycleLR", "div_factor", div_factor),
            _number("OneCycleLR", "final_div_factor", final_div_factor),
            bool(three_phase),
            _integer("OneCycleLR", "last_epoch", last_epoch),
        )


def _step(self, epoch=None):
    """Moves on and sets the rates of all groups; with an epoch: as after so many steps from the first rates."""
    if epoch is None:
        self._step()
    else:
        self._set_epoch(_integer(type(self).__name__, "epoch", epoch))


def _load_state_dict(self, state_dict):
    """Takes over what state_dict gave; the rates themselves are part of the optimizer's state."""
    self._load_state(state_dict["last_epoch"], list(state_dict["base_lrs"]), list(state_dict["_last_lr"]))


LRScheduler.step = _step
LRScheduler.load_state_dict = _load_state_dict
