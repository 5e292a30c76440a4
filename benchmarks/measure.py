"""How a row is measured: systems in turn, batch by batch, so that all see the same noise; medians."""

import json
import statistics
import sys
import tempfile
import time

import systems as sys_
import workloads
from systems import Failed


class Result:
    """The times of one system in one row, in seconds a call, or why there are none.

    `limits`: beside each time what the machine could do right before it, where a limit bounds the row. On a shared
    machine that changes by the second, so a share is the median of the shares of the turns.
    """

    def __init__(self, system, times=None, error=None):
        self.system, self.times, self.error, self.limits = system, times or [], error, []

    @property
    def seconds(self):
        return statistics.median(self.times)

    @property
    def limit(self):
        return statistics.median(self.limits) if self.limits else 0

    def share(self, row):
        """Of the limit; 0 where none bounds the row."""
        of_turns = (
            [row.value(t) / limit for t, limit in zip(self.times, self.limits, strict=True)] if self.limits else []
        )
        return statistics.median(of_turns) if of_turns else 0

    @property
    def spread(self):
        return max(self.times) / min(self.times)


def measure(row, chosen, quick, say):
    """A Result for each system; `say` is told what is going on."""
    if row.kind == "cpp":
        return _cpp(row, chosen, quick, say)
    if row.kind == "call":
        return _calls(row, chosen, quick, say)
    return _processes(row, chosen, quick, say)


def _calls(row, chosen, quick, say):
    repeats, budget = (3, row.budget / 8) if quick else (9, row.budget)
    results, running = [Result(s) for s in chosen], []
    for r in results:
        say(f"{r.system.name}: warming up")
        try:
            process = sys_.Process(r.system, row)
            process.seconds(2)
            one = process.seconds(1)
            if one < 1e-3:  # a longer look
                one = process.seconds(max(1, int(0.02 / one))) / max(1, int(0.02 / one))
            running.append((r, process, max(1, int(budget / repeats / one))))
        except Failed as e:
            r.error = str(e)
    for turn in range(repeats):
        for r, process, n in running:
            say(f"{r.system.name}: {turn + 1}/{repeats}")
            if row.limit:
                r.limits.append(machine(True, row.limit)[row.limit])
            r.times.append(process.seconds(n) / n)
    for _, process, _ in running:
        process.close()
    return results


def _fresh(row, system, cache):
    """Seconds of one fresh process, or of the first call in it."""
    env = system.environment(row.threads, THIXO_CACHE=cache, TORCHINDUCTOR_CACHE_DIR=cache)
    if row.kind == "first":
        done = sys_.run(system.worker(row_of_step(row), "--first"), env=env)
        if done.returncode != 0:
            raise Failed(sys_.last_line(done.stderr))
        return float(done.stdout)
    code = f"import {system.module}" if row.kind == "import" else workloads.FIRST_STEP.format(module=system.module)
    start = time.perf_counter()
    done = sys_.run([system.python, "-c", code], env=env)
    if done.returncode != 0:
        raise Failed(sys_.last_line(done.stderr))
    return time.perf_counter() - start


def row_of_step(row):
    """The workload whose first compiled call is meant."""
    import rows

    return next(r for r in rows.ROWS if r.name == "mlp")


def _processes(row, chosen, quick, say):
    repeats = 2 if quick else 7
    results = [Result(s) for s in chosen if row.kind != "first" or s.compiled]
    with tempfile.TemporaryDirectory(prefix="thixo-bench-") as folder:
        for turn in range(repeats):
            for r in results:
                if r.error:
                    continue
                slow = r.system.name == "torch+compile"
                if slow and turn >= (1 if quick else 3):
                    continue
                say(f"{r.system.name}: process {turn + 1}/{repeats}")
                warm = row.name.endswith("warm")
                cache = f"{folder}/{r.system.name}" + ("" if warm or row.kind != "first" else f"-{turn}")
                try:
                    if turn == 0 and (warm or row.kind != "first"):
                        _fresh(row, r.system, cache)  # files into the page cache, kernels into the other
                    r.times.append(_fresh(row, r.system, cache))
                except Failed as e:
                    r.error = str(e)
    return results


def _cpp(row, chosen, quick, say):
    repeats, results = 2 if quick else 5, [Result(s) for s in chosen if s.name in ("thixo", "torch")]
    programs = {}
    for r in results:
        say(f"{r.system.name}: C++ program")
        try:
            programs[r] = cpp_program() if r.system.name == "thixo" else sys_.libtorch_program(r.system.python)
        except Failed as e:
            r.error = str(e)
    for turn in range(repeats):
        for r, program in programs.items():
            say(f"{r.system.name}: {turn + 1}/{repeats}")
            if r.system.name == "thixo":
                r.times.append(google_benchmark(f"^{row.benchmark}$", quick)[0]["real_time"] * 1e-9)
            else:
                lines = sys_.run([str(program)], env=r.system.environment(1)).stdout.splitlines()
                found = [json.loads(line) for line in lines]
                r.times.append(next(f["real_time"] for f in found if f["name"] == row.benchmark) * 1e-9)
    return results


def cpp_program():
    program = sys_.BUILD / "bin" / "thixo_benchmarks"
    if not program.exists():
        raise Failed("build thixo_benchmarks first (./dev bench does)")
    return program


def google_benchmark(pattern, quick):
    """The benchmarks that match, as Google Benchmark's JSON has them."""
    command = [str(cpp_program()), f"--benchmark_filter={pattern}", "--benchmark_format=json"]
    if quick:
        command.append("--benchmark_min_time=0.1")
    done = sys_.run(command)
    if done.returncode != 0:
        raise Failed(sys_.last_line(done.stderr))
    return json.loads(done.stdout)["benchmarks"]


def machine(quick, name=""):
    """This machine's own limits: {"fma": GFLOP/s, "triad": GB/s}, or one; the best of a few looks, as limits are."""
    limits = {}
    for _ in range(1 if quick else 3):
        for b in google_benchmark(f"^machine_{name}", quick):
            for counter, kind in (("GFLOP/s", "fma"), ("GB/s", "triad")):
                if counter in b:
                    limits[kind] = max(limits.get(kind, 0), b[counter])
    return limits


def progress(text):
    """One line that is written over, where there is a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
