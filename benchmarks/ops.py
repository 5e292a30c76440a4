#!/usr/bin/env python3
"""A walk over the registry: every op forward and gradient at 16 MiB of f32, contiguous, permuted and bf16.

Figures are shares of what this machine can do, measured right before and after each op: of the triad for ops bound by
memory, of the FMA peak for those bound by arithmetic. Worst first. NumPy's time, where it has the function, is beside
them (above 1: thixo is faster).
"""

import argparse
import dataclasses
import pathlib
import statistics
import time

import measure
import numpy as np
import report
import run
import thixo
from op_cases import CASES, MATRIX, NO_WORK, N

STREAM = 4 * N * N  # bytes of one operand
COLUMNS = ("forward", "permuted", "bf16", "gradient", "gradient permuted", "gradient bf16")


def make_operand(shape, kind, dtype, permuted):
    if kind == "index":
        return thixo.randint(0, N, shape)
    if kind == "int":
        return thixo.randint(0, 1 << 30, shape).to(thixo.int32)
    if kind == "bool":
        return thixo.rand(*shape) > 0.5
    if kind == "complex":
        return thixo.randn(shape[0], shape[1] // 2).to(thixo.complex64)
    make = thixo.rand if kind in ("positive", "unit") else thixo.randn
    x = make(*(reversed(shape) if permuted else shape))
    if kind == "positive":
        x = x + 0.5
    x = x.to(dtype)
    return x.permute(*reversed(range(len(shape)))) if permuted else x


def operands(case, layout):
    dtype = thixo.bfloat16 if layout == "bf16" else thixo.float32
    specs = [case.shape_and_kind(k) for k in range(len(case.operands))]
    # Only the first large operand lies otherwise than the rest: all permuted would be contiguous in another order.
    first = next((k for k, (shape, kind) in enumerate(specs) if len(shape) > 1 and kind != "index"), None)
    return [make_operand(*s, dtype, layout == "permuted" and k == first) for k, s in enumerate(specs)]


def timer(call, budget):
    """A function that times one batch of calls."""
    call()
    start = time.perf_counter()
    call()
    n = max(1, int(budget / 5 / max(time.perf_counter() - start, 1e-7)))

    def batch():
        start = time.perf_counter()
        for _ in range(n):
            call()
        return (time.perf_counter() - start) / n

    return batch


def medians(batches, repeats=5):
    """Each batch in turn, several times: the median of each."""
    times = [[] for _ in batches]
    for _ in range(repeats):
        for t, batch in zip(times, batches, strict=True):
            t.append(batch())
    return [statistics.median(t) for t in times]


@dataclasses.dataclass
class Line:
    op: str
    shares: dict = dataclasses.field(default_factory=dict)
    limit: str = "triad"
    numpy: float = 0
    errors: list = dataclasses.field(default_factory=list)

    @property
    def worst(self):
        return min((s for c, s in self.shares.items() if c in ("forward", "gradient")), default=-1)


def rate(case, layout, gradient, seconds):
    """In GFLOP/s or GB/s."""
    if case.flop:
        return (case.grad_flop if gradient else case.flop) / seconds / 1e9
    streams = case.grad_reads + case.grad_writes if gradient else case.reads + case.writes
    moved = STREAM * (streams * (0.5 if layout == "bf16" else 1) + case.ints)
    return moved / seconds / 1e9


def forward(case, layout, line, budget):
    x = operands(case, layout)
    with thixo.no_grad():
        batches = [timer(lambda: case.call(thixo, *x), budget)]
        if case.numpy and layout == "contiguous":
            arrays = [t.numpy() for t in x]
            batches.append(timer(lambda: case.numpy(np, *arrays), budget))
        seconds = medians(batches)
    line.shares[{"contiguous": "forward"}.get(layout, layout)] = rate(case, layout, False, seconds[0])
    if len(seconds) == 2:
        line.numpy = seconds[1] / seconds[0]


def gradient(case, layout, line, budget):
    x = operands(case, layout)
    wanted = [t.requires_grad_() for t in x if t.is_floating_point() or t.is_complex()]
    y = case.call(thixo, *x)
    g = thixo.ones_like(y)
    seconds = medians([timer(lambda: thixo.autograd.grad(y, wanted, g, retain_graph=True), budget)])[0]
    name = "gradient" if layout == "contiguous" else f"gradient {layout}"
    line.shares[name] = rate(case, layout, True, seconds)


def walk(names, limits, budget):
    for i, name in enumerate(names):
        before = limits
        measure.progress(f"[{i + 1}/{len(names)}] {name}")
        case = CASES[name]
        line = Line(name, limit="fma" if case.flop else "triad")
        for layout in ("contiguous", "permuted", "bf16"):
            if (layout == "permuted" and not case.operands) or (layout == "bf16" and not case.bf16):
                continue
            for what in (forward, gradient) if case.grad else (forward,):
                try:
                    what(case, layout, line, budget)
                except Exception as e:  # a failure is a line of the report, not its end
                    line.errors.append(f"{what.__name__} {layout}: {type(e).__name__}: {str(e).splitlines()[0]}")
        limits = measure.machine(True)
        limit = (before[line.limit] + limits[line.limit]) / 2
        line.shares = {c: r / limit for c, r in line.shares.items()}
        measure.progress("")
        yield line


def registered():
    """Names of the registry's public functions."""
    return sorted({name for name in dir(thixo.ops) if name[0] != "_"})


def cells(line):
    def percent(c):
        return f"{100 * line.shares[c]:.0f}" if c in line.shares else ""

    return [line.op, line.limit, *(percent(c) for c in COLUMNS), f"{line.numpy:.2f}" if line.numpy else ""]


def markdown(lines, limits, about):
    head = ["op", "of the", *(f"{c} %" for c in COLUMNS), "x NumPy"]
    out = [report.machine_line({**about, **limits}), "", "| " + " | ".join(head) + " |", "|---|---|" + "---:|" * 7]
    out += ["| " + " | ".join(cells(line)) + " |" for line in lines]
    return "\n".join(out) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--op", action="append", metavar="NAME", help="only this op (more than once)")
    p.add_argument("--quick", action="store_true", help="shorter batches")
    p.add_argument("--markdown", metavar="PATH", help="also write the table as Markdown")
    args = p.parse_args()
    unknown = [name for name in args.op or () if name not in CASES]
    if unknown:
        raise SystemExit(f"ops.py: no case for {', '.join(unknown)} (benchmarks/op_cases.py)")
    thixo.manual_seed(0)
    limits = measure.machine(args.quick)
    print(f"FMA peak {limits['fma']:.0f} GFLOP/s, triad {limits['triad']:.1f} GB/s; shares in %, operands of {MATRIX}")
    lines = []
    for line in walk(args.op or sorted(CASES), limits, 0.1 if args.quick else 0.4):
        lines.append(line)
        print("  ".join(f"{c:>8}" if k else f"{c:28}" for k, c in enumerate(cells(line))), flush=True)
        for e in line.errors:
            print(f"    {e}", flush=True)
    lines.sort(key=lambda line: line.worst)
    if args.markdown:
        about = {**run.environment(), "time": time.strftime("%Y-%m-%d %H:%M")}
        pathlib.Path(args.markdown).write_text(markdown(lines, limits, about))
    missing = [name for name in registered() if name not in CASES and name not in NO_WORK]
    if missing and not args.op:
        raise SystemExit(f"ops.py: no case in benchmarks/op_cases.py for {', '.join(missing)}")


if __name__ == "__main__":
    main()
