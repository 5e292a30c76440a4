"""Bad input: the error's kind and first line are those of C++ (tests/error_text_test.cpp reads the same file)."""

import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import time

import pytest
import thixo
from thixo import nn
from thixo.nn import functional as F

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "error_texts.txt"


def golden():
    """Name and first line of each case; lines with # are comments."""
    lines = [x for x in GOLDEN.read_text().splitlines() if x and x[0] != "#"]
    return dict(x.split(" | ", 1) for x in lines)


def ones(*shape, **options):
    return thixo.ones(*shape, **options)


CASES = {
    "broadcast": lambda: ones(2, 3) + ones(4),
    "matmul": lambda: ones(2, 3) @ ones(4, 5),
    "conv2d": lambda: F.conv2d(ones(1, 3, 8, 8), ones(4, 5, 3, 3)),
    "linear": lambda: nn.Linear(3, 2)(ones(4, 5)),
    "view": lambda: ones(2, 3).view(4),
    "cat": lambda: thixo.cat([ones(2, 3), ones(2, 4)], 0),
    "expand": lambda: ones(2).expand(3, 4),
    "layer_norm": lambda: F.layer_norm(ones(2, 3), (4,)),
    "mean of integers": lambda: thixo.arange(3).mean(),
    "float mask": lambda: ones(2).masked_fill(ones(2), 0),
    "index": lambda: ones(3)[5],
    "index tensor": lambda: ones(3)[thixo.tensor([0, 7])],
    "dim": lambda: ones(2, 3).sum(4),
    "embedding": lambda: F.embedding(thixo.tensor([3]), ones(3, 2)),
    "label": lambda: F.cross_entropy(ones(1, 3), thixo.tensor([3])),
    "label of nll_loss": lambda: F.nll_loss(ones(1, 3), thixo.tensor([3])),
    "take_along_dim": lambda: thixo.take_along_dim(ones(1, 3), thixo.tensor([[3]]), 1),
    "index_add": lambda: ones(3, 2).index_add(0, thixo.tensor([3]), ones(1, 2)),
    "scatter_add": lambda: ones(3, 2).scatter_add(0, thixo.tensor([[3, 0]]), ones(1, 2)),
    "empty max": lambda: thixo.empty(0).max(),
    "item": lambda: ones(2).item(),
    "backward": lambda: ones(1).backward(),
    "leaf in place": lambda: ones(1, requires_grad=True).add_(1),
    "negative size": lambda: thixo.ones(-1),
    "compiled item": lambda: thixo.compile(lambda x: x * x.sum().item())(ones(2)),
    "compiled seed": lambda: thixo.compile(lambda x: (thixo.manual_seed(0), x))(ones(2)),
}


@pytest.mark.parametrize("name", CASES)
def test_first_lines_are_cpps(name):
    with pytest.raises(thixo.Error) as e:
        CASES[name]()
    assert f"{type(e.value).__name__}: {e.value}".splitlines()[0] == golden()[name]


def test_no_case_is_left_out():
    assert set(golden()) == set(CASES) | set(FILES)


# ---- files ----


