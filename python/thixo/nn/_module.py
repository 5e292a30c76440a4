"""Module and Parameter: the Python side of thixo::nn::Module."""

from .. import _thixo
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
_plain_setattr = object.__setattr__


def _setattr(self, name, value):
    if isinstance(value, (Parameter, Module)) and not _thixo._nn._ready(self):
        raise AttributeError(f"call super().__init__() before '{name}' is assigned")
    if isinstance(value, Parameter):
        self.register_parameter(name, value)
    elif isinstance(value, Module):
        self.register_module(name, value)
    else:
        kind = self._kind(name)
        if not kind:
            _plain_setattr(self, name, value)
            return
        if value is None:
            getattr(self, "register_" + kind)(name, None)
        elif kind == "buffer" and isinstance(value, Tensor):
            self.register_buffer(name, value)
        else:
            raise TypeError(f"cannot assign {type(value).__name__} to the {kind} '{name}'")
    self.__dict__.pop(name, None)


def _getattr(self, name):
    if name.startswith("__"):
        raise AttributeError(name)
    return self._find(name)


def _delattr(self, name):
    if not self._unregister(name):
        object.__delattr__(self, name)


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


class _HookHandle:
    def __init__(self, hooks, key):
        self.hooks, self.key = hooks, key

    def remove(self):
        """Takes the hook away."""
        self.hooks.pop(self.key, None)


def _add_hook(self, which, hook):
    hooks = self.__dict__.setdefault(which, {})
    key = object()
    hooks[key] = hook
    return _HookHandle(hooks, key)


def _register_forward_hook(self, hook):
    """hook(module, args, output) after each call; what it returns replaces the output."""
    return _add_hook(self, "_forward_hooks", hook)


def _register_forward_pre_hook(self, hook):
    """hook(module, args) before each call; what it returns replaces the arguments."""
    return _add_hook(self, "_forward_pre_hooks", hook)


def _named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
    """Names and parameters, this module's and those below."""
    dot = prefix + "." if prefix else ""
    for name, p in self._named_parameters(recurse):
        yield dot + name, p


def _named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
    """Names and buffers, this module's and those below."""
    dot = prefix + "." if prefix else ""
    for name, b in self._named_buffers(recurse):
        yield dot + name, b


def _parameters(self, recurse=True):
    """The parameters, each once."""
    return iter([p for _, p in self._named_parameters(recurse)])


def _buffers(self, recurse=True):
    """The buffers, each once."""
    return iter([b for _, b in self._named_buffers(recurse)])


def _named_children(self):
    """Names and modules one level below."""
    return iter(self._named_children())


def _children(self):
    """The modules one level below."""
    return iter([c for _, c in self._named_children()])


def _named_modules(self):
    """This module ("") and all below it, with dotted names."""
    return iter(self._named_modules())


def _modules(self):
    """This module and all below it."""
    return iter([m for _, m in self._named_modules()])


def _train(self, mode=True):
    """Sets training mode here and below; returns the module."""
    self._train(bool(mode))
    return self


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


def _state_dict(self, prefix=""):
    """Parameters and persistent buffers by name, detached but not copied."""
    return {prefix + name: t for name, t in self._state()}


def _load_state_dict(self, state_dict, strict=True):
    """Copies values in; with strict, missing and unexpected names are an error and nothing changes."""
    return self._load_state(list(state_dict.items()), strict)


def _get_parameter(self, target):
    """The parameter of a dotted name."""
    path, _, name = target.rpartition(".")
    return getattr(self.get_submodule(path) if path else self, name)


def _made_by(cls):
    """The C++ class that a module is or extends."""
    return next(c for c in cls.__mro__ if c.__module__.startswith("thixo._thixo"))


def _rebuild(cls, text):
    """A module whose C++ part is made from the settings that it prints; what it holds follows by __setstate__."""
    import ast

    call = ast.parse(f"_({text})", mode="eval").body

    def value(node):  # padding=same is printed without quotes
        return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)

    args, kwargs = [value(a) for a in call.args], {k.arg: value(k.value) for k in call.keywords}
    self = cls.__new__(cls)
    _made_by(cls).__init__(self, *args, **kwargs)
    return self


def _reduce_ex(self, protocol):
    persistent = {name for name, _ in self._state()}
    state = {
        "parameters": {n: self._find(n) for n in self._member_names() if self._kind(n) == "parameter"},
        "buffers": {n: (self._find(n), n in persistent) for n in self._member_names() if self._kind(n) == "buffer"},
        "modules": {n: self._find(n) for n in self._member_names() if self._kind(n) == "module"},
        "training": self.training,
        "attributes": dict(self.__dict__),
    }
    return _rebuild, (type(self), _made_by(type(self)).extra_repr(self)), state


def _setstate(self, state):
    for name in self._member_names():  # made with bias=True, then set to None
        if name not in state[self._kind(name) + "s"]:
            self._unregister(name)
    for name, p in state["parameters"].items():
        requires_grad = p is not None and p.requires_grad
        self.register_parameter(name, p)
        if p is not None and not requires_grad:
            p.requires_grad_(False)
    for name, (b, persistent) in state["buffers"].items():
        self.register_buffer(name, b, persistent)
    self._train(state["training"])  # before the children come, which have modes of their own
    for name, m in state["modules"].items():
        self.register_module(name, m)
    self.__dict__.update(state["attributes"])


def _dir(self):
    return sorted({*object.__dir__(self), *self._member_names()})


for _name, _f in {
    "__setattr__": _setattr,
    "__getattr__": _getattr,
    "__delattr__": _delattr,
    "__call__": _call,
    "__dir__": _dir,
    "__reduce_ex__": _reduce_ex,
    "__setstate__": _setstate,
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
    "train": _train,
    "eval": _eval,
    "to": _to,
    "apply": _apply,
    "requires_grad_": _requires_grad_,
    "state_dict": _state_dict,
    "load_state_dict": _load_state_dict,
    "get_parameter": _get_parameter,
    "add_module": Module.register_module,
    "float": lambda self: self.to(_thixo.float32),
    "double": lambda self: self.to(_thixo.float64),
    "half": lambda self: self.to(_thixo.float16),
    "bfloat16": lambda self: self.to(_thixo.bfloat16),
    "cpu": lambda self: self,
}.items():
    setattr(Module, _name, _f)
