"""Where the time goes: each op that runs, as a table and as a trace."""

from . import _thixo


class profile:
    """Watches the ops of this thread inside the block, and the steps of compiled functions.

    >>> with thixo.profiler.profile() as p: x = thixo.ones(2) + 1
    >>> "add" in p.table()
    True
    """

    def __init__(self, **options):
        self._core = None

    def __enter__(self):
        self._core = _thixo._Profiler()
        return self

    def __exit__(self, *exc):
        self._core.stop()

    def _seen(self):
        if self._core is None:
            raise _thixo.ValueError("profile: nothing was watched yet; use it as `with thixo.profiler.profile() as p:`")
        return self._core

    def events(self):
        """Every call in order: name, shapes, part_of (whose gradient it is), start_ns, total_ns, self_ns, depth.

        >>> with thixo.profiler.profile() as p: x = thixo.ones(2) * 3
        >>> [e.name for e in p.events()][-1]
        'mul'
        """
        return self._seen().events()

    def key_averages(self):
        """Itself: table() has one row per op already, as in `p.key_averages().table(row_limit=10)` of PyTorch.

        >>> with thixo.profiler.profile() as p: x = thixo.ones(2) + 1
        >>> "add" in p.key_averages().table(sort_by="cpu_time_total", row_limit=10)
        True
        """
        return self

    def table(self, row_limit=30, *, sort_by="cpu_time_total"):
        """One row per op, the longest total time first (the one order there is); at most row_limit rows (0: all)."""
        if sort_by not in (None, "cpu_time_total"):
            raise _thixo.ValueError(f"profile: sort_by is 'cpu_time_total', not {sort_by!r}")
        return self._seen().table(row_limit)

    def __str__(self):
        return self.table() if self._core else repr(self)

    def export_chrome_trace(self, path):
        """A file for chrome://tracing or ui.perfetto.dev."""
        self._seen().export_chrome_trace(str(path))