def entry(begin, end, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def safetensors(header, data=b""):
    text = header if isinstance(header, str) else json.dumps(header)
    return struct.pack("<Q", len(text)) + text.encode() + data


FILES = {
    "file: empty": b"",
    "file: huge header": struct.pack("<Q", 1 << 60) + b"{}",
    "file: no json": safetensors("{nonsense", b""),
    "file: truncated": safetensors({"a": entry(0, 8)}, b"1234"),
    "file: out of range": safetensors({"a": entry(0, 8), "b": entry(8, 1 << 40)}, b"12345678"),
    "file: overlap": safetensors({"a": entry(0, 8), "b": entry(4, 12)}, b"123456789012"),
    "file: duplicate": safetensors('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                                   '"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', b"12345678"),
    "file: wrong size": safetensors({"a": entry(0, 8, (3,))}, b"12345678"),
    "file: dtype": safetensors({"a": entry(0, 8, (2,), "F33")}, b"12345678"),
    "file: negative": safetensors({"a": entry(-8, 0)}, b""),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_hostile_files(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("bad.safetensors").write_bytes(FILES[name])
    for load in (thixo.load_file, thixo.load):
        with pytest.raises(thixo.IoError) as e:
            load("bad.safetensors")
        assert f"IoError: {e.value}".splitlines()[0] == golden()[name]


def test_every_cut_of_a_file_is_an_error(tmp_path):
    path = tmp_path / "x.safetensors"
    thixo.save_file({"a": ones(3), "b": thixo.arange(2)}, str(path))
    whole = path.read_bytes()
    for n in range(0, len(whole), 7):
        path.write_bytes(whole[:n])
        with pytest.raises(thixo.IoError):
            thixo.load_file(str(path))


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.safetensors"
    thixo.save_file({"a": ones(3)}, str(path))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
    code = f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {limit}\nimport thixo\n"
    code += f"thixo.save_file({{'a': thixo.ones(1 << 20)}}, {str(path)!r})"
    done = run(code)
    assert done.returncode == 1 and "IoError" in done.stderr
    assert thixo.load_file(str(path))["a"].tolist() == [1, 1, 1]
    assert os.listdir(tmp_path) == ["x.safetensors"]


# ---- the rest ----


def test_errors_teach():
    with pytest.raises(ValueError) as e:
        nn.Sequential(nn.ReLU(), nn.Linear(3, 2))(ones(4, 5))
    text = str(e.value)
    assert "\n  got " in text and "test_errors.py:" in text
    assert isinstance(e.value, thixo.ShapeError)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: ones(2).sum(dmi=0), "did you mean 'dim'"),
        (lambda: ones(2).sum("0"), "argument 'dim' must be an int or a sequence of ints or None, not '0'"),
        (lambda: thixo.cat(ones(2)), "must be a list or tuple of Tensors, not Tensor"),
        (lambda: thixo.add(ones(2)), "missing argument 'other'"),
        (lambda: thixo.add(ones(2), "x"), "argument 'other' must be a Tensor or a number, not str"),
        (lambda: ones(2).exp(1), "takes 0 positional arguments but 1 were given"),
        (lambda: F.gelu(ones(2), approximate="tan"), "one of 'none' 'tanh'"),
        (lambda: ones(2) + "x", "unsupported operand"),
        (lambda: thixo.tensor(["a"]), "number"),
        (lambda: nn.Linear("3", 2), "incompatible function arguments"),
        (lambda: len(thixo.tensor(1.0)), "0-d"),
        (lambda: thixo.zeros(2, dtype="f33"), "f33"),
    ],
)
def test_type_errors_name_the_argument(call, text):
    with pytest.raises((TypeError, ValueError)) as e:
        call()
    assert text in str(e.value)


def test_integers_that_do_not_fit():
    with pytest.raises((OverflowError, ValueError, TypeError)):
        ones(2) + (1 << 70)
    for call in (
        lambda n: ones(2, n),
        lambda n: ones(2, 3).view(n, 3),
        lambda n: ones((2, n)),
        lambda n: ones(2).sum(n),
    ):
        with pytest.raises(OverflowError):
            call(1 << 70)


def test_errors_are_pythons_and_runtime_errors_besides():
    for name, builtin in (("ShapeError", ValueError), ("DTypeError", TypeError), ("IndexError", IndexError)):
        assert issubclass(getattr(thixo, name), builtin) and issubclass(getattr(thixo, name), RuntimeError)
    with pytest.raises(RuntimeError, match="add"):
        ones(2) + ones(3)


def test_errors_of_arguments_pass_through():
    class Undecided:
        def __bool__(self):
            raise RuntimeError("undecided")

    with pytest.raises(RuntimeError, match="undecided"):
        thixo.zeros(2, requires_grad=Undecided())


def run(code, **options):
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(thixo.__file__).parents[1])}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, **options)


LOOP = """
import thixo
net = thixo.nn.Sequential(thixo.nn.Linear(64, 64), thixo.nn.Tanh(), thixo.nn.Linear(64, 1))
opt = thixo.optim.Adam(net.parameters())
x = thixo.randn(256, 64)
data = thixo.utils.data.DataLoader(thixo.utils.data.TensorDataset(x), batch_size=32, num_workers=WORKERS)
def step(b):
    opt.zero_grad()
    loss = net(b).square().mean()
    loss.backward()
    opt.step()
    return loss.detach()
step = MAKE(step)
step(x[:32])
import time
print("started", flush=True)
while time.monotonic() < END:  # should the test die, this does not go on for ever
    for (b,) in data: step(b)
"""


