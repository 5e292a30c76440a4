"""The values of a module as a whole: state_dict, files, copies."""

import collections

from .. import _thixo
from ._module import Module


class _IncompatibleKeys(collections.namedtuple("IncompatibleKeys", "missing_keys unexpected_keys")):
    """What load_state_dict left out."""

    __slots__ = ()

    def __repr__(self):
        return super().__repr__() if any(self) else "<All keys matched successfully>"


def _state_dict(self, prefix=""):
    """Parameters and persistent buffers by name, detached but not copied."""
    return {prefix + name: t for name, t in self._state()}


def _load_state_dict(self, state_dict, strict=True):
    """Copies values in; with strict, missing and unexpected names are an error and nothing changes."""
    return _IncompatibleKeys(*self._load_state(list(state_dict.items()), strict))


def _load(self, path, strict=True):
    """load_state_dict of a safetensors file."""
    return _IncompatibleKeys(*self._load_file(path, strict))


def _made_by(cls):
    """The C++ class that a module is or extends."""
    return next(c for c in cls.__mro__ if c.__module__.startswith("thixo._thixo"))


def _rebuild(cls, settings):
    """A module whose C++ part has these settings; what it holds follows by __setstate__, so no number is drawn."""
    self = cls.__new__(cls)
    skip = _thixo._init._Skip()
    try:
        _made_by(cls).__init__(self, **settings)
    finally:
        del skip
    return self


def _reduce_ex(self, protocol):
    made_by, persistent = _made_by(type(self)), {name for name, _ in self._state()}
    names = {kind: [n for n in self._member_names() if self._kind(n) == kind] for kind in _KINDS}
    state = {
        "parameters": {n: self._find(n) for n in names["parameter"]},
        "buffers": {n: (self._find(n), n in persistent) for n in names["buffer"]},
        "modules": {n: self._find(n) for n in names["module"]},
        "training": self.training,
        "attributes": dict(self.__dict__),
    }
    return _rebuild, (type(self), {n: getattr(made_by, n).__get__(self) for n in made_by._settings}), state


_KINDS = ("parameter", "buffer", "module")


def _setstate(self, state):
    for name in self._member_names():  # made with bias=True, then deleted
        if name not in state[self._kind(name) + "s"]:
            self._unregister(name)
    for name, p in state["parameters"].items():
        self._register_parameter(name, p, p is None or p.requires_grad)
    for name, (b, persistent) in state["buffers"].items():
        self._register_buffer(name, b, persistent)
    for name, m in state["modules"].items():
        self._register_module(name, m)
    self.training = state["training"]
    self.__dict__.update(state["attributes"])


for _name, _f in {
    "__reduce_ex__": _reduce_ex,
    "__setstate__": _setstate,
    "state_dict": _state_dict,
    "load_state_dict": _load_state_dict,
    "load": _load,
}.items():
    setattr(Module, _name, _f)
