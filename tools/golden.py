#!/usr/bin/env python3
"""Writes tests/golden/ops/<family>.npz: what every op gives, computed without thixo.

    golden.py                write the files (NumPy, SciPy and mpmath, in double precision)
    golden.py --check        say which public ops and attributes of src/ops have no case, and exit 1 if there are any

A family is a module in tools/golden_values with one function, cases(), that yields case(...) objects. A file holds
four arrays: "cases", the UTF-8 text of a JSON list, and "f64", "i64", "c128" with the values of all tensors one after
another. A case is {"op", "attrs", "in", "out"}; a tensor is {"dtype", "shape", "at"} with `at` its place in the array
of its kind, or null where an optional operand is left out. Attributes that are not named have their default.
"""
import importlib
import json
import math
import pkgutil
import re
import sys
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

    names = sorted(m.name for m in pkgutil.iter_modules(golden_values.__path__) if not m.name.startswith("_"))
    return {name: list(importlib.import_module(f"golden_values.{name}").cases()) for name in names}


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


def write(path, cases):
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
    np.savez(path, cases=np.frombuffer(text.encode(), np.uint8), **arrays)


SCHEMA = re.compile(r'op\.schema\(((?:\s*"(?:[^"\\]|\\.)*")+)\)')


def public_ops():
    """Full name -> names of attributes, of the ops that users see."""
    out = {}
    for path in sorted((ROOT / "src/ops").rglob("*.cpp")):
        for m in SCHEMA.finditer(path.read_text()):
            text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', m[1]))
            if "@private" in text:
                continue
            name, params = re.match(r"([\w.]+)\((.*)\) -> ", text).groups()
            attrs = re.findall(r"(\w+): [a-z]", params)
            out[name] = [a for a in attrs if a != "device"]
    return out


def check(found):
    cases = [c for f in found.values() for c in f]
    missing = []
    for op, attrs in public_ops().items():
        mine = [c for c in cases if c.op == op]
        if not mine:
            missing.append(op)
        missing += [f"{op}({a})" for a in attrs if mine and not any(a in c.attrs for c in mine)]
    unknown = sorted({c.op for c in cases} - set(public_ops()))
    for line in missing:
        print("no case for", line)
    for line in unknown:
        print("a case for an op that is not there:", line)
    return 1 if missing or unknown else 0


def main():
    found = families()
    if "--check" in sys.argv[1:]:
        sys.exit(check(found))
    for name, cases in found.items():
        write(ROOT / "tests/golden/ops" / f"{name}.npz", cases)


if __name__ == "__main__":
    main()
