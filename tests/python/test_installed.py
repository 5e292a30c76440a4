"""A user's CMake project against the installed library: examples/ is built and run from a fresh prefix."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"

pytestmark = [
    pytest.mark.skipif(not (BUILD / "lib" / "libthixo.so").exists(), reason="build/release is not built"),
    pytest.mark.slow,
]


def run(*args, **kwargs):
    result = subprocess.run([str(a) for a in args], capture_output=True, text=True, check=False, timeout=900, **kwargs)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    where = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BUILD, "--prefix", where)
    return where


@pytest.fixture(scope="module")
def project(prefix, tmp_path_factory):
    """The example, copied away from the repository, configured and built."""
    work = tmp_path_factory.mktemp("project")
    for name in ("CMakeLists.txt", "digits.cpp"):
        shutil.copy(ROOT / "examples" / name, work)
    # Ninja: what tools/setup.sh installs; there may be no make.
    options = ["-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release"]
    run("cmake", "-S", work, "-B", work / "build", *options)
    run("cmake", "--build", work / "build")
    return work


def test_the_example_is_short():
    assert len((ROOT / "examples" / "digits.cpp").read_text().splitlines()) < 80


def test_the_example_trains(project, tmp_path):
    out = run(project / "build" / "digits", "1", cwd=tmp_path)
    assert re.search(r"^epoch 1  loss \d", out, re.M)
    assert float(re.search(r"test accuracy (\S+) %", out)[1]) > 50
    assert (tmp_path / "digits.safetensors").exists()


def test_the_example_says_what_is_wrong(project, tmp_path):
    done = subprocess.run(
        [project / "build" / "digits", "0"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and done.stderr == "digits: 0 is no number of epochs\n"


def test_the_installed_command_runs(prefix):
    env = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    assert run(prefix / "bin" / "thixo", "--version", env=env).startswith("thixo ")
