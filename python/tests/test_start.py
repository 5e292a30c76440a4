"""What a start costs: in processor time, so that a busy machine does not matter."""

import os
import subprocess
import sys

import thixo

FIRST_STEP = """
import thixo as torch
net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
opt = torch.optim.Adam(net.parameters())
loss = torch.nn.functional.cross_entropy(net(torch.randn(16, 64)), torch.randint(0, 10, (16,)))
loss.backward()
opt.step()
"""


def environment():
    return {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(thixo.__file__))}


def seconds(code, folder):
    """Of the processor, for code in a new process with the package's bytecode cached: the best of five."""
    env = {k: v for k, v in environment().items() if k != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PYTHONPYCACHEPREFIX": str(folder), "THIXO_NUM_THREADS": "1"}  # waiting threads would count too
    timed = f"import time\nstart = time.process_time()\n{code}\nprint(time.process_time() - start)"
    runs = [
        subprocess.run([sys.executable, "-c", timed], env=env, capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    return min(float(r.stdout) for r in runs)


def test_import_takes_less_than_a_tenth_of_a_second(tmp_path):
    assert seconds("import thixo", tmp_path) < 0.1


def test_the_first_training_step_comes_soon(tmp_path):
    assert seconds(FIRST_STEP, tmp_path) < 0.25


FORK_AT_ONCE = """
import os, thixo
child = os.fork()
a = thixo.ones(64, 64)
assert ((a @ a) == 64).all()
if child:
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_process_may_end_or_fork_while_it_warms_up():
    for code in 10 * ["import thixo"] + 3 * [FORK_AT_ONCE]:
        subprocess.run([sys.executable, "-c", code], env=environment(), check=True, timeout=60)


def test_nothing_heavy_is_imported():
    code = "import sys; before = set(sys.modules); import thixo; print(*(set(sys.modules) - before))"
    out = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    others = {m.split(".")[0] for m in out.stdout.split()} - {"thixo"}
    assert not others & {"numpy", "inspect", "typing"}
    assert len(others) < 20, others
