"""Writes the type stubs of the Python package: tools/stubs.py <folder that holds the package> [<output folder>]

The package is imported and looked at: ops give their schemas, nanobind's functions their signatures, Python functions
their own. Nothing is written by hand, so a stub cannot say what the package does not. Standard library only.
"""

import ast
import importlib
import inspect
import keyword
import pathlib
import pkgutil
import re
import sys
import types

HEADER = "# Written by tools/stubs.py from the package itself.\n"
IMPORTS = """import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
"""
KEPT = ("__init__", "__new__", "__call__", "__getitem__", "__setitem__", "__len__", "__iter__", "__enter__", "__exit__")
KINDS = {
    "bool": "builtins.bool",
    "int": "builtins.int",
    "dim": "builtins.int",
    "float": "builtins.float",
    "scalar": "_Number",
    "dims": "builtins.int | Sequence[builtins.int]",
    "size": "builtins.int | Sequence[builtins.int]",
    "dtype": "_dtype",
    "device": "_device | builtins.str",
    "string": "builtins.str",
    "rng": "Generator | None",
}
OPERATORS = {
    "builtins.bool": ["__bool__"],
    "builtins.int": ["__int__", "__index__", "__len__", "__hash__"],
    "builtins.float": ["__float__"],
}
BINARY = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lt",
    "le",
    "gt",
    "ge",
]
REFLECTED = {"add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"}
INPLACE = REFLECTED - {"matmul"}


# ---- ops: a schema's text as Python signatures ----


def split_params(text):
    """The top-level parts between commas."""
    parts, depth, part = [], 0, ""
    for c in text:
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += c
    return [*parts, part.strip()] if part.strip() else parts


def op_type(kind, of):
    optional = kind.endswith("?")
    kind = kind.rstrip("?")
    if kind.endswith("[]"):
        return f"Sequence[{of} | None]" if optional else f"Sequence[{of}]"
    if kind[0].isupper():
        text = f"{of} | _Number"
    elif "|" in kind:
        text = "typing.Literal[" + ", ".join(f'"{c}"' for c in kind.split("|")) + "]"
    else:
        text = KINDS[kind]
    return text + " | None" if optional and "None" not in text else text


def op_signatures(schemas, form, result_prefix=""):
    """Parameters and result of each overload; an op whose last positional takes sizes also takes them one by one."""
    tensor = result_prefix + "Tensor"
    out = []
    defaulted = set(re.findall(r"\w+: [\w|?]+(?= = )", " ".join(schemas)))  # a default serves the other overloads too
    for schema in schemas:
        m = re.fullmatch(r"[\w.]+\((.*)\) -> (.*?)((?: @\w+)*)", schema)
        params, positional_sizes, keywords = [], None, False
        receiver = None
        declared = split_params(m[1])
        if form != "Function":
            names = [p.split(":")[0] for p in declared]
            receiver = names.index("input") if "input" in names else 0
        for i, p in enumerate(declared):
            if p == "*":
                keywords = True
                params.append("*")
                continue
            name, rest = p.split(":", 1)
            kind, _, default = (x.strip() for x in rest.partition("="))
            if i == receiver:
                continue
            name += "_" * keyword.iskeyword(name)  # uniform_(from, to): by position in typed programs
            text = f"{name}: {op_type(kind, tensor)}"
            has_default = (
                bool(default) or kind.endswith("?") or kind == "rng" or f"{p.split(':')[0]}: {kind}" in defaulted
            )
            params.append(text + (" = ..." if has_default else ""))
            if not keywords:
                positional_sizes = len(params) - 1 if kind.rstrip("?") in ("size", "dims") else None
        flags = m[3]
        if form == "Function":
            shown = [r for r in m[2].strip("()").split(", ") if r[0] != "_"]
            extra = [f"out: {tensor} | None = ..."] if len(shown) == 1 and "[]" not in m[2] else []
            if "@creation" in flags:
                extra.append("requires_grad: builtins.bool = ...")
            if extra:
                params += ([] if "*" in params else ["*"]) + extra
        if form != "Function":
            params.insert(0, "self")
            if positional_sizes is not None:
                positional_sizes += 1
        result = op_result(m[2], tensor)
        out.append((fix_defaults(params), result))
        if positional_sizes is not None:
            before = params[:positional_sizes]
            if not any("= ..." in p for p in before):
                after = [p for p in params[positional_sizes + 1 :] if p != "*"]
                name = params[positional_sizes].split(":")[0]
                out.append(([*before, f"*{name}: builtins.int", *after], result))
    return out


