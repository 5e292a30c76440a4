"""Optimizers with PyTorch's names, defaults and formulas; one step is one loop over all parameters."""

from .._thixo._training import SGD, Adam, AdamW, Optimizer  # noqa: F401
from . import lr_scheduler  # noqa: F401


class _Group:
    """One entry of param_groups: reads and writes the settings of the optimizer itself."""

    def __init__(self, optimizer, index):
        self._optimizer, self._index = optimizer, index

    def _settings(self):
        s = dict(self._optimizer._group_settings(self._index))
        if "beta1" in s:
            s["betas"] = (s.pop("beta1"), s.pop("beta2"))
        return {"params": self._optimizer._group_params(self._index), **s}

    def __getitem__(self, key):
        return self._settings()[key]

    def __setitem__(self, key, value):
        if key == "betas":
            self._optimizer._set(self._index, "beta1", value[0])
            self._optimizer._set(self._index, "beta2", value[1])
        else:
            self._optimizer._set(self._index, key, float(value))

    def __iter__(self):
        return iter(self._settings())

    def __contains__(self, key):
        return key in self._settings()

    def keys(self):
        """The names of the settings."""
        return self._settings().keys()

    def items(self):
        """Names and values."""
        return self._settings().items()

    def get(self, key, default=None):
        """A setting, or the default."""
        return self._settings().get(key, default)

    def __repr__(self):
        return repr({k: v for k, v in self.items() if k != "params"})


def _step(self, closure=None):
    """Updates the parameters from their gradients; a closure is called first and its loss returned."""
    loss = closure() if closure is not None else None
    self._step()
    return loss


def _state_dict(self):
    """Moments, step counts and settings as tensors by name: fit for thixo.save_file."""
    return dict(self._state())


def _load_state_dict(self, state_dict):
    """Takes over what state_dict gave; everything is checked first."""
    self._load_state(list(state_dict.items()))


Optimizer.step = _step
Optimizer.param_groups = property(lambda self: [_Group(self, i) for i in range(self._group_count())])
Optimizer.state_dict = _state_dict
Optimizer.load_state_dict = _load_state_dict
