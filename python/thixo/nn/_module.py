"""Module and Parameter: the Python side of thixo::nn::Module."""

from .. import _thixo
from .._tensor import RemovableHandle
from .._thixo import Tensor

Module = _thixo._nn.Module


class Parameter(Tensor):
    """A tensor that a Module takes as its parameter when it is assigned as an attribute.

    >>> thixo.nn.Parameter(thixo.zeros(2)).requires_grad
    True
    """

    def __new__(cls, data=None, requires_grad=True):
        data = _thixo.empty(0) if data is None else data
        return _thixo._make_subclass(cls, data, requires_grad)

    def __repr__(self):
        return "Parameter containing:\n" + Tensor.__repr__(self)


_thixo._nn._set_parameter_type(Parameter)
Module._settings = ()  # of a layer: what its constructor takes and its properties say
_ready = _thixo._nn._ready
_plain_setattr = object.__setattr__


def _too_early(what, name):
    return AttributeError(
        f"cannot assign {what} before Module.__init__() call: call super().__init__() before '{name}' is assigned"
    )


def _check_free(self, name, kind, of):
    """KeyError when `of`, the module or its class, uses the name for something else."""
    if isinstance(getattr(type(self), name, None), property):
        raise AttributeError(f"'{name}' is a property of {type(self).__name__}: a {kind} needs another name")
    if hasattr(of, name) and self._kind(name) != kind:
        raise KeyError(f"attribute '{name}' already exists")


def _assign(self, name, value, kind):
    """The parameter or module under this name, whatever had it before."""
    _check_free(self, name, kind, type(self))
    before = self._kind(name)
    if before not in ("", kind):
        if self._is_member(name):
            raise AttributeError(f"{type(self).__name__} needs its {before} '{name}': no {kind} takes its place")
        self._unregister(name)
    getattr(self, "_register_" + kind)(name, value)
    self.__dict__.pop(name, None)


def _refuse_while_recording(self, name, value):
    if isinstance(value, Tensor) and _thixo.is_compiling():
        raise _thixo.NotImplementedError(
            f"compile: the function sets '{name}' of {type(self).__name__} to a tensor, which a replay would not do\n"
            f"  fix   write it into a buffer: self.{name}.copy_(value), or return it"
        )


def _set_plain(self, name, value):
    _refuse_while_recording(self, name, value)
    try:
        _plain_setattr(self, name, value)
    except AttributeError:
        if name not in self._settings:
            raise
        text = f"'{name}' of {type(self).__name__} is fixed when the layer is made: make a new layer"
        raise AttributeError(text) from None


def _setattr(self, name, value):
    kind = "parameter" if isinstance(value, Parameter) else "module" if isinstance(value, Module) else ""
    if not _ready(self):
        if kind:
            raise _too_early("parameters" if kind == "parameter" else kind, name)
        _plain_setattr(self, name, value)
    elif kind:
        _assign(self, name, value, kind)
    elif not (kind := self._kind(name)):
        _set_plain(self, name, value)
    elif value is None or (kind == "buffer" and isinstance(value, Tensor)):
        if kind == "buffer":
            _refuse_while_recording(self, name, value)
            self._swap(name, value)  # persistent or not as before
        else:
            getattr(self, "_register_" + kind)(name, None)
    else:
        raise TypeError(f"cannot assign {type(value).__name__} to the {kind} '{name}'")


def _getattr(self, name):
    if name.startswith("__"):
        raise AttributeError(name)
    return self._find(name)


def _delattr(self, name):
    if not self._unregister(name):
        object.__delattr__(self, name)


def _register(self, kind, name, *value):
    if not _ready(self):
        raise _too_early(kind, name)
    _check_free(self, name, kind, self)
    getattr(self, "_register_" + kind)(name, *value)


def _register_parameter(self, name, param):
    """A parameter by name; None stands for one that is not there."""
    _register(self, "parameter", name, param)


def _register_buffer(self, name, tensor, persistent=True):
    """A tensor that is not trained, by name; part of the state_dict if persistent."""
    _register(self, "buffer", name, tensor, persistent)


def _register_module(self, name, module):
    """A module below this one, by name."""
    _register(self, "module", name, module)