def fix_defaults(params):
    """After a parameter with a default, positional ones need one too: an optional tensor before a required size."""
    fixed, seen = [], False
    for p in params:
        if p == "*" or p.startswith("*"):
            return fixed + params[len(fixed) :]
        seen |= p.endswith("= ...")
        fixed.append(p if not seen or p.endswith("= ...") else p + " = ...")
    return fixed


def op_result(text, tensor):
    if text.endswith("[]"):
        return f"tuple[{tensor}, ...]"
    if not text.startswith("("):
        return tensor
    visible = [r for r in split_params(text[1:-1]) if not r.startswith("_")]
    return tensor if len(visible) == 1 else "tuple[" + ", ".join([tensor] * len(visible)) + "]"


# ---- where things live ----


class Package:
    def __init__(self, package):
        self.package = package
        self.modules = {package.__name__: package}
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not any(part.startswith("_") for part in info.name.split(".")):
                self.modules[info.name] = importlib.import_module(info.name)
        self.core = importlib.import_module(package.__name__ + "._thixo")
        self.homes = {}  # id -> module name: where a thing is defined in the stubs
        for name in sorted(self.modules, key=lambda n: -n.count(".")):
            for attr in public_names(self.modules[name]):
                x = getattr(self.modules[name], attr)
                if self.may_live_in(x, name):
                    self.homes.setdefault(id(x), (name, attr))

    def may_live_in(self, x, name):
        """Whether `name` is a sensible place for x to be defined at."""
        if not callable(x) or isinstance(x, types.ModuleType):
            return False
        if type(x).__name__ == "OpFunction":
            nn = x.__name__ in self.core._nn_ops
            return name == ("thixo.nn.functional" if nn else "thixo")
        made = getattr(x, "__module__", None) or ""
        if made in ("thixo", "thixo._thixo") or (made.startswith("thixo._") and "._thixo." not in made):
            return name == "thixo" or (made == "thixo._grad_mode" and name == "thixo")
        if made in self.modules:
            return name == made
        return True

    def name_of(self, x, at):
        """How a stub of module `at` calls x."""
        home, attr = self.homes.get(id(x), (None, None))
        if home is None:
            return None
        return attr if home == at else f"{home}.{attr}"


def public_names(module):
    """Names for users: not what a module imports for itself."""

    def foreign(x):
        return isinstance(x, types.ModuleType) and not x.__name__.startswith("thixo")

    names = [n for n in sorted(dir(module)) if not n.startswith("_") or n == "__version__"]
    return [n for n in names if not foreign(getattr(module, n))]


# ---- text of one module ----


