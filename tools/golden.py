#!/usr/bin/env python3
"""Writes tests/golden/ops/<family>.npz: what every op gives, computed without thixo.

    golden.py                write the files whose cases have changed (NumPy, SciPy and mpmath, in double precision)
    golden.py --check        say which public ops and attributes of src/ops have no case, and which files are not what
                             would be written now; exit 1 if there are any

A family is a module in tools/golden_values with one function, cases(), that yields case(...) objects; a function of
numbers needs none where its definition states a formula with .reference("..."), see golden_values/formulas.py. A file
holds four arrays: "cases", the UTF-8 text of a JSON list, and "f64", "i64", "c128" with the values of all tensors one
after another. A case is {"op", "attrs", "in", "out"}; a tensor is {"dtype", "shape", "at"} with `at` its place in the
array of its kind, or null where an optional operand is left out. Attributes that are not named have their default.
"""

import importlib
import json
import math
import pkgutil
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))


@dataclass
class Case:
    op: str
    inputs: list
    outputs: list
    attrs: dict


def case(op, inputs, outputs, **attrs):
    """One call. Inputs and outputs are arrays (None: left out); a list of tensors stands flat in its place."""
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return Case(op, [None if x is None else np.asarray(x) for x in inputs], [np.asarray(x) for x in outputs], attrs)


def families():
    import golden_values
    from golden_values import _data

    found = {}
    for name in sorted(m.name for m in pkgutil.iter_modules(golden_values.__path__) if not m.name.startswith("_")):
        _data.restart()  # a case added to one family leaves the others as they are
        found[name] = list(importlib.import_module(f"golden_values.{name}").cases())
    return found


def kind_of(a):
    if a.dtype.kind == "f":
        return "f64", a.astype(np.float64)
    if a.dtype.kind == "c":
        return "c128", a.astype(np.complex128)
    return "i64", a.astype(np.int64)


DTYPES = {"f": "float64", "c": "complex128", "i": "int64", "u": "int64", "b": "bool"}


def attr_json(v):
    if isinstance(v, (bool, np.bool_)):
        return bool(v)
    if isinstance(v, float) and not math.isfinite(v):
        return str(v)
    if isinstance(v, complex):
        return {"re": v.real, "im": v.imag}
    if isinstance(v, tuple):
        return list(v)
    return v


def contents(cases):
    """The arrays of a file."""
    blobs = {"f64": [], "i64": [], "c128": []}
    sizes = dict.fromkeys(blobs, 0)

    def tensor(a):
        if a is None:
            return None
        kind, values = kind_of(a)
        at = sizes[kind]
        blobs[kind].append(values.ravel())
        sizes[kind] += values.size
        return {"dtype": DTYPES[a.dtype.kind], "shape": list(a.shape), "at": at}

    rows = [
        {
            "op": c.op,
            "attrs": {k: attr_json(v) for k, v in c.attrs.items()},
            "in": [tensor(a) for a in c.inputs],
            "out": [tensor(a) for a in c.outputs],
        }
        for c in cases
    ]
    text = json.dumps(rows, separators=(",", ":"), allow_nan=False)
    empty = {"f64": np.float64, "i64": np.int64, "c128": np.complex128}
    arrays = {k: np.concatenate(v) if v else np.zeros(0, empty[k]) for k, v in blobs.items()}
    return {"cases": np.frombuffer(text.encode(), np.uint8), **arrays}


def write(path, cases):
    """Like np.savez, but the same bytes each time."""
    with zipfile.ZipFile(path, "w") as f:
        for name, array in contents(cases).items():
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            with f.open(entry, "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array))


def is_current(path, cases):
    """Whether a file holds these calls and results; the last bits of these are this NumPy's and are not compared."""
    if not path.exists():
        return False
    wanted = contents(cases)
    with np.load(path) as file:
        return bytes(file["cases"]) == bytes(wanted["cases"]) and all(
            np.allclose(file[kind], wanted[kind], rtol=1e-9, atol=1e-12, equal_nan=True)
            for kind in ("f64", "i64", "c128")
        )


SCHEMA = re.compile(r'op\.schema\(((?:\s*"(?:[^"\\]|\\.)*")+)\)')
REFERENCE = re.compile(r'\.reference\(((?:\s*"(?:[^"\\]|\\.)*")+)\)')


@dataclass
class Definition:
    op: str
    text: str  # the whole schema
    params: list  # (name, type, default or None)
    formula: str  # "" where the definition has no .reference


def literal(text):
    """The value of adjacent C++ string literals."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text))


def definitions():
    for path in sorted((ROOT / "src/ops").rglob("*.cpp")):
        source = path.read_text()
        found = list(SCHEMA.finditer(source))
        ends = [n.start() for n in found[1:]] + [len(source)]
        for m, end in zip(found, ends[: len(found)], strict=True):
            text = literal(m[1])
            name, params = re.match(r"([\w.]+)\((.*)\) -> ", text).groups()
            params = re.findall(r"(\w+): ([\w|?\[\]]+)(?: = ([^,]+))?", params)
            formula = REFERENCE.search(source, m.end(), end)
            yield Definition(name, text, params, literal(formula[1]) if formula else "")


def is_attr(kind):
    return kind[0].islower()


def all_ops():
    """Full name -> names of attributes; None for ops that users do not see, whose attributes need no case."""
    return {
        d.op: None
        if "@private" in d.text and "@layer" not in d.text
        else [n for n, kind, _ in d.params if is_attr(kind) and n != "device"]
        for d in definitions()
    }


@dataclass
class Reference:
    op: str
    formula: str
    operands: list  # names
    attrs: dict  # name -> default


def all_references():
    """Of every op whose definition states a formula."""
    return [
        Reference(
            d.op,
            d.formula,
            [n for n, kind, _ in d.params if not is_attr(kind)],
            {n: default for n, kind, default in d.params if is_attr(kind)},
        )
        for d in definitions()
        if d.formula
    ]


def check(found):
    cases = [c for f in found.values() for c in f]
    missing = []
    ops = all_ops()
    for op, attrs in ops.items():
        if attrs is None:
            continue
        mine = [c for c in cases if c.op == op]
        if not mine:
            missing.append(op)
        missing += [f"{op}({a})" for a in attrs if mine and not any(a in c.attrs for c in mine)]
    unknown = sorted({c.op for c in cases} - set(ops))
    for line in missing:
        print("no case for", line)
    for line in unknown:
        print("a case for an op that is not there:", line)
    stale = [f for f, cases in found.items() if not is_current(ROOT / "tests/golden/ops" / f"{f}.npz", cases)]
    for name in stale:
        print(f"tests/golden/ops/{name}.npz holds other cases: run tools/golden.py")
    return 1 if missing or unknown or stale else 0


def main():
    found = families()
    if "--check" in sys.argv[1:]:
        sys.exit(check(found))
    for name, cases in found.items():
        path = ROOT / "tests/golden/ops" / f"{name}.npz"
        if not is_current(path, cases):
            write(path, cases)


if __name__ == "__main__":
    main()
