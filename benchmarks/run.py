#!/usr/bin/env python3
"""thixo beside PyTorch: every row of docs/benchmarks.md, both in the same run, with the machine's limits.

PyTorch is optional: it is looked for in $THIXO_BENCH_PEER (an interpreter that has torch) or in this interpreter. The
peer "torch+tuned" is PyTorch with jemalloc and huge pages, run when libjemalloc is there.
"""

import argparse
import json
import os
import pathlib
import platform
import time

import measure
import report
import systems
from rows import ROWS


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--row", action="append", metavar="NAME", help="only rows whose name starts so (more than once)")
    p.add_argument(
        "--systems",
        default="thixo,thixo+compile,thixo+generated,torch,torch+tuned,torch+compile",
        help="default: %(default)s",
    )
    p.add_argument("--quick", action="store_true", help="a first impression in a few minutes")
    p.add_argument("--peer", metavar="PYTHON", help="an interpreter that has torch")
    p.add_argument("--jemalloc", metavar="PATH", help="libjemalloc.so.2 for torch+tuned")
    p.add_argument(
        "--out", default=str(systems.BUILD.parent / "bench" / "results.jsonl"), help="JSON lines are added to it"
    )
    p.add_argument("--markdown", metavar="PATH", help="also write the table as Markdown")
    p.add_argument("--list", action="store_true", help="the rows, and nothing is run")
    return p.parse_args()


def chosen_rows(names):
    rows = [r for r in ROWS if not names or any(r.name.startswith(n) for n in names)]
    if not rows:
        raise SystemExit(f"run.py: no row starts with {' or '.join(names)}; --list shows them")
    return rows


def environment():
    try:
        with open("/proc/cpuinfo") as f:
            model = next(line.split(":")[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "system": platform.platform()}


def main():
    args = arguments()
    rows = chosen_rows(args.row)
    if args.list:
        for r in rows:
            print(f"{r.name:20} {r.title}")
        return
    peer = systems.find_peer(args.peer)
    known = systems.known_systems(peer, args.jemalloc)
    wanted = [known[name] for name in args.systems.split(",") if name in known]
    out = pathlib.Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    about = {**environment(), "time": time.strftime("%Y-%m-%d %H:%M"), **measure.machine(args.quick)}
    table = report.Table(about, peer)
    print(table.head(), flush=True)
    with out.open("a") as lines:
        for i, row in enumerate(rows):
            chosen = [s for s in wanted if row.goal(s) is not None]

            def say(text, i=i, row=row):
                measure.progress(f"[{i + 1}/{len(rows)}] {row.name}: {text}")

            results = measure.measure(row, chosen, args.quick, say)
            measure.progress("")
            print(table.add(row, results), flush=True)
            for r in results:
                line = {"row": row.name, "system": r.system.name, "unit": row.unit, "threads": row.threads, **about}
                line |= {"error": r.error} if r.error else {"value": row.value(r.seconds), "spread": round(r.spread, 3)}
                print(json.dumps(line), file=lines, flush=True)
    if args.markdown:
        pathlib.Path(args.markdown).write_text(table.markdown())


if __name__ == "__main__":
    main()