def _call(self, *args, **kwargs):
    for hook in self.__dict__.get("_forward_pre_hooks", {}).values():
        changed = hook(self, args)
        if changed is not None:
            args = changed if isinstance(changed, tuple) else (changed,)
    out = self.forward(*args, **kwargs)
    for hook in self.__dict__.get("_forward_hooks", {}).values():
        changed = hook(self, args, out)
        out = out if changed is None else changed
    return out


def _add_hook(self, which, hook):
    hooks = self.__dict__.setdefault(which, {})
    key = object()
    hooks[key] = hook
    return RemovableHandle(lambda: hooks.pop(key, None))


def _register_forward_hook(self, hook):
    """hook(module, args, output) after each call; what it returns replaces the output."""
    return _add_hook(self, "_forward_hooks", hook)


def _register_forward_pre_hook(self, hook):
    """hook(module, args) before each call; what it returns replaces the arguments."""
    return _add_hook(self, "_forward_pre_hooks", hook)


def _named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
    """Names and parameters, this module's and those below."""
    dot = prefix + "." if prefix else ""
    for name, p in self._named_parameters(recurse, remove_duplicate):
        yield dot + name, p


def _named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
    """Names and buffers, this module's and those below."""
    dot = prefix + "." if prefix else ""
    for name, b in self._named_buffers(recurse, remove_duplicate):
        yield dot + name, b


def _parameters(self, recurse=True):
    """The parameters, each once."""
    return iter([p for _, p in self._named_parameters(recurse, True)])


def _buffers(self, recurse=True):
    """The buffers, each once."""
    return iter([b for _, b in self._named_buffers(recurse, True)])


def _named_children(self):
    """Names and modules one level below, each once."""
    seen = set()
    for name, child in self._named_children():
        if child not in seen:
            seen.add(child)
            yield name, child


def _children(self):
    """The modules one level below, each once."""
    return iter([child for _, child in self.named_children()])


def _named_modules(self):
    """This module ("") and all below it, with dotted names."""
    return iter(self._named_modules())


def _modules(self):
    """This module and all below it."""
    return iter([m for _, m in self._named_modules()])


def _eval(self):
    """train(False)."""
    return self.train(False)


def _to(self, *args, **kwargs):
    """Another dtype or memory format for parameters and buffers, in place; returns the module."""
    for a in [*args, *kwargs.values()]:
        if isinstance(a, _thixo.dtype):
            self._to_dtype(a)
        elif a == "channels_last":
            self._to_channels_last()
        elif isinstance(a, Tensor):
            self._to_dtype(a.dtype)
        elif (
            a not in ("cpu", None, "contiguous_format", "preserve_format")
            and not isinstance(a, bool)
            and str(a) != "cpu"
        ):
            raise _thixo.DeviceError(f"to: only device 'cpu' is supported, not {a}")
    return self


def _apply(self, fn):
    """fn on every module below, then on this one; returns the module."""
    for child in self.children():
        child.apply(fn)
    fn(self)
    return self


def _requires_grad_(self, requires_grad=True):
    """Whether the parameters want gradients; returns the module."""
    self._requires_grad(requires_grad)
    return self


def _get_parameter(self, target):
    """The parameter of a dotted name."""
    path, _, name = target.rpartition(".")
    return getattr(self.get_submodule(path) if path else self, name)


def _dir(self):
    return sorted({*object.__dir__(self), *self._member_names()})


for _name, _f in {
    "__setattr__": _setattr,
    "__getattr__": _getattr,
    "__delattr__": _delattr,
    "__call__": _call,
    "__dir__": _dir,
    "register_forward_hook": _register_forward_hook,
    "register_forward_pre_hook": _register_forward_pre_hook,
    "named_parameters": _named_parameters,
    "named_buffers": _named_buffers,
    "parameters": _parameters,
    "buffers": _buffers,
    "named_children": _named_children,
    "children": _children,
    "named_modules": _named_modules,
    "modules": _modules,
    "eval": _eval,
    "to": _to,
    "apply": _apply,
    "requires_grad_": _requires_grad_,
    "get_parameter": _get_parameter,
    "register_parameter": _register_parameter,
    "register_buffer": _register_buffer,
    "register_module": _register_module,
    "add_module": _register_module,
    "float": lambda self: self.to(_thixo.float32),
    "double": lambda self: self.to(_thixo.float64),
    "half": lambda self: self.to(_thixo.float16),
    "bfloat16": lambda self: self.to(_thixo.bfloat16),
    "cpu": lambda self: self,
}.items():
    setattr(Module, _name, _f)
