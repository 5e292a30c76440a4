"""The ops of neural networks as functions: every op of the registry is here under its name."""

from .._thixo import ops as _ops
from .._thixo._training import batch_norm  # noqa: F401 -- no op: it changes the running figures

globals().update({name: getattr(_ops, name) for name in dir(_ops) if name[0] != "_"})
