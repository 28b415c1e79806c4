#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: hosted connectors beside Kafka Connect running the same jar: speed, CPU, memory, start
"""connect-file 3.9.1 of Maven Central copies a file to a file, in our Java host and in Kafka Connect
standalone, in turns on this machine: lines of 100 B and of 1 KiB, and the same lines as Structs
(HoistField, JSON with schema). Ours goes through the embedded log, Kafka's through a KRaft broker on
this machine; that is what one needs at least to run the jar.

Measured from the start of the process (Kafka's broker runs already) to the first record, then from
there to the last one; CPU and memory (PSS, at its most) of all processes: worker and hosts, Connect
and broker. Medians of the rounds. At last what a further connector costs, and our own file
connectors with isolation=process.

  scripts/show.sh host-bench [--rounds N] [--scale F]
"""
import argparse
import os
import pathlib
import shutil
import statistics
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/faults"))
sys.path.insert(0, str(ROOT / "tests/hosts"))
import hosts_kit  # noqa: E402
import kafka_kit  # noqa: E402
import kit  # noqa: E402

SEED = int(os.environ.get("SHOW_SEED", "1"))
SOURCE = "org.apache.kafka.connect.file.FileStreamSourceConnector"
SINK = "org.apache.kafka.connect.file.FileStreamSinkConnector"
OUR_JSON = "org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter"
JSON = "org.apache.kafka.connect.json.JsonConverter"
HOIST = {"transforms": "h", "transforms.h.type":
         "org.apache.kafka.connect.transforms.HoistField$Value", "transforms.h.field": "line"}
STRUCT_BYTES = len("Struct{line=}")
MEMORY_MAX = 1 / 3
# lines, bytes of one, struct
WORK = [("100 B, plain", 1000000, 100, False), ("1 KiB, plain", 200000, 1024, False),
        ("100 B, Struct", 300000, 100, True), ("1 KiB, Struct", 100000, 1024, True)]
ROWS = []


def check(title, good, text):
    ROWS.append(good)
    print(f"{title:46} {text:>46}  {'ok' if good else 'FAIL'}", flush=True)


def note(title, text):
    print(f"{title:46} {text:>46}", flush=True)


