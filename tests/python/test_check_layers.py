"""tools/check_layers.py: the repository keeps the order of rooms, and the tool sees each way of breaking it."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "check_layers.py"


def run(root):
    return subprocess.run([sys.executable, TOOL, root], capture_output=True, text=True, check=False)


def write(root, file, text):
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_repository_keeps_the_order():
    result = run(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


GOOD = [
    ("src/core/tensor.cpp", '#include "base/error.h"'),
    ("src/core/tensor.cpp", '#include "core/tensor.h"'),
    ("src/ops/pointwise/gelu.cpp", '#include "ops/shape/view.h"'),
    ("src/ops/pointwise/gelu.cpp", '#include "thixo/ops.h"'),
    ("src/runtime/eager.cpp", '#include "backend/cpu/cpu.h"'),
    ("src/codegen/llvm/emit.cpp", "#include <llvm/IR/Module.h>"),
    ("src/backend/cpu/gemm.cpp", "#include <dnnl.hpp>"),
    ("include/thixo/tensor.h", '#include "thixo/dtype.h"'),
    ("include/thixo/tensor.h", "#include <vector>"),
    ("cli/main.cpp", '#include "thixo/thixo.h"'),
    ("cli/main.cpp", "#include <CLI/CLI.hpp>"),
]

BAD = [
    ("src/core/tensor.cpp", '#include "ir/graph.h"', "core stands below ir"),
    ("src/codegen/schedule.cpp", '#include "backend/cpu/cpu.h"', "codegen stands below backend/cpu"),
    ("src/backend/cpu/a.cpp", '#include "backend/reference/b.h"', "side by side"),
    ("src/data/loader.cpp", '#include "optim/sgd.h"', "side by side"),
    ("src/core/tensor.cpp", '#  include "../ir/graph.h"', "../"),
    ("src/nn/linear.cpp", '#include "cli/args.h"', "leaf"),
    ("src/attic/old.cpp", '#include "base/error.h"', "not in the table"),
    ("src/codegen/schedule.cpp", "#include <llvm/IR/Module.h>", "alone"),
    ("src/nn/linear.cpp", "#include <dnnl.hpp>", "alone"),
    ("cli/main.cpp", '#include "core/tensor.h"', "leaf"),
    ("include/thixo/tensor.h", '#include "core/tensor.h"', "public header"),
    ("include/thixo/tensor.h", "#include <fmt/core.h>", "public header"),
    ("include/thixo/tensor.h", "#include <omp.h>", "public header"),
]


@pytest.mark.parametrize(("file", "line"), GOOD)
def test_allows(tmp_path, file, line):
    write(tmp_path, file, f"// a file\n{line}\n")
    result = run(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("file", "line", "rule"), BAD)
def test_refuses_and_names_file_line_and_rule(tmp_path, file, line, rule):
    write(tmp_path, file, f"// a file\n{line}\n")
    result = run(tmp_path)
    assert result.returncode == 1
    assert result.stdout.startswith(f"{file}:2: ")
    assert rule in result.stdout
