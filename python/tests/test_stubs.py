"""The stubs are whole: they parse, name all that is public, and are what the build wrote."""

import ast
import importlib.util
import inspect
import pathlib

import pytest
import thixo

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("stubs", ROOT / "tools" / "stubs.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
TREES = {path: ast.parse(text) for path, text in tool.stubs(thixo)}


def names_in(body):
    found = set()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name for a in node.names}
        elif isinstance(node, ast.AnnAssign):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found |= {t.id for t in node.targets}
    return found


def module_of(path):
    parts = [p for p in path.removesuffix(".pyi").split("/") if p != "__init__"]
    module = thixo
    for p in parts:
        module = getattr(module, p)
    return module


@pytest.mark.parametrize("path", TREES)
def test_every_public_name_is_there(path):
    missing = set(tool.public_names(module_of(path))) - names_in(TREES[path].body)
    assert not missing


@pytest.mark.parametrize("path", TREES)
def test_names_used_in_annotations_exist(path):
    body = TREES[path].body
    known = names_in(body) | {"thixo", "builtins", "typing", "types", "None"}
    known |= {a.asname or a.name for n in body if isinstance(n, ast.ImportFrom) for a in n.names}
    for f in ast.walk(TREES[path]):
        if isinstance(f, ast.FunctionDef):
            annotations = [a.annotation for a in [*f.args.args, *f.args.kwonlyargs] if a.annotation] + [f.returns]
            for a in annotations:
                used = {n.id for n in ast.walk(a) if isinstance(n, ast.Name)} if a else set()
                assert used <= known | {"dict", "list", "tuple", "type"}, f.name


def test_hidden_bases_give_their_public_ones():
    for path, name, base in [("optim/__init__.pyi", "Adam", "Optimizer"), ("nn/__init__.pyi", "ModuleList", "Module")]:
        (c,) = (n for n in TREES[path].body if isinstance(n, ast.ClassDef) and n.name == name)
        assert [b.id for b in c.bases] == [base]


def test_every_method_of_tensor_is_there():
    (tensor,) = (n for n in TREES["__init__.pyi"].body if isinstance(n, ast.ClassDef) and n.name == "Tensor")
    public = {n for n in vars(thixo.Tensor) if not n.startswith("_")}
    assert public - names_in(tensor.body) == set()
    assert {"__add__", "__rmul__", "__getitem__", "__eq__", "__len__"} <= names_in(tensor.body)
    in_place = {n for n in vars(thixo.Tensor) if n.startswith("__i") and f"__{n[3:]}" in vars(thixo.Tensor)}
    assert "__ifloordiv__" in in_place and in_place <= names_in(tensor.body)


def test_arguments_are_those_of_the_schema():
    functions = [n for n in TREES["__init__.pyi"].body if isinstance(n, ast.FunctionDef) and n.name == "sum"]
    args = functions[0].args
    assert [a.arg for a in args.args] == ["input", "dim", "keepdim"]
    assert [a.arg for a in args.kwonlyargs] == ["dtype", "out"]


def test_python_functions_keep_their_arguments():
    (f,) = (n for n in TREES["func.pyi"].body if isinstance(n, ast.FunctionDef) and n.name == "vmap")
    names = [a.arg for a in [*f.args.args, *f.args.kwonlyargs]]
    assert names == list(inspect.signature(thixo.func.vmap).parameters)


def test_the_build_wrote_them():
    folder = pathlib.Path(thixo.__file__).parent
    assert (folder / "py.typed").exists(), "no stubs: build the target thixo_stubs (./dev build does)"
    for path, text in tool.stubs(thixo):
        assert (folder / path).read_text() == text
