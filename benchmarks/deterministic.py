"""What the deterministic mode costs: some workloads with it and without, in turn. Prints a table of docs/benchmarks.md.

PYTHONPATH=build/release/python python benchmarks/deterministic.py
"""

import time

import thixo
from thixo.nn import functional as F

ROUNDS = 15


def workloads():
    a, b = thixo.randn(1024, 1024), thixo.randn(1024, 1024)
    wide, rows = thixo.randn(1 << 22), thixo.randn(4096, 1024)
    images, weight = thixo.randn(16, 64, 56, 56), thixo.randn(64, 64, 3, 3)
    doubles = a.to(thixo.float64)
    scale, shift = thixo.ones(1024), thixo.zeros(1024)
    return {
        "f32 matmul 1024": lambda: thixo.matmul(a, b),
        "f64 matmul 1024": lambda: thixo.matmul(doubles, doubles),
        "conv 3x3, 64 to 64, 56x56, batch 16": lambda: F.conv2d(images, weight, padding=1),
        "x + y, 16 MiB": lambda: wide + wide,
        "exp, 16 MiB": lambda: wide.exp(),
        "gelu, 16 MiB": lambda: F.gelu(wide),
        "sum, 16 MiB": lambda: wide.sum(),
        "softmax 4096x1024": lambda: rows.softmax(-1),
        "layer_norm 4096x1024": lambda: F.layer_norm(rows, (1024,), scale, shift),
    }


def seconds(f):
    begin = time.perf_counter()
    f()
    return time.perf_counter() - begin


def main():
    print("| workload | default | deterministic | ratio |\n|---|---|---|---|")
    for name, f in workloads().items():
        times = {False: [], True: []}
        for _ in range(ROUNDS):
            for mode in times:
                thixo.use_deterministic_algorithms(mode)
                f()  # caches and clocks as the mode leaves them
                times[mode].append(seconds(f))
        default, det = (min(times[mode]) * 1e3 for mode in (False, True))
        print(f"| {name} | {default:.2f} ms | {det:.2f} ms | {det / default:.2f} |", flush=True)


main()
