"""Modules with PyTorch's names: written in C++, subclassed in Python, mixed as one likes."""

from .._thixo._nn import (  # noqa: F401
    GELU,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    Identity,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    RMSNorm,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from . import _state, functional, init, utils  # noqa: F401
from ._containers import CrossEntropyLoss, ModuleList, MSELoss, Sequential  # noqa: F401
from ._module import Module, Parameter  # noqa: F401
