"""The thixo command as a user runs it: its help, its exit statuses, the demo."""

import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
THIXO = ROOT / "build" / "release" / "bin" / "thixo"

pytestmark = pytest.mark.skipif(not THIXO.exists(), reason="build/release/bin/thixo is not built")


# Tests share the cores: threads that wait must not spin.
ENVIRONMENT = dict(os.environ)


def thixo(*args, env=ENVIRONMENT, **kwargs):
    return subprocess.run([THIXO, *args], capture_output=True, text=True, check=False, timeout=600, env=env, **kwargs)


def test_help_names_the_commands():
    result = thixo("--help")
    assert result.returncode == 0
    for word in ("demo", "ops", "doctor", "Start here"):
        assert word in result.stdout


def test_version():
    version = re.search(r"project\(thixo VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert thixo("--version").stdout.strip() == f"thixo {version}"


@pytest.mark.parametrize("args", [["dance"], ["demo", "--epochs", "0"], ["demo", "--no-such-option"]])
def test_wrong_usage_is_status_2(args):
    assert thixo(*args).returncode == 2


def test_ops_as_json():
    ops = json.loads(thixo("ops", "--json").stdout)
    names = {op["name"] for op in ops}
    assert {"add", "conv2d", "softmax", "cross_entropy"} <= names
    assert all(op["doc"] and op["tier"] and op["gradient"] for op in ops)


def test_ops_table_and_page():
    table = thixo("ops").stdout.splitlines()
    assert table[0].split()[:2] == ["op", "tier"]
    page = thixo("ops", "relu").stdout
    assert page.startswith("relu(")
    assert "gradient" in page
    assert thixo("ops", "nonesuch").returncode == 1


def test_doctor():
    found = json.loads(thixo("doctor", "--json").stdout)
    assert {"processor", "threads", "kernel pack", "compiler"} <= {f["name"] for f in found["findings"]}
    assert "THIXO_NUM_THREADS" in thixo("doctor").stdout


def test_demo_trains_saves_and_reloads(tmp_path):
    result = thixo("demo", "--epochs", "3", "--out", str(tmp_path / "run"))
    assert result.returncode == 0, result.stderr
    match = re.search(r"^test accuracy (\d+\.\d\d) % \((\d+) of 360\)$", result.stdout, re.M)
    assert match
    assert abs(float(match[1]) - 100 * int(match[2]) / 360) < 0.006
    assert int(match[2]) > 330
    assert "reloaded: 360 of 360 predictions agree" in result.stdout
    assert (tmp_path / "run" / "model.safetensors").stat().st_size > 1000
    assert result.stdout.count("epoch ") >= 3  # plain lines where there is no terminal
    assert "\r" not in result.stdout


def test_demo_eager_and_compiled_agree(tmp_path):
    def accuracy(*extra):
        out = thixo("demo", "--epochs", "1", "--out", str(tmp_path), *extra).stdout
        return float(re.search(r"test accuracy (\S+) %", out)[1])

    assert abs(accuracy() - accuracy("--eager")) < 3


def test_demo_stops_at_ctrl_c_and_saves(tmp_path):
    process = subprocess.Popen(
        [THIXO, "demo", "--epochs", "500", "--out", str(tmp_path)],
        stdout=subprocess.PIPE, text=True, bufsize=1, env=ENVIRONMENT,
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("epoch"):
            break
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(timeout=60) == 130
    assert "stopped in epoch" in rest
    assert (tmp_path / "model.safetensors").exists()


def test_demo_with_a_mad_learning_rate_says_so(tmp_path):
    result = thixo("demo", "--epochs", "2", "--lr", "1e30", "--out", str(tmp_path))
    assert result.returncode == 1
    assert "ValueError: demo: the loss is" in result.stderr
    assert "fix   train with a smaller --lr" in result.stderr
    assert not (tmp_path / "model.safetensors").exists()


def test_demo_asks_for_a_folder_that_can_be_made_before_it_trains(tmp_path):
    (tmp_path / "file").write_text("")
    result = thixo("demo", "--epochs", "1", "--out", str(tmp_path / "file" / "run"))
    assert result.returncode == 1
    assert result.stderr.startswith("IoError: demo: cannot make the folder")
    assert "epoch" not in result.stdout


def test_demo_leaves_the_old_model_when_the_disk_is_full(tmp_path):
    """A limit on the size of files fails where a full disk does, and binds root too."""
    (tmp_path / "model.safetensors").write_bytes(b"old")
    result = thixo(
        "demo", "--epochs", "1", "--out", str(tmp_path),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, 1 << 14)),
        env={**ENVIRONMENT, "THIXO_CACHE": "off"},
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert re.search(r"^IoError: cannot write '.*model.safetensors': File too large$", result.stderr, re.M)
    assert "the file that stood there before is unchanged" in result.stderr
    assert [f.name for f in tmp_path.iterdir()] == ["model.safetensors"]
    assert (tmp_path / "model.safetensors").read_bytes() == b"old"


def test_a_terminal_gets_one_line_that_is_redrawn(tmp_path):
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [THIXO, "demo", "--epochs", "1", "--out", str(tmp_path)],
        stdout=slave,
        close_fds=True,
        env={**ENVIRONMENT, "TERM": "xterm"},
    )
    os.close(slave)
    text = b""
    deadline = time.time() + 300
    while time.time() < deadline:
        try:
            chunk = os.read(master, 4096)
        except OSError:
            break
        if not chunk:
            break
        text += chunk
    assert process.wait(timeout=60) == 0
    assert b"\r\x1b[K" in text and b"samples/s" in text and b" left" in text
