"""The systems that are compared: which interpreter, which environment, and a process that runs a workload."""

import dataclasses
import functools
import glob
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "release"
JEMALLOC = ["/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "/usr/lib/aarch64-linux-gnu/libjemalloc.so.2"]


class Failed(Exception):
    """A system could not run a workload; the text says why."""


@dataclasses.dataclass(frozen=True)
class System:
    name: str  # thixo, thixo+compile, thixo+generated, torch, torch+tuned, torch+compile
    python: str
    env: tuple = ()

    @property
    def module(self):
        return self.name.partition("+")[0]

    @property
    def compiled(self):
        return self.name.endswith("+compile")

    @property
    def generated(self):
        """Whether products and convolutions are the generator's own, not oneDNN's."""
        return self.name.endswith("+generated")

    def environment(self, threads, **more):
        env = {**os.environ, **dict(self.env), **more}
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "THIXO_NUM_THREADS"):
            env[name] = str(threads)
        return env

    def worker(self, row, *more):
        return [
            self.python,
            str(HERE / "worker.py"),
            row.name,
            self.module,
            str(int(self.compiled)),
            str(row.threads),
            *more,
        ]


def known_systems(peer=None, jemalloc=None):
    """Every system that this machine can run, by name."""
    systems = [System("thixo", sys.executable), System("thixo+compile", sys.executable)]
    systems.append(System("thixo+generated", sys.executable, (("THIXO_ONEDNN", "0"),)))
    if peer:
        systems += [System("torch", peer), System("torch+compile", peer)]
        jemalloc = jemalloc or next(filter(os.path.exists, JEMALLOC), None)
        if jemalloc:
            # As PyTorch's tuning guide advises: memory that is kept, in huge pages.
            tuned = (
                ("LD_PRELOAD", jemalloc),
                ("MALLOC_CONF", "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1"),
                ("THP_MEM_ALLOC_ENABLE", "1"),
            )
            systems.append(System("torch+tuned", peer, tuned))
    return {s.name: s for s in systems}


def find_peer(asked):
    """An interpreter that has torch: the one asked for, $THIXO_BENCH_PEER, or this one; None when there is none."""
    for python in (asked, os.environ.get("THIXO_BENCH_PEER"), sys.executable):
        if (
            python
            and run(
                [python, "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is None)"]
            ).returncode
            == 0
        ):
            return python
        if python and python == asked:
            raise SystemExit(f"run.py: {asked} has no torch")
    return None


def run(command, **kw):
    return subprocess.run(command, capture_output=True, text=True, check=False, **kw)


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "no output"


class Process:
    """A worker that is told how many calls to make."""

    def __init__(self, system, row):
        self.system = system
        self.process = subprocess.Popen(
            system.worker(row), env=system.environment(row.threads), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(last_line(self.process.stderr.read()))
        return line

    def seconds(self, calls):
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return float(self._answer())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


@functools.cache
def libtorch_program(peer):
    """benchmarks/libtorch/dispatch.cpp, built once against the peer's package; Failed when it cannot be."""
    source, program = HERE / "libtorch" / "dispatch.cpp", BUILD.parent / "bench" / "dispatch_libtorch"
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    program.parent.mkdir(parents=True, exist_ok=True)
    found = run([peer, "-c", "import torch, os; print(os.path.dirname(torch.__file__))"])
    folder, compiler = found.stdout.strip(), shutil.which("g++")
    if not folder or not compiler or not glob.glob(f"{folder}/include/torch/csrc/api/include/torch/torch.h"):
        raise Failed("no LibTorch headers or no g++")
    include, library = f"{folder}/include", f"{folder}/lib"
    flags = ["-O2", "-std=c++20", f"-I{include}", f"-I{include}/torch/csrc/api/include", f"-L{library}"]
    libraries = ["-Wl,--no-as-needed", "-ltorch", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{library}"]
    built = run([compiler, *flags, str(source), *libraries, "-o", str(program)])
    if built.returncode != 0:
        raise Failed(last_line(built.stderr))
    return program
