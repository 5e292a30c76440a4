"""tools/check_sizes.py: the repository keeps its lengths, and the tool sees what passes a limit."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "check_sizes.py"


def run(root):
    return subprocess.run([sys.executable, TOOL, root], capture_output=True, text=True, check=False)


def write_lines(path, count):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("//\n" * count)


def test_the_repository_keeps_its_lengths():
    result = run(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "count", "fails"),
    [
        ("src/base/a.cpp", 700, False),
        ("src/base/a.cpp", 701, True),
        ("src/base/a_test.cpp", 900, False),
        ("src/base/a_test.cpp", 901, True),
        ("python/tests/test_a.py", 900, False),
        ("tools/a.py", 701, True),
        ("dev", 701, True),
        ("docs/data.csv", 5000, False),
    ],
)
def test_limits(tmp_path, file, count, fails):
    write_lines(tmp_path / file, count)
    result = run(tmp_path)
    assert result.returncode == (1 if fails else 0), result.stdout + result.stderr
    if fails:
        assert result.stdout.startswith(f"{file}: {count} lines")


def test_lists_long_files_without_failing(tmp_path):
    write_lines(tmp_path / "src/base/a.cpp", 401)
    result = run(tmp_path)
    assert result.returncode == 0
    assert "src/base/a.cpp: 401 lines" in result.stdout


def test_counts_public_headers(tmp_path):
    for number in range(40):
        write_lines(tmp_path / f"include/thixo/h{number}.h", 1)
    assert run(tmp_path).returncode == 0
    write_lines(tmp_path / "include/thixo/one_more.h", 1)
    result = run(tmp_path)
    assert result.returncode == 1
    assert "41 public headers" in result.stdout