class Meter(threading.Thread):
    """Most memory of a set of processes while it runs."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids, self.most, self.over = pids, 0.0, threading.Event()

    def run(self):
        while not self.over.wait(0.2):
            try:
                self.most = max(self.most, sum(hosts_kit.pss_mib(p) for p in self.pids()))
            except (OSError, AttributeError):
                pass  # one has just ended


def measure(output, size, count, began, pids):
    """Of a copy that has just begun."""
    meter = Meter(pids)
    meter.start()
    first = kit.wait_for("the first record", lambda: kit.size_of(output) and time.monotonic(), 120,
                         0.002)
    had, cpu = kit.size_of(output) / size, sum(hosts_kit.cpu_s(p) for p in pids())
    kit.wait_for(f"all {size} bytes", lambda: kit.size_of(output) >= size, 300, 0.005)
    end, cpu_all = time.monotonic(), sum(hosts_kit.cpu_s(p) for p in pids())
    meter.over.set()
    meter.join()
    return {"rate": count * (1 - had) / (end - first), "total": end - began, "start": first - began,
            "cpu": (cpu_all - cpu) / (count * (1 - had)) * 1e6, "memory": meter.most}


def ours(top, source, size, count, struct, native=False):
    place = top / f"ours-{time.monotonic_ns()}"
    plugins = place / "plugins"
    (plugins / "file").mkdir(parents=True)
    shutil.copy(hosts_kit.KAFKA_FILE, plugins / "file")
    output = place / "out.txt"
    began = time.monotonic()
    worker = hosts_kit.Worker(place / "worker", pluginPaths=plugins).start()
    try:
        more = {"value__converter": OUR_JSON, "value__converter__schemas__enable": "true"} \
            if struct else {}
        if native:
            worker.create("out", connector__class="file-sink", filename=output,
                          connect__topicnames="t", isolation="process")
            worker.create("in", connector__class="file-source", filename=source,
                          connect__topicname="t", isolation="process")
        else:
            hoist = {f"kafka.{k}": v for k, v in HOIST.items()} if struct else {}
            worker.create("in", connector__class=SOURCE, file=source, topic="t", **more, **hoist)
            worker.create("out", connector__class=SINK, file=output, connect__topicnames="t", **more)
        return measure(output, size, count, began,
                       lambda: [worker.process.pid, *hosts_kit.hosts(worker)])
    finally:
        worker.stop()
        shutil.rmtree(place)


def theirs(top, kafka, source, size, count, struct):
    output = top / f"kafka-out-{kafka.runs}.txt"
    topic = f"t{kafka.runs}"
    more = {"value__converter": JSON, "value__converter__schemas__enable": "true"} if struct else {}
    connect = kafka.connect(
        {"name": "in", "connector__class": SOURCE, "file": source, "topic": topic,
         **(HOIST if struct else {})},
        {"name": f"out{kafka.runs}", "connector__class": SINK, "file": output, "topics": topic},
        **more)
    began = time.monotonic()
    connect.start()
    try:
        return measure(output, size, count, began, lambda: [connect.pid, kafka.broker.pid])
    finally:
        connect.stop()
        output.unlink(missing_ok=True)


def median(runs, name):
    return statistics.median(r[name] for r in runs)


def compare(top, kafka, title, count, width, struct, rounds):
    source = top / "in.txt"
    size = kit.make_lines(source, count, SEED, width) + (count * STRUCT_BYTES if struct else 0)
    mine, other = [], []
    for turn in range(rounds):
        for side in ((0, 1) if turn % 2 == 0 else (1, 0)):
            if side == 0:
                mine.append(ours(top, source, size, count, struct))
            else:
                other.append(theirs(top, kafka, source, size, count, struct))
    figure = {n: (median(mine, n), median(other, n)) for n in mine[0]}

    def both(name, unit, form=",.0f"):
        return f"{figure[name][0]:{form}} / {figure[name][1]:{form}} {unit}"
    print(f"{title}: {count:,} lines; ours / Kafka's")
    check("  end to end, start to last record: not slower", figure["total"][0] <= figure["total"][1],
          both("total", "s", ".2f"))
    check("  records/s after the first one: not slower", figure["rate"][0] >= figure["rate"][1],
          both("rate", "records/s"))
    share = figure["memory"][0] / figure["memory"][1]
    check("  memory of all processes: a third at most", share <= MEMORY_MAX,
          both("memory", "MiB") + f" = {share:.2f}")
    note("  CPU per million records, all processes", both("cpu", "s", ".2f"))
    note("  start to first record", both("start", "s", ".2f"))


def settled(worker, hosts):
    """PSS of the worker and its hosts, once there are so many and it stays where it is for 1 s."""
    seen = []

    def same():
        pids = hosts_kit.hosts(worker)
        if len(pids) != hosts:
            seen.clear()
            return False
        seen.append(sum(hosts_kit.pss_mib(p) for p in [worker.process.pid, *pids]))
        last = seen[-4:]
        return len(last) == 4 and max(last) - min(last) <= 0.1
    kit.wait_for(f"{hosts} hosts at rest", same, 30, 0.25)
    return seen[-1]


def further(top):
    """What one more idle connector costs: the median of what each of eight adds to those before."""
    plugins = top / "more/plugins"
    (plugins / "file").mkdir(parents=True)
    shutil.copy(hosts_kit.KAFKA_FILE, plugins / "file")
    (top / "idle.txt").touch()
    print("a further connector, PSS:")
    for title, keys in (("own Java host (default)", {}), ("Java, host.group", {"host.group": "g"}),
                        ("C, isolation=process", {"isolation": "process"})):
        worker = hosts_kit.Worker(top / f"more/{title[:3]}{len(keys)}", pluginPaths=plugins,
                                  **{"host.idle.timeout": "100ms"}).start()
        try:
            seen = []
            for n in range(9):
                name = f"s{n}"
                config = {"connector__class": "file-source", "filename": top / "idle.txt",
                          "connect__topicname": "t"} if title.startswith("C") else \
                    {"connector__class": SOURCE, "file": top / "idle.txt", "topic": "t"}
                worker.create(name, **config, **keys)
                kit.wait_for(name, lambda n=name: worker.states(n) == ["RUNNING"])
                seen.append(settled(worker, 1 if "host.group" in keys else n + 1))
            more = sorted(b - a for a, b in zip(seen, seen[1:]))
            note(f"  {title}", f"{statistics.median(more):.1f} MiB each "
                 f"({more[0]:.1f} to {more[-1]:.1f}); two: {seen[1]:.1f} in all")
        finally:
            worker.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    top = pathlib.Path(os.environ["SHOW_DIR"])
    hosts_kit.build_java()
    kafka = kafka_kit.Kafka(top / "kafka").start()
    try:
        for title, count, width, struct in WORK:
            compare(top, kafka, title, int(count * options.scale), width, struct, options.rounds)
    finally:
        kafka.stop()
    source = top / "in.txt"
    count = int(2000000 * options.scale)
    size = kit.make_lines(source, count, SEED, 100)
    runs = [ours(top, source, size, count, False, native=True) for _ in range(options.rounds)]
    note("our C connectors, isolation=process, 100 B",
         f"{median(runs, 'rate'):,.0f} records/s, {median(runs, 'cpu'):.2f} s per million, "
         f"{median(runs, 'memory'):.0f} MiB")
    further(top)
    return 0 if all(ROWS) else 1


if __name__ == "__main__":
    sys.exit(main())