@pytest.mark.parametrize("make, workers", [("(lambda f: f)", 0), ("thixo.compile", 2)], ids=["eager", "compiled"])
def test_ctrl_c_stops_training(make, workers):
    code = LOOP.replace("MAKE", make).replace("WORKERS", str(workers)).replace("END", str(time.monotonic() + 60))
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(thixo.__file__).parents[1])}
    p = subprocess.Popen(
        [sys.executable, "-c", code],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in a shell's background jobs
    )
    assert p.stdout.readline() == "started\n"
    time.sleep(0.3)
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=60)
    assert p.returncode == -signal.SIGINT and "KeyboardInterrupt" in err, err


ALARMS = """
import signal, time
import thixo
taken = 0
def take(*_):
    global taken
    taken += 1
signal.signal(signal.SIGALRM, take)
x, w, planes = thixo.randn(512, 1000), thixo.randn(1000, 512), thixo.randn(8, 12, 40, 40)
conv = thixo.nn.Conv2d(12, 12, 5, groups=2)  # through products too
expected, convolved = (x @ w), conv(planes)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
end = time.monotonic() + 1.5
while time.monotonic() < end:
    assert thixo.equal(x @ w, expected)
    y = conv(planes)
    y.sum().backward()
    assert thixo.equal(y, convolved)
signal.setitimer(signal.ITIMER_REAL, 0)
assert taken > 3, taken
"""


def test_signals_do_no_harm_to_products():
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(thixo.__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", ALARMS], env=env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


def test_a_nan_is_found_where_it_arises():
    with pytest.raises(ValueError, match="log"), thixo.autograd.detect_anomaly():
        (ones(2) - 1).log().sum()


def test_empty_batches_work():
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    y = net(thixo.empty(0, 3))
    assert y.shape == (0, 2)
    y.sum().backward()
    assert net[0].weight.grad.abs().sum().item() == 0


INSIDE = {
    "tile, made of repeat": lambda: thixo.tile(ones(2), (-1,)),
    "index": lambda: ones(3)[5],
    "index of two": lambda: ones(3, 2)[0, 7],
    "step": lambda: ones(3)[::0],
    "index tensor": lambda: ones(3)[thixo.tensor([7])],
    "mask": lambda: ones(3)[ones(2) > 0],
    "assignment": lambda: ones(3).__setitem__(slice(None, None, 0), 1),
    "assignment to many": lambda: ones(3).__setitem__(thixo.tensor([7]), 1),
    "values that do not fit": lambda: ones(3).__setitem__(slice(0, 2), ones(5)),
    "tensor": lambda: thixo.tensor([ones(2), ones(3)]),
    "clip_grad_norm_": lambda: nn.utils.clip_grad_norm_([ones(2)], 1, -1),
    "layer": lambda: nn.Conv2d(3, 4, 3)(ones(1, 2, 8, 8)),
    "gradient": lambda: ones(2, requires_grad=True).log().backward(ones(3)),
}


@pytest.mark.parametrize("name", INSIDE)
def test_errors_name_the_callers_line_and_none_of_the_library(name):
    with pytest.raises(Exception) as e:
        INSIDE[name]()
    assert ".cpp:" not in str(e.value)
    assert not isinstance(e.value, thixo.Error) or "test_errors.py:" in str(e.value)


def test_places_are_those_of_the_python_caller():
    x, net = thixo.ones(2, requires_grad=True), nn.Linear(2, 2)

    def leaf():
        net.weight[0] = 1

    def sample():
        thixo.utils.data.TensorDataset(thixo.ones(3))[10]

    def target():
        F.cross_entropy(thixo.ones(2, 3), thixo.tensor([0, 7]))

    def cotangent():
        thixo.autograd.grad(x**2, x, thixo.ones(3))

    def layer():
        nn.Sequential(net)(thixo.ones(3))

    def saved():
        y = (x**2).sum()
        x.detach()[0] = 3
        y.backward()

    for f in (leaf, sample, target, cotangent, layer, saved):
        with pytest.raises(thixo.Error) as e:
            f()
        text = str(e.value)
        assert "test_errors.py:" in text and ".cpp" not in text and ".h:" not in text, text
        assert "_rows" not in text, text
