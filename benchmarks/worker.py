"""One system and one workload in a process of its own: reads numbers of calls from stdin, answers with seconds.

    worker.py ROW MODULE COMPILED(0|1) THREADS [--first]

With --first it makes the first call only, and answers with its seconds.
"""

import importlib
import sys
import time


def main():
    row_name, module, compiled, threads = sys.argv[1:5]
    import rows

    torch = importlib.import_module(module)
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    row = next(r for r in rows.ROWS if r.name == row_name)
    call = row.workload(torch, compiled == "1")

    def seconds(n):
        start = time.perf_counter()
        for _ in range(n):
            call()
        return time.perf_counter() - start

    if "--first" in sys.argv:
        print(seconds(1), flush=True)
        return
    print("ready", flush=True)
    for line in sys.stdin:
        print(seconds(int(line)), flush=True)


if __name__ == "__main__":
    main()
