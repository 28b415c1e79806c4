#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# summary: a host in Node that shares no code with ours moves 100,000 records, also when it is killed
"""tests/hosts/node was written from docs/host-protocol.md alone. Its source reads lines of a file,
its sink writes them to another, over the embedded log:

  a run from end to end; a run in which the source's and the sink's host are killed in mid-way; a
  restart of the finished source, which must not give anything again; and what a user sees of it:
  the plugins it lists, their options, a configuration it refuses.

  scripts/show.sh foreign-host [--records N] [--kills N]
"""
import argparse
import os
import pathlib
import random
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/faults"))
sys.path.insert(0, str(ROOT / "tests/hosts"))
import kit  # noqa: E402
import hosts_kit  # noqa: E402

SEED = int(os.environ.get("SHOW_SEED", "1"))
HOST = ROOT / "tests/hosts/node/host.js"
ROWS = []


def check(title, good, text):
    ROWS.append(good)
    print(f"{title:58} {text:>30}  {'ok' if good else 'FAIL'}", flush=True)


def create(worker, name, source, sink):
    worker.create(f"{name}-out", connector__class="node.LineSink", connect__topicnames=name,
                  file=sink)
    kit.wait_for("the sink", lambda: worker.states(f"{name}-out") == ["RUNNING"])
    worker.create(f"{name}-in", connector__class="node.LineSource", connect__topicname=name,
                  file=source)


def first_seen(path):
    """(lines without those that came before, how many came again)."""
    lines = path.read_bytes().splitlines()
    once = list(dict.fromkeys(lines))
    return once, len(lines) - len(once)


def straight(worker, source, count):
    sink = worker.folder / "straight.txt"
    began = time.monotonic()
    create(worker, "straight", source, sink)
    kit.wait_for(f"{count} lines; {worker.said()[-800:]}",
                 lambda: kit.size_of(sink) >= kit.size_of(source), 120, 0.01)
    took = time.monotonic() - began
    check(f"{count:,} records of 100 B, source and sink in Node", sink.read_bytes() ==
          source.read_bytes(), f"{count / took:,.0f}/s, identical")
    kit.wait_for("FINISHED", lambda: worker.states("straight-in") == ["FINISHED"])
    worker.request("POST", "/api/v1/connectors/straight-in/restart?includeTasks=true")
    kit.wait_for("FINISHED", lambda: worker.states("straight-in") == ["FINISHED"])
    time.sleep(0.5)
    check("the source is started again: nothing comes again", kit.size_of(sink) ==
          kit.size_of(source), f"{kit.size_of(sink):,} bytes")


def killed(worker, source, count, kills):
    sink, rng = worker.folder / "killed.txt", random.Random(SEED)
    total = kit.size_of(source)
    create(worker, "killed", source, sink)
    done = 0
    for n in range(kills):
        point = int(total * (n + rng.random()) / (kills + 1))
        kit.wait_for(f"{point} bytes", lambda: kit.size_of(sink) >= point, 120, 0.001)
        victim = ("killed-in", "killed-out")[n % 2]
        pid = hosts_kit.host_of(worker, victim)
        if pid and hosts_kit.alive(pid) and kit.size_of(sink) < total:
            os.kill(pid, signal.SIGKILL)
            done += 1
    expected = source.read_bytes().splitlines()
    kit.wait_for(f"all lines; {worker.said()[-800:]}",
                 lambda: hosts_kit.count_lines(sink) >= count and
                 expected[-1] in sink.read_bytes()[-2000:], 120, 0.05)
    once, again = first_seen(sink)
    check(f"{done} kills of its hosts (-9): no line is lost", once == expected,
          f"{count - len(once)} lost, {again:,} twice")


def shown(worker):
    listed = worker.request("GET", "/api/v1/connector-plugins")
    check("GET connector-plugins lists both", "node.LineSource" in listed and
          "node.LineSink" in listed, "with version and options")
    try:
        worker.create("bad", connector__class="node.LineSource", connect__topicname="t",
                      file="/no/such/file")
        words = ""
    except hosts_kit.Trouble as trouble:
        words = str(trouble)
    check("a wrong file is refused with the plugin's words", "cannot be read: ENOENT" in words,
          "400, file: cannot be read")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100000)
    parser.add_argument("--kills", type=int, default=4)
    options = parser.parse_args()
    top = pathlib.Path(os.environ["SHOW_DIR"])
    plugins = top / "plugins"
    hosts_kit.manifest(plugins, "node", [HOST])
    worker = hosts_kit.Worker(top / "worker", pluginPaths=plugins, **{"host.crashes.max": -1})
    worker.start()
    print(f"host: {hosts_kit.sh('node', '--version')}, "
          f"{sum(1 for f in HOST.parent.glob('*.js') for _ in open(f, encoding='utf-8'))} lines")
    try:
        source = top / "in.txt"
        kit.make_lines(source, options.records, SEED)
        shown(worker)
        straight(worker, source, options.records)
        killed(worker, source, options.records, options.kills)
    finally:
        code = worker.stop()
    check("the worker ends", code == 0, f"exit status {code}")
    return 0 if all(ROWS) else 1


if __name__ == "__main__":
    sys.exit(main())
