"""The loader with data sets of Python: order, errors, ends before its time; and what other threads may do meanwhile."""

import gc
import os
import pathlib
import subprocess
import sys
import threading
import time
import weakref

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
@pytest.mark.parametrize("base", [TensorDataset, Subset])
def test_subclasses_give_their_own_samples(base, workers):
    class Doubled(base):
        def __getitem__(self, i):
            return super().__getitem__(i)[0] * 2

    class Fewer(base):
        def __len__(self):
            return 2

    whole = TensorDataset(thixo.arange(4))
    args = (thixo.arange(4),) if base is TensorDataset else (whole, [0, 1, 2, 3])
    assert [b.tolist() for b in DataLoader(Doubled(*args), batch_size=4, num_workers=workers)] == [[0, 2, 4, 6]]
    assert [b.tolist() for (b,) in DataLoader(Fewer(*args), batch_size=4, num_workers=workers)] == [[0, 1]]
    of_a_subset = Subset(Doubled(*args), [3, 1])
    assert [b.tolist() for b in DataLoader(of_a_subset, batch_size=2, num_workers=workers)] == [[6, 2]]
    assert [b.tolist() for (b,) in DataLoader(Subset(whole, [-1, 0]), batch_size=2)] == [[3, 0]]


def batch_of(*samples, **options):
    class Given(Dataset):
        def __getitem__(self, i):
            return samples[i]

        def __len__(self):
            return len(samples)

    return next(iter(DataLoader(Given(), batch_size=len(samples), **options)))


def test_samples_of_all_forms():
    import numpy as np

    assert batch_of(thixo.ones(2), thixo.zeros(2)).tolist() == [[1, 1], [0, 0]]
    assert batch_of(1.5, 2.5).dtype == thixo.float64 and batch_of(1, 2).dtype == thixo.int64
    assert batch_of(True, False).dtype == thixo.bool
    assert batch_of(np.float32(1), np.float32(2)).dtype == thixo.float32
    assert batch_of(np.float64(1), np.float64(2)).dtype == thixo.float64
    assert batch_of(np.zeros((2, 3), "i4"), np.ones((2, 3), "i4")).shape == (2, 2, 3)
    x, (i, t) = batch_of((thixo.ones(2), (1, thixo.zeros(3))), (thixo.ones(2), (2, thixo.zeros(3))))
    assert x.shape == (2, 2) and i.tolist() == [1, 2] and t.shape == (2, 3)
    d = batch_of({"x": thixo.ones(2), "name": "a"}, {"x": thixo.ones(2), "name": "b"})
    assert d["x"].shape == (2, 2) and d["name"] == ["a", "b"]
    x, names = batch_of((thixo.ones(1, requires_grad=True), "a"), (thixo.ones(1), "b"))
    assert x.requires_grad and names == ("a", "b")
    (x,) = next(iter(DataLoader(TensorDataset(thixo.ones(2, requires_grad=True)), batch_size=2)))
    assert x.requires_grad


def test_samples_that_differ():
    for samples, text in [
        (((1, 2), (1,)), "differ in length"),
        (((1,), (1, 2)), "differ in length"),
        (({"a": 1}, {"b": 1}), "differ in their keys"),
        ((thixo.ones(2), thixo.ones(3)), r"sample 0: f32\[2\]   sample 1: f32\[3\]"),
        ((thixo.ones(2), thixo.ones(2, dtype=thixo.int64)), r"sample 0: f32\[2\]   sample 1: i64\[2\]"),
    ]:
        with pytest.raises(ValueError, match=text):
            batch_of(*samples)
    with pytest.raises(TypeError, match="a sample holds a object"):
        batch_of(object(), object())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_collate_function(workers):
    batch = batch_of("ab", "c", collate_fn=lambda samples: {"joined": "".join(samples)}, num_workers=workers)
    assert batch == {"joined": "abc"}
    tensors = TensorDataset(thixo.arange(4))
    assert list(DataLoader(tensors, 2, collate_fn=len, num_workers=workers)) == [2, 2]
    with pytest.raises(TypeError, match="collate_fn must be a function"):
        DataLoader(tensors, collate_fn=3)


