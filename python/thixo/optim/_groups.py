"""Groups of parameters: reading what users give, and the live entries of param_groups."""

from collections import defaultdict
from collections.abc import MutableMapping

from .. import _thixo
from .._thixo import Tensor


def number(where, name, value):
    """value as a float, or a TypeError that names the argument."""
    try:
        if not isinstance(value, str):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{where}: {name} must be a number, not {type(value).__name__}")


def integer(where, name, value):
    """value as an int, or a TypeError that names the argument."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return value.__index__()
    except AttributeError:
        raise TypeError(f"{where}: {name} must be an int, not {type(value).__name__}") from None


def betas(where, value):
    """The two numbers of betas."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{where}: betas must be two numbers, not {value!r}")
    return number(where, "betas[0]", value[0]), number(where, "betas[1]", value[1])


def _params(where, params, own):
    """The tensors of one group; pairs with names, as of named_parameters(), leave the names in `own`."""
    if isinstance(params, Tensor):
        return [params]
    if isinstance(params, (set, str)) or not hasattr(params, "__iter__"):
        raise TypeError(f"{where}: params must be tensors in an order, not a {type(params).__name__}")
    params = list(params)
    if params and all(isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in params):
        own["param_names"] = [n for n, _ in params]
        params = [p for _, p in params]
    for p in params:
        if not isinstance(p, Tensor):
            raise TypeError(f"{where}: params has a {type(p).__name__}, where tensors belong")
    return params


def read_group(where, group, known):
    """One group: parameters, settings that the optimizer knows, and entries of the user's own."""
    if not isinstance(group, dict):
        raise TypeError(f"{where}: a group must be a dict, not a {type(group).__name__}")
    if "params" not in group:
        raise _thixo.ValueError(f"{where}: a group without 'params'")
    own, settings = {}, []
    params = _params(where, group["params"], own)
    for key, value in group.items():
        if key == "betas" and "betas" in known:
            settings += zip(("beta1", "beta2"), betas(where, value), strict=True)
        elif key in known or key == "initial_lr":
            settings.append((key, number(where, key, value)))
        elif key != "params":
            own[key] = value
    return params, settings, own


def read_groups(where, params, known):
    """All groups of an optimizer's first argument: tensors, named tensors, or dicts."""
    if isinstance(params, (Tensor, dict, str)) or not hasattr(params, "__iter__"):
        raise TypeError(f"{where}: params must be tensors or dicts in an order, not a {type(params).__name__}")
    params = list(params)
    if not params:
        raise _thixo.ValueError(f"{where}: it got an empty list of parameters")
    if not isinstance(params[0], dict):
        params = [{"params": params}]
    return [read_group(where, g, known) for g in params]


def public(settings):
    """Settings as users see them: beta1 and beta2 are one."""
    if "beta1" in settings:
        settings["betas"] = (settings.pop("beta1"), settings.pop("beta2"))
    return settings


class Group(MutableMapping, dict):
    """One entry of param_groups: reads and writes the settings of the optimizer itself, and keeps the user's own."""

    def __init__(self, optimizer, index):
        self._optimizer, self._index, self._own = optimizer, index, optimizer._own[index]

    def _all(self):
        o, i = self._optimizer, self._index
        return {"params": o._group_params(i), **public(o._group_settings(i)), **self._own}

    def __getitem__(self, key):
        return self._all()[key]

    def __setitem__(self, key, value):
        o, i, where = self._optimizer, self._index, type(self._optimizer).__name__
        if key == "params":
            raise _thixo.NotImplementedError(
                f"{where}: the parameters of a group cannot be replaced\n"
                "  fix   make a new optimizer, or add_param_group"
            )
        settings = public(o._group_settings(i))
        if key == "betas" and key in settings:
            for name, v in zip(("beta1", "beta2"), betas(where, value), strict=True):
                o._set(i, name, v)
        elif key in settings or key == "initial_lr":
            o._set(i, key, number(where, key, value))
        else:
            self._own[key] = value

    def __delitem__(self, key):
        if key not in self._own and key in self:
            raise _thixo.ValueError(f"optimizer: '{key}' is a setting that every group has")
        del self._own[key]

    def __iter__(self):
        return iter(self._all())

    def __len__(self):
        return len(self._all())

    def __contains__(self, key):
        return key in self._all()

    def __eq__(self, other):
        return self._all() == (other._all() if isinstance(other, Group) else other)

    __hash__ = None

    def __or__(self, other):
        return self._all() | dict(other)

    def __ror__(self, other):
        return dict(other) | self._all()

    def copy(self):
        """The entries of this moment as a dict."""
        return self._all()

    def __reduce__(self):  # a copy is a dict and belongs to no optimizer
        return dict, (self._all(),)

    def __reduce_ex__(self, protocol):
        return self.__reduce__()

    def __repr__(self):
        return repr(self._all())


class Groups(list):
    """param_groups: what is appended is added to the optimizer."""

    def __init__(self, optimizer):
        super().__init__(Group(optimizer, i) for i in range(optimizer._group_count()))
        self._optimizer = optimizer

    def append(self, group):
        """Adds a group to the optimizer."""
        self._optimizer.add_param_group(group)
        super().append(Group(self._optimizer, len(self)))

    def extend(self, groups):
        """Adds groups to the optimizer."""
        for g in groups:
            self.append(g)

    def __iadd__(self, groups):
        self.extend(groups)
        return self

    def __reduce_ex__(self, protocol):
        return list, (list(self),)

    def _fixed(self, *args, **kwargs):
        raise _thixo.NotImplementedError(
            "optimizer: groups cannot be taken out of param_groups or replaced\n  fix   make a new optimizer"
        )

    insert = pop = remove = clear = sort = reverse = __setitem__ = __delitem__ = __imul__ = _fixed


def state_of(optimizer):
    """The state of each parameter that has one; the tensors are the optimizer's own."""
    state = defaultdict(dict)
    for i in range(optimizer._group_count()):
        for p in optimizer._group_params(i):
            if s := optimizer._param_state(p):
                state[p] = s
    return state
