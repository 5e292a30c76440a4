"""Mixed precision: not there yet. What asks for it is told so."""

from . import _thixo


class autocast:
    """Raises NotImplementedError unless enabled=False: cast the module and its inputs instead.

    >>> with thixo.autocast("cpu", enabled=False): thixo.ones(1)
    tensor([1.])
    """

    def __init__(self, device_type="cpu", dtype=None, enabled=True, cache_enabled=None):
        if enabled:
            raise _thixo.NotImplementedError(
                "autocast: mixed precision is not supported yet"
                "\n  fix   use net.to(thixo.bfloat16) and x.to(thixo.bfloat16)"
            )

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False

    def __call__(self, function):
        return function
