"""Initial values, in place: PyTorch's formulas."""

from .. import _thixo as _core

globals().update({name: getattr(_core._init, name) for name in dir(_core._init) if name[0] != "_"})
