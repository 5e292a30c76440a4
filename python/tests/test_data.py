"""The loader with data sets of Python: order, errors, ends before its time; and what other threads may do meanwhile."""

import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest
import thixo
from thixo.utils.data import DataLoader, Dataset, Subset, TensorDataset


class Numbers(Dataset):
    def __init__(self, n, wait=0.0):
        self.n, self.wait = n, wait

    def __getitem__(self, i):
        time.sleep(self.wait)
        return thixo.tensor(float(i)), {0: 3}.get(i, i)

    def __len__(self):
        return self.n


def values(loader):
    return [x.tolist() for x, _ in loader]


@pytest.mark.parametrize(
    "dataset", [Numbers(10), TensorDataset(thixo.arange(10.0), thixo.arange(10))], ids=["python", "tensors"]
)
def test_the_order_does_not_depend_on_the_workers(dataset):
    orders = [values(DataLoader(dataset, batch_size=3, shuffle=True, seed=5, num_workers=w)) for w in (0, 1, 3)]
    assert orders[0] == orders[1] == orders[2]
    assert sorted(x for batch in orders[0] for x in batch) == list(range(10))
    assert len(DataLoader(dataset, batch_size=3)) == 4 and len(DataLoader(dataset, batch_size=3, drop_last=True)) == 3


def test_epochs_differ_and_seeds_repeat():
    thixo.manual_seed(1)
    loader = DataLoader(Numbers(20), batch_size=20, shuffle=True)
    first, second = values(loader), values(loader)
    assert first != second
    thixo.manual_seed(1)
    again = DataLoader(Numbers(20), batch_size=20, shuffle=True)
    assert values(again) == first and values(again) == second


def test_samples_and_subsets():
    x, label = next(iter(DataLoader(Numbers(4), batch_size=4)))
    assert x.tolist() == [0, 1, 2, 3] and label.tolist() == [3, 1, 2, 3]
    assert values(DataLoader(Subset(Numbers(9), [8, 2]), batch_size=2)) == [[8, 2]]


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_of_a_dataset_come_through(workers):
    class Broken(Numbers):
        def __getitem__(self, i):
            if i == 5:
                raise KeyError("mine")
            return super().__getitem__(i)

    with pytest.raises(KeyError, match="mine"):
        values(DataLoader(Broken(10), batch_size=2, num_workers=workers))


def test_a_loop_left_early_lets_its_workers_go():
    before = threading.active_count()
    for _ in range(3):
        for _ in DataLoader(Numbers(200, wait=0.001), batch_size=4, num_workers=3):
            break
    assert threading.active_count() == before


def test_a_process_that_ends_in_the_middle_of_an_epoch_ends_well():
    code = (
        "import time, thixo\nfrom thixo.utils.data import *\n"
        "class D(Dataset):\n"
        "    def __getitem__(self, i): time.sleep(0.002); return thixo.tensor(i)\n"
        "    def __len__(self): return 1000\n"
        "it = iter(DataLoader(D(), batch_size=4, num_workers=3)); next(it)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(thixo.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_other_threads_run_during_a_long_op():
    x = thixo.ones(700, 700, dtype=thixo.float64)
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    t = threading.Thread(target=tick)
    t.start()
    inside = 0
    for _ in range(30):
        start = time.perf_counter()
        x @ x  # one call of C++
        end = time.perf_counter()
        inside = max(inside, sum(start < k < end for k in list(ticks)))
        if inside >= 3:
            break
    stop.set()
    t.join()
    assert inside >= 3


def test_threads_compute_at_the_same_time():
    results = [None] * 4

    def work(k):
        a = thixo.full((200, 200), float(k), requires_grad=True)
        for _ in range(5):
            a.grad = None
            (a * a).sum().backward()
        results[k] = a.grad[0, 0].item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [0, 2, 4, 6]
