"""Every public function, class and op has a docstring with an example, and every example runs."""

import doctest
import inspect
import types

import pytest
import thixo

MODULES = [
    thixo,
    thixo.amp,
    thixo.autograd,
    thixo.cuda,
    thixo.func,
    thixo.nn,
    thixo.nn.functional,
    thixo.nn.init,
    thixo.nn.utils,
    thixo.optim,
    thixo.optim.lr_scheduler,
    thixo.profiler,
    thixo.utils.checkpoint,
    thixo.utils.data,
]


def is_error(x):
    return isinstance(x, type) and issubclass(x, BaseException)


def subjects():
    """Names and objects: functions and classes of the modules, ops, methods of Tensor; each object once."""
    seen = {}
    for m in MODULES:
        for name in dir(m):
            x = getattr(m, name)
            if name.startswith("_") or isinstance(x, types.ModuleType) or not callable(x) or is_error(x):
                continue
            seen.setdefault(id(x), (f"{m.__name__}.{name}", x))
    for name in dir(thixo.Tensor):
        x = inspect.getattr_static(thixo.Tensor, name)
        if not name.startswith("_") and callable(x) and not name.endswith("_"):
            seen.setdefault(id(x), (f"thixo.Tensor.{name}", x))
    seen[id(thixo)] = ("thixo", thixo)
    return sorted(seen.values(), key=lambda s: s[0])


SUBJECTS = subjects()


def is_other_form(x):
    """A method of an op whose function has the example."""
    return hasattr(x, "__schemas__") and type(x).__name__ == "OpMethod"


@pytest.mark.parametrize("name, x", SUBJECTS, ids=[n for n, _ in SUBJECTS])
def test_examples(name, x, tmp_path, monkeypatch):
    doc = x.__doc__
    assert doc, "no docstring"
    examples = doctest.DocTestParser().get_examples(doc)
    assert examples, "no example in the docstring"
    if is_other_form(x):
        return  # the same text as that of the function
    monkeypatch.chdir(tmp_path)
    thixo.manual_seed(0)
    test = doctest.DocTest(examples, {"thixo": thixo}, name, None, None, doc)
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)
