"""The Python examples, run as a user runs them, on a small budget."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
import thixo

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = [
    "--steps",
    "30",
    "--batch",
    "4",
    "--block",
    "16",
    "--layers",
    "1",
    "--heads",
    "2",
    "--width",
    "32",
    "--sample",
    "20",
]


def run(name, *args, cwd, ok=True):
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(thixo.__file__).parents[1])}
    command = [sys.executable, str(ROOT / "examples" / name), *map(str, args)]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout if ok else done.stderr


def text_file(folder):
    path = folder / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog.\n" * 40)
    return path


def test_digits_is_short():
    assert len((ROOT / "examples" / "digits.py").read_text().splitlines()) < 50


def test_digits_learns(tmp_path):
    out = run("digits.py", 1, cwd=tmp_path)
    assert re.search(r"^epoch 1  loss \d", out, re.M)
    assert float(re.search(r"test accuracy (\S+) %", out)[1]) > 50
    assert "0.weight" in thixo.load_file(str(tmp_path / "digits.safetensors"))


@pytest.mark.parametrize("mode", [[], ["--compile"]], ids=["eager", "compiled"])
def test_gpt_learns_and_writes(tmp_path, mode):
    out = run("gpt.py", text_file(tmp_path), *TINY, "--lr", "1e-2", "--save", "gpt.safetensors", *mode, cwd=tmp_path)
    losses = [float(x) for x in re.findall(r"loss (\S+)", out)]
    assert losses[-1] < 0.8 * losses[0]
    assert set(out.splitlines()[-1]) <= set("the quick brown fox jumps over the lazy dog.")
    assert "token.weight" in thixo.load_file(str(tmp_path / "gpt.safetensors"))


def test_gpt_says_what_is_wrong_with_the_file(tmp_path):
    assert "cannot read nothing.txt: No such file" in run("gpt.py", "nothing.txt", cwd=tmp_path, ok=False)
    (tmp_path / "short.txt").write_text("abc")
    assert "short.txt has 3 characters, but at least 66 are needed" in run(
        "gpt.py", "short.txt", cwd=tmp_path, ok=False
    )


def test_wrong_numbers_get_a_sentence(tmp_path):
    for args, text in [
        (("--steps", "0"), "argument --steps: 0 is not a whole number from 1 on"),
        (("--batch", "-2"), "argument --batch: -2 is not a whole number from 1 on"),
        (("--heads", "3"), "--heads 3 does not divide --width 128"),
    ]:
        assert text in run("gpt.py", text_file(tmp_path), *args, cwd=tmp_path, ok=False)
    for epochs in ("0", "-1", "many"):
        error = run("digits.py", epochs, cwd=tmp_path, ok=False)
        assert error == f"digits.py: {epochs} is no number of epochs\n"


def test_the_readmes_program_runs(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "readme.py").write_text(code)
    run(tmp_path / "readme.py", cwd=tmp_path)
