#!/usr/bin/env python3
"""Stage 0: reads the op schemas out of src/ops as text and writes the C++ that derives from them.

    opgen.py <src/ops> <out dir>

Writes into <out dir>: thixo/gen/op_options.h (keyword-only attributes as aggregates), thixo/gen/ops.h (free
functions), thixo/gen/tensor_methods.inc (members of Tensor), private_ops.h (functions of @private ops),
ops_front.cpp (the bodies), ops_list.cpp (the one explicit list of all definitions) and op_ids.h. A file is rewritten
only when its text changes. The grammar of a schema is in src/ir/schema.h; the C++ parser is src/ir/schema.cpp.
"""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

DEFINITION = re.compile(r"^void def_(\w+)\(Op& op\) \{\s*op\.schema\(((?:\s*\"(?:[^\"\\]|\\.)*\")+)\)", re.M)
CPP_TYPE = {
    "bool": "bool",
    "int": "Dim",
    "float": "double",
    "scalar": "Scalar",
    "dim": "int64_t",
    "dims": "IntList",
    "size": "Shape",
    "dtype": "DType",
    "device": "Device",
    "string": "std::string",
    "rng": "Generator*",
    "chain": "ViewChain",
}


@dataclass
class Param:
    name: str
    kind: str
    operand: bool
    optional: bool = False
    listed: bool = False
    default: str | None = None
    keyword: bool = False


@dataclass
class Schema:
    function: str
    name: str
    overload: str
    params: list[Param] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    listed: bool = False  # the result is a list

    @property
    def receiver(self):
        """The operand that a method is called on."""
        return next((p for p in self.operands if p.name == "input"), self.operands[0])

    @property
    def takes_requires_grad(self):
        return "@creation" in self.flags

    @property
    def operands(self):
        return [p for p in self.params if p.operand]

    @property
    def attrs(self):
        return [p for p in self.params if not p.operand]

    @property
    def keywords(self):
        return [p for p in self.params if p.keyword]

    @property
    def options(self):
        return "".join(w.capitalize() for w in (self.name + "_" + self.overload).split("_") if w) + "Options"


def parse_param(text, keyword):
    m = re.fullmatch(r"(\w+): ([\w|]+)(\[\])?(\?)?(?: = (.+))?", text.strip())
    if not m:
        raise SystemExit(f"opgen: cannot read the parameter '{text}'")
    name, kind, listed, optional, default = m.groups()
    return Param(name, kind, kind[0].isupper(), bool(optional), bool(listed), default, keyword)


def split_commas(text):
    out, depth = [""], 0
    for ch in text:
        depth += (ch in "[(") - (ch in "])")
        if ch == "," and depth == 0:
            out.append("")
        else:
            out[-1] += ch
    return [p for p in out if p.strip()]


def parse(function, text):
    m = re.fullmatch(r"(\w+)(?:\.(\w+))?\((.*?)\) -> (\([^)]*\)|\w+(?:\[\])?)((?: @\w+)*)", text)
    if not m:
        raise SystemExit(f"opgen: cannot read the schema '{text}'")
    s = Schema(function, m[1], m[2] or "")
    keyword = False
    for p in split_commas(m[3]):
        if p.strip() == "*":
            keyword = True
        else:
            s.params.append(parse_param(p, keyword))
    results = m[4].strip("()").split(",") if m[4][0] == "(" else ["out: " + m[4]]
    s.results = [r.split(":")[0].strip() for r in results if not r.strip().startswith("_")]
    s.listed = m[4].endswith("[]")
    s.flags = set(m[5].split())
    return s


def read_schemas(folder):
    out = []
    for path in sorted(Path(folder).rglob("*.cpp")):
        for m in DEFINITION.finditer(path.read_text()):
            text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', m[2]))
            out.append(parse(m[1], text))
    names = [(s.name, s.overload) for s in out]
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise SystemExit(f"opgen: defined twice: {sorted(twice)}")
    return out


def cpp_type(p):
    base = "std::string" if "|" in p.kind else CPP_TYPE.get(p.kind)
    if base is None:
        raise SystemExit(f"opgen: unknown attribute type '{p.kind}'")
    if p.kind == "dims":
        return base  # the empty list stands for None
    return f"std::optional<{base}>" if p.optional and p.kind != "rng" else base


def cpp_default(p):
    d = p.default
    if d is None:
        return None
    if d == "None":
        return {"rng": "nullptr", "dims": "{}"}.get(p.kind, "std::nullopt")
    if "|" in p.kind or p.kind == "string":
        return f'"{d}"'
    if p.kind == "bool":
        return d.lower()
    if d.startswith("["):
        return "{" + d[1:-1] + "}"
    if p.kind == "dtype":
        return f"DType::{d}"
    if p.kind == "device":
        return f'"{d}"'
    return d