class Writer:
    def __init__(self, package, module):
        self.p, self.module, self.name = package, module, module.__name__
        self.lines = []

    def write(self):
        top = self.name == "thixo"
        self.lines += [HEADER + IMPORTS, "import builtins" if top else "import builtins\n\nimport thixo"]
        if not top:
            self.lines.append("from thixo import Generator, Tensor, device as _device, dtype as _dtype")
        else:  # a Tensor has properties of these names
            self.lines.append("\n_dtype: typing.TypeAlias = dtype\n_device: typing.TypeAlias = device")
        self.lines.append("\n_Number: typing.TypeAlias = builtins.int | builtins.float | builtins.complex\n")
        for name in public_names(self.module):
            self.member(name, getattr(self.module, name))
        return "\n".join(self.lines) + "\n"

    def member(self, name, x):
        if isinstance(x, types.ModuleType):
            if x.__name__ in self.p.modules:
                self.lines.append(f"from {x.__name__.rpartition('.')[0]} import {name} as {name}")
            elif name == "ops":
                self.lines.append("ops: types.ModuleType")
            return
        if callable(x):
            home, attr = self.p.homes.get(id(x), (self.name, name))
            if home != self.name:
                self.lines.append(f"from {home} import {attr} as {name}")
            elif attr != name:
                self.lines.append(f"{name} = {attr}")
            elif isinstance(x, type):
                self.klass(name, x)
            else:
                self.function(name, x, "")
            return
        kind = type(x).__name__
        known = {"dtype": "dtype", "str": "builtins.str", "float": "builtins.float", "NoneType": "None"}
        self.lines.append(f"{name}: {known.get(kind, 'typing.Any')}")

    # signatures

    def nb_signature(self, sig):
        text = re.sub(r"\\\d+", "...", sig)

        def public(m):
            x = self.p.core
            for part in m[0].removeprefix("thixo._thixo.").split("."):
                x = getattr(x, part, None)
            return self.p.name_of(x, self.name) or "typing.Any"

        text = re.sub(r"thixo\._thixo(?:\.\w+)+", public, text)
        text = text.replace("collections.abc.", "")
        text = re.sub(r"(?<![\w.])(bool|int|float|complex|str|bytes|object)(?![\w(])", r"builtins.\1", text)
        try:
            ast.parse(text + ": ...")
        except SyntaxError:
            return None
        return text[text.index("(") :]

    def python_signature(self, f):
        sig = inspect.signature(f)
        params = [p.replace(annotation=p.empty) for p in sig.parameters.values()]
        shown = [p if p.default is p.empty else p.replace(default=Ellipsis) for p in params]
        return str(sig.replace(parameters=shown, return_annotation=sig.empty)).replace("=Ellipsis", "=...")

    def signatures(self, f):
        if hasattr(f, "__schemas__"):
            form = "Function" if type(f).__name__ == "OpFunction" else "Method"
            found = op_signatures(f.__schemas__, form)
            return [f"({', '.join(params)}) -> {result}" for params, result in found]
        if hasattr(f, "__nb_signature__"):
            found = [self.nb_signature(s[0]) for s in f.__nb_signature__]
            if all(found):
                return found
        try:
            return [self.python_signature(f)]
        except (TypeError, ValueError):
            return ["(*args, **kwargs)"]

    def function(self, name, f, indent, decorator=""):
        found = list(dict.fromkeys(self.signatures(f)))
        doc = self.doc(name, f)
        for i, sig in enumerate(found):
            if len(found) > 1:
                self.lines.append(indent + "@typing.overload")
            if decorator:
                self.lines.append(indent + decorator)
            text = doc if i == len(found) - 1 else None
            self.lines.append(f"{indent}def {name}{sig}:" + (" ..." if not text else ""))
            if text:
                body = text.replace("\\", "\\\\").replace('"""', "'''").splitlines()
                self.lines += [
                    f'{indent}    """{body[0]}',
                    *[f"{indent}    {x}".rstrip() for x in body[1:]],
                    f'{indent}    """',
                ]

    def doc(self, name, f):
        doc = f.__nb_signature__[-1][1] if hasattr(f, "__nb_signature__") else getattr(f, "__doc__", None)
        inherited = getattr(getattr(object, name, None), "__doc__", None)
        return inspect.cleandoc(doc) if doc and doc != inherited else None

    def property_type(self, owner, n, x):
        """What a property gives: by its signature, or for Tensor by looking at one."""
        if owner is self.p.package.Tensor:
            value = getattr(self.p.package.ones(2, 2), n)
            if value is None:
                return "Tensor | None" if n in ("grad", "_base") else "typing.Any"
            found = self.p.name_of(type(value), self.name)
            return {"dtype": "_dtype", "device": "_device"}.get(found, found) or f"builtins.{type(value).__name__}"
        sig = getattr(getattr(x, "fget", None), "__nb_signature__", None)
        text = self.nb_signature("def f" + sig[0][0].removeprefix("def ")) if sig else None
        return text.rpartition(" -> ")[2] if text and " -> " in text else "typing.Any"

    def public_bases(self, c):
        """The names of its bases; of a hidden one those of its own."""
        found = []
        for b in c.__bases__:
            name = self.p.name_of(b, self.name) if b is not object else None
            found += [name] if name else self.public_bases(b)
        return list(dict.fromkeys(found))

    def klass(self, name, c):
        if issubclass(c, BaseException):
            bases = [self.p.name_of(b, self.name) or f"builtins.{b.__name__}" for b in c.__bases__ if b is not object]
        else:
            bases = self.public_bases(c)
        if c.__name__ == "Size":
            bases = ["tuple[builtins.int, ...]"]
        self.lines.append(f"\nclass {name}{'(' + ', '.join(bases) + ')' if bases else ''}:")
        doc = inspect.cleandoc(c.__doc__ or "") if "__doc__" in c.__dict__ else ""
        if doc:
            body = doc.replace("\\", "\\\\").splitlines()
            self.lines += [f'    """{body[0]}', *[f"    {x}".rstrip() for x in body[1:]], '    """']
        start = len(self.lines)
        # A hidden base, such as a list of modules, gives its members to its heirs.
        hidden = [
            b
            for b in c.__mro__[1:]
            if b is not object and id(b) not in self.p.homes and not issubclass(b, (BaseException, tuple))
        ]
        members = {}
        for k in [*reversed(hidden), c]:
            members |= k.__dict__
        for n in sorted(members):
            if n.startswith("_") and n not in KEPT:
                continue
            self.class_member(c, n, members[n])
        if name == "Tensor":
            self.operators()
        if len(self.lines) == start:
            self.lines.append("    ...")
        self.lines.append("")

    def class_member(self, owner, n, x):
        if isinstance(x, property) or inspect.isgetsetdescriptor(x) or inspect.ismemberdescriptor(x):
            self.lines += ["    @property", f"    def {n}(self) -> {self.property_type(owner, n, x)}: ..."]
            writable = x.fset is not None if isinstance(x, property) else n in ("grad", "data", "requires_grad")
            if writable:
                self.lines += [f"    @{n}.setter", f"    def {n}(self, value: typing.Any) -> None: ..."]
        elif isinstance(x, (staticmethod, classmethod)):
            self.function(n, x.__func__, "    ", "@" + type(x).__name__)
        elif callable(x) and n != "__new__":
            self.function(n, x, "    ")

    def operators(self):
        for result, names in OPERATORS.items():
            self.lines += [f"    def {n}(self) -> {result}: ..." for n in names]
        self.lines += [f"    def __{n}__(self) -> Tensor: ..." for n in ("neg", "pos", "abs", "invert")]
        self.lines += [f"    def __{n}__(self, other: Tensor | _Number) -> Tensor: ..." for n in BINARY]
        self.lines += [f"    def __r{n}__(self, other: _Number) -> Tensor: ..." for n in sorted(REFLECTED)]
        self.lines += [f"    def __i{n}__(self, other: Tensor | _Number) -> Tensor: ..." for n in sorted(INPLACE)]
        self.lines += [
            f"    def __{n}__(self, other: builtins.object) -> Tensor: ...  # type: ignore[override]"
            for n in ("eq", "ne")
        ]


def stubs(package):
    """Path below the package and text of each stub."""
    p = Package(package)
    for name, module in p.modules.items():
        parts = name.split(".")[1:]
        if hasattr(module, "__path__"):
            parts.append("__init__")
        yield "/".join(parts) + ".pyi", Writer(p, module).write()


def main(where, out=None):
    sys.path.insert(0, where)
    package = importlib.import_module("thixo")
    folder = pathlib.Path(out) if out else pathlib.Path(where) / "thixo"
    for path, text in stubs(package):
        ast.parse(text)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
    (folder / "py.typed").touch()


if __name__ == "__main__":
    main(*sys.argv[1:])
