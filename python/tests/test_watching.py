"""The profiler and the check for nan and inf."""

import json

import pytest
import thixo
import thixo.nn.functional as F


def test_profile_sees_forward_and_backward(tmp_path):
    x = thixo.ones(2, 3, requires_grad=True)
    with thixo.profiler.profile() as p:
        (x * x).sum().backward()
    seen = len(p.events())
    x * x  # after the end nothing is added
    assert len(p.events()) == seen
    forward = [e for e in p.events() if not e.part_of]
    assert [e.name for e in forward][:2] == ["mul", "sum"]
    assert forward[0].shapes == "f32[2, 3], f32[2, 3]"
    assert any(e.part_of == "mul" for e in p.events())
    assert all(e.total_ns >= e.self_ns >= 0 and e.start_ns >= 0 for e in p.events())

    table = p.table()
    assert table.splitlines()[0].split() == ["op", "calls", "total", "self", "each", "self", "%"]
    assert "(backward of mul)" in table
    assert len(p.table(1).splitlines()) == 3

    p.export_chrome_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [e["name"] for e in trace] == [e.name for e in p.events()]
    assert {e["cat"] for e in trace} == {"forward", "backward"}
    assert trace[0]["args"] == {"shapes": "f32[2, 3], f32[2, 3]"}


def test_profile_sees_the_steps_of_a_compiled_function(tmp_path):
    w = thixo.ones(16, 24, requires_grad=True)

    @thixo.compile
    def f(x):
        return F.layer_norm(F.gelu(x @ w) + x.sum(), (24,))

    x = thixo.ones(8, 16)
    with thixo.profiler.profile() as first:
        f(x)
    assert {"matmul", "gelu", "compile"} <= {e.name for e in first.events()}
    with thixo.profiler.profile() as p:
        f(x).sum().backward()
    forward = [e for e in p.events() if not e.part_of]
    assert [e.name for e in forward if e.depth == 0][:2] == ["compiled", "sum"]
    steps = {e.name: e for e in forward if e.depth == 1}
    assert steps["matmul"].shapes == "f32[8, 16], f32[16, 24]"
    assert any(name.startswith("fused: gelu+") for name in steps)
    assert any(e.part_of == "compiled" and e.depth == 1 for e in p.events())
    assert "compiled (backward of compiled)" in p.table()
    p.export_chrome_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [e["name"] for e in trace] == [e.name for e in p.events()]


def test_profile_that_was_not_entered():
    with pytest.raises(thixo.ValueError, match="nothing was watched yet"):
        thixo.profiler.profile().table()


def test_detect_anomaly_names_the_op():
    x = thixo.tensor([0.0, 1.0], requires_grad=True)
    with thixo.autograd.detect_anomaly(), pytest.raises(thixo.ValueError, match="div: the first nan or inf"):
        1 / x
    y = x.sqrt().sum()
    with thixo.autograd.detect_anomaly(), pytest.raises(thixo.ValueError, match="backward of sqrt: the first nan"):
        y.backward()
    assert (1 / x).tolist()[0] == float("inf")  # off again
