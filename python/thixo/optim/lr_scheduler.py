"""Learning rates over time."""

from .._thixo.training import (  # noqa: F401
    CosineAnnealingLR, ExponentialLR, LambdaLR, LinearLR, LRScheduler, OneCycleLR, StepLR,
)
