"""The thixo command as a user runs it: its help, its exit statuses, the demo."""

import fcntl
import json
import os
import pathlib
import re
import resource
import signal
import struct
import subprocess
import termios
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


@pytest.mark.parametrize(
    "args",
    [
        ["dance"],
        ["demo", "--no-such-option"],
        ["demo", "--epochs", "0"],
        ["demo", "--seed", "99999999999999999999"],
        ["demo", "--seed", "-1"],
        ["demo", "--lr", "nan"],
        ["demo", "--lr", "-1"],
        ["demo", "--weight-decay", "nan"],
        ["demo", "--dropout", "nan"],
        ["demo", "--smoothing", "nan"],
    ],
)
def test_wrong_usage_is_status_2(args):
    result = thixo(*args)
    assert result.returncode == 2
    assert "epoch" not in result.stdout


@pytest.mark.parametrize("args", [["ops"], ["doctor"], ["--help"]])
def test_output_that_is_lost_is_an_error(args):
    with open("/dev/full", "w") as full:
        result = subprocess.run([THIXO, *args], stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert result.returncode == 1
    assert "the output could not be written (No space left on device)" in result.stderr


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


def test_doctor_says_that_a_cache_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    found = json.loads(thixo("doctor", "--json", env={**ENVIRONMENT, "THIXO_CACHE": str(tmp_path / "file")}).stdout)
    (cache,) = [f for f in found["findings"] if f["name"] == "compile cache"]
    assert not cache["ok"] and "not usable" in cache["value"] and cache["fix"]


@pytest.mark.parametrize("count", ["-1", "99999999999", "four"])
def test_a_thread_count_that_cannot_be_is_an_error(count):
    result = thixo("doctor", env={**ENVIRONMENT, "THIXO_NUM_THREADS": count})
    assert result.returncode == 1
    assert f"THIXO_NUM_THREADS is '{count}'" in result.stderr
    assert "a whole number from 0 to 1024" in result.stderr


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


def test_cross_validation_says_where_it_was_stopped():
    process = subprocess.Popen(
        [THIXO, "demo", "--epochs", "500", "--cross-validate"],
        stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert process.stdout.readline() == "1,437 digits in 5 folds, 500 epochs each\n"
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(timeout=60) == 130
    assert "stopped in fold 1 of 5, seed 0" in rest


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


def test_demo_finds_a_place_that_may_not_be_written_before_it_trains(tmp_path):
    (tmp_path / "model.safetensors").mkdir()
    result = thixo("demo", "--epochs", "1", "--out", str(tmp_path))
    assert result.returncode == 1
    assert "model.safetensors': it is a folder" in result.stderr
    assert "epoch" not in result.stdout
    result = thixo("demo", "--epochs", "1", "--out", "/proc")  # nobody makes files there, root neither
    assert result.returncode == 1
    assert "cannot write in the folder '/proc'" in result.stderr
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


def in_terminal(columns, *args):
    """What the command writes to a terminal of that width."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([THIXO, *args], stdout=slave, close_fds=True, env={**ENVIRONMENT, "TERM": "xterm"})
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
    os.close(master)
    assert process.wait(timeout=60) == 0
    return text.decode()


@pytest.mark.parametrize("columns", [200, 80, 60, 40, 20, 5])
def test_a_terminal_gets_one_line_that_is_redrawn(tmp_path, columns):
    text = in_terminal(columns, "demo", "--epochs", "1", "--out", str(tmp_path))
    lines = [re.split("[\r\n]", line)[0] for line in text.split("\r\x1b[K")[1:]]
    assert lines
    assert max(len(line) for line in lines) < columns, "a line that reaches the last column wraps"
    if columns >= 40:
        assert all(re.match(r"epoch  1/1 \[#*\.*\]  loss", line) for line in lines)
    if columns >= 80:
        assert all(re.search(r"\[[#.]{8,}\]  loss .* acc .* samples/s  \d+:\d\d left$", line) for line in lines)
