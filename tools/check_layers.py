#!/usr/bin/env python3
"""Checks that the rooms of the house include each other downward only.

Usage: check_layers.py [repository]   (standard library only; exit status 1 when a rule is broken)

To add a room, put it in LAYERS (or LEAVES) below, the one table of the order.
"""

import pathlib
import re
import sys

# Rooms of src/, bottom first. A room may include itself and the rooms of earlier rows, not its neighbours in a row.
LAYERS = [
    ["base"],
    ["core"],
    ["ir"],
    ["ops"],
    ["transform"],
    ["codegen"],
    ["backend/reference", "backend/cpu", "backend/cuda"],
    ["runtime"],
    ["formats"],
    ["nn"],
    ["optim", "data"],
    ["keras", "vision", "audio", "distributed"],
]
# Folders that nothing includes, and that meet the library only through include/thixo.
LEAVES = ["cli", "python", "js", "lite", "serve", "board"]
# Third-party headers that belong to one room: (what an include of it starts with, the rooms that may).
FENCED = [
    ("llvm/", ["codegen/llvm", "codegen/gen_support.cpp"]),  # and thixo-gen, which links LLVM
    ("llvm-c/", ["codegen/llvm"]),
    ("dnnl", ["backend/cpu"]),
    ("oneapi/", ["backend/cpu"]),
    ("omp.h", ["backend"]),
]

SOURCES = {".h", ".hpp", ".cpp", ".cc", ".cu", ".inc"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LEVEL = {room: level for level, row in enumerate(LAYERS) for room in row}


def room_of(path):
    """The room that owns a path below src/, or None: 'ops/pointwise/gelu.cpp' -> 'ops'."""
    parts = path.split("/")
    two = "/".join(parts[:2])
    return two if two in LEVEL else parts[0] if parts[0] in LEVEL else None


def broken_rule(file, kind, target, root):
    """Why `file` (relative to the repository) may not include `target`, or None."""
    top, _, rest = file.partition("/")
    if top == "include":
        if kind == '"' and not target.startswith("thixo/"):
            return 'a public header includes only "thixo/..." and the standard library'
        if kind == "<" and ("/" in target or "." in target):
            return "a public header includes no third-party or system header"
        return None
    if target.startswith("../") or "/../" in target:
        return "includes name a file from its root, not with ../"
    beside = (root / file).parent / target
    if top in LEAVES:
        inside = kind == "<" or target.startswith("thixo/") or target.startswith(top + "/") or beside.exists()
        return None if inside else f"{top}/ is a leaf: it includes only include/thixo and its own files"
    if target.split("/")[0] in LEAVES and not (root / "src" / target).exists():
        return f"{target.split('/')[0]}/ is a leaf: nothing includes it"
    if top != "src":
        return None
    for prefix, rooms in FENCED:
        if target.startswith(prefix) and not any(rest == room or rest.startswith(room + "/") for room in rooms):
            return f"{target} is for src/{' and src/'.join(rooms)} alone"
    room, other = room_of(rest), room_of(target)
    if room is None:
        return None if "/" not in rest else f"src/{rest.split('/')[0]} is not in the table of rooms"
    if other is None or other == room:
        return None
    if other == "backend/reference" and rest.endswith("_test.cpp"):
        return None  # the oracle of the tests
    if LEVEL[other] == LEVEL[room]:
        return f"{room} and {other} stand side by side and do not know each other"
    if LEVEL[other] > LEVEL[room]:
        return f"{room} stands below {other}: dependencies point down"
    return None


def check(root):
    """The list of broken rules under `root`, as 'file:line: rule' texts."""
    errors = []
    for top in ["include", "src", *LEAVES, "tests", "benchmarks", "examples"]:
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in SOURCES or "node_modules" in path.parts:
                continue
            file = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                match = INCLUDE.match(line)
                rule = match and broken_rule(file, match[1], match[2], root)
                if rule:
                    errors.append(f"{file}:{number}: {line.strip()}: {rule}")
    return errors


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    errors = check(root)
    for error in errors:
        print(error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
