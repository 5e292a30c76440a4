"""Arguments and results as flat lists of tensors and back: tuples, lists and dicts, nested."""

from collections import OrderedDict, defaultdict

from ._thixo import Tensor, device, dtype


def flatten(obj, tensors):
    """Appends the tensors in obj to `tensors`; returns what rebuilds obj. Anything else becomes part of it."""
    if isinstance(obj, Tensor):
        tensors.append(obj)
        return ("t",)
    cls = type(obj)
    if isinstance(obj, dict):
        if cls is dict and not obj:  # most often: no keyword arguments
            return ("d", ())
        items = tuple((k, flatten(v, tensors)) for k, v in obj.items())
        if cls is dict:
            return ("d", items)
        factory = obj.default_factory if isinstance(obj, defaultdict) else None
        return (f"d@{id(cls)}@{id(factory)}", items, cls, factory)
    if isinstance(obj, (list, tuple)):
        items = tuple(flatten(v, tensors) for v in obj)
        return ("s", items) if cls is tuple else ("l", items) if cls is list else (f"s@{id(cls)}", items, cls)
    return ("c", obj)


def unflatten(spec, tensors):
    """The object of a spec with the next tensors of the iterator in their places."""
    kind = spec[0]
    if kind == "t":
        return next(tensors)
    if kind == "c":
        return spec[1]
    if kind[0] == "d":
        items = [(k, unflatten(v, tensors)) for k, v in spec[1]]
        return dict(items) if kind == "d" else _dict(items, *spec[2:])
    items = [unflatten(v, tensors) for v in spec[1]]
    return items if kind == "l" else tuple(items) if kind == "s" else _sequence(items, spec[2])


def key(spec):
    """A string that tells specs apart: structure and constants; types and other objects by identity."""
    kind = spec[0]
    if kind == "c":
        c = spec[1]
        simple = c is None or isinstance(c, (bool, int, float, complex, str, bytes, slice, device, dtype))
        return f"{type(c).__name__}:{c!r}" if simple else f"{type(c).__name__}@{id(c)}"
    if kind == "t" or not spec[1]:
        return kind
    body = (f"{k!r}:{key(v)}" for k, v in spec[1]) if kind[0] == "d" else (key(v) for v in spec[1])
    return f"{kind}({','.join(body)})"


def _dict(items, cls, factory):
    if issubclass(cls, defaultdict):
        return defaultdict(factory, items)
    return OrderedDict(items) if issubclass(cls, OrderedDict) else dict(items)


def _sequence(items, cls):
    return cls._make(items) if hasattr(cls, "_make") else cls(items)  # a named tuple, or thixo.Size and its like
