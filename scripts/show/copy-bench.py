#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: speed and weight: file to log, log to file, file to file, beside cp and a raw probe
"""Measures copies of files through the embedded log, side by side with two marks in one run.

Marks: `cp` + fsync of the same file, and bench/log_probe: the same bytes through SQLite with our
settings beside a syncing file writer, nothing else. Rounds are interleaved (probe, ours, probe,
ours, ...), because machines are noisy; medians are compared as ratios.

Options: --lines N (of 100 bytes; 1 KiB lines are N/10), --rounds N, --only-weight.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

BIN = os.environ["SHOW_BIN"]
DIR = os.environ["SHOW_DIR"]
SEED = int(os.environ["SHOW_SEED"])
PROBE = os.path.join(os.path.dirname(BIN), "bench", "log_probe")
failures = 0


def check(name, value, op, want, unit="", remark=""):
    global failures
    ok = value <= want if op == "<=" else value >= want if op == ">=" else value == want
    failures += not ok
    print(f"{name:<52} {value:>12.3f} {unit:<10} {'ok' if ok else 'FAIL':<4} ({op} {want}) {remark}",
          flush=True)


def note(name, value, unit="", remark=""):
    text = f"{value:>12,.3f}" if isinstance(value, float) else f"{value:>12,}"
    print(f"{name:<52} {text} {unit:<10} {remark}", flush=True)


def make_lines(path, count, width):
    # Same bytes for the same seed; written once, read by everybody.
    script = f'. scripts/show/lib.sh; show_lines {count} {width} "{path}"'
    subprocess.run(["bash", "-c", script], check=True, env={**os.environ, "SHOW_SEED": str(SEED)})
    with open(path, "rb") as f:
        os.fsync(f.fileno())


def timed(argv, **kw):
    """Runs a command: wall seconds, CPU seconds, maximum RSS in MiB, its output."""
    os.sync()
    begin = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    if status:
        sys.exit(f"{' '.join(argv)} failed:\n{output.decode(errors='replace')}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output.decode(errors="replace")


def fresh(name):
    path = os.path.join(DIR, name)
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.unlink(path)
    return path


def same(a, b):
    if subprocess.run(["cmp", "-s", a, b]).returncode:
        sys.exit(f"FAIL: {b} differs from {a}")


def run_cp(source):
    out = fresh("cp.out")
    wall, cpu, rss, _ = timed(["sh", "-c", 'cp "$0" "$1" && sync "$1"', source, out])
    return wall, cpu, rss


def run_probe(source):
    out, db = fresh("probe.out"), fresh("probe.db")
    os.mkdir(db)
    wall, cpu, rss, _ = timed([PROBE, source, db, out])
    same(source, out)
    fresh("probe.db")
    return wall, cpu, rss


def run_ours(source):
    """file to file in one pipeline"""
    out = fresh("ours.out")
    fresh("bench.rc")
    pipeline = os.path.join(DIR, "bench.yaml")
    with open(pipeline, "w") as f:
        f.write(f"name: bench\nsource:\n  class: file-source\n  filename: {source}\n  bounded: true\n"
                f"sink:\n  class: file-sink\n  filename: {out}\n")
    wall, cpu, rss, _ = timed([BIN, "run", "bench.yaml"], cwd=DIR)
    same(source, out)
    return wall, cpu, rss


class Worker:
    """A standalone worker on a new folder."""

    def __init__(self, **keys):
        self.store = fresh("store")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        conf = os.path.join(DIR, "worker.conf")
        with open(conf, "w") as f:
            f.write(f"workerId=bench\nstorePathRootDir={self.store}\nhttpPort={self.port}\n")
            f.writelines(f"{k}={v}\n" for k, v in keys.items())
        begin = time.monotonic()
        self.log = open(os.path.join(DIR, "worker.log"), "wb")
        self.process = subprocess.Popen([BIN, "standalone", "-c", conf], stdout=self.log,
                                        stderr=subprocess.STDOUT)
        while True:
            try:
                if self.get("/health")["status"] == "healthy":
                    break
            except OSError:
                pass
            if time.monotonic() - begin > 20 or self.process.poll() is not None:
                sys.exit("the worker did not start; see " + self.log.name)
            time.sleep(0.0005)
        self.ready_ms = (time.monotonic() - begin) * 1000

    def text(self, path, method="GET", body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         data=json.dumps(body).encode() if body else None)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def get(self, path, **kw):
        return json.loads(self.text(path, **kw))

    def create(self, name, **config):
        config = {k.replace("__", "."): v for k, v in config.items()}
        self.get("/api/v1/connectors", method="POST", body={"name": name, "config": config})

    def metric(self, name, **labels):
        for line in self.text("/metrics").splitlines():
            if line.startswith(name) and all(f'{k}="{v}"' in line for k, v in labels.items()):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def status(self, key):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(rf"^{key}:\s+(\d+)", f.read(), re.M).group(1))

    def wakeups(self):
        total = 0
        base = f"/proc/{self.process.pid}/task"
        for task in os.listdir(base):
            with open(f"{base}/{task}/status") as f:
                total += sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", f.read()))
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def wait(self, condition):
        while not condition():
            if self.process.poll() is not None:
                sys.exit("the worker ended; see " + self.log.name)
            time.sleep(0.02)


def run_halves(source, lines):
    """file to log, then log to file, in a worker: (wall, cpu) of each, bytes on disk, syncs."""
    worker = Worker()
    out = fresh("half.out")
    os.sync()
    cpu, begin = worker.cpu(), time.monotonic()
    worker.create("in", connector__class="file-source", filename=source, bounded="true",
                  connect__topicname="bench")
    worker.wait(lambda: worker.get("/api/v1/connectors/in/status")["connector"]["state"] == "FINISHED")
    into = (time.monotonic() - begin, worker.cpu() - cpu)
    syncs = worker.metric("rocketmq_connect_log_syncs_total")
    commits = worker.metric("rocketmq_connect_log_transactions_total")
    disk = int(subprocess.run(["du", "-sB1", os.path.join(worker.store, "log")], check=True,
                              capture_output=True, text=True).stdout.split()[0])
    os.sync()
    cpu, begin = worker.cpu(), time.monotonic()
    worker.create("out", connector__class="file-sink", filename=out, connect__topicnames="bench")
    worker.wait(lambda: worker.metric("rocketmq_connect_task_records_put_total", connector="out") >= lines
                and worker.metric("rocketmq_connect_task_lag_records", connector="out") == 0)
    outof = (time.monotonic() - begin, worker.cpu() - cpu)
    same(source, out)
    worker.stop()
    fresh("store")
    return into, outof, disk, syncs, commits


def table(title, size, lines, rows):
    print(f"\n{title}: {lines:,} lines, {size / 1e6:,.0f} MB")
    print(f"{'':<24}{'seconds':>9}{'records/s':>14}{'MB/s':>9}{'CPU s/million':>15}{'max RSS MiB':>13}")
    for name, wall, cpu, rss in rows:
        print(f"{name:<24}{wall:>9.2f}{lines / wall:>14,.0f}{size / wall / 1e6:>9.1f}"
              f"{cpu / lines * 1e6:>15.2f}{rss if rss else 0:>13.1f}", flush=True)


def median(runs, i):
    return statistics.median(run[i] for run in runs)


def bench(width, lines, rounds):
    source = os.path.join(DIR, "in.txt")
    make_lines(source, lines, width)
    size = os.path.getsize(source)
    cp, probe, ours, halves = [], [], [], []
    for _ in range(rounds):
        cp.append(run_cp(source))
        probe.append(run_probe(source))
        ours.append(run_ours(source))
        halves.append(run_halves(source, lines))
    rows = [("cp + fsync", median(cp, 0), median(cp, 1), median(cp, 2)),
            ("raw probe, file to file", median(probe, 0), median(probe, 1), median(probe, 2)),
            ("file to file", median(ours, 0), median(ours, 1), median(ours, 2))]
    for i, name in ((0, "file to log"), (1, "log to file")):
        rows.append((name, statistics.median(h[i][0] for h in halves),
                     statistics.median(h[i][1] for h in halves), None))
    table(f"{width} B lines", size, lines, rows)
    ratios = [p[0] / o[0] for p, o in zip(probe, ours)]
    _, _, disk, syncs, commits = halves[-1]
    note("bytes on disk per record, log", disk / lines, "B", f"line is {width} B")
    note("transactions of the log, file to log", commits, "", f"{syncs:,.0f} fsync/fdatasync calls")
    check("fsync or fdatasync calls per transaction", syncs / max(commits, 1), ">=", 1.0)
    note("share of the raw probe, each round", round(min(ratios), 3), "", " ".join(f"{r:.2f}" for r in ratios))
    check(f"share of the raw probe, file to file, {width} B", statistics.median(ratios), ">=", 0.60)
    if width == 100:
        check("CPU s per million records, file to file", median(ours, 1) / lines * 1e6, "<=", 1.0, "s")
    os.unlink(source)


def syncs_by_kernel(lines):
    """The kernel's count of syncs in a file to file run, beside the log's own."""
    source = os.path.join(DIR, "sync.txt")
    make_lines(source, lines, 100)
    fresh("bench.rc")
    out, trace = fresh("ours.out"), fresh("trace")
    with open(os.path.join(DIR, "bench.yaml"), "w") as f:
        f.write(f"name: bench\nsource:\n  class: file-source\n  filename: {source}\n  bounded: true\n"
                f"sink:\n  class: file-sink\n  filename: {out}\n")
    subprocess.run(["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", trace, BIN, "run",
                    "bench.yaml"], cwd=DIR, check=True, stdout=subprocess.DEVNULL)
    with open(trace) as f:
        calls = sum(1 for line in f if re.search(r"\b(fsync|fdatasync)\(", line))
    note("syncs seen by the kernel, file to file", calls, "", f"{lines:,} lines, strace")
    check("syncs seen by the kernel", float(calls), ">=", 4.0)


def weight():
    print("\nweight of an idle worker")
    first = []
    for _ in range(5):
        worker = Worker()
        first.append(worker.ready_ms)
        worker.stop()
    worker = Worker()
    rss = []
    for _ in range(4):
        time.sleep(0.5)
        rss.append(worker.status("VmRSS") / 1024)
    before = worker.wakeups()
    time.sleep(10)
    woken = worker.wakeups() - before
    threads = worker.status("Threads")
    for i in range(20):
        worker.create(f"idle{i}", connector__class="file-source",
                      filename=os.path.join(DIR, f"none{i}"), connect__topicname="idle")
    time.sleep(2)
    more = (worker.status("VmRSS") / 1024 - rss[-1]) / 20
    worker.stop()
    note("ready on an empty folder, each", round(max(first), 1), "ms", " ".join(f"{ms:.1f}" for ms in first))
    check("ready (start of process to healthy), median", statistics.median(first), "<=", 50.0, "ms")
    check("RSS, no connectors", rss[-1], "<=", 15.0, "MiB", f"{threads} threads")
    check("wake-ups in 10 s, no connectors", float(woken), "<=", 0.0)
    check("RSS per idle native connector", more, "<=", 1.0, "MiB")


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=5_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only-weight", action="store_true")
    args = options.parse_args()
    if not args.only_weight:
        bench(100, args.lines, args.rounds)
        bench(1024, max(args.lines // 10, 1), args.rounds)
        syncs_by_kernel(min(args.lines, 1_000_000))
    weight()
    sys.exit(1 if failures else 0)


main()
