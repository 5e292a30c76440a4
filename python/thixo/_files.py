"""save and load: tensors in safetensors files, with what stands around them as JSON. No pickle: a file is data."""

import os

from . import _thixo
from ._thixo import Tensor

_TREE = "thixo.tree"


def _plain(obj, path, tensors):
    """obj as JSON; its tensors go to `tensors` by name."""
    if isinstance(obj, Tensor):
        name = path or "tensor"
        while name in tensors:  # {"a": {"b": x}, "a.b": y}
            name += "_"
        tensors[name] = obj.detach()
        return {"t": name}
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, dict):
        items = []
        for k, v in obj.items():
            if not isinstance(k, (str, int)):
                raise _thixo.ValueError(f"save: a key must be a str or an int, not {type(k).__name__}")
            items.append([k, _plain(v, f"{path}.{k}" if path else str(k), tensors)])
        return {"d": items}
    if isinstance(obj, (list, tuple)):
        kind = "l" if isinstance(obj, list) else "u"
        return {kind: [_plain(v, f"{path}.{i}" if path else str(i), tensors) for i, v in enumerate(obj)]}
    raise _thixo.ValueError(
        f"save: {type(obj).__name__} at '{path}' is neither a tensor nor a number, text, list or dict"
        "\n  fix   save its state_dict()"
    )


def _rebuilt(tree, tensors):
    if not isinstance(tree, dict):
        return tree
    ((kind, value),) = tree.items()
    if kind == "t":
        return tensors[value]
    if kind == "d":
        return {k: _rebuilt(v, tensors) for k, v in value}
    items = [_rebuilt(v, tensors) for v in value]
    return items if kind == "l" else tuple(items)


def save(obj, f):
    """Writes tensors, and dicts, lists, numbers and texts around them, as a safetensors file.

    >>> net = thixo.nn.Linear(2, 1)
    >>> thixo.save(net.state_dict(), "net.safetensors")
    >>> net.load_state_dict(thixo.load("net.safetensors"))
    <All keys matched successfully>
    """
    import json

    tensors = {}
    tree = _plain(obj, "", tensors)
    flat = isinstance(obj, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in obj.items())
    # A plain state_dict is what the file says already, but for the order of the names.
    _thixo.save_file(tensors, os.fspath(f), {_TREE: json.dumps(tree)} if not flat or list(obj) != sorted(obj) else {})


def load(f, map_location=None, *, weights_only=True, mmap=None):
    """What save wrote, or the tensors by name of any other safetensors file. Nothing in the file is run.

    >>> thixo.save({"step": 3, "w": thixo.ones(2)}, "state.safetensors")
    >>> thixo.load("state.safetensors")
    {'step': 3, 'w': tensor([1., 1.])}
    """
    import json

    path = os.fspath(f)
    tensors = _thixo.load_file(path)
    text = _thixo.load_metadata(path).get(_TREE)
    if text is None:
        return dict(tensors)
    try:
        return _rebuilt(json.loads(text), tensors)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise _thixo.IoError(f"load: {path}: the description of the file's structure is damaged ({e})") from None
