"""Learning rates over time."""

import weakref

from .._thixo import _training as _core
from .._thixo._training import (  # noqa: F401
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    StepLR,
)


class LambdaLR(_core.LambdaLR):
    """The first rate times a function of the epoch.

    >>> opt = thixo.optim.SGD([thixo.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = thixo.optim.lr_scheduler.LambdaLR(opt, lambda epoch: 0.5 ** epoch)
    >>> schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, lr_lambda):
        self.lr_lambda = lr_lambda  # here the garbage collector sees it
        this = weakref.ref(self)
        super().__init__(optimizer, lambda epoch: this().lr_lambda(epoch))