def argument_type(p):
    if p.operand:
        return "const TensorList&" if p.listed else "const Tensor&" if p.optional else "const TensorArg&"
    t = cpp_type(p)
    if "|" in p.kind and not p.optional:
        return "Choice"
    return f"const {t}&" if t in ("Shape", "IntList", "std::string", "Scalar", "ViewChain") or "optional<" in t else t


def parameters(s, skip_first=False, defaults=True, leading=""):
    """The C++ parameter list; `at` stands last unless a TensorArg carries it."""
    parts = [leading] if leading else []
    positional = [p for p in s.params if not p.keyword]
    for i, p in enumerate(positional):
        if skip_first and p.operand and p is s.receiver:
            continue
        later = positional[i:]
        tail = all(q.default is not None or (q.operand and q.optional) for q in later)
        text = f"{argument_type(p)} {p.name}"
        if defaults and tail:
            text += " = {}" if p.operand else f" = {cpp_default(p)}"
        parts.append(text)
    if s.keywords:
        complete = all(p.default is not None for p in s.keywords)
        parts.append(f"const {s.options}& options" + (" = {}" if defaults and complete else ""))
    if skip_first or not carries_place(s):
        parts.append("SourceLoc at" + (" = SourceLoc::current()" if defaults else ""))
    return ", ".join(parts)


def carries_place(s):
    return bool(s.operands) and not s.operands[0].listed and not s.operands[0].optional


def return_type(s):
    n = len(s.results)
    if s.listed:
        return "TensorList"
    return "Tensor" if n == 1 else "std::tuple<" + ", ".join(["Tensor"] * n) + ">"


def attr_value(p):
    v = f"options.{p.name}" if p.keyword else p.name
    k = "enum" if "|" in p.kind else p.kind
    if k == "rng":
        return None
    wrap = {"int": "Attr(Dim({}))", "dim": "Attr(Dim({}))", "dims": "list_attr({})", "size": "Attr(Shape({}))"}.get(
        k, "Attr({})"
    )
    if p.optional and k == "dims":
        return f"{v}.empty() ? Attr() : {wrap.format(v)}"
    if p.optional:
        return f"{v} ? {wrap.format('*' + v)} : Attr()"
    if k == "enum" and not p.keyword:
        return f"Attr({v}.str())"
    return wrap.format(v)


def front_body(s, form):
    """form: function, method, inplace, out."""
    lines = []
    method = form in ("method", "inplace")
    first = s.operands[0] if s.operands else None
    listed = any(p.listed for p in s.operands)

    def value(p):
        if method and p is s.receiver:
            return "*this"
        return p.name if p.optional else f"{p.name}.tensor()"

    if listed:
        lines.append("  SmallVec<Tensor, 4> in;")
        for p in s.operands:
            if p.listed:
                lines.append(f"  in.append({p.name}.begin(), {p.name}.end());")
            else:
                lines.append(f"  in.push_back({value(p)});")
        in_expr = "std::span<const Tensor>(in.data(), in.size())"
    elif s.operands:
        lines.append(f"  const Operands<{len(s.operands)}> in(" + ", ".join(value(p) for p in s.operands) + ");")
        in_expr = "in"
    else:
        in_expr = "{}"
    if s.attrs:
        rng = next((p for p in s.attrs if p.kind == "rng"), None)
        values = [attr_value(p) or "Attr(RngKey{})" for p in s.attrs]
        lines.append("  " + ("" if rng else "const ") + "Attr attrs[] = {" + ", ".join(values) + "};")
    at = "at" if method or not carries_place(s) else f"{first.name}.at()"
    call_type = "Call" if any(p.kind == "rng" for p in s.attrs) else "const Call"
    lines.append(f"  {call_type} call{{&op_by_id({op_id(s)}), {in_expr}, {'attrs' if s.attrs else '{}'}, {at}}};")
    if any("|" in p.kind for p in s.attrs):
        lines.append("  check_choices(call);")
    for i, p in enumerate(s.attrs):
        if p.kind == "rng":
            v = f"options.{p.name}" if p.keyword else p.name
            lines.append(f"  attrs[{i}] = draw_key(call, {v});")
    if form == "inplace":
        lines += ["  dispatch_inplace(call, *this);", "  return *this;"]
    elif form == "out":
        lines += ["  dispatch_out(call, std::span<const Tensor>(&out, 1));", "  return out;"]
    elif s.listed:
        lines += ["  Values results = dispatch(call);", "  return TensorList(results.begin(), results.end());"]
    elif s.takes_requires_grad:
        lines += [
            "  Tensor made = dispatch1(call);",
            "  if (options.requires_grad) made.requires_grad_();",
            "  return made;",
        ]
    elif len(s.results) == 1:
        lines.append("  return dispatch1(call);")
    else:
        items = ", ".join(f"results[{i}]" for i in range(len(s.results)))
        lines += ["  Values results = dispatch(call);", f"  return {{{items}}};"]
    return "\n".join(lines)


