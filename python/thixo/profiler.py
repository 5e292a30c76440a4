"""Where the time goes: each op that runs, as a table and as a trace."""

from . import _thixo


class profile:
    """Watches the ops of this thread inside the block.

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

    def table(self, row_limit=30):
        """One row per op, the longest total time first."""
        return self._core.table(row_limit)

    def export_chrome_trace(self, path):
        """A file for chrome://tracing or ui.perfetto.dev."""
        self._core.export_chrome_trace(path)
