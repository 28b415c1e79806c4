#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: how assignments of tasks to workers grow: time, moves, memory (--write: docs/cluster-scale.md)
"""Assigns 1,000 to 100,000 tasks to 10 to 1,000 workers by the code that workers run (simulated:
no worker is started), lets one join and leave again, and compares moves with the fewest there can
be. `--write` writes the curves to docs/cluster-scale.md and docs/cluster-scale.svg.
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = pathlib.Path(os.environ["SHOW_BIN"]).parent / "bench/assign_bench"
WORKERS = [10, 30, 100, 300, 1000]
TASKS = [1000, 3000, 10000, 30000, 100000]
STEPS = {"new": "all tasks are new", "same": "nothing changed", "join": "a worker joins",
         "leave": "a worker leaves"}
TIME_MAX = 1000  # ms, whatever the size
MEMORY_MAX = 64  # MiB
failures = 0


def check(name, value, op, want, remark=""):
    global failures
    ok = value <= want if op == "<=" else value == want
    failures += not ok
    text = f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
    print(f"{name:<44} {text:>12}  {'ok' if ok else 'FAIL':<4} ({op} {want:,}) {remark}",
          flush=True)


def measure(workers, tasks, *options):
    out = subprocess.run([BENCH, str(workers), str(tasks), *options], check=True,
                         capture_output=True, text=True).stdout
    return {found["step"]: found for found in map(json.loads, out.splitlines())}


def show(runs):
    print(f"{'workers':>8} {'tasks':>8}  " + "".join(f"{step + ' ms':>10}" for step in STEPS) +
          f"{'moved: join':>14}{'leave':>8}{'MiB':>8}")
    for (workers, tasks), steps in runs.items():
        print(f"{workers:>8,} {tasks:>8,}  " +
              "".join(f"{steps[step]['ms']:>10.2f}" for step in STEPS) +
              f"{steps['join']['moved']:>14,}{steps['leave']['moved']:>8,}{mib(steps):>8.1f}")
    print()


def mib(steps):
    return max(step["bytes"] for step in steps.values()) / 2**20


def judge(runs):
    wrong = {"join": 0, "leave": 0, "same": 0}
    uneven = 0
    for steps in runs.values():
        for step in wrong:
            wrong[step] += steps[step]["moved"] != steps[step]["had_to"]
        uneven += any(step["difference"] > 1 for step in steps.values())
    for step, count in wrong.items():
        check(f"sizes with more moves than needed, {step}", count, "==", 0, STEPS[step])
    check("sizes with loads that differ by more than 1", uneven, "==", 0)
    most = runs[WORKERS[-1], TASKS[-1]]
    for step, what in STEPS.items():
        check(f"ms for the largest cluster, {step}", most[step]["ms"], "<=", TIME_MAX, what)
    check("MiB for the largest cluster", mib(most), "<=", MEMORY_MAX)


def judge_labels(steps):
    for step, what in STEPS.items():
        check(f"ms with labels, largest cluster, {step}", steps[step]["ms"], "<=", TIME_MAX, what)
    check("balancing cut short, with labels", sum(step["cut"] for step in steps.values()), "==", 0)


# ---- pages ------------------------------------------------------------------------------------


def svg(runs):
    """Time at a join by tasks, one line per number of workers; both axes are logarithmic."""
    width, height, left, bottom, top, right = 640, 320, 60, 40, 20, 110
    times = [steps["join"]["ms"] for steps in runs.values()]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))

    def x(tasks):
        span = math.log10(TASKS[-1] / TASKS[0])
        return left + math.log10(tasks / TASKS[0]) / span * (width - left - right)

    def y(ms):
        return height - bottom - (math.log10(ms) - low) / (high - low) * (height - bottom - top)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="14">ms to assign when a worker joins, by tasks</text>']
    for power in range(low, high + 1):
        at = y(10.0**power)
        out.append(f'<path d="M{left} {at:.1f}H{width - right}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for tasks in TASKS:
        out.append(f'<text x="{x(tasks):.1f}" y="{height - bottom + 18}" text-anchor="middle">'
                   f'{tasks:,}</text>')
    for i, workers in enumerate(WORKERS):
        points = " ".join(f"{x(tasks):.1f},{y(runs[workers, tasks]['join']['ms']):.1f}"
                          for tasks in TASKS if (workers, tasks) in runs)
        colour = f"hsl({i * 360 // len(WORKERS)},60%,45%)"
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{width - right + 8}" y="{top + 20 + 16 * i}" fill="{colour}">'
                   f'{workers:,} workers</text>')
    return "\n".join(out + ["</svg>", ""])


def page(runs, labels):
    lines = ["<!-- Written by scripts/show.sh cluster-scale --write; changes here are lost. -->",
             "# How clusters grow", "",
             "## Assignment", "",
             "Every worker computes for itself which worker runs what, and all come to the same "
             "result. The figures", "are of the code that workers run, with members and tasks "
             "made up: median of five calls, connectors with", "10 tasks each. "
             f"Machine: {machine()}.", "",
             "![Time to assign when a worker joins](cluster-scale.svg)", "",
             "| workers | tasks | all new | nothing changed | a worker joins | a worker leaves | "
             "memory |", "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for (workers, tasks), steps in runs.items():
        times = " | ".join(f"{steps[step]['ms']:.2f} ms" for step in STEPS)
        lines.append(f"| {workers:,} | {tasks:,} | {times} | {mib(steps):.1f} MiB |")
    times = " | ".join(f"{labels[step]['ms']:.2f} ms" for step in STEPS)
    lines += [f"| {WORKERS[-1]:,}, 3 zones | {TASKS[-1]:,} | {times} | {mib(labels):.1f} MiB |", "",
              "What moves, as a share of all tasks. No rule that keeps workers even can move less at "
              "a join. The Java", "runtime numbers all tasks and takes the number modulo the number "
              "of workers:", "",
              "| workers | tasks | join | the fewest | Java's rule | leave | the leaver's | "
              "Java's rule |", "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for (workers, tasks), steps in runs.items():
        if tasks != TASKS[2]:
            continue
        cells = [f"{100 * steps[step][what] / tasks:.2f} %" for step in ("join", "leave")
                 for what in ("moved", "had_to", "java")]
        lines.append(f"| {workers:,} | {tasks:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines + [""])


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        names = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    return f"{os.cpu_count()} cores, {names[0] if names else 'unknown'}"


def main():
    parser = argparse.ArgumentParser(prog="scripts/show.sh cluster-scale")
    parser.add_argument("--write", action="store_true", help="write docs/cluster-scale.*")
    args = parser.parse_args()

    runs = {(workers, tasks): measure(workers, tasks) for workers in WORKERS for tasks in TASKS}
    labels = measure(WORKERS[-1], TASKS[-1], "labels")
    show(runs)
    judge(runs)
    judge_labels(labels)
    if args.write:
        (ROOT / "docs/cluster-scale.svg").write_text(svg(runs), encoding="utf-8")
        (ROOT / "docs/cluster-scale.md").write_text(page(runs, labels), encoding="utf-8")
        print("written: docs/cluster-scale.md, docs/cluster-scale.svg")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
