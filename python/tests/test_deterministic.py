"""use_deterministic_algorithms: the same bits whatever instruction set computes, eager and compiled."""

import hashlib
import os
import subprocess
import sys

import pytest
import thixo

# Prints a line "name digest" for each result. Run in processes of their own: the instruction set is chosen once.
PROGRAM = """
import hashlib
import sys
import thixo
from thixo import nn
from thixo.nn import functional as F

thixo.use_deterministic_algorithms(sys.argv[1] == "on")
assert thixo.are_deterministic_algorithms_enabled() == (sys.argv[1] == "on")


def show(name, *results):
    print(name, hashlib.sha256(b"".join(t.detach().contiguous().numpy().tobytes() for t in results)).hexdigest())


def both(name, f, *inputs):
    inputs = [t.clone().requires_grad_() for t in inputs]
    out = f(*inputs)
    (out * out).sum().backward()
    show(name, out, *[t.grad for t in inputs])


thixo.manual_seed(3)
x, y = thixo.randn(33, 70), thixo.randn(33, 70)
for name in ("exp", "log", "tanh", "sigmoid", "erf", "sin", "cos", "rsqrt"):
    both(name, getattr(thixo, name), x.abs() + 0.1)
both("gelu", F.gelu, x)
both("pow", thixo.pow, x.abs() + 0.1, y)
both("sum", lambda a: (a * 3).sum(1), x)
both("var", lambda a: a.var(0), x)
both("softmax", lambda a: a.softmax(-1), x)
both("layer_norm", lambda a: F.layer_norm(a, (70,)), x)
both("cross_entropy", lambda a: F.cross_entropy(a, thixo.arange(33)), x)
both("cumsum", lambda a: a.cumsum(1), x)
both("matmul", thixo.matmul, thixo.randn(130, 300), thixo.randn(300, 75))
both("matrix times vector", thixo.matmul, thixo.randn(130, 300), thixo.randn(300))
both("batched matmul", thixo.matmul, thixo.randn(5, 17, 40), thixo.randn(5, 40, 9))
both("conv2d", lambda a, w: F.conv2d(a, w, stride=2, padding=1), thixo.randn(3, 8, 19, 21), thixo.randn(12, 8, 3, 3))
q = thixo.randn(2, 3, 20, 16)
both("attention", lambda a: F.scaled_dot_product_attention(a, a, a, is_causal=True), q)
both("float64", lambda a: thixo.matmul(a, a.exp().transpose(0, 1)), x.to(thixo.float64))

net = nn.Sequential(nn.Linear(70, 50), nn.GELU(), nn.LayerNorm(50), nn.Linear(50, 33))
opt = thixo.optim.AdamW(net.parameters(), lr=1e-2)


def step(a):
    opt.zero_grad()
    loss = F.cross_entropy(net(a), thixo.arange(33))
    loss.backward()
    opt.step()
    return loss.detach()


for f in (step, thixo.compile(step)):
    for _ in range(3):
        loss = f(x)
    show("training, " + ("eager" if f is step else "compiled"), loss, *net.parameters())
"""


def digests(isa, mode):
    env = {**os.environ, "THIXO_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=False, timeout=300, env=env
    )
    for reason in ("this processor does not run", "need  one of this build's packs"):
        if reason in result.stderr:
            pytest.skip(f"{isa}: {reason}")
    assert result.returncode == 0, result.stderr
    return dict(line.rsplit(" ", 1) for line in result.stdout.splitlines())


@pytest.fixture(scope="module")
def plain():
    return digests("x86-64-v2", "on")


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_same_bits_on_every_instruction_set(plain, isa):
    here = digests(isa, "on")
    assert [name for name in plain if here[name] != plain[name]] == []
    assert len(here) > 20


def test_without_the_mode_a_fused_multiply_add_shows(plain):
    """What the comparison above would say if the mode did nothing."""
    here = digests("avx2", "off")
    assert {"exp", "matmul", "softmax"} <= {name for name in plain if here[name] != plain[name]}


def digest(t):
    return hashlib.sha256(t.contiguous().numpy().tobytes()).hexdigest()


def test_compiled_functions_follow_the_mode():
    x = thixo.randn(64, 64)
    f = thixo.compile(lambda a: (a * 1.7).exp() * a)
    try:
        for on in (False, True, False):
            thixo.use_deterministic_algorithms(on)
            for _ in range(2):
                assert digest(f(x)) == digest((x * 1.7).exp() * x)
    finally:
        thixo.use_deterministic_algorithms(False)


def test_a_result_does_not_depend_on_its_place_in_the_batch():
    thixo.use_deterministic_algorithms(True)
    try:
        x, w = thixo.randn(40, 6, 9, 9), thixo.randn(8, 6, 3, 3)
        a, b = thixo.randn(90, 70), thixo.randn(70, 33)
        images, rows = thixo.nn.functional.conv2d(x, w), thixo.matmul(a, b)
        for i in (0, 1, 17, 39):
            assert digest(thixo.nn.functional.conv2d(x[i : i + 1], w)[0]) == digest(images[i])
            assert digest(thixo.matmul(a[i : i + 7], b)) == digest(rows[i : i + 7])
        assert digest(thixo.matmul(a[3:4], b)) == digest(rows[3:4])
    finally:
        thixo.use_deterministic_algorithms(False)
