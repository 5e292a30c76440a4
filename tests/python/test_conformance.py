"""Every op by its public Python names: golden values, the bits that C++ gives, and the same bits in every form.

The cases are those of tests/golden/ops (tools/golden.py tells their format). The C++ harness, which calls the ops past
all bindings, writes its own results and the bounds of the ops (tests/conformance/golden_test.cpp).
"""

import json
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import thixo

ROOT = pathlib.Path(__file__).resolve().parents[2]
HARNESS = ROOT / "build" / "release" / "tests" / "conformance_test"
sys.path.insert(0, str(ROOT / "tools"))

import opgen  # noqa: E402 -- a tool, not a package

SCHEMAS = opgen.read_schemas(ROOT / "src" / "ops")


@dataclass
class Case:
    family: str
    number: int
    row: dict
    values: dict  # kind -> all values of the file

    def array(self, tensor):
        kind = {"f": "f64", "c": "c128"}.get(tensor["dtype"][0], "i64")
        size = int(np.prod(tensor["shape"]))
        flat = self.values[kind][tensor["at"] : tensor["at"] + size]
        return flat.astype(tensor["dtype"]).reshape(tensor["shape"])

    def outputs(self):
        return [self.array(t) for t in self.row["out"]]

    def operands(self, schema):
        """New tensors by name; a list where the operand is one, None where it is left out."""
        given = [None if t is None else thixo.from_numpy(self.array(t)) for t in self.row["in"]]
        spare = len(given) - (len(schema.operands) - 1)  # what a list takes
        found = {}
        for p in schema.operands:
            found[p.name], given = (given[:spare], given[spare:]) if p.listed else (given[0], given[1:])
        return found

    def attributes(self, schema):
        """What differs from its default, as a Python user writes it."""
        kinds = {p.name: p for p in schema.attrs}
        given = {name: attribute(kinds[name].kind, v) for name, v in self.row["attrs"].items()}
        return {
            ("generator" if kinds[name].kind == "rng" else name): v
            for name, v in given.items()
            if kinds[name].default is None or kinds[name].kind == "rng" or v != default(kinds[name])
        }


def read_cases():
    found = {}
    for path in sorted((ROOT / "tests" / "golden" / "ops").glob("*.npz")):
        with np.load(path) as file:
            values = {kind: file[kind] for kind in ("f64", "i64", "c128")}
            rows = json.loads(bytes(file["cases"]))
        for n, row in enumerate(rows):
            found.setdefault(row["op"], []).append(Case(path.stem, n, row, values))
    return found


CASES = read_cases()


def attribute(kind, v):
    if v is None:
        return None
    if kind == "dtype":
        return getattr(thixo, v)
    if kind == "rng":
        generator = thixo.Generator()
        generator.set_state((v["key"], v["counter"]))
        return generator
    if kind in ("float", "scalar") and isinstance(v, str):
        return float(v)  # nan, inf
    if isinstance(v, dict):
        return complex(v["re"], v["im"])
    return tuple(v) if isinstance(v, list) else v


def default(p):
    """The default of a parameter as a Python value."""
    text = p.default
    if text in (None, "None"):
        return None
    if "|" in p.kind or p.kind in ("string", "device"):
        return text
    if p.kind == "dtype":
        return getattr(thixo, text)
    if text.startswith("["):
        return tuple(json.loads(text))
    return text == "true" if p.kind == "bool" else float(text) if p.kind == "float" else json.loads(text)


def full_name(schema):
    return schema.name + ("." + schema.overload if schema.overload else "")


def public(schema):
    return "@private" not in schema.flags or schema.flags & {"@inplace", "@layer"}


def has_method(schema):
    return not schema.flags & {"@private", "@nn", "@creation"} and any(not p.listed for p in schema.operands)


def overload_of(owner, name, schema):
    """owner.name, which must be an op that has this overload."""
    f = getattr(owner, name, None)
    assert f is not None, f"{full_name(schema)}: no {owner.__name__}.{name}"
    texts = getattr(f, "__schemas__", None)  # without: written by hand in place of the op's
    assert texts is None or any(t.startswith(full_name(schema) + "(") for t in texts), f"{f} lacks {full_name(schema)}"
    return f


def call(f, schema, case, receiver=None, **more):
    """f with operands in their order and attributes as keywords; returns the receiver's tensor and the result."""
    operands, args, kwargs, in_order = case.operands(schema), [], {}, True
    self = operands[receiver.name] if receiver else None
    for p in schema.params:
        if receiver is p:
            continue
        in_order = in_order and p.operand and operands[p.name] is not None and not p.keyword
        if in_order:
            args.append(operands[p.name])
        elif p.operand and operands[p.name] is not None:
            kwargs[p.name] = operands[p.name]
    first = [self] if receiver else []
    return self, f(*first, *args, **kwargs, **case.attributes(schema), **more)


def call_in_order(f, schema, case):
    """f with all that may stand without a name in its place, defaults written out."""
    given = {**case.operands(schema), **case.attributes(schema)}
    before = [p for p in schema.params if not p.keyword and p.kind != "rng"]
    args = [given.pop(p.name, None if p.operand else default(p)) for p in before]
    return f(*args, **{name: v for name, v in given.items() if v is not None})


