# ruff: noqa: E501 -- a table
"""The rows of the comparison: what is timed, in which unit, and what is to be reached."""

import dataclasses
import functools
from collections.abc import Callable

import workloads as w


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table. `amount` work units of a call turn its time into a rate; 0: the time itself is shown."""

    name: str
    title: str
    unit: str
    eager: str = ""  # what is to be reached, as the table of goals says it
    compiled: str = ""
    generated: str = ""  # without oneDNN
    workload: Callable | None = None
    amount: float = 0
    scale: float = 1  # seconds to the unit, for times
    kind: str = "call"  # call: timed inside a process; import, process, first: a fresh process each; cpp: C++ programs
    benchmark: str = ""  # cpp: its name
    threads: int = 2
    limit: str = ""  # triad or fma: the machine's figure that bounds it
    budget: float = 2  # seconds a system

    def goal(self, system):
        """What the system is to reach, "" if nothing is said; None where the row is not measured on it."""
        if system.compiled or system.generated:
            return (self.compiled if system.compiled else self.generated) or None
        return self.eager

    def value(self, seconds):
        return self.amount / seconds / 1e9 if self.amount and self.unit != "tokens/s" else self._other(seconds)

    def _other(self, seconds):
        return self.amount / seconds if self.amount else seconds * self.scale

    @property
    def higher_is_better(self):
        return self.amount > 0


def _matmul(size, dtype):
    return functools.partial(w.matmul, size, dtype)


ROWS = [
    Row("add1_cpp", "add of 1 element, C++", "ns", "0.25 of LibTorch", kind="cpp", benchmark="dispatch_add", scale=1e9, threads=1),
    Row("add1", "add of 1 element, Python", "ns", "0.25 of PyTorch", workload=w.add_one, scale=1e9, threads=1),
    Row("backward1_cpp", "(a*b).sum() forward and backward of 1 element, C++", "ns", "0.15 of LibTorch", kind="cpp",
        benchmark="dispatch_backward", scale=1e9, threads=1),
    Row("backward1", "(a*b).sum() forward and backward of 1 element, Python", "ns", "0.15 of PyTorch",
        workload=w.backward_one, scale=1e9, threads=1),
    Row("import", "import", "s", "0.1 s", kind="import"),
    Row("first_step", "process start to the first training step", "s", "0.25 s", kind="process"),
    Row("add_large", "x + y of 128 MiB into a new tensor", "GB/s", "80 % of the triad", workload=w.add_large,
        amount=w.ADD_BYTES, limit="triad"),
    Row("chain", "layer_norm(gelu(x*w+b)+r), 4096x1024", "GB/s", "15", "28", workload=w.chain, amount=w.CHAIN_BYTES,
        limit="triad"),
    Row("cross_entropy", "softmax cross-entropy forward+backward, 512x50257", "ms", "18", "13",
        workload=w.cross_entropy, scale=1e3),
    Row("matmul_1024", "f32 matmul 1024", "GFLOP/s", "190 of 228", generated="120", workload=_matmul(1024, "float32"), amount=2 * 1024**3,
        limit="fma"),
    Row("matmul_2048", "f32 matmul 2048", "GFLOP/s", "190 of 228", workload=_matmul(2048, "float32"), amount=2 * 2048**3,
        limit="fma"),
    Row("matmul_f64", "f64 matmul 1024", "GFLOP/s", "", generated="55", workload=_matmul(1024, "float64"),
        amount=2 * 1024**3),
    Row("matmul_bf16", "bf16 matmul 1024", "GFLOP/s", "400 with AVX-512 bf16", workload=_matmul(1024, "bfloat16"),
        amount=2 * 1024**3, limit="fma"),
    Row("conv", "conv 3x3 64 to 64, 56x56, batch 16, NCHW: forward", "GFLOP/s", "190 of 228", generated="100",
        workload=w.conv_forward, amount=w.CONV_FLOP, limit="fma"),
    Row("conv_backward", "the same with backward", "GFLOP/s", "185 of 228", workload=w.conv_backward,
        amount=3 * w.CONV_FLOP, limit="fma"),
    Row("mlp", "Adam step of 784-512-512-10, batch 64", "ms", "1.9", "1.45", workload=w.mlp_step, scale=1e3),
    Row("first_compiled", "first compiled call of that step, empty cache", "s", compiled="0.15", kind="first"),
    Row("first_compiled_warm", "first compiled call of that step, warm cache", "s", compiled="0.03", kind="first"),
    Row("gpt", "character GPT training (6x6x384, block 256, batch 8)", "tokens/s", "2,000", "2,400",
        workload=w.gpt_step, amount=w.GPT_TOKENS, budget=10),
]  # fmt: skip