def test_epochs_draw_their_seed_from_the_generator():
    g = thixo.Generator(3)
    a, b = (DataLoader(Numbers(30), batch_size=30, shuffle=True, generator=g) for _ in range(2))
    first, second = values(a), values(b)
    assert first != second and values(a) != first
    g.manual_seed(3)
    assert values(b) == first
    thixo.manual_seed(5)
    c = DataLoader(Numbers(30), batch_size=30, shuffle=True)
    first = values(c)
    thixo.manual_seed(5)
    assert values(c) == first


def test_random_samples_are_the_same_for_any_number_of_workers():
    class Noise(Numbers):
        def __getitem__(self, i):
            return thixo.rand(2)

    def run(workers):
        thixo.manual_seed(7)
        loader = DataLoader(Noise(20), batch_size=3, num_workers=workers)
        return [b.tolist() for _ in range(2) for b in loader]

    one = run(1)
    assert len({x for batch in one for row in batch for x in row}) == 80
    assert run(2) == one and run(5) == one


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


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_lets_its_data_set_go(workers):
    dataset = Numbers(8)
    for _ in DataLoader(dataset, batch_size=2, num_workers=workers):
        pass
    for _ in DataLoader(dataset, batch_size=2, num_workers=workers):
        break
    gone = weakref.ref(dataset)
    del dataset, _
    gc.collect()
    assert gone() is None


def test_a_data_set_that_knows_its_loader_is_let_go():
    dataset = Numbers(4)
    dataset.loader = DataLoader(dataset, batch_size=2, num_workers=1)
    list(dataset.loader)
    gone = weakref.ref(dataset)
    del dataset
    gc.collect()
    assert gone() is None


def test_a_process_that_ends_in_the_middle_of_an_epoch_ends_well():
    code = (
        "import time, thixo\nfrom thixo.utils.data import *\n"
        "class D(Dataset):\n"
        "    def __getitem__(self, i): time.sleep(0.002); return thixo.tensor(i)\n"
        "    def __len__(self): return 1000\n"
        "it = iter(DataLoader(D(), batch_size=4, num_workers=3)); next(it)\n"
    )
    done, _ = run_process(code)
    assert done.returncode == 0, done.stderr


def run_process(code, **kwargs):
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(thixo.__file__).parents[1])}
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, **kwargs)
    return done, time.monotonic() - start


SLOW = """
import _thread, atexit, os, signal, sys, threading, time, thixo
from thixo.utils.data import *
class Slow(Dataset):
    def __init__(self, seconds): self.seconds = seconds
    def __getitem__(self, i): time.sleep(self.seconds); return thixo.ones(3) * i
    def __len__(self): return 1000
"""


def test_a_process_ends_well_while_a_daemon_thread_loads():
    code = SLOW + (
        "def load():\n"
        "    while True:\n"
        "        for b in DataLoader(Slow(0.001), batch_size=2, num_workers=2): pass\n"
        "for _ in range(3): threading.Thread(target=load, daemon=True).start()\n"
        "time.sleep(0.2)\n"
    )
    for _ in range(3):
        done, _ = run_process(code)
        assert done.returncode == 0 and not done.stderr, done.stderr


def test_ctrl_c_does_not_wait_for_a_sample():
    code = SLOW + (
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), os.kill(os.getpid(), signal.SIGINT)), daemon=True).start()\n"
        "start = time.monotonic()\n"
        "try:\n"
        "    for b in DataLoader(Slow(2), batch_size=50, num_workers=2): pass\n"
        "except KeyboardInterrupt: print(time.monotonic() - start)\n"
    )
    done, seconds = run_process(code)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.5 and seconds < 10  # the process waits for one sample, not for a batch


def test_a_process_does_not_wait_for_a_sample_without_end():
    code = SLOW + "it = iter(DataLoader(Slow(1000), num_workers=2))\ntime.sleep(0.2)\n"
    done, seconds = run_process(code)
    assert done.returncode == 0 and seconds < 30, done.stderr


def test_no_workers_start_at_the_end():
    code = SLOW + (
        "def late():\n"
        "    print(len(list(DataLoader(TensorDataset(thixo.ones(4))))))\n"
        "    try: iter(DataLoader(Slow(0), num_workers=1))\n"
        "    except ValueError as e: print(e)\n"
        "import thixo.utils.data as d\n"
        "atexit.unregister(d._core._end_batches); atexit.register(late); atexit.register(d._core._end_batches)\n"
    )
    done, _ = run_process(code)
    assert done.returncode == 0 and done.stdout.startswith("4\nDataLoader: no workers can start"), done.stdout


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