def listed(result):
    return [result] if isinstance(result, thixo.Tensor) else list(result)


def bits(x):
    """Shape, dtype and bytes; sign and payload of nan are open (src/ir/kernel_ir.h)."""
    a = np.ascontiguousarray(x).reshape(x.shape)
    if a.dtype.kind in "fc":
        part = a.reshape(-1).view(a.real.dtype).copy()
        part[np.isnan(part)] = np.nan
        return a.shape, a.dtype, part.tobytes()
    return a.shape, a.dtype, a.tobytes()


def assert_close(got, want, ulps, floor):
    """As difference() of tests/conformance/cases.cpp."""
    assert got.shape == want.shape
    assert (got.dtype.kind == "f") == (want.dtype.kind == "f")
    if got.dtype.kind not in "fc":
        assert np.array_equal(got, want)
        return
    size = np.maximum(np.where(np.isfinite(np.abs(want)), np.abs(want), 0), floor)
    for g, w in ((got.real, want.real), (got.imag, want.imag)):
        g, w = g.astype(np.longdouble), w.astype(np.longdouble)
        with np.errstate(invalid="ignore"):
            near = np.abs(g - w) <= ulps * np.spacing(size)
        same = near | (g == w) | (np.isnan(g) & np.isnan(w))
        if got.dtype.kind == "c":  # an infinite part says all: C17, G.3
            same |= ~np.isfinite(want) & ~np.isfinite(got)
        assert same.all(), f"{got[~same].ravel()[:4]}, not {want[~same].ravel()[:4]}, {ulps:g} ulps of {floor:g}"


@pytest.fixture(scope="module")
def cxx(tmp_path_factory):
    """What C++ gives for a case, and the bound of its op."""
    if not HARNESS.exists():
        pytest.fail("this test needs build/release/tests/conformance_test: run ./dev build")
    folder = tmp_path_factory.mktemp("cxx")
    environment = {**os.environ, "THIXO_GOLDEN_OUT": str(folder)}
    command = [HARNESS, "--gtest_filter=*Golden.EagerAgrees*", "--gtest_brief=1"]
    # Wrong values fail below too, op by op; a case without files was not reached.
    subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=600)
    bounds = {path.stem: np.loadtxt(path, ndmin=2) for path in folder.glob("*.bounds")}

    def of(case):
        results = [np.load(folder / f"{case.family}.{case.number}.{r}.npy") for r in range(len(case.row["out"]))]
        return results, *bounds[case.family][case.number]

    return of


def forms_of(schema, case):
    """Name of a form -> its results."""
    found = {}
    if "@private" not in schema.flags:
        f = overload_of(thixo.nn.functional if "@nn" in schema.flags else thixo, schema.name, schema)
        found["function"] = listed(call(f, schema, case)[1])
        found["in order"] = listed(call_in_order(f, schema, case))
        if opgen.has_out(schema):
            made = found["function"][0]
            out = thixo.full(tuple(made.shape), 1, dtype=made.dtype)
            assert call(f, schema, case, out=out)[1] is out
            found["out="] = [out]
    if "@layer" in schema.flags:  # its function returns the first result and writes the others
        f, operands = getattr(thixo.nn.functional, schema.name), case.operands(schema)
        made = f(**operands, **case.attributes(schema))
        found["function"] = [made] + [operands[name] for name in schema.results[1:]]
    if has_method(schema):
        f = overload_of(thixo.Tensor, schema.name, schema)
        found["method"] = listed(call(f, schema, case, schema.receiver)[1])
    if "@inplace" in schema.flags:
        f = overload_of(thixo.Tensor, schema.name + "_", schema)
        self = case.operands(schema)[schema.receiver.name]
        made = case.outputs()[0]
        if made.shape == self.shape and thixo.can_cast(getattr(thixo, made.dtype.name), self.dtype):
            self, result = call(f, schema, case, schema.receiver)
            assert result is self
            found["in place"] = [self]
        else:
            with pytest.raises((ValueError, TypeError)):
                call(f, schema, case, schema.receiver)
    return found


@pytest.mark.parametrize("schema", [pytest.param(s, id=full_name(s)) for s in SCHEMAS if public(s)])
def test_op(schema, cxx):
    cases = CASES.get(full_name(schema), [])
    assert cases, "no golden case: tools/golden_values"
    seen = set()
    for case in cases:
        wanted, ulps, floor = cxx(case)
        forms = forms_of(schema, case)
        seen |= forms.keys()
        for form, got in forms.items():
            print(f"case {case.number} of {case.family}: {form}, {case.row['attrs']}")  # shown when it fails
            assert len(got) >= len(wanted)
            for r, (g, w, golden) in enumerate(zip(got, wanted, case.outputs(), strict=False)):
                g = g.numpy()
                if form == "in place":  # in the receiver's dtype
                    w, golden = w.astype(g.dtype), golden.astype(g.dtype)
                assert bits(g) == bits(w), f"result {r} has other bits than C++'s"
                assert_close(g, golden, ulps, floor)
    assert "@inplace" not in schema.flags or "in place" in seen, "no case fits the in-place form"


def test_every_case_is_of_an_op():
    assert CASES.keys() <= {full_name(s) for s in SCHEMAS}
