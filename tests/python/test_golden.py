"""tools/golden.py: every public op and attribute has a value computed without thixo, and the files hold them."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_every_op_has_golden_values():
    command = [sys.executable, ROOT / "tools" / "golden.py", "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
