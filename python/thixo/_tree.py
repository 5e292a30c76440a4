"""Arguments and results as flat lists of tensors and back: tuples, lists and dicts, nested."""

from ._thixo import Tensor


def flatten(obj, tensors):
    """Appends the tensors in obj to `tensors`; returns what rebuilds obj. Anything else becomes part of it."""
    if isinstance(obj, Tensor):
        tensors.append(obj)
        return ("t",)
    if isinstance(obj, dict):
        return ("d", type(obj), tuple((k, flatten(v, tensors)) for k, v in obj.items()))
    if isinstance(obj, (list, tuple)):
        return ("s", type(obj), tuple(flatten(v, tensors) for v in obj))
    return ("c", obj)


def unflatten(spec, tensors):
    """The object of a spec with the next tensors of the iterator in their places."""
    kind = spec[0]
    if kind == "t":
        return next(tensors)
    if kind == "d":
        return {k: unflatten(v, tensors) for k, v in spec[2]}
    if kind == "s":
        items = [unflatten(v, tensors) for v in spec[2]]
        if spec[1] is list:
            return items
        return spec[1](*items) if hasattr(spec[1], "_fields") else tuple(items)
    return spec[1]


def key(spec):
    """A string that tells specs apart: structure and constants; objects by identity."""
    if spec[0] == "c":
        c = spec[1]
        simple = c is None or isinstance(c, (bool, int, float, complex, str, bytes))
        return f"{type(c).__name__}:{c!r}" if simple else f"{type(c).__name__}@{id(c)}"
    if spec[0] == "t":
        return "t"
    body = (f"{k!r}:{key(v)}" for k, v in spec[2]) if spec[0] == "d" else (key(v) for v in spec[2])
    return f"{spec[0]}({','.join(body)})"