def op_id(s):
    return "OpId::" + s.name + ("_" + s.overload if s.overload else "")


def has_method(s):
    return carries_place(s) and not s.flags & {"@nn", "@private", "@creation"}


def has_inplace(s):
    return "@inplace" in s.flags


def has_out(s):
    return len(s.results) == 1 and not s.listed and "@private" not in s.flags


def render(schemas):
    options, functions, hidden, methods, front = [], [], [], [], []
    for s in schemas:
        if s.keywords:
            rows = "".join(
                f"  {cpp_type(p)} {p.name}{' = ' + cpp_default(p) if p.default is not None else '{}'};\n"
                for p in s.keywords
            )
            if s.takes_requires_grad:
                rows += "  bool requires_grad = false;\n"
            options.append(f"struct {s.options} {{\n{rows}}};")
        ret = return_type(s)
        if "@private" in s.flags:
            hidden.append(f"{ret} {s.name}({parameters(s)});")
        else:
            functions.append(f"THIXO_API {ret} {s.name}({parameters(s)});")
        front.append(f"{ret} {s.name}({parameters(s, defaults=False)}) {{\n{front_body(s, 'function')}\n}}")
        if has_out(s):
            functions.append(f"THIXO_API Tensor& {s.name}_out({parameters(s, leading='Tensor& out')});")
            given = parameters(s, defaults=False, leading="Tensor& out")
            front.append(f"Tensor& {s.name}_out({given}) {{\n{front_body(s, 'out')}\n}}")
        if has_method(s):
            methods.append(f"{ret} {s.name}({parameters(s, skip_first=True)}) const;")
            given = parameters(s, skip_first=True, defaults=False)
            front.append(f"{ret} Tensor::{s.name}({given}) const {{\n{front_body(s, 'method')}\n}}")
        if has_inplace(s):
            methods.append(f"Tensor& {s.name}_({parameters(s, skip_first=True)});")
            given = parameters(s, skip_first=True, defaults=False)
            front.append(f"Tensor& Tensor::{s.name}_({given}) {{\n{front_body(s, 'inplace')}\n}}")
    head = "// Generated by tools/opgen.py from the schemas in src/ops; do not edit.\n"
    ids = ", ".join(op_id(s)[6:] for s in schemas)
    defs = "\n".join(f"void def_{s.function}(Op& op);" for s in schemas)
    entries = ",\n".join(f"    def_{s.function}" for s in schemas)
    return {
        "thixo/gen/op_options.h": head
        + "#pragma once\nnamespace thixo {\n"
        + "\n".join(options)
        + "\n}  // namespace thixo\n",
        "thixo/gen/ops.h": head
        + "#pragma once\n#include <tuple>\nnamespace thixo {\n"
        + "\n".join(functions)
        + "\n}  // namespace thixo\n",
        "private_ops.h": head
        + '#pragma once\n#include "thixo/attr.h"\n#include "thixo/tensor.h"\nnamespace thixo {\n'
        + "\n".join(hidden)
        + "\n}  // namespace thixo\n",
        "thixo/gen/tensor_methods.inc": head + "\n".join(methods) + "\n",
        "op_ids.h": head + f"#pragma once\nnamespace thixo {{\nstruct OpId {{ enum : int {{ {ids} }}; }};\n}}\n",
        "ops_list.cpp": head
        + '#include "ir/op.h"\nnamespace thixo::ops {\n'
        + defs
        + "\nextern void (*const kDefinitions[])(Op&);\nextern const int kDefinitionCount;\n"
        + f"void (*const kDefinitions[])(Op&) = {{\n{entries}\n}};\n"
        + f"const int kDefinitionCount = {len(schemas)};\n}}  // namespace thixo::ops\n",
        "ops_front.cpp": head
        + '#include "ir/dispatch.h"\n#include "ir/front.h"\n#include "op_ids.h"\n'
        + '#include "private_ops.h"\nnamespace thixo {\n'
        + "\n".join(front)
        + "\n}  // namespace thixo\n",
    }


def main():
    folder, out = sys.argv[1], Path(sys.argv[2])
    for name, text in render(read_schemas(folder)).items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    main()
