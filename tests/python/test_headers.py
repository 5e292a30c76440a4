"""Every public header compiles alone: nobody has to know what to include before it."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GENERATED = ROOT / "build" / "release" / "gen"
COMPILER = os.environ.get("CXX") or shutil.which("c++")

pytestmark = [
    pytest.mark.skipif(not GENERATED.exists(), reason="build/release is not built"),
    pytest.mark.skipif(COMPILER is None, reason="no compiler"),
]


def errors_of(header):
    command = [COMPILER, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    command += [f"-I{ROOT / 'include'}", f"-I{GENERATED}", "-x", "c++", "-"]
    source = f'#include "{header.relative_to(ROOT / "include")}"\n'
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False).stderr


def test_every_public_header_compiles_alone():
    headers = sorted((ROOT / "include" / "thixo").glob("*.h"))
    assert len(headers) > 30
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = dict(zip(headers, pool.map(errors_of, headers), strict=True))
    assert not {header.name: text for header, text in found.items() if text}
